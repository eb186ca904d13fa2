//! From a key and some addresses to a session: dials, reuses, and takes what comes in.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use choir_shared::PeerId;
use choir_shared::dial::Surroundings;
use choir_shared::wire::{CloseCode, Hello};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::attempts::Attempts;
use super::door::Door;
use super::endpoint::{Endpoint, expect_downloads};
use super::farewell;
use super::tls::{Expected, is_another_key, peer_of};
use crate::clock::now;
use crate::session::Session;

/// A handshake takes one round trip; five seconds leave room for four lost packets on a slow line.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long dialled keys without a connection are remembered before they are swept.
const SWEEP_ABOVE: usize = 1024;

/// Where a peer may be met, and what is known for judging it.
#[derive(Clone, Debug)]
pub struct Route {
    pub peer: PeerId,
    pub candidates: Vec<SocketAddr>,
    /// Where the index sees that peer.
    pub observed: Option<IpAddr>,
    pub surroundings: Surroundings,
}

/// Connects to peers and lets them in. Clones share everything.
#[derive(Clone)]
pub struct Reach {
    endpoint: Endpoint,
    shared: Arc<Shared>,
}

struct Shared {
    /// What we say of ourselves to a peer, first and whenever it changes.
    hello: Box<dyn Fn(PeerId) -> watch::Receiver<Hello> + Send + Sync>,
    is_banned: Box<dyn Fn(&PeerId) -> bool + Send + Sync>,
    /// Every session that begins goes here, whoever dialled: peers serve each other both ways.
    /// The receiver spawns a task for each and is never slow; when it is full, dialling and accepting wait.
    sessions: mpsc::Sender<Session>,
    /// One lock for each peer, so that two downloads never dial it twice.
    peers: Mutex<HashMap<PeerId, PeerSlot>>,
    attempts: Mutex<Attempts>,
    door: Door,
}

type PeerSlot = Arc<tokio::sync::Mutex<Option<Session>>>;

impl Reach {
    pub fn new(
        endpoint: Endpoint,
        hello: impl Fn(PeerId) -> watch::Receiver<Hello> + Send + Sync + 'static,
        is_banned: impl Fn(&PeerId) -> bool + Send + Sync + 'static,
        sessions: mpsc::Sender<Session>,
    ) -> Self {
        let shared = Shared {
            hello: Box::new(hello),
            is_banned: Box::new(is_banned),
            sessions,
            peers: Mutex::default(),
            attempts: Mutex::default(),
            door: Door::default(),
        };
        Self { endpoint, shared: Arc::new(shared) }
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A session with the peer: the one that exists, or a new one to the first candidate that answers.
    pub async fn connect(&self, route: &Route) -> Result<Session, ConnectError> {
        if (self.shared.is_banned)(&route.peer) {
            return Err(ConnectError::Banned);
        }
        let slot = self.slot(route.peer);
        let mut known = slot.lock().await;
        if let Some(session) = known.as_ref().filter(|session| session.is_alive()) {
            expect_downloads(session.connection());
            return Ok(session.clone());
        }
        let session = self.dial(route).await?;
        *known = Some(session.clone());
        Ok(session)
    }

    /// The session with this peer if there is one now.
    pub async fn existing(&self, peer: PeerId) -> Option<Session> {
        let slot = self.slot(peer);
        let session = slot.lock().await.clone().filter(Session::is_alive)?;
        expect_downloads(session.connection());
        Some(session)
    }

    /// Takes incoming connections until cancelled or the endpoint is closed.
    pub async fn accept_until(self, cancel: CancellationToken) {
        let mut handshakes = JoinSet::new();
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(_) = handshakes.join_next(), if !handshakes.is_empty() => {}
                incoming = self.endpoint.accept() => match incoming {
                    // Bounded by the endpoint's limit of open connections.
                    Some(Ok(connecting)) => drop(handshakes.spawn(self.clone().welcome(connecting))),
                    Some(Err(error)) => tracing::debug!(%error, "an incoming connection broke at once"),
                    None => break,
                },
            }
        }
    }

    async fn welcome(self, connecting: quinn::Connecting) {
        let connection = match tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return tracing::debug!(%error, "an incoming handshake failed"),
            Err(_) => return tracing::debug!("an incoming handshake took too long"),
        };
        let close = |code| farewell::close(&connection, code);
        let Some(peer) = peer_of(&connection) else { return close(CloseCode::Malformed) };
        if (self.shared.is_banned)(&peer) {
            return close(CloseCode::Banned);
        }
        let Some(place) = self.shared.door.enter(connection.remote_address().ip(), peer) else {
            return close(CloseCode::TooMany);
        };
        let session = Session::begin(connection, peer, (self.shared.hello)(peer));
        if let Ok(mut known) = self.slot(peer).try_lock()
            && !known.as_ref().is_some_and(Session::is_alive)
        {
            *known = Some(session.clone());
        }
        let _ = self.shared.sessions.send(session.clone()).await;
        session.closed().await;
        drop(place);
    }

    async fn dial(&self, route: &Route) -> Result<Session, ConnectError> {
        let mut dials = JoinSet::new();
        let mut refusal = None;
        for &candidate in &route.candidates {
            if let Err(reason) = route.surroundings.permit(candidate, route.observed) {
                tracing::debug!(%reason, peer = %route.peer.short(), "a candidate is not dialled");
                refusal = Some(ConnectError::NotPermitted(reason));
            } else if !self.attempts().may_dial(candidate, now()) {
                refusal = Some(ConnectError::FailedLately);
            } else {
                let connecting = self.endpoint.dial(candidate, Expected::Peer(route.peer));
                dials.spawn(async move { (candidate, finish(connecting).await) });
            }
        }
        let mut failure = refusal.unwrap_or(ConnectError::NoCandidates);
        while let Some(dialled) = dials.join_next().await {
            match dialled {
                Ok((candidate, Ok(connection))) => {
                    self.attempts().succeeded(candidate, now());
                    let session = Session::begin(connection, route.peer, (self.shared.hello)(route.peer));
                    let _ = self.shared.sessions.send(session.clone()).await;
                    return Ok(session);
                }
                Ok((candidate, Err(error))) => {
                    self.attempts().failed(candidate, now());
                    failure = error;
                }
                Err(_cancelled) => {}
            }
        }
        Err(failure)
    }

    fn slot(&self, peer: PeerId) -> PeerSlot {
        let mut peers = self.shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() > SWEEP_ABOVE {
            peers.retain(|_, slot| {
                Arc::strong_count(slot) > 1
                    || slot.try_lock().is_ok_and(|known| known.as_ref().is_some_and(Session::is_alive))
            });
        }
        Arc::clone(peers.entry(peer).or_default())
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.shared.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn finish(
    connecting: Result<quinn::Connecting, super::endpoint::DialError>,
) -> Result<quinn::Connection, ConnectError> {
    let connecting = connecting.map_err(|error| ConnectError::Dial(error.to_string()))?;
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) if is_another_key(&error) => Err(ConnectError::AnotherKey),
        Ok(Err(error)) => Err(ConnectError::Handshake(error)),
        Err(_) => Err(ConnectError::TimedOut),
    }
}

/// Why there is no session with a peer.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the peer is banned here")]
    Banned,
    #[error("no address of it is known")]
    NoCandidates,
    #[error("its address must not be dialled: {0}")]
    NotPermitted(choir_shared::dial::Refusal),
    #[error("its address failed three times in ten minutes and rests")]
    FailedLately,
    #[error("cannot dial: {0}")]
    Dial(String),
    #[error("another key answers at its address")]
    AnotherKey,
    #[error("no connection: {0}")]
    Handshake(quinn::ConnectionError),
    #[error("it did not answer in {} s", HANDSHAKE_TIMEOUT.as_secs())]
    TimedOut,
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use choir_shared::identity::SecretKey;

    use super::*;
    use crate::connectivity::EndpointOptions;

    fn reach(seed: u8) -> Reach {
        let options = EndpointOptions::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let endpoint = Endpoint::bind(SecretKey::from_seed(&[seed; 32]), options).unwrap();
        let hello = |_| watch::channel(Hello { minor: 0, features: 0, agent: "test".into(), tickets: vec![] }).1;
        // Nobody takes the sessions, of which there are few.
        Reach::new(endpoint, hello, |_| false, mpsc::channel(9).0)
    }

    #[tokio::test]
    async fn whoever_answers_with_another_key_is_not_the_peer() {
        let (dialler, answerer) = (reach(1), reach(2));
        let cancel = CancellationToken::new();
        let accepting = tokio::spawn(answerer.clone().accept_until(cancel.clone()));
        let address = answerer.endpoint().local_address().unwrap();
        let route = |seed: u8| Route {
            peer: SecretKey::from_seed(&[seed; 32]).peer_id(),
            candidates: vec![address],
            observed: None,
            surroundings: Surroundings { index: address.ip(), observed: None, attached: vec![] },
        };
        let refused = dialler.connect(&route(3)).await.map(|_| ());
        assert!(matches!(refused, Err(ConnectError::AnotherKey)), "{refused:?}");
        assert_eq!(dialler.connect(&route(2)).await.unwrap().peer(), route(2).peer);
        cancel.cancel();
        accepting.await.unwrap();
    }
}
