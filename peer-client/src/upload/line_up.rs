//! One place in the queue, which lives and dies with its stream.

use std::time::Duration;

use choir_shared::wire::{Enter, Granted, Place, Reason};

use super::admit::Admission;
use super::desk::{Call, Desk};
use super::queue::{Leaving, PlaceId, SLOT_IDLE};
use super::serve::Visit;
use crate::session::answering::QueueReply;
use crate::session::{Session, SessionError};

/// When to try again at a full queue.
const FULL_RETRY_MS: u32 = 60_000;

/// News are a few bytes; who does not take them in this time takes nothing.
const NEWS_TIMEOUT: Duration = Duration::from_secs(10);

impl Visit {
    /// Keeps the place until the downloader leaves, or the slot that it became ends.
    pub(super) async fn line_up(&self, enter: Enter, mut reply: QueueReply) -> Result<(), SessionError> {
        match self.judge(|rules, visitor| rules.admit_to_queue(visitor)).await {
            Admission::Serve => {}
            Admission::No(refusal) => return reply.no(refusal.reason(), 0).await,
            Admission::Wait(_) => return reply.no(Reason::Busy, FULL_RETRY_MS).await,
        }
        let desk = &self.shared.desk;
        let Ok((place, mut calls)) = desk.enter(self.peer, self.network, enter.bytes) else {
            return reply.no(Reason::Busy, FULL_RETRY_MS).await;
        };
        let _left_when_dropped = Held { desk, place, session: &self.session };
        loop {
            let call = *calls.borrow_and_update();
            if call == Call::Over {
                reply.end();
                return Ok(());
            }
            match tokio::time::timeout(NEWS_TIMEOUT, tell(&mut reply, call)).await {
                Ok(told) => told?,
                Err(_) => return Ok(()),
            }
            tokio::select! {
                () = reply.left() => return Ok(()),
                changed = calls.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }
}

async fn tell(reply: &mut QueueReply, call: Call) -> Result<(), SessionError> {
    match call {
        Call::Wait { ahead, eta } => reply.place(&Place { ahead, eta_ms: eta.map(milliseconds) }).await,
        Call::Come => reply.granted(&Granted { idle_ms: milliseconds(SLOT_IDLE) }).await,
        Call::Silence | Call::Over => Ok(()),
    }
}

fn milliseconds(span: Duration) -> u32 {
    span.as_millis().try_into().unwrap_or(u32::MAX)
}

/// A place that is given back however its task ends.
struct Held<'a> {
    desk: &'a Desk,
    place: PlaceId,
    session: &'a Session,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let how = if self.session.is_alive() { Leaving::ByChoice } else { Leaving::ConnectionLost };
        self.desk.leave(self.place, how);
    }
}
