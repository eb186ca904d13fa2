//! The one writer of the search index.
//!
//! - **It lags behind the store and may be thrown away.** Each commit carries the last revision it has seen, so that
//!   after a restart only what is missing is replayed; an index that cannot be read, or that another version of the
//!   program made, is deleted and filled again from the store.
//! - **A file is one document**, replaced whole whenever anything about it changes.
//! - **One thread** fills a segment at a time; the disk and the words of the claims are the limit in ordinary life,
//!   and the other cores answer searches.
//!
//! All calls block on the disk.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use tantivy::directory::MmapDirectory;
use tantivy::directory::error::{LockError, OpenWriteError};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyError};

use super::file_set::FileSet;
use super::schema::{self, Fields, SCHEMA_VERSION};
use super::snapshot::Snapshot;
use crate::store::IndexedFile;

/// The writer's memory: the more, the fewer segments a rebuild makes. tantivy asks for at least 15 MB.
const WRITER_BYTES: usize = 128 << 20;

/// The folder within the one that the caller names. It is ours alone, because it may get deleted.
const FOLDER: &str = "files";

/// Beside that folder; whoever holds its lock may write or delete what is in there.
const LOCK_FILE: &str = "lock";

/// Where searches find the newest snapshot.
pub(super) type Shelf = Arc<RwLock<Arc<Snapshot>>>;

/// Why the search index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexerError {
    #[error("another process writes the search index")]
    InUse,
    #[error("the search index failed and was not opened again")]
    Failed,
    #[error("the search index is damaged, in {path}", path = .0.display())]
    Damaged(PathBuf),
    #[error("the search index is of another version of this program")]
    OtherVersion,
    #[error("the search index cannot be used: {0}")]
    Io(#[from] io::Error),
    #[error("the search index cannot be used: {0}")]
    Engine(#[from] TantivyError),
}

impl IndexerError {
    /// Whether the disk takes nothing now. To begin anew would not help, and cost what is there.
    pub(crate) fn is_of_the_disk(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let kind = match self {
            Self::Io(error) => error.kind(),
            Self::Engine(
                TantivyError::IoError(error)
                | TantivyError::LockFailure(LockError::IoError(error), _)
                | TantivyError::OpenWriteError(OpenWriteError::IoError { io_error: error, .. }),
            ) => error.kind(),
            _ => return false,
        };
        [PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull].contains(&kind)
    }
}

/// The writing half of the search index.
pub struct Indexer {
    folder: PathBuf,
    fields: Fields,
    /// Gone after a failure: tantivy's is of no use any more, and what was not committed is lost.
    writer: Option<IndexWriter>,
    reader: IndexReader,
    shelf: Shelf,
    known: FileSet,
    last_revision: u64,
    _lock: File,
}

/// What a commit says of itself.
#[derive(Serialize, Deserialize)]
struct Payload {
    schema_version: u32,
    last_revision: u64,
}

impl Indexer {
    /// Opens the index in `folder`, or begins a new one.
    pub(super) fn open(folder: &Path) -> Result<Self, IndexerError> {
        fs::create_dir_all(folder)?;
        let lock = File::create(folder.join(LOCK_FILE))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => IndexerError::InUse,
            TryLockError::Error(error) => error.into(),
        })?;
        let folder = folder.join(FOLDER);
        let Opened { fields, writer, reader, snapshot, last_revision } = Opened::open(&folder)?;
        let known = known(&snapshot);
        let shelf = Arc::new(RwLock::new(Arc::new(snapshot)));
        Ok(Self { folder, fields, writer: Some(writer), reader, shelf, known, last_revision, _lock: lock })
    }

    /// The last revision that the index in `folder` has seen, after all of it was read; 0 if there is none. Nothing is
    /// changed, and nobody may write to it meanwhile.
    pub(super) fn inspect(folder: &Path) -> Result<u64, IndexerError> {
        let folder = folder.join(FOLDER);
        if !folder.exists() {
            return Ok(0);
        }
        Sound::read(&folder).map(|sound| sound.last_revision)
    }

    /// After a failure: goes back to the last commit, so that all that came after it must be applied again. Searches
    /// go on all the while.
    pub fn recover(&mut self) -> Result<(), IndexerError> {
        if self.writer.is_some() {
            return Ok(());
        }
        let Opened { fields, writer, reader, snapshot, last_revision } = Opened::open(&self.folder)?;
        self.known = known(&snapshot);
        *self.shelf.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
        (self.fields, self.writer, self.reader, self.last_revision) = (fields, Some(writer), reader, last_revision);
        Ok(())
    }

    pub(super) fn shelf(&self) -> Shelf {
        Arc::clone(&self.shelf)
    }

    /// The last revision that the index on disk has seen; 0 if it is new. All files changed since must be applied.
    pub fn last_revision(&self) -> u64 {
        self.last_revision
    }

    /// Takes over files as they are now. Searches see them after the next [`commit`](Self::commit).
    pub fn apply(&mut self, files: &[IndexedFile]) -> Result<(), IndexerError> {
        self.write(|writer, known, fields| {
            for file in files {
                // Deleting what is not there costs a look into every segment.
                if known.contains(file.no) {
                    writer.delete_term(fields.term_of(file.no));
                    known.remove(file.no);
                }
                if let Some(document) = fields.document(file) {
                    writer.add_document(document)?;
                    known.insert(file.no);
                }
            }
            Ok(())
        })
    }

    /// Writes all that was applied to disk, together with the last revision in it, and shows it to searches.
    pub fn commit(&mut self, last_revision: u64) -> Result<(), IndexerError> {
        let payload = Payload { schema_version: SCHEMA_VERSION, last_revision };
        let payload = serde_json::to_string(&payload).map_err(io::Error::from)?;
        self.write(|writer, _, _| {
            let mut commit = writer.prepare_commit()?;
            commit.set_payload(&payload);
            commit.commit()?;
            Ok(())
        })?;
        self.last_revision = last_revision;
        self.reader.reload()?;
        let before = Arc::clone(&self.shelf.read().unwrap_or_else(PoisonError::into_inner));
        let snapshot = Arc::new(Snapshot::new(self.reader.searcher(), self.fields, Some(&before))?);
        *self.shelf.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
        Ok(())
    }
}

impl Indexer {
    /// A writer that has failed once is not used again.
    fn write(
        &mut self,
        work: impl FnOnce(&mut IndexWriter, &mut FileSet, &Fields) -> Result<(), IndexerError>,
    ) -> Result<(), IndexerError> {
        let mut writer = self.writer.take().ok_or(IndexerError::Failed)?;
        work(&mut writer, &mut self.known, &self.fields)?;
        self.writer = Some(writer);
        Ok(())
    }
}

/// The files that searches may find.
fn known(snapshot: &Snapshot) -> FileSet {
    let mut known = FileSet::default();
    for (segment, reader) in snapshot.segments() {
        reader.doc_ids_alive().for_each(|document| known.insert(segment.file(document)));
    }
    known
}

/// An index that was read from end to end, and is of this version.
struct Sound {
    fields: Fields,
    index: Index,
    last_revision: u64,
}

impl Sound {
    fn read(folder: &Path) -> Result<Self, IndexerError> {
        let (fields, schema) = Fields::new();
        let index = Index::open_in_dir(folder)?;
        // Reads all of it, some hundred MB for ten million files. A search would not notice that it reads nonsense.
        if let Some(damaged) = index.validate_checksum()?.into_iter().next() {
            return Err(IndexerError::Damaged(damaged));
        }
        let metas = index.load_metas()?;
        let payload = match metas.payload {
            Some(payload) => serde_json::from_str(&payload).ok(),
            // Nothing was ever committed.
            None if metas.segments.is_empty() => Some(Payload { schema_version: SCHEMA_VERSION, last_revision: 0 }),
            None => None,
        };
        let same = index.schema() == schema && *index.settings() == schema::settings();
        match payload {
            Some(Payload { schema_version: SCHEMA_VERSION, last_revision }) if same => {
                Ok(Self { fields, index, last_revision })
            }
            _ => Err(IndexerError::OtherVersion),
        }
    }
}

/// An index that can be read and written.
struct Opened {
    fields: Fields,
    writer: IndexWriter,
    reader: IndexReader,
    snapshot: Snapshot,
    last_revision: u64,
}

impl Opened {
    /// What is in `folder`, or a new index if that cannot be read.
    fn open(folder: &Path) -> Result<Self, IndexerError> {
        if !folder.exists() {
            return Self::create(folder);
        }
        match Self::existing(folder) {
            Err(error) if !error.is_of_the_disk() => {
                tracing::warn!(%error, "the search index is built anew");
                fs::remove_dir_all(folder)?;
                Self::create(folder)
            }
            opened => opened,
        }
    }

    fn existing(folder: &Path) -> Result<Self, IndexerError> {
        let Sound { fields, index, last_revision } = Sound::read(folder)?;
        Self::new(fields, index, last_revision)
    }

    fn create(folder: &Path) -> Result<Self, IndexerError> {
        fs::create_dir_all(folder)?;
        let (fields, schema) = Fields::new();
        let directory = MmapDirectory::open(folder).map_err(TantivyError::from)?;
        Self::new(fields, Index::create(directory, schema, schema::settings())?, 0)
    }

    fn new(fields: Fields, mut index: Index, last_revision: u64) -> Result<Self, IndexerError> {
        index.set_tokenizers(schema::tokenizers());
        let writer = index.writer_with_num_threads(1, WRITER_BYTES)?;
        let reader: IndexReader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let snapshot = Snapshot::new(reader.searcher(), fields, None)?;
        Ok(Self { fields, writer, reader, snapshot, last_revision })
    }
}
