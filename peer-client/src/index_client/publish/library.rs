//! What the publisher needs to know of the library.

use choir_shared::FileId;
use choir_shared::control::CollectionState;
use choir_shared::index_api::{Addition, Folder};
use choir_shared::library::LibraryDigest;
use tokio::sync::watch;

/// A library that counts its changes: each change of a collection gets the next generation.
pub trait PublishedLibrary: Send + Sync + 'static {
    /// All collections as they are now.
    fn collections(&self) -> impl Future<Output = Result<Vec<CollectionSummary>, LibraryError>> + Send;

    /// What has changed in a collection after a generation, oldest first: at most `limit` entries (additions, removals
    /// and folders together), and each file once, as it is now. After 0 that is the whole collection.
    /// A page names the folders that its additions lie in, unless an earlier page of the same walk did.
    fn changes_since(
        &self,
        collection: &str,
        after: u64,
        limit: usize,
    ) -> impl Future<Output = Result<ChangesPage, LibraryError>> + Send;

    /// Changes whenever any collection does.
    fn changed(&self) -> watch::Receiver<u64>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionSummary {
    pub collection: String,
    pub generation: u64,
    pub digest: LibraryDigest,
    /// How many holdings the digest sums.
    pub count: u64,
}

impl CollectionSummary {
    pub fn state(&self) -> CollectionState {
        CollectionState { collection: self.collection.clone(), generation: self.generation, digest: self.digest }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ChangesPage {
    /// With their claims.
    pub add: Vec<Addition>,
    pub remove: Vec<FileId>,
    pub folders: Vec<Folder>,
    /// The greatest generation that the page includes; everything up to it has now been told.
    pub through: u64,
    /// Digest and count at `through`, if nothing newer is known; also of a page that is empty for that reason.
    pub complete: Option<(LibraryDigest, u64)>,
}

impl ChangesPage {
    /// For a collection that is to be emptied: nothing, at the generation before the first.
    pub(super) fn empty(is_last: bool) -> Self {
        let complete = is_last.then_some((LibraryDigest::EMPTY, 0));
        Self { add: Vec::new(), remove: Vec::new(), folders: Vec::new(), through: 0, complete }
    }

    pub(super) fn entries(&self) -> usize {
        self.add.len() + self.remove.len() + self.folders.len()
    }
}

/// The library cannot be read now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this peer's own library cannot be read: {0}")]
pub struct LibraryError(pub String);
