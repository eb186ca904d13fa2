//! A download as the daemon runs it, with an index that only knows what the story says.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use choir_peer::download::about::About;
use choir_peer::download::alternate::Alternate;
use choir_peer::download::job::{Job, Outcome, Workshop};
use choir_peer::download::links::Links;
use choir_peer::download::parts::Parts;
use choir_peer::download::priority::Priority;
use choir_peer::download::status::{DownloadRequest, DownloadStatus};
use choir_peer::download::turns::Turns;
use choir_peer::download::{BoxFuture, Finder, FoundSource, IndexUnreachable, NoSession};
use choir_peer::session::Session;
use choir_peer::session::asking::Arrivals;
use choir_peer::store::LocalDisk;
use choir_shared::{FileId, PeerId};
use tempfile::TempDir;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::holding::{Holding, Stock};
use super::{Peer, Song};

/// No story lasts this long.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a download came to.
#[derive(Debug)]
pub struct Fetched {
    /// From asking for the file to having it.
    pub time: Duration,
    /// Verified bytes by time, four times a second.
    pub progress: Vec<(Duration, u64)>,
    /// Who was found to send wrong bytes.
    pub liars: BTreeSet<PeerId>,
    pub status: DownloadStatus,
}

impl Fetched {
    /// The longest time in which nothing came.
    pub fn longest_gap(&self) -> Duration {
        self.progress.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap_or_default()
    }

    /// Verified bytes that came from this source.
    pub fn bytes_from(&self, source: &Peer) -> u64 {
        self.status.sources.iter().filter(|status| status.peer == source.id).map(|status| status.bytes).sum()
    }
}

/// A download under way.
pub struct Fetching {
    song: Vec<u8>,
    started: Instant,
    directory: Arc<Directory>,
    status: watch::Receiver<DownloadStatus>,
    job: JoinHandle<Outcome>,
    progress: JoinHandle<Vec<(Duration, u64)>>,
    _folder: TempDir,
}

impl Fetching {
    /// Has `downloader` fetch the song from these sources, and from no others.
    ///
    /// # Panics
    /// If there is no room for it.
    pub fn begin(downloader: &Arc<Peer>, song: &Song, sources: &[&Peer]) -> Self {
        Self::begin_among(downloader, song, sources, &[])
    }

    /// The same, where there is a way to `others` as well, of whom the index does not say that they have the song.
    ///
    /// # Panics
    /// If there is no room for it.
    pub fn begin_among(downloader: &Arc<Peer>, song: &Song, sources: &[&Peer], others: &[&Peer]) -> Self {
        let listed = |peers: &[&Peer]| peers.iter().map(|peer| Listed::of(peer)).collect();
        let directory = Arc::new(Directory {
            downloader: Arc::clone(downloader),
            sources: listed(sources),
            others: listed(others),
            liars: Mutex::default(),
        });
        let folder = tempfile::tempdir().expect("a temporary folder");
        let request = DownloadRequest {
            file: song.id,
            name: "song.wav".to_owned(),
            folder: folder.path().to_owned(),
            group: None,
            sources: vec![],
            priority: Priority::Normal,
            about: About::default(),
        };
        let (sender, status) = watch::channel(DownloadStatus::of(&request));
        let finder: Arc<dyn Finder> = Arc::clone(&directory) as _;
        let workshop = Workshop {
            links: Links::new(Arc::clone(&finder)),
            finder,
            me: downloader.id,
            disk: Arc::new(LocalDisk),
            arrivals: Arrivals::default(),
            parts: downloader.holding.as_ref().map_or_else(Parts::default, |holding| holding.parts.clone()),
            attempts: Turns::new(1),
            transfers: Turns::new(1),
            throttle: Arc::clone(&downloader.throttle),
        };
        let holding = downloader.holding.clone();
        let job = Job {
            request,
            status: sender,
            poke: Arc::new(Notify::new()),
            stop: CancellationToken::new(),
            workshop: Arc::new(workshop),
        };
        Self {
            song: song.bytes.clone(),
            started: Instant::now(),
            directory,
            progress: tokio::spawn(watch(status.clone())),
            status,
            job: tokio::spawn(async move {
                let outcome = job.run().await;
                if let (Outcome::Done(_), Some(holding)) = (&outcome, holding) {
                    holding.complete();
                }
                outcome
            }),
            _folder: folder,
        }
    }

    /// How it stands.
    pub fn status(&self) -> DownloadStatus {
        self.status.borrow().clone()
    }

    /// Waits until it stands so.
    ///
    /// # Panics
    /// If the download ends before.
    pub async fn until(&mut self, wanted: impl FnMut(&DownloadStatus) -> bool) -> DownloadStatus {
        self.status.wait_for(wanted).await.expect("the download goes on").clone()
    }

    /// Waits until so many bytes are verified, or a quarter of a second longer.
    ///
    /// # Panics
    /// If the download ends before.
    pub async fn reaches(&mut self, bytes: u64) {
        self.status.wait_for(|status| status.bytes_done >= bytes).await.expect("the download goes on");
    }

    /// Waits for the end, and compares every byte.
    ///
    /// # Panics
    /// If the download fails, lasts for ever, or has a wrong byte.
    pub async fn end(self) -> Fetched {
        let Self { song, started, directory, status, job, progress, _folder } = self;
        let Ok(outcome) = tokio::time::timeout(PATIENCE, job).await else { panic!("no end: {:#?}", *status.borrow()) };
        let time = started.elapsed();
        let progress = progress.await.expect("watching does not panic");
        let Outcome::Done(path) = outcome.expect("the job does not panic") else {
            panic!("failed: {:#?}", *status.borrow())
        };
        assert!(std::fs::read(path).is_ok_and(|bytes| bytes == song), "the file has the right bytes");
        let liars = directory.liars.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let status = status.borrow().clone();
        Fetched { time, progress, liars, status }
    }
}

/// When how much was there, until the job ends.
async fn watch(mut status: watch::Receiver<DownloadStatus>) -> Vec<(Duration, u64)> {
    let started = Instant::now();
    let mut progress = vec![(Duration::ZERO, 0)];
    loop {
        let done = status.borrow_and_update().bytes_done;
        if progress.last().is_some_and(|(_, before)| *before < done) {
            progress.push((started.elapsed(), done));
        }
        if status.changed().await.is_err() {
            return progress;
        }
    }
}

/// The index, in so far as a download asks it anything.
struct Directory {
    downloader: Arc<Peer>,
    sources: Vec<Listed>,
    others: Vec<Listed>,
    liars: Mutex<BTreeSet<PeerId>>,
}

struct Listed {
    peer: PeerId,
    address: SocketAddr,
    holding: Option<Arc<Holding>>,
}

impl Listed {
    fn of(peer: &Peer) -> Self {
        Self { peer: peer.id, address: peer.address(), holding: peer.holding.clone() }
    }

    fn source(&self) -> Option<FoundSource> {
        let stock = self.holding.as_ref().map_or(Stock::Whole, |holding| holding.stock());
        let complete = stock == Stock::Whole;
        (stock != Stock::Nothing).then_some(FoundSource { peer: self.peer, name: None, complete })
    }
}

impl Finder for Directory {
    fn sources(&self, _file: FileId) -> BoxFuture<'_, Result<Vec<FoundSource>, IndexUnreachable>> {
        let found = self.sources.iter().filter_map(Listed::source).collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn alternates<'a>(&'a self, _file: FileId, _about: &'a About) -> BoxFuture<'a, Vec<Alternate>> {
        Box::pin(std::future::ready(vec![]))
    }

    fn connect(&self, peer: PeerId, _file: FileId) -> BoxFuture<'_, Result<Session, NoSession>> {
        Box::pin(async move {
            let mut known = self.sources.iter().chain(&self.others);
            let listed = known.find(|listed| listed.peer == peer).ok_or(NoSession::Offline)?;
            self.downloader.connect(peer, listed.address).await.map_err(NoSession::Failed)
        })
    }

    fn misbehaved(&self, peer: PeerId, _file: FileId) {
        self.liars.lock().unwrap_or_else(PoisonError::into_inner).insert(peer);
    }

    fn is_banned(&self, _peer: PeerId) -> bool {
        false
    }

    fn is_distrusted(&self, peer: PeerId, _file: FileId) -> bool {
        self.liars.lock().unwrap_or_else(PoisonError::into_inner).contains(&peer)
    }
}
