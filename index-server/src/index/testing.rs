//! An index without doors.

use std::sync::Arc;

use choir_shared::index_api::UdpEndpoint;

use super::*;
use crate::settings::Settings;
use crate::store::testing::World;

/// On the world's store. Nothing of it runs by itself.
pub(crate) async fn index(world: &World) -> Index {
    let settings = Settings::new(world.dir.path());
    let store = world.store.clone();
    let (_, search) = SearchEngine::open(&world.dir.path().join("search")).unwrap();
    Index::new(Parts {
        limits: Limits::new(&settings.limits),
        rendezvous: UdpEndpoint { host: None, port: 1 },
        search_turns: SearchTurns::new(1),
        changes: Semaphore::new(1),
        uploads: Uploads::new(&settings.limits),
        keys: IndexKeys::from_seed(&[7; 32]),
        search,
        online: Online::new(),
        presence: Presence::new().into(),
        watches: Watches::default().into(),
        roster: Arc::new(Roster::load(store.clone()).await.unwrap()),
        blocks: Blocks::load(&store).await.unwrap(),
        message_of_the_day: Mutex::default(),
        enforcing: tokio::sync::Mutex::default(),
        addresses: Arc::default(),
        replicas: None,
        join_host: JoinHost::new(None, ([127, 0, 0, 1], 1).into()).unwrap(),
        published: Notify::new(),
        caught_up: AtomicBool::new(false),
        indexed_revision: watch::Sender::new(0),
        connections: TaskTracker::new(),
        stopping: CancellationToken::new(),
        giving_up: CancellationToken::new(),
        library_locks: Locks::default(),
        settings,
        store,
    })
}
