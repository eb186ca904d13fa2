//! What this peer has, as those see it who publish it and those who send it.

use std::sync::Arc;

use choir_shared::{Digest, FileId};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::finder::IndexFinder;
use crate::download::parts::Parts;
use crate::index_client::{ChangesPage, CollectionSummary, LibraryError, PublishedLibrary};
use crate::library::{Changed, ChangesError, Library};
use crate::upload::shelf::{CheckedFile, Contents, Shelf, ShelvedFile, Unreadable, Visibility};

/// What others may fetch: the library, and parts of what is still being fetched.
pub(super) struct PeerShelf {
    pub(super) library: Library,
    pub(super) parts: Parts,
    /// Knows which indexes listed a file.
    pub(super) finder: Arc<IndexFinder>,
}

impl PeerShelf {
    async fn in_library(&self, file: FileId) -> Option<ShelvedFile> {
        let found = self.library.find(&file).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the library cannot be read");
            None
        })?;
        let visibility = Visibility::Collections(found.collections.clone());
        let open = move || {
            let opened = found.open_checked().map_err(unreadable)?;
            let stamp = found.stamp;
            CheckedFile::new(opened, move |now| stamp.still_holds(&crate::library::Stamp::of(now)))
        };
        Some(ShelvedFile::new(visibility, Contents::Whole, open))
    }

    fn among_parts(&self, file: FileId) -> Option<ShelvedFile> {
        let open = self.parts.find(&file)?;
        let visibility = Visibility::Audience(self.finder.audience(file));
        let contents = Contents::Part { held: open.held(), layer: Arc::clone(&open.layer) };
        // What is held was verified and is only ever added to.
        let open = move || CheckedFile::new(open.part.reader()?, |_| true);
        Some(ShelvedFile::new(visibility, contents, open))
    }
}

impl Shelf for PeerShelf {
    fn find(&self, file: FileId) -> BoxFuture<'_, Option<ShelvedFile>> {
        Box::pin(async move {
            match self.in_library(file).await {
                Some(found) => Some(found),
                None => self.among_parts(file),
            }
        })
    }

    fn leaves(&self, file: FileId) -> BoxFuture<'_, Option<Arc<[Digest]>>> {
        Box::pin(async move { self.library.leaves(&file).await.ok().flatten() })
    }

    fn recheck(&self, file: FileId) {
        let library = self.library.clone();
        // Ends as soon as the scanner has taken note.
        tokio::spawn(async move { library.recheck(&file).await });
    }
}

fn unreadable(changed: Changed) -> Unreadable {
    match changed {
        Changed::Different => Unreadable::Changed,
        // To whoever asks, a file that was moved away has changed.
        Changed::Gone(error) if error.kind() == std::io::ErrorKind::NotFound => Unreadable::Changed,
        Changed::Gone(error) => error.into(),
    }
}

/// What indexes are told.
pub(super) struct PublishedShelf(pub(super) Library);

impl PublishedLibrary for PublishedShelf {
    async fn collections(&self) -> Result<Vec<CollectionSummary>, LibraryError> {
        let collections = self.0.collections().await.map_err(|error| LibraryError(error.to_string()))?;
        let summary = |state: crate::library::CollectionState| CollectionSummary {
            collection: state.collection,
            generation: state.generation,
            digest: state.digest,
            count: state.count,
        };
        Ok(collections.into_iter().map(summary).collect())
    }

    async fn changes_since(&self, collection: &str, after: u64, limit: usize) -> Result<ChangesPage, LibraryError> {
        let page = match self.0.changes_since(collection, after, limit).await {
            // They know more than we do: begin anew.
            Err(ChangesError::Future { .. }) => self.0.changes_since(collection, 0, limit).await,
            page => page,
        };
        let page = page.map_err(|error| LibraryError(error.to_string()))?;
        Ok(ChangesPage {
            add: page.add,
            remove: page.remove,
            folders: page.folders,
            through: page.through,
            complete: page.complete,
        })
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed()
    }
}
