//! Which leaves are asked of whom, and when: the pure heart of a download.
//!
//! It knows no socket, file or clock. The [job](super::job) tells it what happens, with the time, and does what
//! [`Scheduler::poll`] answers. The rules, each with its reason:
//!
//! 1. **Every missing leaf is either free or in a request.** A request is a run of neighbouring leaves on one stream
//!    from one source; its leaves arrive in order.
//! 2. **Each source works on a region of its own,** from the start of the largest free gap, or from inside it if
//!    another source is already moving into it. Disk writes and the sender's reads stay sequential.
//!    **In a [swarm],** where others are still fetching the file as well, each source is asked for what the fewest of
//!    those have, anywhere in the file. So downloaders get different leaves from the few who have all of them, and
//!    the rest from each other (BitTorrent's "rarest first").
//! 3. **A request is about [`REQUEST_TIME`] of a source's rate,** so that a slow source is never owed much, and two
//!    or more are under way at once, so that the line is never idle between them.
//! 4. **The first leaves are asked of the two best sources at once.** What a listener waits for first comes at the
//!    pace of the faster, not at the mean.
//! 5. **When nothing is free, a source that runs dry takes work from others:** first what silent sources were asked
//!    for, then the tail of the request that would be done last, so much of it that both are done at the same time,
//!    if that is clearly sooner. Of a source that is slow enough it takes everything.
//! 6. **At the very end the rest of a request is asked of a second source as well,** if that one may be sooner. At
//!    most two copies; the first verified leaf wins, and the other stream is stopped. So the waste is at most one
//!    request for each source. Only what has made no progress for very long ([`DEAD`]) is asked of a third: two
//!    sources that trickle must not hold up the last leaves.
//! 7. **A silent source is trusted less and less:** it is asked whether it is there, gets no new requests, then others
//!    may have what it was asked for, then it is given up ([`QUIET`], [`STALLED`], [`DEAD`]). Until then its streams go
//!    on: it may be all there is. A slow one is not silent: bytes count as they arrive, long before a leaf of them is
//!    whole. Nor is one that we hold back.
//! 8. **While the song is played, what is due soon comes first:** the leaves of the next seconds are asked for in the
//!    order of their [deadlines](playback), in small requests, each of the source that will have sent it soonest, and
//!    once more of another if they would be late. Nobody takes them for being next in its region.
//! 9. **One wrong leaf ends a source for this file.** Which leaf, and whose, is exact: a stream has one sender.
//! 10. **A source is asked for one request, and perhaps the start, until a leaf of it was right** on this connection, so
//!     that a liar sends no more than that for nothing. If it is alone, that is as much as is wanted in flight: with less
//!     our line would be idle for a round trip (6 % of the time of a song, at 100 Mbit/s and 50 ms). A listener cannot
//!     wait for that.
//!
//! The numbers come from comparing libtorrent, rqbit and aria2, and from the simulated network in `tests/`.

mod gaps;
mod playback;
mod source;
mod swarm;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use choir_shared::leaf::{FileLength, LEAF_BYTES, LeafIndex, LeafRange, LeafSet, Presence};

use gaps::Region;
pub use playback::Playback;
use source::Source;
pub use source::SourceId;
pub use swarm::MemberLot;
use swarm::Swarm;

/// How much of a source's rate one request asks for, unless a long line needs more (rule 3).
const REQUEST_TIME: Duration = Duration::from_millis(75);

/// Bounds of one request: 64 KiB, below which the round trips show, to 2 MiB, which bounds the waste.
const MIN_REQUEST_LEAVES: u32 = 4;
const MAX_REQUEST_LEAVES: u32 = 128;

/// The first request of a download, asked twice (rule 4).
const FIRST_LEAVES: u32 = 4;

/// Two requests keep the line busy; with more, a source that fails takes more with it.
const MIN_REQUESTS: usize = 2;

/// Streams that a sharer allows are [16](crate::connectivity::endpoint); other downloads use some of them.
const MAX_REQUESTS: usize = 4;

/// So many more for what a listener waits for.
const URGENT_REQUESTS: usize = 4;

/// While a song is played, it is looked this often whether something will be late.
const PLAYBACK_TICK: Duration = Duration::from_millis(50);

/// A request is worth splitting when its tail would come this many times sooner (rule 5).
const STEAL_GAIN: f64 = 1.5;

/// Rule 7.
const QUIET: Duration = Duration::from_secs(1);
const STALLED: Duration = Duration::from_secs(3);
const DEAD: Duration = Duration::from_secs(10);

/// The number of a request, never used twice in one download.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

/// What the job must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask `source` for `range` on a new stream.
    Request {
        id: RequestId,
        source: SourceId,
        range: LeafRange,
        /// A listener waits for it: to be sent before what was asked for earlier.
        is_urgent: bool,
    },
    /// Read no further than leaf number `end` of this request; another source has the rest.
    Shorten { id: RequestId, end: u32 },
    /// Stop the stream: all its leaves are here, or its source is given up.
    Stop { id: RequestId },
    /// Ask whether the source is there. One that was killed and is back says that it knows nothing of us.
    Nudge { source: SourceId },
    /// Nothing has come from the source for too long.
    GiveUp { source: SourceId },
}

#[derive(Clone, Debug)]
struct Request {
    source: SourceId,
    first: u32,
    /// The next leaf that is expected on this stream.
    next: u32,
    end: u32,
    progress: Instant,
    /// Its source is silent: its leaves are free, though they may come after all.
    is_doubtful: bool,
}

impl Request {
    /// Whether nothing came of it for so long that not even a second copy is hope enough (rule 6).
    fn is_stuck(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.progress) >= DEAD
    }
}

/// The state of one download.
#[derive(Debug)]
pub struct Scheduler {
    length: FileLength,
    /// Requests begin and end at multiples of this, so that they can be verified alone.
    alignment: u32,
    held: LeafSet,
    /// Missing leaves that no request covers.
    free: LeafSet,
    sources: BTreeMap<SourceId, Source>,
    requests: BTreeMap<RequestId, Request>,
    next_request: u64,
    swarm: Swarm,
    playback: Option<Playback>,
    /// Dropped, and still to be stopped.
    dropped: Vec<RequestId>,
}

impl Scheduler {
    /// `held` is what an earlier run left; `leaves_per_node` is the tree layer's. `me` decides what falls to us in a
    /// swarm.
    pub fn new(held: LeafSet, leaves_per_node: u32, me: MemberLot) -> Self {
        let length = held.length();
        let swarm = Swarm::new(length, leaves_per_node, me);
        let mut free = LeafSet::full(length);
        free.subtract(&held);
        Self {
            length,
            alignment: leaves_per_node,
            held,
            free,
            sources: BTreeMap::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            swarm,
            playback: None,
            dropped: Vec::new(),
        }
    }

    pub fn held(&self) -> &LeafSet {
        &self.held
    }

    pub fn is_complete(&self) -> bool {
        self.held.is_full()
    }

    /// A source is ready to serve the leaves in `has`. `lately` is how many bytes per second came from it before, if
    /// only for other files: otherwise small files would be over before it was known how much may be asked for.
    pub fn add_source(&mut self, id: SourceId, has: LeafSet, round_trip: Duration, lately: f64, now: Instant) {
        let rate = self.typical_rate().max(lately);
        self.forget(id);
        self.swarm.gains(&has);
        let mut source = Source::new(has, round_trip, rate, now);
        source.is_proved = lately > 0.0;
        self.sources.insert(id, source);
    }

    /// The source has other leaves than it had.
    pub fn update_has(&mut self, id: SourceId, has: LeafSet) {
        if let Some(source) = self.sources.get_mut(&id) {
            self.swarm.loses(&source.has);
            self.swarm.gains(&has);
            source.has = has;
        }
    }

    /// Somebody else fetches the file as well, and may become a source.
    pub fn joined(&mut self, member: MemberLot) {
        self.swarm.joined(member);
    }

    /// The source is gone or banned; what it was asked for is free again. The requests that are returned are the
    /// caller's to stop.
    pub fn remove_source(&mut self, id: SourceId) -> Vec<RequestId> {
        self.forget(id);
        let gone: Vec<_> = self.requests_of(id).map(|(id, _)| id).collect();
        gone.iter().for_each(|id| self.drop_request(*id));
        gone
    }

    /// The song is played from here on, or no more. Told again and again while it is; when it jumps, what was asked for
    /// elsewhere and has not begun to come is put off.
    pub fn play(&mut self, playback: Option<Playback>, now: Instant) {
        let window = |playback: Option<Playback>| playback.and_then(|playback| playback.window(self.length, now));
        let (before, after) = (window(self.playback), window(playback));
        self.playback = playback;
        let Some(after) = after else { return };
        if before.is_some_and(|before| (before.first()..=before.end()).contains(&after.first())) {
            return;
        }
        let elsewhere = |request: &Request| {
            request.next == request.first && (request.end <= after.first() || after.end() <= request.first)
        };
        let put_off: Vec<_> =
            self.requests.iter().filter(|(_, request)| elsewhere(request)).map(|(id, _)| *id).collect();
        put_off.iter().for_each(|id| self.drop_request(*id));
        self.dropped.extend(put_off);
    }

    fn forget(&mut self, id: SourceId) {
        if let Some(source) = self.sources.remove(&id) {
            self.swarm.loses(&source.has);
        }
    }

    /// Asks nothing more of the source, and leaves what it was asked for to it.
    pub fn suspend(&mut self, id: SourceId) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.is_suspended = true;
        }
    }

    /// The source answers again.
    pub fn resume(&mut self, id: SourceId) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.is_suspended = false;
        }
    }

    pub fn has_source(&self, id: SourceId) -> bool {
        self.sources.contains_key(&id)
    }

    /// Bytes of verified data that `id` delivers each second, by recent measure; nothing before the first.
    pub fn rate(&self, id: SourceId) -> u64 {
        self.sources.get(&id).filter(|source| source.is_measured()).map_or(0, |source| source.rate() as u64)
    }

    /// A measured round trip.
    pub fn update_round_trip(&mut self, id: SourceId, round_trip: Duration) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.round_trip = source.round_trip.min(round_trip);
        }
    }

    /// Verified leaves were written. Leaves that the request no longer covers, because it was shortened or dropped
    /// meanwhile, count all the same: they are good.
    pub fn verified(&mut self, id: RequestId, source: SourceId, leaves: LeafRange, now: Instant) {
        self.heard(source, now);
        for leaf in leaves.leaves() {
            self.held.insert(leaf);
            self.free.remove(leaf);
        }
        if let Some(source) = self.sources.get_mut(&source) {
            source.delivered(self.length.range_len(leaves), now);
        }
        if let Some(request) = self.requests.get_mut(&id) {
            request.next = request.next.max(leaves.end());
            request.progress = now;
            if request.next >= request.end {
                self.requests.remove(&id);
            }
        }
    }

    /// Bytes came from a source that are not checked yet.
    pub fn arrived(&mut self, source: SourceId, bytes: u64, now: Instant) {
        if self.sources.get_mut(&source).is_some_and(|source| source.arrived(bytes)) {
            self.heard(source, now);
        }
    }

    /// We do not read what came for this request, because of a limit of ours: neither it nor its source is to blame.
    pub fn held_back(&mut self, id: RequestId, source: SourceId, now: Instant) {
        self.heard(source, now);
        if let Some(request) = self.requests.get_mut(&id) {
            request.progress = now;
        }
    }

    /// A sign of life. If the source was doubted, it keeps what nobody else has been asked for meanwhile.
    fn heard(&mut self, id: SourceId, now: Instant) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.heard = now;
            (source.is_nudged, source.is_stalled) = (false, false);
        }
        let doubted = self.requests.values_mut().filter(|request| request.source == id && request.is_doubtful);
        for request in doubted {
            request.is_doubtful = false;
            for leaf in (request.next..request.end).filter_map(|number| self.length.leaf(number)) {
                self.free.remove(leaf);
            }
        }
    }

    /// The stream ended before its request was done; what is missing is free again.
    pub fn ended(&mut self, id: RequestId) {
        self.drop_request(id);
    }

    /// What to do now.
    pub fn poll(&mut self, now: Instant) -> Vec<Action> {
        let mut actions: Vec<_> = self.dropped.drain(..).map(|id| Action::Stop { id }).collect();
        self.trim(&mut actions);
        self.judge_silence(now, &mut actions);
        for id in self.sources_by_rate() {
            if self.sources.get(&id).is_some_and(|source| source.is_suspended) {
                continue;
            }
            while let Some(range) = self.next_range(id, now, &mut actions) {
                actions.push(self.request(id, range, now));
            }
        }
        actions
    }

    /// When to poll again even if nothing happens.
    pub fn next_wakeup(&self, now: Instant) -> Option<Instant> {
        let requests = self.requests.values().map(|request| request.progress + DEAD);
        let working = self.sources.iter().filter(|(id, _)| self.requests_of(**id).next().is_some());
        let sources = working.flat_map(|(_, source)| {
            let limits = [source.patience(), QUIET, STALLED, DEAD];
            limits.map(|limit| source.heard + limit)
        });
        let playback = self.window(now).filter(|window| !self.held.contains_range(*window));
        let tick = playback.map(|_| now + PLAYBACK_TICK);
        requests.chain(sources).chain(tick).filter(|time| *time > now).min()
    }

    fn requests_of(&self, source: SourceId) -> impl Iterator<Item = (RequestId, &Request)> {
        self.requests.iter().filter(move |(_, request)| request.source == source).map(|(id, request)| (*id, request))
    }

    /// Fastest first: where sources compete for the last leaves, the best choose first.
    fn sources_by_rate(&self) -> Vec<SourceId> {
        let mut ids: Vec<_> = self.sources.iter().map(|(id, source)| (source.rate() as u64, *id)).collect();
        ids.sort_by_key(|(rate, id)| (std::cmp::Reverse(*rate), *id));
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// The rate a new source is believed to have: the mean of the others, but nothing great.
    fn typical_rate(&self) -> f64 {
        let rates: Vec<_> = self.sources.values().filter(|source| source.is_measured()).map(Source::rate).collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        if rates.is_empty() { source::UNKNOWN_RATE } else { mean.min(source::UNKNOWN_RATE) }
    }

    fn request(&mut self, source: SourceId, range: LeafRange, now: Instant) -> Action {
        for leaf in range.leaves() {
            self.free.remove(leaf);
        }
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let had_work = self.requests_of(source).next().is_some();
        if let Some(source) = self.sources.get_mut(&source) {
            source.cursor = Some(range.end());
            if !had_work {
                source.wakes(now);
            }
        }
        let (first, end) = (range.first(), range.end());
        self.requests.insert(id, Request { source, first, next: first, end, progress: now, is_doubtful: false });
        let is_urgent = self.window(now).is_some_and(|window| (window.first()..window.end()).contains(&first));
        Action::Request { id, source, range, is_urgent }
    }

    fn drop_request(&mut self, id: RequestId) {
        if let Some(request) = self.requests.remove(&id) {
            self.set_free(&request);
        }
    }

    /// What no other request covers is free again.
    fn set_free(&mut self, request: &Request) {
        for number in request.next..request.end {
            let Some(leaf) = self.length.leaf(number) else { continue };
            if !self.held.contains(leaf) && !self.is_requested(leaf) {
                self.free.insert(leaf);
            }
        }
    }

    fn is_requested(&self, leaf: LeafIndex) -> bool {
        let mut sure = self.requests.values().filter(|request| !request.is_doubtful);
        sure.any(|request| (request.next..request.end).contains(&leaf.number()))
    }

    /// Rule 6: what came from elsewhere is not waited for. A copy of which nothing is missing any more is stopped, and
    /// one of whose tail nothing is, is shortened.
    fn trim(&mut self, actions: &mut Vec<Action>) {
        let is_missing = |number: &u32| self.length.leaf(*number).is_some_and(|leaf| !self.held.contains(leaf));
        self.requests.retain(|id, request| {
            let Some(last) = (request.next..request.end).rev().find(is_missing) else {
                actions.push(Action::Stop { id: *id });
                return false;
            };
            let end = (last + 1).next_multiple_of(self.alignment).min(request.end);
            if end < request.end {
                request.end = end;
                actions.push(Action::Shorten { id: *id, end });
            }
            true
        });
    }

    /// Rule 7.
    fn judge_silence(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for id in self.sources.keys().copied().collect::<Vec<_>>() {
            let Some(source) = self.sources.get_mut(&id) else { continue };
            let silence = now.saturating_duration_since(source.heard);
            let waiting = self.requests.values().any(|request| request.source == id);
            if !waiting && !source.is_stalled {
                continue;
            }
            if silence >= source.patience() && !source.is_nudged {
                source.is_nudged = true;
                actions.push(Action::Nudge { source: id });
            }
            if silence >= DEAD {
                actions.push(Action::GiveUp { source: id });
                self.give_back(id, actions);
                self.forget(id);
            } else if silence >= STALLED && !source.is_stalled {
                source.is_stalled = true;
                self.doubt(id);
            }
        }
    }

    /// Others may have what `source` was asked for.
    fn doubt(&mut self, source: SourceId) {
        for id in self.requests_of(source).map(|(id, _)| id).collect::<Vec<_>>() {
            let Some(request) = self.requests.get_mut(&id) else { continue };
            request.is_doubtful = true;
            let request = request.clone();
            self.set_free(&request);
        }
    }

    fn give_back(&mut self, source: SourceId, actions: &mut Vec<Action>) {
        for id in self.requests_of(source).map(|(id, _)| id).collect::<Vec<_>>() {
            self.drop_request(id);
            actions.push(Action::Stop { id });
        }
    }

    /// The next run of leaves to ask `id` for, if it should be asked for any now.
    fn next_range(&mut self, id: SourceId, now: Instant, actions: &mut Vec<Action>) -> Option<LeafRange> {
        let source = self.sources.get(&id)?;
        let count = self.requests_of(id).count();
        let bytes = self.bytes_under_way(id);
        let quiet = count > 0 && now.saturating_duration_since(source.heard) >= QUIET;
        let enough = count >= MIN_REQUESTS && bytes >= source.wanted_in_flight();
        if source.is_stalled || quiet || count >= MAX_REQUESTS + URGENT_REQUESTS {
            return None;
        }
        if let Some(range) = self.urgent(id, now) {
            return Some(range);
        }
        let on_trial = !source.is_proved && self.window(now).is_none();
        let is_tried = on_trial && self.requests_of(id).any(|(_, request)| request.first > 0);
        if enough || count >= MAX_REQUESTS || is_tried {
            return None;
        }
        let is_alone = self.sources.len() == 1;
        let leaves = if on_trial && is_alone { source.leaves_in_flight() } else { source.request_leaves() };
        let line = source.line();
        if let Some(range) = self.hedged_start(id) {
            return Some(range);
        }
        if let Some(range) = self.free_range(id, leaves, now) {
            return Some(range);
        }
        // Nothing is free. As long as a source has more to send than its line holds, it has not run dry.
        if bytes > line {
            return None;
        }
        self.trim(actions);
        self.doubt_the_silent(id, now);
        let taken = self.free_range(id, leaves, now).or_else(|| self.steal(id, now, actions));
        taken.or_else(|| (count == 0).then(|| self.second_copy(id, now)).flatten())
    }

    fn bytes_under_way(&self, source: SourceId) -> f64 {
        self.requests_of(source).map(|(_, request)| leaves_to_bytes(request.end - request.next)).sum::<u64>() as f64
    }

    /// Rule 4: the second source asks for the start as well, as long as nothing of it has come.
    fn hedged_start(&self, id: SourceId) -> Option<LeafRange> {
        let source = self.sources.get(&id)?;
        let mut asked = self.requests.values().filter(|request| request.next == 0);
        let (only, others) = (asked.next()?, asked.next());
        let range = self.length.range(0, only.end)?;
        let fresh = only.source != id && others.is_none() && self.requests_of(id).next().is_none();
        let short = range.count() <= FIRST_LEAVES.max(self.alignment);
        (fresh && short && source.has.contains_range(range)).then_some(range)
    }

    /// Rule 8.
    fn urgent(&self, id: SourceId, now: Instant) -> Option<LeafRange> {
        let (playback, source) = (self.playback?, self.sources.get(&id)?);
        let missing = |leaf: &LeafIndex| !self.held.contains(*leaf);
        for leaf in self.window(now)?.leaves().filter(missing) {
            if self.free.contains(leaf) {
                let range = self.urgent_range(leaf.number(), |leaf| self.free.contains(leaf))?;
                // What this one cannot have soonest, none of the later ones can be.
                return (self.soonest(range, now) == Some(id) && source.has.contains_range(range)).then_some(range);
            }
            let Some((late, request)) = self.request_for(leaf) else { continue };
            let rest = self.urgent_range(leaf.number(), |leaf| leaf.number() < request.end && missing(&leaf))?;
            let time_left = self.time_until(late, request, rest.end(), now)?;
            let is_late = now + Duration::from_secs_f64(time_left.min(1e6)) > playback.due(leaf.number());
            let is_sooner = self.time_to_send(id, rest, now)? < time_left;
            if request.source != id && is_late && is_sooner && source.has.contains_range(rest) {
                return Some(rest);
            }
        }
        None
    }

    fn window(&self, now: Instant) -> Option<LeafRange> {
        self.playback?.window(self.length, now)
    }

    /// As few leaves as a request may have, from `first` on, while they are `wanted`; in whole nodes.
    fn urgent_range(&self, first: u32, wanted: impl Fn(LeafIndex) -> bool) -> Option<LeafRange> {
        let most = MIN_REQUEST_LEAVES.next_multiple_of(self.alignment);
        let count = (first..first.saturating_add(most)).take_while(|leaf| self.length.leaf(*leaf).is_some_and(&wanted));
        let begin = first / self.alignment * self.alignment;
        let end = (first + count.count() as u32).next_multiple_of(self.alignment).min(self.length.leaf_count());
        self.length.range(begin, end.checked_sub(begin)?)
    }

    /// The only request for this leaf.
    fn request_for(&self, leaf: LeafIndex) -> Option<(RequestId, &Request)> {
        let covers = |request: &Request| !request.is_doubtful && (request.next..request.end).contains(&leaf.number());
        let mut requests = self.requests.iter().filter(|(_, request)| covers(request));
        let (only, others) = (requests.next()?, requests.next());
        others.is_none().then_some((*only.0, only.1))
    }

    fn soonest(&self, range: LeafRange, now: Instant) -> Option<SourceId> {
        let able = self
            .sources
            .iter()
            .filter(|(_, source)| !source.is_stalled && !source.is_suspended && source.has.contains_range(range));
        let times = able.filter_map(|(id, _)| Some((self.time_to_send(*id, range, now)?, *id)));
        times.min_by(|(left, _), (right, _)| left.total_cmp(right)).map(|(_, id)| id)
    }

    /// Seconds until a source has sent `range`, after all that it was asked for before.
    fn time_to_send(&self, id: SourceId, range: LeafRange, now: Instant) -> Option<f64> {
        let source = self.sources.get(&id)?;
        let bytes = self.bytes_under_way(id) + leaves_to_bytes(range.count()) as f64;
        Some(source.round_trip.as_secs_f64() + bytes / source.rate_by(now))
    }

    /// Rules 2 and 3.
    fn free_range(&mut self, id: SourceId, leaves: u32, now: Instant) -> Option<LeafRange> {
        let begin = (!self.swarm.is_empty()).then(|| self.swarm.draw_begin());
        let source = self.sources.get(&id)?;
        let is_start = self.requests.is_empty() && self.length.leaf(0).is_some_and(|leaf| self.free.contains(leaf));
        let leaves = if is_start && !source.is_measured() { FIRST_LEAVES } else { leaves };
        let leaves = leaves.next_multiple_of(self.alignment);
        let others = self.requests.values().filter(|request| request.source != id && !request.is_doubtful);
        let fronts: Vec<u32> = others.map(|request| request.end).collect();
        let mut wanted = self.wanted_of(source);
        if let Some(window) = self.window(now) {
            let wanted = wanted.to_mut();
            window.leaves().for_each(|leaf| _ = wanted.remove(leaf));
        }
        let region = Region { wanted: &wanted, has: &source.has, alignment: self.alignment };
        // What was true of the swarm when the last request was chosen is not any more.
        let cursor = source.cursor.filter(|_| begin.is_none());
        region.choose(cursor, begin, &fronts, leaves)
    }

    /// Which free leaves to ask a source for.
    fn wanted_of(&self, source: &Source) -> Cow<'_, LeafSet> {
        if self.swarm.is_empty() && source.has.is_full() {
            return Cow::Borrowed(&self.free);
        }
        let mut useful = self.free.clone();
        useful.intersect(&source.has);
        Cow::Owned(self.swarm.wanted(&useful))
    }

    /// Rule 5: what silent sources were asked for is free for one that runs dry.
    fn doubt_the_silent(&mut self, dry: SourceId, now: Instant) {
        let silent = |source: &Source| now.saturating_duration_since(source.heard) >= source.patience();
        let sources = self.sources.iter().filter(|(id, source)| **id != dry && silent(source));
        sources.map(|(id, _)| *id).collect::<Vec<_>>().into_iter().for_each(|id| self.doubt(id));
    }

    /// Rule 5, for tails.
    fn steal(&mut self, thief: SourceId, now: Instant, actions: &mut Vec<Action>) -> Option<LeafRange> {
        let fast = self.sources.get(&thief)?;
        let (victim, time_left) = self.last_to_finish(thief, now)?;
        let request = self.requests.get(&victim)?;
        let slow = self.sources.get(&request.source)?;
        // Without these the one is done when the other is.
        let slow_rate = slow.rate_by(now);
        let bytes = (time_left - fast.round_trip.as_secs_f64()) * fast.rate() * slow_rate / (fast.rate() + slow_rate);
        let stolen = ((bytes / f64::from(LEAF_BYTES)) as u32).min(request.end - request.next);
        let split = (request.end - stolen).next_multiple_of(self.alignment);
        // All of it from the start of a node, which may be partly here.
        let first = if split > request.next { split } else { request.next / self.alignment * self.alignment };
        let tail = self.length.range(first, request.end.checked_sub(first)?)?;
        if time_left < STEAL_GAIN * fast.time_for(tail.count()) || !fast.has.contains_range(tail) {
            return None;
        }
        if split > request.next {
            self.requests.get_mut(&victim)?.end = split;
            actions.push(Action::Shorten { id: victim, end: split });
        } else {
            self.requests.remove(&victim);
            actions.push(Action::Stop { id: victim });
        }
        Some(tail)
    }

    /// Rule 6.
    fn second_copy(&self, id: SourceId, now: Instant) -> Option<LeafRange> {
        let source = self.sources.get(&id)?;
        let (last, time_left) = self.last_to_finish(id, now)?;
        let request = self.requests.get(&last)?;
        let nearly_done = self.remaining_bytes() as f64 <= 2.0 * self.total_rate() * self.longest_round_trip();
        if !nearly_done && !request.is_stuck(now) {
            return None;
        }
        let first = request.next / self.alignment * self.alignment;
        let rest = self.length.range(first, request.end.checked_sub(first)?)?;
        (source.time_for(rest.count()) < time_left && source.has.contains_range(rest)).then_some(rest)
    }

    /// The request of another source that should be done last, and the seconds until then, of those that nobody else
    /// works on with success.
    fn last_to_finish(&self, but: SourceId, now: Instant) -> Option<(RequestId, f64)> {
        let others = self
            .requests
            .iter()
            .filter(|(_, request)| request.source != but && (self.is_single(request) || request.is_stuck(now)));
        let times = others.filter_map(|(id, request)| Some((*id, self.time_left(*id, request, now)?)));
        times.max_by(|(_, left), (_, right)| left.total_cmp(right))
    }

    fn is_single(&self, request: &Request) -> bool {
        let overlaps = |other: &&Request| other.next < request.end && request.next < other.end;
        !request.is_doubtful && self.requests.values().filter(|other| !other.is_doubtful).filter(overlaps).count() == 1
    }

    /// Seconds until `request` should be done, with all that was asked of its source before it.
    fn time_left(&self, id: RequestId, request: &Request, now: Instant) -> Option<f64> {
        self.time_until(id, request, request.end, now)
    }

    /// Seconds until `request` should have come to leaf number `end`.
    fn time_until(&self, id: RequestId, request: &Request, end: u32, now: Instant) -> Option<f64> {
        let source = self.sources.get(&request.source)?;
        let before = self.requests_of(request.source).take_while(|(earlier, _)| *earlier < id);
        let bytes: u64 = before.map(|(_, request)| leaves_to_bytes(request.end - request.next)).sum();
        let own = leaves_to_bytes(end.saturating_sub(request.next));
        Some((bytes + own) as f64 / source.rate_by(now))
    }

    fn remaining_bytes(&self) -> u64 {
        self.length.bytes() - self.held.bytes()
    }

    fn total_rate(&self) -> f64 {
        self.sources.values().map(Source::rate).sum()
    }

    fn longest_round_trip(&self) -> f64 {
        self.sources.values().map(|source| source.round_trip.as_secs_f64()).fold(0.0, f64::max)
    }

    /// Runs of leaves that are still missing.
    pub fn missing(&self) -> impl Iterator<Item = LeafRange> {
        self.held.runs(Presence::Missing)
    }
}

fn leaves_to_bytes(leaves: u32) -> u64 {
    u64::from(leaves) * u64::from(LEAF_BYTES)
}

#[cfg(test)]
mod tests;
