//! One try at a file, from asking who has it to the last verified leaf.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use choir_shared::leaf::LeafSet;
use choir_shared::merkle::TreeLayer;
use choir_shared::wire::{Reason, StreamCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use super::sources::{Known, Out, SourceState, Sources};
use super::{Job, Setback};
use crate::download::fetch::{self, Fetch, FetchEnd, MAX_WRITES, News, Start, Target};
use crate::download::links::{Link, Standing};
use crate::download::scheduler::{Action, RequestId, Scheduler, SourceId};
use crate::download::status::{State, Why};
use crate::download::{FoundSource, IndexUnreachable, NoSession};
use crate::session::SessionError;
use crate::store::{Part, Resumed};

/// People read the status; four times a second looks alive.
const STATUS_EVERY: Duration = Duration::from_millis(250);

/// While a download runs, new sources are looked for this often.
const LOOK_FOR_MORE: Duration = Duration::from_secs(30);

/// The start of a file: what a player wants first, and what a sharer serves without a slot.
const START_LEAVES: u32 = 4;

/// The faster of two is fast enough; more would only be thrown away.
const STARTS_AT_ONCE: usize = 2;

/// As the scheduler's patience with a source that says nothing.
const START_PATIENCE: Duration = Duration::from_secs(3);

/// Bounds of what a busy source may make us wait.
const SHORTEST_REST: Duration = Duration::from_millis(200);
const LONGEST_REST: Duration = Duration::from_secs(10);

/// News of fetches; see [`Target::news`].
const NEWS_CAPACITY: usize = 64;

pub(super) struct Attempt<'a> {
    job: &'a Job,
    part: Arc<Part>,
    writes: Arc<Semaphore>,
    sources: Sources,
    /// Everything that runs beside the loop below; dropped with the attempt, which stops it all.
    tasks: JoinSet<Happened>,
    news: (mpsc::Sender<News>, mpsc::Receiver<News>),
    transfer: Option<Transfer>,
    /// Sources that were asked for the layer and have not answered.
    starting: HashSet<SourceId>,
    slot: Option<OwnedSemaphorePermit>,
    waiting_for_slot: bool,
    /// No index answered; known sources are still tried.
    search_failed: Option<String>,
    searching: bool,
    search_at: Instant,
    speed: Speed,
}

/// Exists once the tree layer is here.
struct Transfer {
    scheduler: Scheduler,
    target: Target,
    fetches: HashMap<RequestId, (AbortHandle, Arc<AtomicU32>)>,
}

/// What tasks beside the loop come back with.
enum Happened {
    Searched(Result<Vec<FoundSource>, IndexUnreachable>),
    Connected(SourceId, Result<Arc<Link>, NoSession>),
    Stands(SourceId, Arc<Link>, Standing),
    Started(SourceId, Result<Start, FetchEnd>),
    Rested(SourceId),
    Slot(Option<OwnedSemaphorePermit>),
    Fetched,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(job: &'a Job, part: Arc<Part>, resumed: Option<Resumed>) -> Self {
        let now = Instant::now();
        let news = mpsc::channel(NEWS_CAPACITY);
        let mut attempt = Self {
            job,
            part,
            writes: Arc::new(Semaphore::new(MAX_WRITES as usize)),
            sources: Sources::default(),
            tasks: JoinSet::new(),
            news,
            transfer: None,
            starting: HashSet::new(),
            slot: None,
            waiting_for_slot: false,
            search_failed: None,
            searching: false,
            search_at: now,
            speed: Speed::new(now),
        };
        if let Some(Resumed { layer, held }) = resumed {
            attempt.begin_transfer(layer, held);
        }
        for peer in &job.request.sources {
            attempt.sources.found(FoundSource { peer: *peer, name: None }, now);
        }
        attempt
    }

    /// Returns when every leaf is verified and written.
    pub(super) async fn run(mut self) -> Result<(), Setback> {
        let result = self.work().await;
        // Nothing of this attempt may still write when the next one, or the finishing, begins.
        self.tasks.shutdown().await;
        let all_writes = Arc::clone(&self.writes).acquire_many_owned(MAX_WRITES).await;
        drop(all_writes);
        self.show();
        result
    }

    async fn work(&mut self) -> Result<(), Setback> {
        let mut ticker = tokio::time::interval(STATUS_EVERY);
        ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let now = Instant::now();
            self.look_around(now);
            self.schedule(now);
            if self.transfer.as_ref().is_some_and(|transfer| transfer.scheduler.is_complete()) {
                return Ok(());
            }
            if !self.searching && !self.sources.any_left() {
                let (why, words) = self.sources.why_none_is_left();
                let unreachable = self.search_failed.take().filter(|_| why == Why::NoSources);
                return Err(match unreachable {
                    Some(words) => Setback::OutOfSources(Why::IndexUnreachable, words),
                    None => Setback::OutOfSources(why, words),
                });
            }
            let wakeup = self.next_wakeup(now);
            tokio::select! {
                Some(news) = self.news.1.recv() => self.on_news(news)?,
                Some(happened) = self.tasks.join_next() => {
                    // A task that was stopped has nothing to say.
                    if let Ok(happened) = happened {
                        self.on_happened(happened)?;
                    }
                }
                () = self.job.poke.notified() => self.search_at = now,
                _ = ticker.tick() => self.show(),
                () = tokio::time::sleep_until(wakeup.into()) => {}
            }
        }
    }

    /// Starts a search and connections where they are due.
    fn look_around(&mut self, now: Instant) {
        if !self.searching && self.search_at <= now {
            self.searching = true;
            let (finder, file) = (Arc::clone(&self.job.workshop.finder), self.job.request.file);
            self.tasks.spawn(async move { Happened::Searched(finder.sources(file).await) });
        }
        for (id, peer) in self.sources.take_due(now) {
            let (workshop, file) = (Arc::clone(&self.job.workshop), self.job.request.file);
            self.tasks.spawn(async move { Happened::Connected(id, workshop.links.join(peer, file).await) });
        }
    }

    /// Does what the scheduler says.
    fn schedule(&mut self, now: Instant) {
        let Some(transfer) = &mut self.transfer else { return };
        for action in transfer.scheduler.poll(now) {
            match action {
                Action::Request { id, source, range } => {
                    let Some(SourceState::Linked(link, _)) = self.sources.get(source).map(|known| &known.state) else {
                        transfer.scheduler.ended(id);
                        continue;
                    };
                    let end = Arc::new(AtomicU32::new(range.end()));
                    let fetch = Fetch { id, source, session: link.session.clone(), range, end: Arc::clone(&end) };
                    let target = transfer.target.clone();
                    let task = self.tasks.spawn(async move {
                        fetch.run(target).await;
                        Happened::Fetched
                    });
                    transfer.fetches.insert(id, (task, end));
                }
                Action::Shorten { id, end } => {
                    if let Some((_, stop)) = transfer.fetches.get(&id) {
                        stop.store(end, Ordering::Relaxed);
                    }
                }
                Action::Stop { id } => {
                    if let Some((task, _)) = transfer.fetches.remove(&id) {
                        task.abort();
                    }
                }
                Action::GiveUp { source } => self.sources.put_out(source, Out::Silent),
            }
        }
    }

    fn next_wakeup(&self, now: Instant) -> Instant {
        let scheduler = self.transfer.as_ref().and_then(|transfer| transfer.scheduler.next_wakeup(now));
        let search = (!self.searching).then_some(self.search_at);
        let wakeups = [scheduler, search, self.sources.next_due()];
        wakeups.into_iter().flatten().filter(|at| *at > now).min().unwrap_or(now + LOOK_FOR_MORE)
    }

    fn on_news(&mut self, news: News) -> Result<(), Setback> {
        let now = Instant::now();
        match news {
            News::Verified { id, source, leaves } => {
                let bytes = self.job.request.file.length().range_len(leaves);
                self.speed.add(bytes);
                if let Some(known) = self.sources.get_mut(source) {
                    known.bytes += bytes;
                }
                if let Some(transfer) = &mut self.transfer {
                    transfer.scheduler.verified(id, source, leaves, now);
                }
                Ok(())
            }
            News::Ended { id, source, end } => {
                if let Some(transfer) = &mut self.transfer {
                    transfer.fetches.remove(&id);
                    transfer.scheduler.ended(id);
                }
                self.on_end(source, end, now)
            }
        }
    }

    /// What the end of a request means for its source.
    fn on_end(&mut self, source: SourceId, end: FetchEnd, now: Instant) -> Result<(), Setback> {
        let leaf = match end {
            FetchEnd::Complete => return Ok(()),
            FetchEnd::Disk(error) => return Err(Setback::Disk(error)),
            // The slot ended: the link says so as well, and when there is one again.
            FetchEnd::No { reason: Reason::Busy, retry_after_ms } => {
                self.rest(source, retry_after_ms);
                return Ok(());
            }
            FetchEnd::No { reason, .. } => {
                self.drop_source(source, Out::Refused(reason));
                return Ok(());
            }
            FetchEnd::Silent => {
                self.drop_source(source, Out::Silent);
                return Ok(());
            }
            FetchEnd::Session(SessionError::Ended(Some(StreamCode::SlotEnded | StreamCode::TooSlow))) => {
                self.rest(source, 0);
                return Ok(());
            }
            FetchEnd::Session(SessionError::Ended(Some(StreamCode::Changed))) => {
                self.drop_source(source, Out::Refused(Reason::Changed));
                return Ok(());
            }
            FetchEnd::Session(error) => {
                self.remove_from_scheduler(source);
                self.sources.failed(source, error.to_string(), now);
                return Ok(());
            }
            FetchEnd::WrongLength => None,
            FetchEnd::BadData { leaf } => Some(leaf),
        };
        if let Some(known) = self.sources.get(source) {
            let (peer, file) = (known.peer, self.job.request.file);
            tracing::warn!(peer = %peer.short(), file = %file.short(), ?leaf, "a source sent wrong bytes");
            self.job.workshop.finder.misbehaved(peer, file);
            if let (SourceState::Linked(link, _), Some(leaf)) = (&known.state, leaf) {
                let session = link.session.clone();
                self.tasks.spawn(async move {
                    session.complain(file, leaf).await;
                    Happened::Fetched
                });
            }
        }
        self.drop_source(source, Out::BadData);
        Ok(())
    }

    fn on_happened(&mut self, happened: Happened) -> Result<(), Setback> {
        let now = Instant::now();
        match happened {
            Happened::Searched(found) => {
                self.searching = false;
                self.search_at = now + LOOK_FOR_MORE;
                match found {
                    Ok(found) => {
                        let finder = &self.job.workshop.finder;
                        let usable = found.into_iter().filter(|source| !finder.is_banned(source.peer));
                        usable.for_each(|source| self.sources.found(source, now));
                    }
                    Err(error) => self.search_failed = Some(error.to_string()),
                }
            }
            Happened::Connected(id, Ok(link)) => {
                let standing = *link.standing().borrow();
                self.on_standing(id, link, standing, now);
            }
            Happened::Connected(id, Err(NoSession::Offline)) => self.sources.put_out(id, Out::Offline),
            Happened::Connected(id, Err(NoSession::Failed(words))) => self.sources.failed(id, words, now),
            Happened::Stands(id, link, standing) => self.on_standing(id, link, standing, now),
            Happened::Started(source, started) => {
                self.starting.remove(&source);
                match started {
                    Ok(start) => self.on_start(source, start)?,
                    Err(end) => self.on_end(source, end, now)?,
                }
                self.start();
            }
            Happened::Slot(slot) => {
                self.waiting_for_slot = false;
                self.slot = slot;
                self.offer_granted(now);
            }
            Happened::Rested(id) => self.on_rested(id, now),
            Happened::Fetched => {}
        }
        Ok(())
    }

    /// A link exists or its standing changed; waits for the next change.
    fn on_standing(&mut self, id: SourceId, link: Arc<Link>, standing: Standing, now: Instant) {
        match standing {
            Standing::Lost => {
                self.remove_from_scheduler(id);
                return self.sources.failed(id, "connection lost".to_owned(), now);
            }
            Standing::Refused(reason) => return self.drop_source(id, Out::Refused(reason)),
            Standing::Waiting { .. } => self.remove_from_scheduler(id),
            Standing::Granted => {}
        }
        let Some(known) = self.sources.get_mut(id).filter(|known| !matches!(known.state, SourceState::Out(_))) else {
            return;
        };
        known.state = SourceState::Linked(Arc::clone(&link), standing);
        self.start();
        self.offer_granted(now);
        let mut standings = link.standing();
        self.tasks.spawn(async move {
            let changed = standings.wait_for(|now| *now != standing).await.map_or(Standing::Lost, |now| *now);
            Happened::Stands(id, link, changed)
        });
    }

    /// The layer and the first leaves are asked of two sources at once; they are served without a slot. One that does
    /// not answer in time makes way for another.
    fn start(&mut self) {
        if self.transfer.is_some() {
            return;
        }
        let linked = self.sources.iter().filter_map(|(id, known)| match &known.state {
            SourceState::Linked(link, _) => Some((id, link.session.clone())),
            _ => None,
        });
        let ready: Vec<_> = linked.filter(|(id, _)| !self.starting.contains(id)).collect();
        for (id, session) in ready.into_iter().take(STARTS_AT_ONCE.saturating_sub(self.starting.len())) {
            self.starting.insert(id);
            let file = self.job.request.file;
            self.tasks.spawn(async move {
                let start = tokio::time::timeout(START_PATIENCE, fetch::start(&session, file, START_LEAVES));
                Happened::Started(id, start.await.unwrap_or(Err(FetchEnd::Silent)))
            });
        }
    }

    fn on_start(&mut self, source: SourceId, start: Start) -> Result<(), Setback> {
        if self.transfer.is_none() {
            let mut held = LeafSet::empty(self.job.request.file.length());
            // Small, and once for each file: not worth another thread.
            self.part.save_layer(&start.layer).map_err(Setback::Disk)?;
            if let Some(first) = start.range.leaves().next() {
                self.part.write(first, &start.data).map_err(Setback::Disk)?;
                held.insert_range(start.range);
            }
            self.speed.add(start.data.len() as u64);
            if let Some(known) = self.sources.get_mut(source) {
                known.bytes += start.data.len() as u64;
            }
            self.begin_transfer(start.layer, held);
        }
        self.offer_granted(Instant::now());
        Ok(())
    }

    fn begin_transfer(&mut self, layer: TreeLayer, held: LeafSet) {
        let scheduler = Scheduler::new(held, layer.leaves_per_node());
        let target = Target {
            part: Arc::clone(&self.part),
            layer: Arc::new(layer),
            writes: Arc::clone(&self.writes),
            news: self.news.0.clone(),
        };
        self.transfer = Some(Transfer { scheduler, target, fetches: HashMap::new() });
    }

    /// Hands every source that serves us to the scheduler, once this job is among those that transfer.
    fn offer_granted(&mut self, now: Instant) {
        let Some(transfer) = &mut self.transfer else { return };
        let length = self.job.request.file.length();
        let granted: Vec<_> = self
            .sources
            .iter()
            .filter_map(|(id, known)| match &known.state {
                SourceState::Linked(link, Standing::Granted) if !transfer.scheduler.has_source(id) => {
                    Some((id, link.session.round_trip()))
                }
                _ => None,
            })
            .collect();
        if granted.is_empty() || transfer.scheduler.is_complete() {
            return;
        }
        if self.slot.is_none() {
            if !self.waiting_for_slot {
                self.waiting_for_slot = true;
                let transfers = Arc::clone(&self.job.workshop.transfers);
                self.tasks.spawn(async move { Happened::Slot(transfers.acquire_owned().await.ok()) });
            }
            return;
        }
        for (id, round_trip) in granted {
            transfer.scheduler.add_source(id, LeafSet::full(length), round_trip, now);
        }
    }

    /// The source serves us not for the moment, whatever its link says; asked again a little later.
    fn rest(&mut self, source: SourceId, retry_after_ms: u32) {
        self.remove_from_scheduler(source);
        let Some(Known { state: SourceState::Linked(_, standing), .. }) = self.sources.get_mut(source) else { return };
        *standing = Standing::Waiting { ahead: 0, eta_ms: None };
        let pause = Duration::from_millis(retry_after_ms.into()).clamp(SHORTEST_REST, LONGEST_REST);
        self.tasks.spawn(async move {
            tokio::time::sleep(pause).await;
            Happened::Rested(source)
        });
    }

    fn on_rested(&mut self, id: SourceId, now: Instant) {
        let Some(Known { state: SourceState::Linked(link, standing), .. }) = self.sources.get_mut(id) else { return };
        *standing = *link.standing().borrow();
        self.start();
        self.offer_granted(now);
    }

    fn drop_source(&mut self, source: SourceId, out: Out) {
        self.remove_from_scheduler(source);
        self.sources.put_out(source, out);
    }

    fn remove_from_scheduler(&mut self, source: SourceId) {
        if let Some(transfer) = &mut self.transfer {
            transfer.scheduler.remove_source(source);
        }
    }

    /// Tells people where it stands.
    fn show(&mut self) {
        let now = Instant::now();
        let rate = self.speed.rate(now);
        let held = self.transfer.as_ref().map(|transfer| transfer.scheduler.held().bytes());
        if let Some(transfer) = &mut self.transfer {
            let ids: Vec<SourceId> = self.sources.iter().map(|(id, _)| id).collect();
            for id in ids {
                let rate = transfer.scheduler.rate(id);
                if let Some(known) = self.sources.get_mut(id) {
                    known.rate = rate;
                    if let SourceState::Linked(link, _) = &known.state {
                        transfer.scheduler.update_round_trip(id, link.session.round_trip());
                    }
                }
            }
        }
        let transferring = self.transfer.as_ref().is_some_and(|transfer| !transfer.fetches.is_empty());
        let queued = self.sources.queued_behind();
        let (linked, sources) = (self.sources.any_linked(), self.sources.statuses());
        self.job.tell(|status| {
            status.bytes_done = held.unwrap_or(status.bytes_done);
            status.bytes_per_second = rate;
            (status.state, status.reason) = match queued {
                _ if transferring => (State::Downloading, None),
                Some(_) => (State::Queued, Some(Why::QueuedAtSources)),
                None if linked => (State::Downloading, None),
                None if sources.is_empty() => (State::Searching, None),
                None => (State::Connecting, None),
            };
            status.message =
                queued.filter(|_| !transferring).map(|ahead| format!("in the queue of its sources, {ahead} ahead"));
            status.sources = sources;
        });
    }
}

/// Bytes per second over the last second.
struct Speed {
    since: Instant,
    bytes: u64,
    rate: f64,
}

impl Speed {
    const fn new(now: Instant) -> Self {
        Self { since: now, bytes: 0, rate: 0.0 }
    }

    const fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    fn rate(&mut self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.since).as_secs_f64();
        if elapsed > 0.1 {
            let keep = 0.5f64.powf(elapsed);
            self.rate = self.rate * keep + self.bytes as f64 / elapsed * (1.0 - keep);
            (self.since, self.bytes) = (now, 0);
        }
        self.rate as u64
    }
}
