//! Whether a device may replay a plan: checked before anything is made, and with no trust in the plan.

use std::collections::BTreeMap;
use std::fmt;

use super::adapter::DeviceLimits;
use crate::plan::{Access, Buffer, BufferKind, Constant, Dispatch, Plan, Port, Size, Slice, Workgroups};

/// A plan that no device, or not this one, may replay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PlanError {
    /// Where in the plan: a shader, a buffer, a program's dispatch or port.
    pub place: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Labels come from the plan, which may come from anywhere.
        let place = self.place.replace(char::is_control, " ");
        write!(f, "plan: {place}: {}", self.reason.replace(char::is_control, " "))
    }
}

/// The alignment of every slice.
const ALIGNMENT: u64 = 256;

/// Checks everything that does not need a compiler.
///
/// # Errors
/// The first thing that is wrong.
pub fn validate(plan: &Plan, limits: &DeviceLimits) -> Result<(), PlanError> {
    let fail = |place: String, reason: String| Err(PlanError { place, reason });
    let head = || "head".to_string();
    if plan.max_batch == 0 {
        return fail(head(), "max_batch is 0; at least one sample has to fit".into());
    }
    if plan.max_workgroups == 0 || plan.max_workgroups > limits.workgroups {
        let reason = format!("max_workgroups is {}; this device takes 1 to {}", plan.max_workgroups, limits.workgroups);
        return fail(head(), reason);
    }
    for (index, shader) in plan.shaders.iter().enumerate() {
        let place = format!("shader {index} `{}`", shader.key);
        let uniform = u64::from(shader.constant_words) * 4;
        let limit = |name: &str, value: u64, limit: u64| {
            if value <= limit {
                return Ok(());
            }
            Err(PlanError { place: place.clone(), reason: format!("{value} {name}; this device takes {limit}") })
        };
        limit("storage bindings", shader.access.len() as u64, limits.storage_buffers.into())?;
        limit("threads", shader.threads.into(), limits.threads.into())?;
        limit("bytes of workgroup memory", shader.workgroup_bytes.into(), limits.workgroup_bytes.into())?;
        limit("bytes of constants", uniform, limits.uniform_bytes)?;
    }
    let mut names = BTreeMap::new();
    for (index, buffer) in plan.buffers.iter().enumerate() {
        if let BufferKind::Store(name) = &buffer.kind
            && let Some(first) = names.insert(name, index)
        {
            let reason = format!("stands for the store's `{name}`, and so does buffer {first}; one has to do for both");
            return fail(format!("buffer {index}"), reason);
        }
    }
    let mut programs = BTreeMap::new();
    for (index, program) in plan.programs.iter().enumerate() {
        if programs.insert(&program.name, index).is_some() {
            return fail(format!("program {index}"), format!("a second program called `{}`", program.name));
        }
        for (kind, ports) in [("input", &program.inputs), ("output", &program.outputs)] {
            for port in ports {
                let place = format!("program `{}`, {kind} `{}`", program.name, port.name);
                check_port(plan, port, &place)?;
            }
        }
        for (number, dispatch) in program.dispatches.iter().enumerate() {
            let place = format!("program `{}`, dispatch {number} `{}`", program.name, dispatch.label);
            check_dispatch(plan, limits, dispatch).map_err(|reason| PlanError { place: place.clone(), reason })?;
        }
    }
    for port in &plan.store {
        let place = format!("store tensor `{}`", port.name);
        check_port(plan, port, &place)?;
        if !matches!(plan.buffers[port.slice.buffer].kind, BufferKind::Store(_)) {
            return fail(place, format!("lies in buffer {}, which is not in the store", port.slice.buffer));
        }
    }
    Ok(())
}

fn check_port(plan: &Plan, port: &Port, place: &str) -> Result<(), PlanError> {
    let fail = |reason: String| PlanError { place: place.to_string(), reason };
    check_slice(&plan.buffers, &port.slice).map_err(fail)?;
    let elements = at(port.elements, plan.max_batch);
    match elements.and_then(|elements| elements.checked_mul(port.dtype.bytes())) {
        Some(bytes) if bytes <= port.slice.bytes => Ok(()),
        _ => Err(fail(format!("its elements do not fit its slice of {} bytes", port.slice.bytes))),
    }
}

fn check_slice(buffers: &[Buffer], slice: &Slice) -> Result<(), String> {
    let Some(buffer) = buffers.get(slice.buffer) else {
        return Err(format!("names buffer {}; the plan has {}", slice.buffer, buffers.len()));
    };
    if slice.bytes == 0 {
        return Err(format!("an empty slice of buffer {}", slice.buffer));
    }
    if !slice.offset.is_multiple_of(ALIGNMENT) {
        return Err(format!("offset {} is not a multiple of {ALIGNMENT}", slice.offset));
    }
    match slice.offset.checked_add(slice.bytes) {
        Some(end) if end <= buffer.bytes => Ok(()),
        _ => Err(format!(
            "bytes {} + {} are past the end of buffer {}, which has {}",
            slice.offset, slice.bytes, slice.buffer, buffer.bytes
        )),
    }
}

fn check_dispatch(plan: &Plan, limits: &DeviceLimits, dispatch: &Dispatch) -> Result<(), String> {
    let Some(shader) = plan.shaders.get(dispatch.shader) else {
        return Err(format!("names shader {}; the plan has {}", dispatch.shader, plan.shaders.len()));
    };
    if dispatch.bindings.len() != shader.access.len() {
        let (given, wanted) = (dispatch.bindings.len(), shader.access.len());
        return Err(format!("{given} bindings; shader `{}` has {wanted}", shader.key));
    }
    if dispatch.constants.len() != shader.constant_words as usize {
        let (given, wanted) = (dispatch.constants.len(), shader.constant_words);
        return Err(format!("{given} constants; shader `{}` has {wanted} words", shader.key));
    }
    let mut uses: BTreeMap<usize, Access> = BTreeMap::new();
    for (slice, &access) in dispatch.bindings.iter().zip(&shader.access) {
        check_slice(&plan.buffers, slice)?;
        if slice.bytes > limits.binding_bytes {
            return Err(format!("a binding of {} bytes; this device takes {}", slice.bytes, limits.binding_bytes));
        }
        if *uses.entry(slice.buffer).or_insert(access) != access {
            return Err(format!("reads and writes buffer {} in one dispatch; wgpu allows only one", slice.buffer));
        }
    }
    for (word, constant) in dispatch.constants.iter().enumerate() {
        if let Constant::U32(size) = constant
            && at(*size, plan.max_batch).is_none_or(|value| value > u64::from(u32::MAX))
        {
            return Err(format!("constant {word} does not fit 32 bits at batch {}", plan.max_batch));
        }
    }
    check_grid(plan, limits, dispatch.workgroups)
}

fn check_grid(plan: &Plan, limits: &DeviceLimits, workgroups: Workgroups) -> Result<(), String> {
    if workgroups.per_workgroup == 0 {
        return Err("a workgroup that takes 0 items; at least 1".to_string());
    }
    let count = at(workgroups.items, plan.max_batch)
        .and_then(|items| items.div_ceil(workgroups.per_workgroup).checked_mul(workgroups.times));
    // The grid is at most `max_workgroups` wide, so this many rows are needed.
    match count.map(|count| count.div_ceil(plan.max_workgroups.into())) {
        Some(rows) if rows <= limits.workgroups.into() => Ok(()),
        _ => Err(format!("too many workgroups for rows of {} at batch {}", plan.max_workgroups, plan.max_batch)),
    }
}

/// A size at a batch, unless it overflows.
fn at(size: Size, batch: u32) -> Option<u64> {
    size.per_sample.checked_mul(batch.into())?.checked_add(size.fixed)
}
