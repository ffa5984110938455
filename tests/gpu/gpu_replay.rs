//! The gpu room on hand-made plans: what a plan does must not depend on how it is replayed.
//!
//! The kernels work on 32-bit integers, modulo 2^32, so that the host knows every bit of the result.

use std::time::{Duration, Instant};

use crate::common::gpu;
use crate::common::skip::skip;
use tweedie::gpu::{
    Choice, Device, DeviceLimits, GpuError, Hardware, OpenOptions, Options, Player, Store, Trust, validate,
};
use tweedie::graph::DType;
use tweedie::plan::{
    Access, Buffer, BufferKind, Constant, Dispatch, Plan, Port, Program, Shader, Size, Slice, Workgroups,
};
use tweedie::wgpu;

/// `y = factor * y + x + term`, element by element.
const AFFINE: &str = "
struct Constants { count: u32, factor: u32, term: u32 }
@group(0) @binding(0) var<uniform> constants: Constants;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) l: u32) {
    let i = (wg.y * grid.x + wg.x) * 64u + l;
    if i >= constants.count { return; }
    y[i] = constants.factor * y[i] + x[i] + constants.term;
}";

/// Writes the step to the ring, as a float, and counts it.
const TICK: &str = "
struct Constants { length: u32, scale: f32 }
@group(0) @binding(0) var<uniform> constants: Constants;
@group(0) @binding(1) var<storage, read_write> clock: array<u32>;
@group(0) @binding(2) var<storage, read_write> ring: array<f32>;
@compute @workgroup_size(1)
fn main() {
    ring[clock[0] % constants.length] = constants.scale * f32(clock[0]);
    clock[0] = clock[0] + 1u;
}";

const PER_SAMPLE: u64 = 37;
const MAX_BATCH: u32 = 9;
const RING: u64 = 16;
const STEP: [(u32, u32); 3] = [(1664525, 1013904223), (3, 7), (22695477, 1)];

const INPUT: usize = 0;
const HIDDEN: usize = 1;
const PARAMS: usize = 2;
const CLOCK: usize = 3;
const LOSSES: usize = 4;

fn words(words: u64, buffer: usize) -> Slice {
    Slice { buffer, offset: 0, bytes: 4 * words }
}

/// hidden = affine(input, hidden); hidden = affine(input, hidden); params = affine(hidden, params); tick.
fn plan() -> Plan {
    let most = PER_SAMPLE * u64::from(MAX_BATCH);
    let items = Size::per_sample(PER_SAMPLE);
    let affine = |number: usize, from: usize, to: usize| Dispatch {
        shader: 0,
        label: format!("affine {number}"),
        bindings: vec![words(most, from), words(most, to)],
        constants: vec![
            Constant::U32(items),
            Constant::U32(Size::fixed(STEP[number].0.into())),
            Constant::U32(Size::fixed(STEP[number].1.into())),
        ],
        workgroups: Workgroups { items, per_workgroup: 64, times: 1 },
        flops: items * 2,
        bytes: items * 12,
        samples: None,
    };
    let tick = Dispatch {
        shader: 1,
        label: "tick".to_string(),
        bindings: vec![words(4, CLOCK), words(RING, LOSSES)],
        constants: vec![Constant::U32(Size::fixed(RING)), Constant::F32(0.25)],
        workgroups: Workgroups { items: Size::fixed(1), per_workgroup: 1, times: 1 },
        flops: Size::fixed(1),
        bytes: Size::fixed(12),
        samples: None,
    };
    let shader = |key: &str, wgsl: &str, access: [Access; 2], threads: u32, constant_words: u32| Shader {
        key: key.to_string(),
        wgsl: wgsl.to_string(),
        access: access.to_vec(),
        threads,
        workgroup_bytes: 0,
        constant_words,
    };
    let port = |name: &str, buffer: usize| Port {
        name: name.to_string(),
        dtype: DType::U32,
        elements: items,
        slice: words(most, buffer),
    };
    let store = |name: &str, words: u64| Buffer { kind: BufferKind::Store(name.to_string()), bytes: 4 * words };
    Plan {
        max_batch: MAX_BATCH,
        max_workgroups: 4,
        shaders: vec![
            shader("affine", AFFINE, [Access::Read, Access::ReadWrite], 64, 3),
            shader("tick", TICK, [Access::ReadWrite, Access::ReadWrite], 1, 2),
        ],
        buffers: vec![
            Buffer { kind: BufferKind::Scratch, bytes: 4 * most },
            Buffer { kind: BufferKind::Zeroed, bytes: 4 * most },
            store("params", most),
            store("clock", 4),
            store("ring", RING),
        ],
        store: vec![Port { elements: Size::fixed(most), ..port("params", PARAMS) }],
        programs: vec![Program {
            name: "train".to_string(),
            inputs: vec![port("x", INPUT)],
            outputs: vec![port("hidden", HIDDEN), port("params", PARAMS)],
            dispatches: vec![affine(0, INPUT, HIDDEN), affine(1, INPUT, HIDDEN), affine(2, HIDDEN, PARAMS), tick],
        }],
    }
}

fn input(count: usize) -> Vec<u32> {
    (0..count as u32).map(|i| i.wrapping_mul(2654435761) ^ 0x9e37).collect()
}

/// The same on the host.
#[derive(Clone)]
struct Twin {
    hidden: Vec<u32>,
    params: Vec<u32>,
}

impl Twin {
    fn new() -> Self {
        let most = PER_SAMPLE as usize * MAX_BATCH as usize;
        Self { hidden: vec![0; most], params: vec![0; most] }
    }

    fn step(&mut self, x: &[u32]) {
        for (i, &x) in x.iter().enumerate() {
            let affine = |k: usize, y: u32, x: u32| STEP[k].0.wrapping_mul(y).wrapping_add(x).wrapping_add(STEP[k].1);
            self.hidden[i] = affine(0, self.hidden[i], x);
            self.hidden[i] = affine(1, self.hidden[i], x);
            self.params[i] = affine(2, self.params[i], self.hidden[i]);
        }
    }
}

fn elements(batch: u32) -> usize {
    PER_SAMPLE as usize * batch as usize
}

fn own() -> Options {
    // SAFETY: the kernels of this file's plan keep to their bindings, and their loops end.
    let trust = unsafe { Trust::own() };
    Options { trust, ..Options::default() }
}

fn load(device: &Device, options: Options) -> (Store, Player) {
    let mut store = Store::new(device);
    let player = Player::new(device, plan(), &mut store, options).unwrap();
    (store, player)
}

/// A device that tweedie did not open, with wgpu's default handlers: a panic on any error.
fn callers_device() -> (wgpu::Device, wgpu::Queue) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    let adapter = adapters.first().expect("the GPU tests need an adapter: apt-get install mesa-vulkan-drivers");
    pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap()
}

#[test]
fn the_test_adapter_is_found_and_reported() {
    let (adapters, index) = gpu::adapter();
    let report = &adapters.reports()[index];
    assert!(!report.name.is_empty() && report.limits.threads >= 256 && report.limits.storage_buffers >= 8);
    let json = serde_json::to_string(report).unwrap();
    assert_eq!(&serde_json::from_str::<tweedie::gpu::AdapterReport>(&json).unwrap(), report);
    if report.hardware == Hardware::Software {
        let (device, reason) = Device::choose(&Choice::Cpu, &OpenOptions::default()).unwrap();
        assert!(device.is_none() && reason.contains("CPU"));
        let auto = adapters.select(&Choice::Auto).unwrap();
        assert_ne!(auto.adapter, Some(index), "auto never takes a software driver");
    }
}

#[test]
fn cut_after_every_dispatch_on_a_callers_device_equals_one_submission() {
    let steps = 5;
    let (raw, queue) = callers_device();
    let device = Device::from_wgpu(raw.clone(), queue.clone());
    let x = input(elements(MAX_BATCH));

    let (_whole_store, whole) = load(&device, own());
    whole.write_input(0, "x", &x).unwrap();
    let mut encoder = raw.create_command_encoder(&Default::default());
    for _ in 0..steps {
        whole.record(&mut encoder, 0, 0..whole.dispatches(0)).unwrap();
    }
    let mut hidden = whole.record_read::<u32>(&mut encoder, 0, "hidden").unwrap();
    assert!(hidden.try_take().unwrap().is_none(), "nothing was submitted yet");
    queue.submit([encoder.finish()]);

    // A frame per dispatch, and each frame's encoder is the caller's.
    let (cut_store, cut) = load(&device, own());
    cut.write_input(0, "x", &x).unwrap();
    let mut pending = None;
    for frame in 0..steps * cut.dispatches(0) {
        let at = frame % cut.dispatches(0);
        let mut encoder = raw.create_command_encoder(&Default::default());
        cut.record(&mut encoder, 0, at..at + 1).unwrap();
        if frame + 1 == steps * cut.dispatches(0) {
            pending = Some(cut.record_read::<u32>(&mut encoder, 0, "params").unwrap());
        }
        queue.submit([encoder.finish()]);
    }
    // As an event loop would: asking, never waiting.
    let poll = |pending: &mut tweedie::gpu::Pending<u32>| {
        let start = Instant::now();
        loop {
            if let Some(values) = pending.try_take().unwrap() {
                return values;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "the read-back never arrived");
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let params = poll(pending.as_mut().unwrap());
    let hidden = poll(&mut hidden);

    let mut twin = Twin::new();
    (0..steps).for_each(|_| twin.step(&x));
    assert_eq!(params, twin.params);
    assert_eq!(hidden, twin.hidden);
    assert_eq!(whole.read_output::<u32>(0, "params").unwrap(), params);
    assert_eq!(cut.read_output::<u32>(0, "hidden").unwrap(), hidden);
    assert_eq!(cut_store.download::<u32>("clock", 0, 1).unwrap(), [steps as u32]);
}

#[test]
fn the_batch_may_change_from_run_to_run() {
    let (_store, mut player) = load(gpu::device(), own());
    let mut twin = Twin::new();
    for (batch, times) in [(9, 2), (1, 3), (4, 1), (9, 1), (7, 2)] {
        let x: Vec<u32> = input(elements(batch)).iter().map(|x| x ^ batch).collect();
        player.set_batch(0, batch).unwrap();
        player.write_input(0, "x", &x).unwrap();
        player.run(0, batch, times).unwrap();
        (0..times).for_each(|_| twin.step(&x));
        assert_eq!(player.read_output::<u32>(0, "params").unwrap(), &twin.params[..elements(batch)]);
    }
    for batch in [0, MAX_BATCH + 1] {
        assert!(matches!(player.set_batch(0, batch), Err(GpuError::Argument(_))));
    }
}

#[test]
fn the_result_does_not_depend_on_the_size_of_submissions() {
    let x = input(elements(MAX_BATCH));
    let times = 200;
    let mut twin = Twin::new();
    (0..times).for_each(|_| twin.step(&x));
    // From a dispatch in each submission to as many as there are.
    for (budget, in_flight) in [(Duration::ZERO, 1), (Duration::from_millis(1), 2), (Duration::from_secs(10), 3)] {
        let (store, mut player) = load(gpu::device(), Options { budget, in_flight, ..own() });
        player.write_input(0, "x", &x).unwrap();
        player.run(0, MAX_BATCH, times).unwrap();
        assert!(player.under_way() <= in_flight);
        assert_eq!(player.read_output::<u32>(0, "params").unwrap(), twin.params, "{budget:?}");
        assert_eq!(store.download::<u32>("clock", 0, 4).unwrap(), [times as u32, 0, 0, 0]);
        assert_eq!(player.repetitions(), times as u64);
        player.wait().unwrap();
        assert_eq!(player.under_way(), 0);
    }
}

#[test]
fn checked_and_unchecked_are_equal_and_guard_bands_stay_whole() {
    let x = input(elements(5));
    let mut results = Vec::new();
    for checked in [true, false] {
        let mut store = Store::with_guard_bands(gpu::device());
        let options = Options { checked, guard_bands: true, ..own() };
        let mut player = Player::new(gpu::device(), plan(), &mut store, options).unwrap();
        player.set_batch(0, 5).unwrap();
        player.write_input(0, "x", &x).unwrap();
        player.run(0, 5, 3).unwrap();
        results.push((player.read_output::<u32>(0, "params").unwrap(), store.download::<f32>("ring", 0, 16).unwrap()));
        player.check_guard_bands().unwrap();

        // A band that was written to is found, on either side.
        let (buffer, start) = store.buffer("clock").unwrap();
        for (offset, side) in [(start - 4, "before"), (start + 16, "after")] {
            gpu::device().queue().write_buffer(buffer, offset, &[0xA5, 0xA5, 0, 0xA5]);
            let error = player.check_guard_bands().unwrap_err();
            assert!(matches!(&error, GpuError::Guard { side: found, .. } if *found == side), "{error}");
            assert!(error.to_string().contains("clock"), "{error}");
            gpu::device().queue().write_buffer(buffer, offset, &[0xA5; 4]);
        }
    }
    assert_eq!(results[0], results[1]);
    let mut twin = Twin::new();
    (0..3).for_each(|_| twin.step(&x));
    assert_eq!(results[0].0, &twin.params[..elements(5)]);
}

#[test]
fn snapshots_arrive_without_a_wait_and_lose_no_entry_of_the_ring() {
    let (store, mut player) = load(gpu::device(), own());
    player.watch(&store, &["ring", "clock"], RING as usize).unwrap();
    let times = 500;
    let (mut done, mut seen) = (0, Vec::new());
    let mut take = |snapshots: Vec<tweedie::gpu::Snapshot>| {
        for snapshot in snapshots {
            let clock = snapshot.values::<u32>("clock")[0];
            let ring = snapshot.values::<f32>("ring");
            assert_eq!(u64::from(clock), snapshot.repetitions);
            assert!(clock as usize - seen.len() <= RING as usize, "entries were overwritten before they were seen");
            for step in seen.len()..clock as usize {
                seen.push(ring[step % RING as usize]);
            }
        }
        seen.len()
    };
    while done < times {
        done += player.advance(0, MAX_BATCH, times - done).unwrap();
        take(player.snapshots().unwrap());
    }
    let start = Instant::now();
    while take(player.snapshots().unwrap()) < times {
        assert!(start.elapsed() < Duration::from_secs(60), "the last snapshots never arrived");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(seen.iter().enumerate().all(|(step, &value)| value == 0.25 * step as f32));
    assert_eq!(seen.len(), times);
}

#[test]
fn a_caller_can_record_snapshots_into_its_own_frames() {
    let (store, mut player) = load(gpu::device(), own());
    let device = gpu::device();
    let mut encoder = device.raw().create_command_encoder(&Default::default());
    assert!(!player.record_snapshot(&mut encoder).unwrap(), "nothing is watched");
    player.watch(&store, &["clock"], 1).unwrap();
    player.record(&mut encoder, 0, 0..4).unwrap();
    assert!(player.record_snapshot(&mut encoder).unwrap());
    device.queue().submit([encoder.finish()]);
    player.wait().unwrap();
    let snapshots = player.snapshots().unwrap();
    assert_eq!(snapshots.len(), 1);
    assert_eq!(snapshots[0].values::<u32>("clock"), [1, 0, 0, 0]);
    assert!(player.watch(&store, &["losses"], 1).is_err());
    assert!(player.watch(&store, &["clock"], 0).is_err());
}

#[test]
fn a_profile_times_every_dispatch_and_changes_no_bit() {
    let x = input(elements(MAX_BATCH));
    let (_store, mut player) = load(gpu::device(), own());
    player.write_input(0, "x", &x).unwrap();
    player.run(0, MAX_BATCH, 2).unwrap();
    let profile = player.profile(0, MAX_BATCH, 3).unwrap();
    player.run(0, MAX_BATCH, 1).unwrap();
    let mut twin = Twin::new();
    (0..6).for_each(|_| twin.step(&x));
    assert_eq!(player.read_output::<u32>(0, "params").unwrap(), twin.params);

    let labels: Vec<&str> = profile.rows.iter().map(|row| row.label.as_str()).collect();
    assert_eq!(labels, ["affine 0", "affine 1", "affine 2", "tick"]);
    for row in &profile.rows {
        assert_eq!(row.calls, 3);
        assert!(row.seconds > 0.0 && row.seconds < 10.0, "{row:?}");
    }
    let row = &profile.rows[0];
    assert_eq!((row.flops, row.bytes), (2 * elements(MAX_BATCH) as u64, 12 * elements(MAX_BATCH) as u64));
    let expected = row.flops as f64 * 3.0 / row.seconds / 1e9;
    assert!((row.gflops() / expected - 1.0).abs() < 1e-12);
    assert_eq!(profile.by_label().len(), 4);
    assert_eq!(player.repetitions(), 6);
}

#[test]
fn malformed_plans_are_refused_in_one_line() {
    let limits = *gpu::device().limits();
    assert_eq!(validate(&plan(), &limits), Ok(()));
    type Break = fn(&mut Plan);
    let broken: [(Break, &str); 24] = [
        (|p| p.max_batch = 0, "max_batch is 0"),
        (|p| p.max_workgroups = 0, "max_workgroups is 0"),
        (|p| p.max_workgroups = u32::MAX, "max_workgroups"),
        (|p| p.shaders[0].threads = 1 << 20, "threads"),
        (|p| p.shaders[0].workgroup_bytes = 1 << 30, "workgroup memory"),
        (|p| p.shaders[0].constant_words = u32::MAX, "constants"),
        (|p| p.shaders[0].access = vec![Access::ReadWrite; 1000], "storage bindings"),
        (|p| p.programs[0].dispatches[0].shader = 2, "names shader 2"),
        (|p| p.programs[0].dispatches[0].bindings.truncate(1), "1 bindings"),
        (|p| p.programs[0].dispatches[0].constants.truncate(2), "2 constants"),
        (|p| p.programs[0].dispatches[0].bindings[0].buffer = 99, "names buffer 99"),
        (|p| p.programs[0].dispatches[0].bindings[0].offset = 4, "multiple of 256"),
        (|p| p.programs[0].dispatches[0].bindings[0].offset = u64::MAX - 255, "past the end"),
        (|p| p.programs[0].dispatches[0].bindings[0].offset = 256, "past the end"),
        (|p| p.programs[0].dispatches[0].bindings[0].bytes = 0, "empty slice"),
        (|p| p.programs[0].dispatches[2].bindings[0].buffer = PARAMS, "`affine 2`: reads and writes buffer 2"),
        (|p| p.programs[0].dispatches[0].workgroups.per_workgroup = 0, "0 items"),
        (|p| p.programs[0].dispatches[0].workgroups.times = u64::MAX, "too many workgroups"),
        (|p| p.programs[0].dispatches[0].constants[0] = Constant::U32(Size::per_sample(1 << 31)), "32 bits"),
        (|p| p.programs[0].inputs[0].elements = Size::per_sample(u64::MAX), "do not fit"),
        (|p| p.programs[0].outputs[0].slice.buffer = 7, "output `hidden`"),
        (|p| p.buffers[LOSSES].kind = BufferKind::Store("clock".into()), "`clock`"),
        (|p| p.programs.push(p.programs[0].clone()), "second program"),
        (|p| p.store[0].slice.buffer = HIDDEN, "not in the store"),
    ];
    for (number, (damage, expected)) in broken.into_iter().enumerate() {
        let mut plan = plan();
        damage(&mut plan);
        let mut store = Store::new(gpu::device());
        let error = Player::new(gpu::device(), plan, &mut store, Options::default()).err();
        let text = error.unwrap_or_else(|| panic!("plan {number} was accepted: {expected}")).to_string();
        assert!(text.contains(expected), "{number}: {text}");
        assert!(!text.contains('\n'), "{text}");
    }
    // What only a compiler, or wgpu, can see.
    let cases: [(Break, &str); 6] = [
        (|p| p.shaders[0].wgsl = "fn main( {".into(), "affine"),
        (|p| p.shaders[0].wgsl = AFFINE.replace("fn main", "fn other"), "affine"),
        (|p| p.shaders[0].wgsl = AFFINE.replace("var<storage, read> x", "var<storage, read_write> x"), "affine"),
        (|p| p.shaders[0].wgsl = AFFINE.replace("term: u32 }", "term: u32, a: vec4f, b: mat4x4f }"), "affine"),
        (|p| p.shaders[0].wgsl = AFFINE.replace("@workgroup_size(64)", "@workgroup_size(64, 64)"), "affine"),
        (
            |p| {
                p.shaders[0].wgsl = AFFINE.replace("x: array<u32>", "x: array<u32, 4096>");
            },
            "train",
        ),
    ];
    for (number, (damage, expected)) in cases.into_iter().enumerate() {
        let mut plan = plan();
        damage(&mut plan);
        let mut store = Store::new(gpu::device());
        let error = Player::new(gpu::device(), plan, &mut store, Options::default()).err();
        let text = error.unwrap_or_else(|| panic!("shader {number} was accepted")).to_string();
        assert!(text.contains(expected) && !text.contains('\n'), "{number}: {text}");
    }
    gpu::device().check().unwrap();
}

#[test]
fn wrong_arguments_are_refused_in_one_line() {
    let (store, mut player) = load(gpu::device(), own());
    let mut encoder = gpu::device().raw().create_command_encoder(&Default::default());
    let backwards = std::ops::Range { start: 3, end: 2 };
    let errors = [
        player.record(&mut encoder, 1, 0..1).unwrap_err(),
        player.record(&mut encoder, 0, 3..5).unwrap_err(),
        player.record(&mut encoder, 0, backwards).unwrap_err(),
        player.run(7, 1, 1).unwrap_err(),
        player.program("sample").unwrap_err(),
        player.write_input(0, "y", &[1u32]).unwrap_err(),
        player.write_input(0, "x", &[1u32]).unwrap_err(),
        player.write_input(0, "x", &vec![1f32; elements(MAX_BATCH)]).unwrap_err(),
        player.read_output::<f32>(0, "hidden").unwrap_err(),
        player.read_output::<u32>(0, "nothing").unwrap_err(),
        store.upload("nothing", 0, &[0u32]).unwrap_err(),
        store.upload("clock", 0, &[0u32; 5]).unwrap_err(),
        store.upload("clock", 2, &[0u32]).unwrap_err(),
        store.upload("clock", u64::MAX - 3, &[0u32]).unwrap_err(),
        store.download::<u32>("clock", 4, usize::MAX).unwrap_err(),
        store.copy("clock", "ring").unwrap_err(),
        store.copy("clock", "clock").unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, GpuError::Argument(_)), "{error:?}");
        assert!(!error.to_string().contains('\n'));
    }
    assert_eq!(player.program("train").unwrap(), 0);
}

#[test]
fn the_store_outlasts_its_players() {
    let x = input(elements(MAX_BATCH));
    let mut store = Store::new(gpu::device());
    let mut twin = Twin::new();
    for _ in 0..2 {
        let mut player = Player::new(gpu::device(), plan(), &mut store, own()).unwrap();
        player.write_input(0, "x", &x).unwrap();
        player.run(0, MAX_BATCH, 2).unwrap();
        // The hidden buffer is the player's own, and new with each: only the parameters last.
        twin.hidden.fill(0);
        (0..2).for_each(|_| twin.step(&x));
    }
    assert_eq!(store.download::<u32>("params", 0, elements(MAX_BATCH)).unwrap(), twin.params);
    assert_eq!(store.download::<u32>("params", 8, 3).unwrap(), twin.params[2..5]);
    let sizes = [("clock", 16), ("params", 4 * elements(MAX_BATCH) as u64), ("ring", 64)];
    assert_eq!(store.report(), sizes.map(|(name, bytes)| (name.to_string(), bytes)));
    assert_eq!(store.bytes(), sizes.iter().map(|size| size.1).sum::<u64>());

    // A checkpoint's way back, in words and in bytes that are no whole word.
    store.upload("params", 4, &[7u32, 8]).unwrap();
    assert_eq!(store.download::<u32>("params", 0, 3).unwrap(), [twin.params[0], 7, 8]);
    store.create("dataset", 7).unwrap();
    store.upload("dataset", 0, &[1u8, 2, 3, 4, 5, 6, 7]).unwrap();
    assert_eq!(store.download::<u8>("dataset", 0, 7).unwrap(), [1, 2, 3, 4, 5, 6, 7]);
    store.create("copy", 64).unwrap();
    store.copy("ring", "copy").unwrap();
    assert_eq!(store.download::<u32>("copy", 0, 16).unwrap(), store.download::<u32>("ring", 0, 16).unwrap());

    // Another plan with another idea of a buffer's size is told so.
    assert!(store.remove("clock"));
    store.create("clock", 64).unwrap();
    let error = Player::new(gpu::device(), plan(), &mut store, own()).err().unwrap().to_string();
    assert!(error.contains("clock") && error.contains("64"), "{error}");
}

#[test]
fn what_no_device_can_hold_is_an_error() {
    let device = gpu::device();
    let mut store = Store::new(device);
    for bytes in [1 << 40, u64::MAX] {
        let error = store.create("huge", bytes).unwrap_err();
        assert!(matches!(error, GpuError::TooLarge { .. }), "{error}");
        assert!(error.to_string().contains("huge") && error.to_string().contains(&bytes.to_string()), "{error}");
        let mut plan = plan();
        plan.buffers[INPUT].bytes = bytes;
        let error = Player::new(device, plan, &mut store, own()).err().unwrap();
        assert!(matches!(error, GpuError::TooLarge { .. }), "{error}");
    }
    assert_eq!(store.size("huge"), None);
    device.check().unwrap();
}

#[test]
fn memory_is_the_same_after_10_and_after_2000_steps() {
    let device = gpu::open(&OpenOptions::default());
    let (store, mut player) = load(&device, own());
    player.watch(&store, &["ring", "clock"], RING as usize).unwrap();
    player.write_input(0, "x", &input(elements(MAX_BATCH))).unwrap();
    let mut reports = Vec::new();
    for times in [10, 1990] {
        player.run(0, MAX_BATCH, times).unwrap();
        player.wait().unwrap();
        player.snapshots().unwrap();
        reports.push((device.memory(), device.pipeline_count()));
    }
    assert_eq!(store.download::<u32>("clock", 0, 1).unwrap(), [2000]);
    assert_eq!(reports[0], reports[1]);
    assert!(reports[0].0.buffer_bytes > store.bytes() + player.bytes());
    drop((store, player));
    device.wait().unwrap();
    assert_eq!(device.memory().buffer_bytes, 0, "everything is given back");
}

#[test]
fn pipelines_are_made_once_and_kept_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions { cache_dir: Some(folder.path().join("pipelines")), ..OpenOptions::default() };
    let x = input(elements(MAX_BATCH));
    let mut twin = Twin::new();
    twin.step(&x);
    let play = |device: &Device| {
        let (_store, mut player) = load(device, own());
        player.write_input(0, "x", &x).unwrap();
        player.run(0, MAX_BATCH, 1).unwrap();
        assert_eq!(player.read_output::<u32>(0, "params").unwrap(), twin.params);
    };
    let files = || -> Vec<std::path::PathBuf> {
        let dir = options.cache_dir.as_ref().unwrap();
        std::fs::read_dir(dir).map_or_else(|_| Vec::new(), |dir| dir.map(|entry| entry.unwrap().path()).collect())
    };

    let device = gpu::open(&options);
    play(&device);
    assert_eq!(device.pipeline_count(), 2);
    play(&device);
    assert_eq!(device.pipeline_count(), 2, "a second plan of the same shaders compiles nothing");
    assert_eq!(device.take_notes(), Vec::<String>::new());
    if !device.raw().features().contains(wgpu::Features::PIPELINE_CACHE) {
        // All that is left to check on Metal and DX12; Mesa's drivers keep caches.
        let name = device.raw().adapter_info().name;
        assert!(!name.contains("llvmpipe"), "{name} has lost its pipeline cache");
        assert!(files().is_empty());
        return skip("pipeline caches on disk (gpu_replay)", &format!("{name} keeps none"));
    }
    assert_eq!(files().len(), 1, "one file, and no draft left: {:?}", files());

    let again = gpu::open(&options);
    play(&again);
    assert_eq!(again.take_notes(), Vec::<String>::new());

    let file = files().remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let after = gpu::open(&options);
    let notes = after.take_notes();
    assert!(notes.len() == 1 && notes[0].contains("damaged"), "{notes:?}");
    play(&after);
    assert_ne!(std::fs::read(&file).unwrap(), bytes, "the damaged file was written anew");
}

#[test]
fn a_lost_device_is_an_error_and_no_panic() {
    let device = gpu::open(&OpenOptions::default());
    let (mut store, mut player) = load(&device, own());
    player.run(0, MAX_BATCH, 1).unwrap();
    player.wait().unwrap();
    device.raw().destroy();
    let mut lost = None;
    for _ in 0..20 {
        if let Err(error) = player.run(0, MAX_BATCH, 1).and_then(|()| player.wait()) {
            lost = Some(error);
            break;
        }
    }
    assert!(matches!(lost, Some(GpuError::Lost(_))), "{lost:?}");
    assert!(player.read_output::<u32>(0, "params").is_err());
    assert!(store.create("more", 16).is_err());
    assert!(store.download::<u32>("clock", 0, 1).is_err());
}

#[test]
fn shrunken_limits_hold_and_grids_fold() {
    let full = *gpu::device().limits();
    let small = DeviceLimits { workgroups: 3, binding_bytes: 2048, ..full };
    let device = gpu::open(&OpenOptions { limits: Some(small), ..OpenOptions::default() });
    assert_eq!(device.limits(), &small);

    // 9 * 37 items are 6 workgroups of 64: two rows of three.
    let mut folded = plan();
    folded.max_workgroups = 3;
    let x = input(elements(MAX_BATCH));
    let mut store = Store::new(&device);
    let mut player = Player::new(&device, folded, &mut store, own()).unwrap();
    player.write_input(0, "x", &x).unwrap();
    player.run(0, MAX_BATCH, 2).unwrap();
    let mut twin = Twin::new();
    (0..2).for_each(|_| twin.step(&x));
    assert_eq!(player.read_output::<u32>(0, "params").unwrap(), twin.params);

    let mut wide = plan();
    wide.max_workgroups = 1;
    let error = Player::new(&device, wide, &mut store, own()).err().unwrap().to_string();
    assert!(error.contains("too many workgroups"), "{error}");

    let narrow = gpu::open(&OpenOptions {
        limits: Some(DeviceLimits { binding_bytes: 1024, ..full }),
        ..OpenOptions::default()
    });
    let error = Player::new(&narrow, plan(), &mut Store::new(&narrow), own()).err().unwrap().to_string();
    assert!(error.contains("1332 bytes") && error.contains("1024"), "{error}");
}

#[test]
fn a_plan_from_a_file_plays_like_its_original() {
    let json = serde_json::to_string(&plan()).unwrap();
    let read: Plan = serde_json::from_str(&json).unwrap();
    assert_eq!(read, plan());
    let x = input(elements(2));
    let mut store = Store::new(gpu::device());
    let mut player = Player::new(gpu::device(), read, &mut store, Options::default()).unwrap();
    player.set_batch(0, 2).unwrap();
    player.write_input(0, "x", &x).unwrap();
    player.run(0, 2, 4).unwrap();
    let mut twin = Twin::new();
    (0..4).for_each(|_| twin.step(&x));
    assert_eq!(player.read_output::<u32>(0, "params").unwrap(), &twin.params[..elements(2)]);
}

#[test]
fn another_devices_store_is_refused() {
    let other = gpu::open(&OpenOptions::default());
    let mut store = Store::new(&other);
    let error = Player::new(gpu::device(), plan(), &mut store, own()).err().unwrap();
    assert!(matches!(error, GpuError::Argument(_)), "{error}");
}
