//! The downloader's side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use choir_shared::Digest;
use choir_shared::leaf::{LeafRange, LeafSet};
use choir_shared::merkle::TreeLayer;
use choir_shared::wire::message::MAX_MORE_SOURCES;
use choir_shared::wire::{
    BadLeaf, Enter, Get, Granted, Have, InvalidMessage, Kind, Message as _, No, Place, StreamCode,
};
use choir_shared::{FileId, PeerId};

use super::framing::{ReceiveHalf, SendHalf};
use super::{Session, SessionError};

/// What a sharer says to a [`Get`].
pub enum Answer {
    Have(Box<Delivery>),
    No(No),
}

/// What follows a [`Have`]: read it in the order of the fields.
pub struct Delivery {
    pub leaves: LeafSet,
    pub more_sources: Vec<PeerId>,
    /// Counts what is read from here on.
    pub arrivals: Arrivals,
    stream: ReceiveHalf,
}

/// Counts bytes as they arrive, for whoever has to tell a slow sharer from a silent one.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    counters: Arc<Counters>,
    whole: Option<Arc<Counters>>,
}

#[derive(Debug, Default)]
struct Counters {
    bytes: AtomicU64,
    held_back: AtomicBool,
}

impl Arrivals {
    /// A new count, of which this one is the sum with all others begun here.
    #[must_use]
    pub fn part(&self) -> Self {
        Self { counters: Arc::default(), whole: Some(Arc::clone(&self.counters)) }
    }

    pub fn bytes(&self) -> u64 {
        self.counters.bytes.load(Ordering::Relaxed)
    }

    /// While the returned value lives nothing is read, because of ourselves.
    pub fn hold_back(&self) -> HeldBack<'_> {
        self.counters.held_back.store(true, Ordering::Relaxed);
        HeldBack(self)
    }

    pub fn are_held_back(&self) -> bool {
        self.counters.held_back.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        for counters in [Some(&self.counters), self.whole.as_ref()].into_iter().flatten() {
            counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }
}

/// See [`Arrivals::hold_back`].
pub struct HeldBack<'a>(&'a Arrivals);

impl Drop for HeldBack<'_> {
    fn drop(&mut self) {
        self.0.counters.held_back.store(false, Ordering::Relaxed);
    }
}

/// Hashes are counted in pieces of this size.
const COUNTED_BYTES: usize = 1024;

impl Session {
    /// Asks for a range, and returns when the answer's first message is here.
    pub async fn get(&self, get: &Get) -> Result<Answer, SessionError> {
        let answer = self.try_get(get).await;
        answer.inspect_err(|error| self.punish(error))
    }

    async fn try_get(&self, get: &Get) -> Result<Answer, SessionError> {
        let (mut send, mut stream) = self.open().await?;
        send.message(get).await?;
        send.finish();
        let header = stream.header().await?;
        if header.is::<No>() {
            return Ok(Answer::No(stream.payload(header).await?));
        }
        let have: Have = stream.payload(header).await?;
        let malformed = InvalidMessage::Malformed { kind: Have::KIND as u16 };
        if have.more_sources.len() > MAX_MORE_SOURCES {
            return Err(malformed.into());
        }
        let leaves = have.leaves.to_set(get.file.length()).ok_or(malformed)?;
        let (more_sources, arrivals) = (have.more_sources, Arrivals::default());
        Ok(Answer::Have(Box::new(Delivery { leaves, more_sources, arrivals, stream })))
    }

    /// Takes a place in the sharer's queue; it lasts as long as the returned value.
    pub async fn enter(&self, enter: &Enter) -> Result<QueuePlace, SessionError> {
        let (mut send, receive) = self.open().await?;
        send.message(enter).await?;
        Ok(QueuePlace { session: self.clone(), _send: send, receive })
    }

    /// Tells the sharer that a leaf was wrong, without waiting until it listens; whether it does is its own affair.
    pub fn complain(&self, file: FileId, leaf: u32) {
        let session = self.clone();
        // Needs no owner: it ends with the connection, which may outlive the download that complains.
        tokio::spawn(async move {
            // Fails only with the connection.
            let _ = session.notify(&BadLeaf { file, leaf }).await;
        });
    }

    async fn open(&self) -> Result<(SendHalf, ReceiveHalf), SessionError> {
        let (send, receive) = self.connection.open_bi().await?;
        Ok((SendHalf::new(send), ReceiveHalf::new(receive)))
    }
}

impl Delivery {
    /// The tree layer, if the request wanted it; unverified.
    pub async fn read_layer(&mut self, file: FileId) -> Result<Vec<Digest>, SessionError> {
        self.read_digests(TreeLayer::node_count(file.length())).await
    }

    /// The leaf hashes of the range, which precede its bytes where the layer lies above the leaves; unverified.
    pub async fn read_leaf_hashes(&mut self, range: LeafRange) -> Result<Vec<Digest>, SessionError> {
        self.read_digests(range.count()).await
    }

    async fn read_digests(&mut self, count: u32) -> Result<Vec<Digest>, SessionError> {
        let mut bytes = vec![0; count as usize * size_of::<Digest>()];
        for piece in bytes.chunks_mut(COUNTED_BYTES) {
            self.stream.exact(piece).await?;
            self.arrivals.add(piece.len());
        }
        Ok(bytes.as_chunks().0.iter().map(|hash| Digest::new(*hash)).collect())
    }

    /// The next bytes of the range, at most `max`; `None` at the end of the stream.
    pub async fn read(&mut self, max: usize) -> Result<Option<bytes::Bytes>, SessionError> {
        let chunk = self.stream.chunk(max).await?;
        Ok(chunk.inspect(|bytes| self.arrivals.add(bytes.len())))
    }

    /// Asks the sharer to stop sending: nobody needs the rest.
    pub fn stop(&mut self) {
        self.stream.stop(StreamCode::Cancelled);
    }
}

/// A place in a sharer's queue, and then a slot. Dropping it gives the place back.
pub struct QueuePlace {
    session: Session,
    /// Nothing more is said on it; the place lasts until it is reset.
    _send: SendHalf,
    receive: ReceiveHalf,
}

/// What the sharer says while one waits.
#[derive(Debug)]
pub enum QueueNews {
    Place(Place),
    Granted(Granted),
    No(No),
}

impl QueuePlace {
    /// The next message; an error once the place or slot is lost.
    pub async fn next(&mut self) -> Result<QueueNews, SessionError> {
        let news = self.try_next().await;
        news.inspect_err(|error| self.session.punish(error))
    }

    async fn try_next(&mut self) -> Result<QueueNews, SessionError> {
        const PLACE: u16 = Kind::Place as u16;
        const GRANTED: u16 = Kind::Granted as u16;
        const NO: u16 = Kind::No as u16;
        // The end of the stream between two messages is how a slot ends.
        let header = self.receive.next_header().await?.ok_or(SessionError::Ended(Some(StreamCode::SlotEnded)))?;
        Ok(match header.kind {
            PLACE => QueueNews::Place(self.receive.payload(header).await?),
            GRANTED => QueueNews::Granted(self.receive.payload(header).await?),
            NO => QueueNews::No(self.receive.payload(header).await?),
            kind => return Err(InvalidMessage::Unexpected { kind }.into()),
        })
    }
}
