//! Published networks by name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Family, Features, UNetShape};

/// A published network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Preset {
    /// DDPM's network for CIFAR-10 (Ho, Jain and Abbeel 2020): 35,746,307 weights.
    #[serde(rename = "ddpm-cifar10")]
    DdpmCifar10,
    /// EDM's DDPM++ for CIFAR-10 (Karras et al. 2022) without its augmentation labels: 55,732,739 weights.
    #[serde(rename = "edm-ddpm++")]
    EdmDdpmPlusPlus,
    /// DDPM++ for CIFAR-10, 4 blocks a level (Song et al. 2021): 61,804,419 weights.
    #[serde(rename = "ddpm++")]
    DdpmPlusPlus,
    /// The same with 8 blocks a level: 106,632,579 weights.
    #[serde(rename = "ddpm++-deep")]
    DdpmPlusPlusDeep,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::DdpmCifar10, Self::EdmDdpmPlusPlus, Self::DdpmPlusPlus, Self::DdpmPlusPlusDeep];

    /// Its sizes.
    pub fn shape(self) -> UNetShape {
        let ddpm = UNetShape {
            family: Family::Ddpm,
            image: [32, 32, 3],
            features: Features::Sinusoidal,
            channels: 128,
            multipliers: vec![1, 2, 2, 2],
            blocks: 2,
            attention: vec![16],
            heads: 1,
            groups: 32,
            group_eps: 1e-6,
            dropout: 0.1,
            classes: 0,
            augment_dim: 0,
        };
        match self {
            Self::DdpmCifar10 => ddpm,
            Self::EdmDdpmPlusPlus => {
                UNetShape { family: Family::DdpmPlusPlus, multipliers: vec![2, 2, 2], blocks: 4, dropout: 0.13, ..ddpm }
            }
            Self::DdpmPlusPlus => UNetShape { family: Family::DdpmPlusPlus, blocks: 4, ..ddpm },
            Self::DdpmPlusPlusDeep => UNetShape { family: Family::DdpmPlusPlus, blocks: 8, ..ddpm },
        }
    }
}
