//! A download, from asking for a file to having it.
//!
//! - [`list`]: all downloads of this peer, kept in its database; starts, pauses, resumes and ends jobs.
//! - [`job`]: one file's life. It finds sources, connects, lets the scheduler decide, and finishes the file.
//! - [`scheduler`]: pure: which leaves are asked of whom, and when.
//! - [`fetch`]: one request on one stream: reads, verifies, writes.
//! - [`writes`]: what was verified goes to the disk while more is read.
//! - [`about`]: what was said of a file when it was asked for.
//! - [`alternate`]: pure: other files in place of one that nobody can send, for people to take.
//! - [`group`]: pure: what is here of an album, and what is missing.
//! - [`parts`]: what unfinished downloads have, for others to fetch.
//! - [`links`]: one connection and one place in the upload queue for each peer, shared by all jobs.
//! - [`turns`] and [`priority`]: how many at once, and which come first.
//! - [`status`]: what is told to people and scripts.
//!
//! Nothing here knows indexes: sources come from a [`Finder`], which the daemon provides.

pub mod about;
pub mod alternate;
pub mod fetch;
#[cfg(test)]
mod fixture;
pub mod group;
pub mod job;
pub mod links;
pub mod list;
pub mod parts;
pub mod priority;
pub mod scheduler;
pub mod status;
pub mod turns;
pub mod writes;

use std::future::Future;
use std::pin::Pin;

use choir_shared::{FileId, PeerId};

use crate::pace::Pacer;
use crate::session::Session;
use about::About;
use alternate::Alternate;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A limit over all downloads, shared fairly by the files.
pub type Throttle = Pacer<FileId, ()>;

/// Who has a file, and how to reach them.
pub trait Finder: Send + Sync + 'static {
    /// Peers online that hold the file, or parts of it.
    fn sources(&self, file: FileId) -> BoxFuture<'_, Result<Vec<FoundSource>, IndexUnreachable>>;

    /// Other files that may serve in place of this one; none if no index can be asked.
    fn alternates<'a>(&'a self, file: FileId, about: &'a About) -> BoxFuture<'a, Vec<Alternate>>;

    /// A session with `peer`, introduced for `file`.
    fn connect(&self, peer: PeerId, file: FileId) -> BoxFuture<'_, Result<Session, NoSession>>;

    /// The peer sent bytes that are not the file's.
    fn misbehaved(&self, peer: PeerId, file: FileId);

    /// Whether this peer may be used at all.
    fn is_banned(&self, peer: PeerId) -> bool;

    /// Whether wrong bytes of this file came from this peer lately.
    fn is_distrusted(&self, peer: PeerId, file: FileId) -> bool;
}

/// Why there is no session with a peer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoSession {
    /// The index says so; it will also say when that changes.
    #[error("offline")]
    Offline,
    /// Somebody else is where it should be; the index may know better later.
    #[error("another key answers at its address")]
    AnotherKey,
    /// What was tried, in words.
    #[error("{0}")]
    Failed(String),
}

/// A peer that an index lists for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSource {
    pub peer: PeerId,
    pub name: Option<String>,
    /// `false` for one that is still fetching the file itself.
    pub complete: bool,
}

/// No index could be asked; what it was is in words.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct IndexUnreachable(pub String);
