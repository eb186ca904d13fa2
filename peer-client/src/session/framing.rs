//! Messages and bytes on the two halves of a QUIC stream.
//!
//! quinn finishes a sending half that is dropped, and to the other side what was cut short would look whole; it stops
//! a receiving half with a code that means nothing. Here a half that is dropped before its end is given up with
//! [`StreamCode::Cancelled`], whatever way out of a function, or out of a task that is stopped, was taken.

use bytes::Bytes;
use choir_shared::wire::{HEADER_BYTES, Header, Message, StreamCode, decode, encode};
use quinn::{ReadError, ReadExactError, RecvStream, SendStream, VarInt, WriteError};

use super::SessionError;

/// What this side says on a stream.
pub struct SendHalf {
    stream: SendStream,
    ended: bool,
}

impl SendHalf {
    pub const fn new(stream: SendStream) -> Self {
        Self { stream, ended: false }
    }

    pub async fn message<M: Message>(&mut self, message: &M) -> Result<(), SessionError> {
        self.stream.write_all(&encode(message)).await.map_err(write_error)
    }

    /// Waits while the window is full: a slow reader slows only itself.
    pub async fn bytes(&mut self, bytes: Bytes) -> Result<(), SessionError> {
        self.stream.write_chunk(bytes).await.map_err(write_error)
    }

    /// Higher is sent first among the streams of one connection.
    pub fn set_priority(&self, priority: u8) {
        let _ = self.stream.set_priority(i32::from(priority));
    }

    /// All is said.
    pub fn finish(mut self) {
        self.ended = true;
        let _ = self.stream.finish();
    }

    /// What was said is not the whole, and this is why.
    pub fn reset(mut self, code: StreamCode) {
        self.end_with(code);
    }

    fn end_with(&mut self, code: StreamCode) {
        self.ended = true;
        let _ = self.stream.reset(VarInt::from_u32(code.code()));
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        if !self.ended {
            self.end_with(StreamCode::Cancelled);
        }
    }
}

/// What the other side says on a stream.
pub struct ReceiveHalf(RecvStream);

impl ReceiveHalf {
    pub const fn new(stream: RecvStream) -> Self {
        Self(stream)
    }

    /// Greater for streams that the other side opened later.
    pub fn number(&self) -> u64 {
        self.0.id().index()
    }

    /// One message of the kind that must come now.
    pub async fn message<M: Message>(&mut self) -> Result<M, SessionError> {
        let header = self.header().await?;
        self.payload(header).await
    }

    pub async fn header(&mut self) -> Result<Header, SessionError> {
        let mut header = [0; HEADER_BYTES];
        self.exact(&mut header).await?;
        Ok(Header::parse(header))
    }

    /// `None` if the stream ends here, between two messages.
    pub async fn next_header(&mut self) -> Result<Option<Header>, SessionError> {
        let mut header = [0; HEADER_BYTES];
        let (first, rest) = header.split_at_mut(1);
        if self.0.read(first).await.map_err(read_error)?.is_none() {
            return Ok(None);
        }
        self.exact(rest).await?;
        Ok(Some(Header::parse(header)))
    }

    /// The length is checked before the payload is read.
    pub async fn payload<M: Message>(&mut self, header: Header) -> Result<M, SessionError> {
        header.expect::<M>()?;
        let mut payload = vec![0; header.payload_bytes as usize];
        self.exact(&mut payload).await?;
        Ok(decode(&payload)?)
    }

    pub async fn exact(&mut self, buffer: &mut [u8]) -> Result<(), SessionError> {
        self.0.read_exact(buffer).await.map_err(|error| match error {
            ReadExactError::FinishedEarly(_) => SessionError::CutShort,
            ReadExactError::ReadError(error) => read_error(error),
        })
    }

    /// The next bytes, at most `max`; `None` at the end of the stream.
    pub async fn chunk(&mut self, max: usize) -> Result<Option<Bytes>, SessionError> {
        let chunk = self.0.read_chunk(max, true).await.map_err(read_error)?;
        Ok(chunk.map(|chunk| chunk.bytes))
    }

    /// Nobody here reads on.
    pub fn stop(&mut self, code: StreamCode) {
        // Fails where there is nothing left to stop.
        let _ = self.0.stop(VarInt::from_u32(code.code()));
    }
}

impl Drop for ReceiveHalf {
    fn drop(&mut self) {
        self.stop(StreamCode::Cancelled);
    }
}

fn read_error(error: ReadError) -> SessionError {
    match error {
        ReadError::Reset(code) => SessionError::Ended(StreamCode::from_code(code.into_inner())),
        ReadError::ConnectionLost(lost) => SessionError::Lost(lost),
        ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
            SessionError::Ended(None)
        }
    }
}

fn write_error(error: WriteError) -> SessionError {
    match error {
        WriteError::Stopped(code) => SessionError::Ended(StreamCode::from_code(code.into_inner())),
        WriteError::ConnectionLost(lost) => SessionError::Lost(lost),
        WriteError::ClosedStream | WriteError::ZeroRttRejected => SessionError::Ended(None),
    }
}
