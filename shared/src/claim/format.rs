//! The short name of a file format.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name of a format; real ones have two to five letters.
pub const MAX_FORMAT_BYTES: usize = 16;

/// The lower-case name of a file format, as in its extension: `flac`, `mp3`, `jpg`. Not a closed list, so that a
/// format of tomorrow needs no new protocol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Format(String);

impl Format {
    /// `name` in lower case, if it is 1 to [`MAX_FORMAT_BYTES`] ASCII letters and digits.
    pub fn new(name: &str) -> Result<Self, InvalidFormat> {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !plain || name.is_empty() || name.len() > MAX_FORMAT_BYTES {
            return Err(InvalidFormat);
        }
        Ok(Self(name.to_ascii_lowercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The format that nobody has told.
impl Default for Format {
    fn default() -> Self {
        Self("unknown".to_owned())
    }
}

/// The text names no format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a format is 1 to {MAX_FORMAT_BYTES} letters and digits")]
pub struct InvalidFormat;

impl FromStr for Format {
    type Err = InvalidFormat;

    fn from_str(name: &str) -> Result<Self, InvalidFormat> {
        Self::new(name)
    }
}

/// From the wire only the lower-case form is taken, or a claim would change by being read.
impl TryFrom<String> for Format {
    type Error = InvalidFormat;

    fn try_from(name: String) -> Result<Self, InvalidFormat> {
        Self::new(&name).and_then(|format| if format.0 == name { Ok(format) } else { Err(InvalidFormat) })
    }
}

impl From<Format> for String {
    fn from(format: Format) -> Self {
        format.0
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Format {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
