//! A peer on the simulated internet, made of the real parts.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::mischief::{HostileShelf, Mischief};
use choir_peer::connectivity::{Endpoint, EndpointOptions, Reach, Route};
use choir_peer::download::Throttle;
use choir_peer::index_client::install_crypto;
use choir_peer::session::Session;
use choir_peer::upload::admit::{Audience, Rules};
use choir_peer::upload::queue::KeptAge;
use choir_peer::upload::{Options, Uploads};
use choir_shared::PeerId;
use choir_shared::dial::Surroundings;
use choir_shared::identity::SecretKey;
use choir_shared::wire::Hello;
use choir_shared::wire::message::SERVES_PARTS;
use quinn::TokioRuntime;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::holding::Holding;
use super::song::{COLLECTION, Song};
use crate::internet::Host;

const PORT: u16 = 6699;

/// One endpoint with all that uses it. Dropped, it leaves like a program that is killed.
pub struct Peer {
    pub id: PeerId,
    pub host: Host,
    pub reach: Reach,
    /// What it has of the song; a liar has nothing to be told about.
    pub(super) holding: Option<Arc<Holding>>,
    /// What it serves with, if it shares as `choir` does.
    pub uploads: Option<Uploads>,
    /// Its limit over all downloads.
    pub throttle: Arc<Throttle>,
    _serving: AbortOnDropHandle<()>,
}

impl Peer {
    /// One that shares nothing.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as all peers.
    pub fn downloader(host: &Host) -> Self {
        Self::join(host, options(), None, |session| async move { drop(session.closed().await) })
    }

    /// One that serves the song as `choir` does.
    pub fn sharer(host: &Host, song: &Arc<Song>, options: EndpointOptions) -> Self {
        Self::limited_sharer(host, song, options, Options::default(), &[])
    }

    /// The same with other limits, and with what another run of it knew of those who wait.
    pub fn limited_sharer(
        host: &Host,
        song: &Arc<Song>,
        options: EndpointOptions,
        limits: Options,
        ages: &[KeptAge],
    ) -> Self {
        Self::serving(host, Holding::whole(song), options, limits, ages)
    }

    /// One that has nothing of the song yet, and will serve what it has fetched of it.
    pub fn member(host: &Host, song: &Arc<Song>) -> Self {
        Self::serving(host, Holding::nothing(song), options(), Options::default(), &[])
    }

    fn serving(
        host: &Host,
        holding: Arc<Holding>,
        options: EndpointOptions,
        limits: Options,
        ages: &[KeptAge],
    ) -> Self {
        let audiences = BTreeMap::from([(COLLECTION.to_owned(), Audience::Anyone)]);
        let rules = Rules { audiences, parts: Some(Audience::Anyone), ..Rules::default() };
        let serve = Options { rules, ..limits };
        let uploads = Uploads::new(Arc::clone(&holding) as _, serve, CancellationToken::new(), &TaskTracker::new());
        uploads.restore(ages);
        let serving = uploads.clone();
        let peer = Self::join(host, options, Some(holding), move |session| {
            let uploads = serving.clone();
            async move { uploads.serve(session).await }
        });
        Self { uploads: Some(uploads), ..peer }
    }

    /// Bytes that it has sent of files, to all.
    pub fn served(&self) -> u64 {
        self.uploads.as_ref().map_or(0, |uploads| uploads.totals().bytes_sent)
    }

    /// Leaves as a program that is stopped does.
    pub async fn stop(self) {
        self.reach.endpoint().close().await;
    }

    /// One that sends the right hashes and the start of the song, and wrong bytes after that; and what counts what it
    /// is asked for.
    pub fn liar(host: &Host, song: &Song) -> (Self, HostileShelf) {
        let shelf = HostileShelf::new(&song.bytes, Mischief::WrongBytes);
        let serving = shelf.clone();
        (Self::join(host, options(), None, move |session| serving.clone().serve(session)), shelf)
    }

    fn join<S>(
        host: &Host,
        options: EndpointOptions,
        holding: Option<Arc<Holding>>,
        serve: impl Fn(Session) -> S + Send + 'static,
    ) -> Self
    where
        S: Future<Output = ()> + Send + 'static,
    {
        install_crypto();
        let secret = key_of(host.address());
        let id = secret.peer_id();
        let endpoint = Endpoint::over(secret, options, host.bind(PORT), Arc::new(TokioRuntime));
        let endpoint = endpoint.expect("the options are sound");
        let features = if holding.is_some() { SERVES_PARTS } else { 0 };
        let hello =
            move |_| watch::channel(Hello { minor: 0, features, agent: "simulated".to_owned(), tickets: vec![] }).1;
        // One for each connection of a story.
        let (sessions, mut begun) = mpsc::channel(16);
        let reach = Reach::new(endpoint, hello, |_| false, sessions);
        let accepting = reach.clone().accept_until(CancellationToken::new());
        let serving = tokio::spawn(async move {
            let _accepting = AbortOnDropHandle::new(tokio::spawn(accepting));
            while let Some(session) = begun.recv().await {
                tokio::spawn(serve(session));
            }
        });
        let throttle = Arc::new(Throttle::new(None));
        let serving = AbortOnDropHandle::new(serving);
        Self { id, host: host.clone(), reach, holding, uploads: None, throttle, _serving: serving }
    }

    /// Where others dial it.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host.address(), PORT)
    }

    /// # Errors
    /// In words, if it cannot be reached.
    pub async fn connect(&self, other: PeerId, address: SocketAddr) -> Result<Session, String> {
        let surroundings = Surroundings { index: address.ip(), observed: None, attached: vec![] };
        let route = Route { peer: other, candidates: vec![address], observed: Some(address.ip()), surroundings };
        self.reach.connect(&route).await.map_err(|error| error.to_string())
    }
}

/// What the endpoints of a story have if it does not say otherwise.
pub fn options() -> EndpointOptions {
    EndpointOptions::new(SocketAddr::from(([0, 0, 0, 0], PORT)))
}

fn key_of(address: IpAddr) -> SecretKey {
    let mut seed = [0; 32];
    if let IpAddr::V4(v4) = address {
        seed[..4].copy_from_slice(&v4.octets());
    }
    SecretKey::from_seed(&seed)
}
