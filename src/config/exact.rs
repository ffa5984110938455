//! `[model] kind = "exact"`: the data's own score.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::network::{Misfit, ModelKeys};
use super::table::Keys;
use crate::data::Dataset;
use crate::nn::Architecture;

/// No network: the exact score of the data at every noise level. Only for data that knows it (`mixture`,
/// `eight-gaussians`, `two-moons`, `swiss-roll`). Nothing is trained; `tweedie sample` and `tweedie score` take the
/// config file itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Exact {}

impl Keys for Exact {}

impl ModelKeys for Exact {
    fn architecture(&self, _: &Dataset) -> Result<Option<Box<dyn Architecture>>, Misfit> {
        Ok(None)
    }
}
