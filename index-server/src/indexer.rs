//! Feeds the search index from the store.
//!
//! The store numbers every change of a file; the search index remembers the last number it has seen. This task asks for
//! what came after, again and again: soon after something was published, and every second in any case. Whatever is
//! missed or lost is caught up in the same way, so nothing else has to be right.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::data_dir::write_secret;
use crate::index::Index;
use crate::search::{Indexer, IndexerError, SearchEngine};
use crate::store::{Store, StoreError};

/// How many files are taken over at a time: some megabytes of claims.
const BATCH: u32 = 5000;

/// While catching up, a commit comes after so many files: each makes a segment, and more would mean more merging.
const COMMIT_FILES: usize = 100_000;

/// Others' changes, such as those of votes, come without notice.
const LOOK: Duration = Duration::from_secs(1);

/// After a publication others follow at once; they are taken together. Songs can be found within two seconds still.
const GATHER: Duration = Duration::from_millis(300);

/// A disk that is full does not empty itself within a second.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Opens the search index of this very catalogue. One that was made from another is deleted: its numbers mean
/// other files.
pub(crate) async fn open(folder: &Path, store: &Store) -> Result<(Indexer, SearchEngine), OpenError> {
    let identity = store.catalogue_identity().await?;
    let folder = folder.to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        let marker = folder.join("catalogue");
        if std::fs::read(&marker).ok().as_deref() != Some(&identity[..]) {
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => std::fs::create_dir_all(&folder).map_err(IndexerError::from)?,
            }
            write_secret(&marker, &identity).map_err(IndexerError::from)?;
        }
        Ok(SearchEngine::open(&folder)?)
    });
    opened.await.map_err(|_| OpenError::Panicked)?
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Indexer(#[from] IndexerError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the search index could not be opened")]
    Panicked,
}

impl From<std::io::Error> for OpenError {
    fn from(error: std::io::Error) -> Self {
        Self::Indexer(error.into())
    }
}

/// Runs until the index stops.
pub(crate) async fn run(index: Index, indexer: Indexer) {
    let mut feed = Feed { index, indexer: Some(indexer) };
    let stopping = feed.index.stopping.clone();
    while !stopping.is_cancelled() {
        let pause = match feed.catch_up().await {
            Ok(()) => LOOK,
            Err(error) => {
                tracing::error!(%error, "the search index falls behind");
                metrics::counter!("choir_index_indexer_failures_total").increment(1);
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
            () = feed.index.published.notified() => tokio::time::sleep(GATHER).await,
        }
    }
    // Closing it waits for merges.
    let _ = tokio::task::spawn_blocking(move || drop(feed.indexer)).await;
}

struct Feed {
    index: Index,
    /// Away while a blocking thread works with it; gone for good if that panicked.
    indexer: Option<Indexer>,
}

impl Feed {
    async fn catch_up(&mut self) -> Result<(), FeedError> {
        let mut seen = self.indexer.as_ref().ok_or(FeedError::Lost)?.last_revision();
        let (begun, mut uncommitted) = (Instant::now(), 0);
        while !self.index.stopping.is_cancelled() {
            let files = self.index.store.changed_files(seen, BATCH).await?;
            let more = files.len() == BATCH as usize;
            uncommitted += files.len();
            if let Some(last) = files.last() {
                seen = last.revision;
            }
            let commit = uncommitted > 0 && (!more || uncommitted >= COMMIT_FILES);
            self.blocking(move |indexer| {
                indexer.apply(&files)?;
                if commit { indexer.commit(seen) } else { Ok(()) }
            })
            .await?;
            if commit {
                tracing::debug!(files = uncommitted, revision = seen, "the search index has caught up");
                metrics::counter!("choir_index_files_indexed_total").increment(uncommitted as u64);
                uncommitted = 0;
            }
            if !more {
                break;
            }
        }
        metrics::histogram!("choir_index_catch_up_seconds").record(begun.elapsed().as_secs_f64());
        self.index.caught_up.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn blocking(
        &mut self,
        work: impl FnOnce(&mut Indexer) -> Result<(), IndexerError> + Send + 'static,
    ) -> Result<(), FeedError> {
        let mut indexer = self.indexer.take().ok_or(FeedError::Lost)?;
        let worked = tokio::task::spawn_blocking(move || {
            let outcome = work(&mut indexer);
            (indexer, outcome)
        });
        let (indexer, outcome) = worked.await.map_err(|_| FeedError::Lost)?;
        self.indexer = Some(indexer);
        Ok(outcome?)
    }
}

#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Indexer(#[from] IndexerError),
    #[error("the search index broke; it works again after a restart")]
    Lost,
}
