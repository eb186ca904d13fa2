//! Peers that break the rules, made from the real parts: their handshakes, logins and listings are in order.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use choir_peer::connectivity::tls::Expected;
use choir_peer::connectivity::{Endpoint, EndpointOptions, Reach, rendezvous};
use choir_peer::index_client::{
    ChangesPage, CollectionSummary, IndexClient, IndexHttp, LibraryError, Membership, Patience, PublishedLibrary,
    install_crypto,
};
use choir_peer::session::Session;
use choir_peer::session::answering::{QueueReply, Reply, Request};
use choir_peer::session::notices::Notice;
use choir_shared::identity::{IndexKey, SecretKey};
use choir_shared::index_api::{Addition, Folder};
use choir_shared::leaf::LEAF_BYTES;
use choir_shared::library::{DEFAULT_COLLECTION, LibraryDigest};
use choir_shared::link::{JoinLink, Link};
use choir_shared::merkle::{HashedFile, TreeHasher};
use choir_shared::ticket::Ticket;
use choir_shared::wire::{Get, Granted, HEADER_BYTES, Have, Hello, LeavesHeld, Reason, decode, encode};
use choir_shared::{Claim, FileId, PeerId};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::TestIndex;

/// How a hostile sharer serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// As an honest one, only that it counts what it is asked for.
    None,
    /// Every byte flipped.
    WrongBytes,
    /// A tree layer of another file.
    WrongLayer,
    /// Half of what was asked for, and the end of the stream.
    TooFewBytes,
    /// More than was asked for.
    TooManyBytes,
    /// Takes the request and says nothing.
    Silence,
    /// Something that is no message.
    Junk,
}

/// A hostile sharer, online at an index as a holder of one file.
pub struct HostilePeer {
    pub peer: PeerId,
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
    _runtime: Runtime,
}

/// What others wanted of a hostile sharer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests for bytes.
    pub requests: u32,
    /// Bytes that were asked for.
    pub bytes: u64,
    /// Complaints that a leaf was wrong.
    pub complaints: u32,
    /// Hellos, and the indexes of which they showed tickets.
    pub hellos: u32,
    pub shown: BTreeSet<IndexKey>,
}

impl HostilePeer {
    /// Lists `song` under `title` and `artist`, and waits until the index knows.
    ///
    /// # Panics
    /// If it cannot come online.
    pub fn join(index: &TestIndex, song: &[u8], title: &str, artist: &str, mischief: Mischief) -> Self {
        install_crypto();
        let runtime = Runtime::new().expect("a runtime");
        let stop = CancellationToken::new();
        let shelf = HostileShelf::new(song, mischief);
        let tally = Arc::clone(&shelf.tally);
        let online = come_online(index.url.clone(), shelf, title.to_owned(), artist.to_owned(), stop.clone());
        let peer = runtime.block_on(online).expect("the hostile peer comes online");
        Self { peer, tally, stop, _runtime: runtime }
    }

    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for HostilePeer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn come_online(
    url: String,
    shelf: HostileShelf,
    title: String,
    artist: String,
    stop: CancellationToken,
) -> anyhow::Result<PeerId> {
    let secret = random_key();
    let options = EndpointOptions::new(SocketAddr::from(([127, 0, 0, 1], 0)));
    let endpoint = Endpoint::bind(secret.clone(), options)?;
    let hello = |_| watch::channel(Hello { minor: 0, features: 0, agent: "mischief".to_owned(), tickets: vec![] }).1;
    // One session for each downloader of a test.
    let (sessions, mut incoming) = mpsc::channel(16);
    let reach = Reach::new(endpoint.clone(), hello, |_| false, sessions);
    let tracker = TaskTracker::new();
    tracker.spawn(reach.accept_until(stop.clone()));
    let file = shelf.file.id;
    tracker.spawn(async move {
        while let Some(session) = incoming.recv().await {
            tokio::spawn(shelf.clone().serve(session));
        }
    });

    let claim = Claim { title: Some(title), artist: Some(artist), ..Claim::default() };
    let library = Arc::new(OneSong::new(file, claim));
    let (events, mut ignored) = mpsc::channel(16);
    tracker.spawn(async move { while ignored.recv().await.is_some() {} });
    let client = IndexClient::new(secret.clone(), library, events, tracker.clone(), stop.clone());
    let (http, info) = IndexHttp::discover(&url, None, &secret, Patience::default()).await?;
    http.join(None).await?;
    let membership = Membership::new(http.url().clone(), info.key, &info.name);
    let http = client.start(&membership, Some(Arc::new(http)))?;
    let (seen, mut observed) = watch::channel(None);
    if let Some(address) = http.rendezvous_address().await? {
        tracker.spawn(rendezvous::keep(endpoint, info.key, address, seen, stop));
    }
    observed.wait_for(Option::is_some).await?;
    client.published(&info.key).await;
    Ok(secret.peer_id())
}

pub(crate) fn random_key() -> SecretKey {
    use std::hash::{BuildHasher as _, RandomState};
    // A test key needs to be new, not secret.
    let mut seed = [0; 32];
    for part in seed.chunks_mut(8) {
        part.copy_from_slice(&RandomState::new().hash_one(0).to_le_bytes());
    }
    SecretKey::from_seed(&seed)
}

/// What a hostile sharer serves, over any session.
#[derive(Clone)]
pub struct HostileShelf {
    file: Arc<HashedFile>,
    song: Bytes,
    mischief: Mischief,
    tally: Arc<Mutex<Tally>>,
}

async fn grant(mut queue: QueueReply) {
    if queue.granted(&Granted { idle_ms: 10_000 }).await.is_ok() {
        queue.left().await;
    }
}

impl HostileShelf {
    /// # Panics
    /// If the song is empty.
    pub fn new(song: &[u8], mischief: Mischief) -> Self {
        let mut hasher = TreeHasher::new();
        hasher.update(song);
        let file = Arc::new(hasher.finish().expect("a song has bytes"));
        Self { file, song: Bytes::copy_from_slice(song), mischief, tally: Arc::default() }
    }

    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Until the connection ends.
    pub async fn serve(self, session: Session) {
        let (mut notices, hello, hearing) = (session.notices(crate::PATIENCE), session.hello(), self.clone());
        tokio::spawn(async move {
            while let Ok(notice) = notices.next().await {
                let tickets = hello.borrow().iter().flat_map(|hello| hello.tickets.clone()).collect::<Vec<_>>();
                hearing.count(|tally| match notice {
                    Notice::BadLeaf(_) => tally.complaints += 1,
                    Notice::Hello => {
                        tally.hellos += 1;
                        tally.shown.extend(tickets.iter().map(|ticket| ticket.index));
                    }
                });
            }
        });
        while let Ok(stream) = session.next_stream().await {
            let shelf = self.clone();
            tokio::spawn(async move {
                match stream.request(crate::PATIENCE).await {
                    Ok(Some(Request::Get(get, reply))) => shelf.answer(get, reply).await,
                    Ok(Some(Request::Enter(_, queue))) => grant(queue).await,
                    Ok(None) | Err(_) => {}
                }
            });
        }
    }

    fn count(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    async fn answer(self, get: Get, mut reply: Reply) {
        let Ok(Some(range)) = get.range() else { return drop(reply.no(Reason::Refused, 0).await) };
        let bytes = self.file.id.length().byte_range(range);
        self.count(|tally| {
            tally.requests += 1;
            tally.bytes += bytes.end - bytes.start;
        });
        match self.mischief {
            Mischief::Silence => return std::future::pending().await,
            Mischief::Junk => {
                let _ = reply.bytes(Bytes::from_static(&[0xff; 64])).await;
                return reply.finish();
            }
            _ => {}
        }
        let _ = reply.have(&Have { leaves: LeavesHeld::All, more_sources: vec![] }, 0).await;
        if get.want_layer {
            let mut leaves = self.file.leaves.clone();
            if self.mischief == Mischief::WrongLayer {
                leaves.reverse();
            }
            let _ = reply.hashes(&leaves).await;
        }
        let mut data = self.song.slice(bytes.start as usize..bytes.end as usize).to_vec();
        match self.mischief {
            // What is served without a slot is in order, so that the lie comes in the middle.
            Mischief::WrongBytes if !get.want_layer => data.iter_mut().for_each(|byte| *byte ^= 0xff),
            Mischief::TooFewBytes => data.truncate(data.len() / 2),
            Mischief::TooManyBytes => data.extend_from_slice(&[7; LEAF_BYTES as usize]),
            _ => {}
        }
        let _ = reply.bytes(data.into()).await;
        reply.finish();
    }
}

/// A library of one song.
struct OneSong {
    addition: Addition,
    digest: LibraryDigest,
    changed: watch::Sender<u64>,
}

impl OneSong {
    fn new(file: FileId, claim: Claim) -> Self {
        let claim_hash = claim.hash();
        let mut digest = LibraryDigest::EMPTY;
        digest.insert(&file, &claim_hash);
        let addition = Addition { file, folder: 1, claim_hash, claim: Some(claim) };
        Self { addition, digest, changed: watch::Sender::new(1) }
    }
}

impl PublishedLibrary for OneSong {
    async fn collections(&self) -> Result<Vec<CollectionSummary>, LibraryError> {
        let collection = DEFAULT_COLLECTION.to_owned();
        Ok(vec![CollectionSummary { collection, generation: 1, digest: self.digest, count: 1 }])
    }

    async fn changes_since(&self, _collection: &str, after: u64, _limit: usize) -> Result<ChangesPage, LibraryError> {
        let complete = Some((self.digest, 1));
        let nothing = ChangesPage { add: vec![], remove: vec![], folders: vec![], through: 1, complete };
        if after > 0 {
            return Ok(nothing);
        }
        let folders = vec![Folder { number: 1, path: Some("Mischief".to_owned()) }];
        Ok(ChangesPage { add: vec![self.addition.clone()], folders, ..nothing })
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

/// A stranger who connects to a peer to say what he should not.
pub struct Intruder {
    pub connection: quinn::Connection,
    _endpoint: Endpoint,
    runtime: Runtime,
}

impl Intruder {
    /// Connects to the peer with this key as a downloader would: introduced by the index for `file`.
    ///
    /// # Panics
    /// If there is no way to it.
    pub fn visit(index: &TestIndex, peer: PeerId, file: FileId) -> Self {
        install_crypto();
        let runtime = Runtime::new().expect("a runtime");
        let (connection, endpoint) =
            runtime.block_on(introduced(&index.url, peer, file)).expect("the peer lets strangers in");
        Self { connection, _endpoint: endpoint, runtime }
    }

    /// Dials the peer with this key at `address` without asking any index, and shows it these tickets.
    ///
    /// # Panics
    /// If nobody answers there.
    pub fn dial(address: SocketAddr, peer: PeerId, guise: Guise) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let dialled = runtime.block_on(async {
            let endpoint = Endpoint::bind(guise.secret, EndpointOptions::new(SocketAddr::from(([127, 0, 0, 1], 0))))?;
            let connection = endpoint.dial(address, Expected::Peer(peer))?.await?;
            let hello = Hello { minor: 0, features: 0, agent: "mischief".to_owned(), tickets: guise.tickets };
            let mut stream = connection.open_uni().await?;
            stream.write_all(&encode(&hello)).await?;
            stream.finish()?;
            anyhow::Ok((connection, endpoint))
        });
        let (connection, endpoint) = dialled.expect("the peer answers");
        Self { connection, _endpoint: endpoint, runtime }
    }

    /// Writes `bytes` on a stream of its own and returns what comes back until the stream or the connection ends.
    pub fn say(&self, bytes: &[u8]) -> Vec<u8> {
        self.runtime.block_on(async {
            let Ok((mut send, mut receive)) = self.connection.open_bi().await else { return Vec::new() };
            let _ = send.write_all(bytes).await;
            let _ = send.finish();
            let limit = 1 << 20;
            tokio::time::timeout(Duration::from_secs(20), receive.read_to_end(limit))
                .await
                .map_or_else(|_| Vec::new(), Result::unwrap_or_default)
        })
    }

    /// What the peer says of itself next.
    ///
    /// # Panics
    /// If it says nothing within the time of [`crate::PATIENCE`].
    pub fn hear_hello(&self) -> Hello {
        let heard = async {
            let frame = self.connection.accept_uni().await?.read_to_end(1 << 16).await?;
            let (_, payload) = frame.split_at_checked(HEADER_BYTES).unwrap_or_default();
            anyhow::Ok(decode(payload)?)
        };
        let heard = async { tokio::time::timeout(crate::PATIENCE, heard).await };
        self.runtime.block_on(heard).expect("it says hello again").expect("a hello")
    }

    /// The code with which the peer closes the connection.
    ///
    /// # Panics
    /// If it does not within the time of [`crate::PATIENCE`].
    pub fn closed_with(&self) -> Option<u64> {
        let closed = async { tokio::time::timeout(crate::PATIENCE, self.connection.closed()).await };
        match self.runtime.block_on(closed).expect("the connection is closed") {
            quinn::ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
            _ => None,
        }
    }

    pub fn is_connected(&self) -> bool {
        self.connection.close_reason().is_none()
    }
}

/// As whom an intruder comes.
pub struct Guise {
    secret: SecretKey,
    tickets: Vec<Ticket>,
}

impl Guise {
    /// Nobody's friend.
    pub fn stranger() -> Self {
        install_crypto();
        Self { secret: random_key(), tickets: vec![] }
    }

    /// A new member of this index.
    ///
    /// # Panics
    /// If it takes nobody.
    pub fn member_of(index: &TestIndex) -> Self {
        let secret = Self::stranger().secret;
        let link: Link = index.join_link.parse().expect("the index prints a link");
        let Link::Join(JoinLink { invite, .. }) = link else { panic!("{link} is no link to an index") };
        let runtime = Runtime::new().expect("a runtime");
        let session = runtime.block_on(async {
            let (http, _) = IndexHttp::discover(&index.url, None, &secret, Patience::default()).await?;
            http.join(invite.as_deref()).await
        });
        Self { tickets: vec![session.expect("the index takes whoever has an invite").ticket], secret }
    }

    /// A stranger with the tickets of this one.
    #[must_use]
    pub fn copied(&self) -> Self {
        Self { tickets: self.tickets.clone(), ..Self::stranger() }
    }
}

async fn introduced(url: &str, peer: PeerId, file: FileId) -> anyhow::Result<(quinn::Connection, Endpoint)> {
    let secret = random_key();
    let (http, _) = IndexHttp::discover(url, None, &secret, Patience::default()).await?;
    http.join(None).await?;
    let introduction = http.introduce(peer, file).await?;
    let endpoint = Endpoint::bind(secret, EndpointOptions::new(SocketAddr::from(([127, 0, 0, 1], 0))))?;
    let candidate = introduction.candidates.first().ok_or_else(|| anyhow::anyhow!("no address"))?;
    let connection = endpoint.dial(candidate.address, Expected::Peer(peer))?.await?;
    Ok((connection, endpoint))
}
