//! The bar that shows how far drawing samples is.

use super::progress::Progress;
use crate::sampler::AnySampler;
use crate::train::draw::request::SampleRequest;
use crate::train::experiment::Experiment;

/// The bar, shown from the first report of progress on.
#[derive(Default)]
pub(super) struct DrawingBar {
    bar: Option<Progress>,
}

impl DrawingBar {
    /// `done` of `total` steps of all batches are taken; by an adaptive sampler, so many samples are drawn.
    pub fn update(
        &mut self,
        experiment: &Experiment,
        sampler: &AnySampler,
        request: &SampleRequest,
        done: u64,
        total: u64,
    ) {
        let bar = self.bar.get_or_insert_with(|| {
            let batches = request.n.div_ceil(request.at_a_time(experiment)) as u64;
            let label = match sampler {
                AnySampler::Adaptive(_) => "samples".to_string(),
                AnySampler::Stepwise(_) if batches > 1 => {
                    format!("sample ({batches} batches of {} steps)", total / batches)
                }
                AnySampler::Stepwise(_) => "sample".to_string(),
            };
            Progress::new(&label, 0, total)
        });
        bar.update(done, None);
    }

    /// Drawing is over.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish();
        }
    }
}
