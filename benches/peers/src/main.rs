//! What burn 0.22.1 takes for what tweedie's own benchmarks measure: training steps of a plain network and of a U-Net, and
//! the convolutions of DDPM's network for CIFAR-10 in three directions.
//!
//! `cargo run --release -- [mlp] [conv] [unet] [flex] [wgpu] [--batch N] [--only TEXT]… [--pause]`; without names all of
//! them. `--batch` is that of the convolutions (`tweedie bench --suite unet` prints its own), `--only` a part of their
//! shapes. `--pause` waits for a line on the standard input where tuning is over and the timed runs begin: tuning takes
//! minutes, and only what follows needs a quiet machine.

mod clock;
mod conv;
mod mlp;
mod training;
mod unet;

use burn::tensor::{Device, DeviceKind};

/// What the command line asks for.
struct Wanted {
    names: Vec<String>,
    batch: usize,
    only: Vec<String>,
    pause: bool,
}

impl Wanted {
    fn new() -> Self {
        let mut wanted = Self { names: Vec::new(), batch: 4, only: Vec::new(), pause: false };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().expect("a value after the option");
            match argument.as_str() {
                "--batch" => wanted.batch = value().parse().expect("a number after --batch"),
                "--only" => wanted.only.push(value()),
                "--pause" => wanted.pause = true,
                "mlp" | "conv" | "unet" | "flex" | "wgpu" => wanted.names.push(argument),
                _ => panic!("{argument}: there are mlp, conv, unet, flex, wgpu, --batch N, --only TEXT and --pause"),
            }
        }
        wanted
    }

    /// Whether `name` is asked for; of `group` all are if none is named.
    fn has(&self, name: &str, group: &[&str]) -> bool {
        let named = |name: &str| self.names.iter().any(|known| known == name);
        named(name) || !group.iter().any(|other| named(other))
    }
}

fn main() {
    let wanted = Wanted::new();
    // Mesa's lavapipe shows itself as a CPU. Elsewhere: DeviceKind::default().
    let backends: [(&str, fn() -> Device); 2] = [("flex", Device::flex), ("wgpu", || Device::wgpu(DeviceKind::Cpu))];
    for (backend, device) in backends {
        if !wanted.has(backend, &["flex", "wgpu"]) {
            continue;
        }
        let (name, device) = (format!("burn 0.22.1 {backend}"), device());
        let has = |what: &str| wanted.has(what, &["mlp", "conv", "unet"]);
        if has("mlp") {
            mlp::measure(&name, &device, wanted.pause);
        }
        if has("unet") {
            unet::measure(&name, &device, wanted.pause);
        }
        if has("conv") {
            conv::measure(&name, &device, wanted.batch, &wanted.only, wanted.pause);
        }
    }
}
