//! The sources of one attempt, and what is known of each.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use choir_shared::PeerId;
use choir_shared::leaf::{FileLength, LeafSet};
use choir_shared::wire::Reason;

use crate::download::FoundSource;
use crate::download::links::{Link, Standing};
use crate::download::scheduler::SourceId;
use crate::download::status::{SourceStatus, Why};
use crate::session::Session;

/// More connections for one song cost more than they bring. Some of them only stand in a queue, hence twice as many as
/// fill any line.
const MAX_LINKED: usize = 16;

/// Sources tell each other's names; strangers must not fill our memory with them.
const MAX_KNOWN: usize = 256;

/// A source that is still fetching the file itself is asked this often what it has, if it is asked for nothing else.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// A peer that could not be reached or was lost is tried again after this, doubled each time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const MAX_RETRIES: u32 = 4;

/// A peer that was lost while it sent may be back already, if it was only restarted.
const RETURN: Duration = Duration::from_millis(200);

/// One peer, as a source of this file.
pub(super) struct Known {
    pub(super) peer: PeerId,
    pub(super) name: Option<String>,
    pub(super) state: SourceState,
    /// An index says that it has all of the file.
    is_complete: bool,
    /// What it has of the file; `None` until one that has not all of it has said.
    pub(super) has: Option<LeafSet>,
    /// When to ask it next what it has.
    look_at: Option<Instant>,
    /// Verified bytes that came from it.
    pub(super) bytes: u64,
    pub(super) rate: u64,
    failures: u32,
    /// Of its bytes, what had come when it last failed.
    bytes_at_failure: u64,
    /// What went wrong last.
    trouble: Option<String>,
}

pub(super) enum SourceState {
    /// To be tried, not before this moment.
    Idle(Instant),
    Connecting,
    /// Connected; the standing says whether it serves us.
    Linked(Arc<Link>, Standing),
    /// Not used any more in this attempt.
    Out(Out),
}

/// Why a source is not used any more.
#[derive(Clone, Debug)]
pub(super) enum Out {
    Offline,
    Unreachable(String),
    Refused(Reason),
    /// It has sent some of the file, and shares it no longer.
    Withdrawn,
    /// By us.
    Banned,
    BadData,
    /// It broke the protocol.
    Misbehaved,
    Silent,
}

/// Where we stand in a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    pub(super) ahead: u32,
    pub(super) eta_ms: Option<u32>,
}

impl Queued {
    /// The shortest of these queues, if all are queues.
    pub(super) fn shortest(standings: impl Iterator<Item = Standing>) -> Option<Self> {
        let mut shortest: Option<Self> = None;
        for standing in standings {
            match standing {
                Standing::Granted => return None,
                Standing::Waiting { ahead, eta_ms } => {
                    if shortest.is_none_or(|shortest| ahead < shortest.ahead) {
                        shortest = Some(Self { ahead, eta_ms });
                    }
                }
                Standing::Refused(_) | Standing::Lost => {}
            }
        }
        shortest
    }

    pub(super) fn in_words(self) -> String {
        let Self { ahead, eta_ms } = self;
        let eta = match eta_ms.map(|ms| ms.div_ceil(1000)) {
            None => String::new(),
            Some(seconds @ ..60) => format!(", about {seconds} s"),
            Some(seconds) => format!(", about {} min", seconds.div_ceil(60)),
        };
        format!("in the queue of its sources, {ahead} ahead{eta}")
    }
}

/// A place in the queue of a source, for as long as this lives.
pub(super) struct Place {
    pub(super) source: FoundSource,
    pub(super) link: Arc<Link>,
}

impl Place {
    pub(super) fn standing(&self) -> Standing {
        *self.link.standing().borrow()
    }

    /// What the source is doing, as told to people.
    pub(super) fn note(&self) -> Option<String> {
        match self.standing() {
            Standing::Waiting { ahead, .. } => Some(in_its_queue(ahead)),
            _ => None,
        }
    }
}

fn in_its_queue(ahead: u32) -> String {
    if ahead == 0 { "in its queue".to_owned() } else { format!("in its queue, {ahead} ahead") }
}

pub(super) struct Sources {
    length: FileLength,
    me: PeerId,
    known: BTreeMap<SourceId, Known>,
    ids: HashMap<PeerId, SourceId>,
}

impl Sources {
    pub(super) fn new(length: FileLength, me: PeerId) -> Self {
        Self { length, me, known: BTreeMap::new(), ids: HashMap::new() }
    }

    /// Adds a source, if it is a new one and there is room.
    pub(super) fn found(&mut self, source: FoundSource, now: Instant) -> Option<SourceId> {
        if let Some(id) = self.ids.get(&source.peer) {
            self.known.get_mut(id)?.found_again(now);
            return Some(*id);
        }
        if self.known.len() >= MAX_KNOWN {
            return None;
        }
        let id = SourceId(self.known.len() as u32);
        self.ids.insert(source.peer, id);
        let known = Known {
            peer: source.peer,
            name: source.name,
            state: SourceState::Idle(now),
            is_complete: source.complete,
            has: source.complete.then(|| LeafSet::full(self.length)),
            look_at: (!source.complete).then_some(now),
            bytes: 0,
            rate: 0,
            failures: 0,
            bytes_at_failure: 0,
            trouble: None,
        };
        self.known.insert(id, known);
        Some(id)
    }

    /// Those that were said to be fetching the file themselves.
    pub(super) fn still_fetching(&self) -> impl Iterator<Item = PeerId> {
        self.known.values().filter(|known| !known.is_complete).map(|known| known.peer)
    }

    pub(super) fn is_known(&self, peer: &PeerId) -> bool {
        self.ids.contains_key(peer)
    }

    pub(super) fn get(&self, id: SourceId) -> Option<&Known> {
        self.known.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: SourceId) -> Option<&mut Known> {
        self.known.get_mut(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SourceId, &Known)> {
        self.known.iter().map(|(id, known)| (*id, known))
    }

    /// Sources to connect to now; they count as connecting from here on. Those that have the whole file come first, and
    /// of these and of the others each downloader takes them in an order of its own: all are told of the same ones.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<(SourceId, PeerId)> {
        let used = self.known.values().filter(|known| known.state.is_in_use()).count();
        let idle = self.known.iter().filter(|(_, known)| matches!(known.state, SourceState::Idle(at) if at <= now));
        let mut due: Vec<_> = idle.map(|(id, known)| (!known.is_complete, self.turn(known.peer), *id)).collect();
        due.sort_unstable();
        due.truncate(MAX_LINKED.saturating_sub(used));
        due.into_iter()
            .filter_map(|(_, _, id)| {
                let known = self.known.get_mut(&id)?;
                known.state = SourceState::Connecting;
                Some((id, known.peer))
            })
            .collect()
    }

    fn turn(&self, peer: PeerId) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.me, peer).hash(&mut hasher);
        hasher.finish()
    }

    /// When the next idle source is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.known
            .values()
            .filter_map(|known| if let SourceState::Idle(at) = known.state { Some(at) } else { None })
            .min()
    }

    pub(super) fn session(&self, id: SourceId) -> Option<Session> {
        match &self.known.get(&id)?.state {
            SourceState::Linked(link, _) => Some(link.session.clone()),
            _ => None,
        }
    }

    /// The source said what it has.
    pub(super) fn has(&mut self, id: SourceId, has: LeafSet, now: Instant) {
        if let Some(known) = self.known.get_mut(&id) {
            known.look_at = (!has.is_full()).then(|| now + LOOK_AGAIN);
            known.has = Some(has);
        }
    }

    /// Sources that serve us and are to be asked what they have.
    pub(super) fn take_looks_due(&mut self, now: Instant) -> Vec<(SourceId, Session)> {
        let due = self.known.iter_mut().filter(|(_, known)| known.next_look().is_some_and(|at| at <= now));
        due.filter_map(|(id, known)| {
            // Until it has answered; if it never does, the next look tells.
            known.look_at = Some(now + 4 * LOOK_AGAIN);
            match &known.state {
                SourceState::Linked(link, _) => Some((*id, link.session.clone())),
                _ => None,
            }
        })
        .collect()
    }

    pub(super) fn next_look(&self) -> Option<Instant> {
        self.known.values().filter_map(Known::next_look).min()
    }

    /// The source failed in a way that may pass: tried again later, a few times; if it has sent something since it last
    /// failed, as many times as at first, and soon. A connection that is lost ends several requests; only the first of
    /// them counts.
    pub(super) fn failed(&mut self, id: SourceId, why: String, now: Instant) {
        if let Some(known) = self.known.get_mut(&id).filter(|known| known.state.is_in_use()) {
            known.rate = 0;
            let pause = if known.bytes > known.bytes_at_failure {
                (known.failures, known.bytes_at_failure) = (0, known.bytes);
                RETURN
            } else {
                known.failures += 1;
                FIRST_RETRY * 2u32.pow(known.failures - 1)
            };
            known.state = if known.failures > MAX_RETRIES {
                SourceState::Out(Out::Unreachable(why))
            } else {
                known.trouble = Some(why);
                SourceState::Idle(now + pause)
            };
        }
    }

    /// The source does not have the file. One that was said to be fetching it may have begun by the next time, or has
    /// just finished and not taken it into its library yet.
    pub(super) fn has_nothing(&mut self, id: SourceId, now: Instant) {
        let Some(known) = self.known.get_mut(&id) else { return };
        if known.is_complete || known.failures >= MAX_RETRIES {
            return self.put_out(id, Out::Refused(Reason::NotShared));
        }
        known.rate = 0;
        known.trouble = Some("has nothing of it yet".to_owned());
        known.state = SourceState::Idle(now + LOOK_AGAIN * 2u32.pow(known.failures));
        known.failures += 1;
    }

    /// The first reason stays: what else comes of a source that is out only follows from it.
    pub(super) fn put_out(&mut self, id: SourceId, out: Out) {
        if let Some(known) = self.known.get_mut(&id).filter(|known| !matches!(known.state, SourceState::Out(_))) {
            known.rate = 0;
            known.state = SourceState::Out(out);
        }
    }

    /// Whether anything can still come of this attempt.
    pub(super) fn any_left(&self) -> bool {
        self.known.values().any(|known| !matches!(known.state, SourceState::Out(_)))
    }

    pub(super) fn any_linked(&self) -> bool {
        self.known.values().any(|known| matches!(known.state, SourceState::Linked(..)))
    }

    /// Whether all who serve us are still fetching the file themselves.
    pub(super) fn only_parts(&self) -> bool {
        let mut serving = self.known.values().filter(|known| known.state.is_in_use()).peekable();
        serving.peek().is_some() && serving.all(|known| known.has.as_ref().is_some_and(|has| !has.is_full()))
    }

    /// The shortest queue we stand in, if we stand in queues only.
    pub(super) fn queued_behind(&self) -> Option<Queued> {
        let standings = self.known.values().filter_map(|known| match &known.state {
            SourceState::Linked(_, standing) => Some(*standing),
            _ => None,
        });
        Queued::shortest(standings)
    }

    /// The places in queues, if nothing else can come of this attempt for now.
    pub(super) fn only_places(&self) -> Option<Vec<Place>> {
        let left = self.known.values().filter(|known| !matches!(known.state, SourceState::Out(_)));
        let places: Option<Vec<Place>> = left.map(Known::place).collect();
        places.filter(|places| !places.is_empty())
    }

    /// Why it did not work, in words: what each source said. Those who turned out not to have it do not count.
    pub(super) fn why_none_is_left(&self) -> (Why, String) {
        let outs = self.known.values().filter_map(|known| match &known.state {
            SourceState::Out(out) => Some((known, out)),
            _ => None,
        });
        let holders: Vec<_> =
            outs.filter(|(_, out)| !matches!(out, Out::Offline | Out::Refused(Reason::NotShared))).collect();
        if holders.is_empty() {
            return (Why::NoSources, "nobody online has it now; starts by itself when somebody does".to_owned());
        }
        let said: Vec<String> =
            holders.iter().map(|(known, _)| format!("{}: {}", known.label(), known.note())).collect();
        let all = |test: fn(&Out) -> bool| holders.iter().all(|(_, out)| test(out));
        let why = if all(|out| matches!(out, Out::BadData)) {
            Why::Integrity
        } else if all(|out| matches!(out, Out::Refused(Reason::Changed) | Out::Withdrawn)) {
            Why::FileChanged
        } else if all(|out| matches!(out, Out::Refused(Reason::Refused))) {
            Why::Refused
        } else {
            Why::PeersUnreachable
        };
        (why, said.join("; "))
    }

    pub(super) fn statuses(&self) -> Vec<SourceStatus> {
        self.known
            .values()
            .map(|known| SourceStatus {
                peer: known.peer,
                name: known.name.clone(),
                bytes: known.bytes,
                bytes_per_second: known.rate,
                path_kind: match &known.state {
                    SourceState::Linked(link, _) => Some(link.session.path_kind().to_owned()),
                    _ => None,
                },
                note: Some(known.note()),
            })
            .collect()
    }
}

impl SourceState {
    const fn is_in_use(&self) -> bool {
        matches!(self, Self::Connecting | Self::Linked(..))
    }
}

impl Known {
    pub(super) fn delivered(&mut self, bytes: u64, now: Instant) {
        self.bytes += bytes;
        if let SourceState::Linked(link, _) = &self.state {
            link.delivered(bytes, now);
        }
    }

    /// It was out of reach, and is listed all the same: it may have come back.
    fn found_again(&mut self, now: Instant) {
        if let SourceState::Out(Out::Offline | Out::Unreachable(_) | Out::Silent) = self.state {
            self.state = SourceState::Idle(now);
            self.failures = MAX_RETRIES;
        }
    }

    /// Only who has a slot there looks: without one it could take nothing.
    fn next_look(&self) -> Option<Instant> {
        self.look_at.filter(|_| matches!(self.state, SourceState::Linked(_, Standing::Granted)))
    }

    fn place(&self) -> Option<Place> {
        let SourceState::Linked(link, Standing::Waiting { .. }) = &self.state else { return None };
        let source = FoundSource { peer: self.peer, name: self.name.clone(), complete: self.is_complete };
        Some(Place { source, link: Arc::clone(link) })
    }

    fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.peer.short())
    }

    fn note(&self) -> String {
        match &self.state {
            SourceState::Idle(_) => match &self.trouble {
                None => "not asked yet".to_owned(),
                Some(why) => format!("{why}; tried again soon"),
            },
            SourceState::Connecting => "connecting".to_owned(),
            SourceState::Linked(_, Standing::Granted) if self.bytes == 0 => "asked; nothing came yet".to_owned(),
            SourceState::Linked(_, Standing::Granted) => "sending".to_owned(),
            SourceState::Linked(_, Standing::Waiting { ahead, .. }) => in_its_queue(*ahead),
            SourceState::Linked(_, Standing::Refused(reason)) => reason.to_string(),
            SourceState::Linked(_, Standing::Lost) => "lost".to_owned(),
            SourceState::Out(Out::Offline) => "offline".to_owned(),
            SourceState::Out(Out::Unreachable(why)) => format!("not reachable ({why})"),
            SourceState::Out(Out::Refused(reason)) => reason.to_string(),
            SourceState::Out(Out::Withdrawn) => "shares the file no longer".to_owned(),
            SourceState::Out(Out::Banned) => "banned here".to_owned(),
            SourceState::Out(Out::BadData) => "sent wrong bytes; not used again for this file".to_owned(),
            SourceState::Out(Out::Misbehaved) => "broke the protocol; not used again for this file".to_owned(),
            SourceState::Out(Out::Silent) => "silent for too long".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use choir_shared::identity::SecretKey;

    use super::*;

    fn source(seed: u8) -> FoundSource {
        FoundSource { peer: SecretKey::from_seed(&[seed; 32]).peer_id(), name: None, complete: true }
    }

    /// Sources that were put out for these reasons.
    fn sources(outs: &[Out]) -> Sources {
        let mut sources = Sources::new(FileLength::new(1).unwrap(), source(0).peer);
        for (seed, out) in (1..).zip(outs) {
            let id = sources.found(source(seed), Instant::now()).unwrap();
            sources.put_out(id, out.clone());
        }
        sources
    }

    #[test]
    fn why_none_is_left_is_what_those_said_who_had_it() {
        let changed = || Out::Refused(Reason::Changed);
        let not_shared = || Out::Refused(Reason::NotShared);
        let table = [
            (vec![], Why::NoSources),
            (vec![Out::Offline, not_shared()], Why::NoSources),
            (vec![Out::BadData, Out::BadData], Why::Integrity),
            (vec![Out::Offline, Out::BadData, not_shared()], Why::Integrity),
            (vec![changed(), Out::Withdrawn, Out::Offline, not_shared()], Why::FileChanged),
            (vec![Out::Refused(Reason::Refused)], Why::Refused),
            (vec![changed(), Out::BadData], Why::PeersUnreachable),
            (vec![Out::Banned], Why::PeersUnreachable),
            (vec![Out::Misbehaved], Why::PeersUnreachable),
        ];
        for (outs, why) in table {
            assert_eq!(sources(&outs).why_none_is_left().0, why, "{outs:?}");
        }
    }

    #[test]
    fn the_first_reason_to_put_a_source_out_stays() {
        let mut sources = sources(&[Out::BadData]);
        sources.put_out(SourceId(0), Out::Refused(Reason::NotShared));
        sources.failed(SourceId(0), "connection lost".to_owned(), Instant::now());
        sources.found(source(1), Instant::now());
        assert_eq!(sources.why_none_is_left().0, Why::Integrity);
    }

    #[test]
    fn a_source_that_sends_something_between_its_failures_is_never_put_out() {
        let mut sources = Sources::new(FileLength::new(1).unwrap(), source(0).peer);
        let mut now = Instant::now();
        let id = sources.found(source(1), now).unwrap();
        for _ in 0..5 * MAX_RETRIES {
            assert_eq!(sources.take_due(now).len(), 1);
            sources.get_mut(id).unwrap().bytes += 1;
            sources.failed(id, "connection lost".to_owned(), now);
            assert_eq!(sources.next_due(), Some(now + RETURN));
            now += RETURN;
        }
        assert!(sources.any_left());
    }

    #[test]
    fn a_source_that_fails_is_tried_again_a_few_times_and_says_why() {
        let mut sources = Sources::new(FileLength::new(1).unwrap(), source(0).peer);
        let mut now = Instant::now();
        let id = sources.found(source(1), now).unwrap();
        for _ in 0..=MAX_RETRIES {
            assert_eq!(sources.take_due(now).len(), 1);
            sources.failed(id, "no answer".to_owned(), now);
            assert_eq!(sources.take_due(now), [], "not at once");
            now = sources.next_due().unwrap_or(now);
        }
        assert!(!sources.any_left());
        assert!(sources.why_none_is_left().1.ends_with("not reachable (no answer)"));
    }
}
