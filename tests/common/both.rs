//! Runs one graph on the GPU and on the CPU executor, and compares every output and every state.

use std::collections::BTreeMap;

use tweedie::cpu;
use tweedie::gpu::{Options as PlayerOptions, Player, Store, Trust};
use tweedie::graph::{DType, Graph, Op};
use tweedie::lower::{LowerOptions, ProgramSource, lower};
use tweedie::plan::Plan;
use tweedie::plan::{Driver, Limits};

use crate::common::gpu;

/// What the store holds before the run.
#[derive(Clone, Debug)]
pub enum Content {
    Floats(Vec<f32>),
    Words(Vec<u32>),
    Bytes(Vec<u8>),
}

/// A graph with everything that it reads.
pub struct Case<'a> {
    pub name: &'a str,
    pub graph: &'a Graph,
    pub batch: usize,
    /// Buffers are made for this many.
    pub max_batch: usize,
    pub states: Vec<(&'a str, Content)>,
    pub inputs: Vec<(&'a str, Vec<f32>)>,
    pub runs: usize,
    pub limits: Limits,
    pub driver: Driver,
    /// Largest allowed error, relative to 1 + the largest magnitude in the tensor.
    pub tolerance: f64,
}

impl<'a> Case<'a> {
    pub fn new(name: &'a str, graph: &'a Graph, batch: usize) -> Self {
        Self {
            name,
            graph,
            batch,
            max_batch: batch + 3,
            states: Vec::new(),
            inputs: Vec::new(),
            runs: 1,
            limits: Limits::BASELINE,
            driver: Driver::Hardware,
            tolerance: 2e-5,
        }
    }

    pub fn input(mut self, name: &'a str, values: Vec<f32>) -> Self {
        self.inputs.push((name, values));
        self
    }

    pub fn floats(mut self, name: &'a str, values: Vec<f32>) -> Self {
        self.states.push((name, Content::Floats(values)));
        self
    }

    pub fn words(mut self, name: &'a str, values: Vec<u32>) -> Self {
        self.states.push((name, Content::Words(values)));
        self
    }

    pub fn bytes(mut self, name: &'a str, values: Vec<u8>) -> Self {
        self.states.push((name, Content::Bytes(values)));
        self
    }

    /// Fills every input that has no values yet with numbers between -1 and 1, and the parameters likewise.
    pub fn filled(mut self) -> Self {
        let mut seed = 1;
        for node in self.graph.nodes() {
            if let Op::Input { name } = &node.op
                && !self.inputs.iter().any(|(known, _)| known == name)
            {
                seed += 1;
                let count = node.types[0].shape.elements(self.batch);
                let name: &'a str = name.as_str();
                self.inputs.push((name, numbers(count, seed)));
            }
        }
        if self.graph.arena_elements() > 0 && !self.states.iter().any(|(name, _)| *name == "params") {
            let mut arena = vec![0.0; self.graph.arena_elements()];
            for (i, parameter) in self.graph.parameters().iter().enumerate() {
                let values = numbers(parameter.elements(), 100 + i as u64);
                arena[parameter.offset..parameter.offset + values.len()].copy_from_slice(&values);
            }
            self.states.push(("params", Content::Floats(arena)));
        }
        self
    }

    /// What the GPU does.
    pub fn plan(&self) -> Plan {
        let options = LowerOptions { max_batch: self.max_batch as u32, limits: self.limits, driver: self.driver };
        let source = ProgramSource { name: "case", graph: self.graph, parameters_from: "params" };
        lower(&[source], &options).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Outputs and states after the runs, on the GPU.
    pub fn on_gpu(&self, checked: bool) -> BTreeMap<String, Vec<f32>> {
        let device = gpu::device();
        let plan = self.plan();
        let mut store = Store::with_guard_bands(device);
        // SAFETY: the plan was lowered above.
        let trust = unsafe { Trust::own() };
        let options = PlayerOptions { trust, checked, guard_bands: true, ..PlayerOptions::default() };
        let ports = plan.store.clone();
        let outputs = plan.programs[0].outputs.clone();
        let known: Vec<String> = plan.programs[0].inputs.iter().map(|port| port.name.clone()).collect();
        let mut player =
            Player::new(device, plan, &mut store, options).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        for (name, content) in &self.states {
            if !ports.iter().any(|port| port.name == *name) {
                continue;
            }
            match content {
                Content::Floats(data) => store.upload(name, 0, data).unwrap(),
                Content::Words(data) => store.upload(name, 0, data).unwrap(),
                Content::Bytes(data) => {
                    let mut padded = data.clone();
                    padded.resize(data.len().next_multiple_of(4), 0);
                    store.upload(name, 0, &bytemuck::pod_collect_to_vec::<u8, u32>(&padded)).unwrap();
                }
            }
        }
        player.set_batch(0, self.batch as u32).unwrap();
        // What no result needs is no input of the plan.
        for (name, data) in self.inputs.iter().filter(|(name, _)| known.iter().any(|known| known == name)) {
            player.write_input(0, name, data).unwrap();
        }
        player.run(0, self.batch as u32, self.runs).unwrap();
        player.wait().unwrap();
        player.check_guard_bands().unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let mut results = BTreeMap::new();
        for port in outputs {
            let values: Vec<f32> = match port.dtype {
                DType::U32 => {
                    let words: Vec<u32> = player.read_output(0, &port.name).unwrap();
                    words.into_iter().map(|word| word as f32).collect()
                }
                _ => player.read_output(0, &port.name).unwrap(),
            };
            results.insert(format!("output {}", port.name), values);
        }
        for (name, value) in self.graph.assignments() {
            let tensor_type = self.graph.tensor_type(*value);
            let count = tensor_type.shape.elements(self.batch);
            let values = if tensor_type.dtype == DType::U32 {
                let words: Vec<u32> = store.download(name, 0, count).unwrap();
                words.into_iter().map(|word| word as f32).collect()
            } else {
                store.download(name, 0, count).unwrap()
            };
            results.insert(format!("state {name}"), values);
        }
        results
    }

    /// The same on the CPU executor.
    pub fn on_cpu<T: cpu::Real + Into<f64>>(&self) -> BTreeMap<String, Vec<f64>> {
        let mut store = cpu::Store::<T>::new();
        for (name, content) in &self.states {
            match content {
                Content::Floats(data) => store.upload_f32(name, data),
                Content::Words(data) => store.upload_words(name, data),
                Content::Bytes(data) => store.upload_bytes(name, data),
            }
        }
        let inputs: Vec<(&str, Vec<T>)> =
            self.inputs.iter().map(|(name, data)| (*name, data.iter().map(|x| T::from_f32(*x)).collect())).collect();
        let inputs: Vec<(&str, &[T])> = inputs.iter().map(|(name, data)| (*name, data.as_slice())).collect();
        let mut program = cpu::Program::<T>::new(self.graph, "params");
        for _ in 0..self.runs {
            program.run(&mut store, &inputs, self.batch).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        }
        let mut results = BTreeMap::new();
        for (name, _) in self.graph.outputs() {
            let values = program.output(name).iter().map(|x| (*x).into()).collect();
            results.insert(format!("output {name}"), values);
        }
        for (name, value) in self.graph.assignments() {
            let values = if self.graph.tensor_type(*value).dtype == DType::U32 {
                store.words(name).unwrap().iter().map(|word| f64::from(*word)).collect()
            } else {
                store.get(name).unwrap().iter().map(|x| (*x).into()).collect()
            };
            results.insert(format!("state {name}"), values);
        }
        results
    }

    /// GPU (checked and unchecked, bit for bit equal), CPU f32 and CPU f64 agree.
    pub fn check(&self) {
        let truth = self.on_cpu::<f64>();
        let gpu = self.on_gpu(false);
        let checked = self.on_gpu(true);
        assert_eq!(bits(&gpu), bits(&checked), "{}: runtime checks change the result", self.name);
        let gpu = gpu.into_iter().map(|(name, data)| (name, data.into_iter().map(f64::from).collect())).collect();
        self.close("GPU", &gpu, &truth);
        self.close("CPU f32", &self.on_cpu::<f32>(), &truth);
    }

    /// GPU, CPU f32 and CPU f64 agree: for graphs of many pipelines, whose kernels are checked elsewhere.
    pub fn check_once(&self) {
        let truth = self.on_cpu::<f64>();
        let gpu = self.on_gpu(false).into_iter();
        let gpu = gpu.map(|(name, data)| (name, data.into_iter().map(f64::from).collect())).collect();
        self.close("GPU", &gpu, &truth);
        self.close("CPU f32", &self.on_cpu::<f32>(), &truth);
    }

    fn close(&self, who: &str, found: &BTreeMap<String, Vec<f64>>, truth: &BTreeMap<String, Vec<f64>>) {
        assert!(!truth.is_empty(), "{}: nothing to compare", self.name);
        for (name, wanted) in truth {
            let found = &found[name];
            assert_eq!(found.len(), wanted.len(), "{} {who} {name}", self.name);
            let scale = 1.0 + wanted.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
            for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
                let good = (a - b).abs() <= self.tolerance * scale;
                assert!(good, "{} {who} {name}[{i}] of {}: {a} instead of {b}", self.name, wanted.len());
            }
        }
    }
}

fn bits(results: &BTreeMap<String, Vec<f32>>) -> BTreeMap<&str, Vec<u32>> {
    results.iter().map(|(name, data)| (name.as_str(), data.iter().map(|x| x.to_bits()).collect())).collect()
}

/// `count` numbers between -1 and 1.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32) / (1 << 23) as f32 - 1.0
        })
        .collect()
}
