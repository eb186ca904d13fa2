//! An internet in memory, on tokio's paused clock.
//!
//! - [`mod@line`]: what connects a host: bandwidth, delay, loss, reordering, a bounded buffer.
//! - [`nat`]: routers that translate addresses, the four kinds.
//! - [`traffic`]: all packets under way; pure.
//! - [`socket`]: quinn's socket over it.
//! - [`chance`]: the numbers behind loss and reordering.
//!
//! Time: tokio's paused clock jumps from timer to timer, and its timers know whole milliseconds. Every packet has
//! its exact time, which the next packet waits for, and is handed over at the nearest millisecond: half a
//! millisecond early at most, and as late, but never a byte more in a second than the lines carry.
//!
//! What can be repeated: each lane draws from numbers of its own, which follow from the seed, so the n-th packet on
//! a lane meets the same fate in every run with that seed. Not the same is what draws from the system: keys and
//! connection ids, the order in which blocking work is done that ends at one moment, and so, in the end, what the
//! n-th packet holds.

pub mod chance;
pub mod line;
pub mod nat;
pub mod socket;
pub mod traffic;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

pub use line::Line;
pub use nat::NatKind;
use socket::{Inbox, Socket};
pub use traffic::Counts;
use traffic::{HostId, Traffic};

/// Another day is tried with another seed, from this variable.
const SEED_VARIABLE: &str = "CHOIR_SEED";

/// How long routers keep a mapping: the least that RFC 4787 (REQ-5) allows without a reason.
const MAPPING_LIFETIME: Duration = Duration::from_secs(120);

/// Half of the least time that tokio's timers know.
const HALF: Duration = Duration::from_micros(500);

/// Where a host sits behind its router.
const HOME_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 2));

/// Hosts, what connects them, and what is under way. It lives as long as this value.
pub struct Internet {
    shared: Arc<Shared>,
    seed: u64,
    _carrier: AbortOnDropHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    epoch: Instant,
    /// Something will happen before that which the carrier waits for.
    sooner: Notify,
}

struct State {
    traffic: Traffic,
    inboxes: HashMap<(HostId, SocketAddr), Inbox>,
}

/// One machine with its line.
#[derive(Clone)]
pub struct Host {
    shared: Arc<Shared>,
    id: HostId,
    outside: IpAddr,
}

impl Internet {
    /// Must be called within a tokio runtime of one thread whose clock is paused.
    ///
    /// # Panics
    /// If the seed in the environment is no number.
    pub fn begin() -> Self {
        let seed = std::env::var(SEED_VARIABLE).map_or(1, |seed| seed.parse().expect("the seed is a number"));
        let state = State { traffic: Traffic::new(seed), inboxes: HashMap::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state), epoch: Instant::now(), sooner: Notify::new() });
        let carrier = tokio::spawn(carry(Arc::clone(&shared)));
        Self { shared, seed, _carrier: AbortOnDropHandle::new(carrier) }
    }

    /// A host with an address of its own, in a network of its own.
    pub fn host(&self, line: Line) -> Host {
        self.add(line, None)
    }

    /// A host in the same network as another.
    pub fn neighbour(&self, of: &Host, line: Line) -> Host {
        let mut state = self.shared.state();
        let number = state.traffic.host_count() as u8;
        let outside = match of.outside {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                Ipv4Addr::new(a, b, c, d.wrapping_add(number)).into()
            }
            other => other,
        };
        let id = state.traffic.add_host(line, outside, None);
        Host { shared: Arc::clone(&self.shared), id, outside }
    }

    /// A host behind a router of its own.
    pub fn home(&self, line: Line, kind: NatKind) -> Host {
        self.add(line, Some((kind, HOME_ADDRESS, MAPPING_LIFETIME)))
    }

    /// From now on nothing passes between the two, and neither is told.
    pub fn cut(&self, one: &Host, other: &Host) {
        self.shared.state().traffic.cut(one.id, other.id);
    }

    fn add(&self, line: Line, nat: Option<(NatKind, IpAddr, Duration)>) -> Host {
        let mut state = self.shared.state();
        let outside = next_address(&state.traffic);
        let id = state.traffic.add_host(line, outside, nat);
        Host { shared: Arc::clone(&self.shared), id, outside }
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was the day of {SEED_VARIABLE}={}", self.seed);
        }
    }
}

impl Host {
    /// Where the internet sees it.
    pub fn address(&self) -> IpAddr {
        self.outside
    }

    pub fn bind(&self, port: u16) -> Arc<Socket> {
        let address = SocketAddr::new(self.shared.state().traffic.inner_address(self.id), port);
        Arc::new(Socket { shared: Arc::clone(&self.shared), host: self.id, address })
    }

    /// Its router forgets all mappings.
    pub fn rebind(&self) {
        self.shared.state().traffic.rebind(self.id);
    }

    /// How long a packet that it sends now waits before its line.
    pub fn backlog(&self) -> Duration {
        self.shared.state().traffic.backlog(self.id, self.shared.epoch.elapsed())
    }

    /// What became of the packets that it sent.
    pub fn counts(&self) -> Counts {
        self.shared.state().traffic.counts(self.id)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, host: HostId, from: SocketAddr, to: SocketAddr, datagrams: impl Iterator<Item = Bytes>) {
        let now = self.epoch.elapsed();
        let mut state = self.state();
        let before = state.traffic.next_event();
        for bytes in datagrams {
            state.traffic.send(host, from, to, bytes, now);
        }
        if state.traffic.next_event() != before {
            self.sooner.notify_one();
        }
    }

    /// Hands over what has arrived by now.
    fn deliver(&self) {
        // Up to the last moment whose nearest millisecond is this one.
        let now = self.epoch.elapsed() + HALF - Duration::from_nanos(1);
        let mut state = self.state();
        let mut readers = Vec::new();
        for arrived in state.traffic.advance(now) {
            let inbox = state.inboxes.entry((arrived.host, arrived.to)).or_default();
            readers.extend(inbox.put(arrived.from, arrived.bytes));
        }
        drop(state);
        readers.into_iter().for_each(std::task::Waker::wake);
    }
}

/// The one task of the internet: sleeps until something happens, and lets it happen.
async fn carry(shared: Arc<Shared>) {
    loop {
        let next = shared.state().traffic.next_event();
        let sleep = async {
            match next {
                Some(at) => tokio::time::sleep_until(shared.epoch + nearest_millisecond(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.sooner.notified() => {}
            () = sleep => shared.deliver(),
        }
    }
}

fn nearest_millisecond(time: Duration) -> Duration {
    Duration::from_millis((time + HALF).as_millis() as u64)
}

/// Public addresses, each in a network of its own, for limits count networks.
fn next_address(traffic: &Traffic) -> IpAddr {
    let number = traffic.host_count() as u16 + 1;
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(5, high, low, 1).into()
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::IoSliceMut;

    use quinn::AsyncUdpSocket as _;
    use quinn::udp::{RecvMeta, Transmit};

    use super::*;

    const PORT: u16 = 6699;

    /// The lengths of what is read at once.
    async fn receive(socket: &Socket) -> Vec<usize> {
        let mut memory = vec![[0; 2000]; 32];
        let mut meta = [RecvMeta::default(); 32];
        let mut buffers: Vec<_> = memory.iter_mut().map(|memory| IoSliceMut::new(memory)).collect();
        let count = poll_fn(|context| socket.poll_recv(context, &mut buffers, &mut meta)).await.unwrap();
        meta[..count].iter().map(|meta| meta.len).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_cut_into_datagrams_that_come_at_the_pace_of_the_line() {
        let internet = Internet::begin();
        let line = Line::of_mbit(8, Duration::from_millis(10));
        let (sender, receiver) = (internet.host(line), internet.host(line));
        let (sending, receiving) = (sender.bind(PORT), receiver.bind(PORT));
        let destination = SocketAddr::new(receiver.address(), PORT);
        let transmit =
            Transmit { destination, ecn: None, contents: &[0; 2500], segment_size: Some(1000), src_ip: None };
        let start = Instant::now();
        sending.try_send(&transmit).unwrap();
        let mut arrivals = Vec::new();
        while arrivals.len() < 3 {
            // Nothing comes any more if a datagram was lost.
            let lengths = tokio::time::timeout(Duration::from_secs(1), receive(&receiving)).await.unwrap();
            arrivals.extend(lengths.into_iter().map(|length| (start.elapsed().as_millis(), length)));
        }
        // The last one is there after 23.5 ms.
        assert_eq!(arrivals, [(22, 1000), (23, 1000), (24, 500)]);
        assert_eq!(sender.counts(), Counts { sent: 3, arrived: 3, bytes: 2500, ..Counts::default() });
    }
}
