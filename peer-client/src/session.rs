//! Typed messages over one connection with one peer.
//!
//! A [`Session`] is the same whoever dialled: each side may ask and each side answers.
//! [`asking`] is what a downloader does, [`answering`] what a sharer does, [`notices`] what either says unasked,
//! [`framing`] how all of them read and write.
//!
//! A peer that breaks the protocol loses the connection, with the code that says why; the error that comes out of
//! a call tells the three cases apart: the connection was lost, the other side misbehaved, the stream was ended.

pub mod answering;
pub mod asking;
#[cfg(test)]
pub(crate) mod fixture;
pub mod framing;
pub mod notices;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use choir_shared::PeerId;
use choir_shared::address::Scope;
use choir_shared::wire::{CloseCode, Hello, InvalidMessage, Message, StreamCode};
use tokio::sync::watch;

use self::framing::SendHalf;
use crate::connectivity::farewell;
use crate::connectivity::surroundings::attached_subnets;

/// One connection with one authenticated peer.
#[derive(Clone)]
pub struct Session {
    connection: quinn::Connection,
    peer: PeerId,
    hello: Arc<watch::Sender<Option<Hello>>>,
}

impl Session {
    /// Says hello without waiting for it to arrive, and again whenever it changes.
    pub fn begin(connection: quinn::Connection, peer: PeerId, mut hello: watch::Receiver<Hello>) -> Self {
        let session = Self { connection, peer, hello: Arc::new(watch::Sender::new(None)) };
        let speaker = session.clone();
        // Needs no owner: it ends with the connection at the latest, and connections end with the endpoint.
        tokio::spawn(async move {
            loop {
                let now = hello.borrow_and_update().clone();
                // Fails only with the connection.
                if speaker.notify(&now).await.is_err() {
                    return;
                }
                tokio::select! {
                    _ = speaker.connection.closed() => return,
                    changed = hello.changed() => if changed.is_err() { return },
                }
            }
        });
        session
    }

    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    pub(crate) const fn connection(&self) -> &quinn::Connection {
        &self.connection
    }

    pub fn is_alive(&self) -> bool {
        self.connection.close_reason().is_none()
    }

    /// `None` while the connection lives; then the code with which the other side ended it, if it gave one.
    pub fn ended(&self) -> Option<Option<CloseCode>> {
        let reason = self.connection.close_reason()?;
        Some(SessionError::Lost(reason).close_code())
    }

    pub async fn closed(&self) -> quinn::ConnectionError {
        self.connection.closed().await
    }

    pub fn close(&self, code: CloseCode) {
        farewell::close(&self.connection, code);
    }

    /// Waits for an answer, but not for ever. If in all that time not even an acknowledgement came, the other side is
    /// gone without a word, and the connection is closed: QUIC itself would wait for 30 s, and whoever else uses this
    /// connection as well.
    pub async fn within<T>(&self, patience: std::time::Duration, answer: impl Future<Output = T>) -> Option<T> {
        let heard = self.datagrams_heard();
        let answer = tokio::time::timeout(patience, answer).await.ok();
        if answer.is_none() && self.datagrams_heard() == heard {
            tracing::debug!(peer = %self.peer.short(), "the peer is gone");
            self.close(CloseCode::Done);
        }
        answer
    }

    pub(crate) fn datagrams_heard(&self) -> u64 {
        self.connection.stats().udp_rx.datagrams
    }

    /// Bytes of datagrams, with everything that is sent again.
    pub(crate) fn bytes_sent(&self) -> u64 {
        self.connection.stats().udp_tx.bytes
    }

    /// Never the same for two connections that live at one time.
    pub(crate) fn id(&self) -> usize {
        self.connection.stable_id()
    }

    pub fn round_trip(&self) -> std::time::Duration {
        self.connection.rtt()
    }

    pub fn remote_address(&self) -> std::net::SocketAddr {
        self.connection.remote_address()
    }

    /// Whether the other side is reached without the line that leads to the internet.
    pub fn is_near(&self) -> bool {
        let address = self.connection.remote_address().ip();
        Scope::of(address) == Scope::Loopback || attached_subnets().iter().any(|subnet| subnet.contains(address))
    }

    /// How the other side is reached, in words that people know.
    pub fn path_kind(&self) -> &'static str {
        let address = self.connection.remote_address().ip();
        match Scope::of(address) {
            Scope::Loopback => "this machine",
            _ if attached_subnets().iter().any(|subnet| subnet.contains(address)) => "direct, same network",
            _ => "direct",
        }
    }

    /// What the other side said of itself, once it has.
    pub fn hello(&self) -> watch::Receiver<Option<Hello>> {
        self.hello.subscribe()
    }

    /// Says something that needs no answer, on a stream of its own.
    async fn notify<M: Message>(&self, message: &M) -> Result<(), SessionError> {
        let mut stream = SendHalf::new(self.connection.open_uni().await?);
        stream.message(message).await?;
        stream.finish();
        Ok(())
    }

    /// Ends the connection if the other side broke the protocol.
    fn punish(&self, error: &SessionError) {
        if let SessionError::Misbehaved(invalid) = error {
            tracing::debug!(peer = %self.peer.short(), %invalid, "the peer broke the protocol");
            self.close(invalid.close_code());
        }
    }
}

/// Why a call over a session came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SessionError {
    /// The connection is gone; the reason may be the other side's [`CloseCode`].
    #[error("connection lost: {0}")]
    Lost(#[from] quinn::ConnectionError),
    /// The other side broke the protocol; the connection was closed for it.
    #[error("the peer misbehaved: {0}")]
    Misbehaved(#[from] InvalidMessage),
    /// The other side ended this stream alone.
    #[error("the peer ended the transfer{}", in_words(*.0))]
    Ended(Option<StreamCode>),
    /// The other side finished this stream before all was said that belongs on it. Whoever asked has no answer, and
    /// the connection lives.
    #[error("the peer ended its answer too early")]
    CutShort,
    /// The other side opened a stream and then did not say what for.
    #[error("the peer opened a stream and said nothing")]
    Silent,
}

const fn in_words(code: Option<StreamCode>) -> &'static str {
    match code {
        Some(StreamCode::Changed) => ": the file changed meanwhile",
        Some(StreamCode::ReadFailed) => ": it cannot read the file",
        Some(StreamCode::TooSlow) => ": too little was taken of it",
        Some(StreamCode::SlotEnded) => ": the upload slot is over",
        Some(StreamCode::Cancelled) | None => "",
    }
}

impl SessionError {
    /// The same where the other side speaks first: there, what ends too early is a broken message.
    fn unasked(self) -> Self {
        match self {
            Self::CutShort => Self::Misbehaved(InvalidMessage::Incomplete),
            other => other,
        }
    }

    /// The code with which the other side closed the connection, if it did.
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Lost(quinn::ConnectionError::ApplicationClosed(close)) => {
                CloseCode::from_code(close.error_code.into_inner())
            }
            _ => None,
        }
    }
}
