//! Published diffusion transformers by name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DiTShape;

/// A published network (Peebles and Xie 2023): its size, S, B, L or XL, and its patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Preset {
    /// 12 blocks of width 384 with 6 heads, patches of 2 x 2.
    #[serde(rename = "S/2")]
    S2,
    /// Patches of 4 x 4.
    #[serde(rename = "S/4")]
    S4,
    /// Patches of 8 x 8.
    #[serde(rename = "S/8")]
    S8,
    /// 12 blocks of width 768 with 12 heads, patches of 2 x 2.
    #[serde(rename = "B/2")]
    B2,
    /// Patches of 4 x 4.
    #[serde(rename = "B/4")]
    B4,
    /// Patches of 8 x 8.
    #[serde(rename = "B/8")]
    B8,
    /// 24 blocks of width 1024 with 16 heads, patches of 2 x 2.
    #[serde(rename = "L/2")]
    L2,
    /// Patches of 4 x 4.
    #[serde(rename = "L/4")]
    L4,
    /// Patches of 8 x 8.
    #[serde(rename = "L/8")]
    L8,
    /// 28 blocks of width 1152 with 16 heads, patches of 2 x 2.
    #[serde(rename = "XL/2")]
    XL2,
    /// Patches of 4 x 4.
    #[serde(rename = "XL/4")]
    XL4,
    /// Patches of 8 x 8.
    #[serde(rename = "XL/8")]
    XL8,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::S2,
        Self::S4,
        Self::S8,
        Self::B2,
        Self::B4,
        Self::B8,
        Self::L2,
        Self::L4,
        Self::L8,
        Self::XL2,
        Self::XL4,
        Self::XL8,
    ];

    /// Its sizes, for images of 32 x 32 with 4 channels and 1,000 classes as in the paper.
    pub const fn shape(self) -> DiTShape {
        let [depth, width, heads] = match self {
            Self::S2 | Self::S4 | Self::S8 => [12, 384, 6],
            Self::B2 | Self::B4 | Self::B8 => [12, 768, 12],
            Self::L2 | Self::L4 | Self::L8 => [24, 1024, 16],
            Self::XL2 | Self::XL4 | Self::XL8 => [28, 1152, 16],
        };
        let patch = match self {
            Self::S2 | Self::B2 | Self::L2 | Self::XL2 => 2,
            Self::S4 | Self::B4 | Self::L4 | Self::XL4 => 4,
            Self::S8 | Self::B8 | Self::L8 | Self::XL8 => 8,
        };
        DiTShape { image: [32, 32, 4], patch, width, depth, heads, mlp_ratio: 4, classes: 1000 }
    }
}
