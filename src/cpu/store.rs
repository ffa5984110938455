//! Tensors that last between runs.

use std::collections::BTreeMap;

use super::{CpuError, Real};
use crate::graph::DType;

/// A flat tensor of the store.
#[derive(Clone, Debug, PartialEq)]
pub enum Tensor<T> {
    /// Floats of the executor's type: parameters, moments, rings, data sets.
    Real(Vec<T>),
    /// 32-bit words: clocks.
    Words(Vec<u32>),
    /// Bytes: data sets.
    Bytes(Vec<u8>),
}

impl<T> Tensor<T> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Real(data) => data.len(),
            Self::Words(data) => data.len(),
            Self::Bytes(data) => data.len(),
        }
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Real(_) => "floats",
            Self::Words(_) => "u32",
            Self::Bytes(_) => "u8",
        }
    }
}

/// Named tensors that outlive programs: `params`, `ema`, `adam_m`, `clock`, `ring`, data sets, …
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Store<T> {
    tensors: BTreeMap<String, Tensor<T>>,
}

impl<T: Real> Store<T> {
    /// An empty store.
    pub fn new() -> Self {
        Self { tensors: BTreeMap::new() }
    }

    /// Puts `elements` zeros under `name`, in the place of what was there.
    pub fn create(&mut self, name: &str, elements: usize) {
        self.insert(name, Tensor::Real(vec![T::default(); elements]));
    }

    /// Puts floats under `name`, in the place of what was there.
    pub fn upload(&mut self, name: &str, data: &[T]) {
        self.insert(name, Tensor::Real(data.to_vec()));
    }

    /// Puts f32 under `name`, converted to the executor's type.
    pub fn upload_f32(&mut self, name: &str, data: &[f32]) {
        self.insert(name, Tensor::Real(data.iter().map(|x| T::from_f32(*x)).collect()));
    }

    /// Puts words under `name`: a clock is `[step, sample_base, seed low word, seed high word]`.
    pub fn upload_words(&mut self, name: &str, data: &[u32]) {
        self.insert(name, Tensor::Words(data.to_vec()));
    }

    /// Puts bytes under `name`: a data set of [`Storage::U8`](crate::graph::Storage::U8).
    pub fn upload_bytes(&mut self, name: &str, data: &[u8]) {
        self.insert(name, Tensor::Bytes(data.to_vec()));
    }

    /// Puts a tensor under `name`, in the place of what was there.
    pub fn insert(&mut self, name: &str, tensor: Tensor<T>) {
        self.tensors.insert(name.to_owned(), tensor);
    }

    /// Takes the tensor `name` out.
    pub fn remove(&mut self, name: &str) -> Option<Tensor<T>> {
        self.tensors.remove(name)
    }

    /// The tensor `name`, of whatever type.
    pub fn tensor(&self, name: &str) -> Option<&Tensor<T>> {
        self.tensors.get(name)
    }

    /// The floats under `name`.
    pub fn get(&self, name: &str) -> Option<&[T]> {
        if let Some(Tensor::Real(data)) = self.tensors.get(name) { Some(data) } else { None }
    }

    /// The floats under `name`, to be changed in place.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut [T]> {
        if let Some(Tensor::Real(data)) = self.tensors.get_mut(name) { Some(data) } else { None }
    }

    /// The floats under `name`, to be taken out and put back.
    pub(super) fn floats_mut(&mut self, name: &str) -> Option<&mut Vec<T>> {
        if let Some(Tensor::Real(data)) = self.tensors.get_mut(name) { Some(data) } else { None }
    }

    /// The words under `name`.
    pub fn words(&self, name: &str) -> Option<&[u32]> {
        if let Some(Tensor::Words(data)) = self.tensors.get(name) { Some(data) } else { None }
    }

    /// The words under `name`, to be changed in place.
    pub fn words_mut(&mut self, name: &str) -> Option<&mut [u32]> {
        if let Some(Tensor::Words(data)) = self.tensors.get_mut(name) { Some(data) } else { None }
    }

    /// The bytes under `name`.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        if let Some(Tensor::Bytes(data)) = self.tensors.get(name) { Some(data) } else { None }
    }

    /// All names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Checks that `name` holds what a graph reads; a missing tensor is created as zeros if `create`.
    pub(super) fn require(
        &mut self,
        name: &str,
        dtype: DType,
        expected: usize,
        batch: usize,
        create: bool,
    ) -> Result<(), CpuError> {
        let zeros = match dtype {
            DType::F32 => Tensor::Real(Vec::<T>::new()),
            DType::U32 => Tensor::Words(Vec::new()),
            DType::U8 => Tensor::Bytes(Vec::new()),
        };
        let Some(tensor) = self.tensors.get(name) else {
            if !create {
                return Err(CpuError::MissingState { name: name.to_owned() });
            }
            let zeros = match zeros {
                Tensor::Real(_) => Tensor::Real(vec![T::default(); expected]),
                Tensor::Words(_) => Tensor::Words(vec![0; expected]),
                Tensor::Bytes(_) => Tensor::Bytes(vec![0; expected]),
            };
            self.insert(name, zeros);
            return Ok(());
        };
        if tensor.kind() != zeros.kind() {
            return Err(CpuError::StateType { name: name.to_owned(), expected: zeros.kind(), found: tensor.kind() });
        }
        if tensor.len() != expected {
            return Err(CpuError::StateLength { name: name.to_owned(), expected, found: tensor.len(), batch });
        }
        Ok(())
    }

    /// Exchanges the floats under `name` with `data`, without copying. Missing floats count as none.
    pub(super) fn swap(&mut self, name: &str, data: &mut Vec<T>) {
        match self.tensors.get_mut(name) {
            Some(Tensor::Real(old)) => std::mem::swap(old, data),
            _ => self.insert(name, Tensor::Real(std::mem::take(data))),
        }
    }
}
