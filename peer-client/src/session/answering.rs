//! The sharer's side.

use bytes::Bytes;
use choir_shared::Digest;
use choir_shared::wire::{
    BadLeaf, Enter, Get, Granted, Have, Hello, InvalidMessage, Kind, No, Place, Reason, StreamCode,
};
use quinn::{RecvStream, SendStream, VarInt};

use super::framing::{read_header, read_message, read_payload, write_error, write_message};
use super::{Session, SessionError};

/// A request on a stream of its own.
pub enum Request {
    Get(Get, Reply),
    Enter(Enter, QueueReply),
}

/// Something the other side says without expecting an answer.
pub enum Notice {
    Hello,
    BadLeaf(BadLeaf),
}

/// A stream that the other side opened and on which its request has not been read yet.
pub struct Opened {
    session: Session,
    send: SendStream,
    receive: RecvStream,
}

impl Session {
    /// The next stream that the other side opens. Reading its request is another step, so that one slow stream
    /// does not hold up the others.
    pub async fn next_stream(&self) -> Result<Opened, SessionError> {
        let (send, receive) = self.connection.accept_bi().await?;
        Ok(Opened { session: self.clone(), send, receive })
    }

    /// The next hello or complaint. A second hello replaces the first.
    pub async fn next_notice(&self) -> Result<Notice, SessionError> {
        let notice = self.try_next_notice().await;
        notice.inspect_err(|error| self.punish(error))
    }

    async fn try_next_notice(&self) -> Result<Notice, SessionError> {
        loop {
            let mut stream = self.connection.accept_uni().await?;
            let header = read_header(&mut stream).await?;
            if header.is::<Hello>() {
                let hello = read_payload::<Hello>(&mut stream, header).await?;
                if hello.tickets.len() > choir_shared::wire::message::MAX_TICKETS {
                    return Err(InvalidMessage::Malformed { kind: header.kind }.into());
                }
                self.hello.send_replace(Some(hello));
                return Ok(Notice::Hello);
            }
            if header.is::<BadLeaf>() {
                return Ok(Notice::BadLeaf(read_payload(&mut stream, header).await?));
            }
            // A notice of a later version: nobody waits for an answer.
            let _ = stream.stop(VarInt::from_u32(StreamCode::Cancelled.code()));
        }
    }
}

impl Opened {
    /// Reads the request. `None` if it is of a kind that this version does not know: it was told so.
    pub async fn request(mut self) -> Result<Option<Request>, SessionError> {
        let request = self.read().await;
        let request = request.inspect_err(|error| self.session.punish(error))?;
        Ok(match request {
            Parsed::Get(get) => Some(Request::Get(get, Reply::on(self.send))),
            Parsed::Enter(enter) => {
                Some(Request::Enter(enter, QueueReply { stream: self.send, receive: self.receive }))
            }
            Parsed::Unknown => {
                let reply = Reply::on(self.send);
                reply.no(Reason::Unsupported, 0).await?;
                None
            }
        })
    }

    async fn read(&mut self) -> Result<Parsed, SessionError> {
        let header = read_header(&mut self.receive).await?;
        Ok(if header.is::<Get>() {
            Parsed::Get(read_payload(&mut self.receive, header).await?)
        } else if header.is::<Enter>() {
            Parsed::Enter(read_payload(&mut self.receive, header).await?)
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

/// The stream on which a [`Get`] is answered. Dropped before its end it is reset: quinn would finish it, and to the
/// other side an answer cut short would look like a broken one.
pub struct Reply {
    stream: SendStream,
    ended: bool,
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.ended {
            self.end_with(StreamCode::Cancelled);
        }
    }
}

impl Reply {
    const fn on(stream: SendStream) -> Self {
        Self { stream, ended: false }
    }

    pub async fn no(mut self, reason: Reason, retry_after_ms: u32) -> Result<(), SessionError> {
        write_message(&mut self.stream, &No { reason, retry_after_ms }).await?;
        self.finish();
        Ok(())
    }

    pub async fn have(&mut self, have: &Have, priority: u8) -> Result<(), SessionError> {
        let _ = self.stream.set_priority(i32::from(priority));
        write_message(&mut self.stream, have).await
    }

    pub async fn hashes(&mut self, hashes: &[Digest]) -> Result<(), SessionError> {
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
        self.bytes(Bytes::from(bytes)).await
    }

    /// Waits while the window is full: a slow reader slows only itself.
    pub async fn bytes(&mut self, bytes: Bytes) -> Result<(), SessionError> {
        self.stream.write_chunk(bytes).await.map_err(write_error)
    }

    pub fn finish(mut self) {
        self.ended = true;
        let _ = self.stream.finish();
    }

    pub fn reset(mut self, code: StreamCode) {
        self.end_with(code);
    }

    fn end_with(&mut self, code: StreamCode) {
        self.ended = true;
        let _ = self.stream.reset(VarInt::from_u32(code.code()));
    }
}

/// The stream on which a place in the queue lives.
pub struct QueueReply {
    stream: SendStream,
    receive: RecvStream,
}

impl QueueReply {
    pub async fn place(&mut self, place: &Place) -> Result<(), SessionError> {
        write_message(&mut self.stream, place).await
    }

    pub async fn granted(&mut self, granted: &Granted) -> Result<(), SessionError> {
        write_message(&mut self.stream, granted).await
    }

    pub async fn no(mut self, reason: Reason, retry_after_ms: u32) -> Result<(), SessionError> {
        Reply::on(self.stream).no(reason, retry_after_ms).await?;
        let _ = self.receive.stop(VarInt::from_u32(StreamCode::SlotEnded.code()));
        Ok(())
    }

    /// Resolves when the downloader leaves: it resets the stream, finishes it, or its connection is lost.
    pub async fn left(&mut self) {
        // Nothing is said on this side of the stream; whatever comes ends the place.
        let _ = read_message::<Enter>(&mut self.receive).await;
    }

    pub fn end(mut self) {
        let _ = self.stream.finish();
        let _ = self.receive.stop(VarInt::from_u32(StreamCode::SlotEnded.code()));
    }
}
