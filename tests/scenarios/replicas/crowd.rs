//! Many who search at two replicas and one who publishes, while something happens to those.
//!
//! They do as PROTOCOL.md says: what one replica does not answer, or answers with `unavailable`, they ask the other,
//! once. Who publishes sends the same set until it is taken.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use choir_shared::claim::Format;
use choir_shared::index_api::SearchPage;
use choir_shared::leaf::FileLength;
use choir_shared::query::SearchParams;
use choir_shared::{Claim, Digest, FileId};
use harness::load::corpus::Corpus;
use harness::load::peer::{CrowdPeer, Door, Holding, search_path};
use harness::load::queries;
use harness::load::wire::{Answer, Body, Connection, Request};
use harness::{TestIndex, eventually};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::sleep;

const FROM: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const SEARCHERS: u32 = 8;

/// After each search of each: together they make some hundred a second, which leaves the processors for the story.
const PAUSE: Duration = Duration::from_millis(60);

/// Searches between two events: some two seconds.
const SOME: u32 = 200;

const SONGS: u32 = 500;

/// Below the limit of change sets a minute, which is not what the story is about.
const BETWEEN_SETS: Duration = Duration::from_millis(700);

const TRY_AGAIN: Duration = Duration::from_millis(100);

/// A replica has been restarted by then, and the other was there all the time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Clients of two replicas, until it ends.
pub(super) struct Crowd {
    runtime: Runtime,
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU32>,
    searching: Vec<JoinHandle<io::Result<()>>>,
    /// With the number of songs that were taken.
    publishing: JoinHandle<io::Result<u32>>,
    late: Client,
}

impl Crowd {
    /// Begins when both replicas can find something.
    pub(super) fn begin(replicas: [&TestIndex; 2]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let doors = replicas.map(Door::of);
        let corpus = Corpus::new(SONGS);
        let (publisher, searchers, late) = runtime.block_on(async {
            let mut publisher = Client::new(0, doors).await;
            let songs = (0..SONGS).map(|rank| Holding::new(corpus.file(rank), corpus.claim(rank))).collect();
            publisher.publish(songs).await.unwrap();
            publisher.publish(vec![song(0)]).await.unwrap();
            let mut searchers = Vec::new();
            for number in 1..=SEARCHERS {
                let mut searcher = Client::new(number, doors).await;
                searcher.wait_for_song(0).await.unwrap();
                searchers.push(searcher);
            }
            (publisher, searchers, Client::new(SEARCHERS + 1, doors).await)
        });
        let over = Arc::new(AtomicBool::new(false));
        let searches = queries::mix(&corpus, 1_000, 5);
        let paths: Arc<[String]> = searches.iter().map(|search| search_path(&offline(search.params.clone()))).collect();
        let answered = Arc::default();
        let search = |searcher: Client| {
            runtime.spawn(searcher.search(Arc::clone(&paths), Arc::clone(&over), Arc::clone(&answered)))
        };
        let searching = searchers.into_iter().map(search).collect();
        let publishing = runtime.spawn(publisher.publish_on(Arc::clone(&over)));
        Self { runtime, over, answered, searching, publishing, late }
    }

    /// Waits for some searches, unless one has failed.
    pub(super) fn goes_on(&self) {
        let until = self.answered.load(Ordering::Relaxed) + SOME;
        eventually("the crowd's searches are answered", || {
            let failed = self.searching.iter().any(JoinHandle::is_finished);
            (failed || self.answered.load(Ordering::Relaxed) >= until).then_some(())
        });
    }

    /// No search has failed, and what was taken is found.
    pub(super) fn end(mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.runtime.block_on(async {
            for searching in self.searching {
                searching.await.unwrap().expect("no search fails");
            }
            let songs = self.publishing.await.unwrap().expect("every set is taken in time");
            assert!(songs > 1, "{songs}");
            self.late.wait_for_song(songs).await.unwrap();
        });
    }
}

/// A member with a connection to one of the replicas, or to none.
struct Client {
    peer: CrowdPeer,
    doors: [Door; 2],
    at: usize,
    connection: Option<Connection>,
}

impl Client {
    /// Every other one begins at the second replica.
    async fn new(number: u32, doors: [Door; 2]) -> Self {
        let at = number as usize % 2;
        let mut peer = CrowdPeer::new(number, doors[at], FROM);
        let mut connection = peer.connect().await.unwrap();
        peer.log_in(&mut connection).await.unwrap();
        Self { peer, doors, at, connection: Some(connection) }
    }

    async fn search(mut self, paths: Arc<[String]>, over: Arc<AtomicBool>, answered: Arc<AtomicU32>) -> io::Result<()> {
        for path in paths.iter().cycle() {
            if over.load(Ordering::Relaxed) {
                break;
            }
            self.get(path).await?.json::<SearchPage>()?;
            if !self.finds_song(0).await? {
                return Err(io::Error::other("a song that was found is found no more"));
            }
            answered.fetch_add(2, Ordering::Relaxed);
            sleep(2 * PAUSE).await;
        }
        Ok(())
    }

    async fn publish_on(mut self, over: Arc<AtomicBool>) -> io::Result<u32> {
        let mut last = 0;
        while !over.load(Ordering::Relaxed) {
            last += 1;
            self.publish(vec![song(last)]).await?;
            sleep(BETWEEN_SETS).await;
        }
        Ok(last)
    }

    async fn publish(&mut self, songs: Vec<Holding>) -> io::Result<()> {
        let set = self.peer.add(songs)?;
        let begun = Instant::now();
        loop {
            let token = self.peer.token.clone();
            match self.ask(&Request::post("/library/changes", &token, Body::Packed(&set))).await {
                Ok(answer) if answer.status == 200 => return Ok(()),
                Ok(answer) if answer.status != 503 => return answer.json(),
                Ok(_) | Err(_) if begun.elapsed() < PATIENCE => sleep(TRY_AGAIN).await,
                Ok(answer) => return answer.json(),
                Err(error) => return Err(error),
            }
        }
    }

    async fn wait_for_song(&mut self, number: u32) -> io::Result<()> {
        let begun = Instant::now();
        while !self.finds_song(number).await? {
            if begun.elapsed() >= PATIENCE {
                return Err(io::ErrorKind::TimedOut.into());
            }
            sleep(TRY_AGAIN).await;
        }
        Ok(())
    }

    async fn finds_song(&mut self, number: u32) -> io::Result<bool> {
        let params = SearchParams { title: Some(title(number)), ..SearchParams::default() };
        let page: SearchPage = self.get(&search_path(&offline(params))).await?.json()?;
        Ok(page.results.iter().any(|row| row.file_id == file(number)))
    }

    async fn get(&mut self, path: &str) -> io::Result<Answer> {
        let token = self.peer.token.clone();
        self.ask(&Request::get(path, &token)).await
    }

    async fn ask(&mut self, request: &Request<'_>) -> io::Result<Answer> {
        match self.ask_one(request).await {
            Ok(answer) if answer.status != 503 => Ok(answer),
            _ => {
                (self.at, self.connection) = (1 - self.at, None);
                self.ask_one(request).await
            }
        }
    }

    async fn ask_one(&mut self, request: &Request<'_>) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.doors[self.at].address, FROM).await?,
        };
        let answer = connection.send(request).await?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

/// Whoever holds it may be with the replica that died.
fn offline(params: SearchParams) -> SearchParams {
    SearchParams { offline: Some(true), ..params }
}

fn title(number: u32) -> String {
    format!("xyzzy{number}")
}

fn file(number: u32) -> FileId {
    FileId::new(Digest::of(title(number).as_bytes()), FileLength::new(4_000_000).unwrap())
}

fn song(number: u32) -> Holding {
    let claim = Claim { title: Some(title(number)), format: Format::new("mp3").unwrap(), ..Claim::default() };
    Holding::new(file(number), claim)
}
