//! The downloader's side.

use choir_shared::Digest;
use choir_shared::leaf::{LeafRange, LeafSet};
use choir_shared::merkle::TreeLayer;
use choir_shared::wire::message::MAX_MORE_SOURCES;
use choir_shared::wire::{
    BadLeaf, Enter, Get, Granted, HEADER_BYTES, Have, Header, InvalidMessage, Kind, Message as _, No, Place, StreamCode,
};
use choir_shared::{FileId, PeerId};
use quinn::{RecvStream, SendStream, VarInt};

use super::framing::{read_error, read_exact, read_header, read_payload, write_message};
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
    stream: RecvStream,
}

impl Session {
    /// Asks for a range, and returns when the answer's first message is here.
    pub async fn get(&self, get: &Get) -> Result<Answer, SessionError> {
        let answer = self.try_get(get).await;
        answer.inspect_err(|error| self.punish(error))
    }

    async fn try_get(&self, get: &Get) -> Result<Answer, SessionError> {
        let (mut send, mut stream) = self.connection.open_bi().await?;
        write_message(&mut send, get).await?;
        let _ = send.finish();
        let header = read_header(&mut stream).await?;
        if header.is::<No>() {
            return Ok(Answer::No(read_payload(&mut stream, header).await?));
        }
        let have: Have = read_payload(&mut stream, header).await?;
        let malformed = InvalidMessage::Malformed { kind: Have::KIND as u16 };
        if have.more_sources.len() > MAX_MORE_SOURCES {
            return Err(malformed.into());
        }
        let leaves = have.leaves.to_set(get.file.length()).ok_or(malformed)?;
        Ok(Answer::Have(Box::new(Delivery { leaves, more_sources: have.more_sources, stream })))
    }

    /// Takes a place in the sharer's queue; it lasts as long as the returned value.
    pub async fn enter(&self, enter: &Enter) -> Result<QueuePlace, SessionError> {
        let (mut send, receive) = self.connection.open_bi().await?;
        write_message(&mut send, enter).await?;
        Ok(QueuePlace { session: self.clone(), send, receive })
    }

    /// Tells the sharer that a leaf was wrong. Whether it listens is its own affair.
    pub async fn complain(&self, file: FileId, leaf: u32) {
        if let Ok(mut stream) = self.connection.open_uni().await {
            let _ = write_message(&mut stream, &BadLeaf { file, leaf }).await;
            let _ = stream.finish();
        }
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
        read_exact(&mut self.stream, &mut bytes).await?;
        Ok(bytes.as_chunks().0.iter().map(|hash| Digest::new(*hash)).collect())
    }

    /// The next bytes of the range, at most `max`; `None` at the end of the stream.
    pub async fn read(&mut self, max: usize) -> Result<Option<bytes::Bytes>, SessionError> {
        let chunk = self.stream.read_chunk(max, true).await.map_err(read_error)?;
        Ok(chunk.map(|chunk| chunk.bytes))
    }

    /// Asks the sharer to stop sending: nobody needs the rest.
    pub fn stop(&mut self) {
        let _ = self.stream.stop(VarInt::from_u32(StreamCode::Cancelled.code()));
    }
}

/// A place in a sharer's queue, and then a slot. Dropping it gives the place back.
pub struct QueuePlace {
    session: Session,
    send: SendStream,
    receive: RecvStream,
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
        let mut first = [0; 1];
        // The end of the stream between two messages is how a slot ends; within one it is a broken message.
        match self.receive.read(&mut first).await.map_err(read_error)? {
            None | Some(0) => return Err(SessionError::Ended(Some(StreamCode::SlotEnded))),
            Some(_) => {}
        }
        let mut rest = [0; HEADER_BYTES - 1];
        read_exact(&mut self.receive, &mut rest).await?;
        let [k0] = first;
        let [k1, l0, l1, l2, l3] = rest;
        let header = Header::parse([k0, k1, l0, l1, l2, l3]);
        Ok(match header.kind {
            PLACE => QueueNews::Place(read_payload(&mut self.receive, header).await?),
            GRANTED => QueueNews::Granted(read_payload(&mut self.receive, header).await?),
            NO => QueueNews::No(read_payload(&mut self.receive, header).await?),
            kind => return Err(InvalidMessage::Unexpected { kind }.into()),
        })
    }
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        let code = VarInt::from_u32(StreamCode::Cancelled.code());
        let _ = self.send.reset(code);
        let _ = self.receive.stop(code);
    }
}
