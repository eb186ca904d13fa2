//! Clients that take their time, a thousand of them at once.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use choir_shared::index_api::PREFIX;
use harness::TestIndex;
use harness::member::Member;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

const SLOW: usize = 1000;

/// Those who crawl send one byte in so long, not all at the same moment.
const BYTE_EVERY: Duration = Duration::from_secs(1);
const BEATS: usize = 50;

/// In each half of a round.
const SEARCHES: usize = 200;

/// In the best of so many other programs leave this machine alone. What the index does wrong, it does in each.
const ROUNDS: usize = 5;

/// The others may have been given up: the time for a handshake is not long on a slow machine.
const STAYED: usize = 750;

/// Everybody else stays for a whole round.
const LIMITS: &str = "searches_per_minute = 1_000_000\nheader_seconds = 60\nrequest_seconds = 60\n";

/// What another program may take from this machine's processors at any time.
const NOISE: Duration = Duration::from_millis(5);

/// Slow clients are to cost others no more than this.
const FACTOR: u32 = 2;

/// What keeps a connection open without getting anywhere.
#[derive(Clone, Copy, Debug)]
enum Habit {
    Silence,
    CrawlingHeader,
    CrawlingBody,
    /// One request for the longest answer that strangers get, of which nothing is read.
    UnreadAnswer,
    /// A hello, and no word after the answer.
    HalfHandshake,
}

const HABITS: [Habit; 5] =
    [Habit::Silence, Habit::CrawlingHeader, Habit::CrawlingBody, Habit::UnreadAnswer, Habit::HalfHandshake];

#[test]
fn a_thousand_slow_clients_leave_the_p99_of_others_within_twice_of_what_it_was() {
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).expect("less than the greatest is allowed");
    let encrypted = free_port();
    let beyond_loopback = ["--access", "open", "--listen", &format!("0.0.0.0:{encrypted}")];
    let index = TestIndex::with_limits(LIMITS, &beyond_loopback);
    let doors = Doors { plain: index.address(), encrypted: (Ipv4Addr::LOCALHOST, encrypted).into() };
    let mut member = Member::of(&index);
    let titles: Vec<_> = (0..200).map(|number| format!("Krill {number}")).collect();
    assert_eq!(member.publish(titles.iter().map(String::as_str)).status, 200);

    let rounds: Vec<Round> = (0..ROUNDS).map(|_| Round::of(&member, doors)).collect();
    assert!(rounds.iter().any(Round::is_within_bounds), "{rounds:?}");
}

/// The p99 of searches over connections of their own.
#[derive(Debug)]
struct Round {
    quiet: Duration,
    beside_the_crowd: Duration,
}

impl Round {
    fn of(member: &Member, doors: Doors) -> Self {
        let quiet = p99(member);
        let crowd = Crowd::of(doors);
        let beside_the_crowd = p99(member);
        let left = crowd.leave();
        assert!(left >= STAYED, "{left} of the crowd stayed to the end");
        Self { quiet, beside_the_crowd }
    }

    fn is_within_bounds(&self) -> bool {
        self.beside_the_crowd <= self.quiet * FACTOR + NOISE
    }
}

fn p99(member: &Member) -> Duration {
    let mut times: Vec<Duration> = (0..SEARCHES)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(member.get("/search?q=krill&offline=true").status, 200);
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[SEARCHES * 99 / 100 - 1]
}

#[derive(Clone, Copy)]
struct Doors {
    plain: SocketAddr,
    encrypted: SocketAddr,
}

/// Slow clients, until they leave.
struct Crowd {
    clients: Vec<TcpStream>,
    crawling: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Crowd {
    fn of(doors: Doors) -> Self {
        let clients: Vec<(Habit, TcpStream)> =
            HABITS.into_iter().cycle().take(SLOW).map(|habit| (habit, habit.begin(doors))).collect();
        let crawlers: Vec<TcpStream> = clients
            .iter()
            .filter(|(habit, _)| matches!(habit, Habit::CrawlingHeader | Habit::CrawlingBody))
            .map(|(_, stream)| stream.try_clone().unwrap())
            .collect();
        let (stop, stopped) = mpsc::channel();
        let crawl = std::thread::spawn(move || {
            let mut beats = (0..BEATS).cycle();
            while let Some(beat) = beats.next()
                && stopped.recv_timeout(BYTE_EVERY / BEATS as u32) == Err(RecvTimeoutError::Timeout)
            {
                // Whether it was taken, the end of the round tells.
                crawlers.iter().skip(beat).step_by(BEATS).for_each(|mut stream| drop(stream.write(b"x")));
            }
        });
        Self { clients: clients.into_iter().map(|(_, stream)| stream).collect(), crawling: Some((stop, crawl)) }
    }

    /// How many were still there.
    fn leave(mut self) -> usize {
        if let Some((stop, crawl)) = self.crawling.take() {
            drop(stop);
            crawl.join().unwrap();
        }
        let is_there = |stream: &&TcpStream| {
            stream.set_nonblocking(true).unwrap();
            match stream.peek(&mut [0]) {
                Ok(bytes) => bytes > 0,
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            }
        };
        self.clients.iter().filter(is_there).count()
    }
}

impl Habit {
    fn begin(self, doors: Doors) -> TcpStream {
        let address = if matches!(self, Self::HalfHandshake) { doors.encrypted } else { doors.plain };
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        if matches!(self, Self::UnreadAnswer) {
            // So that the index is left with most of it.
            socket.set_recv_buffer_size(4096).unwrap();
        }
        socket.connect(&SockAddr::from(address)).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.write_all(&self.first_words()).unwrap();
        stream
    }

    fn first_words(self) -> Vec<u8> {
        match self {
            Self::Silence => Vec::new(),
            Self::CrawlingHeader => format!("GET {PREFIX}/info HTTP/1.1\r\nHost: index\r\nCookie: ").into(),
            Self::CrawlingBody => format!(
                "POST {PREFIX}/sessions HTTP/1.1\r\nHost: index\r\nContent-Type: application/json\r\n\
                 Content-Length: 1000\r\n\r\n"
            )
            .into(),
            Self::UnreadAnswer => b"GET /openapi.json HTTP/1.1\r\nHost: index\r\n\r\n".to_vec(),
            Self::HalfHandshake => client_hello(),
        }
    }
}

fn client_hello() -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let mut hello = Vec::new();
    ClientConnection::new(Arc::new(config), std::net::IpAddr::from(Ipv4Addr::LOCALHOST).into())
        .unwrap()
        .write_tls(&mut hello)
        .unwrap();
    hello
}

/// Nobody listens there.
fn free_port() -> u16 {
    std::net::TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port()
}
