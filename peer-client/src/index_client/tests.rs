use choir_shared::Digest;
use choir_shared::index_api::{Reach, SearchPage, Sources, TotalIs};
use choir_shared::leaf::FileLength;
use choir_shared::query::SearchParams;

use super::fake::{Canned, FakeIndex};
use super::*;

/// Nothing is shared.
struct EmptyLibrary(watch::Sender<u64>);

impl PublishedLibrary for EmptyLibrary {
    async fn collections(&self) -> Result<Vec<CollectionSummary>, LibraryError> {
        Ok(vec![])
    }

    async fn changes_since(&self, collection: &str, _: u64, _: usize) -> Result<ChangesPage, LibraryError> {
        Err(LibraryError(format!("there is no {collection}")))
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// A client of `indexes`, and what stops it.
struct Peer {
    client: IndexClient,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Peer {
    fn of(indexes: &[&FakeIndex]) -> Self {
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let library = Arc::new(EmptyLibrary(watch::channel(0).0));
        let secret = SecretKey::from_seed(&[7; 32]);
        let client = IndexClient::new(secret, library, mpsc::channel(4).0, tracker.clone(), stop.clone());
        for index in indexes {
            let membership = Membership::new(index.url.clone(), index.secret.index_key(), "Test");
            client.start(&membership, None).unwrap();
        }
        Self { client, tracker, stop }
    }

    async fn stopped(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

fn file(number: u64) -> FileId {
    FileId::new(Digest::of(&number.to_be_bytes()), FileLength::new(number).unwrap())
}

fn page(numbers: &[u64]) -> SearchPage {
    let row = |&number: &u64| {
        serde_json::from_value(serde_json::json!({
            "file_id": file(number), "format": "flac", "size": number, "sources": 1
        }))
        .unwrap()
    };
    SearchPage {
        total: 2,
        total_is: TotalIs::Exact,
        next: None,
        results: numbers.iter().map(row).collect(),
        facets: None,
        explain: None,
    }
}

fn query() -> Query {
    SearchParams { q: Some("song".into()), ..SearchParams::default() }.parse().unwrap()
}

#[tokio::test]
async fn the_loss_of_one_index_is_only_a_remark() {
    let (one, lost, other) = (FakeIndex::new(1).await, FakeIndex::new(2).await, FakeIndex::new(3).await);
    let peer = Peer::of(&[&one, &lost, &other]);
    one.answer_next("/search", Canned::json(&page(&[1, 2])));
    lost.answer_next("/search", Canned::Silence);
    other.answer_next("/search", Canned::json(&page(&[3, 1])));
    let found = peer.client.search_all(&query(), &[]).await;
    let mut sizes: Vec<_> = found.rows.iter().map(|row| row.row.size).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2, 3]);
    assert_eq!(found.errors.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [lost.secret.index_key()]);

    let source = |seed: u8| Source {
        peer: SecretKey::from_seed(&[seed; 32]).peer_id(),
        name: None,
        reach: Reach::Direct,
        complete: true,
    };
    let path = format!("/files/{}/sources", file(1));
    one.answer_next(&path, Canned::json(&Sources { sources: vec![source(8), source(7)], online: 2 }));
    let sources = peer.client.sources(&file(1)).await.unwrap();
    assert_eq!(sources, [(one.secret.index_key(), source(8))], "this peer is no source for itself");
    peer.stopped().await;
}

#[tokio::test]
async fn one_index_can_be_asked_alone() {
    let (one, other) = (FakeIndex::new(1).await, FakeIndex::new(2).await);
    let peer = Peer::of(&[&one, &other]);
    other.answer_next("/search", Canned::json(&page(&[3])));
    let found = peer.client.search_all(&query(), &[other.secret.index_key()]).await;
    assert_eq!((found.rows.len(), found.total_is, found.errors), (1, TotalIs::Exact, vec![]));
    assert_eq!(one.asked("GET /search"), 0);
    peer.stopped().await;
}

#[tokio::test]
async fn an_index_that_was_left_is_forgotten_and_its_tasks_end() {
    let mut index = FakeIndex::new(1).await;
    let peer = Peer::of(&[&index]);
    let key = index.secret.index_key();
    let mut control = index.control().await;
    control.welcome().await;
    let mut link = peer.client.link(&key).unwrap();
    link.wait_for(|state| matches!(state, LinkState::Online { .. })).await.unwrap();
    assert_eq!(peer.client.ticket(&key).unwrap().index, key);

    peer.client.stop(&key);
    assert_eq!(control.hear().await, None);
    peer.tracker.close();
    peer.tracker.wait().await;
    assert!(peer.client.states().is_empty() && peer.client.ticket(&key).is_none());
}
