//! Upload: serving others what this peer shares.
//!
//! What decides is ordinary code without sockets or clocks, each part with its rules in prose:
//!
//! - [`admit`]: who may have what.
//! - [`queue`]: who has a slot, who comes next.
//! - [`auto`]: the limit that gives way when the line's delay rises.
//! - [`allowance`]: small budgets.
//!
//! [`pace`](crate::pace) shares the upload limit fairly.
//!
//! Around it: [`shelf`] is what is needed of the library, `desk` the one lock over all that uploads share,
//! `serve` the loop over one session, `line_up` a place in the queue, `range` the answer to a request for bytes,
//! `regulate` what measures for `auto`, and `layers` the tree layers asked for lately.
//!
//! Rules of the shell:
//! 1. Every stream is a task of its own, and all tasks of a session end before [`Uploads::serve`] returns.
//! 2. What a stranger can make us keep is bounded: sixteen streams for a session, and for each of them the pieces
//!    that are read ahead, a few; quinn's send window comes on top.
//! 3. If either side dies, its streams die, and with them places, slots and transfers. Nothing else holds them.

pub mod admit;
pub mod allowance;
pub mod auto;
mod desk;
mod layers;
mod line_up;
pub mod queue;
mod range;
mod regulate;
mod serve;
pub mod shelf;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use choir_shared::{FileId, PeerId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::admit::Rules;
use self::desk::Desk;
use self::layers::Layers;
use self::queue::{KeptAge, Limits};
use self::regulate::{Lines, UploadPacer, regulate};
use self::serve::Visit;
use self::shelf::Shelf;
use crate::config::{Rate, UploadRate};
use crate::session::Session;

/// Idle slots and slow readers are noticed to the second.
const TICK: Duration = Duration::from_secs(1);

/// How much is uploaded, to how many at once.
#[derive(Clone, Debug)]
pub struct Options {
    /// Peers served at once.
    pub slots: usize,
    /// Peers that may wait for a slot.
    pub queue_max: usize,
    /// Over all.
    pub limit: UploadRate,
    pub rules: Rules,
}

impl Default for Options {
    /// Eight at once, as libtorrent: fewer leave the line idle whenever one is slow and split those who fetch the same
    /// file into circles of their own (measured with four), more make everyone wait longer for a song.
    /// Nobody is let in until there are rules.
    fn default() -> Self {
        Self { slots: 8, queue_max: 500, limit: UploadRate::Fixed(Rate::Unlimited), rules: Rules::default() }
    }
}

/// Serves sessions. Clones share everything.
#[derive(Clone)]
pub struct Uploads(Arc<Shared>);

struct Shared {
    shelf: Arc<dyn Shelf>,
    desk: Desk,
    pacer: UploadPacer,
    limit: watch::Sender<UploadRate>,
    lines: Lines,
    layers: Layers,
    rules: watch::Sender<Arc<Rules>>,
    cancel: CancellationToken,
}

impl Uploads {
    /// Must be called within a tokio runtime; `tracker` owns the task that watches over slots until `cancel`.
    pub fn new(shelf: Arc<dyn Shelf>, options: Options, cancel: CancellationToken, tracker: &TaskTracker) -> Self {
        let Options { slots, queue_max, limit, rules } = options;
        let shared = Arc::new(Shared {
            shelf,
            desk: Desk::new(Limits { slots, places: queue_max, rate: fixed(limit) }),
            pacer: UploadPacer::new(fixed(limit)),
            limit: watch::Sender::new(limit),
            lines: Lines::default(),
            layers: Layers::default(),
            rules: watch::Sender::new(Arc::new(rules)),
            cancel,
        });
        let watched = Arc::clone(&shared);
        tracker.spawn(async move { watched.cancel.run_until_cancelled(watched.desk.watch_over(TICK)).await });
        let regulated = Arc::clone(&shared);
        tracker.spawn(async move {
            let Shared { lines, pacer, limit, cancel, .. } = &*regulated;
            cancel.run_until_cancelled(regulate(lines, pacer, limit.subscribe())).await
        });
        Self(shared)
    }

    /// Serves what the other side asks for until the connection ends, or closes it when cancelled.
    pub async fn serve(&self, session: Session) {
        Visit::begin(Arc::clone(&self.0), session).run().await;
    }

    /// Who may have what from now on. Sessions of banned peers are closed at once.
    pub fn set_rules(&self, rules: Rules) {
        self.0.rules.send_replace(Arc::new(rules));
    }

    /// Over all uploads.
    pub fn set_limit(&self, limit: UploadRate) {
        if self.0.limit.send_replace(limit) != limit {
            self.0.pacer.set_limit(fixed(limit));
            self.0.desk.set_rate_limit(fixed(limit));
        }
    }

    pub fn limit(&self) -> UploadRate {
        *self.0.limit.borrow()
    }

    /// How long everyone has waited, who is next first: for the next run of this program.
    pub fn ages(&self) -> Vec<KeptAge> {
        self.0.desk.ages()
    }

    /// Lets those who waited in another run keep their age; to be called before anybody is served.
    pub fn restore(&self, ages: &[KeptAge]) {
        self.0.desk.restore(ages);
    }

    /// Everyone with a slot, then everyone who waits, next first.
    pub fn list(&self) -> Vec<UploadStatus> {
        self.0.desk.list()
    }

    pub fn totals(&self) -> Totals {
        self.0.desk.totals()
    }

    /// Changes whenever [`Uploads::list`] does; while bytes flow, about once a second. The number means nothing.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.desk.changes()
    }
}

/// Bytes per second, as far as they are known beforehand.
fn fixed(limit: UploadRate) -> Option<u64> {
    match limit {
        UploadRate::Fixed(rate) => rate.bytes_per_second(),
        UploadRate::Auto => None,
    }
}

/// One line of the uploads list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UploadStatus {
    pub peer: PeerId,
    /// What it fetches, or fetched last.
    pub file_id: Option<FileId>,
    /// Sent to this peer since it came.
    pub bytes_sent: u64,
    pub bytes_per_second: u64,
    pub state: UploadState,
    /// "direct", "direct, same network", "this machine".
    pub path_kind: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum UploadState {
    Sending,
    /// It has a slot and asks for nothing; a few seconds of that end the slot.
    SlotIdle,
    Queued {
        ahead: u32,
    },
}

/// All uploads together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Since the program started.
    pub bytes_sent: u64,
    pub bytes_per_second: u64,
}
