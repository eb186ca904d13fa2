//! What a holder says of a file.
//!
//! A claim is somebody's word, not the truth: two holders of one file may disagree, and an index lets them vote.
//! It is known by its hash, so the same rules must give everybody the same bytes:
//!
//! - **The canonical form** is JSON without white space, members sorted by the bytes of their names, at every level.
//! - **Members that a reader does not know are kept** and hashed with the rest; a claim of a later version passes
//!   through an older index unharmed.
//! - **Numbers are integers.** Two languages rarely write the same fraction alike.
//! - **Everything is bounded**: the whole by [`MAX_CLAIM_BYTES`], each text by [`MAX_TEXT_BYTES`], each number by
//!   what a song can have. Texts are one line, and none is blank. A claim that breaks a rule is refused, never
//!   repaired, because repair would change its hash. Its author repairs it before: [`Claim::clamp`].

mod canonical;
mod fields;
mod format;
mod limits;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

pub use canonical::canonical_json;
pub use fields::InvalidClaim;
pub use format::{Format, InvalidFormat, MAX_FORMAT_BYTES};
pub use limits::{MAX_CLAIM_BYTES, MAX_TEXT_BYTES};

use crate::audio::AudioId;
use crate::digest::Digest;

/// The version of the claims that this program makes. A later one may add members and change none.
pub const CLAIM_VERSION: u16 = 1;

/// The first bytes of what is hashed.
const HASH_DOMAIN: &[u8] = b"choir claim 1\0";

/// What a holder says of a file. Serialised as one JSON object; reading one checks all rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    pub version: u16,
    pub kind: Kind,
    pub format: Format,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub album: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub album_artist: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_total: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disc: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disc_total: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub genre: Option<String>,
    /// Of several artists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compilation: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate_kbps: Option<u32>,
    /// The bit rate is a mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vbr: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate_hz: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_depth: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u32>,
    /// The MusicBrainz recording: 36 characters, lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mb_recording: Option<String>,
    /// The MusicBrainz release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mb_release: Option<String>,
    /// The part of the file that editors of tags leave alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioId>,
    /// The holder's name of the file, without folders. Not safe to use as a name:
    /// see [`SafeName`](crate::SafeName).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Members of later versions.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What sort of file it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    #[default]
    Song,
    /// A picture beside songs.
    Cover,
    /// A text beside songs: cue sheet, log, playlist.
    Companion,
}

/// Where title and artist come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The file's own tags.
    Tags,
    /// Guessed from the names of file and folders; tags win over it.
    Path,
}

impl Claim {
    /// Reads what a stranger sent, as one JSON object in any order of members.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidClaim> {
        if json.len() > limits::MAX_JSON_BYTES {
            return Err(InvalidClaim::TooLong);
        }
        let object = serde_json::from_slice(json).map_err(|_| InvalidClaim::NotAnObject)?;
        fields::read(object)
    }

    /// The claim made to obey all rules: over-long texts are cut, impossible numbers and what remains too large are
    /// left out. What comes out, [`Claim::parse`] accepts.
    #[must_use]
    pub fn clamp(self) -> Self {
        limits::clamped(self)
    }

    /// The one text that is hashed.
    pub fn to_canonical_json(&self) -> String {
        match serde_json::to_value(self) {
            Ok(value) => canonical_json(&value),
            Err(error) => unreachable!("all members of a claim have text names: {error}"),
        }
    }

    /// What a claim is known by.
    pub fn hash(&self) -> Digest {
        Digest::of_parts(&[HASH_DOMAIN, self.to_canonical_json().as_bytes()])
    }
}

impl Default for Claim {
    fn default() -> Self {
        Self {
            version: CLAIM_VERSION,
            kind: Kind::default(),
            format: Format::default(),
            duration_ms: None,
            title: None,
            artist: None,
            album: None,
            album_artist: None,
            track: None,
            track_total: None,
            disc: None,
            disc_total: None,
            year: None,
            genre: None,
            compilation: None,
            bitrate_kbps: None,
            vbr: None,
            sample_rate_hz: None,
            bit_depth: None,
            channels: None,
            mb_recording: None,
            mb_release: None,
            audio: None,
            file_name: None,
            origin: None,
            extra: Map::new(),
        }
    }
}

/// Checked like [`Claim::parse`], wherever a claim stands in a larger message.
impl<'de> Deserialize<'de> for Claim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fields::read(Map::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
