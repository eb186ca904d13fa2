//! How values of the domain stand in columns and parameters. Whatever cannot be read back was not written by us.

use choir_shared::{Claim, Digest, PeerId};
use serde::Serialize;

use super::error::StoreError;

/// The one parameter by which a statement gets many rows, for `json_each`.
pub(super) fn json(rows: &impl Serialize) -> String {
    serde_json::to_string(rows).expect("lists of numbers and texts can always be serialised")
}

/// SQLite's integers are signed; the end of its time is the end of ours.
pub(super) fn time(unix_s: u64) -> i64 {
    i64::try_from(unix_s).unwrap_or(i64::MAX)
}

/// A hash as a column has it.
pub(super) fn digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    Digest::try_from(bytes).map_err(|_| StoreError::Corrupt("a hash that is no hash"))
}

/// A key as a column has it.
pub(super) fn peer(bytes: &[u8]) -> Result<PeerId, StoreError> {
    let key = bytes.try_into().ok().and_then(|bytes| PeerId::new(bytes).ok());
    key.ok_or(StoreError::Corrupt("a key that is no key"))
}

/// A claim as a column has it.
pub(super) fn claim(json: &str) -> Result<Claim, StoreError> {
    Claim::parse(json.as_bytes()).map_err(|_| StoreError::Corrupt("a claim that breaks the rules"))
}
