//! The part of an attempt that moves bytes: the scheduler, the requests under way, and what is here already.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use choir_shared::leaf::{LeafRange, LeafSet};
use tokio::task::{AbortHandle, JoinSet};

use super::Workshop;
use super::attempt::Happened;
use crate::download::fetch::{self, Fetch, Target};
use crate::download::links::Link;
use crate::download::parts::Offer;
use crate::download::scheduler::{Action, MemberLot, RequestId, Scheduler, SourceId};
use crate::session::Session;
use crate::session::asking::Arrivals;

/// As for any other answer of a source.
const NUDGE_PATIENCE: Duration = Duration::from_secs(3);

/// Exists once the tree layer is here.
pub(super) struct Transfer {
    scheduler: Scheduler,
    target: Target,
    fetches: HashMap<RequestId, UnderWay>,
    /// Others may fetch what is here.
    offer: Offer,
    /// Of all downloads.
    arrivals: Arrivals,
}

struct UnderWay {
    source: SourceId,
    task: AbortHandle,
    /// See [`Fetch::end`].
    end: Arc<AtomicU32>,
    arrivals: Arrivals,
    /// Of the arrivals, what the scheduler knows.
    counted: u64,
}

impl Transfer {
    /// `held` is what is here of the file; `me` is the scheduler's.
    pub(super) fn new(target: Target, held: LeafSet, workshop: &Workshop, me: MemberLot) -> Self {
        let offer = workshop.parts.open(Arc::clone(&target.part), Arc::clone(&target.layer), held.clone());
        let scheduler = Scheduler::new(held, target.layer.leaves_per_node(), me);
        Self { scheduler, target, fetches: HashMap::new(), offer, arrivals: workshop.arrivals.clone() }
    }

    /// Does what the scheduler says, over the sessions that `session` finds. Returns the sources that it gives up.
    pub(super) fn drive(
        &mut self,
        now: Instant,
        session: impl Fn(SourceId) -> Option<Session>,
        tasks: &mut JoinSet<Happened>,
    ) -> Vec<SourceId> {
        self.count_arrivals(now);
        let mut given_up = Vec::new();
        for action in self.scheduler.poll(now) {
            match action {
                Action::Request { id, source, range, is_urgent } => match session(source) {
                    Some(session) => self.begin(id, source, session, range, is_urgent, tasks),
                    None => self.scheduler.ended(id),
                },
                Action::Shorten { id, end } => {
                    if let Some(fetch) = self.fetches.get(&id) {
                        fetch.end.store(end, Ordering::Relaxed);
                    }
                }
                Action::Stop { id } => self.stop(id),
                Action::Nudge { source } => {
                    if let Some(session) = session(source) {
                        self.nudge(session, tasks);
                    }
                }
                Action::GiveUp { source } => given_up.push(source),
            }
        }
        given_up
    }

    fn begin(
        &mut self,
        id: RequestId,
        source: SourceId,
        session: Session,
        range: LeafRange,
        is_urgent: bool,
        tasks: &mut JoinSet<Happened>,
    ) {
        let (end, arrivals) = (Arc::new(AtomicU32::new(range.end())), self.arrivals.part());
        let fetch = Fetch { id, source, session, range, is_urgent, end: Arc::clone(&end), arrivals: arrivals.clone() };
        let target = self.target.clone();
        let task = tasks.spawn(async move {
            fetch.run(target).await;
            Happened::Fetched
        });
        self.fetches.insert(id, UnderWay { source, task, end, arrivals, counted: 0 });
    }

    /// The answer does not matter, but if not even an acknowledgement comes, the connection is over.
    fn nudge(&self, session: Session, tasks: &mut JoinSet<Happened>) {
        let file = self.target.layer.id();
        tasks.spawn(async move {
            let _ = session.within(NUDGE_PATIENCE, fetch::look(&session, file)).await;
            Happened::Fetched
        });
    }

    fn stop(&mut self, id: RequestId) {
        if let Some(fetch) = self.fetches.remove(&id) {
            fetch.task.abort();
        }
    }

    fn count_arrivals(&mut self, now: Instant) {
        for (id, fetch) in &mut self.fetches {
            if fetch.arrivals.are_held_back() {
                self.scheduler.held_back(*id, fetch.source, now);
            }
            let arrived = fetch.arrivals.bytes();
            if arrived > fetch.counted {
                self.scheduler.arrived(fetch.source, arrived - fetch.counted, now);
                fetch.counted = arrived;
            }
        }
    }

    /// What is here may still be fetched by others while this download waits.
    pub(super) fn into_offer(self) -> Offer {
        self.offer
    }

    pub(super) fn next_wakeup(&self, now: Instant) -> Option<Instant> {
        self.scheduler.next_wakeup(now)
    }

    /// Leaves were verified and written.
    pub(super) fn verified(&mut self, id: RequestId, source: SourceId, leaves: LeafRange, now: Instant) {
        self.scheduler.verified(id, source, leaves, now);
        self.offer.add(leaves);
    }

    pub(super) fn ended(&mut self, id: RequestId) {
        self.fetches.remove(&id);
        self.scheduler.ended(id);
    }

    /// Another downloader of the file.
    pub(super) fn joined(&mut self, member: MemberLot) {
        self.scheduler.joined(member);
    }

    pub(super) fn has_source(&self, id: SourceId) -> bool {
        self.scheduler.has_source(id)
    }

    pub(super) fn add_source(&mut self, id: SourceId, has: LeafSet, link: &Link, now: Instant) {
        self.scheduler.add_source(id, has, link.session.round_trip(), link.bytes_per_second(now), now);
    }

    /// Whether some of what the source has sent is here and may not be read yet.
    pub(super) fn holds_back(&self, id: SourceId) -> bool {
        self.fetches.values().any(|fetch| fetch.source == id && fetch.arrivals.are_held_back())
    }

    pub(super) fn suspend(&mut self, id: SourceId) {
        self.scheduler.suspend(id);
    }

    pub(super) fn resume(&mut self, id: SourceId) {
        self.scheduler.resume(id);
    }

    pub(super) fn update_has(&mut self, id: SourceId, has: LeafSet) {
        self.scheduler.update_has(id, has);
    }

    pub(super) fn update_round_trip(&mut self, id: SourceId, round_trip: Duration) {
        self.scheduler.update_round_trip(id, round_trip);
    }

    pub(super) fn remove_source(&mut self, id: SourceId) {
        for request in self.scheduler.remove_source(id) {
            self.stop(request);
        }
    }

    pub(super) fn rate(&self, id: SourceId) -> u64 {
        self.scheduler.rate(id)
    }

    pub(super) fn bytes_held(&self) -> u64 {
        self.scheduler.held().bytes()
    }

    /// Whether a source that has so much of the file has something for us.
    pub(super) fn lacks_some_of(&self, has: &LeafSet) -> bool {
        let mut missing = has.clone();
        missing.subtract(self.scheduler.held());
        !missing.is_empty()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.scheduler.is_complete()
    }

    pub(super) fn is_fetching(&self) -> bool {
        !self.fetches.is_empty()
    }
}
