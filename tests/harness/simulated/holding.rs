//! What one peer of a story has of the song, for itself and for others.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use choir_peer::download::BoxFuture;
use choir_peer::download::parts::Parts;
use choir_peer::upload::admit::Audience;
use choir_peer::upload::shelf::{CheckedFile, Contents, Shelf, ShelvedFile, Visibility};
use choir_shared::{Digest, FileId};

use super::Song;

pub(super) struct Holding {
    song: Arc<Song>,
    /// Of the download that is under way.
    pub(super) parts: Parts,
    is_whole: AtomicBool,
}

/// What the index says of a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stock {
    Nothing,
    Part,
    Whole,
}

impl Holding {
    pub(super) fn whole(song: &Arc<Song>) -> Arc<Self> {
        let holding = Self::nothing(song);
        holding.complete();
        holding
    }

    pub(super) fn nothing(song: &Arc<Song>) -> Arc<Self> {
        Arc::new(Self { song: Arc::clone(song), parts: Parts::default(), is_whole: AtomicBool::new(false) })
    }

    /// Everything is here.
    pub(super) fn complete(&self) {
        self.is_whole.store(true, Ordering::Relaxed);
    }

    pub(super) fn stock(&self) -> Stock {
        match (self.is_whole.load(Ordering::Relaxed), self.parts.files().is_empty()) {
            (true, _) => Stock::Whole,
            (false, false) => Stock::Part,
            (false, true) => Stock::Nothing,
        }
    }

    fn among_parts(&self, file: FileId) -> Option<ShelvedFile> {
        let open = self.parts.find(&file)?;
        let contents = Contents::Part { held: open.held(), layer: Arc::clone(&open.layer) };
        let open = move || CheckedFile::new(open.part.reader()?, |_| true);
        Some(ShelvedFile::new(Visibility::Audience(Audience::Anyone), contents, open))
    }
}

impl Shelf for Holding {
    fn find(&self, file: FileId) -> BoxFuture<'_, Option<ShelvedFile>> {
        match self.stock() {
            Stock::Whole => self.song.find(file),
            Stock::Part | Stock::Nothing => Box::pin(ready(self.among_parts(file))),
        }
    }

    fn leaves(&self, file: FileId) -> BoxFuture<'_, Option<Arc<[Digest]>>> {
        self.song.leaves(file)
    }

    fn recheck(&self, _file: FileId) {}
}
