//! A data set: samples of one shape, with what else is known of them.

use super::{DataError, Mixture, size};

/// One sample in this many is held out of training by [`Dataset::split`].
pub const HELD_OUT_EVERY: usize = 6;

/// The values of all samples, one after the other, in the samples' own row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Values as they are used.
    F32(Vec<f32>),
    /// Bytes that are normalised on load: `x = scale * byte + shift`.
    U8 {
        /// The stored bytes.
        bytes: Vec<u8>,
        /// Factor of the normalisation.
        scale: f32,
        /// Offset of the normalisation.
        shift: f32,
    },
}

impl Values {
    /// How many values there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U8 { bytes, .. } => bytes.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Value `i`, normalised.
    ///
    /// # Panics
    /// If `i` is not below [`Values::len`].
    pub fn get(&self, i: usize) -> f32 {
        match self {
            Self::F32(values) => values[i],
            Self::U8 { bytes, scale, shift } => scale * f32::from(bytes[i]) + shift,
        }
    }

    /// All values, normalised.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::F32(values) => values.clone(),
            Self::U8 { bytes, scale, shift } => bytes.iter().map(|&b| scale * f32::from(b) + shift).collect(),
        }
    }
}

/// Samples of one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// What it is called in messages and on plots.
    pub name: String,
    /// The shape of one sample: `[height, width, channels]` for images, `[dimensions]` for points.
    pub shape: Vec<usize>,
    /// The samples, `len() * dim()` values.
    pub values: Values,
    /// The class of each sample, where there are classes.
    pub labels: Option<Vec<u32>>,
    /// The number of distinct, evenly spaced grey levels (17 for digits, 256 for 8-bit images), for bits per dimension.
    pub levels: Option<u32>,
    /// The distribution that the samples were drawn from, where it is a known mixture.
    pub exact: Option<Mixture>,
}

/// The two parts of a data set, each in the order of the whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// What training sees.
    pub train: Dataset,
    /// What it never sees.
    pub held_out: Dataset,
}

impl Dataset {
    /// A data set of `values` in samples of `shape`, with no labels, levels or exact distribution.
    ///
    /// # Errors
    /// If there is no sample, the values do not fill whole samples, or a value is not finite or of a [size] whose square 32 bits
    /// do not hold.
    pub fn new(name: impl Into<String>, shape: Vec<usize>, values: Values) -> Result<Self, DataError> {
        let name = name.into();
        // A header may claim axes whose product overflows.
        let dim = shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis)).unwrap_or(0);
        let err =
            |found: String, expected: &str| DataError::Dataset { name: name.clone(), found, expected: expected.into() };
        if shape.is_empty() || dim == 0 {
            return Err(err(
                format!("samples of shape {shape:?}"),
                "at least one axis, none of length 0 and none beyond memory",
            ));
        }
        if values.is_empty() || !values.len().is_multiple_of(dim) {
            let found = format!("{} values for samples of shape {shape:?}", values.len());
            return Err(err(found, &format!("a multiple of {dim}, and at least {dim}")));
        }
        if let Values::F32(v) = &values
            && let Some(i) = v.iter().position(|x| !x.is_finite())
        {
            return Err(err(format!("{} in sample {} (counted from 0)", v[i], i / dim), "finite values"));
        }
        if let Values::F32(v) = &values
            && let Some((found, expected)) = size::complaint(v, dim)
        {
            return Err(err(found, &expected));
        }
        Ok(Self { name, shape, values, labels: None, levels: None, exact: None })
    }

    /// The same data set with the class of each sample.
    ///
    /// # Errors
    /// If there is not one label a sample.
    pub fn with_labels(mut self, labels: Vec<u32>) -> Result<Self, DataError> {
        if labels.len() != self.len() {
            let (found, expected) = (format!("{} labels", labels.len()), format!("{}, one a sample", self.len()));
            return Err(DataError::Dataset { name: self.name, found, expected });
        }
        self.labels = Some(labels);
        Ok(self)
    }

    /// Number of values in one sample.
    pub fn dim(&self) -> usize {
        self.shape.iter().product()
    }

    /// Height, width and channels of a sample, where samples are images; (height, width) has one channel.
    pub fn image(&self) -> Option<[usize; 3]> {
        match self.shape[..] {
            [height, width] => Some([height, width, 1]),
            [height, width, channels] => Some([height, width, channels]),
            _ => None,
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether all samples are the same one.
    pub fn is_constant(&self) -> bool {
        fn repeats<T: PartialEq>(values: &[T], dim: usize) -> bool {
            values.iter().skip(dim).zip(values).all(|(value, before)| value == before)
        }
        match &self.values {
            Values::F32(values) => repeats(values, self.dim()),
            Values::U8 { bytes, .. } => repeats(bytes, self.dim()),
        }
    }

    /// Writes sample `i`, normalised, to `out`.
    ///
    /// # Panics
    /// If `i` is not below [`Dataset::len`] or `out` is not [`Dataset::dim`] long.
    pub fn sample(&self, i: usize, out: &mut [f32]) {
        let dim = self.dim();
        assert_eq!(out.len(), dim, "a sample of `{}` has {dim} values", self.name);
        for (k, x) in out.iter_mut().enumerate() {
            *x = self.values.get(i * dim + k);
        }
    }

    /// Mean and standard deviation over all values of all samples, normalised.
    pub fn mean_std(&self) -> (f64, f64) {
        let n = self.values.len() as f64;
        let values = || (0..self.values.len()).map(|i| f64::from(self.values.get(i)));
        let mean = values().sum::<f64>() / n;
        let variance = values().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        (mean, variance.sqrt())
    }

    /// The samples of the given rows, in that order.
    ///
    /// # Panics
    /// If a row is not below [`Dataset::len`].
    pub fn subset(&self, rows: &[usize]) -> Self {
        fn pick<T: Copy>(all: &[T], rows: &[usize], dim: usize) -> Vec<T> {
            rows.iter().flat_map(|&r| all[r * dim..(r + 1) * dim].iter().copied()).collect()
        }
        let dim = self.dim();
        let values = match &self.values {
            Values::F32(values) => Values::F32(pick(values, rows, dim)),
            Values::U8 { bytes, scale, shift } => {
                Values::U8 { bytes: pick(bytes, rows, dim), scale: *scale, shift: *shift }
            }
        };
        let labels = self.labels.as_ref().map(|labels| pick(labels, rows, 1));
        Self {
            name: self.name.clone(),
            shape: self.shape.clone(),
            values,
            labels,
            levels: self.levels,
            exact: self.exact.clone(),
        }
    }

    /// Parts the samples for training and for the held-out loss, always in the same way.
    ///
    /// The samples are put in order of their labels (samples of one class, or without labels all samples, keep their own
    /// order) and of this list every [`HELD_OUT_EVERY`]th is held out. So each class gives its share to within one sample,
    /// also where the classes take turns in the file: for digits, whose file often runs 0, 1, ..., 9, 0, 1, ..., holding out
    /// every sixth row would take 37 zeros and 25 sixes.
    ///
    /// # Errors
    /// If there are fewer samples than [`HELD_OUT_EVERY`], so that none would be held out.
    pub fn split(&self) -> Result<Split, DataError> {
        let n = self.len();
        if n < HELD_OUT_EVERY {
            let expected = format!("at least {HELD_OUT_EVERY}, so that one can be held out");
            return Err(DataError::Dataset { name: self.name.clone(), found: format!("{n} samples"), expected });
        }
        let mut order: Vec<usize> = (0..n).collect();
        if let Some(labels) = &self.labels {
            order.sort_by_key(|&i| labels[i]);
        }
        let mut held = vec![false; n];
        for &i in order.iter().skip(HELD_OUT_EVERY - 1).step_by(HELD_OUT_EVERY) {
            held[i] = true;
        }
        let (held_rows, train_rows): (Vec<_>, Vec<_>) = (0..n).partition(|&i| held[i]);
        Ok(Split { train: self.subset(&train_rows), held_out: self.subset(&held_rows) })
    }
}
