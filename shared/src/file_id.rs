//! The name of a file for good: what it holds, not where it lies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::digest::Digest;
use crate::leaf::FileLength;

/// The BEP 52 "pieces root" of a file and its length.
///
/// The root alone does not bind the length: a file of two full leaves has the root of the 64-byte file
/// made of their two hashes. So the pair travels together, always.
///
/// Text form: `<64 lower-case hexadecimal digits>-<length in decimal, no leading zeros>`, and no other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    root: Digest,
    length: FileLength,
}

impl FileId {
    pub const fn new(root: Digest, length: FileLength) -> Self {
        Self { root, length }
    }

    pub const fn root(&self) -> Digest {
        self.root
    }

    pub const fn length(&self) -> FileLength {
        self.length
    }

    /// The first 8 digits of the root, for people and logs only.
    pub fn short(&self) -> String {
        self.root.short()
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.root, self.length.bytes())
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileId({self})")
    }
}

impl FromStr for FileId {
    type Err = InvalidFileId;

    fn from_str(text: &str) -> Result<Self, InvalidFileId> {
        let (root, length) = text.split_once('-').ok_or(InvalidFileId)?;
        let decimal = !length.starts_with('0') && length.bytes().all(|byte| byte.is_ascii_digit());
        if !decimal {
            return Err(InvalidFileId);
        }
        let length: u64 = length.parse().map_err(|_| InvalidFileId)?;
        Ok(Self {
            root: root.parse().map_err(|_| InvalidFileId)?,
            length: FileLength::new(length).map_err(|_| InvalidFileId)?,
        })
    }
}

/// The text is not a file id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a file id is 64 lower-case hexadecimal digits, a hyphen and the length in bytes")]
pub struct InvalidFileId;

/// Text where people may read it (JSON), the pair where they may not (postcard).
impl Serialize for FileId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.root, self.length).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for FileId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
            text.parse().map_err(de::Error::custom)
        } else {
            let (root, length) = Deserialize::deserialize(deserializer)?;
            Ok(Self { root, length })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_form_only() {
        let root = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let text = format!("{root}-3");
        assert_eq!(text.parse::<FileId>().unwrap().to_string(), text);
        let refused = [
            "",
            "-",
            root,
            &format!("{root}-"),
            &format!("{root}-0"),
            &format!("{root}-03"),
            &format!("{root}-+3"),
            &format!("{}-3", root.to_uppercase()),
            &format!("{root}-17179869185"),
            &format!("{root}-99999999999999999999"),
        ];
        for text in refused {
            assert_eq!(text.parse::<FileId>(), Err(InvalidFileId), "{text}");
        }
    }
}
