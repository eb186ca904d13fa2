//! One song, as every sharer of a story has it.

use std::fs::File;
use std::future::ready;
use std::io::Write as _;
use std::sync::Arc;

use choir_peer::download::BoxFuture;
use choir_peer::upload::shelf::{CheckedFile, Contents, Shelf, ShelvedFile, Visibility};
use choir_shared::merkle::TreeHasher;
use choir_shared::{Digest, FileId};

use crate::fixtures;

/// The name of the only collection.
pub(super) const COLLECTION: &str = "everyone";

pub struct Song {
    pub id: FileId,
    pub bytes: Vec<u8>,
    leaves: Arc<[Digest]>,
    file: Arc<File>,
}

impl Song {
    /// One of so many bytes.
    ///
    /// # Panics
    /// If it finds no room in the temporary folder.
    pub fn of(bytes: usize) -> Arc<Self> {
        let bytes = fixtures::noise("Song", "Simulated", bytes, 1);
        let mut hasher = TreeHasher::new();
        hasher.update(&bytes);
        let hashed = hasher.finish().expect("a song has bytes");
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&bytes).expect("room for a song");
        Arc::new(Self { id: hashed.id, bytes, leaves: hashed.leaves.into(), file: Arc::new(file) })
    }

    /// The same song on a disk that fails to read what lies past so many bytes.
    ///
    /// # Panics
    /// If it finds no room in the temporary folder.
    pub fn readable_until(&self, bytes: usize) -> Arc<Self> {
        let mut file = tempfile::tempfile().expect("a temporary file");
        // Nobody looks at its length, so that its end is a failure.
        file.write_all(&self.bytes[..bytes]).expect("room for a song");
        let (bytes, leaves) = (self.bytes.clone(), Arc::clone(&self.leaves));
        Arc::new(Self { id: self.id, bytes, leaves, file: Arc::new(file) })
    }
}

impl Shelf for Song {
    fn find(&self, file: FileId) -> BoxFuture<'_, Option<ShelvedFile>> {
        let content = Arc::clone(&self.file);
        let shelved =
            ShelvedFile::new(Visibility::Collections(vec![COLLECTION.to_owned()]), Contents::Whole, move || {
                CheckedFile::new(content.try_clone()?, |_unchanging| true)
            });
        Box::pin(ready((file == self.id).then_some(shelved)))
    }

    fn leaves(&self, file: FileId) -> BoxFuture<'_, Option<Arc<[Digest]>>> {
        Box::pin(ready((file == self.id).then(|| Arc::clone(&self.leaves))))
    }

    fn recheck(&self, _file: FileId) {}
}
