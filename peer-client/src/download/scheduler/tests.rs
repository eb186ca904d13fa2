//! Simulated sources on an invented clock.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// How a simulated source behaves.
#[derive(Clone, Debug)]
struct Behaviour {
    bytes_per_second: f64,
    round_trip: Duration,
    /// Says nothing after so many bytes.
    stalls_after: Option<u64>,
    /// Goes on with bytes that never become a leaf after so many bytes.
    trickles_after: Option<u64>,
    /// The connection is lost after so many bytes.
    dies_after: Option<u64>,
    /// Sends a wrong leaf after so many bytes.
    lies_after: Option<u64>,
    /// Has every n-th leaf missing.
    lacks_every: Option<u32>,
}

fn honest(bytes_per_second: f64, round_trip_ms: u64) -> Behaviour {
    Behaviour {
        bytes_per_second,
        round_trip: Duration::from_millis(round_trip_ms),
        stalls_after: None,
        trickles_after: None,
        dies_after: None,
        lies_after: None,
        lacks_every: None,
    }
}

struct Line {
    behaviour: Behaviour,
    sent: u64,
    /// Streams in the order in which they are served, each with its next leaf, its end, and when its first byte may leave.
    streams: Vec<(RequestId, u32, u32, Instant)>,
    /// When the line has sent what it is sending.
    free_at: Instant,
    /// Pieces of the next leaf that have arrived.
    pieces: u64,
}

/// A leaf arrives in so many pieces.
const PIECES: u64 = 4;
const PIECE_BYTES: u64 = LEAF_BYTES as u64 / PIECES;

/// Bytes per second; enough to look alive.
const TRICKLE: f64 = 2_000.0;

impl Line {
    fn trickles(&self) -> bool {
        self.behaviour.trickles_after.is_some_and(|limit| self.sent >= limit)
    }
}

/// A download on an invented clock.
struct Simulation {
    scheduler: Scheduler,
    lines: BTreeMap<SourceId, Line>,
    start: Instant,
    now: Instant,
    /// What came and was right, and when first. Nothing else may be written.
    right: LeafSet,
    written_at: BTreeMap<u32, Instant>,
    /// The greatest request to each source, in leaves.
    greatest: BTreeMap<SourceId, u32>,
    /// In pieces of leaves, of whatever came.
    came: u64,
}

#[derive(Debug, PartialEq)]
struct Outcome {
    seconds: f64,
    /// What came for nothing, a beginning of a leaf being a leaf.
    wasted_leaves: u32,
}

impl Simulation {
    fn new(bytes: u64, alignment: u32, sources: &[Behaviour]) -> Self {
        let length = FileLength::new(bytes).unwrap();
        let start = Instant::now();
        let mut scheduler = Scheduler::new(LeafSet::empty(length), alignment, 1);
        let mut lines = BTreeMap::new();
        for (id, behaviour) in (0..).map(SourceId).zip(sources) {
            let mut has = LeafSet::full(length);
            if let Some(every) = behaviour.lacks_every {
                length.whole().leaves().filter(|leaf| leaf.number() % every == every - 1).for_each(|leaf| {
                    has.remove(leaf);
                });
            }
            scheduler.add_source(id, has, behaviour.round_trip, 0.0, start);
            let line = Line { behaviour: behaviour.clone(), sent: 0, streams: vec![], free_at: start, pieces: 0 };
            lines.insert(id, line);
        }
        Self {
            scheduler,
            lines,
            start,
            now: start,
            right: LeafSet::empty(length),
            written_at: BTreeMap::new(),
            greatest: BTreeMap::new(),
            came: 0,
        }
    }

    /// Runs until the file is complete, or nothing can happen any more.
    fn run(&mut self) -> Option<Outcome> {
        self.run_until(None)
    }

    /// Runs until then, the end of the file, or when nothing can happen any more.
    fn run_until(&mut self, limit: Option<Instant>) -> Option<Outcome> {
        for _ in 0..2_000_000 {
            for action in self.scheduler.poll(self.now) {
                self.act(action);
            }
            assert_eq!(*self.scheduler.held(), self.right, "what counts as here came, was right, and is all that was");
            if self.scheduler.is_complete() {
                let wasted = self.came - u64::from(self.scheduler.length.leaf_count()) * PIECES;
                let wasted_leaves = wasted.div_ceil(PIECES) as u32;
                return Some(Outcome { seconds: (self.now - self.start).as_secs_f64(), wasted_leaves });
            }
            let wakeup = self.scheduler.next_wakeup(self.now);
            let delivery = self.next_delivery();
            let next = delivery.map(|(at, _)| at).into_iter().chain(wakeup).min();
            if let Some(limit) = limit.filter(|limit| next.is_none_or(|next| next > *limit)) {
                self.now = limit;
                return None;
            }
            match (delivery, wakeup) {
                (Some((at, _)), Some(wakeup)) if wakeup < at => self.now = wakeup,
                (Some((at, source)), _) => {
                    self.now = self.now.max(at);
                    self.deliver(source);
                }
                (None, Some(wakeup)) => self.now = wakeup,
                (None, None) => return None,
            }
        }
        panic!("the simulation does not end");
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Request { id, source, range, .. } => {
                assert_eq!(range.first() % self.scheduler.alignment, 0, "requests begin at nodes");
                let line = self.lines.get_mut(&source).expect("only known sources are asked");
                let has_all = range.leaves().all(|leaf| self.scheduler.sources[&source].has.contains(leaf));
                assert!(has_all, "only leaves that the source has are asked for");
                let is_wanted = range.leaves().any(|leaf| !self.right.contains(leaf));
                assert!(is_wanted, "what is here is not asked for again");
                let greatest = self.greatest.entry(source).or_default();
                *greatest = range.count().max(*greatest);
                line.streams.push((id, range.first(), range.end(), self.now + line.behaviour.round_trip));
            }
            Action::Shorten { id, end } => {
                for stream in self.lines.values_mut().flat_map(|line| &mut line.streams).filter(|stream| stream.0 == id)
                {
                    stream.2 = end;
                }
            }
            Action::Stop { id } => {
                for line in self.lines.values_mut() {
                    let first = line.streams.first().copied();
                    line.streams.retain(|stream| stream.0 != id);
                    if line.streams.first().copied() != first {
                        line.pieces = 0;
                    }
                }
            }
            Action::Nudge { .. } => {}
            Action::GiveUp { source } => {
                self.lines.remove(&source);
            }
        }
    }

    /// When the next piece of a leaf arrives, and from whom.
    fn next_delivery(&self) -> Option<(Instant, SourceId)> {
        let lines =
            self.lines.iter().filter(|(_, line)| line.behaviour.stalls_after.is_none_or(|limit| line.sent < limit));
        lines
            .filter_map(|(id, line)| {
                let (_, _, _, ready) = line.streams.first()?;
                let rate = if line.trickles() { TRICKLE } else { line.behaviour.bytes_per_second };
                let piece = Duration::from_secs_f64(PIECE_BYTES as f64 / rate);
                Some((line.free_at.max(*ready) + piece, *id))
            })
            .min()
    }

    fn deliver(&mut self, source: SourceId) {
        let line = self.lines.get_mut(&source).unwrap();
        line.free_at = self.now;
        self.scheduler.arrived(source, PIECE_BYTES, self.now);
        if line.trickles() {
            return;
        }
        line.sent += PIECE_BYTES;
        self.came += 1;
        line.pieces = (line.pieces + 1) % PIECES;
        if line.pieces > 0 {
            return;
        }
        let (id, number, end, _) = line.streams[0];
        if line.behaviour.dies_after.is_some_and(|limit| line.sent >= limit) {
            self.lines.remove(&source);
            self.scheduler.remove_source(source);
            return;
        }
        if line.behaviour.lies_after.is_some_and(|limit| line.sent >= limit) {
            self.lines.remove(&source);
            self.scheduler.remove_source(source);
            return;
        }
        if number + 1 >= end {
            line.streams.remove(0);
        } else {
            line.streams[0].1 += 1;
        }
        self.written_at.entry(number).or_insert(self.now);
        let leaf = self.scheduler.length.range(number, 1).unwrap();
        self.right.insert_range(leaf);
        self.scheduler.verified(id, source, leaf, self.now);
    }
}

const SONG: u64 = 10_000_000;
const MEGABYTE: f64 = 1_000_000.0;

fn seconds(sources: &[Behaviour]) -> f64 {
    Simulation::new(SONG, 1, sources).run().expect("the download completes").seconds
}

#[test]
fn one_source_is_used_to_the_full() {
    let ideal = SONG as f64 / (3.0 * MEGABYTE);
    assert!(seconds(&[honest(3.0 * MEGABYTE, 20)]) < 1.1 * ideal + 0.02);
}

#[test]
fn four_sources_give_nearly_the_sum_of_their_rates() {
    let sources = vec![honest(3.0 * MEGABYTE, 30); 4];
    let ideal = SONG as f64 / (12.0 * MEGABYTE);
    let taken = seconds(&sources);
    assert!(taken < 1.05 * ideal + 0.06, "{taken} s, ideal {ideal} s");
}

#[test]
fn a_slow_source_does_not_hold_up_the_fast_ones() {
    let fast = vec![honest(3.0 * MEGABYTE, 30); 3];
    let mut with_slow = fast.clone();
    with_slow.push(honest(10_000.0, 30));
    let (without, with) = (seconds(&fast), seconds(&with_slow));
    assert!(with < 1.05 * without, "{with} s with it, {without} s without");
}

#[test]
fn a_silent_source_costs_little() {
    let mut sources = vec![honest(3.0 * MEGABYTE, 30); 3];
    let ideal = SONG as f64 / (6.0 * MEGABYTE);
    sources[1].stalls_after = Some(1_000_000);
    let taken = seconds(&sources);
    assert!(taken < 1.1 * ideal, "{taken} s, ideal {ideal} s");
}

#[test]
fn a_slow_source_is_not_a_silent_one() {
    let (bytes, rate) = (8 * u64::from(LEAF_BYTES), 1_500.0);
    let taken = Simulation::new(bytes, 1, &[honest(rate, 30)]).run().expect("the download completes").seconds;
    assert!(taken < 1.05 * bytes as f64 / rate, "{taken} s");
}

#[test]
fn two_sources_that_trickle_do_not_hold_up_the_last_leaves() {
    let mut sources = vec![honest(3.0 * MEGABYTE, 30); 3];
    for source in &mut sources[1..] {
        source.trickles_after = Some(1_000_000);
    }
    let taken = seconds(&sources);
    assert!(taken < SONG as f64 / (3.0 * MEGABYTE) + 2.0 * DEAD.as_secs_f64(), "{taken} s");
}

#[test]
fn a_far_source_is_used_to_the_full() {
    let ideal = SONG as f64 / (12.0 * MEGABYTE);
    let taken = seconds(&[honest(12.0 * MEGABYTE, 300)]);
    // It takes some round trips until it is known how much may be asked for.
    assert!(taken < ideal + 8.0 * 0.3, "{taken} s, ideal {ideal} s");
}

#[test]
fn only_the_start_is_asked_twice_of_sources_that_are_alike() {
    let outcome = Simulation::new(SONG, 1, &vec![honest(3.0 * MEGABYTE, 30); 4]).run().unwrap();
    assert!(outcome.wasted_leaves <= FIRST_LEAVES, "{outcome:?}");
}

/// A scheduler that has asked so many sources for something.
fn asked(sources: u32) -> (Scheduler, Instant) {
    let length = FileLength::new(SONG).unwrap();
    let (mut scheduler, start) = (Scheduler::new(LeafSet::empty(length), 1, 1), Instant::now());
    for id in (0..sources).map(SourceId) {
        scheduler.add_source(id, LeafSet::full(length), Duration::from_millis(30), 0.0, start);
    }
    assert!(!scheduler.poll(start).is_empty());
    (scheduler, start)
}

#[test]
fn what_a_source_was_asked_for_before_it_fell_silent_is_not_lost() {
    let (mut scheduler, start) = asked(1);
    let silent = start + STALLED + Duration::from_secs(1);
    assert_eq!(scheduler.poll(silent), [Action::Nudge { source: SourceId(0) }], "nobody else is there");
    assert_eq!(scheduler.poll(silent), [], "and it is asked once");
    let first = scheduler.length.range(0, 1).unwrap();
    scheduler.verified(RequestId(0), SourceId(0), first, silent);
    let asked_again = scheduler.poll(silent).into_iter().any(|action| match action {
        Action::Request { range, .. } => range.first() < scheduler.requests[&RequestId(0)].end,
        _ => true,
    });
    assert!(!asked_again, "the stream goes on");
}

#[test]
fn others_do_the_work_of_a_silent_source_when_they_have_none_left() {
    let (mut scheduler, start) = asked(2);
    let (silent, diligent) = (SourceId(0), SourceId(1));
    let mut owed: Vec<_> = scheduler.requests_of(silent).map(|(id, _)| id).collect();
    let (mut now, mut stopped) = (start, Vec::new());
    while !scheduler.is_complete() {
        now += Duration::from_millis(40);
        let under_way: Vec<_> = scheduler.requests_of(diligent).map(|(id, request)| (id, request.clone())).collect();
        for (id, request) in under_way {
            let leaves = scheduler.length.range(request.next, request.end - request.next).unwrap();
            scheduler.verified(id, diligent, leaves, now);
        }
        for action in scheduler.poll(now) {
            match action {
                Action::Stop { id } => stopped.push(id),
                Action::Request { id, source, .. } if source == silent => owed.push(id),
                Action::GiveUp { .. } => panic!("it is not waited for so long"),
                _ => {}
            }
        }
    }
    assert!(now < start + 2 * QUIET, "{:?}", now - start);
    stopped.sort();
    assert_eq!(stopped, owed, "and what it may still send is not wanted any more");
}

#[test]
fn a_source_that_says_nothing_becomes_slower_by_the_moment() {
    let (mut scheduler, start) = asked(1);
    let mut now = start;
    for number in 0..40 {
        now += Duration::from_millis(10);
        let leaf = scheduler.length.range(number, 1).unwrap();
        scheduler.verified(RequestId(0), SourceId(0), leaf, now);
    }
    let source = &scheduler.sources[&SourceId(0)];
    assert!(source.rate_by(now) > MEGABYTE);
    let later = source.rate_by(now + Duration::from_secs(1));
    assert!(later < 0.1 * MEGABYTE, "{later}");
}

#[test]
fn who_has_not_sent_a_right_leaf_is_asked_for_one_range_and_the_start() {
    let (mut scheduler, start) = asked(2);
    let ranges = |scheduler: &Scheduler, source| {
        let mut of_source: Vec<_> = scheduler.requests_of(SourceId(source)).map(|(id, _)| id).collect();
        of_source.retain(|id| scheduler.requests[id].first > 0);
        of_source
    };
    for source in [0, 1] {
        assert_eq!(ranges(&scheduler, source).len(), 1);
    }
    let tried = ranges(&scheduler, 1)[0];
    let leaf = scheduler.length.range(scheduler.requests[&tried].first, 1).unwrap();
    scheduler.verified(tried, SourceId(1), leaf, start);
    scheduler.poll(start);
    assert_eq!([0, 1].map(|source| ranges(&scheduler, source).len().min(MIN_REQUESTS)), [1, MIN_REQUESTS]);
}

#[test]
fn the_start_is_asked_of_two_sources() {
    let mut simulation = Simulation::new(SONG, 1, &[honest(MEGABYTE, 30), honest(MEGABYTE, 30), honest(MEGABYTE, 30)]);
    let starts = simulation.scheduler.poll(simulation.now);
    let first = |action: &&Action| matches!(action, Action::Request { range, .. } if range.first() == 0);
    assert_eq!(starts.iter().filter(first).count(), 2);
}

#[test]
fn without_a_source_that_has_the_rest_nothing_more_is_asked() {
    let mut partial = honest(MEGABYTE, 10);
    partial.lacks_every = Some(3);
    let mut simulation = Simulation::new(SONG, 1, &[partial]);
    assert_eq!(simulation.run(), None);
    assert!(simulation.scheduler.missing().all(|run| run.count() == 1 && run.first() % 3 == 2));
}

#[test]
fn in_a_swarm_whole_sources_are_asked_for_what_nobody_else_has() {
    let length = FileLength::new(SONG).unwrap();
    let leaves = length.leaf_count();
    let whole = SourceId(0);
    let begins = |seed| {
        let now = Instant::now();
        let mut scheduler = Scheduler::new(LeafSet::empty(length), 1, seed);
        scheduler.joined(3);
        scheduler.held.insert_range(length.range(0, 4).unwrap());
        scheduler.free.subtract(&scheduler.held);
        let mut half = LeafSet::empty(length);
        half.insert_range(length.range(0, leaves / 2).unwrap());
        scheduler.add_source(SourceId(1), half.clone(), Duration::from_millis(30), MEGABYTE, now);
        scheduler.add_source(whole, LeafSet::full(length), Duration::from_millis(30), MEGABYTE, now);
        let mut begins = Vec::new();
        for action in scheduler.poll(now) {
            let Action::Request { source, range, .. } = action else { panic!("{action:?}") };
            assert_eq!(source == whole, !half.contains(length.leaf(range.first()).unwrap()), "{range:?}");
            begins.push(range.first());
        }
        assert!(begins.len() >= 2 * MIN_REQUESTS);
        begins
    };
    assert_eq!(begins(1), begins(1));
    assert_ne!(begins(1), begins(2), "two downloaders ask for different leaves");
}

#[test]
fn in_a_swarm_what_somebody_has_is_still_asked_of_who_has_all_when_nothing_else_is_left() {
    let length = FileLength::new(SONG).unwrap();
    let (now, whole) = (Instant::now(), SourceId(0));
    let mut scheduler = Scheduler::new(LeafSet::empty(length), 1, 1);
    scheduler.joined(2);
    let mut nearly = LeafSet::full(length);
    nearly.remove(length.leaf(100).unwrap());
    scheduler.add_source(whole, LeafSet::full(length), Duration::from_millis(30), MEGABYTE, now);
    scheduler.add_source(SourceId(1), nearly, Duration::from_millis(30), MEGABYTE, now);
    let of_whole = scheduler.poll(now).into_iter().filter_map(|action| match action {
        Action::Request { source, range, .. } if source == whole => Some(range),
        _ => None,
    });
    let of_whole: Vec<_> = of_whole.collect();
    assert_eq!(of_whole[0], length.range(100, 1).unwrap());
    assert!(of_whole.len() >= MIN_REQUESTS);
}

/// What a song of four minutes takes.
const PLAYED: f64 = SONG as f64 / 240.0;

/// Plays the song from its start, a second after the download began, and tells by how much the latest leaf was late.
fn lateness(sources: &[Behaviour], is_told: bool) -> f64 {
    let mut simulation = Simulation::new(SONG, 1, sources);
    let begin = simulation.start + Duration::from_secs(1);
    let first = simulation.scheduler.length.leaf(0).unwrap();
    let playback = Playback::new(first, PLAYED, begin);
    if is_told {
        simulation.scheduler.play(Some(playback), simulation.now);
    }
    simulation.run().expect("the download completes");
    let late = |(leaf, at): (&u32, &Instant)| at.saturating_duration_since(playback.due(*leaf)).as_secs_f64();
    simulation.written_at.iter().map(late).fold(0.0, f64::max)
}

#[test]
fn what_is_played_comes_a_moment_late_at_most_although_most_sources_are_slow() {
    // Together they are twice as fast as the song, and the slow ones are found first.
    let sources = [honest(5_000.0, 200), honest(10_000.0, 100), honest(15_000.0, 50), honest(60_000.0, 50)];
    // Until they are measured, slow ones are believed to be fast.
    assert!(lateness(&sources, true) < 2.0);
    assert!(lateness(&sources, false) > 60.0, "in no order it would stand still for long");
}

#[test]
fn what_a_silent_source_owes_a_listener_is_asked_of_another_in_time() {
    let mut sources = [honest(100_000.0, 50), honest(100_000.0, 50)];
    sources[0].stalls_after = Some(500_000);
    assert!(lateness(&sources, true) < 0.1);
}

#[test]
fn after_a_jump_what_is_wanted_now_comes_first() {
    let sources = [honest(100_000.0, 50), honest(200_000.0, 50)];
    let mut simulation = Simulation::new(SONG, 1, &sources);
    let length = simulation.scheduler.length;
    let playback = |simulation: &Simulation, leaf| Playback::new(length.leaf(leaf).unwrap(), PLAYED, simulation.now);
    simulation.scheduler.play(Some(playback(&simulation, 0)), simulation.now);
    simulation.run_until(Some(simulation.start + Duration::from_secs(5)));
    let jumped = simulation.now;
    simulation.scheduler.play(Some(playback(&simulation, 450)), simulation.now);
    simulation.run_until(Some(jumped + Duration::from_secs(10)));
    let wait = simulation.written_at[&450] - jumped;
    // What is on the line already, and one small request.
    assert!(wait < Duration::from_secs(2), "{wait:?}");
    let in_time = (450..490).all(|leaf| simulation.written_at[&leaf] <= playback(&simulation, 450).due(leaf) + wait);
    assert!(in_time);
}

fn behaviours() -> impl Strategy<Value = Vec<Behaviour>> {
    let maybe = || prop::option::weighted(0.3, 0..4_000_000u64);
    let line = (10_000.0..20_000_000.0f64, 1..300u64);
    let faults = (maybe(), maybe(), maybe(), maybe(), prop::option::weighted(0.2, 2..9u32));
    let faulty = (line, faults).prop_map(|((bytes_per_second, round_trip_ms), faults)| {
        let (stalls_after, trickles_after, dies_after, lies_after, lacks_every) = faults;
        let honest = honest(bytes_per_second, round_trip_ms);
        Behaviour { stalls_after, trickles_after, dies_after, lies_after, lacks_every, ..honest }
    });
    prop::collection::vec(faulty, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_download_ends_while_one_honest_source_remains(
        bytes in prop_oneof![1..3_000_000u64, 20_000_000..60_000_000u64],
        alignment in prop::sample::select(vec![1u32, 2, 8]),
        faulty in behaviours(),
        rate in 50_000.0..5_000_000.0f64,
        // Whether the song is played, from where, and where it jumps to.
        played in prop::option::of((0.0..1.0f64, 0.0..1.0f64)),
    ) {
        let faulty: Vec<_> = faulty
            .into_iter()
            .map(|behaviour| if alignment > 1 { Behaviour { lacks_every: None, ..behaviour } } else { behaviour })
            .collect();
        let sources = [faulty, vec![honest(rate, 40)]].concat();
        let mut simulation = Simulation::new(bytes, alignment, &sources);
        if let Some((from, to)) = played {
            for part in [from, to] {
                let length = simulation.scheduler.length;
                let leaf = length.leaf((f64::from(length.leaf_count()) * part) as u32).unwrap();
                simulation.scheduler.play(Some(Playback::new(leaf, PLAYED, simulation.now)), simulation.now);
                simulation.run_until(Some(simulation.now + Duration::from_millis(200)));
            }
        }
        let outcome = simulation.run();
        prop_assert!(outcome.is_some(), "an honest source was there all the time");
        let at_most = simulation.greatest.values().sum::<u32>();
        prop_assert!(outcome.unwrap().wasted_leaves <= at_most, "at most one request of each source came for nothing");
    }
}
