use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use choir_shared::identity::SecretKey;
use proptest::prelude::*;

use super::*;

fn peer(number: usize) -> PeerId {
    static PEERS: LazyLock<Vec<PeerId>> =
        LazyLock::new(|| (0..=255).map(|seed| SecretKey::from_seed(&[seed; 32]).peer_id()).collect());
    PEERS[number]
}

fn network(number: u8) -> NetworkPrefix {
    NetworkPrefix::of(IpAddr::V4(Ipv4Addr::new(10, 0, number, 1)))
}

/// A queue with an invented clock, and what everyone was told last.
struct World {
    queue: Queue,
    start: Instant,
    now: Instant,
    /// Of every living place.
    told: HashMap<PlaceId, Told>,
    granted: Vec<PeerId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Ahead(u32),
    Granted,
}

impl World {
    fn with_slots(slots: usize) -> Self {
        let start = Instant::now();
        let limits = Limits { slots, places: 500, rate: None };
        Self { queue: Queue::new(limits, start), start, now: start, told: HashMap::new(), granted: Vec::new() }
    }

    fn enter(&mut self, who: usize, from: u8) -> PlaceId {
        let (place, effects) = self.queue.enter(peer(who), network(from), 1_000_000, self.now).unwrap();
        self.told.insert(place, Told::Nothing);
        self.apply(effects);
        place
    }

    fn enter_all(&mut self, who: impl IntoIterator<Item = usize>, from: impl Fn(usize) -> u8) {
        for who in who {
            self.enter(who, from(who));
        }
    }

    fn leave(&mut self, place: PlaceId) {
        let effects = self.queue.leave(place, Leaving::ByChoice, self.now);
        self.told.remove(&place);
        self.apply(effects);
    }

    fn pass(&mut self, span: Duration) -> Vec<Effect> {
        self.now += span;
        let effects = self.queue.tick(self.now);
        self.apply(effects.clone());
        effects
    }

    fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Place { place, ahead, .. } => *self.told.get_mut(&place).unwrap() = Told::Ahead(ahead),
                Effect::Granted { place, peer } => {
                    *self.told.get_mut(&place).unwrap() = Told::Granted;
                    self.granted.push(peer);
                }
                Effect::SlotEnded { place, why: SlotEnd::Idle, .. } | Effect::Superseded { place } => {
                    self.told.remove(&place).unwrap();
                }
                Effect::SlotEnded { .. } => {}
            }
        }
    }

    /// Who has a slot is served and leaves, until nobody is left; returns the order.
    fn serve_all(&mut self) -> Vec<PeerId> {
        while let Some(place) = self.queue.slots.first().map(|slot| slot.place) {
            self.now += Duration::from_secs(1);
            self.leave(place);
        }
        std::mem::take(&mut self.granted)
    }

    fn line(&self) -> Vec<PeerId> {
        self.queue.line.iter().map(|waiting| waiting.peer).collect()
    }

    /// What must hold at any moment.
    fn check(&self) {
        assert!(self.queue.slots.len() <= self.queue.limits.slots);
        assert!(self.queue.slots.len() == self.queue.limits.slots || self.queue.line.len() == 0, "a slot is wasted");
        let peers: Vec<_> = self.queue.standings().map(|(peer, _)| peer).collect();
        assert_eq!(peers.iter().collect::<HashSet<_>>().len(), peers.len(), "a peer has one place");
        let told: HashMap<_, _> = self
            .queue
            .slots
            .iter()
            .map(|slot| (slot.place, Told::Granted))
            .chain((0..).zip(self.queue.line.iter()).map(|(ahead, waiting)| (waiting.place, Told::Ahead(ahead))))
            .collect();
        assert_eq!(self.told, told, "everyone was told where it stands");
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_free_slot_is_granted_at_once_and_the_rest_wait_in_order() {
    let mut world = World::with_slots(2);
    for who in 0..5 {
        world.enter(who, who as u8);
        world.now += SECOND;
    }
    world.check();
    assert_eq!(world.line(), [peer(2), peer(3), peer(4)]);
    assert_eq!(world.serve_all(), (0..5).map(peer).collect::<Vec<_>>());
}

#[test]
fn a_network_with_fifty_keys_gets_no_more_than_its_turn() {
    let mut world = World::with_slots(1);
    world.enter_all(0..50, |_| 1);
    world.enter_all(50..53, |who| who as u8);
    let order = world.serve_all();
    // Each of the three homes comes up in the round after the one in which it arrived.
    assert_eq!(order[..5], [peer(0), peer(1), peer(50), peer(51), peer(52)]);
    assert_eq!(order[5..], (2..50).map(peer).collect::<Vec<_>>());
}

#[test]
fn keys_of_one_network_that_come_and_go_gain_no_turns() {
    let mut world = World::with_slots(1);
    world.enter(200, 9);
    // Each of fifty keys has been first of its network, and left with that age.
    for who in 0..50 {
        let place = world.enter(who, 1);
        world.leave(place);
    }
    world.enter_all(100..110, |who| who as u8);
    // Now each returns as soon as the one before it was served.
    let mut order = Vec::new();
    for who in 0..50 {
        world.enter(who, 1);
        let place = world.queue.slots[0].place;
        world.leave(place);
        order.append(&mut world.granted);
    }
    let homes = order.iter().position(|served| *served == peer(109)).unwrap();
    let theirs = order[..homes].iter().filter(|served| (0..50).any(|who| **served == peer(who))).count();
    assert!(theirs <= 2, "{theirs} of the network were served before the homes were");
}

#[test]
fn a_reconnect_while_waiting_costs_nothing_for_a_quarter_of_an_hour() {
    let mut world = World::with_slots(1);
    let places: Vec<_> = (0..4).map(|who| world.enter(who, who as u8)).collect();
    world.leave(places[1]);
    world.check();
    assert_eq!(world.line(), [peer(2), peer(3)]);
    world.queue.range_began(peer(0));
    world.pass(AGE_KEPT - SECOND);
    world.enter(1, 1);
    world.check();
    assert_eq!(world.line(), [peer(1), peer(2), peer(3)]);
}

#[test]
fn an_age_is_forgotten_in_the_end() {
    let mut world = World::with_slots(1);
    let places: Vec<_> = (0..3).map(|who| world.enter(who, who as u8)).collect();
    world.leave(places[1]);
    world.now += AGE_KEPT;
    world.enter(1, 1);
    assert_eq!(world.line(), [peer(2), peer(1)]);
    let places: Vec<_> = world.told.keys().copied().collect();
    places.into_iter().for_each(|place| world.leave(place));
    world.pass(AGE_KEPT);
    assert_eq!(world.queue.line.memories(), 0);
}

#[test]
fn a_second_place_of_the_same_key_replaces_the_first_and_keeps_what_it_had() {
    let mut world = World::with_slots(1);
    let first = world.enter(0, 0);
    world.queue.range_began(peer(0));
    world.enter(1, 1);
    world.enter(2, 2);
    world.enter(1, 1);
    world.check();
    assert_eq!(world.line(), [peer(1), peer(2)]);
    let second = world.enter(0, 0);
    world.check();
    assert!(world.queue.leave(first, Leaving::ConnectionLost, world.now).is_empty(), "the old one is nobody's");
    assert!(world.queue.holds_slot(peer(0)) && world.told[&second] == Told::Granted);
}

#[test]
fn an_unused_slot_ends_and_a_used_one_does_not() {
    let mut world = World::with_slots(2);
    world.enter(0, 0);
    world.enter(1, 1);
    world.queue.range_began(peer(0));
    world.enter(2, 2);
    assert!(world.pass(SLOT_IDLE - SECOND).is_empty());
    assert!(
        matches!(world.pass(SECOND)[0], Effect::SlotEnded { why: SlotEnd::Idle, peer: ended, .. } if ended == peer(1))
    );
    world.check();
    assert!(world.queue.holds_slot(peer(0)) && world.queue.holds_slot(peer(2)));
    world.queue.range_ended(peer(0), world.now);
    world.pass(SLOT_IDLE);
    assert!(world.queue.is_empty());
}

#[test]
fn a_reader_that_takes_almost_nothing_goes_back_only_while_others_wait() {
    let mut world = World::with_slots(2);
    world.enter(0, 0);
    world.enter(1, 1);
    world.queue.range_began(peer(0));
    world.queue.range_began(peer(1));
    let run = |world: &mut World, seconds: u32| {
        (0..seconds).for_each(|_| {
            world.pass(SECOND);
            world.queue.sent(peer(0), LEAST_RATE - 100, world.now);
            world.queue.sent(peer(1), LEAST_RATE + 100, world.now);
        });
    };
    run(&mut world, 120);
    assert!(world.queue.holds_slot(peer(0)), "nobody waits");
    world.enter(2, 2);
    run(&mut world, 29);
    assert!(world.queue.holds_slot(peer(0)), "not yet");
    run(&mut world, 5);
    world.check();
    assert_eq!(world.line(), [peer(0)]);
    assert!(world.queue.holds_slot(peer(1)) && world.queue.holds_slot(peer(2)));
}

#[test]
fn under_a_low_limit_nobody_is_slow_for_keeping_to_it() {
    let mut world = World::with_slots(2);
    world.queue.set_rate_limit(Some(1000));
    world.enter_all(0..3, |who| who as u8);
    (0..2).for_each(|who| world.queue.range_began(peer(who)));
    for _ in 0..100 {
        world.pass(SECOND);
        (0..2).for_each(|who| world.queue.sent(peer(who), 500, world.now));
    }
    assert_eq!(world.line(), [peer(2)]);
}

#[test]
fn a_turn_ends_only_for_somebody_else() {
    let mut world = World::with_slots(2);
    world.enter(0, 0);
    world.now += SECOND;
    world.enter(1, 1);
    let busy = |world: &mut World, seconds: u64| {
        for _ in 0..seconds {
            for who in 0..3 {
                world.queue.range_began(peer(who));
                world.queue.sent(peer(who), 100_000, world.now);
                world.queue.range_ended(peer(who), world.now);
            }
            world.pass(SECOND);
        }
    };
    busy(&mut world, 2 * TURN.as_secs());
    assert_eq!(world.granted.len(), 2);
    world.enter(2, 2);
    busy(&mut world, 1);
    world.check();
    assert_eq!(world.line(), [peer(0)], "one waited, so one goes");
    assert_eq!(world.told.values().filter(|told| **told == Told::Granted).count(), 2);
}

#[test]
fn the_estimate_comes_from_the_rate_and_what_was_announced() {
    let mut world = World::with_slots(1);
    world.enter(0, 0);
    world.queue.range_began(peer(0));
    for _ in 0..10 {
        world.now += SECOND / 10;
        world.queue.sent(peer(0), 10_000, world.now);
    }
    let mut place = |who: usize| {
        let (place, effects) = world.queue.enter(peer(who), network(who as u8), u64::MAX, world.now).unwrap();
        let told = effects.iter().find_map(|effect| match effect {
            Effect::Place { place: told, eta, .. } if *told == place => *eta,
            _ => None,
        });
        told.unwrap().as_secs()
    };
    // 900,000 bytes are left of a million, and 100,000 go in a second.
    assert!((7..=10).contains(&place(1)));
    // The first in line claims to want everything in the world, but will have only its turn.
    let behind = place(2);
    assert!((TURN.as_secs() + 7..=TURN.as_secs() + 10).contains(&behind), "{behind}");
}

#[test]
fn a_full_queue_says_so() {
    let mut world = World::with_slots(1);
    world.queue.limits.places = 2;
    world.enter_all(0..3, |who| who as u8);
    assert_eq!(world.queue.enter(peer(3), network(3), 0, world.now).err(), Some(QueueFull));
    world.enter(1, 1);
    world.check();
}

#[test]
fn a_network_with_twenty_keys_leaves_slots_to_others() {
    let mut world = World::with_slots(8);
    world.enter_all(0..20, |_| 1);
    world.enter_all([20, 21, 22], |_| 2);
    world.enter(23, 3);
    let held = |world: &World, from| world.queue.slots.iter().filter(|slot| slot.network == network(from)).count();
    assert_eq!(held(&world, 1), 8);
    world.pass(SECOND);
    world.check();
    assert_eq!([1, 2, 3].map(|from| held(&world, from)), [4, 3, 1], "as even as they ask");
    assert_eq!(world.pass(SECOND), [], "and it stays so");
    // Those who had a slot longest keep it.
    assert_eq!(world.queue.slots[..4].iter().map(|slot| slot.peer).collect::<Vec<_>>(), [0, 1, 2, 3].map(peer));
}

#[test]
fn a_slot_that_a_network_gives_back_goes_where_it_stays() {
    let mut world = World::with_slots(4);
    world.enter(0, 1);
    world.enter_all(1..4, |_| 3);
    world.enter(4, 1);
    world.enter(5, 2);
    world.pass(SECOND);
    world.check();
    assert_eq!(world.granted, [0, 1, 2, 3, 5].map(peer), "the other has a slot in its network");
    assert_eq!(world.line(), [4, 3].map(peer));
}

#[test]
fn who_waited_in_another_run_keeps_its_age() {
    let mut world = World::with_slots(2);
    for who in 0..6 {
        world.enter(who, who as u8);
        world.now += SECOND;
    }
    world.queue.line.keep(peer(9), network(9), world.queue.slots[0].age, world.now - 2 * AGE_KEPT);
    let ages = world.queue.ages(world.now);
    assert_eq!(ages.iter().map(|age| age.peer).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5].map(peer), "no forgotten one");

    let mut again = World::with_slots(2);
    again.queue.restore(&ages, again.now);
    // A newcomer is first, then they come in any order; one of the two who had slots does not.
    again.enter_all([7, 4, 3, 1, 5, 2], |who| who as u8);
    assert_eq!(again.granted, [peer(1)], "the other slot is kept for the one who is away");
    assert_eq!(again.line(), [2, 3, 4, 5, 7].map(peer));
    again.queue.range_began(peer(1));
    again.pass(RETURN_WITHIN);
    again.check();
    assert_eq!(again.granted, [1, 2].map(peer));
    assert_eq!(again.queue.ages(again.now)[0].waited, Duration::from_secs(5) + RETURN_WITHIN);
}

/// What may happen to a queue.
#[derive(Clone, Debug)]
enum Event {
    Enter { who: usize, from: u8 },
    Leave { which: prop::sample::Index, lost: bool },
    Send { who: usize, bytes: u64 },
    Pass { seconds: u64 },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0..30usize, 0..6u8).prop_map(|(who, from)| Event::Enter { who, from }),
        2 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(which, lost)| Event::Leave { which, lost }),
        2 => (0..30usize, 0..100_000u64).prop_map(|(who, bytes)| Event::Send { who, bytes }),
        2 => (0..400u64).prop_map(|seconds| Event::Pass { seconds }),
    ];
    prop::collection::vec(event, 1..120)
}

proptest! {
    #[test]
    fn never_more_slots_than_allowed_and_everyone_knows_its_place(slots in 1..5usize, events in events()) {
        let mut world = World::with_slots(slots);
        for event in events {
            let before: HashMap<PeerId, usize> =
                world.queue.line.iter().enumerate().map(|(ahead, waiting)| (waiting.peer, ahead)).collect();
            let mut newcomer = None;
            match event {
                Event::Enter { who, from } => {
                    newcomer = Some(peer(who));
                    world.enter(who, from);
                }
                Event::Leave { which, lost } => {
                    let mut places: Vec<_> = world.told.keys().copied().collect();
                    places.sort();
                    if !places.is_empty() {
                        let place = places[which.index(places.len())];
                        let how = if lost { Leaving::ConnectionLost } else { Leaving::ByChoice };
                        let effects = world.queue.leave(place, how, world.now);
                        world.told.remove(&place);
                        world.apply(effects);
                    }
                }
                Event::Send { who, bytes } => {
                    world.queue.range_began(peer(who));
                    world.queue.sent(peer(who), bytes, world.now);
                    world.queue.range_ended(peer(who), world.now);
                }
                Event::Pass { seconds } => drop(world.pass(Duration::from_secs(seconds))),
            }
            world.check();
            // Places only move forward, unless somebody returned, or another network has its turn first.
            let line: Vec<_> = world.queue.line.iter().copied().collect();
            for (ahead, waiting) in line.iter().enumerate() {
                let Some(was_ahead) = before.get(&waiting.peer) else { continue };
                if ahead > *was_ahead && newcomer != Some(waiting.peer) {
                    let before_it = &line[..ahead];
                    let first_of_its_network = !before_it.iter().any(|other| other.network == waiting.network);
                    let somebody_returned = before_it.iter().any(|other| {
                        let came = newcomer == Some(other.peer) || !before.contains_key(&other.peer);
                        came && other.has_returned()
                    });
                    prop_assert!(somebody_returned || !first_of_its_network, "{waiting:?} fell back in {line:?}");
                }
            }
        }
        prop_assert!(world.queue.line.memories() <= 30 + 6);
        world.serve_all();
        prop_assert!(world.queue.is_empty(), "everyone is served");
        prop_assert!(world.now >= world.start);
    }

    #[test]
    fn of_strangers_from_different_homes_nobody_is_ever_overtaken(slots in 1..4usize, leaves in prop::collection::vec(any::<prop::sample::Index>(), 60)) {
        let mut world = World::with_slots(slots);
        let mut last: HashMap<PlaceId, u32> = HashMap::new();
        let mut places = VecDeque::new();
        for (who, leave) in leaves.iter().enumerate() {
            places.push_back(world.enter(who, who as u8));
            world.now += SECOND;
            if leave.index(3) == 0 {
                let gone = places.remove(leave.index(places.len())).unwrap();
                world.leave(gone);
            }
            for (place, told) in &world.told {
                if let Told::Ahead(ahead) = told {
                    prop_assert!(last.insert(*place, *ahead).is_none_or(|before| before >= *ahead));
                }
            }
        }
    }

    #[test]
    fn newcomers_without_end_keep_nobody_from_being_served(keys in 1..10usize) {
        let mut world = World::with_slots(1);
        world.enter_all(0..=keys, |_| 0);
        let mut grants = 0;
        while world.queue.line.place_of(peer(keys)).is_some() {
            // For each that is served one from a network never seen before arrives.
            grants += 1;
            world.enter(20 + grants, 20 + grants as u8);
            let place = world.queue.slots[0].place;
            world.leave(place);
            prop_assert!(grants <= keys * (keys + 3));
        }
    }
}
