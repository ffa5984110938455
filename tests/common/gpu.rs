//! The adapter and the devices of GPU tests. Without an adapter they fail.

use std::sync::{Once, OnceLock};

use crate::common::pool::{Lease, Pool};
use crate::common::skip::skip;
use tweedie::gpu::{Adapters, Choice, Device, OpenOptions};

/// What to do when there is no adapter.
const INSTALL: &str = "the GPU tests need a Vulkan, Metal or DX12 adapter; a software one will do: \
                       on Debian or Ubuntu `apt-get install mesa-vulkan-drivers` brings lavapipe";

/// The adapter that tests run on: Mesa's lavapipe where it is installed, else the best there is.
pub fn adapter() -> (Adapters, usize) {
    let adapters = Adapters::find();
    let named = adapters.select(&Choice::Named("llvmpipe".to_string()));
    let selection = named.or_else(|_| adapters.select(&Choice::Gpu));
    let index = selection.ok().and_then(|selection| selection.adapter);
    match index {
        Some(index) => {
            static SAID: Once = Once::new();
            SAID.call_once(|| match is_llvmpipe(&adapters, index) {
                true => skip("the GPU tests on hardware", "they run on Mesa's llvmpipe wherever it is installed"),
                false => skip("the GPU tests on a software driver", "Mesa's llvmpipe is not installed"),
            });
            (adapters, index)
        }
        None => panic!("{INSTALL} (found: {:?})", adapters.reports()),
    }
}

fn is_llvmpipe(adapters: &Adapters, index: usize) -> bool {
    adapters.select(&Choice::Named("llvmpipe".to_string())).is_ok_and(|selection| selection.adapter == Some(index))
}

/// What `--device` has to say for [`adapter`].
pub fn choice() -> &'static str {
    static CHOICE: OnceLock<&str> = OnceLock::new();
    CHOICE.get_or_init(|| {
        let (adapters, index) = adapter();
        if is_llvmpipe(&adapters, index) { "llvmpipe" } else { "gpu" }
    })
}

/// A device of its own, for tests that count its memory, shrink its limits or lose it.
pub fn open(options: &OpenOptions) -> Device {
    let (adapters, index) = adapter();
    Device::open(&adapters, index, options).unwrap_or_else(|error| panic!("{error}; {INSTALL}"))
}

/// The device of this test, which later ones take over: a process has as many as tests run at the same time. (Mesa's
/// software driver compiles and runs what one device is given on one thread.)
pub fn device() -> &'static Device {
    static DEVICES: Pool<Device> = Pool::new();
    thread_local!(static LEASE: Lease<Device> = DEVICES.lease(|| open(&OpenOptions::default())));
    LEASE.with(|lease| lease.thing)
}
