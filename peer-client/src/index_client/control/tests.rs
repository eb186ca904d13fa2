use choir_shared::Digest;
use choir_shared::control::FromIndex;
use choir_shared::identity::SecretKey;
use choir_shared::index_api::{ErrorCode, Problem};
use choir_shared::leaf::FileLength;
use choir_shared::library::LibraryDigest;
use tokio::task::JoinHandle;

use super::super::Patience;
use super::super::fake::{Canned, FakeIndex};
use super::*;

struct NothingShared;

impl Reported for NothingShared {
    async fn states(&self) -> Result<Vec<CollectionState>, IndexError> {
        Ok(vec![everyone()])
    }
}

fn everyone() -> CollectionState {
    CollectionState { collection: "everyone".into(), generation: 3, digest: LibraryDigest::EMPTY }
}

/// A control task and its ends of the channels.
struct Peer {
    state: watch::Receiver<LinkState>,
    wanted: watch::Sender<Wanted>,
    events: mpsc::Receiver<IndexEvent>,
    notices: mpsc::Receiver<Notice>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Peer {
    fn of(index: &FakeIndex) -> Self {
        Self::with(index, Timing::default())
    }

    fn with(index: &FakeIndex, timing: Timing) -> Self {
        let secret = SecretKey::from_seed(&[7; 32]);
        let http = IndexHttp::new(index.url.clone(), index.secret.index_key(), secret, Patience::default()).unwrap();
        let (state, state_seen) = watch::channel(LinkState::Connecting);
        let (wanted, wanted_seen) = watch::channel(Wanted::default());
        let (events, events_seen) = mpsc::channel(4);
        let (notices, notices_seen) = mpsc::channel(4);
        let stop = CancellationToken::new();
        let control = Control {
            http: Arc::new(http),
            reported: NothingShared,
            wanted: wanted_seen,
            state,
            events,
            notices,
            timing,
            stop: stop.clone(),
        };
        let task = tokio::spawn(control.run());
        Self { state: state_seen, wanted, events: events_seen, notices: notices_seen, stop, task }
    }

    async fn online(&mut self) {
        self.state.wait_for(|state| matches!(state, LinkState::Online { .. })).await.unwrap();
    }

    async fn refusal(&mut self) -> String {
        let state = self.state.wait_for(|state| matches!(state, LinkState::Refused { .. })).await.unwrap();
        format!("{state:?}")
    }
}

fn files(count: u64) -> Vec<FileId> {
    (1..=count).map(|number| FileId::new(Digest::of(&number.to_be_bytes()), FileLength::new(number).unwrap())).collect()
}

#[tokio::test]
async fn a_peer_is_online_when_it_was_welcomed() {
    let mut index = FakeIndex::new(1).await;
    let mut peer = Peer::of(&index);
    let mut control = index.control().await;
    let FromPeer::Hello { collections, .. } = control.hear().await.unwrap() else { panic!("hello comes first") };
    assert_eq!(collections, [everyone()]);
    assert_eq!(*peer.state.borrow(), LinkState::Connecting);

    let known = CollectionState { generation: 1, ..everyone() };
    control.say(&FromIndex::Welcome { resync: vec![known.clone()] }).await;
    peer.online().await;
    let Some(Notice::Welcomed { said, resync }) = peer.notices.recv().await else { panic!("the publisher is told") };
    assert_eq!((said, resync), (vec![everyone()], vec![known]));

    peer.stop.cancel();
    peer.task.await.unwrap();
    assert_eq!(control.hear().await, None);
}

#[tokio::test]
async fn the_control_connection_is_pinned_too() {
    let mut index = FakeIndex::over_tls(1, 1).await;
    let mut peer = Peer::of(&index);
    let mut control = index.control().await;
    control.welcome().await;
    peer.online().await;

    let posing = FakeIndex::over_tls(1, 3).await;
    assert!(Peer::of(&posing).refusal().await.contains("HAS ANOTHER KEY"));
}

#[tokio::test]
async fn what_the_index_says_is_passed_on() {
    let mut index = FakeIndex::new(1).await;
    let mut peer = Peer::of(&index);
    let mut control = index.control().await;
    control.welcome().await;
    let them = SecretKey::from_seed(&[9; 32]).peer_id();
    let file = files(1)[0];
    control.say_text(r#"{"type":"from_the_future"}"#).await;
    control.say(&FromIndex::Introduction { peer: them, name: None, file, candidates: vec![] }).await;
    control.say(&FromIndex::Available { files: vec![file] }).await;
    let told = [
        Told::Online,
        Told::Introduced { peer: them, name: None, file, candidates: vec![] },
        Told::Available { files: vec![file] },
    ];
    for what in told {
        assert_eq!(peer.events.recv().await.unwrap(), IndexEvent { index: index.secret.index_key(), what });
    }
    assert!(matches!(peer.notices.recv().await, Some(Notice::Welcomed { .. })));
    control.say(&FromIndex::Resync(everyone())).await;
    assert!(matches!(peer.notices.recv().await, Some(Notice::Resync(state)) if state == everyone()));
}

#[tokio::test]
async fn a_lost_connection_comes_back_and_says_again_what_is_wanted() {
    let mut index = FakeIndex::new(1).await;
    let mut peer = Peer::of(&index);
    let mut control = index.control().await;
    control.welcome().await;
    peer.online().await;
    peer.wanted.send_replace(Wanted { watch: files(1), fetching: vec![] });
    assert_eq!(control.hear().await, Some(FromPeer::Watch { files: files(1) }));
    peer.wanted.send_replace(Wanted { watch: files(1), fetching: files(2) });
    assert_eq!(control.hear().await, Some(FromPeer::Fetching { files: files(2) }), "only what has changed is said");

    drop(control);
    let mut control = index.control().await;
    assert!(matches!(control.welcome().await, FromPeer::Hello { .. }));
    assert_eq!(control.hear().await, Some(FromPeer::Watch { files: files(1) }));
    assert_eq!(control.hear().await, Some(FromPeer::Fetching { files: files(2) }));
    peer.online().await;
}

#[tokio::test]
async fn lists_are_cut_to_what_an_index_takes() {
    let mut index = FakeIndex::new(1).await;
    let peer = Peer::of(&index);
    peer.wanted.send_replace(Wanted { watch: files(700), fetching: files(200) });
    let mut control = index.control().await;
    control.welcome().await;
    assert_eq!(control.hear().await, Some(FromPeer::Watch { files: files(MAX_WATCHED as u64) }));
    assert_eq!(control.hear().await, Some(FromPeer::Fetching { files: files(MAX_FETCHING as u64) }));
}

#[tokio::test]
async fn a_superseded_peer_stays_away() {
    let mut index = FakeIndex::new(1).await;
    let mut peer = Peer::of(&index);
    let mut control = index.control().await;
    control.welcome().await;
    control.say(&FromIndex::Superseded).await;
    assert!(peer.refusal().await.contains("another program uses this peer's key"));
    peer.task.await.unwrap();
    assert_eq!(index.asked("GET /control"), 1);
}

#[tokio::test]
async fn an_index_that_restarts_is_returned_to() {
    let mut index = FakeIndex::new(1).await;
    let _peer = Peer::of(&index);
    let mut control = index.control().await;
    control.welcome().await;
    control.say(&FromIndex::Closing { reconnect_spread_s: 0 }).await;
    index.control().await.welcome().await;
}

#[tokio::test]
async fn nonsense_ends_the_connection() {
    let mut index = FakeIndex::new(1).await;
    let mut peer = Peer::of(&index);
    for nonsense in ["{".to_owned(), format!("\"{}\"", "x".repeat(100_000))] {
        let mut control = index.control().await;
        control.hear().await.unwrap();
        control.say_text(&nonsense).await;
        peer.state
            .wait_for(|state| matches!(state, LinkState::Offline { reason } if reason.contains("nonsense")))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_silent_index_is_given_up() {
    let mut index = FakeIndex::new(1).await;
    let timing = Timing { silence: Duration::from_millis(50), ..Timing::default() };
    let mut peer = Peer::with(&index, timing);
    let mut control = index.control().await;
    control.welcome().await;
    peer.state
        .wait_for(|state| matches!(state, LinkState::Offline { reason } if reason.contains("silent")))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_forgotten_login_and_a_ban_are_told_apart() {
    let mut index = FakeIndex::new(1).await;
    index.answer_next("/control", Canned::Problem(Problem::new(ErrorCode::NotLoggedIn)));
    let mut peer = Peer::of(&index);
    let mut control = index.control().await;
    control.welcome().await;
    peer.online().await;
    assert_eq!(index.logins(), 2);

    index.answer_next("/control", Canned::Problem(Problem::new(ErrorCode::Banned).detail("spam")));
    let mut banned = Peer::of(&index);
    assert!(banned.refusal().await.contains("banned from this index: spam"));
}
