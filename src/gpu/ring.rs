//! Copies of store buffers (losses, clock, status) that arrive some submissions later, with no wait.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::block::Block;
use super::device::Device;
use super::error::GpuError;
use super::pending::{Mapping, take_mapped};
use super::player::Player;
use super::store::Store;

/// What some store buffers held after a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// [`Player::repetitions`] at that moment.
    pub repetitions: u64,
    /// Their content by name.
    pub buffers: BTreeMap<String, Vec<u8>>,
}

impl Snapshot {
    /// A buffer's content as values; empty when it is not watched.
    pub fn values<T: super::Element>(&self, name: &str) -> Vec<T> {
        self.buffers.get(name).map_or_else(Vec::new, |bytes| bytemuck::pod_collect_to_vec(bytes))
    }
}

struct Slot {
    staging: Arc<Block>,
    mapping: Mapping,
    /// `None` when the slot is free.
    taken: Option<Taken>,
}

#[derive(Clone, Copy)]
struct Taken {
    /// Number of the snapshot.
    number: u64,
    repetitions: u64,
    /// Whether the player submitted it itself.
    own: bool,
}

/// The watched buffers, and host buffers that they are copied to in turns.
pub(super) struct Ring {
    watched: Vec<(String, Arc<Block>)>,
    slots: Vec<Slot>,
    next: u64,
    arrived: VecDeque<Snapshot>,
    most_repetitions: usize,
}

impl Ring {
    fn new(device: &Device, watched: Vec<(String, Arc<Block>)>, slots: usize, most: usize) -> Result<Self, GpuError> {
        let bytes = watched.iter().map(|(_, block)| block.bytes).sum();
        let slots = (0..slots)
            .map(|_| {
                let staging = Block::staging(device, "snapshot", bytes)?;
                Ok(Slot { staging, mapping: Mapping::default(), taken: None })
            })
            .collect::<Result<_, GpuError>>()?;
        Ok(Self { watched, slots, next: 0, arrived: VecDeque::new(), most_repetitions: most })
    }

    /// No submission may hold more repetitions than this.
    pub fn most_repetitions(&self) -> usize {
        self.most_repetitions
    }

    /// Whether a snapshot that the player submitted has not arrived.
    pub fn is_waiting(&self) -> bool {
        self.slots.iter().any(|slot| slot.taken.is_some_and(|taken| taken.own))
    }

    /// Records copies into a free slot. Says whether there was one.
    pub fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        repetitions: u64,
        own: bool,
    ) -> Result<bool, GpuError> {
        self.harvest()?;
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.taken.is_none()) else { return Ok(false) };
        let mut at = 0;
        for (_, block) in &self.watched {
            encoder.copy_buffer_to_buffer(&block.raw, block.start, &slot.staging.raw, at, block.bytes);
            at += block.bytes;
        }
        slot.mapping.on_submit(encoder, &slot.staging.raw);
        slot.taken = Some(Taken { number: self.next, repetitions, own });
        self.next += 1;
        Ok(true)
    }

    /// Takes what has arrived, oldest first, and frees its slots.
    pub fn harvest(&mut self) -> Result<(), GpuError> {
        let mut ready = Vec::new();
        for (index, slot) in self.slots.iter().enumerate() {
            if let Some(taken) = slot.taken
                && slot.mapping.is_ready()?
            {
                ready.push((taken.number, taken.repetitions, index));
            }
        }
        ready.sort_unstable();
        for (_, repetitions, index) in ready {
            let slot = &mut self.slots[index];
            slot.taken = None;
            let bytes = take_mapped(&slot.staging.raw, slot.staging.bytes)?;
            let mut rest = bytes.as_slice();
            let mut buffers = BTreeMap::new();
            for (name, block) in &self.watched {
                let (content, after) = rest.split_at(block.bytes as usize);
                buffers.insert(name.clone(), content.to_vec());
                rest = after;
            }
            self.arrived.push_back(Snapshot { repetitions, buffers });
        }
        Ok(())
    }
}

impl Player {
    /// From now on every submission of [`run`](Self::run) and [`advance`](Self::advance) that ends a repetition also
    /// copies these store buffers, and holds at most `most_repetitions` repetitions: with the length of the loss ring
    /// there, no loss is overwritten before it was copied. [`snapshots`](Self::snapshots) hands the copies out.
    ///
    /// # Errors
    /// [`GpuError::Argument`] when a name is not in the store, or `most_repetitions` is 0; [`GpuError::OutOfMemory`].
    pub fn watch(&mut self, store: &Store, names: &[&str], most_repetitions: usize) -> Result<(), GpuError> {
        if most_repetitions == 0 || names.is_empty() {
            return Err(GpuError::Argument("watching takes at least one buffer and one repetition".to_string()));
        }
        if !self.device.is_same(store.device()) {
            return Err(GpuError::Argument("the store is on another device than the player".to_string()));
        }
        let watched = names
            .iter()
            .map(|name| store.block(name).map(|block| (name.to_string(), block.clone())))
            .collect::<Result<_, _>>()?;
        // Every submission under way holds one, and one is being recorded; all are made now, so memory stays flat.
        let slots = self.options.in_flight.max(1) + 2;
        self.ring = Some(Ring::new(&self.device, watched, slots, most_repetitions)?);
        Ok(())
    }

    /// The snapshots that have arrived since the last call, oldest first. Does not wait; after [`wait`](Self::wait) all
    /// have arrived. They are kept until they are taken.
    ///
    /// # Errors
    /// [`GpuError::Lost`].
    pub fn snapshots(&mut self) -> Result<Vec<Snapshot>, GpuError> {
        self.device.poll()?;
        self.settle(false)?;
        Ok(self.ring.as_mut().map_or_else(Vec::new, |ring| ring.arrived.drain(..).collect()))
    }

    /// Records copies of the watched buffers into the caller's encoder, which has to be submitted. Says whether it did:
    /// not when nothing is watched, or when too many snapshots are still under way.
    ///
    /// # Errors
    /// [`GpuError::Lost`].
    pub fn record_snapshot(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<bool, GpuError> {
        let repetitions = self.flight.repetitions;
        self.ring.as_mut().map_or(Ok(false), |ring| ring.record(encoder, repetitions, false))
    }
}
