//! Hellos and complaints: what the other side says without expecting an answer.
//!
//! Each comes on a stream of its own. Several are read at once and each for a limited time, so that one that never
//! comes holds up no other.

use std::time::Duration;

use choir_shared::wire::message::MAX_TICKETS;
use choir_shared::wire::{BadLeaf, Hello, InvalidMessage, Kind};
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::framing::ReceiveHalf;
use super::{Session, SessionError};
use crate::connectivity::endpoint::UNIDIRECTIONAL_STREAMS;

/// Something the other side says without expecting an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    Hello,
    BadLeaf(BadLeaf),
}

/// All that the other side says without being asked.
pub struct Notices {
    session: Session,
    patience: Duration,
    reading: FuturesUnordered<BoxFuture<'static, Heard>>,
    /// The number of the stream of the hello that counts.
    hello: Option<u64>,
}

/// What came of the stream with this number.
type Heard = (u64, Result<Said, SessionError>);

enum Said {
    Hello(Hello),
    BadLeaf(BadLeaf),
    /// A notice of a later version: nobody waits for an answer.
    Unknown,
}

impl Session {
    /// Each notice must be here within `patience` of its stream; what is not is given up.
    pub fn notices(&self, patience: Duration) -> Notices {
        Notices { session: self.clone(), patience, reading: FuturesUnordered::new(), hello: None }
    }
}

impl Notices {
    /// The next one. An error ends them all: the connection is lost, or the other side broke the protocol.
    pub async fn next(&mut self) -> Result<Notice, SessionError> {
        loop {
            tokio::select! {
                opened = self.session.connection.accept_uni(),
                    if self.reading.len() < UNIDIRECTIONAL_STREAMS as usize =>
                {
                    let (stream, patience) = (ReceiveHalf::new(opened?), self.patience);
                    self.reading.push(listen(stream, patience).boxed());
                }
                Some(heard) = self.reading.next() => {
                    let notice = self.take(heard).inspect_err(|error| self.session.punish(error))?;
                    if let Some(notice) = notice {
                        return Ok(notice);
                    }
                }
            }
        }
    }

    fn take(&mut self, (number, said): Heard) -> Result<Option<Notice>, SessionError> {
        match said {
            // Streams overtake each other: the hello that was said last counts.
            Ok(Said::Hello(_)) if self.hello.is_some_and(|newest| newest > number) => Ok(None),
            Ok(Said::Hello(hello)) if hello.tickets.len() > MAX_TICKETS => {
                Err(InvalidMessage::Malformed { kind: Kind::Hello as u16 }.into())
            }
            Ok(Said::Hello(hello)) => {
                self.hello = Some(number);
                self.session.hello.send_replace(Some(hello));
                Ok(Some(Notice::Hello))
            }
            Ok(Said::BadLeaf(bad)) => Ok(Some(Notice::BadLeaf(bad))),
            Ok(Said::Unknown) | Err(SessionError::Ended(_) | SessionError::Silent) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

async fn listen(mut stream: ReceiveHalf, patience: Duration) -> Heard {
    let said = tokio::time::timeout(patience, read(&mut stream)).await;
    (stream.number(), said.unwrap_or(Err(SessionError::Silent)).map_err(SessionError::unasked))
}

async fn read(stream: &mut ReceiveHalf) -> Result<Said, SessionError> {
    let header = stream.next_header().await?.ok_or(SessionError::Silent)?;
    Ok(if header.is::<Hello>() {
        Said::Hello(stream.payload(header).await?)
    } else if header.is::<BadLeaf>() {
        Said::BadLeaf(stream.payload(header).await?)
    } else {
        Said::Unknown
    })
}
