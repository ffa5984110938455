//! Forward processes by their definitions, in f64 and without the library: what its numbers are held to.

use std::f64::consts::FRAC_PI_2;

/// A process as a config names it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Vp { beta_min: f64, beta_max: f64, zero_terminal_snr: bool },
    Cosine { offset: f64 },
    Sigmoid { start: f64, end: f64, temperature: f64 },
    SubVp { beta_min: f64, beta_max: f64 },
    Ve { sigma_min: f64, sigma_max: f64 },
    Edm { sigma_min: f64, sigma_max: f64, rho: f64 },
    Learned { log_snr_max: f64, log_snr_min: f64 },
    RectifiedFlow,
}

/// A process and the ends of its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forward {
    pub kind: Kind,
    /// Added to ln(alpha² / sigma²).
    pub shift: f64,
    pub t_min: f64,
    pub t_max: f64,
}

/// x_t = alpha x_0 + sigma epsilon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    pub alpha: f64,
    pub sigma: f64,
}

impl Level {
    pub fn noise_to_signal(self) -> f64 {
        self.sigma / self.alpha
    }

    /// ln(alpha / sigma)
    pub fn lambda(self) -> f64 {
        (self.alpha / self.sigma).ln()
    }
}

impl Forward {
    /// From t_min = 1e-3 to 1.
    pub const fn new(kind: Kind) -> Self {
        Self { kind, shift: 0.0, t_min: 1e-3, t_max: 1.0 }
    }

    /// The same with another log-SNR.
    pub const fn shifted(self, shift: f64) -> Self {
        Self { shift, ..self }
    }

    /// The same to another end.
    pub const fn until(self, t_max: f64) -> Self {
        Self { t_max, ..self }
    }

    /// The name in configs, and what is special.
    pub fn name(&self) -> String {
        let name = match self.kind {
            Kind::Vp { zero_terminal_snr: false, .. } => "vp",
            Kind::Vp { .. } => "zero-terminal vp",
            Kind::Cosine { .. } => "cosine",
            Kind::Sigmoid { .. } => "sigmoid",
            Kind::SubVp { .. } => "sub-vp",
            Kind::Ve { .. } => "ve",
            Kind::Edm { .. } => "edm",
            Kind::Learned { .. } => "learned",
            Kind::RectifiedFlow => "rectified-flow",
        };
        let shifted = if self.shift == 0.0 { "" } else { "shifted " };
        format!("{shifted}{name} to {}", self.t_max)
    }

    /// Its `[sde]`.
    pub fn toml(&self) -> String {
        let Self { kind, shift, t_min, t_max } = self;
        let keys = match kind {
            Kind::Vp { beta_min, beta_max, zero_terminal_snr } => format!(
                "kind = \"vp\"\nbeta_min = {beta_min:?}\nbeta_max = {beta_max:?}\nzero_terminal_snr = {zero_terminal_snr}\n\
                 log_snr_shift = {shift:?}\nt_min = {t_min:?}"
            ),
            Kind::Cosine { offset } => format!(
                "kind = \"cosine\"\noffset = {offset:?}\nlog_snr_shift = {shift:?}\nt_min = {t_min:?}\nt_max = {t_max:?}"
            ),
            Kind::Sigmoid { start, end, temperature } => format!(
                "kind = \"sigmoid\"\nstart = {start:?}\nend = {end:?}\ntemperature = {temperature:?}\n\
                 log_snr_shift = {shift:?}\nt_min = {t_min:?}\nt_max = {t_max:?}"
            ),
            Kind::SubVp { beta_min, beta_max } => {
                format!("kind = \"sub-vp\"\nbeta_min = {beta_min:?}\nbeta_max = {beta_max:?}\nt_min = {t_min:?}")
            }
            Kind::Ve { sigma_min, sigma_max } => {
                format!("kind = \"ve\"\nsigma_min = {sigma_min:?}\nsigma_max = {sigma_max:?}\nt_min = {t_min:?}")
            }
            Kind::Edm { sigma_min, sigma_max, rho } => format!(
                "kind = \"edm\"\nsigma_min = {sigma_min:?}\nsigma_max = {sigma_max:?}\nrho = {rho:?}\nt_min = {t_min:?}"
            ),
            Kind::Learned { log_snr_max, log_snr_min } => {
                format!("kind = \"learned\"\nlog_snr_max = {log_snr_max:?}\nlog_snr_min = {log_snr_min:?}")
            }
            Kind::RectifiedFlow => {
                format!("kind = \"rectified-flow\"\nlog_snr_shift = {shift:?}\nt_min = {t_min:?}")
            }
        };
        format!("[sde]\n{keys}\n")
    }

    /// The standard deviation of the prior.
    pub fn prior(&self) -> f64 {
        match self.kind {
            Kind::Ve { sigma_max, .. } | Kind::Edm { sigma_max, .. } => sigma_max,
            _ => 1.0,
        }
    }

    /// Whether nothing of the data is left at t_max.
    pub fn loses_all_signal(&self) -> bool {
        self.at(self.t_max).alpha == 0.0
    }

    /// The factors of x_0 and epsilon in velocity.
    pub fn velocity(&self, level: Level) -> [f64; 2] {
        match self.kind {
            Kind::Ve { .. } | Kind::Edm { .. } => [0.0, 1.0],
            Kind::RectifiedFlow => [-1.0, 1.0],
            _ => [-level.sigma, level.alpha],
        }
    }

    /// The level at a time.
    pub fn at(&self, t: f64) -> Level {
        let preserving = |signal: f64, noise: f64| Level { alpha: signal.max(0.0).sqrt(), sigma: noise.sqrt() };
        let integral = |beta_min: f64, beta_max: f64, t: f64| beta_min * t + 0.5 * (beta_max - beta_min) * t * t;
        let plain = match self.kind {
            Kind::Vp { beta_min, beta_max, zero_terminal_snr } => {
                let [here, whole] = [t, 1.0].map(|t| integral(beta_min, beta_max, t));
                if zero_terminal_snr {
                    let rest = (-0.5 * whole).exp();
                    let alpha = ((-0.5 * here).exp() - rest) / (1.0 - rest);
                    let missing = -(-0.5 * here).exp_m1() / (1.0 - rest);
                    Level { alpha, sigma: (missing * (1.0 + alpha)).sqrt() }
                } else {
                    preserving((-here).exp(), -(-here).exp_m1())
                }
            }
            Kind::SubVp { beta_min, beta_max } => {
                let here = integral(beta_min, beta_max, t);
                Level { alpha: (-0.5 * here).exp(), sigma: -(-here).exp_m1() }
            }
            Kind::Cosine { offset } => {
                let angle = |t: f64| (t + offset) / (1.0 + offset) * FRAC_PI_2;
                // The cosine as a sine of what is missing, so that it is 0 at 1.
                let signal = ((1.0 - t) / (1.0 + offset) * FRAC_PI_2).sin() / angle(0.0).cos();
                let noise = (angle(t) - angle(0.0)).sin() * (angle(t) + angle(0.0)).sin() / angle(0.0).cos().powi(2);
                preserving(signal * signal, noise)
            }
            Kind::Sigmoid { start, end, temperature } => {
                let s = |x: f64| 1.0 / (1.0 + (-x / temperature).exp());
                // From the end, so that it is met exactly.
                let v = end - (1.0 - t) * (end - start);
                let whole = s(end) - s(start);
                preserving((s(end) - s(v)) / whole, (s(v) - s(start)) / whole)
            }
            Kind::Ve { sigma_min, sigma_max } => {
                Level { alpha: 1.0, sigma: sigma_min * (sigma_max / sigma_min).powf(t) }
            }
            Kind::Edm { sigma_min, sigma_max, rho } => {
                let [least, most] = [sigma_min, sigma_max].map(|sigma: f64| sigma.powf(1.0 / rho));
                Level { alpha: 1.0, sigma: (least + t * (most - least)).powf(rho) }
            }
            Kind::Learned { log_snr_max, log_snr_min } => {
                let s = |x: f64| 1.0 / (1.0 + (-x).exp());
                let log_snr = log_snr_max + t * (log_snr_min - log_snr_max);
                preserving(s(log_snr), s(-log_snr))
            }
            Kind::RectifiedFlow => Level { alpha: 1.0 - t, sigma: t },
        };
        let (alpha, sigma) = (plain.alpha * (0.5 * self.shift).exp(), plain.sigma);
        match self.kind {
            _ if self.shift == 0.0 => plain,
            Kind::RectifiedFlow => Level { alpha: alpha / (alpha + sigma), sigma: sigma / (alpha + sigma) },
            _ => Level { alpha: alpha / alpha.hypot(sigma), sigma: sigma / alpha.hypot(sigma) },
        }
    }

    /// Drift over x, d ln alpha / dt, and g² = −sigma² d ln(alpha² / sigma²) / dt, by differences.
    pub fn rates(&self, t: f64) -> [f64; 2] {
        // Short beside the way to where they are not smooth: time 0 of most, time 1 of those that end without signal.
        let way = match self.kind {
            Kind::Ve { .. } | Kind::Edm { .. } | Kind::Learned { .. } => 1.0,
            Kind::Vp { zero_terminal_snr: false, .. } | Kind::SubVp { .. } => t,
            _ => t.min(1.0 - t),
        };
        let h = 1e-3 * way;
        // Of order 4.
        let slope = |of: &dyn Fn(Level) -> f64| {
            let [a, b, c, d] = [-2.0, -1.0, 1.0, 2.0].map(|i| of(self.at(t + i * h)));
            (8.0 * (c - b) - (d - a)) / (12.0 * h)
        };
        [slope(&|level| level.alpha.ln()), -2.0 * slope(&Level::lambda) * self.at(t).sigma.powi(2)]
    }

    /// The time at which sigma / alpha is this.
    pub fn time_of(&self, noise_to_signal: f64) -> f64 {
        let (mut low, mut high) = (0.0, self.t_max);
        for _ in 0..80 {
            let middle = 0.5 * (low + high);
            if self.at(middle).noise_to_signal() < noise_to_signal { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }
}

/// Every process with its default numbers, those that end without signal, and shifted ones.
pub fn all() -> Vec<Forward> {
    let vp = Kind::Vp { beta_min: 0.1, beta_max: 20.0, zero_terminal_snr: false };
    let zero = Kind::Vp { beta_min: 0.1, beta_max: 20.0, zero_terminal_snr: true };
    let cosine = Kind::Cosine { offset: 0.008 };
    let sigmoid = Kind::Sigmoid { start: -3.0, end: 3.0, temperature: 1.0 };
    vec![
        Forward::new(vp),
        Forward::new(cosine).until(0.9946),
        Forward::new(sigmoid).until(0.9999),
        Forward::new(Kind::SubVp { beta_min: 0.1, beta_max: 20.0 }),
        Forward { t_min: 1e-5, ..Forward::new(Kind::Ve { sigma_min: 0.01, sigma_max: 50.0 }) },
        Forward { t_min: 0.0, ..Forward::new(Kind::Edm { sigma_min: 0.002, sigma_max: 80.0, rho: 7.0 }) },
        Forward { t_min: 0.0, ..Forward::new(Kind::Learned { log_snr_max: 13.3, log_snr_min: -5.0 }) },
        Forward::new(Kind::RectifiedFlow),
        Forward::new(zero),
        Forward::new(cosine),
        Forward::new(sigmoid),
        Forward::new(vp).shifted(-2.7726),
        Forward::new(zero).shifted(1.5),
        Forward::new(cosine).shifted(-2.0),
        Forward::new(sigmoid).until(0.9999).shifted(1.0),
        Forward::new(Kind::RectifiedFlow).shifted(-2.0),
    ]
}
