//! The composition root: builds the parts, owns every task, and ends them in order.
//!
//! ```text
//! library ── index client ── indexes        what is shared, and who is told
//!    │             │
//! uploads       finder ── downloads         the work
//!    └──── reach ────┘                      sessions, made and taken
//! service ── api                            the door
//! ```
//!
//! One daemon serves one home: it holds a lock there for as long as it lives. Stopping goes from the door inwards:
//! no new requests, then the tasks, then the road, which tells other peers, then the database.

mod alternates;
mod bans;
mod errors;
mod finder;
mod greetings;
mod indexes;
mod limits;
mod queue_ages;
mod seen;
mod service;
mod shelf;
mod wall_clock;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use choir_shared::control::MAX_FETCHING;
use choir_shared::wire::message::SERVES_PARTS;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::bans::Bans;
use self::finder::IndexFinder;
use self::greetings::Greetings;
use self::indexes::Indexes;
use self::limits::{InForce, Limits};
use self::seen::Seen;
use self::service::PeerService;
use self::shelf::{PeerShelf, PublishedShelf};
use crate::api::door::DoorFile;
use crate::api::{self, Answer, ApiClient, ErrorKind, ServiceError, Token};
use crate::config::{Home, Settings, ShareDownloads};
use crate::connectivity::{Endpoint, EndpointOptions, Reach};
use crate::database::{Database, Opened};
use crate::download::Throttle;
use crate::download::job::Workshop;
use crate::download::links::Links;
use crate::download::list::Downloads;
use crate::download::parts::Parts;
use crate::download::turns::Turns;
use crate::identity::Identity;
use crate::index_client::{IndexClient, IndexEvent, Memberships, Told};
use crate::library::{Library, LibraryOptions};
use crate::session::Session;
use crate::session::asking::Arrivals;
use crate::store::LocalDisk;
use crate::upload::admit::{Audience, Rules};
use crate::upload::{self, Uploads};

/// Files that look for sources or are fetched at once; an album of a thousand must not ask a thousand times, nor have
/// a thousand files open.
const ATTEMPTS_AT_ONCE: usize = 32;

/// Sessions that begin: one for each peer met. The loop below only spawns, so a handful is plenty.
const NEW_SESSIONS: usize = 16;

/// Events of indexes. If they pile up, introductions are dropped, and whoever asked asks again.
const INDEX_EVENTS: usize = 64;

/// How often it is looked at whom may fetch what: bans and the access of indexes change rarely.
const RULES_EVERY: Duration = Duration::from_secs(1);

/// How long tasks may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What a daemon is started with.
pub struct Options {
    pub home: Home,
    pub settings: Settings,
    /// Indexes of `--index`, by name or URL: to use besides those that are joined.
    pub indexes: Vec<String>,
}

/// Where a daemon listens.
pub struct Ready {
    pub api: SocketAddr,
    pub listen: SocketAddr,
}

/// A daemon inside the process of a command.
pub struct RunningDaemon {
    pub client: ApiClient,
    daemon: Daemon,
}

impl RunningDaemon {
    pub async fn stop(self) {
        self.daemon.stop().await;
    }
}

/// On free ports, whatever the settings say.
pub async fn start_in_process(options: Options) -> Result<RunningDaemon, ServiceError> {
    let daemon = Daemon::start(options, Ports::Free).await?;
    let client = daemon.client.clone();
    Ok(RunningDaemon { client, daemon })
}

/// Runs until `cancel`, or until somebody asks it to stop.
pub async fn run(
    options: Options,
    ready: impl FnOnce(Ready) + Send,
    cancel: CancellationToken,
) -> Result<(), ServiceError> {
    let daemon = Daemon::start(options, Ports::OfSettings).await?;
    ready(Ready { api: daemon.api, listen: daemon.listen });
    tokio::select! {
        () = cancel.cancelled() => {}
        () = daemon.asked_to_stop.cancelled() => {}
    }
    daemon.stop().await;
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ports {
    OfSettings,
    Free,
}

struct Daemon {
    api: SocketAddr,
    listen: SocketAddr,
    client: ApiClient,
    asked_to_stop: CancellationToken,
    /// Ends the door, then everything else.
    close_door: CancellationToken,
    stop_tasks: CancellationToken,
    door: TaskTracker,
    tasks: TaskTracker,
    endpoint: Endpoint,
    database: Database,
    _door_file: api::door::OpenDoor,
    _lock: File,
}

impl Daemon {
    async fn start(options: Options, ports: Ports) -> Answer<Self> {
        let Options { home, settings, indexes: given } = options;
        let lock = lock(&home.lock())?;
        let (identity, _) = Identity::load_or_create(&home.identity()).map_err(failed)?;
        let database = open_database(&home.database()).await?;
        let (tasks, stop_tasks) = (TaskTracker::new(), CancellationToken::new());

        let endpoint = bind(&identity, &settings, ports)?;
        let listen = endpoint.local_address().map_err(failed)?;
        let library_options = LibraryOptions {
            home: std::env::home_dir(),
            // Downloads are shared on only if their owner says so.
            kept_private: if settings.share_downloads.value == ShareDownloads::Yes {
                vec![]
            } else {
                vec![settings.downloads()]
            },
            ..LibraryOptions::default()
        };
        let library =
            Library::open(database.clone(), library_options, &tasks, stop_tasks.clone()).await.map_err(failed)?;

        let (events, told) = mpsc::channel(INDEX_EVENTS);
        let published = Arc::new(PublishedShelf(library.clone()));
        let secret = identity.secret.clone();
        let client = IndexClient::new(secret, published, events, tasks.clone(), stop_tasks.clone());
        let memberships = Memberships::load(&home.memberships()).map_err(failed)?;
        let indexes = Indexes::new(client.clone(), endpoint.clone(), memberships, tasks.clone(), stop_tasks.clone());
        indexes.start(&given);

        let bans = Arc::new(Bans::load(database.pool().clone()).await.map_err(failed)?);
        let (sessions, new_sessions) = mpsc::channel(NEW_SESSIONS);
        let greetings = {
            let client = client.clone();
            let features = if settings.share_partial.value.is_on() { SERVES_PARTS } else { 0 };
            Arc::new(Greetings::new(features, move |index| client.ticket(index)))
        };
        let reach = {
            let (greetings, bans) = (Arc::clone(&greetings), Arc::clone(&bans));
            let hello = move |peer| greetings.hello_to(peer);
            Reach::new(endpoint.clone(), hello, move |peer| bans.contains(peer), sessions)
        };
        tasks.spawn(reach.clone().accept_until(stop_tasks.clone()));

        let limits = Arc::new(Limits::load(database.pool().clone(), &settings).await.map_err(failed)?);
        let in_force = limits.now().await;
        let upload_options = upload::Options {
            slots: settings.upload_slots.value.value() as usize,
            queue_max: settings.upload_queue_max.value.value() as usize,
            limit: in_force.up,
            rules: Rules::default(),
        };
        let finder = Arc::new(IndexFinder::new(
            client.clone(),
            indexes.clone(),
            reach.clone(),
            Arc::clone(&greetings),
            Arc::clone(&bans),
        ));
        let parts = Parts::default();
        let shelf = Arc::new(PeerShelf { library: library.clone(), parts: parts.clone(), finder: Arc::clone(&finder) });
        let uploads = Uploads::new(shelf, upload_options, stop_tasks.clone(), &tasks);
        uploads.restore(&queue_ages::load(database.pool()).await.map_err(failed)?);
        tasks.spawn(queue_ages::keep(database.pool().clone(), uploads.clone(), stop_tasks.clone()));
        tasks.spawn(keep_rules(
            uploads.clone(),
            library.clone(),
            indexes.clone(),
            Arc::clone(&bans),
            settings.share_partial.value.is_on().then(|| parts.clone()),
            stop_tasks.clone(),
        ));
        tasks.spawn(serve_sessions(uploads.clone(), new_sessions, tasks.clone(), stop_tasks.clone()));

        if settings.share_partial.value.is_on() {
            tasks.spawn(announce_parts(parts.clone(), client.clone(), stop_tasks.clone()));
        }
        let throttle = Arc::new(Throttle::new(in_force.down.bytes_per_second()));
        let workshop = Workshop {
            me: endpoint.secret().peer_id(),
            links: Links::new(Arc::clone(&finder) as _),
            finder,
            disk: Arc::new(LocalDisk),
            arrivals: Arrivals::default(),
            parts,
            attempts: Turns::new(ATTEMPTS_AT_ONCE),
            transfers: Turns::new(settings.downloads_at_once.value.value() as usize),
            throttle: Arc::clone(&throttle),
        };
        let downloads = Downloads::open(database.pool().clone(), workshop, tasks.clone(), stop_tasks.clone())
            .await
            .map_err(failed)?;
        tasks.spawn({
            let (limits, uploads, clock) = (Arc::clone(&limits), uploads.clone(), database.pool().clone());
            let (apply, cancel) = (move |in_force: InForce| in_force.apply(&uploads, &throttle), stop_tasks.clone());
            async move { limits::keep(&limits, || wall_clock::next_minute(&clock), apply, cancel).await }
        });
        tasks.spawn(hear_indexes(told, greetings, downloads.clone(), client.clone(), stop_tasks.clone()));

        let asked_to_stop = CancellationToken::new();
        let listener = listen_for_api(&settings, ports).await?;
        let api = listener.local_addr().map_err(failed)?;
        let service = PeerService {
            settings,
            library,
            client,
            indexes,
            reach,
            downloads,
            uploads,
            bans,
            limits,
            seen: Seen::default(),
            stop: asked_to_stop.clone(),
        };
        let token = Token::random().map_err(failed)?;
        let url = format!("http://{api}");
        let client = ApiClient::new(&url, &token).map_err(failed)?;
        let door_file = DoorFile::new(url, &token).publish(&home.api_file()).map_err(failed)?;
        let (door, close_door) = (TaskTracker::new(), CancellationToken::new());
        let serving = api::serve(listener, token, Arc::new(service), close_door.clone());
        door.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the local API failed");
            }
        });
        Ok(Self {
            api,
            listen,
            client,
            asked_to_stop,
            close_door,
            stop_tasks,
            door,
            tasks,
            endpoint,
            database,
            _door_file: door_file,
            _lock: lock,
        })
    }

    async fn stop(self) {
        self.close_door.cancel();
        self.door.close();
        wait(&self.door, "the local API").await;
        self.stop_tasks.cancel();
        self.tasks.close();
        wait(&self.tasks, "a task").await;
        let _ = tokio::time::timeout(STOP_WITHIN, self.endpoint.close()).await;
        self.database.close().await;
    }
}

async fn wait(tasks: &TaskTracker, what: &str) {
    if tokio::time::timeout(STOP_WITHIN, tasks.wait()).await.is_err() {
        tracing::warn!("{what} did not end within {} s", STOP_WITHIN.as_secs());
    }
}

/// Two daemons on one home would overwrite each other's work.
fn lock(path: &Path) -> Answer<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let error = ServiceError::new(ErrorKind::Conflict, "another choir is running already with this home");
            Err(error.hint("`--home DIR` keeps two peers apart"))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

async fn open_database(path: &Path) -> Answer<Database> {
    let (database, opened) = Database::open(path).await.map_err(failed)?;
    if let Opened::SetAside(aside) = opened {
        eprintln!(
            "choir: the database was corrupt; it lies at {} now, and a new one was begun. Add your folders again.",
            aside.display()
        );
    }
    Ok(database)
}

fn bind(identity: &Identity, settings: &Settings, ports: Ports) -> Answer<Endpoint> {
    let mut options = EndpointOptions::new(settings.listen.value);
    options.any_port_will_do = settings.listen.is_wish();
    options.datagram_limit = settings.datagram_bytes.value.0.map(|bytes| bytes.value() as u16);
    options.congestion = settings.congestion.value;
    options.max_incoming = settings.connections_max.value.value() as usize;
    if ports == Ports::Free {
        options.listen.set_port(0);
    }
    Endpoint::bind(identity.secret.clone(), options).map_err(failed)
}

async fn listen_for_api(settings: &Settings, ports: Ports) -> Answer<TcpListener> {
    let address = match ports {
        Ports::OfSettings => settings.api.value,
        Ports::Free => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    };
    let listener = match TcpListener::bind(address).await {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && settings.api.is_wish() => {
            TcpListener::bind(SocketAddr::new(address.ip(), 0)).await
        }
        bound => bound,
    };
    listener.map_err(|error| failed(format!("the local API cannot listen on {address}: {error}")))
}

/// Serves every session, whoever began it.
async fn serve_sessions(
    uploads: Uploads,
    mut sessions: mpsc::Receiver<Session>,
    tasks: TaskTracker,
    cancel: CancellationToken,
) {
    while let Some(Some(session)) = cancel.run_until_cancelled(sessions.recv()).await {
        let uploads = uploads.clone();
        tasks.spawn(async move { uploads.serve(session).await });
    }
}

/// Tells the indexes of which unfinished downloads there are parts to be had.
async fn announce_parts(parts: Parts, client: IndexClient, cancel: CancellationToken) {
    let mut changes = parts.watch();
    while let Some(Ok(())) = cancel.run_until_cancelled(changes.changed()).await {
        let mut files = parts.files();
        files.sort();
        files.truncate(MAX_FETCHING);
        client.fetching(files);
    }
}

/// Keeps uploads told who may have what.
async fn keep_rules(
    uploads: Uploads,
    library: Library,
    indexes: Indexes,
    bans: Arc<Bans>,
    parts: Option<Parts>,
    cancel: CancellationToken,
) {
    let mut tick = tokio::time::interval(RULES_EVERY);
    let mut changed = library.changed();
    let mut part_opened = parts.as_ref().map(Parts::watch);
    let mut last = None;
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
            // At once: a file that is published before it may be fetched would be refused to the first who asks.
            Ok(()) = changed.changed() => {}
            Some(Ok(())) = async { Some(part_opened.as_mut()?.changed().await) } => {}
        }
        let Ok(collections) = library.collections().await else { continue };
        let audiences: BTreeMap<String, Audience> = collections
            .into_iter()
            .map(|state| (state.collection.clone(), indexes.audience(&state.collection)))
            .collect();
        let parts = parts.is_some().then(|| indexes.everyone());
        let rules = Rules { audiences, banned: bans.all(), parts };
        if last.as_ref() != Some(&rules) {
            uploads.set_rules(rules.clone());
            last = Some(rules);
        }
    }
}

/// Passes on what indexes tell, and tells them what is waited for.
async fn hear_indexes(
    mut events: mpsc::Receiver<IndexEvent>,
    greetings: Arc<Greetings>,
    downloads: Downloads,
    client: IndexClient,
    cancel: CancellationToken,
) {
    let mut waiting = downloads.waiting_changed();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            event = events.recv() => match event {
                Some(IndexEvent { what: Told::Online, .. }) => downloads.index_is_back(),
                Some(IndexEvent { what: Told::Available { files }, .. }) => downloads.available(&files),
                // Whoever was introduced dials us; there is no more to do until both sides must.
                Some(IndexEvent { index, what: Told::Introduced { peer, .. } }) => greetings.told_of(peer, index),
                Some(IndexEvent { index, what: Told::Blocked { files, count, reason } }) => {
                    let first = files.first().map(ToString::to_string);
                    tracing::warn!(%index, count, ?first, reason, "an index lets nobody find files that you share");
                }
                None => return,
            },
            changed = waiting.changed() => match changed {
                Ok(()) => client.watch(downloads.waiting_for()),
                Err(_) => return,
            },
        }
    }
}

fn failed(error: impl std::fmt::Display) -> ServiceError {
    ServiceError::new(ErrorKind::Internal, error.to_string())
}
