//! Which downloads come first.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Higher first, where not all can go at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

impl Priority {
    /// As a [`Get`](choir_shared::wire::Get) says it. What is wanted at once, such as the start of a song, is above.
    pub const fn on_the_wire(self) -> u8 {
        match self {
            Self::Low => 0,
            Self::Normal => 64,
            Self::High => 128,
        }
    }
}

impl FromStr for Priority {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "low" => Ok(Self::Low),
            "normal" => Ok(Self::Normal),
            "high" => Ok(Self::High),
            _ => Err("high, normal or low is wanted"),
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        })
    }
}
