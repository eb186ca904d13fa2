//! The other programs that serve the same index, each with connections, presence and a search index of its own.
//!
//! - **Everything goes through the database** but introductions, which have a moment and not a place: those are letters
//!   between programs ([`letter`]).
//! - **A beat each second**, and at once when somebody comes or goes, tells the others and hears them
//!   ([`crate::store::Beat`]). What was told and not heard of is told again with the next.
//! - **Who has a place elsewhere** counts as a source here as well: its holdings are loaded like those of peers that are
//!   connected to this program. What peers are fetching is told to their own program only.

mod elsewhere;
mod letter;
mod outbox;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use choir_shared::PeerId;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::index::Index;
use crate::keys::IndexKeys;
use crate::store::{MemberNo, Moved, Replica, ReplicaNo, Versions};
use elsewhere::Elsewhere;
pub(crate) use letter::{Letter, PATH, Post, PostError, SEAL, open};
pub(crate) use outbox::{Outbox, Place};

/// A tenth of the lease.
const BEAT: Duration = Duration::from_secs(1);

/// Who comes and goes is told together with those who do so in the same moment.
const GATHER: Duration = Duration::from_millis(50);

/// What this program knows of the others.
pub(crate) struct Replicas {
    /// By which the others, and peers, reach this one.
    pub(crate) url: String,
    pub(crate) post: Post,
    wake: Notify,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    me: Option<ReplicaNo>,
    living: Vec<Replica>,
    heard: u64,
    versions: Versions,
    elsewhere: Elsewhere,
    outbox: Outbox,
    /// Heard, and not yet acted on: the store failed.
    unfinished: Vec<Moved>,
}

impl Replicas {
    pub(crate) fn new(url: String, keys: &IndexKeys) -> Result<Self, PostError> {
        Ok(Self { url, post: Post::new(keys)?, wake: Notify::new(), known: Mutex::default() })
    }

    /// By which peers reach the index now.
    pub(crate) fn urls(&self) -> Vec<String> {
        let mut urls: Vec<String> = self.known().living.iter().map(|replica| replica.url.clone()).collect();
        urls.dedup();
        urls
    }

    /// Whether there is another program that peers could turn to.
    pub(crate) fn has_others(&self) -> bool {
        self.known().living.len() > 1
    }

    /// Whether this is the program that does what one of them has to do.
    pub(crate) fn is_first(&self) -> bool {
        let known = self.known();
        known.living.first().is_some_and(|first| Some(first.no) == known.me)
    }

    /// The URL of the program at which a peer has its place, if it is another that lives.
    pub(crate) fn url_of(&self, peer: &PeerId) -> Option<String> {
        let known = self.known();
        let at = known.elsewhere.of(peer)?;
        known.living.iter().find(|replica| replica.no == at).map(|replica| replica.url.clone())
    }

    pub(crate) fn has_place(&self, peer: &PeerId) -> bool {
        self.known().elsewhere.of(peer).is_some()
    }

    /// A member has come here.
    pub(crate) fn came(&self, member: MemberNo) {
        let mut known = self.known();
        known.elsewhere.remove(member);
        known.outbox.place(member, Place::Here);
        self.wake.notify_one();
    }

    /// A member has no place here any more.
    pub(crate) fn left(&self, member: MemberNo) {
        self.known().outbox.place(member, Place::Gone);
        self.wake.notify_one();
    }

    /// A member shares something else.
    pub(crate) fn changed(&self, member: MemberNo) {
        self.known().outbox.changed(member);
        self.wake.notify_one();
    }

    /// A member was put out, wherever it was.
    pub(crate) fn forget(&self, member: MemberNo) {
        self.known().elsewhere.remove(member);
    }

    pub(crate) fn moved_to(&self, peer: PeerId, member: MemberNo, at: ReplicaNo) {
        self.known().elsewhere.insert(peer, member, at);
    }

    /// Whether a member has come here, and the others have not been told yet.
    pub(crate) fn is_coming(&self, member: MemberNo) -> bool {
        self.known().outbox.is_coming(member)
    }

    pub(crate) fn known_versions(&self) -> Versions {
        self.known().versions
    }

    pub(crate) fn set_versions(&self, versions: Versions) {
        self.known().versions = versions;
    }

    /// What the next beat begins from, and what it has to tell.
    pub(crate) fn begin_beat(&self) -> (Option<ReplicaNo>, u64, Outbox) {
        let mut known = self.known();
        (known.me, known.heard, std::mem::take(&mut known.outbox))
    }

    /// The beat was lost: its news are told with the next, unless there are newer ones.
    pub(crate) fn take_back(&self, outbox: Outbox) {
        self.known().outbox.take_back(outbox);
    }

    /// Takes note of who lives. Whether the others had taken this program for dead.
    pub(crate) fn note(&self, me: ReplicaNo, living: Vec<Replica>, heard: u64) -> bool {
        let mut known = self.known();
        let before = known.me.replace(me);
        (known.living, known.heard) = (living, heard);
        before.is_some_and(|before| before != me)
    }

    /// What is to be acted on, the earlier first.
    pub(crate) fn with_unfinished(&self, moved: Vec<Moved>) -> Vec<Moved> {
        let mut all = std::mem::take(&mut self.known().unfinished);
        all.retain(|earlier| moved.iter().all(|later| later.member != earlier.member));
        all.extend(moved);
        all
    }

    pub(crate) fn leave_unfinished(&self, moved: Moved) {
        self.known().unfinished.push(moved);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Beats until the index stops.
pub(crate) async fn run(index: Index) {
    let Some(replicas) = &index.replicas else { return };
    loop {
        tokio::select! {
            () = index.stopping.cancelled() => return,
            () = sleep(BEAT) => {}
            () = replicas.wake.notified() => sleep(GATHER).await,
        }
        if let Err(error) = index.beat().await {
            tracing::warn!(%error, "this replica cannot hear the others");
            metrics::counter!("choir_index_beats_lost_total").increment(1);
            // The next is not to follow at once because this one's news wait.
            sleep(BEAT).await;
        }
    }
}
