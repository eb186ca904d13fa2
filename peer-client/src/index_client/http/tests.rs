use choir_shared::Digest;
use choir_shared::index_api::{CandidateKind, ErrorCode, Problem, TotalIs};
use choir_shared::leaf::FileLength;
use choir_shared::query::SearchParams;

use super::super::fake::{Canned, FakeIndex};
use super::*;

/// Short enough for a test to wait for, long enough for loopback on a busy machine.
const SHORT: Patience = Patience { connect: Duration::from_secs(5), total: Duration::from_millis(400) };

fn secret() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

fn peer_of(index: &FakeIndex) -> IndexHttp {
    IndexHttp::new(index.url.clone(), index.secret.index_key(), secret(), Patience::default()).unwrap()
}

fn impatient_peer_of(index: &FakeIndex) -> IndexHttp {
    IndexHttp::new(index.url.clone(), index.secret.index_key(), secret(), SHORT).unwrap()
}

fn file() -> FileId {
    FileId::new(Digest::of(b"song"), FileLength::new(3).unwrap())
}

fn query() -> Query {
    SearchParams { q: Some("song".into()), limit: Some(2), ..SearchParams::default() }.parse().unwrap()
}

fn row(file: FileId) -> SearchRow {
    serde_json::from_value(serde_json::json!({
        "file_id": file, "format": "flac", "size": file.length().bytes(), "sources": 1
    }))
    .unwrap()
}

fn page(rows: usize) -> SearchPage {
    let results = vec![row(file()); rows];
    SearchPage { total: rows as u64, total_is: TotalIs::Exact, next: None, results, facets: None, explain: None }
}

fn is_nonsense<T: std::fmt::Debug>(answer: Result<T, IndexError>) -> bool {
    match answer {
        Err(IndexError::Nonsense(_)) => true,
        other => panic!("nonsense was expected: {other:?}"),
    }
}

#[tokio::test]
async fn a_member_logs_in_once_and_has_a_ticket() {
    let index = FakeIndex::new(1).await;
    let peer = peer_of(&index);
    assert_eq!(peer.ticket(), None);
    for _ in 0..3 {
        index.answer_next("/search", Canned::json(&page(1)));
    }
    let (one, two) = (query(), query());
    let (first, second) = tokio::join!(peer.search(&one), peer.search(&two));
    assert_eq!((first.unwrap(), second.unwrap(), peer.search(&query()).await.unwrap()), (page(1), page(1), page(1)));
    assert_eq!(index.logins(), 1);
    assert_eq!(peer.ticket().unwrap().check(&secret().peer_id(), now_unix_s()), Ok(()));
    assert_eq!(peer.reached(), Some("127.0.0.1".parse().unwrap()));
    assert_eq!(peer.rendezvous_address().await.unwrap(), Some("127.0.0.1:8888".parse().unwrap()));
}

#[tokio::test]
async fn a_forgotten_login_is_renewed_once_for_each_request() {
    let index = FakeIndex::new(1).await;
    let peer = peer_of(&index);
    peer.join(None).await.unwrap();
    index.forget_logins();
    assert_eq!(peer.file(&file()).await.unwrap_err().code(), Some(ErrorCode::NotFound), "asked as a member");
    assert_eq!(index.logins(), 2);

    let never = Problem::new(ErrorCode::NotLoggedIn);
    index.answer_next("/search", Canned::Problem(never.clone()));
    index.answer_next("/search", Canned::Problem(never));
    assert_eq!(peer.search(&query()).await, Err(IndexError::NotLoggedIn));
    assert_eq!(index.asked("GET /search"), 2);
}

#[tokio::test]
async fn answers_that_break_the_rules_are_nonsense() {
    let index = FakeIndex::new(1).await;
    let peer = peer_of(&index);
    let lying_size = SearchPage { results: vec![SearchRow { size: 4, ..row(file()) }], ..page(1) };
    let searches = [
        Canned::Json("{".into()),
        Canned::Json("[]".into()),
        Canned::json(&page(3)),
        Canned::json(&lying_size),
        Canned::Bytes(MAX_PAGE_BYTES + 1),
    ];
    for canned in searches {
        index.answer_next("/search", canned);
        assert!(is_nonsense(peer.search(&query()).await));
    }
    let other = FileId::new(Digest::of(b"other"), FileLength::new(3).unwrap());
    index.answer_next(&format!("/files/{}", file()), Canned::json(&row(other)));
    assert!(is_nonsense(peer.file(&file()).await));

    let them = SecretKey::from_seed(&[9; 32]).peer_id();
    let candidate = choir_shared::index_api::Candidate {
        address: "224.0.0.1:6699".parse().unwrap(),
        kind: CandidateKind::Observed,
    };
    index.answer_next("/introductions", Canned::json(&Introduction { peer: them, candidates: vec![candidate] }));
    assert!(is_nonsense(peer.introduce(them, file()).await));
    index.answer_next("/introductions", Canned::json(&Introduction { peer: secret().peer_id(), candidates: vec![] }));
    assert!(is_nonsense(peer.introduce(them, file()).await));
}

#[tokio::test]
async fn an_index_that_keeps_silent_is_not_waited_for() {
    let index = FakeIndex::new(1).await;
    let peer = impatient_peer_of(&index);
    peer.join(None).await.unwrap();
    index.answer_next("/search", Canned::Silence);
    let error = peer.search(&query()).await.unwrap_err();
    assert!(matches!(&error, IndexError::Unreachable { reason, .. } if reason == "no answer within 400ms"), "{error}");
}

#[tokio::test]
async fn an_index_that_is_down_is_said_to_be() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    super::super::install_crypto();
    let error = IndexHttp::discover(&nobody.to_string(), None, &secret(), SHORT).await.map(|_| ()).unwrap_err();
    assert!(matches!(&error, IndexError::Unreachable { reason, .. } if reason.contains("refused")), "{error}");
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let index = FakeIndex::new(1).await;
    let peer = peer_of(&index);
    index.answer_next("/sessions", Canned::Problem(Problem::new(ErrorCode::InviteNeeded)));
    assert_eq!(peer.search(&query()).await, Err(IndexError::InviteNeeded));
    let slow_down = Problem::new(ErrorCode::RateLimited).retry_after_s(7);
    index.answer_next("/search", Canned::Problem(slow_down));
    assert_eq!(peer.search(&query()).await, Err(IndexError::RateLimited { retry_after: Duration::from_secs(7) }));
    index.answer_next("/me", Canned::Problem(Problem::new(ErrorCode::NameTaken)));
    let error = peer.update_me(&MeUpdate { name: Some("ann".into()), browsable: None }).await.unwrap_err();
    assert_eq!(
        (error.code(), error.to_string()),
        (Some(ErrorCode::NameTaken), "the index refuses: the name is taken".into())
    );
}

#[tokio::test]
async fn another_key_is_never_passed_over() {
    let index = FakeIndex::new(1).await;
    let pinned = SecretKey::from_seed(&[2; 32]).index_key();
    let peer = IndexHttp::new(index.url.clone(), pinned, secret(), Patience::default()).unwrap();
    let changed = IndexError::KeyChanged { url: index.url.clone(), pinned, found: Some(index.secret.index_key()) };
    assert_eq!(peer.info().await.unwrap_err(), changed);
    assert_eq!(peer.search(&query()).await.unwrap_err(), changed);
    assert_eq!(index.logins(), 0, "nothing was signed");
    assert!(changed.to_string().contains("HAS ANOTHER KEY"));
}

#[tokio::test]
async fn a_ticket_of_another_index_is_no_login() {
    let index = FakeIndex::new(1).await;
    let peer = peer_of(&index);
    let forged = choir_shared::ticket::Ticket {
        index: index.secret.index_key(),
        ..choir_shared::ticket::Ticket::issue(&secret(), secret().peer_id(), u64::MAX)
    };
    let session = choir_shared::index_api::Session { token: "t".into(), expires_in_s: 60, ticket: forged, name: None };
    index.answer_next("/sessions", Canned::json(&session));
    assert!(is_nonsense(peer.join(None).await));
    assert_eq!(peer.ticket(), None);
}

#[tokio::test]
async fn a_pinned_certificate_needs_no_authority() {
    let index = FakeIndex::over_tls(1, 1).await;
    let peer = peer_of(&index);
    assert_eq!(peer.info().await.unwrap().name, "Test");
    peer.join(None).await.unwrap();
}

#[tokio::test]
async fn a_certificate_on_another_index_key_is_a_changed_key() {
    let index = FakeIndex::over_tls(1, 3).await;
    let peer = peer_of(&index);
    let found = Some(SecretKey::from_seed(&[3; 32]).index_key());
    let changed = IndexError::KeyChanged { url: index.url.clone(), pinned: index.secret.index_key(), found };
    assert_eq!(peer.info().await.unwrap_err(), changed);
    assert_eq!(index.asked("GET /info"), 0, "not a byte of HTTP was spoken");
}

#[tokio::test]
async fn a_copied_certificate_without_its_secret_is_worth_nothing() {
    let index = FakeIndex::impostor(1).await;
    assert!(matches!(peer_of(&index).info().await, Err(IndexError::Unreachable { .. })));
    let discovered = IndexHttp::discover(&index.url.to_string(), None, &secret(), Patience::default()).await;
    assert!(matches!(discovered.map(|_| ()), Err(IndexError::Unreachable { .. })));
    assert_eq!(index.asked("GET /info"), 0);
}

#[tokio::test]
async fn whoever_has_no_key_yet_pins_what_it_sees_if_it_is_of_one_piece() {
    let honest = FakeIndex::over_tls(1, 1).await;
    let address = honest.url.authority();
    let (peer, info) = IndexHttp::discover(&address, None, &secret(), Patience::default()).await.unwrap();
    assert_eq!((peer.key(), info.key), (honest.secret.index_key(), honest.secret.index_key()));
    assert!(peer.url().is_encrypted(), "{address} is asked over both");

    let two_faced = FakeIndex::over_tls(1, 3).await;
    assert!(matches!(
        IndexHttp::discover("music.example/x", None, &secret(), SHORT).await.map(|_| ()),
        Err(IndexError::BadAddress { .. })
    ));
    let refused = IndexHttp::discover(&two_faced.url.to_string(), None, &secret(), Patience::default()).await;
    assert!(matches!(refused.map(|_| ()), Err(IndexError::KeyChanged { .. })));
}

#[tokio::test]
async fn what_is_no_index_is_called_so() {
    let index = FakeIndex::new(1).await;
    let peer = peer_of(&index);
    let canned = [
        Canned::Json("<html>".into()),
        Canned::Problem(Problem::new(ErrorCode::NotFound)),
        Canned::Bytes(MAX_INFO_BYTES + 1),
    ];
    for canned in canned {
        index.answer_next("/info", canned);
        assert!(matches!(peer.info().await, Err(IndexError::NotAnIndex { .. })));
    }
    let mut later = serde_json::to_value(&*peer.info().await.unwrap()).unwrap();
    later["protocol_min"] = 2.into();
    later["protocol_max"] = 3.into();
    index.answer_next("/info", Canned::json(&later));
    assert_eq!(peer.info().await.unwrap_err(), IndexError::Incompatible { min: 2, max: 3 });
}

#[tokio::test]
async fn what_one_replica_cannot_do_the_next_is_asked_and_stays_the_one_to_ask() {
    let (first, second) = (FakeIndex::new(1).await, FakeIndex::new(1).await);
    let peer = peer_of(&first);
    peer.login().await.unwrap();
    peer.know_replicas(std::slice::from_ref(&second.url));
    first.answer_next("/search", Canned::Problem(Problem::new(ErrorCode::Unavailable)));
    for _ in 0..2 {
        second.answer_next("/search", Canned::json(&page(1)));
        assert_eq!(peer.search(&query()).await.unwrap().results.len(), 1);
    }
    assert_eq!((first.asked("GET /search"), second.asked("GET /search")), (1, 2));
}

#[tokio::test]
async fn where_nobody_listens_any_more_the_next_replica_is_asked() {
    let (index, gone) = (FakeIndex::new(1).await, "http://127.0.0.1:1".parse().unwrap());
    let peer = IndexHttp::new(gone, index.secret.index_key(), secret(), Patience::default()).unwrap();
    assert!(matches!(peer.login().await, Err(IndexError::Unreachable { .. })));
    peer.know_replicas(std::slice::from_ref(&index.url));
    index.answer_next("/search", Canned::json(&page(1)));
    assert_eq!(peer.search(&query()).await.unwrap().results.len(), 1);
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_no_other_replica_is_asked() {
    let (first, second) = (FakeIndex::new(1).await, FakeIndex::new(1).await);
    let peer = peer_of(&first);
    peer.login().await.unwrap();
    peer.know_replicas(std::slice::from_ref(&second.url));
    first.answer_next("/search", Canned::Problem(Problem::new(ErrorCode::RateLimited)));
    assert!(matches!(peer.search(&query()).await, Err(IndexError::RateLimited { .. })));
    assert_eq!(second.asked("GET /search"), 0);
}
