//! From a JSON object to a claim, member by member, so that an error can name the one at fault.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Claim, limits};

/// Why a claim is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClaim {
    #[error("a claim is one JSON object")]
    NotAnObject,
    #[error("a claim has at most {max} bytes", max = limits::MAX_CLAIM_BYTES)]
    TooLong,
    #[error("a claim must say its {0}")]
    Missing(&'static str),
    #[error("the {0} of the claim has the wrong type")]
    WrongType(&'static str),
    #[error("the {0} of the claim is blank, too long, or more than one line")]
    BadText(&'static str),
    #[error("the {0} of the claim is out of range")]
    OutOfRange(&'static str),
    #[error("the claim has an unknown member that is nested too deep, or holds a fraction or a control character")]
    BadExtra,
}

/// The members that [`read`] knows.
pub(super) const NAMES: [&str; 25] = [
    "version",
    "kind",
    "format",
    "duration_ms",
    "title",
    "artist",
    "album",
    "album_artist",
    "track",
    "track_total",
    "disc",
    "disc_total",
    "year",
    "genre",
    "compilation",
    "bitrate_kbps",
    "vbr",
    "sample_rate_hz",
    "bit_depth",
    "channels",
    "mb_recording",
    "mb_release",
    "audio",
    "file_name",
    "origin",
];

/// The claim that `object` is, if it obeys all rules.
pub(super) fn read(object: Map<String, Value>) -> Result<Claim, InvalidClaim> {
    let mut members = Members(object);
    let claim = Claim {
        version: members.required("version")?,
        kind: members.required("kind")?,
        format: members.required("format")?,
        duration_ms: members.optional("duration_ms")?,
        title: members.optional("title")?,
        artist: members.optional("artist")?,
        album: members.optional("album")?,
        album_artist: members.optional("album_artist")?,
        track: members.optional("track")?,
        track_total: members.optional("track_total")?,
        disc: members.optional("disc")?,
        disc_total: members.optional("disc_total")?,
        year: members.optional("year")?,
        genre: members.optional("genre")?,
        compilation: members.optional("compilation")?,
        bitrate_kbps: members.optional("bitrate_kbps")?,
        vbr: members.optional("vbr")?,
        sample_rate_hz: members.optional("sample_rate_hz")?,
        bit_depth: members.optional("bit_depth")?,
        channels: members.optional("channels")?,
        mb_recording: members.optional("mb_recording")?,
        mb_release: members.optional("mb_release")?,
        audio: members.optional("audio")?,
        file_name: members.optional("file_name")?,
        origin: members.optional("origin")?,
        extra: members.0,
    };
    limits::checked(claim)
}

/// What has not been read yet.
struct Members(Map<String, Value>);

impl Members {
    fn required<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T, InvalidClaim> {
        self.optional(name)?.ok_or(InvalidClaim::Missing(name))
    }

    /// `null` is refused: absence has one form.
    fn optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<Option<T>, InvalidClaim> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        serde_json::from_value(value).map(Some).map_err(|_| InvalidClaim::WrongType(name))
    }
}
