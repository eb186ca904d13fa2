//! Measures connections for the limit `auto`, and sets the pace.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use choir_shared::PeerId;
use choir_shared::address::NetworkPrefix;
use tokio::sync::watch;

use super::auto::{AutoLimit, Reading};
use crate::clock::now;
use crate::config::UploadRate;
use crate::pace::Pacer;
use crate::session::Session;

/// A limit over all uploads, by the network of the reader and then by its key.
pub(super) type UploadPacer = Pacer<NetworkPrefix, PeerId>;

/// How often is measured: more often than the shortest reaction takes.
const TICK: Duration = Duration::from_millis(100);

/// The sessions that leave this house. One within it uses another line.
#[derive(Default)]
pub(super) struct Lines(Mutex<HashMap<usize, Session>>);

/// What a connection had done when it was last looked at.
#[derive(Clone, Copy)]
struct Counted {
    sent: u64,
    heard: u64,
}

impl Lines {
    pub(super) fn add(&self, session: &Session) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(session.id(), session.clone());
    }

    pub(super) fn remove(&self, session: &Session) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&session.id());
    }

    fn all(&self) -> Vec<Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Keeps the pace at what the line bears, whenever the limit is `auto`. Ends with the sender of `limit`.
pub(super) async fn regulate(lines: &Lines, pacer: &UploadPacer, mut limit: watch::Receiver<UploadRate>) {
    while limit.wait_for(|limit| *limit == UploadRate::Auto).await.is_ok() {
        let mut auto = AutoLimit::new(now());
        let mut counted = HashMap::new();
        while *limit.borrow() == UploadRate::Auto {
            measure(lines, &mut auto, &mut counted);
            pacer.set_limit(Some(auto.limit()));
            tokio::select! {
                changed = limit.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }
}

fn measure(lines: &Lines, auto: &mut AutoLimit, counted: &mut HashMap<usize, Counted>) {
    let sessions = lines.all();
    let mut readings = Vec::new();
    let mut sent = 0;
    for session in &sessions {
        let line = session.id();
        let now = Counted { sent: session.bytes_sent(), heard: session.datagrams_heard() };
        let before = counted.insert(line, now).unwrap_or(now);
        sent += now.sent - before.sent;
        // One that says nothing has no new round trip.
        if now.sent > before.sent && now.heard > before.heard {
            readings.push(Reading { line, round_trip: session.round_trip() });
        }
    }
    counted.retain(|line, _| {
        let is_here = sessions.iter().any(|session| session.id() == *line);
        if !is_here {
            auto.forget(*line);
        }
        is_here
    });
    auto.measure(&readings, sent, now());
}
