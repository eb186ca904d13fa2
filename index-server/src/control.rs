//! The control connection of one peer: a WebSocket that says "I am here" by being open.
//!
//! 1. The first message is `hello`; it is compared with what the store has, and `welcome` names the collections to
//!    publish again.
//! 2. The peer's holdings are counted as sources from then on.
//! 3. What the index has to say goes through a bounded queue. A peer that does not read is hung up on, and comes back
//!    with a fresh state: better than memory that grows, or messages silently lost.
//! 4. A connection on which nothing was heard for a while is asked once, then given up; also once soon after it began,
//!    so that those who came together are not asked together.
//! 5. When the index stops, it says so, and how to spread the return.
//!
//! Ten thousands of these are open at once, and nearly all of them wait. So what is done rarely is boxed: a future has
//! room for the largest of all that it may do, for as long as it lives.
//!
//! Messages of unknown types are ignored, so that newer peers may talk to older indexes.

mod heartbeat;
mod line;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use choir_shared::control::{CollectionState, FromIndex, FromPeer, MAX_FETCHING, MAX_WATCHED};
use choir_shared::library::LibraryDigest;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::admission::ConnectionPermit;
use crate::auth::caller::Caller;
use crate::index::Index;
use crate::keys;
use crate::limits::Limit;
use crate::store::StoreError;
use heartbeat::{Due, Heartbeat};
pub(crate) use line::Line;

/// A peer says hello at once after it has connected.
const HELLO: Duration = Duration::from_secs(10);

/// A message that cannot be written for so long finds nobody.
const WRITE: Duration = Duration::from_secs(10);

/// Serves one control connection until it ends. The permit is that of its TCP connection.
pub(crate) async fn attend(index: Index, caller: Caller, permit: Arc<ConnectionPermit>, socket: WebSocket) {
    let _permit = permit;
    let mut session = Session { index, caller, socket };
    let end = session.run().await;
    tracing::debug!(peer = %caller.peer.short(), ?end, "a control connection ended");
    metrics::counter!("choir_index_control_ended_total", "why" => end.name()).increment(1);
    Box::pin(session.say_farewell(end)).await;
}

struct Session {
    index: Index,
    caller: Caller,
    socket: WebSocket,
}

/// Why a control connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The other side said goodbye.
    Left,
    /// The other side vanished.
    Gone,
    Silent,
    /// It did not read what it was told.
    Overfull,
    Superseded,
    /// It is banned, or erased itself.
    Expelled,
    Stopping,
    /// It broke the rules of the connection.
    Malformed,
    TooFast,
    /// Our own failure.
    Failed,
}

impl End {
    const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Gone => "gone",
            Self::Silent => "silent",
            Self::Overfull => "overfull",
            Self::Superseded => "superseded",
            Self::Expelled => "expelled",
            Self::Stopping => "stopping",
            Self::Malformed => "malformed",
            Self::TooFast => "too_fast",
            Self::Failed => "failed",
        }
    }

    const fn close_code(self) -> u16 {
        match self {
            Self::Left | Self::Gone | Self::Silent | Self::Superseded => close_code::NORMAL,
            Self::Overfull | Self::Expelled | Self::Malformed | Self::TooFast => close_code::POLICY,
            Self::Stopping => close_code::AWAY,
            Self::Failed => close_code::ERROR,
        }
    }
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a control connection failed");
        Self::Failed
    }
}

impl Session {
    async fn run(&mut self) -> End {
        let collections = match Box::pin(self.hello()).await {
            Ok(collections) => collections,
            Err(end) => return end,
        };
        let (line, said) = Line::new(self.caller.origin);
        let attendance = match Box::pin(self.index.arrive(&self.caller, line.clone())).await {
            Ok(Some(attendance)) => attendance,
            Ok(None) => return End::Expelled,
            Err(error) => return error.into(),
        };
        let end = match Box::pin(self.welcome(collections)).await {
            Ok(()) => self.talk(said, line.hung_up()).await,
            Err(end) => end,
        };
        if end == End::Left {
            Box::pin(attendance.leave()).await;
        }
        end
    }

    /// The first message. Everything before it is unknown to us, and ignored.
    async fn hello(&mut self) -> Result<Vec<CollectionState>, End> {
        let hello = async {
            loop {
                match self.hear().await? {
                    Some(FromPeer::Hello { collections, .. }) => return Ok(collections),
                    Some(FromPeer::Unknown) | None => {}
                    Some(_) => return Err(End::Malformed),
                }
            }
        };
        tokio::time::timeout(HELLO, hello).await.unwrap_or(Err(End::Silent))
    }

    async fn welcome(&mut self, claimed: Vec<CollectionState>) -> Result<(), End> {
        let known = self.index.store.collections(self.caller.member).await?;
        self.say(&FromIndex::Welcome { resync: differences(known, &claimed) }).await
    }

    async fn talk(&mut self, mut said: mpsc::Receiver<Box<FromIndex>>, hung_up: &CancellationToken) -> End {
        let mut heartbeat = Heartbeat::new(Instant::now(), u32::from_be_bytes(keys::random()));
        let stopping = self.index.stopping.clone();
        loop {
            let outcome = tokio::select! {
                message = said.recv() => match message {
                    Some(message) => Box::pin(self.tell(*message)).await,
                    // The index holds a sender for as long as this connection is the newest.
                    None => Err(End::Expelled),
                },
                message = self.hear() => match message {
                    Ok(message) => {
                        heartbeat.heard(Instant::now());
                        Box::pin(self.heed(message)).await
                    }
                    Err(end) => Err(end),
                },
                () = tokio::time::sleep_until(heartbeat.deadline().into()) => match heartbeat.due() {
                    Due::Ask => Box::pin(self.send(Message::Ping(Default::default()))).await,
                    Due::GiveUp => Err(End::Silent),
                },
                () = hung_up.cancelled() => Err(End::Overfull),
                () = stopping.cancelled() => {
                    let farewell = FromIndex::Closing { reconnect_spread_s: self.index.spread_of_return_s() };
                    Box::pin(self.say(&farewell)).await.and(Err(End::Stopping))
                }
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    /// Passes on what another part of the index has to say.
    async fn tell(&mut self, message: FromIndex) -> Result<(), End> {
        self.say(&message).await?;
        if message == FromIndex::Superseded { Err(End::Superseded) } else { Ok(()) }
    }

    async fn heed(&mut self, message: Option<FromPeer>) -> Result<(), End> {
        let Some(message) = message else { return Ok(()) };
        self.caller.count(&self.index, Limit::Control).map_err(|_| End::TooFast)?;
        match message {
            FromPeer::Watch { files } if files.len() <= MAX_WATCHED => {
                let available = self.index.watch(&self.caller.peer, files).await?;
                if available.is_empty() { Ok(()) } else { self.say(&FromIndex::Available { files: available }).await }
            }
            FromPeer::Fetching { files } if files.len() <= MAX_FETCHING => {
                Ok(self.index.fetching(self.caller.member, &files).await?)
            }
            FromPeer::Unknown => Ok(()),
            // A second hello, or a list that is too long.
            _ => Err(End::Malformed),
        }
    }

    /// The next message; `None` for those of the WebSocket itself, which only show that somebody is there.
    async fn hear(&mut self) -> Result<Option<FromPeer>, End> {
        match self.socket.recv().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).map(Some).map_err(|_| End::Malformed),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
            Some(Ok(Message::Binary(_))) => Err(End::Malformed),
            Some(Ok(Message::Close(_))) => Err(End::Left),
            Some(Err(_)) | None => Err(End::Gone),
        }
    }

    async fn say(&mut self, message: &FromIndex) -> Result<(), End> {
        let text = serde_json::to_string(message).map_err(|_| End::Failed)?;
        self.send(Message::text(text)).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match tokio::time::timeout(WRITE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Overfull),
        }
    }

    async fn say_farewell(&mut self, end: End) {
        if !matches!(end, End::Left | End::Gone) {
            let frame = CloseFrame { code: end.close_code(), reason: end.name().into() };
            let _ = self.send(Message::Close(Some(frame))).await;
        }
    }
}

/// The collections that both sides know differently, as the index knows them. What the peer no longer names, it
/// is to empty; what is empty there need not be known here.
fn differences(known: Vec<CollectionState>, claimed: &[CollectionState]) -> Vec<CollectionState> {
    let unknown = claimed.iter().filter(|claim| known.iter().all(|state| state.collection != claim.collection));
    let nothing = |claim: &CollectionState| CollectionState {
        collection: claim.collection.clone(),
        generation: 0,
        digest: LibraryDigest::EMPTY,
    };
    let unknown = unknown.filter(|claim| claim.digest != LibraryDigest::EMPTY);
    let mut differences: Vec<_> = unknown.map(nothing).collect();
    differences.extend(known.into_iter().filter(|state| !claimed.contains(state)));
    differences
}

#[cfg(test)]
mod tests {
    use choir_shared::Digest;

    use super::*;

    fn state(collection: &str, generation: u64) -> CollectionState {
        let digest = if generation == 0 { LibraryDigest::EMPTY } else { Digest::new([7; 32]).into() };
        CollectionState { collection: collection.to_owned(), generation, digest }
    }

    #[test]
    fn a_connection_that_waits_is_small() {
        fn bytes<A, B, C, D, F: Future>(_: impl Fn(A, B, C, D) -> F) -> usize {
            size_of::<F>()
        }
        assert!(bytes(attend) <= 2 << 10, "{}", bytes(attend));
        assert!(size_of::<WebSocket>() <= 1 << 9, "{}", size_of::<WebSocket>());
    }

    #[test]
    fn only_what_both_sides_know_differently_is_published_again() {
        let known = vec![state("same", 1), state("moved on", 2), state("dropped", 3)];
        let emptied = CollectionState { digest: LibraryDigest::EMPTY, ..state("emptied", 9) };
        let claimed = [state("same", 1), state("moved on", 5), state("new", 1), state("new and empty", 0), emptied];
        let expected = [state("new", 0), state("moved on", 2), state("dropped", 3)];
        assert_eq!(differences(known, &claimed), expected);
    }
}
