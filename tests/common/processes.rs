//! Every process, with its default numbers and at its awkward ends.

use tweedie::sde::{Cosine, PROCESSES, RectifiedFlow, Sde, Shifted, Sigmoid, Vp, ZeroTerminalSnr, log_snr_shift};

/// Their names, and they themselves.
pub fn processes() -> Vec<(String, Box<dyn Sde>)> {
    let mut all: Vec<(String, Box<dyn Sde>)> =
        PROCESSES.iter().map(|(name, process)| (name.to_string(), process())).collect();
    let others: [(&str, Box<dyn Sde>); 5] = [
        ("cosine to the end", Box::new(Cosine { t_max: 1.0, ..Cosine::default() })),
        ("sigmoid to the end", Box::new(Sigmoid { t_max: 1.0, ..Sigmoid::default() })),
        ("zero-terminal vp", Box::new(ZeroTerminalSnr::new(Vp::default()))),
        ("shifted vp", Box::new(Shifted::new(Box::new(Vp::default()), log_snr_shift(256.0)))),
        ("shifted flow", Box::new(RectifiedFlow { log_snr_shift: 1.0, ..RectifiedFlow::default() })),
    ];
    all.extend(others.map(|(name, sde)| (name.to_string(), sde)));
    all
}
