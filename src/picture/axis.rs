//! An axis, linear or logarithmic, with ticks at round numbers.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use std::ops::Range;

/// A finite range with `low < high`; above 0 if logarithmic.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

impl Axis {
    /// An axis from `low` to `high` as they are.
    pub fn linear(low: f64, high: f64) -> Self {
        Self { low, high, log: false }
    }

    /// An axis around all finite values, with a little room; `None` if there are none. A logarithmic one takes the values
    /// above 0.
    pub fn around(values: impl Iterator<Item = f64>, log: bool, room: f64) -> Option<Self> {
        let usable = values.filter(|x| x.is_finite() && (!log || *x > 0.0));
        let (low, high) = usable.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
        if low > high {
            return None;
        }
        if log {
            // At least a factor of 1.2 of room, for a curve that is constant.
            let factor = (high / low).powf(room).clamp(1.0 + room, 1e6);
            return Some(Self { low: (low / factor).max(f64::MIN_POSITIVE), high: high * factor, log });
        }
        let margin = ((high - low) * room).max(low.abs().max(high.abs()) * 1e-6);
        let margin = if margin > 0.0 { margin } else { 1.0 };
        Some(Self { low: low - margin, high: high + margin, log })
    }

    /// How far along the axis a value lies, 0 at its start.
    fn fraction(&self, x: f64) -> f64 {
        if self.log {
            (x / self.low).ln() / (self.high / self.low).ln()
        } else {
            (x - self.low) / (self.high - self.low)
        }
    }

    fn ticks(&self, most: usize) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        if self.log {
            let every = (decades / most.max(1) as f64).ceil().max(1.0) as i32;
            let mantissas: &[f64] = match decades {
                _ if decades < 1.0 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
                _ if decades < 2.5 => &[1.0, 2.0, 5.0],
                _ => &[1.0],
            };
            let (from, to) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
            let powers = (from..=to).filter(|power| power.rem_euclid(every) == 0);
            let all = powers.flat_map(|power| mantissas.iter().map(move |m| m * 10f64.powi(power)));
            let ticks: Vec<f64> = all.filter(|x| (self.low..=self.high).contains(x)).collect();
            // A short axis between two of them gets the ticks of a linear one.
            if ticks.len() >= 3 || decades >= 1.0 {
                return ticks;
            }
        }
        let rough = (self.high - self.low) / most.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let first = (self.low / step).ceil();
        let count = ((self.high / step).floor() - first).clamp(0.0, 50.0) as usize;
        (0..=count).map(|i| (first + i as f64) * step).collect()
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        // Far outside is as good as outside: the backend clips, but its integers must not overflow.
        let fraction = self.fraction(*value).clamp(-4.0, 5.0);
        limit.0 + (fraction * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        self.ticks(hint.max_num_points())
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// A tick's label: few digits, thousands and millions as k and M, a true minus sign.
pub fn label(x: &f64) -> String {
    let plain = |x: f64| {
        // Nine digits hide the rounding of a tick such as 0.30000000000000004.
        let text = format!("{x:.9}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let size = x.abs();
    let text = match size {
        _ if size < 1e-12 => "0".to_owned(),
        _ if !(1e-4..1e9).contains(&size) => format!("{x:.1e}").replace(".0e", "e"),
        _ if size >= 1e6 => plain(x / 1e6) + "M",
        _ if size >= 1e4 => plain(x / 1e3) + "k",
        _ => plain(*x),
    };
    text.replace('-', "−")
}
