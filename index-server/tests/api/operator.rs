//! The operator's commands, and what makes an index refuse to start.

use std::os::unix::fs::PermissionsExt as _;

use choir_index::admin::{AskError, Request, ask};
use choir_index::settings::Access;
use choir_index::{RunError, run};
use choir_shared::identity::SecretKey;
use choir_shared::index_api::{ErrorCode, Session};
use choir_shared::link::Link;
use tokio_util::sync::CancellationToken;

use crate::http::send;
use crate::web_socket::{Control, Heard};
use crate::world::World;

#[tokio::test]
async fn a_new_link_lets_a_new_member_in() {
    let world = World::start_with(|settings| settings.access = Access::Invite).await;
    let link = ask(&world.settings.data_dir, &Request::Link).await.unwrap();
    let Ok(Link::Join(join)) = link.parse() else { panic!("{link}") };
    assert_eq!(join.key, world.ready.join_link.key);
    assert_eq!(join.authority, world.address.to_string());
    assert_ne!(join.invite, world.ready.join_link.invite);
    let secret = SecretKey::from_seed(&[1; 32]);
    let _: Session = world.log_in(&secret, |login| login.invite = join.invite).await.json();

    let answer = ask(&world.settings.data_dir, &Request::Invite { uses: 1, days: 1 }).await.unwrap();
    let (invite, _link) = answer.split_once('\n').unwrap();
    for (seed, expected) in [(2, 200), (3, 403)] {
        let secret = SecretKey::from_seed(&[seed; 32]);
        let answer = world.log_in(&secret, |login| login.invite = Some(invite.to_owned())).await;
        assert_eq!(answer.status, expected, "one invite, one member");
    }
}

#[tokio::test]
async fn a_banned_peer_is_out_at_once_and_until_the_ban_is_lifted() {
    let world = World::start().await;
    let anna = world.peer(1).await;
    let mut control = Control::online(&anna).await;
    let ban = Request::Ban { target: anna.id().to_string(), reason: "noise".into(), days: None };
    ask(&world.settings.data_dir, &ban).await.unwrap();
    assert!(matches!(control.hear().await, Heard::Closed(_)));
    assert_eq!(anna.get("/me").await.code(), ErrorCode::Banned);
    assert_eq!(world.log_in(&anna.secret, |_| {}).await.code(), ErrorCode::Banned);

    let world = world.restart().await;
    assert_eq!(world.log_in(&anna.secret, |_| {}).await.code(), ErrorCode::Banned, "also after a restart");
    let lift = Request::Unban { target: anna.id().to_string() };
    ask(&world.settings.data_dir, &lift).await.unwrap();
    assert_eq!(world.log_in(&anna.secret, |_| {}).await.status, 200);
    assert!(matches!(ask(&world.settings.data_dir, &lift).await, Err(AskError::Refused(_))));
}

#[tokio::test]
async fn the_door_is_for_the_owner_of_the_folder_and_closed_when_nothing_runs() {
    let world = World::start().await;
    let socket = world.settings.data_dir.join("admin.sock");
    assert_eq!(std::fs::metadata(socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&world.settings.data_dir).unwrap().permissions().mode() & 0o777, 0o700);
    let (_folder, settings) = world.stop().await;
    let asked = ask(&settings.data_dir, &Request::Link).await;
    assert!(matches!(asked, Err(AskError::NotRunning { .. })), "{asked:?}");
}

#[tokio::test]
async fn a_second_index_on_the_same_folder_or_port_is_refused() {
    let world = World::start().await;
    let start = |settings| run(settings, |_| panic!("it runs"), CancellationToken::new());
    let error = start(world.settings.clone()).await.unwrap_err();
    assert!(matches!(error, RunError::DataDir(_)), "{error}");

    let elsewhere = tempfile::tempdir().unwrap();
    let mut settings = world.settings.clone();
    settings.data_dir = elsewhere.path().join("other");
    settings.listen = vec![world.address];
    let error = start(settings).await.unwrap_err();
    assert!(error.to_string().contains(&world.address.to_string()), "{error}");
}

#[tokio::test]
async fn metrics_have_a_listener_of_their_own() {
    let world = World::start_with(|settings| settings.metrics = Some("127.0.0.1:0".parse().unwrap())).await;
    let _peer = world.peer(1).await;
    let answer = send(world.ready.metrics.unwrap(), "GET", "/metrics", &[], b"").await;
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("choir_index_requests_total"), "{text}");
    assert_eq!(world.get("/metrics").await.status, 404);
}
