//! What surrounds downloads in tests: an index that knows whom a test names, and sharers that serve what it lets them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use choir_shared::identity::SecretKey;
use choir_shared::leaf::{LEAF_BYTES, LeafRange, LeafSet};
use choir_shared::merkle::{TreeHasher, TreeLayer};
use choir_shared::wire::{Enter, Get, Granted, Have, LeavesHeld, No, Place, Reason, StreamCode, decode, encode};
use choir_shared::{FileId, PeerId};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

use super::about::About;
use super::alternate::Alternate;
use super::job::Workshop;
use super::links::Links;
use super::parts::Parts;
use super::priority::Priority;
use super::status::DownloadRequest;
use super::turns::Turns;
use super::{BoxFuture, Finder, FoundSource, IndexUnreachable, NoSession, Throttle};
use crate::session::Session;
use crate::session::asking::Arrivals;
use crate::session::fixture::Pair;
use crate::session::framing::{ReceiveHalf, SendHalf};
use crate::store::LocalDisk;

/// A file that can be had.
pub(crate) struct Song {
    pub(crate) data: Vec<u8>,
    layer: TreeLayer,
}

impl Song {
    pub(crate) fn new(seed: u8, leaves: u32) -> Arc<Self> {
        let data = vec![seed; (leaves * LEAF_BYTES) as usize];
        let mut hasher = TreeHasher::new();
        hasher.update(&data);
        let file = hasher.finish().unwrap();
        Arc::new(Self { data, layer: TreeLayer::of_leaves(file.id, &file.leaves).unwrap() })
    }

    pub(crate) fn id(&self) -> FileId {
        self.layer.id()
    }

    pub(crate) fn leaves(&self, first: u32, count: u32) -> LeafRange {
        self.id().length().range(first, count).unwrap()
    }

    fn bytes(&self, leaves: LeafRange) -> Vec<u8> {
        let bytes = self.id().length().byte_range(leaves);
        self.data[bytes.start as usize..bytes.end as usize].to_vec()
    }

    pub(crate) fn request(&self, folder: &Path) -> DownloadRequest {
        DownloadRequest {
            file: self.id(),
            name: "song.ogg".into(),
            folder: folder.to_owned(),
            group: None,
            sources: vec![],
            priority: Priority::Normal,
            about: About::default(),
        }
    }
}

/// An index that lists everybody it knows for every file.
#[derive(Default)]
pub(crate) struct Town {
    known: Mutex<BTreeMap<PeerId, Option<Session>>>,
    /// How often it was asked who has a file.
    pub(crate) asked: watch::Sender<u32>,
    /// Done when a job takes note of a source.
    pub(crate) on_note: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Town {
    pub(crate) fn add(&self, sharer: &Sharer) {
        self.known().insert(sharer.peer(), Some(sharer.session.clone()));
    }

    /// Lists somebody who cannot be reached.
    pub(crate) fn add_unreachable(&self, seed: u8) {
        self.known().insert(SecretKey::from_seed(&[seed; 32]).peer_id(), None);
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<PeerId, Option<Session>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn workshop(self: &Arc<Self>, attempts: usize, transfers: usize) -> Workshop {
        let finder: Arc<dyn Finder> = Arc::clone(self) as _;
        Workshop {
            me: SecretKey::from_seed(&[1; 32]).peer_id(),
            links: Links::new(Arc::clone(&finder)),
            finder,
            disk: Arc::new(LocalDisk),
            arrivals: Arrivals::default(),
            parts: Parts::default(),
            attempts: Turns::new(attempts),
            transfers: Turns::new(transfers),
            throttle: Arc::new(Throttle::new(None)),
        }
    }
}

impl Finder for Town {
    fn sources(&self, _: FileId) -> BoxFuture<'_, Result<Vec<FoundSource>, IndexUnreachable>> {
        self.asked.send_modify(|times| *times += 1);
        let found = self.known().keys().map(|peer| FoundSource { peer: *peer, name: None, complete: true }).collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn alternates<'a>(&'a self, _: FileId, _: &'a About) -> BoxFuture<'a, Vec<Alternate>> {
        Box::pin(std::future::ready(vec![]))
    }

    fn connect(&self, peer: PeerId, _: FileId) -> BoxFuture<'_, Result<Session, NoSession>> {
        let session = self.known().get(&peer).cloned().flatten();
        Box::pin(std::future::ready(session.ok_or(NoSession::AnotherKey)))
    }

    fn misbehaved(&self, _: PeerId, _: FileId) {}

    fn is_banned(&self, _: PeerId) -> bool {
        if let Some(on_note) = self.on_note.get() {
            on_note();
        }
        false
    }

    fn is_distrusted(&self, _: PeerId, _: FileId) -> bool {
        false
    }
}

/// A sharer with one slot and no other downloader, which the test gives and takes.
pub(crate) struct Sharer {
    pub(crate) session: Session,
    state: Arc<Shop>,
    _pair: Pair,
    _serves: AbortOnDropHandle<()>,
}

struct Shop {
    songs: Vec<Arc<Song>>,
    has: watch::Sender<Option<LeafSet>>,
    is_granted: watch::Sender<bool>,
    /// Leaves that may still be sent, besides the starts.
    may_send: Semaphore,
    /// What was asked for, in this order, but for the starts.
    asked: watch::Sender<Vec<(FileId, LeafRange)>>,
    sent: watch::Sender<u32>,
    /// How often somebody came into the queue.
    entered: watch::Sender<u32>,
}

impl Sharer {
    /// Serves whoever asks.
    pub(crate) async fn open(seed: u8, songs: &[&Arc<Song>]) -> Self {
        Self::begin(seed, songs, true, Semaphore::MAX_PERMITS).await
    }

    /// Gives nobody a slot yet.
    pub(crate) async fn busy(seed: u8, songs: &[&Arc<Song>]) -> Self {
        Self::begin(seed, songs, false, Semaphore::MAX_PERMITS).await
    }

    /// Stops in the middle after so many leaves, besides the starts.
    pub(crate) async fn halting(seed: u8, songs: &[&Arc<Song>], after: u32) -> Self {
        Self::begin(seed, songs, true, after as usize).await
    }

    async fn begin(seed: u8, songs: &[&Arc<Song>], is_granted: bool, may_send: usize) -> Self {
        let pair = Pair::connect_with(seed).await;
        let state = Arc::new(Shop {
            songs: songs.iter().map(|song| Arc::clone(song)).collect(),
            has: watch::Sender::new(None),
            is_granted: watch::Sender::new(is_granted),
            may_send: Semaphore::new(may_send),
            asked: watch::Sender::default(),
            sent: watch::Sender::default(),
            entered: watch::Sender::default(),
        });
        let (shop, theirs) = (Arc::clone(&state), pair.theirs.clone());
        let serves = tokio::spawn(async move {
            while let Ok((send, receive)) = theirs.accept_bi().await {
                let shop = Arc::clone(&shop);
                tokio::spawn(async move { shop.answer(SendHalf::new(send), ReceiveHalf::new(receive)).await });
            }
        });
        Self { session: pair.ours.clone(), state, _pair: pair, _serves: AbortOnDropHandle::new(serves) }
    }

    pub(crate) fn peer(&self) -> PeerId {
        self.session.peer()
    }

    /// Has no more than this of its song.
    pub(crate) fn has_only(&self, leaves: LeafRange, song: &Song) {
        let mut has = LeafSet::empty(song.id().length());
        has.insert_range(leaves);
        self.state.has.send_replace(Some(has));
    }

    pub(crate) fn grant(&self) {
        self.state.is_granted.send_replace(true);
    }

    /// The slot ends, as after a turn.
    pub(crate) fn take_back(&self) {
        self.state.is_granted.send_replace(false);
    }

    /// How often somebody came into its queue.
    pub(crate) fn entered(&self) -> u32 {
        *self.state.entered.borrow()
    }

    pub(crate) fn may_send(&self, leaves: u32) {
        self.state.may_send.add_permits(leaves as usize);
    }

    pub(crate) fn asked(&self) -> watch::Receiver<Vec<(FileId, LeafRange)>> {
        self.state.asked.subscribe()
    }

    /// How many leaves were sent besides the starts, again or not.
    pub(crate) fn sent(&self) -> watch::Receiver<u32> {
        self.state.sent.subscribe()
    }
}

impl Shop {
    async fn answer(&self, send: SendHalf, mut receive: ReceiveHalf) {
        let Ok(header) = receive.header().await else { return };
        if header.is::<Enter>() {
            self.queue(send, receive).await;
        } else if header.is::<Get>() {
            let mut payload = vec![0; header.payload_bytes as usize];
            receive.exact(&mut payload).await.unwrap();
            self.get(send, &decode(&payload).unwrap()).await;
        }
    }

    async fn queue(&self, mut send: SendHalf, _receive: ReceiveHalf) {
        self.entered.send_modify(|times| *times += 1);
        let place = encode(&Place { ahead: 1, eta_ms: None });
        let mut is_granted = self.is_granted.subscribe();
        let _ = send.bytes(place.into()).await;
        let _ = is_granted.wait_for(|is_granted| *is_granted).await;
        let _ = send.message(&Granted { idle_ms: 60_000 }).await;
        let _ = is_granted.wait_for(|is_granted| !*is_granted).await;
        send.finish();
    }

    async fn get(&self, mut send: SendHalf, get: &Get) {
        let Some(song) = self.songs.iter().find(|song| song.id() == get.file) else {
            let _ = send.message(&No { reason: Reason::NotShared, retry_after_ms: 0 }).await;
            return send.finish();
        };
        let length = song.id().length();
        let has = self.has.borrow().clone().unwrap_or_else(|| LeafSet::full(length));
        let _ = send.message(&Have { leaves: LeavesHeld::of(&has), more_sources: vec![] }).await;
        if get.want_layer {
            let _ = send.bytes(song.layer.to_bytes().into()).await;
        }
        let Some(range) = length.range(get.first_leaf, get.leaf_count).filter(|range| has.contains_range(*range))
        else {
            return send.finish();
        };
        if get.want_layer {
            let _ = send.bytes(song.bytes(range).into()).await;
            return send.finish();
        }
        self.asked.send_modify(|asked| asked.push((get.file, range)));
        let mut is_granted = self.is_granted.subscribe();
        for leaf in range.leaves() {
            let send_leaf = async {
                self.may_send.acquire().await.unwrap().forget();
                send.bytes(song.bytes(song.leaves(leaf.number(), 1)).into()).await
            };
            tokio::select! {
                sent = send_leaf => if sent.is_err() { return },
                _ = is_granted.wait_for(|is_granted| !*is_granted) => {
                    return send.reset(StreamCode::SlotEnded);
                }
            }
            self.sent.send_modify(|sent| *sent += 1);
        }
        send.finish();
    }
}
