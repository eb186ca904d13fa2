//! One try at a file, from asking who has it to the last verified leaf.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use choir_shared::PeerId;
use choir_shared::leaf::{LeafRange, LeafSet};
use choir_shared::merkle::TreeLayer;
use choir_shared::wire::{CloseCode, Reason, StreamCode};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::sources::{Known, Out, Place, Queued, SourceState, Sources};
use super::transfer::Transfer;
use super::{Job, Setback};
use crate::clock::now;
use crate::download::fetch::{self, FetchEnd, News, Opening, Start, Stock, Target};
use crate::download::links::{Link, Standing};
use crate::download::parts::Offer;
use crate::download::scheduler::{MemberLot, SourceId};
use crate::download::status::{State, Why};
use crate::download::turns::Turn;
use crate::download::writes::Writes;
use crate::download::{FoundSource, IndexUnreachable, NoSession};
use crate::session::SessionError;
use crate::store::{Part, Resumed};

/// People read the status; four times a second looks alive.
const STATUS_EVERY: Duration = Duration::from_millis(250);

/// While a download runs, new sources are looked for this often.
const LOOK_FOR_MORE: Duration = Duration::from_secs(30);

/// Where a source that was named serves us already, the index is asked this much later who else has the file: a song
/// is often here by then, and a folder of two hundred asks for nothing.
const BEFORE_SEARCHING: Duration = Duration::from_millis(50);

/// Nothing to ask for during this time, although there are sources: they have no more than is here.
const STARVED_AFTER: Duration = Duration::from_secs(2);

/// A turn to transfer is given back when nothing was under way for so long: a slot that only changes hands is granted
/// again sooner, and who waits for the turn meanwhile has a slot of its own that must not stay idle.
const IDLE_TURN: Duration = Duration::from_secs(2);

/// The start of a file: what a player wants first, and what a sharer serves without a slot.
pub(super) const START_LEAVES: u32 = 4;

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
    writes: Arc<Writes>,
    sources: Sources,
    /// Everything that runs beside the loop below; dropped with the attempt, which stops it all.
    tasks: JoinSet<Happened>,
    news: (mpsc::Sender<News>, mpsc::Receiver<News>),
    transfer: Option<Transfer>,
    /// The layer and the first leaf are on the disk, ahead of the rest of the start.
    has_first_leaf: bool,
    /// Sources that were asked for the start and have not sent all of it, and when.
    starting: HashMap<SourceId, Instant>,
    /// Among those that transfer.
    slot: Option<Turn>,
    waiting_for_slot: bool,
    /// No index answered; known sources are still tried.
    search_failed: Option<String>,
    searching: bool,
    has_searched: bool,
    search_at: Instant,
    /// When a request was last under way.
    fetched_at: Instant,
    speed: Speed,
}

/// What tasks beside the loop come back with.
pub(super) enum Happened {
    Searched(Result<Vec<FoundSource>, IndexUnreachable>),
    Connected(SourceId, Result<Arc<Link>, NoSession>),
    Stands(SourceId, Arc<Link>, Standing),
    Opened(SourceId, Result<Opening, FetchEnd>),
    Started(SourceId, Result<Start, FetchEnd>),
    Looked(SourceId, Result<Stock, FetchEnd>),
    Rested(SourceId),
    Slot(Turn),
    Fetched,
}

impl<'a> Attempt<'a> {
    /// `places` are those that were kept since the attempt before.
    pub(super) fn new(job: &'a Job, part: Arc<Part>, resumed: Option<Resumed>, places: Vec<Place>) -> Self {
        let now = now();
        let news = mpsc::channel(NEWS_CAPACITY);
        let is_served = job.request.sources.iter().any(|peer| job.workshop.links.serves(peer))
            || places.iter().any(|place| place.standing() == Standing::Granted);
        let mut attempt = Self {
            sources: Sources::new(job.request.file.length(), job.workshop.me),
            job,
            writes: Writes::new(Arc::clone(&part)),
            part,
            tasks: JoinSet::new(),
            news,
            transfer: None,
            has_first_leaf: false,
            starting: HashMap::new(),
            slot: None,
            waiting_for_slot: false,
            search_failed: None,
            searching: false,
            has_searched: false,
            search_at: if is_served { now + BEFORE_SEARCHING } else { now },
            fetched_at: now,
            speed: Speed::new(now),
        };
        if let Some(Resumed { layer, held }) = resumed {
            attempt.begin_transfer(layer, held);
        }
        for peer in &job.request.sources {
            attempt.take_note(FoundSource { peer: *peer, name: None, complete: true }, now);
        }
        for place in places {
            let standing = place.standing();
            if let Some(id) = attempt.take_note(place.source, now) {
                attempt.on_standing(id, place.link, standing, now);
            }
        }
        attempt
    }

    /// Returns when every leaf is verified and written, or there is nobody left to ask; and what it has of the file.
    pub(super) async fn run(mut self) -> (Result<(), Setback>, Option<Offer>) {
        let stop = &self.job.stop;
        let result = stop.run_until_cancelled(self.work()).await.unwrap_or(Err(Setback::Stopped));
        // Nothing of this attempt may still write when the next one, or the finishing, begins.
        self.tasks.shutdown().await;
        self.writes.finish().await;
        self.show();
        (result, self.transfer.map(Transfer::into_offer))
    }

    async fn work(&mut self) -> Result<(), Setback> {
        let mut ticker = tokio::time::interval(STATUS_EVERY);
        ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let now = now();
            self.look_around(now);
            self.start(now);
            self.schedule(now);
            if self.transfer.as_ref().is_some_and(Transfer::is_complete) {
                return Ok(());
            }
            if !self.searching && !self.sources.any_left() {
                if !self.has_searched {
                    self.search_at = now;
                    continue;
                }
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
                _ = ticker.tick() => {
                    self.give_idle_turn_back(now);
                    self.show();
                    if let Some(places) = self.places_to_wait_in() {
                        return Err(Setback::Queued(places));
                    }
                }
                () = tokio::time::sleep_until(wakeup.into()) => {}
            }
        }
    }

    /// Starts a search and connections where they are due.
    fn look_around(&mut self, now: Instant) {
        if !self.searching && self.search_at <= now {
            (self.searching, self.has_searched) = (true, true);
            let (finder, file) = (Arc::clone(&self.job.workshop.finder), self.job.request.file);
            self.tasks.spawn(async move { Happened::Searched(finder.sources(file).await) });
        }
        for (id, peer) in self.sources.take_due(now) {
            let (workshop, file) = (Arc::clone(&self.job.workshop), self.job.request.file);
            self.tasks.spawn(async move { Happened::Connected(id, workshop.links.join(peer, file).await) });
        }
    }

    fn schedule(&mut self, now: Instant) {
        let Some(transfer) = &mut self.transfer else { return };
        let session = |id| self.sources.session(id);
        for source in transfer.drive(now, session, &mut self.tasks) {
            if let Some(session) = self.sources.session(source) {
                session.close(CloseCode::Done);
            }
            self.sources.put_out(source, Out::Silent);
        }
        for (id, session) in self.sources.take_looks_due(now) {
            let file = self.job.request.file;
            self.tasks.spawn(async move {
                let look = session.within(START_PATIENCE, fetch::look(&session, file)).await;
                Happened::Looked(id, look.unwrap_or(Err(FetchEnd::Silent)))
            });
        }
    }

    fn next_wakeup(&self, now: Instant) -> Instant {
        let scheduler = self.transfer.as_ref().and_then(|transfer| transfer.next_wakeup(now));
        let search = (!self.searching).then_some(self.search_at);
        let start = self.starting.values().map(|asked| *asked + START_PATIENCE).filter(|at| *at > now).min();
        let wakeups = [scheduler, search, start, self.sources.next_due(), self.sources.next_look()];
        wakeups.into_iter().flatten().filter(|at| *at > now).min().unwrap_or(now + LOOK_FOR_MORE)
    }

    fn on_news(&mut self, news: News) -> Result<(), Setback> {
        let now = now();
        match news {
            News::Verified { id, source, leaves } => {
                let bytes = self.job.request.file.length().range_len(leaves);
                self.speed.add(bytes);
                if let Some(known) = self.sources.get_mut(source) {
                    known.delivered(bytes, now);
                }
                if let Some(transfer) = &mut self.transfer {
                    transfer.verified(id, source, leaves, now);
                }
                Ok(())
            }
            News::Stock { source, stock } => {
                self.on_stock(source, stock, now);
                Ok(())
            }
            News::Ended { id, source, end } => {
                if let Some(transfer) = &mut self.transfer {
                    transfer.ended(id);
                }
                self.on_end(source, end, now)
            }
        }
    }

    /// A source said what it has of the file, and who else has some.
    fn on_stock(&mut self, source: SourceId, stock: Stock, now: Instant) {
        let Stock { has, more_sources } = stock;
        let me = self.job.workshop.me;
        for peer in more_sources.into_iter().filter(|peer| *peer != me) {
            // Only an index has a known source tried again: others could have us dial all day.
            if self.sources.is_known(&peer) {
                continue;
            }
            self.take_note(FoundSource { peer, name: None, complete: false }, now);
        }
        if let Some(transfer) = &mut self.transfer {
            transfer.update_has(source, has.clone());
        }
        self.sources.has(source, has, now);
        self.offer_granted(now);
    }

    /// What the end of a request means for its source.
    fn on_end(&mut self, source: SourceId, end: FetchEnd, now: Instant) -> Result<(), Setback> {
        let leaf = match end {
            // What it has is known by now, and nothing else will be asked of it.
            FetchEnd::Complete | FetchEnd::Lacks => return Ok(()),
            FetchEnd::Disk(error) => return Err(Setback::Disk(error)),
            // The slot ended: the link says so as well, and when there is one again.
            FetchEnd::No { reason: Reason::Busy, retry_after_ms } => {
                self.rest(source, retry_after_ms);
                return Ok(());
            }
            FetchEnd::No { reason, .. } => {
                self.refused(source, reason, now);
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
            FetchEnd::Session(SessionError::Misbehaved(_)) => {
                self.drop_source(source, Out::Misbehaved);
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
                link.session.complain(file, leaf);
            }
        }
        self.drop_source(source, Out::BadData);
        Ok(())
    }

    fn on_happened(&mut self, happened: Happened) -> Result<(), Setback> {
        let now = now();
        match happened {
            Happened::Searched(found) => {
                self.searching = false;
                self.search_at = now + LOOK_FOR_MORE;
                match found {
                    Ok(found) => {
                        for source in found {
                            self.take_note(source, now);
                        }
                    }
                    Err(error) => self.search_failed = Some(error.to_string()),
                }
            }
            Happened::Connected(id, Ok(link)) => {
                let standing = *link.standing().borrow();
                self.on_standing(id, link, standing, now);
            }
            Happened::Connected(id, Err(NoSession::Offline)) => self.sources.put_out(id, Out::Offline),
            // Asking again would knock at somebody else's door.
            Happened::Connected(id, Err(error @ NoSession::AnotherKey)) => {
                self.sources.put_out(id, Out::Unreachable(error.to_string()));
            }
            Happened::Connected(id, Err(NoSession::Failed(words))) => self.sources.failed(id, words, now),
            Happened::Stands(id, link, standing) => self.on_standing(id, link, standing, now),
            Happened::Opened(source, Ok(opening)) => self.on_opening(source, opening)?,
            Happened::Opened(source, Err(end)) => {
                self.starting.remove(&source);
                self.on_end(source, end, now)?;
            }
            Happened::Started(source, started) => {
                self.starting.remove(&source);
                match started {
                    Ok(start) => self.on_start(source, start)?,
                    Err(end) => self.on_end(source, end, now)?,
                }
            }
            Happened::Looked(source, Ok(stock)) => self.on_stock(source, stock, now),
            Happened::Looked(source, Err(end)) => self.on_end(source, end, now)?,
            Happened::Slot(slot) => {
                self.waiting_for_slot = false;
                // Whoever was to send may not any more.
                if !self.granted().is_empty() {
                    self.slot = Some(slot);
                    self.fetched_at = now;
                    self.offer_granted(now);
                }
            }
            Happened::Rested(id) => self.on_rested(id, now),
            Happened::Fetched => {}
        }
        Ok(())
    }

    /// A peer is said to have the file. One that is not to be asked for it is listed all the same, with the reason.
    fn take_note(&mut self, source: FoundSource, now: Instant) -> Option<SourceId> {
        let (finder, peer) = (&self.job.workshop.finder, source.peer);
        let (banned, distrusted) = (finder.is_banned(peer), finder.is_distrusted(peer, self.job.request.file));
        let is_fetching = !source.complete;
        let id = self.sources.found(source, now)?;
        if let Some(transfer) = self.transfer.as_mut().filter(|_| is_fetching) {
            transfer.joined(lot(peer));
        }
        if banned {
            self.sources.put_out(id, Out::Banned);
        } else if distrusted {
            self.sources.put_out(id, Out::BadData);
        }
        Some(id)
    }

    /// A link exists or its standing changed; waits for the next change.
    fn on_standing(&mut self, id: SourceId, link: Arc<Link>, standing: Standing, now: Instant) {
        match standing {
            Standing::Lost => {
                self.remove_from_scheduler(id);
                return self.sources.failed(id, "connection lost".to_owned(), now);
            }
            Standing::Refused(reason) => return self.refused(id, reason, now),
            Standing::Waiting { .. } => match &mut self.transfer {
                // It has sent all that it was asked for, so its slot was idle; we are the ones who are slow.
                Some(transfer) if transfer.holds_back(id) => transfer.suspend(id),
                _ => self.remove_from_scheduler(id),
            },
            Standing::Granted => {
                if let Some(transfer) = &mut self.transfer {
                    transfer.resume(id);
                }
            }
        }
        let Some(known) = self.sources.get_mut(id).filter(|known| !matches!(known.state, SourceState::Out(_))) else {
            return;
        };
        known.state = SourceState::Linked(Arc::clone(&link), standing);
        self.offer_granted(now);
        let mut standings = link.standing();
        self.tasks.spawn(async move {
            let changed = standings.wait_for(|now| *now != standing).await.map_or(Standing::Lost, |now| *now);
            Happened::Stands(id, link, changed)
        });
    }

    /// The layer and the first leaves are asked of two sources at once; they are served without a slot. One that takes
    /// its time goes on, but another is asked as well.
    fn start(&mut self, now: Instant) {
        if self.transfer.is_some() {
            return;
        }
        let linked = self.sources.iter().filter_map(|(id, known)| match &known.state {
            SourceState::Linked(link, _) => Some((id, link.session.clone())),
            _ => None,
        });
        let ready: Vec<_> = linked.filter(|(id, _)| !self.starting.contains_key(id)).collect();
        let hopeful = self.starting.values().filter(|asked| now < **asked + START_PATIENCE).count();
        for (id, session) in ready.into_iter().take(STARTS_AT_ONCE.saturating_sub(hopeful)) {
            self.starting.insert(id, now);
            let arrivals = self.job.workshop.arrivals.part();
            let opening = fetch::open(session, self.job.request.file, START_LEAVES, START_PATIENCE, arrivals);
            self.tasks.spawn(async move { Happened::Opened(id, opening.await) });
        }
    }

    /// The first leaf is what a player waits for: it counts before the rest of the start is here.
    fn on_opening(&mut self, source: SourceId, opening: Opening) -> Result<(), Setback> {
        if self.transfer.is_some() {
            self.starting.remove(&source);
            self.on_stock(source, opening.stock, now());
            return Ok(());
        }
        if let Some((range, data)) = &opening.first
            && !self.has_first_leaf
        {
            // Small, and once for each file: not worth another thread.
            self.part.save_layer(&opening.layer).map_err(Setback::Disk)?;
            self.write_start(source, *range, data)?;
            self.has_first_leaf = true;
            self.job.tell(|status| status.bytes_done = data.len() as u64);
        }
        self.tasks.spawn(async move { Happened::Started(source, opening.rest().await) });
        Ok(())
    }

    fn on_start(&mut self, source: SourceId, start: Start) -> Result<(), Setback> {
        if self.transfer.is_none() {
            let length = self.job.request.file.length();
            let mut held = LeafSet::empty(length);
            if let Some((range, data)) = start.first {
                held.insert_range(range);
                if let Some(rest) = range.tail(range.first() + 1) {
                    let here = length.range_len(range) - length.range_len(rest);
                    self.write_start(source, rest, data.get(here as usize..).unwrap_or_default())?;
                }
            } else {
                self.part.save_layer(&start.layer).map_err(Setback::Disk)?;
            }
            self.begin_transfer(start.layer, held);
        }
        self.on_stock(source, start.stock, now());
        Ok(())
    }

    fn write_start(&mut self, source: SourceId, leaves: LeafRange, data: &[u8]) -> Result<(), Setback> {
        let Some(first) = leaves.leaves().next() else { return Ok(()) };
        self.part.write(first, data).map_err(Setback::Disk)?;
        self.job.workshop.throttle.charge(data.len() as u64);
        self.speed.add(data.len() as u64);
        if let Some(known) = self.sources.get_mut(source) {
            known.bytes += data.len() as u64;
        }
        Ok(())
    }

    fn begin_transfer(&mut self, layer: TreeLayer, held: LeafSet) {
        let target = Target {
            part: Arc::clone(&self.part),
            layer: Arc::new(layer),
            writes: Arc::clone(&self.writes),
            news: self.news.0.clone(),
            throttle: Arc::clone(&self.job.workshop.throttle),
            priority: self.job.priority().on_the_wire(),
        };
        let workshop = &self.job.workshop;
        let mut transfer = Transfer::new(target, held, workshop, lot(workshop.me));
        self.sources.still_fetching().for_each(|peer| transfer.joined(lot(peer)));
        self.transfer = Some(transfer);
    }

    /// Hands every source that serves us to the scheduler, once this job is among those that transfer.
    fn offer_granted(&mut self, now: Instant) {
        let granted = self.granted();
        if granted.is_empty() {
            return;
        }
        if self.slot.is_none() {
            if !self.waiting_for_slot {
                self.waiting_for_slot = true;
                let turn = self.job.turn_of(&self.job.workshop.transfers);
                self.tasks.spawn(async move { Happened::Slot(turn.await) });
            }
            return;
        }
        let Some(transfer) = &mut self.transfer else { return };
        for (id, has, link) in granted {
            transfer.add_source(id, has, &link, now);
        }
    }

    /// The sources that serve us, have something that is missing here, and are not asked for it yet.
    fn granted(&self) -> Vec<(SourceId, LeafSet, Arc<Link>)> {
        let Some(transfer) = &self.transfer else { return vec![] };
        let linked = self.sources.iter().filter_map(|(id, known)| match (&known.state, &known.has) {
            (SourceState::Linked(link, Standing::Granted), Some(has)) => Some((id, has, link)),
            _ => None,
        });
        linked
            .filter(|(id, has, _)| !transfer.has_source(*id) && transfer.lacks_some_of(has))
            .map(|(id, has, link)| (id, has.clone(), Arc::clone(link)))
            .collect()
    }

    /// Lets others transfer while nobody sends us anything.
    fn give_idle_turn_back(&mut self, now: Instant) {
        let Some(transfer) = &mut self.transfer else { return };
        if transfer.is_fetching() {
            self.fetched_at = now;
        } else if self.slot.is_some() && now.saturating_duration_since(self.fetched_at) >= IDLE_TURN {
            self.slot = None;
            for (id, _) in self.sources.iter() {
                transfer.remove_source(id);
            }
            // Whoever has something for us all the same is asked when it is our turn again.
            self.offer_granted(now);
        }
    }

    /// The places in queues, if there is nothing to do but to wait in them, and others want to begin.
    fn places_to_wait_in(&self) -> Option<Vec<Place>> {
        let is_busy = self.searching || !self.has_searched || !self.starting.is_empty() || self.slot.is_some();
        if is_busy || !self.job.workshop.attempts.are_wanted() {
            return None;
        }
        self.sources.only_places()
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
        self.offer_granted(now);
    }

    fn refused(&mut self, source: SourceId, reason: Reason, now: Instant) {
        let has_served = self.sources.get(source).is_some_and(|known| known.bytes > 0);
        self.remove_from_scheduler(source);
        match reason {
            Reason::NotShared if has_served => self.sources.put_out(source, Out::Withdrawn),
            Reason::NotShared => self.sources.has_nothing(source, now),
            _ => self.sources.put_out(source, Out::Refused(reason)),
        }
    }

    fn drop_source(&mut self, source: SourceId, out: Out) {
        self.remove_from_scheduler(source);
        self.sources.put_out(source, out);
    }

    fn remove_from_scheduler(&mut self, source: SourceId) {
        if let Some(transfer) = &mut self.transfer {
            transfer.remove_source(source);
        }
    }

    /// Tells people where it stands.
    fn show(&mut self) {
        let now = now();
        let rate = self.speed.rate(now);
        let held = self.transfer.as_ref().map(Transfer::bytes_held);
        if let Some(transfer) = &mut self.transfer {
            let ids: Vec<SourceId> = self.sources.iter().map(|(id, _)| id).collect();
            for id in ids {
                let rate = transfer.rate(id);
                if let Some(known) = self.sources.get_mut(id) {
                    known.rate = rate;
                    if let SourceState::Linked(link, _) = &known.state {
                        transfer.update_round_trip(id, link.session.round_trip());
                    }
                }
            }
        }
        let transferring = self.transfer.as_ref().is_some_and(Transfer::is_fetching);
        let starved = self.sources.only_parts() && now.saturating_duration_since(self.fetched_at) >= STARVED_AFTER;
        let queued = self.sources.queued_behind();
        let (linked, sources) = (self.sources.any_linked(), self.sources.statuses());
        self.job.tell(|status| {
            status.bytes_done = held.unwrap_or(status.bytes_done);
            status.bytes_per_second = rate;
            (status.state, status.reason) = match queued {
                _ if transferring => (State::Downloading, None),
                // As without any source: the indexes are asked to tell when somebody has the rest.
                _ if starved => (State::Waiting, Some(Why::NoSources)),
                Some(_) => (State::Queued, Some(Why::QueuedAtSources)),
                None if linked => (State::Downloading, None),
                None if sources.is_empty() => (State::Searching, None),
                None => (State::Connecting, None),
            };
            status.message = match queued {
                _ if transferring => None,
                _ if starved => Some("its sources are still fetching the rest themselves".to_owned()),
                queued => queued.map(Queued::in_words),
            };
            let queued = queued.filter(|_| status.state == State::Queued);
            status.ahead = queued.map(|queued| queued.ahead);
            status.eta_ms = queued.and_then(|queued| queued.eta_ms);
            status.sources = sources;
        });
    }
}

/// As random as keys are.
fn lot(peer: PeerId) -> MemberLot {
    peer.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
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
