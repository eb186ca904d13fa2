//! Builds the parts of an index, owns all their tasks, and stops them in order.
//!
//! To stop: nothing new is accepted and readiness is withdrawn; control connections are told when to come back; what
//! runs may finish within [`DRAIN`], and is given up then; last of all the store is closed, so that whatever was
//! answered is on disk.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use choir_shared::identity::IndexKey;
use choir_shared::index_api::UdpEndpoint;
use choir_shared::link::JoinLink;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Doorkeeper;
use crate::auth::roster::Roster;
use crate::blocks::Blocks;
use crate::data_dir::{DataDir, DataDirError};
use crate::first_invite::{FirstInviteError, first_invite};
use crate::index::{Index, Parts};
use crate::join_link::{JoinHost, PublicUrlError};
use crate::keys::{IndexKeys, KeyError};
use crate::limits::Limits;
use crate::locks::Locks;
use crate::online::Online;
use crate::presence::Presence;
use crate::rendezvous::{Rendezvous, RendezvousError};
use crate::replicas::{Outbox, PostError, Replicas};
use crate::search::Indexer;
use crate::serve::tls::{self, TlsError};
use crate::serve::{BindError, Listener, Server};
use crate::settings::{Encryption, PortChoice, Settings, is_beyond_loopback};
use crate::store::{self, Beat, Location, Store, StoreError};
use crate::turns::SearchTurns;
use crate::uploads::Uploads;
use crate::watches::Watches;
use crate::{admin, indexer, observe, replicas, routes, sweeper};

/// What runs when the index stops may take so long to finish. Service managers kill after 90 s or less.
const DRAIN: Duration = Duration::from_secs(10);

/// Leases end on the second.
const LEASE_LOOK: Duration = Duration::from_secs(1);

/// Idle counts are dropped, and gauges set.
const UPKEEP: Duration = Duration::from_secs(60);

/// What others need to know to reach a running index.
#[derive(Clone, Debug)]
pub struct Ready {
    /// As in a URL, in the order of the settings.
    pub listeners: Vec<String>,
    /// UDP.
    pub rendezvous: SocketAddr,
    pub metrics: Option<SocketAddr>,
    pub join_link: JoinLink,
}

/// The two lines that scripts wait for.
impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.listeners.first().map_or("", String::as_str);
        writeln!(f, "listening on {first}")?;
        writeln!(f, "join link: {}", self.join_link)
    }
}

/// Runs an index until `shutdown`. `ready` is called once it can be reached.
pub async fn run(settings: Settings, ready: impl FnOnce(Ready), shutdown: CancellationToken) -> Result<(), RunError> {
    let data_dir = DataDir::open(&settings.data_dir)?;
    let keys = IndexKeys::load_or_create(&data_dir.key_file())?;
    let doors = Doors::open(&settings, &keys)?;
    let store_tasks = TaskTracker::new();
    let store = open_store(&settings.database, &store_tasks).await?;
    let outcome = run_on(store.clone(), settings, &data_dir, keys, doors, ready, shutdown).await;
    store.close().await;
    store_tasks.close();
    store_tasks.wait().await;
    outcome
}

/// On a thread that may block. Checking and migrating a large database takes a while; and the future of sqlx's
/// migrator is not `Send`, so that otherwise no task could run an index.
async fn open_store(database: &Location, tasks: &TaskTracker) -> Result<Store, RunError> {
    let (database, tasks, runtime) = (database.clone(), tasks.clone(), Handle::current());
    let open = move || runtime.block_on(Store::open(&database, store::Options::default(), &tasks));
    match tokio::task::spawn_blocking(open).await {
        Ok(opened) => Ok(opened?),
        Err(_) => Err(RunError::Panicked),
    }
}

/// The bound TCP sockets. Bound before anything slow: an error here is the operator's to see at once.
struct Doors {
    listeners: Vec<Listener>,
    metrics: Option<Listener>,
    join_host: JoinHost,
    /// Of the first listener.
    main: SocketAddr,
}

impl Doors {
    fn open(settings: &Settings, keys: &IndexKeys) -> Result<Self, RunError> {
        let tls = match &settings.encryption {
            Encryption::OwnKey => Some(tls::own_key(&keys.secret)?),
            Encryption::Files { certificate, key } => Some(tls::operator(certificate, key)?),
            Encryption::Proxy => None,
        };
        let mut listeners = Vec::new();
        for wished in &settings.listen {
            let listener = Listener::bind(*wished, settings.port_choice)?;
            if wished.port() != 0 && listener.address().port() != wished.port() {
                tracing::warn!("port {} is taken, so port {} serves", wished.port(), listener.address().port());
            }
            listeners.push(listener.encrypted(tls.clone().filter(|_| is_beyond_loopback(wished.ip()))));
        }
        let main = listeners.first().map(Listener::address).ok_or(RunError::NoListener)?;
        let metrics = settings.metrics.map(|address| Listener::bind(address, PortChoice::Operator)).transpose()?;
        let join_host = JoinHost::new(settings.public_urls.first().map(String::as_str), main)?;
        Ok(Self { listeners, metrics, join_host, main })
    }
}

async fn run_on(
    store: Store,
    settings: Settings,
    data_dir: &DataDir,
    keys: IndexKeys,
    doors: Doors,
    ready: impl FnOnce(Ready),
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    if !store.belongs_to(&keys.index_key()).await? {
        return Err(RunError::OtherOwner { key: keys.index_key(), path: data_dir.key_file() });
    }
    // Before anything is loaded: nothing is swept from now on that the search index does not know, and whatever changes
    // after this is heard of.
    let (replicas, pulse) = match &settings.replica_url {
        Some(url) => {
            let beat = Beat { url: url.clone(), ..Beat::default() };
            (Some(Replicas::new(url.clone(), &keys)?), Some(store.beat(beat).await?))
        }
        None => (None, None),
    };
    let roster = Arc::new(Roster::load(store.clone()).await?);
    let message_of_the_day = match store.message_of_the_day().await? {
        Some(said) => said,
        None => settings.description.message_of_the_day.clone().unwrap_or_default(),
    };
    let blocks = Blocks::load(&store).await?;
    let addresses = Arc::default();
    let invite = first_invite(&store, settings.access, &data_dir.invite_file()).await?;
    let join_link = doors.join_host.link(keys.index_key(), invite);
    let (indexer, search) = indexer::open(&data_dir.search_dir(), &store).await?;
    let rendezvous = rendezvous(&settings, doors.main, &keys, Arc::clone(&roster), Arc::clone(&addresses))?;
    let rendezvous_address = rendezvous.address().map_err(RunError::Address)?;
    let index = Index::new(Parts {
        limits: Limits::new(&settings.limits),
        rendezvous: endpoint(rendezvous_address, doors.main),
        search_turns: SearchTurns::new(settings.limits.searches_at_once),
        changes: Semaphore::new(settings.limits.changes_at_once as usize),
        uploads: Uploads::new(&settings.limits),
        settings,
        keys,
        store,
        search,
        online: Online::new(),
        presence: Presence::new().into(),
        watches: Watches::default().into(),
        roster,
        blocks,
        message_of_the_day: message_of_the_day.into(),
        enforcing: tokio::sync::Mutex::default(),
        addresses,
        replicas,
        join_host: doors.join_host,
        published: Notify::new(),
        caught_up: AtomicBool::new(false),
        indexed_revision: watch::Sender::new(indexer.last_revision()),
        connections: TaskTracker::new(),
        stopping: shutdown.child_token(),
        giving_up: CancellationToken::new(),
        library_locks: Locks::default(),
    });

    if let (Some(replicas), Some(pulse)) = (&index.replicas, pulse) {
        replicas.set_versions(pulse.versions);
        index.heed(replicas, pulse, &Outbox::default()).await?;
    }
    let announcement = Ready {
        listeners: doors.listeners.iter().map(|door| format!("{}://{}", door.scheme(), door.address())).collect(),
        rendezvous: rendezvous_address,
        metrics: doors.metrics.as_ref().map(Listener::address),
        join_link,
    };
    warn_of_an_unseen_proxy(&index.settings);
    let tasks = TaskTracker::new();
    start(&tasks, &index, indexer, rendezvous, doors.listeners, doors.metrics, data_dir);
    tracing::info!(key = %index.keys.index_key(), access = ?index.settings.access, "the index is running");
    ready(announcement);

    shutdown.cancelled().await;
    stop(&tasks, &index).await;
    Ok(())
}

fn start(
    tasks: &TaskTracker,
    index: &Index,
    indexer: Indexer,
    rendezvous: Rendezvous,
    listeners: Vec<Listener>,
    metrics: Option<Listener>,
    data_dir: &DataDir,
) {
    let limits = &index.settings.limits;
    let server = |router, doorkeeper| {
        Arc::new(Server {
            router,
            doorkeeper,
            proxies: index.settings.proxies.clone(),
            header_time: Duration::from_secs(limits.header_seconds.into()),
            connections: index.connections.clone(),
            stopping: index.stopping.clone(),
            giving_up: index.giving_up.clone(),
        })
    };
    let doorkeeper = Doorkeeper::new("http", limits.connections, limits.connections_per_network);
    let api = server(routes::router(index.clone()), doorkeeper);
    for listener in listeners {
        tasks.spawn(Arc::clone(&api).accept(listener));
    }
    if let Some(listener) = metrics {
        let router = observe::router(observe::recorder());
        tasks.spawn(
            server(router, Doorkeeper::new("metrics", METRICS_CONNECTIONS, METRICS_CONNECTIONS)).accept(listener),
        );
    }
    match admin::open(data_dir) {
        Ok(door) => drop(tasks.spawn(admin::serve(door, index.clone()))),
        // The index is of use without it.
        Err(error) => tracing::warn!(%error, "the operator's commands cannot reach this index"),
    }
    tasks.spawn(rendezvous.run(index.stopping.clone()));
    tasks.spawn(indexer::run(index.clone(), indexer));
    tasks.spawn(sweeper::run(index.clone()));
    tasks.spawn(replicas::run(index.clone()));
    tasks.spawn(end_leases(index.clone()));
    tasks.spawn(upkeep(index.clone()));
}

/// Prometheus needs one.
const METRICS_CONNECTIONS: u32 = 16;

async fn stop(tasks: &TaskTracker, index: &Index) {
    tracing::info!("the index is stopping");
    index.stopping.cancel();
    tasks.close();
    index.connections.close();
    let all = async { tokio::join!(tasks.wait(), index.connections.wait()) };
    if tokio::time::timeout(DRAIN, all).await.is_err() {
        tracing::warn!(connections = index.connections.len(), tasks = tasks.len(), "not all finished in time");
        index.giving_up.cancel();
        index.connections.wait().await;
    }
}

async fn end_leases(index: Index) {
    let mut look = interval(LEASE_LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while index.stopping.run_until_cancelled(look.tick()).await.is_some() {
        index.end_leases(Instant::now()).await;
    }
}

async fn upkeep(index: Index) {
    let mut tick = interval(UPKEEP);
    while index.stopping.run_until_cancelled(tick.tick()).await.is_some() {
        index.limits.forget_idle();
        if index.settings.metrics.is_some() {
            observe::recorder().run_upkeep();
        }
        if let Ok(counts) = index.store.counts().await {
            metrics::gauge!("choir_index_members").set(counts.members as f64);
            metrics::gauge!("choir_index_files").set(counts.files as f64);
            metrics::gauge!("choir_index_holdings").set(counts.holdings as f64);
        }
        if let Ok(waiting) = index.store.waiting_reports().await {
            metrics::gauge!("choir_index_reports_waiting").set(waiting as f64);
        }
    }
}

fn rendezvous(
    settings: &Settings,
    main: SocketAddr,
    keys: &IndexKeys,
    roster: Arc<Roster>,
    addresses: Arc<crate::rendezvous::address_book::AddressBook>,
) -> Result<Rendezvous, RunError> {
    let (wished, choice) = match settings.rendezvous {
        Some(address) => (address, PortChoice::Operator),
        // The same number is easier to open in a firewall.
        None => (main, PortChoice::Default),
    };
    let limits = &settings.limits;
    let doorkeeper =
        Doorkeeper::new("rendezvous", limits.rendezvous_connections, limits.rendezvous_connections_per_network);
    Ok(Rendezvous::bind(wished, choice, keys, roster, addresses, doorkeeper)?)
}

/// Peers use the host by which they reached the index, unless the rendezvous has an address of its own.
fn endpoint(rendezvous: SocketAddr, main: SocketAddr) -> UdpEndpoint {
    let own = !rendezvous.ip().is_unspecified() && !main.ip().is_unspecified() && rendezvous.ip() != main.ip();
    UdpEndpoint { host: own.then(|| rendezvous.ip().to_string()), port: rendezvous.port() }
}

/// Without it all members seem to come from the proxy, and share one network's limits.
fn warn_of_an_unseen_proxy(settings: &Settings) {
    if settings.encryption == Encryption::Proxy && settings.proxies.is_empty() {
        tracing::warn!("plain HTTP beyond loopback and no trusted proxy: limits by network will count the proxy");
    }
}

/// Why an index cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("the store could not be opened")]
    Panicked,
    #[error("no address to listen on")]
    NoListener,
    #[error("a bound socket has no address")]
    Address(#[source] std::io::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    PublicUrl(#[from] PublicUrlError),
    #[error(transparent)]
    Rendezvous(#[from] RendezvousError),
    #[error("the store cannot be opened")]
    Open(#[from] store::OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the database belongs to another index than this one, whose key is {key}: all replicas of an index have the same \
         file {path}, copied from the first"
    )]
    OtherOwner { key: IndexKey, path: PathBuf },
    #[error(transparent)]
    Replicas(#[from] PostError),
    #[error(transparent)]
    FirstInvite(#[from] FirstInviteError),
    #[error("the search index cannot be opened")]
    Search(#[from] indexer::OpenError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_told_another_host_only_if_the_rendezvous_has_one() {
        let host = |rendezvous: &str, main: &str| endpoint(rendezvous.parse().unwrap(), main.parse().unwrap()).host;
        assert_eq!(host("127.0.0.1:1", "127.0.0.1:2"), None);
        assert_eq!(host("0.0.0.0:1", "10.0.0.1:2"), None);
        assert_eq!(host("10.0.0.2:1", "10.0.0.1:2").as_deref(), Some("10.0.0.2"));
    }
}
