//! Uploads between real endpoints on loopback.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, Metadata};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use choir_shared::Digest;
use choir_shared::dial::Surroundings;
use choir_shared::identity::SecretKey;
use choir_shared::leaf::LeafRange;
use choir_shared::merkle::{HashedFile, TreeHasher, TreeLayer, verify_leaves};
use choir_shared::ticket::Ticket;
use choir_shared::wire::{CloseCode, Enter, Get, HEADER_BYTES, Header, Hello, No, Reason, StreamCode};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::admit::Audience;
use super::shelf::{CheckedFile, Contents, ShelvedFile, Visibility};
use super::*;
use crate::connectivity::{Endpoint, EndpointOptions, Reach, Route};
use crate::session::SessionError;
use crate::session::asking::{Answer, Delivery, QueueNews, QueuePlace};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const COLLECTION: &str = "everyone";
const MIB: usize = 1 << 20;

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
}

type Stamp = (u64, i64, i64, u64);

fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.len(), metadata.mtime_nsec(), metadata.ctime_nsec(), metadata.ino())
}

impl Shelf for Folder {
    fn find(&self, file: FileId) -> BoxFuture<'_, Option<ShelvedFile>> {
        let found = self.files.get(&file).map(|Shelved { path, stamp: hashed, .. }| {
            let (path, hashed) = (path.clone(), *hashed);
            ShelvedFile::new(Visibility::Collections(vec![COLLECTION.into()]), Contents::Whole, move || {
                CheckedFile::new(File::open(&path)?, move |metadata| stamp(metadata) == hashed)
            })
        });
        std::future::ready(found).boxed()
    }

    fn leaves(&self, file: FileId) -> BoxFuture<'_, Option<Arc<[Digest]>>> {
        std::future::ready(self.files.get(&file).map(|file| Arc::clone(&file.leaves))).boxed()
    }

    fn recheck(&self, file: FileId) {
        self.rechecks.try_send(file).unwrap();
    }
}

/// A peer that shares files and serves whoever comes.
struct Sharer {
    uploads: Uploads,
    reach: Reach,
    ids: Vec<FileId>,
    paths: Vec<PathBuf>,
    rechecks: mpsc::Receiver<FileId>,
    cancel: CancellationToken,
    tracker: TaskTracker,
}

fn rules(audience: Audience) -> Rules {
    Rules { banned: HashSet::new(), audiences: BTreeMap::from([(COLLECTION.into(), audience)]), parts: None }
}

/// The bytes of every test file; a file of another length begins the same.
fn content(bytes: usize) -> Vec<u8> {
    // A period that is a prime, so that no two leaves are the same.
    let pattern: Vec<u8> = (0..65_521usize).map(|i| (i ^ (i >> 8)) as u8).collect();
    let mut content = pattern.repeat(bytes / pattern.len() + 1);
    content.truncate(bytes);
    content
}

impl Sharer {
    fn with(slots: usize, sizes: &[usize]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut files, mut ids, mut paths) = (HashMap::new(), Vec::new(), Vec::new());
        for size in sizes {
            let path = folder.path().join(size.to_string());
            let mut hasher = TreeHasher::new();
            let bytes = content(*size);
            hasher.update(&bytes);
            std::fs::write(&path, bytes).unwrap();
            let HashedFile { id, leaves } = hasher.finish().unwrap();
            let stamp = stamp(&path.metadata().unwrap());
            files.insert(id, Shelved { path: path.clone(), leaves: leaves.into(), stamp });
            ids.push(id);
            paths.push(path);
        }
        let (recheck, rechecks) = mpsc::channel(16);
        let shelf = Arc::new(Folder { _folder: folder, files, rechecks: recheck });
        let (cancel, tracker) = (CancellationToken::new(), TaskTracker::new());
        let options = Options { slots, rules: rules(Audience::Anyone), ..Options::default() };
        let uploads = Uploads::new(shelf, options, cancel.clone(), &tracker);

        let (reach, mut sessions) = peer(1, Vec::new());
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
    async fn visitor(&self, seed: u8) -> Visitor {
        self.visitor_with(seed, Vec::new()).await
    }

    async fn visitor_with(&self, seed: u8, tickets: Vec<Ticket>) -> Visitor {
        let (reach, sessions) = peer(seed, tickets);
        let route = Route {
            peer: self.reach.endpoint().secret().peer_id(),
            candidates: vec![self.reach.endpoint().local_address().unwrap()],
            observed: None,
            surroundings: Surroundings { index: LOOPBACK, observed: None, attached: Vec::new() },
        };
        let session = reach.connect(&route).await.unwrap();
        Visitor { session, reach, _sessions: sessions }
    }

    /// Waits until the list of uploads is as wanted.
    async fn until(&self, wanted: impl Fn(&[UploadStatus]) -> bool) {
        let mut changes = self.uploads.watch();
        while !wanted(&self.uploads.list()) {
            changes.changed().await.unwrap();
        }
    }
}

fn peer(seed: u8, tickets: Vec<Ticket>) -> (Reach, mpsc::Receiver<Session>) {
    let options = EndpointOptions::new(SocketAddr::new(LOOPBACK, 0));
    let endpoint = Endpoint::bind(SecretKey::from_seed(&[seed; 32]), options).unwrap();
    let (begun, sessions) = mpsc::channel(16);
    let hello = move || Hello { minor: 0, features: 0, agent: "test".into(), tickets: tickets.clone() };
    (Reach::new(endpoint, hello, |_| false, begun), sessions)
}

struct Visitor {
    session: Session,
    reach: Reach,
    _sessions: mpsc::Receiver<Session>,
}

impl Visitor {
    async fn ask(&self, file: FileId, range: Option<LeafRange>, want_layer: bool) -> Answer {
        let (first_leaf, leaf_count) = range.map_or((0, 0), |range| (range.first(), range.count()));
        self.session.get(&Get { file, first_leaf, leaf_count, want_layer, priority: 0 }).await.unwrap()
    }

    async fn have(&self, file: FileId, range: LeafRange) -> Delivery {
        match self.ask(file, Some(range), false).await {
            Answer::Have(delivery) => *delivery,
            Answer::No(no) => panic!("{no:?}"),
        }
    }

    async fn refused(&self, file: FileId, range: LeafRange) -> Reason {
        match self.ask(file, Some(range), false).await {
            Answer::Have(_) => panic!("served"),
            Answer::No(No { reason, .. }) => reason,
        }
    }

    async fn enter(&self) -> QueuePlace {
        self.session.enter(&Enter { files: 1, bytes: 1 }).await.unwrap()
    }

    /// Takes a place that becomes a slot at once.
    async fn slot(&self) -> QueuePlace {
        let mut place = self.enter().await;
        granted(&mut place).await;
        place
    }
}

async fn granted(place: &mut QueuePlace) {
    let news = place.next().await.unwrap();
    assert!(matches!(&news, QueueNews::Granted(granted) if granted.idle_ms == 10_000), "{news:?}");
}

async fn read_all(mut delivery: Delivery) -> Result<Vec<u8>, SessionError> {
    let mut bytes = Vec::new();
    while let Some(some) = delivery.read(MIB).await? {
        bytes.extend_from_slice(&some);
    }
    Ok(bytes)
}

fn whole(file: FileId) -> LeafRange {
    file.length().whole()
}

fn leaves(file: FileId, first: u32, count: u32) -> LeafRange {
    file.length().range(first, count).unwrap()
}

#[tokio::test]
async fn a_range_and_its_layer_are_served_as_they_were_hashed() {
    let sharer = Sharer::with(1, &[3 * MIB + 77]);
    let file = sharer.ids[0];
    let visitor = sharer.visitor(2).await;
    let _slot = visitor.slot().await;
    let Answer::Have(mut delivery) = visitor.ask(file, Some(whole(file)), true).await else { panic!("refused") };
    assert!(delivery.leaves.is_full());
    let layer = TreeLayer::verify(file, delivery.read_layer(file).await.unwrap()).unwrap();
    let bytes = read_all(*delivery).await.unwrap();
    assert_eq!(bytes, content(3 * MIB + 77));
    assert_eq!(verify_leaves(&bytes, layer.nodes()), Ok(()));

    let last_two = leaves(file, whole(file).count() - 2, 2);
    let tail = read_all(visitor.have(file, last_two).await).await.unwrap();
    assert_eq!(tail, content(3 * MIB + 77)[last_two.first() as usize * 16_384..]);
    assert_eq!(sharer.uploads.totals().bytes_sent, (bytes.len() + tail.len()) as u64);
    let [status] = &sharer.uploads.list()[..] else { panic!("one line is expected") };
    assert_eq!((status.file_id, status.bytes_sent), (Some(file), (bytes.len() + tail.len()) as u64));
}

#[tokio::test]
async fn ranges_of_large_files_carry_their_leaf_hashes_and_must_be_aligned() {
    let sharer = Sharer::with(1, &[129 * MIB]);
    let file = sharer.ids[0];
    let visitor = sharer.visitor(2).await;
    let _slot = visitor.slot().await;
    let Answer::Have(mut delivery) = visitor.ask(file, None, true).await else { panic!("refused") };
    let layer = TreeLayer::verify(file, delivery.read_layer(file).await.unwrap()).unwrap();
    assert_eq!(layer.leaves_per_node(), 2);
    let range = leaves(file, 128, 64);
    let mut delivery = visitor.have(file, range).await;
    let hashes = delivery.read_leaf_hashes(range).await.unwrap();
    assert_eq!(layer.check_leaf_hashes(range, &hashes), Ok(()));
    assert_eq!(verify_leaves(&read_all(delivery).await.unwrap(), &hashes), Ok(()));
    assert_eq!(visitor.refused(file, leaves(file, 129, 64)).await, Reason::Refused);
}

#[tokio::test]
async fn without_a_slot_only_the_beginning_is_served_and_only_so_often() {
    let sharer = Sharer::with(1, &[MIB]);
    let file = sharer.ids[0];
    let visitor = sharer.visitor(2).await;
    assert_eq!(visitor.refused(file, whole(file)).await, Reason::Busy);
    assert_eq!(visitor.refused(file, leaves(file, 3, 2)).await, Reason::Busy);
    let beginning = leaves(file, 0, 4);
    assert_eq!(read_all(visitor.have(file, beginning).await).await.unwrap(), content(65_536));
    let mut served = 1;
    while let Answer::Have(_) = visitor.ask(file, Some(beginning), false).await {
        served += 1;
        assert!(served < 1000, "the budget has no end");
    }
    assert!(served >= 60);
}

#[tokio::test]
async fn a_place_becomes_a_slot_when_the_one_before_leaves_and_what_that_was_sent_ends() {
    let sharer = Sharer::with(1, &[64 * MIB]);
    let file = sharer.ids[0];
    let (first, second) = (sharer.visitor(2).await, sharer.visitor(3).await);
    let slot = first.slot().await;
    let unread = first.have(file, whole(file)).await;
    let mut place = second.enter().await;
    let news = place.next().await.unwrap();
    assert!(matches!(&news, QueueNews::Place(place) if place.ahead == 0), "{news:?}");
    assert_eq!(second.refused(file, leaves(file, 0, 5)).await, Reason::Busy);
    let states: Vec<_> = sharer.uploads.list().into_iter().map(|status| status.state).collect();
    assert_eq!(states, [UploadState::Sending, UploadState::Queued { ahead: 0 }]);

    drop(slot);
    granted(&mut place).await;
    assert!(matches!(read_all(unread).await, Err(SessionError::Ended(Some(StreamCode::SlotEnded)))));
    assert_eq!(read_all(second.have(file, leaves(file, 0, 64)).await).await.unwrap(), content(MIB));
    sharer.until(|list| matches!(list, [only] if only.state == UploadState::SlotIdle)).await;
}

#[tokio::test]
async fn a_lost_connection_leaves_no_place_behind() {
    let sharer = Sharer::with(1, &[MIB]);
    let (first, second, third) = (sharer.visitor(2).await, sharer.visitor(3).await, sharer.visitor(4).await);
    let _slot = first.slot().await;
    let _waiting = second.enter().await;
    sharer.until(|list| list.len() == 2).await;
    let mut place = third.enter().await;
    assert!(matches!(place.next().await.unwrap(), QueueNews::Place(place) if place.ahead == 1));
    second.reach.endpoint().close().await;
    assert!(matches!(place.next().await.unwrap(), QueueNews::Place(place) if place.ahead == 0));
    first.session.close(CloseCode::Done);
    granted(&mut place).await;
}

#[tokio::test]
async fn a_second_place_of_the_same_peer_takes_the_slot_over() {
    let sharer = Sharer::with(1, &[MIB]);
    let visitor = sharer.visitor(2).await;
    let mut old = visitor.slot().await;
    let _new = visitor.slot().await;
    assert!(matches!(old.next().await, Err(SessionError::Ended(_))));
    assert_eq!(sharer.uploads.list().len(), 1);
    assert!(visitor.session.is_alive());
}

#[tokio::test]
async fn a_changed_file_is_not_served_and_hashed_again() {
    let mut sharer = Sharer::with(1, &[MIB]);
    let file = sharer.ids[0];
    let visitor = sharer.visitor(2).await;
    let _slot = visitor.slot().await;
    std::fs::write(&sharer.paths[0], b"another song").unwrap();
    assert_eq!(visitor.refused(file, whole(file)).await, Reason::Changed);
    assert_eq!(sharer.rechecks.recv().await, Some(file));
    std::fs::remove_file(&sharer.paths[0]).unwrap();
    assert_eq!(visitor.refused(file, whole(file)).await, Reason::Changed);
    assert!(sharer.rechecks.try_recv().is_err(), "once in a while is enough");
}

#[tokio::test]
async fn a_file_that_changes_on_the_way_ends_the_transfer() {
    let mut sharer = Sharer::with(1, &[64 * MIB]);
    let file = sharer.ids[0];
    let visitor = sharer.visitor(2).await;
    let _slot = visitor.slot().await;
    // Nobody reads, so that most of the file cannot have left yet.
    let delivery = visitor.have(file, whole(file)).await;
    File::options().write(true).open(&sharer.paths[0]).unwrap().set_len(1).unwrap();
    assert!(matches!(read_all(delivery).await, Err(SessionError::Ended(Some(StreamCode::Changed)))));
    assert_eq!(sharer.rechecks.recv().await, Some(file));
}

#[tokio::test]
async fn complaints_count_only_from_who_was_sent_the_file() {
    let mut sharer = Sharer::with(1, &[MIB, 2 * MIB]);
    let visitor = sharer.visitor(2).await;
    let [never_sent, sent] = sharer.ids[..] else { panic!("two files are shared") };
    read_all(visitor.have(sent, leaves(sent, 0, 1)).await).await.unwrap();
    visitor.session.complain(never_sent, 0).await;
    visitor.session.complain(sent, 1_000_000).await;
    visitor.session.complain(sent, 0).await;
    assert_eq!(sharer.rechecks.recv().await, Some(sent));
    assert!(sharer.rechecks.try_recv().is_err());
}

#[tokio::test]
async fn what_is_for_members_needs_a_ticket() {
    let sharer = Sharer::with(1, &[MIB]);
    let file = sharer.ids[0];
    let index = SecretKey::from_seed(&[9; 32]);
    sharer.uploads.set_rules(rules(Audience::MembersOf(vec![index.index_key()])));
    let stranger = sharer.visitor(2).await;
    assert_eq!(stranger.refused(file, leaves(file, 0, 1)).await, Reason::Refused);
    let mut place = stranger.enter().await;
    assert!(matches!(place.next().await.unwrap(), QueueNews::No(No { reason: Reason::Refused, .. })));

    let member = SecretKey::from_seed(&[3; 32]).peer_id();
    let member = sharer.visitor_with(3, vec![Ticket::issue(&index, member, u64::MAX / 2)]).await;
    let _slot = member.slot().await;
    assert_eq!(read_all(member.have(file, whole(file)).await).await.unwrap(), content(MIB));
}

#[tokio::test]
async fn who_is_banned_loses_the_connection() {
    let sharer = Sharer::with(1, &[MIB]);
    let visitor = sharer.visitor(2).await;
    let _slot = visitor.slot().await;
    let banned = HashSet::from([SecretKey::from_seed(&[2; 32]).peer_id()]);
    sharer.uploads.set_rules(Rules { banned, ..rules(Audience::Anyone) });
    assert_eq!(SessionError::from(visitor.session.closed().await).close_code(), Some(CloseCode::Banned));
}

#[tokio::test]
async fn what_is_not_shared_is_said_to_be_so() {
    let sharer = Sharer::with(1, &[MIB]);
    let other = Sharer::with(1, &[2 * MIB]).ids[0];
    let visitor = sharer.visitor(2).await;
    assert_eq!(visitor.refused(other, whole(other)).await, Reason::NotShared);
}

#[tokio::test]
async fn leaves_past_the_end_and_junk_close_the_connection_with_its_code() {
    let sharer = Sharer::with(1, &[MIB]);
    let visitor = sharer.visitor(2).await;
    let past = Get { file: sharer.ids[0], first_leaf: 64, leaf_count: 1, want_layer: false, priority: 0 };
    let lost = visitor.session.get(&past).await.err().unwrap();
    assert_eq!(lost.close_code(), Some(CloseCode::Malformed));

    // The kind of a Get, but nothing like one; and one that claims four gigabytes.
    for (request, code) in
        [([0, 0x10, 0, 0, 0, 1], CloseCode::Malformed), ([0, 0x10, 0xff, 0, 0, 0], CloseCode::Oversized)]
    {
        let visitor = sharer.visitor(3).await;
        let (mut send, _receive) = visitor.session.connection().open_bi().await.unwrap();
        send.write_all(&request).await.unwrap();
        send.write_all(&[0xff]).await.unwrap();
        assert_eq!(SessionError::from(visitor.session.closed().await).close_code(), Some(code));
    }
}

#[tokio::test]
async fn an_unknown_request_is_unsupported_and_the_connection_lives() {
    let sharer = Sharer::with(1, &[MIB]);
    let visitor = sharer.visitor(2).await;
    let (mut send, mut receive) = visitor.session.connection().open_bi().await.unwrap();
    send.write_all(&[0x77, 0x77, 0, 0, 0, 0]).await.unwrap();
    let answer = receive.read_to_end(100).await.unwrap();
    let (header, payload) = answer.split_first_chunk::<HEADER_BYTES>().unwrap();
    assert!(Header::parse(*header).is::<No>());
    assert_eq!(choir_shared::wire::decode::<No>(payload).unwrap().reason, Reason::Unsupported);
    let file = sharer.ids[0];
    assert_eq!(read_all(visitor.have(file, leaves(file, 0, 1)).await).await.unwrap(), content(16_384));
}

#[tokio::test]
async fn who_is_being_sent_to_when_all_ends_is_told_why() {
    let sharer = Sharer::with(2, &[64 * MIB]);
    let file = sharer.ids[0];
    let (banned, other) = (sharer.visitor(2).await, sharer.visitor(3).await);
    let _slots = (banned.slot().await, other.slot().await);
    // Nobody reads, so that the line is full of bytes when the connections are to be closed.
    let deliveries = [banned.have(file, whole(file)).await, other.have(file, whole(file)).await];
    let ban = HashSet::from([SecretKey::from_seed(&[2; 32]).peer_id()]);
    sharer.uploads.set_rules(Rules { banned: ban, ..rules(Audience::Anyone) });
    assert_eq!(SessionError::from(banned.session.closed().await).close_code(), Some(CloseCode::Banned));
    sharer.cancel.cancel();
    assert_eq!(SessionError::from(other.session.closed().await).close_code(), Some(CloseCode::Leaving));
    for delivery in deliveries {
        assert!(read_all(delivery).await.is_err(), "a part must not look like the whole");
    }
    drop(sharer.reach);
    sharer.tracker.close();
    sharer.tracker.wait().await;
}

#[tokio::test]
async fn what_is_being_sent_when_all_ends_is_ended_first() {
    let sharer = Sharer::with(1, &[MIB]);
    let file = sharer.ids[0];
    let visitor = sharer.visitor(2).await;
    // At a byte a second it would take a day; and without a slot there is no place that ends with the session.
    sharer.uploads.set_limit(Some(1));
    let delivery = visitor.have(file, leaves(file, 0, 4)).await;
    sharer.cancel.cancel();
    assert!(matches!(read_all(delivery).await, Err(SessionError::Ended(Some(StreamCode::SlotEnded)))));
}
