//! Feeds the search index from the store.
//!
//! The store numbers every change of a file; the search index remembers the last number it has seen. This task asks for
//! what came after, again and again: soon after something was published, and every second in any case. Whatever is
//! missed or lost is caught up in the same way, so nothing else has to be right.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::data_dir::write_secret;
use crate::giving_way::giving_way;
use crate::index::Index;
use crate::search::{Indexer, IndexerError, SearchEngine};
use crate::store::{CatalogueMark, Store, StoreError};

/// The file that tells of which catalogue a search index was made.
const MARKER: &str = "catalogue";

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

/// Opens the search index of this catalogue. One that is of no use to it is deleted, and filled from what is there now.
pub(crate) async fn open(folder: &Path, store: &Store) -> Result<(Indexer, SearchEngine), OpenError> {
    let catalogue = store.catalogue_mark().await?;
    let folder = folder.to_owned();
    let opened = giving_way(move || {
        if is_of(&folder, &catalogue) {
            let opened = SearchEngine::open(&folder)?;
            match Unfit::by_revision(opened.0.last_revision(), &catalogue) {
                Some(unfit) => tracing::warn!("{unfit}, and is built anew"),
                None => return Ok(opened),
            }
        }
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => std::fs::create_dir_all(&folder).map_err(IndexerError::from)?,
        }
        write_secret(&folder.join(MARKER), &catalogue.identity).map_err(IndexerError::from)?;
        Ok(SearchEngine::open(&folder)?)
    });
    opened.await.map_err(IndexerError::from)?
}

/// Reads the search index in `folder`, which nobody may be using, and changes nothing. Why it is of no use to this
/// catalogue, if that is so; an error if it cannot be told.
pub(crate) async fn inspect(folder: &Path, catalogue: CatalogueMark) -> Result<Option<Unfit>, OpenError> {
    let folder = folder.to_owned();
    let inspected = giving_way(move || {
        if !is_of(&folder, &catalogue) {
            return Ok(Some(Unfit::OfAnother));
        }
        match SearchEngine::inspect(&folder) {
            Ok(seen) => Ok(Unfit::by_revision(seen, &catalogue)),
            Err(error) if error.is_of_the_disk() => Err(error.into()),
            Err(error) => Ok(Some(Unfit::Unreadable(error))),
        }
    });
    inspected.await.map_err(IndexerError::from)?
}

/// Whether the search index in `folder` was made from this very catalogue.
fn is_of(folder: &Path, catalogue: &CatalogueMark) -> bool {
    std::fs::read(folder.join(MARKER)).ok().as_deref() == Some(&catalogue.identity[..])
}

/// Why a search index is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// Its numbers mean other files.
    #[error("the search index does not belong to the catalogue")]
    OfAnother,
    /// One out of a backup may hold files that were swept since.
    #[error("the search index is older than the last sweep")]
    MissedSweep,
    /// A disk can lose what it had acknowledged. The numbers that are missing will mean other changes.
    #[error("the search index knows more than the catalogue")]
    Ahead,
    #[error(transparent)]
    Unreadable(IndexerError),
}

impl Unfit {
    fn by_revision(seen: u64, catalogue: &CatalogueMark) -> Option<Self> {
        match seen {
            // A new one is filled from what is there now.
            0 => None,
            _ if seen < catalogue.swept_revision => Some(Self::MissedSweep),
            _ if seen > catalogue.revision => Some(Self::Ahead),
            _ => None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Indexer(#[from] IndexerError),
    #[error(transparent)]
    Store(#[from] StoreError),
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
    let mut blocks_known = !feed.index.blocks.has_rules();
    while !stopping.is_cancelled() {
        let caught_up = async {
            // Nothing may be found before it is known what must not be.
            if !blocks_known {
                feed.index.enforce_blocks().await?;
                blocks_known = true;
            }
            feed.catch_up().await
        };
        let pause = match caught_up.await {
            Ok(()) => LOOK,
            Err(error) => {
                tracing::error!(%error, "the search index falls behind");
                metrics::counter!("choir_index_indexer_failures_total").increment(1);
                feed.index.caught_up.store(false, Ordering::Relaxed);
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
        self.blocking(Indexer::recover).await?;
        let mut seen = self.indexer.as_ref().ok_or(FeedError::Lost)?.last_revision();
        // Asked before the files: whatever has changed up to it is among them. Which file had it does not matter, and
        // it may have been swept.
        let newest = self.index.store.revision().await?;
        let (begun, mut uncommitted) = (Instant::now(), 0);
        while seen < newest && !self.index.stopping.is_cancelled() {
            let mut files = self.index.store.changed_files(seen, BATCH).await?;
            let more = files.len() == BATCH as usize;
            uncommitted += files.len();
            seen = files.last().map_or(seen, |last| last.revision);
            if !more {
                seen = seen.max(newest);
            }
            self.index.sift_blocked(&mut files).await?;
            let commit = seen >= newest || uncommitted >= COMMIT_FILES;
            self.blocking(move |indexer| {
                indexer.apply(&files)?;
                if commit { indexer.commit(seen) } else { Ok(()) }
            })
            .await?;
            if commit {
                self.index.indexed_revision.send_replace(seen);
                tracing::debug!(files = uncommitted, revision = seen, "the search index has caught up");
                metrics::counter!("choir_index_files_indexed_total").increment(uncommitted as u64);
                uncommitted = 0;
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
        let worked = giving_way(move || {
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::ops::ControlFlow;

    use super::*;
    use crate::store::KEPT_S;
    use crate::store::testing::{NOW, World, file, song};

    /// Opens the search index, tells it what has changed, and closes it. Its last revision at the start and the end.
    async fn catch_up(folder: &Path, store: &Store) -> (u64, u64) {
        let (mut indexer, engine) = open(folder, store).await.unwrap();
        let begun = indexer.last_revision();
        let (last, files) = (store.revision().await.unwrap(), store.changed_files(begun, 100).await.unwrap());
        let worked = tokio::task::spawn_blocking(move || {
            indexer.apply(&files).unwrap();
            indexer.commit(last).unwrap();
            drop((indexer, engine));
        });
        worked.await.unwrap();
        (begun, last)
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let to = to.join(entry.file_name());
            match entry.path() {
                folder if folder.is_dir() => copy(&folder, &to),
                file => assert!(fs::copy(file, to).is_ok()),
            }
        }
    }

    #[tokio::test]
    async fn a_search_index_that_missed_a_sweep_is_built_anew() {
        let (world, dir) = (World::new().await, tempfile::tempdir().unwrap());
        let (folder, backup) = (dir.path().join("search"), dir.path().join("backup"));
        let mut anna = world.member(1).await;
        anna.share(&world, &[(1, &song("One")), (2, &song("Two"))]).await;
        assert_eq!(catch_up(&folder, &world.store).await, (0, 2));
        copy(&folder, &backup);

        let remove = anna.change(&[], &[1]);
        anna.send(&world, remove).await.unwrap();
        assert_eq!(catch_up(&folder, &world.store).await, (2, 3));
        for now in [NOW, NOW + KEPT_S] {
            let mut sweep = world.store.sweep(now, 3).await.unwrap();
            while let ControlFlow::Continue(()) = sweep.step().await.unwrap() {}
        }
        assert_eq!(world.store.file_no(&file(1)).await.unwrap(), None);
        assert_eq!(catch_up(&folder, &world.store).await, (3, 3), "it has seen all that was swept");

        fs::remove_dir_all(&folder).unwrap();
        copy(&backup, &folder);
        assert_eq!(catch_up(&folder, &world.store).await, (0, 3), "file 1 cannot be told to it any more");
        assert_eq!(catch_up(&folder, &world.store).await, (3, 3), "and once is enough");
    }
}
