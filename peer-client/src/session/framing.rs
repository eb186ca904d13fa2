//! Messages on QUIC streams.

use choir_shared::wire::{HEADER_BYTES, Header, InvalidMessage, Message, StreamCode, decode, encode};
use quinn::{ReadError, ReadExactError, RecvStream, SendStream, WriteError};

use super::SessionError;

/// Reads one message of the kind that must come now. The length is checked before the payload is read.
pub async fn read_message<M: Message>(stream: &mut RecvStream) -> Result<M, SessionError> {
    let header = read_header(stream).await?;
    read_payload(stream, header).await
}

pub async fn read_header(stream: &mut RecvStream) -> Result<Header, SessionError> {
    let mut header = [0; HEADER_BYTES];
    read_exact(stream, &mut header).await?;
    Ok(Header::parse(header))
}

pub async fn read_payload<M: Message>(stream: &mut RecvStream, header: Header) -> Result<M, SessionError> {
    header.expect::<M>()?;
    let mut payload = vec![0; header.payload_bytes as usize];
    read_exact(stream, &mut payload).await?;
    Ok(decode(&payload)?)
}

pub async fn read_exact(stream: &mut RecvStream, buffer: &mut [u8]) -> Result<(), SessionError> {
    stream.read_exact(buffer).await.map_err(|error| match error {
        // A stream that ends within a message is a message that does not parse.
        ReadExactError::FinishedEarly(_) => InvalidMessage::Malformed { kind: 0 }.into(),
        ReadExactError::ReadError(error) => read_error(error),
    })
}

pub async fn write_message<M: Message>(stream: &mut SendStream, message: &M) -> Result<(), SessionError> {
    stream.write_all(&encode(message)).await.map_err(write_error)
}

pub(super) fn read_error(error: ReadError) -> SessionError {
    match error {
        ReadError::Reset(code) => SessionError::Ended(StreamCode::from_code(code.into_inner())),
        ReadError::ConnectionLost(lost) => SessionError::Lost(lost),
        ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
            SessionError::Ended(None)
        }
    }
}

pub(super) fn write_error(error: WriteError) -> SessionError {
    match error {
        WriteError::Stopped(code) => SessionError::Ended(StreamCode::from_code(code.into_inner())),
        WriteError::ConnectionLost(lost) => SessionError::Lost(lost),
        WriteError::ClosedStream | WriteError::ZeroRttRejected => SessionError::Ended(None),
    }
}
