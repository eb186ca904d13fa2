use std::time::{Duration, Instant};

use choir_shared::identity::SecretKey;
use choir_shared::leaf::FileLength;
use choir_shared::{Digest, PeerId};
use tokio::sync::mpsc;

use super::*;
use crate::database::Database;
use crate::download::about::About;
use crate::download::alternate::Alternate;
use crate::download::links::Links;
use crate::download::parts::Parts;
use crate::download::turns::Turns;
use crate::download::{BoxFuture, Finder, FoundSource, IndexUnreachable, NoSession, Throttle};
use crate::session::Session;
use crate::session::asking::Arrivals;
use crate::store::LocalDisk;

/// No index answers; it tells when one is asked.
struct NoIndex(mpsc::Sender<()>);

impl Finder for NoIndex {
    fn sources(&self, _: FileId) -> BoxFuture<'_, Result<Vec<FoundSource>, IndexUnreachable>> {
        Box::pin(async {
            let _ = self.0.send(()).await;
            Err(IndexUnreachable("no index answers".into()))
        })
    }

    fn alternates<'a>(&'a self, _: FileId, _: &'a About) -> BoxFuture<'a, Vec<Alternate>> {
        Box::pin(std::future::ready(vec![]))
    }

    fn connect(&self, _: PeerId, _: FileId) -> BoxFuture<'_, Result<Session, NoSession>> {
        Box::pin(std::future::ready(Err(NoSession::Offline)))
    }

    fn misbehaved(&self, _: PeerId, _: FileId) {}

    fn is_banned(&self, _: PeerId) -> bool {
        false
    }

    fn is_distrusted(&self, _: PeerId, _: FileId) -> bool {
        false
    }
}

#[tokio::test]
async fn what_waits_for_an_index_goes_on_when_one_is_back() {
    /// After this it would ask by itself.
    const FIRST_PAUSE: Duration = Duration::from_secs(10);
    let folder = tempfile::tempdir().unwrap();
    let (database, _) = Database::open(&folder.path().join("peer.db")).await.unwrap();
    let (asks, mut asked) = mpsc::channel(9);
    let finder: Arc<dyn Finder> = Arc::new(NoIndex(asks));
    let workshop = Workshop {
        me: SecretKey::from_seed(&[1; 32]).peer_id(),
        links: Links::new(Arc::clone(&finder)),
        finder,
        disk: Arc::new(LocalDisk),
        arrivals: Arrivals::default(),
        parts: Parts::default(),
        attempts: Turns::new(1),
        transfers: Turns::new(1),
        throttle: Arc::new(Throttle::new(None)),
    };
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    let pool = database.pool().clone();
    let downloads = Downloads::open(pool, workshop, tracker.clone(), cancel.clone()).await.unwrap();
    let request = DownloadRequest { folder: folder.path().to_owned(), ..line(1, None, State::Searching).request };
    let id = downloads.start(request).await.unwrap().id;
    let start = Instant::now();
    asked.recv().await.unwrap();
    let unreachable = |status: &DownloadStatus| status.reason == Some(Why::IndexUnreachable);
    downloads.watch(id).unwrap().wait_for(unreachable).await.unwrap();
    downloads.index_is_back();
    asked.recv().await.unwrap();
    assert!(start.elapsed() < FIRST_PAUSE);
    cancel.cancel();
    tracker.close();
    tracker.wait().await;
}

fn line(id: i64, group: Option<&str>, state: State) -> Line {
    let request = DownloadRequest {
        file: FileId::new(Digest::of(&id.to_le_bytes()), FileLength::new(1).unwrap()),
        name: "a.flac".into(),
        folder: "/music".into(),
        group: group.map(str::to_owned),
        sources: vec![],
        priority: Priority::Normal,
        about: About::default(),
    };
    let status = DownloadStatus { state, ..DownloadStatus::of(&request) };
    Line { id: DownloadId(id), request, status }
}

#[test]
fn old_lines_are_forgotten_but_not_of_a_group_that_is_not_whole() {
    let mut lines = vec![
        line(1, None, State::Done),
        line(2, None, State::Waiting),
        line(3, Some("whole"), State::Done),
        line(4, Some("not whole"), State::Done),
        line(5, Some("not whole"), State::Cancelled),
        line(6, None, State::Failed),
        line(7, None, State::Cancelled),
    ];
    lines.extend((8..8 + KEPT_LINES as i64 - 1).map(|id| line(id, None, State::Done)));
    assert_eq!(too_old(&lines), BTreeSet::from([1, 3, 4, 5].map(DownloadId)));
    lines.push(line(9_999, Some("not whole"), State::Waiting));
    assert_eq!(too_old(&lines), BTreeSet::from([1, 3, 7].map(DownloadId)));
    lines.pop();
    lines.push(line(9_999, Some("whole"), State::Paused));
    assert_eq!(too_old(&lines), BTreeSet::from([1, 4, 5, 7].map(DownloadId)));
}
