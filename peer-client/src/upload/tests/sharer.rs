//! A peer that shares files of known bytes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use choir_shared::dial::Surroundings;
use choir_shared::leaf::{FileLength, LEAF_BYTES};
use choir_shared::merkle::{HashedFile, TreeHasher, root};
use choir_shared::ticket::Ticket;
use choir_shared::{Digest, FileId};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::admit::{Audience, Rules};
use super::super::shelf::{CheckedFile, Contents, Shelf, ShelvedFile, Visibility};
use super::super::{Options, UploadStatus, Uploads};
use super::visitor::{LOOPBACK, Visitor, peer};
use crate::connectivity::{Reach, Route};

const COLLECTION: &str = "everyone";
pub(super) const MIB: usize = 1 << 20;

/// Some shared files in a temporary folder.
struct Folder {
    _folder: TempDir,
    files: HashMap<FileId, Shelved>,
    rechecks: mpsc::Sender<FileId>,
}

struct Shelved {
    path: PathBuf,
    leaves: Arc<[Digest]>,
    stamp: Stamp,
    contents: Contents,
}

type Stamp = (u64, i64, i64, u64);

fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.len(), metadata.mtime_nsec(), metadata.ctime_nsec(), metadata.ino())
}

impl Shelf for Folder {
    fn find(&self, file: FileId) -> BoxFuture<'_, Option<ShelvedFile>> {
        let found = self.files.get(&file).map(|Shelved { path, stamp: hashed, contents, .. }| {
            let (path, hashed) = (path.clone(), *hashed);
            ShelvedFile::new(Visibility::Collections(vec![COLLECTION.into()]), contents.clone(), move || {
                CheckedFile::new(File::open(&path)?, move |metadata| stamp(metadata) == hashed)
            })
        });
        std::future::ready(found).boxed()
    }

    fn leaves(&self, file: FileId) -> BoxFuture<'_, Option<Arc<[Digest]>>> {
        let whole = self.files.get(&file).filter(|file| matches!(file.contents, Contents::Whole));
        std::future::ready(whole.map(|file| Arc::clone(&file.leaves))).boxed()
    }

    fn recheck(&self, file: FileId) {
        self.rechecks.try_send(file).unwrap();
    }
}

/// A peer that shares files and serves whoever comes.
pub(super) struct Sharer {
    pub(super) uploads: Uploads,
    pub(super) reach: Reach,
    pub(super) ids: Vec<FileId>,
    pub(super) paths: Vec<PathBuf>,
    pub(super) rechecks: mpsc::Receiver<FileId>,
    pub(super) cancel: CancellationToken,
    pub(super) tracker: TaskTracker,
}

pub(super) fn rules(audience: Audience) -> Rules {
    Rules { banned: HashSet::new(), audiences: BTreeMap::from([(COLLECTION.into(), audience)]), parts: None }
}

/// The bytes of every test file; a file of another length begins the same.
pub(super) fn content(bytes: usize) -> Vec<u8> {
    // A period that is a prime, so that no two leaves are the same.
    let pattern: Vec<u8> = (0..65_521usize).map(|i| (i ^ (i >> 8)) as u8).collect();
    let mut content = pattern.repeat(bytes / pattern.len() + 1);
    content.truncate(bytes);
    content
}

impl Sharer {
    pub(super) fn with(slots: usize, sizes: &[usize]) -> Self {
        Self::with_contents(slots, sizes, |_| Contents::Whole)
    }

    /// `contents` says how much of each file is to be had.
    pub(super) fn with_contents(slots: usize, sizes: &[usize], contents: impl Fn(&HashedFile) -> Contents) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hashed = sizes.iter().map(|size| {
            let path = folder.path().join(size.to_string());
            let mut hasher = TreeHasher::new();
            let bytes = content(*size);
            hasher.update(&bytes);
            std::fs::write(&path, bytes).unwrap();
            (path, hasher.finish().unwrap())
        });
        let hashed = hashed.collect();
        Self::sharing(slots, folder, hashed, contents)
    }

    /// Files of zeros, which take no room.
    pub(super) fn with_zeros(slots: usize, sizes: &[usize]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hashed = sizes.iter().map(|&size| {
            let path = folder.path().join(size.to_string());
            File::create(&path).unwrap().set_len(size as u64).unwrap();
            let (whole, rest) = (size / LEAF_BYTES as usize, size % LEAF_BYTES as usize);
            let mut leaves = vec![Digest::of(&[0; LEAF_BYTES as usize]); whole];
            leaves.extend((rest > 0).then(|| Digest::of(&vec![0; rest])));
            let id = FileId::new(root(&leaves), FileLength::new(size as u64).unwrap());
            (path, HashedFile { id, leaves })
        });
        let hashed = hashed.collect();
        Self::sharing(slots, folder, hashed, |_| Contents::Whole)
    }

    fn sharing(
        slots: usize,
        folder: TempDir,
        hashed: Vec<(PathBuf, HashedFile)>,
        contents: impl Fn(&HashedFile) -> Contents,
    ) -> Self {
        let (mut files, mut ids, mut paths) = (HashMap::new(), Vec::new(), Vec::new());
        for (path, hashed) in hashed {
            let contents = contents(&hashed);
            let HashedFile { id, leaves } = hashed;
            let stamp = stamp(&path.metadata().unwrap());
            files.insert(id, Shelved { path: path.clone(), leaves: leaves.into(), stamp, contents });
            ids.push(id);
            paths.push(path);
        }
        let (recheck, rechecks) = mpsc::channel(16);
        let shelf = Arc::new(Folder { _folder: folder, files, rechecks: recheck });
        let (cancel, tracker) = (CancellationToken::new(), TaskTracker::new());
        let options = Options { slots, rules: rules(Audience::Anyone), ..Options::default() };
        let uploads = Uploads::new(shelf, options, cancel.clone(), &tracker);

        let (reach, mut sessions, _) = peer(1, Vec::new());
        tracker.spawn(reach.clone().accept_until(cancel.clone()));
        let (serving, streams) = (uploads.clone(), tracker.clone());
        tracker.spawn(async move {
            while let Some(session) = sessions.recv().await {
                let uploads = serving.clone();
                streams.spawn(async move { uploads.serve(session).await });
            }
        });
        Self { uploads, reach, ids, paths, rechecks, cancel, tracker }
    }

    /// A new peer with a session to this one.
    pub(super) async fn visitor(&self, seed: u8) -> Visitor {
        self.visitor_with(seed, Vec::new()).await
    }

    pub(super) async fn visitor_with(&self, seed: u8, tickets: Vec<Ticket>) -> Visitor {
        Self::visit(&self.reach, seed, tickets).await
    }

    pub(super) async fn visit(sharer: &Reach, seed: u8, tickets: Vec<Ticket>) -> Visitor {
        let (reach, sessions, hello) = peer(seed, tickets);
        let route = Route {
            peer: sharer.endpoint().secret().peer_id(),
            candidates: vec![sharer.endpoint().local_address().unwrap()],
            observed: None,
            surroundings: Surroundings { index: LOOPBACK, observed: None, attached: Vec::new() },
        };
        let session = reach.connect(&route).await.unwrap();
        Visitor { session, reach, hello, _sessions: sessions }
    }

    /// Waits until the list of uploads is as wanted.
    pub(super) async fn until(&self, wanted: impl Fn(&[UploadStatus]) -> bool) {
        let mut changes = self.uploads.watch();
        while !wanted(&self.uploads.list()) {
            changes.changed().await.unwrap();
        }
    }
}
