mod albums;
mod life;
mod pages;
mod relevance;
mod scan;
mod scores;
mod words;

use choir_shared::claim::Format;
use choir_shared::leaf::FileLength;
use choir_shared::query::SearchParams;
use choir_shared::{Claim, Digest, FileId};
use tempfile::TempDir;

use super::*;
use crate::store::{IndexedFile, MemberNo};

const EVERYBODY: MemberNo = MemberNo(1);

/// An index of songs, all online unless said otherwise.
struct Catalogue {
    folder: TempDir,
    indexer: Indexer,
    engine: SearchEngine,
    online: Online,
    files: Vec<IndexedFile>,
}

impl Catalogue {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (indexer, engine) = SearchEngine::open(folder.path()).unwrap();
        let online = Online::new();
        online.arrive(EVERYBODY, &[]);
        Self { folder, indexer, engine, online, files: Vec::new() }
    }

    /// Songs that one commit makes searchable, numbered from 1.
    fn with(claims: impl IntoIterator<Item = Claim>) -> Self {
        let mut catalogue = Self::empty();
        for claim in claims {
            let no = catalogue.files.len() as u32 + 1;
            catalogue.files.push(file(no, claim, 1));
        }
        let files = catalogue.files.clone();
        catalogue.apply(&files);
        catalogue
    }

    fn apply(&mut self, files: &[IndexedFile]) {
        self.indexer.apply(files).unwrap();
        self.indexer.commit(files.iter().map(|file| file.revision).max().unwrap_or(0)).unwrap();
        self.online.add(EVERYBODY, &files.iter().map(|file| file.no).collect::<Vec<_>>());
    }

    fn search(&self, params: SearchParams) -> Found {
        self.engine.search(&params.parse().unwrap(), &self.online, None).unwrap()
    }

    fn find(&self, q: &str) -> Vec<u32> {
        numbers(&self.search(words(q)))
    }
}

fn file(no: u32, claim: Claim, holders: u32) -> IndexedFile {
    let id = FileId::new(Digest::of(&no.to_le_bytes()), FileLength::new(1_000 + u64::from(no)).unwrap());
    IndexedFile { no: FileNo(no), id, revision: u64::from(no), claim, holders, blocked: false }
}

fn song(artist: &str, title: &str) -> Claim {
    Claim {
        artist: Some(artist.to_owned()),
        title: Some(title.to_owned()),
        format: Format::new("flac").unwrap(),
        ..Claim::default()
    }
}

fn words(q: &str) -> SearchParams {
    SearchParams { q: Some(q.to_owned()), ..SearchParams::default() }
}

fn numbers(found: &Found) -> Vec<u32> {
    found.hits.iter().map(|no| no.0).collect()
}
