//! Writing a program's inputs and reading its outputs.

use super::error::GpuError;
use super::pending::{Element, Pending};
use super::player::Player;
use super::store::{submit_read, write};
use crate::plan::Port;

impl Player {
    fn port<'a>(ports: &'a [Port], kind: &str, program: &str, name: &str) -> Result<&'a Port, GpuError> {
        ports.iter().find(|port| port.name == name).ok_or_else(|| {
            let known: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
            GpuError::Argument(format!("program `{program}` has no {kind} `{name}`; it has: {}", known.join(", ")))
        })
    }

    fn check_dtype<T: Element>(port: &Port, program: &str) -> Result<(), GpuError> {
        if port.dtype == T::DTYPE {
            return Ok(());
        }
        let (is, asked) = (port.dtype, T::DTYPE);
        Err(GpuError::Argument(format!("`{}` of program `{program}` is {is:?}, not {asked:?}", port.name)))
    }

    /// Writes an input. Takes effect with the next submission, so after everything that is under way.
    ///
    /// # Errors
    /// [`GpuError::Argument`] when there is no such input, or its element type, or its number of elements at the
    /// program's batch ([`set_batch`](Self::set_batch)) is another.
    pub fn write_input<T: Element>(&self, program: usize, name: &str, data: &[T]) -> Result<(), GpuError> {
        self.known(program)?;
        let description = &self.plan.programs[program];
        let port = Self::port(&description.inputs, "input", &description.name, name)?;
        Self::check_dtype::<T>(port, &description.name)?;
        let batch = self.batch(program)?;
        let wanted = port.elements.at(batch.into());
        if data.len() as u64 != wanted {
            return Err(GpuError::Argument(format!(
                "input `{name}` of program `{}` takes {wanted} elements at batch {batch}, not {}",
                description.name,
                data.len()
            )));
        }
        write(&self.device, self.block(port.slice.buffer), port.slice.offset, bytemuck::cast_slice(data))
    }

    /// Where an output lies, and how many bytes it has at the program's batch.
    fn output<T: Element>(&self, program: usize, name: &str) -> Result<(&Port, u64), GpuError> {
        self.known(program)?;
        let description = &self.plan.programs[program];
        let port = Self::port(&description.outputs, "output", &description.name, name)?;
        Self::check_dtype::<T>(port, &description.name)?;
        let elements = port.elements.at(self.batch(program)?.into());
        Ok((port, elements * port.dtype.bytes()))
    }

    /// Reads an output, and waits for it.
    ///
    /// # Errors
    /// [`GpuError::Argument`] when there is no such output of this element type; [`GpuError::Lost`].
    pub fn read_output<T: Element>(&self, program: usize, name: &str) -> Result<Vec<T>, GpuError> {
        self.read_async(program, name)?.wait()
    }

    /// Starts to read an output, as everything that was submitted so far leaves it. Submits a copy; does not wait.
    ///
    /// # Errors
    /// [`GpuError::Argument`] when there is no such output of this element type.
    pub fn read_async<T: Element>(&self, program: usize, name: &str) -> Result<Pending<T>, GpuError> {
        let (port, bytes) = self.output::<T>(program, name)?;
        submit_read(&self.device, self.block(port.slice.buffer), port.slice.offset, bytes)
    }

    /// As [`read_async`](Self::read_async), but recorded into the caller's encoder, whose submission starts it.
    ///
    /// # Errors
    /// [`GpuError::Argument`] when there is no such output of this element type.
    pub fn record_read<T: Element>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        program: usize,
        name: &str,
    ) -> Result<Pending<T>, GpuError> {
        let (port, bytes) = self.output::<T>(program, name)?;
        Pending::record(&self.device, encoder, self.block(port.slice.buffer), port.slice.offset, bytes)
    }

    /// The wgpu buffer of an output and the bytes of it, for the caller's own passes: no copy, no read-back.
    ///
    /// # Errors
    /// [`GpuError::Argument`] when there is no such output of this element type.
    pub fn output_buffer<T: Element>(
        &self,
        program: usize,
        name: &str,
    ) -> Result<(&wgpu::Buffer, std::ops::Range<u64>), GpuError> {
        let (port, bytes) = self.output::<T>(program, name)?;
        let block = self.block(port.slice.buffer);
        let start = block.start + port.slice.offset;
        Ok((&block.raw, start..start + bytes))
    }
}
