//! The sharer's side.

use std::time::Duration;

use bytes::Bytes;
use choir_shared::Digest;
use choir_shared::wire::{Enter, Get, Granted, Have, InvalidMessage, Kind, No, Place, Reason, StreamCode};

use super::framing::{ReceiveHalf, SendHalf};
use super::{Session, SessionError};

/// A request on a stream of its own.
pub enum Request {
    Get(Get, Reply),
    Enter(Enter, QueueReply),
}

/// A stream that the other side opened and on which its request has not been read yet.
pub struct Opened {
    session: Session,
    send: SendHalf,
    receive: ReceiveHalf,
}

impl Session {
    /// The next stream that the other side opens. Reading its request is another step, so that one slow stream
    /// does not hold up the others.
    pub async fn next_stream(&self) -> Result<Opened, SessionError> {
        let (send, receive) = self.connection.accept_bi().await?;
        Ok(Opened { session: self.clone(), send: SendHalf::new(send), receive: ReceiveHalf::new(receive) })
    }
}

impl Opened {
    /// Reads the request, which must come `within` this time. `None` if it is of a kind that this version does not
    /// know: it was told so.
    pub async fn request(mut self, within: Duration) -> Result<Option<Request>, SessionError> {
        let request = tokio::time::timeout(within, self.read()).await.unwrap_or(Err(SessionError::Silent));
        let request = request.map_err(SessionError::unasked).inspect_err(|error| self.session.punish(error))?;
        Ok(match request {
            Parsed::Get(get) => Some(Request::Get(get, Reply(self.send))),
            Parsed::Enter(enter) => Some(Request::Enter(enter, QueueReply { send: self.send, receive: self.receive })),
            Parsed::Unknown => {
                Reply(self.send).no(Reason::Unsupported, 0).await?;
                None
            }
        })
    }

    async fn read(&mut self) -> Result<Parsed, SessionError> {
        let header = self.receive.next_header().await?.ok_or(SessionError::Silent)?;
        Ok(if header.is::<Get>() {
            Parsed::Get(self.receive.payload(header).await?)
        } else if header.is::<Enter>() {
            Parsed::Enter(self.receive.payload(header).await?)
        } else if Kind::is_assigned(header.kind) {
            // Known, but no request.
            return Err(InvalidMessage::Unexpected { kind: header.kind }.into());
        } else {
            Parsed::Unknown
        })
    }
}

enum Parsed {
    Get(Get),
    Enter(Enter),
    Unknown,
}

/// The stream on which a [`Get`] is answered. Dropped before its end it is reset.
pub struct Reply(SendHalf);

impl Reply {
    pub async fn no(mut self, reason: Reason, retry_after_ms: u32) -> Result<(), SessionError> {
        self.0.message(&No { reason, retry_after_ms }).await?;
        self.finish();
        Ok(())
    }

    pub async fn have(&mut self, have: &Have, priority: u8) -> Result<(), SessionError> {
        self.0.set_priority(priority);
        self.0.message(have).await
    }

    pub async fn hashes(&mut self, hashes: &[Digest]) -> Result<(), SessionError> {
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
        self.bytes(Bytes::from(bytes)).await
    }

    /// Waits while the window is full: a slow reader slows only itself.
    pub async fn bytes(&mut self, bytes: Bytes) -> Result<(), SessionError> {
        self.0.bytes(bytes).await
    }

    pub fn finish(self) {
        self.0.finish();
    }

    pub fn reset(self, code: StreamCode) {
        self.0.reset(code);
    }
}

/// The stream on which a place in the queue lives. Dropped before its end it is reset.
pub struct QueueReply {
    send: SendHalf,
    receive: ReceiveHalf,
}

impl QueueReply {
    pub async fn place(&mut self, place: &Place) -> Result<(), SessionError> {
        self.send.message(place).await
    }

    pub async fn granted(&mut self, granted: &Granted) -> Result<(), SessionError> {
        self.send.message(granted).await
    }

    pub async fn no(mut self, reason: Reason, retry_after_ms: u32) -> Result<(), SessionError> {
        self.send.message(&No { reason, retry_after_ms }).await?;
        self.end();
        Ok(())
    }

    /// Resolves when the downloader leaves: it resets the stream, finishes it, or its connection is lost.
    pub async fn left(&mut self) {
        // Nothing is said on this side of the stream; whatever comes ends the place.
        let _ = self.receive.header().await;
    }

    pub fn end(mut self) {
        self.receive.stop(StreamCode::SlotEnded);
        self.send.finish();
    }
}
