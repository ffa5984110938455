//! What a forward process has to say of itself.

use std::fmt::Debug;

use crate::graph::{Expr, Tape};
use crate::number::short;

/// What alpha counts as, at least, where something is divided by it or its logarithm is taken: processes whose alpha
/// reaches 0 stay finite there. Times short of the end have more, even in f32.
pub const LEAST_ALPHA: f64 = 1e-8;

/// A forward process dx = rate(t) x dt + g(t) dw with x_t = alpha(t) x_0 + sigma(t) epsilon.
///
/// Time runs from 0 (data) to 1 (noise). The methods over [`Expr`] give trees in the expression `t`, so that the same
/// definition is evaluated in f64 on the host, in f32 on a device, and differentiated. They have to be accurate in f32
/// down to [`t_min`](Self::t_min): a difference of nearly equal numbers is written with `expm1` or `log1p`.
pub trait Sde: Debug + Send + Sync {
    /// The name in configs: `vp`, `ve`, …
    fn name(&self) -> &'static str;

    /// The factor of x_0 in the mean of x_t, in (0, 1], and 0 at t_max where nothing is left of the data.
    fn alpha(&self, t: &Expr) -> Expr;

    /// The standard deviation of x_t given x_0.
    fn sigma(&self, t: &Expr) -> Expr;

    /// ln(alpha² / sigma²), falling in t. Finite where alpha reaches 0, by [`LEAST_ALPHA`].
    fn log_snr(&self, t: &Expr) -> Expr;

    /// sigma / alpha, rising in t.
    fn noise_to_signal(&self, t: &Expr) -> Expr {
        self.sigma(t) / self.alpha(t)
    }

    /// The drift is this times x: the derivative of ln alpha.
    fn drift_rate(&self, t: &Expr) -> Expr {
        let time = Expr::input(0);
        let alpha = self.alpha(&time);
        (alpha.derivative(0) / alpha.max(LEAST_ALPHA)).substitute(std::slice::from_ref(t))
    }

    /// g², the square of the diffusion coefficient: −sigma² times the derivative of ln SNR.
    fn diffusion_squared(&self, t: &Expr) -> Expr {
        let time = Expr::input(0);
        (-(self.log_snr(&time).derivative(0) * self.sigma(&time).square())).substitute(std::slice::from_ref(t))
    }

    /// What velocity is made of: its factors of x_0 and of epsilon. Unless a process says otherwise it is
    /// alpha epsilon − sigma x_0 (Salimans and Ho 2022), which for alpha² + sigma² = 1 is the derivative of x_t in the
    /// angle arctan(sigma / alpha).
    fn velocity(&self, alpha: &Expr, sigma: &Expr) -> [Expr; 2] {
        [-sigma, alpha.clone()]
    }

    /// Whether nothing of the data is left at [`t_max`](Self::t_max): alpha = 0. Epsilon then says nothing of the data
    /// there, and the reverse SDE is singular; the probability flow is not.
    fn loses_all_signal(&self) -> bool {
        self.at(self.t_max()).alpha == 0.0
    }

    /// Where reverse processes end, in [0, t_max).
    fn t_min(&self) -> f64;

    /// Where reverse processes start.
    fn t_max(&self) -> f64 {
        1.0
    }

    /// The time a share (0 to 1) of the way from t_max down to t_min. Even, unless the process has a schedule of its
    /// own.
    fn scheduled(&self, share: f64) -> f64 {
        let [first, last] = [self.t_max(), self.t_min()];
        first + share * (last - first)
    }

    /// The standard deviation of the prior from which reverse processes start, whose mean is 0.
    fn prior_sigma(&self) -> f64;

    /// The time at which sigma / alpha is `ratio`.
    ///
    /// # Errors
    /// If no time in [0, t_max] has this ratio.
    fn t_of_noise_to_signal(&self, ratio: f64) -> Result<f64, OutOfRange> {
        let time = Expr::input(0);
        invert(self, "noise_to_signal", ratio, &(self.sigma(&time) / self.alpha(&time)))
    }

    /// The time at which the standard deviation of x_t given x_0 is `sigma`.
    ///
    /// # Errors
    /// If no time in [0, t_max] has this sigma.
    fn t_of_sigma(&self, sigma: f64) -> Result<f64, OutOfRange> {
        invert(self, "sigma", sigma, &self.sigma(&Expr::input(0)))
    }

    /// The time at which ln SNR is `log_snr`, for one that the process has between 0 and t_max. An expression, so that
    /// devices can draw noise levels; unless a process says otherwise, thirty halvings of [0, t_max].
    fn t_of_log_snr(&self, log_snr: &Expr) -> Expr {
        let mut low = Expr::constant(0.0);
        let mut width = self.t_max();
        for _ in 0..30 {
            width *= 0.5;
            let middle = &low + width;
            low = log_snr.less(self.log_snr(&middle)).select(middle, low);
        }
        low + 0.5 * width
    }

    /// Everything at time `t`, in f64.
    fn at(&self, t: f64) -> Marginal {
        let time = Expr::input(0);
        let exprs = [
            self.alpha(&time),
            self.sigma(&time),
            self.log_snr(&time),
            self.drift_rate(&time),
            self.diffusion_squared(&time),
        ];
        let values = Tape::new(&exprs).evaluate(&[t]);
        Marginal {
            alpha: values[0],
            sigma: values[1],
            log_snr: values[2],
            drift_rate: values[3],
            diffusion_squared: values[4],
        }
    }
}

/// The numbers of a process at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marginal {
    /// Factor of x_0.
    pub alpha: f64,
    /// Standard deviation of x_t given x_0.
    pub sigma: f64,
    /// ln(alpha² / sigma²).
    pub log_snr: f64,
    /// drift / x.
    pub drift_rate: f64,
    /// g².
    pub diffusion_squared: f64,
}

impl Marginal {
    /// sigma / alpha; infinite where alpha is 0.
    pub fn noise_to_signal(&self) -> f64 {
        self.sigma / self.alpha
    }

    /// What a model is told of the noise level: alpha, sigma and log_snr.
    pub fn level(&self) -> [f64; 3] {
        [self.alpha, self.sigma, self.log_snr]
    }
}

/// A noise level that a process does not reach.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{quantity} = {value}: {}", self.range())]
pub struct OutOfRange {
    /// `sigma` or `noise_to_signal`.
    pub quantity: &'static str,
    /// What was asked for.
    pub value: f64,
    /// The process.
    pub process: &'static str,
    /// At time 0.
    pub least: f64,
    /// At the last time.
    pub most: f64,
    /// The last time.
    pub t_max: f64,
}

impl OutOfRange {
    /// What the process does reach, in words.
    pub fn range(&self) -> String {
        let Self { quantity, process, t_max, .. } = self;
        // As many digits as the ends are allowed in.
        let [least, most] = [self.least, self.most].map(|end| short(end, 13));
        format!("the {process} process has {quantity} from {least} (t = 0) to {most} (t = {t_max})")
    }

    /// `Ok` if `value` lies between what the process has at time 0 and at its last time.
    pub fn check<S: Sde + ?Sized>(
        sde: &S,
        quantity: &'static str,
        value: f64,
        of: impl Fn(&Marginal) -> f64,
    ) -> Result<(), Self> {
        Self::check_between(sde, quantity, value, [0.0, sde.t_max()].map(|t| of(&sde.at(t))))
    }

    /// The same where the least and the most that the process has are known.
    fn check_between<S: Sde + ?Sized>(
        sde: &S,
        quantity: &'static str,
        value: f64,
        [least, most]: [f64; 2],
    ) -> Result<(), Self> {
        // The ends are allowed as they are printed, that is with some rounding.
        let slack = 1e-12 * most;
        if value >= least - slack && value <= most + slack {
            return Ok(());
        }
        Err(Self { quantity, value, process: sde.name(), least, most, t_max: sde.t_max() })
    }
}

/// The time at which a quantity that rises with t has this value, by bisection. `of` gives the quantity at time input
/// 0: it is flattened once, not at each of some sixty times.
fn invert<S: Sde + ?Sized>(sde: &S, quantity: &'static str, value: f64, of: &Expr) -> Result<f64, OutOfRange> {
    let tape = Tape::new(std::slice::from_ref(of));
    let at = |t: f64| tape.evaluate(&[t])[0];
    let (mut low, mut high) = (0.0, sde.t_max());
    OutOfRange::check_between(sde, quantity, value, [low, high].map(at))?;
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return Ok(middle);
        }
        if at(middle) < value {
            low = middle;
        } else {
            high = middle;
        }
    }
}
