//! The library, as those see it who publish it and those who send it.

use std::sync::Arc;

use choir_shared::{Digest, FileId};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::index_client::{ChangesPage, CollectionSummary, LibraryError, PublishedLibrary};
use crate::library::{Changed, ChangesError, Library};
use crate::upload::shelf::{CheckedFile, Shelf, ShelvedFile, Unreadable};

/// What others may fetch.
pub(super) struct LibraryShelf(pub(super) Library);

impl Shelf for LibraryShelf {
    fn find(&self, file: FileId) -> BoxFuture<'_, Option<ShelvedFile>> {
        Box::pin(async move {
            let found = self.0.find(&file).await.unwrap_or_else(|error| {
                tracing::error!(%error, "the library cannot be read");
                None
            })?;
            let open = {
                let found = found.clone();
                move || {
                    let opened = found.open_checked().map_err(unreadable)?;
                    let stamp = found.stamp;
                    CheckedFile::new(opened, move |now| stamp.still_holds(&crate::library::Stamp::of(now)))
                }
            };
            Some(ShelvedFile::new(found.collections, open))
        })
    }

    fn leaves(&self, file: FileId) -> BoxFuture<'_, Option<Arc<[Digest]>>> {
        Box::pin(async move { self.0.leaves(&file).await.ok().flatten() })
    }

    fn recheck(&self, file: FileId) {
        let library = self.0.clone();
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
