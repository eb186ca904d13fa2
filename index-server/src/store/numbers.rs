//! Small numbers that stand for long keys inside the index. They mean nothing outside of it.

use serde::Serialize;

use super::error::StoreError;
use super::sql::{Connection, query};

/// A distinct file, from 1, dense but for those that were swept: search and presence use it as a position.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
pub struct FileNo(pub u32);

/// A member, from 1, dense but for those who left.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
pub struct MemberNo(pub u32);

/// A claim of a file, or of several that came with one set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, serde::Deserialize)]
pub(super) struct ClaimNo(pub(super) u32);

/// One collection of one member, or what is being staged to replace it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
pub(super) struct CollectionNo(pub(super) u32);

/// The first number that was never in use: the last row of a table is never deleted.
pub(super) async fn next_no(database: &mut Connection, greatest: &'static str) -> Result<u32, StoreError> {
    let greatest: u32 = query(greatest).fetch_one(database).await?;
    greatest.checked_add(1).ok_or(StoreError::Corrupt("more rows than numbers"))
}
