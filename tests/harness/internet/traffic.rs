//! All hosts and everything that is under way between them: pure, on an invented clock.
//!
//! A packet passes, in this order: the translation of its sender's router, the lane towards the internet with the
//! buffer before it, both lines' delays, the lane from the internet with its buffer, the translation of the
//! receiver's router. Each of these can end it, and is counted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;

use super::chance::Chance;
use super::line::{Drop, Lane, Line};
use super::nat::{Nat, NatKind};

/// What an Ethernet frame holds of UDP over IPv4; larger datagrams are dropped, for nothing here fragments.
const LARGEST_DATAGRAM: usize = 1472;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(usize);

/// A datagram that has reached its host.
#[derive(Debug, PartialEq, Eq)]
pub struct Arrived {
    pub host: HostId,
    pub to: SocketAddr,
    pub from: SocketAddr,
    pub bytes: Bytes,
}

/// What became of the packets that a host sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub sent: u64,
    pub arrived: u64,
    /// Bytes of datagrams that arrived.
    pub bytes: u64,
    pub lost: u64,
    /// Found no room in a buffer.
    pub no_room: u64,
    /// Were too large, had no such receiver, or vanished in a [black hole](Traffic::cut).
    pub nowhere: u64,
    /// Were not let in by the receiver's router.
    pub filtered: u64,
}

#[derive(Debug)]
struct Host {
    /// Where its sockets are; for a host behind a router not where others see it.
    inner: IpAddr,
    delay: Duration,
    up: Lane,
    down: Lane,
    nat: Option<Nat>,
    counts: Counts,
}

/// Everything that is under way, and all it can meet.
#[derive(Debug)]
pub struct Traffic {
    hosts: Vec<Host>,
    /// By the addresses that the internet knows.
    addresses: BTreeMap<IpAddr, HostId>,
    holes: BTreeSet<(HostId, HostId)>,
    events: BinaryHeap<Reverse<Event>>,
    number: u64,
    chance: Chance,
}

/// The order of the fields is that of time; the number keeps those of one moment in order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: Duration,
    number: u64,
    receiver: HostId,
    sender: HostId,
    step: Step,
    to: SocketAddr,
    from: SocketAddr,
    bytes: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// It has come to the receiver's line.
    Near,
    /// It has passed that as well.
    There,
}

impl Traffic {
    pub fn new(seed: u64) -> Self {
        Self {
            hosts: Vec::new(),
            addresses: BTreeMap::new(),
            holes: BTreeSet::new(),
            events: BinaryHeap::new(),
            number: 0,
            chance: Chance::new(seed),
        }
    }

    /// A host whose sockets are at `outside`, or behind a router that is there.
    pub fn add_host(&mut self, line: Line, outside: IpAddr, nat: Option<(NatKind, IpAddr, Duration)>) -> HostId {
        let id = HostId(self.hosts.len());
        let (up, down) = line.lanes(&mut self.chance);
        let inner = nat.map_or(outside, |(_, inner, _)| inner);
        let nat = nat.map(|(kind, _, lifetime)| Nat::new(kind, outside, lifetime));
        self.hosts.push(Host { inner, delay: line.delay, up, down, nat, counts: Counts::default() });
        self.addresses.insert(outside, id);
        id
    }

    pub fn host_count(&self) -> usize {
        self.hosts.len()
    }

    pub fn inner_address(&self, host: HostId) -> IpAddr {
        self.hosts[host.0].inner
    }

    pub fn counts(&self, host: HostId) -> Counts {
        self.hosts[host.0].counts
    }

    /// How long what the host sends `now` waits before its line.
    pub fn backlog(&self, host: HostId, now: Duration) -> Duration {
        self.hosts[host.0].up.backlog(now)
    }

    /// From now on nothing that one of the two sends reaches the other, and nobody is told.
    pub fn cut(&mut self, one: HostId, other: HostId) {
        self.holes.insert((one.min(other), one.max(other)));
    }

    /// The host's router forgets its mappings.
    pub fn rebind(&mut self, host: HostId) {
        if let Some(nat) = &mut self.hosts[host.0].nat {
            nat.rebind();
        }
    }

    /// A socket of `host` sends a datagram.
    pub fn send(&mut self, sender: HostId, from: SocketAddr, to: SocketAddr, bytes: Bytes, now: Duration) {
        let receiver = self.addresses.get(&to.ip()).copied();
        let host = &mut self.hosts[sender.0];
        host.counts.sent += 1;
        let from = host.nat.as_mut().map_or(from, |nat| nat.outbound(from, to, now));
        let passed = host.up.pass(bytes.len(), now);
        let delay = host.delay;
        let cut = receiver.is_none_or(|receiver| self.holes.contains(&(sender.min(receiver), sender.max(receiver))));
        let (Some(receiver), false, true) = (receiver, cut, bytes.len() <= LARGEST_DATAGRAM) else {
            self.hosts[sender.0].counts.nowhere += 1;
            return;
        };
        match passed {
            Ok(passed) => {
                let at = passed + delay + self.hosts[receiver.0].delay;
                let number = self.number;
                self.number += 1;
                self.events.push(Reverse(Event { at, number, receiver, sender, step: Step::Near, to, from, bytes }));
            }
            Err(why) => self.dropped(sender, why),
        }
    }

    /// When something happens next.
    pub fn next_event(&self) -> Option<Duration> {
        self.events.peek().map(|Reverse(event)| event.at)
    }

    /// Lets happen what happens until `now`, and returns what arrived, in order.
    pub fn advance(&mut self, now: Duration) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        while self.next_event().is_some_and(|at| at <= now) {
            let Some(Reverse(mut event)) = self.events.pop() else { break };
            let host = &mut self.hosts[event.receiver.0];
            match event.step {
                Step::Near => match host.down.pass(event.bytes.len(), event.at) {
                    Ok(there) => {
                        (event.at, event.step) = (there, Step::There);
                        self.events.push(Reverse(event));
                    }
                    Err(why) => self.dropped(event.sender, why),
                },
                Step::There => {
                    let to = match &mut host.nat {
                        Some(nat) => nat.inbound(event.to.port(), event.from, event.at),
                        None => Some(event.to),
                    };
                    let counts = &mut self.hosts[event.sender.0].counts;
                    match to {
                        Some(to) => {
                            counts.arrived += 1;
                            counts.bytes += event.bytes.len() as u64;
                            arrived.push(Arrived { host: event.receiver, to, from: event.from, bytes: event.bytes });
                        }
                        None => counts.filtered += 1,
                    }
                }
            }
        }
        arrived
    }

    fn dropped(&mut self, sender: HostId, why: Drop) {
        let counts = &mut self.hosts[sender.0].counts;
        match why {
            Drop::NoRoom => counts.no_room += 1,
            Drop::Lost => counts.lost += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: SocketAddr = address(1);
    const OTHER: SocketAddr = address(2);

    const fn address(host: u8) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(5, 0, host, 1)), 6699)
    }

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Two hosts on lines of 8 Mbit/s, a byte per microsecond.
    fn pair(change: impl Fn(&mut Line)) -> (Traffic, HostId, HostId) {
        let mut line = Line::of_mbit(8, ms(10));
        change(&mut line);
        let mut traffic = Traffic::new(1);
        let one = traffic.add_host(line, ONE.ip(), None);
        let other = traffic.add_host(Line { loss: 0.0, jitter: Duration::ZERO, ..line }, OTHER.ip(), None);
        (traffic, one, other)
    }

    fn datagram(bytes: usize) -> Bytes {
        Bytes::from(vec![0; bytes])
    }

    /// When each datagram arrives that is sent at once, by its first byte.
    fn arrivals(traffic: &mut Traffic) -> Vec<(u8, Duration)> {
        let mut arrivals = Vec::new();
        while let Some(at) = traffic.next_event() {
            arrivals.extend(traffic.advance(at).into_iter().map(|arrived| (arrived.bytes[0], at)));
        }
        arrivals
    }

    #[test]
    fn a_packet_takes_the_delays_of_both_lines_and_its_time_on_each() {
        let (mut traffic, one, _) = pair(|_| {});
        traffic.send(one, ONE, OTHER, datagram(1000), ms(5));
        // 5 + 1 on the one line, 20 under way, 1 on the other line.
        assert_eq!(arrivals(&mut traffic), [(0, ms(27))]);
    }

    #[test]
    fn packets_come_at_the_pace_of_the_slower_line() {
        let (mut traffic, one, _) = pair(|line| line.down /= 2);
        for number in 0..10 {
            traffic.send(one, ONE, OTHER, Bytes::from(vec![number; 1000]), Duration::ZERO);
        }
        let expected: Vec<_> = (0..10).map(|number| (number, ms(21 + 2 * (u64::from(number) + 1)))).collect();
        assert_eq!(arrivals(&mut traffic), expected);
    }

    #[test]
    fn what_finds_no_room_in_the_buffer_is_dropped_and_counted() {
        let (mut traffic, one, _) = pair(|line| line.buffer = ms(5));
        for _ in 0..20 {
            traffic.send(one, ONE, OTHER, datagram(1000), Duration::ZERO);
        }
        // One on the line, five before it.
        assert_eq!(arrivals(&mut traffic).len(), 6);
        let expected = Counts { sent: 20, arrived: 6, bytes: 6000, no_room: 14, ..Counts::default() };
        assert_eq!(traffic.counts(one), expected);
    }

    #[test]
    fn as_many_are_lost_as_the_line_says_and_jitter_lets_packets_overtake() {
        let (mut traffic, one, _) = pair(|line| (line.loss, line.jitter, line.buffer) = (0.1, ms(5), ms(60_000)));
        for number in 0..10_000u32 {
            traffic.send(one, ONE, OTHER, Bytes::from(vec![(number % 251) as u8; 100]), Duration::ZERO);
        }
        let arrivals = arrivals(&mut traffic);
        let lost = traffic.counts(one).lost;
        assert!((900..1100).contains(&lost), "{lost} of 10000");
        assert_eq!(arrivals.len() as u64 + lost, 10_000);
        let overtaken = arrivals.windows(2).filter(|pair| pair[1].0.wrapping_sub(pair[0].0) > 128).count();
        assert!(overtaken > 100, "{overtaken}");
    }

    #[test]
    fn the_same_seed_makes_the_same_day() {
        let day = |seed| {
            let line = Line { loss: 0.2, jitter: ms(3), ..Line::of_mbit(8, ms(10)) };
            let mut traffic = Traffic::new(seed);
            let one = traffic.add_host(line, ONE.ip(), None);
            traffic.add_host(line, OTHER.ip(), None);
            (0..100).for_each(|number| traffic.send(one, ONE, OTHER, Bytes::from(vec![number; 50]), Duration::ZERO));
            arrivals(&mut traffic)
        };
        assert_eq!(day(7), day(7));
        assert_ne!(day(7), day(8));
    }

    #[test]
    fn a_black_hole_swallows_both_ways_and_leaves_others_alone() {
        let (mut traffic, one, other) = pair(|_| {});
        let third = traffic.add_host(Line::of_mbit(8, ms(10)), address(3).ip(), None);
        traffic.cut(other, one);
        traffic.send(one, ONE, OTHER, datagram(10), Duration::ZERO);
        traffic.send(other, OTHER, ONE, datagram(10), Duration::ZERO);
        traffic.send(third, address(3), OTHER, datagram(10), Duration::ZERO);
        assert_eq!(arrivals(&mut traffic).len(), 1);
        assert_eq!((traffic.counts(one).nowhere, traffic.counts(other).nowhere), (1, 1));
    }

    #[test]
    fn too_large_datagrams_and_those_for_nobody_are_dropped() {
        let (mut traffic, one, _) = pair(|_| {});
        traffic.send(one, ONE, OTHER, datagram(LARGEST_DATAGRAM), Duration::ZERO);
        traffic.send(one, ONE, OTHER, datagram(LARGEST_DATAGRAM + 1), Duration::ZERO);
        traffic.send(one, ONE, address(9), datagram(10), Duration::ZERO);
        assert_eq!(arrivals(&mut traffic).len(), 1);
        assert_eq!(traffic.counts(one).nowhere, 2);
    }

    #[test]
    fn a_router_shows_its_own_address_and_lets_in_answers_only() {
        let inner: SocketAddr = "192.168.1.2:6699".parse().unwrap();
        let mut traffic = Traffic::new(1);
        let line = Line::of_mbit(8, ms(10));
        let nat = (NatKind::PortRestrictedCone, inner.ip(), ms(30_000));
        let home = traffic.add_host(line, ONE.ip(), Some(nat));
        let server = traffic.add_host(line, OTHER.ip(), None);
        traffic.send(home, inner, OTHER, datagram(10), Duration::ZERO);
        let seen = traffic.advance(ms(100)).remove(0);
        assert_eq!((seen.host, seen.from.ip()), (server, ONE.ip()));
        traffic.send(server, OTHER, seen.from, datagram(10), ms(100));
        traffic.send(server, address(2), SocketAddr::new(ONE.ip(), inner.port()), datagram(10), ms(100));
        let answers = traffic.advance(ms(200));
        assert_eq!(answers.iter().map(|answer| answer.to).collect::<Vec<_>>(), [inner]);
        assert_eq!(traffic.counts(server).filtered, 1);

        traffic.rebind(home);
        traffic.send(server, OTHER, seen.from, datagram(10), ms(200));
        assert_eq!(traffic.advance(ms(300)), []);
        traffic.send(home, inner, OTHER, datagram(10), ms(300));
        assert_ne!(traffic.advance(ms(400)).remove(0).from, seen.from);
    }
}
