//! Who gets in.

use choir_index::settings::Access;
use choir_shared::identity::{SecretKey, Signature};
use choir_shared::index_api::{self, ErrorCode, Me, PREFIX, Session};
use choir_shared::ticket::Ticket;

use crate::world::World;

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

#[tokio::test]
async fn anyone_may_read_what_the_index_says_of_itself() {
    let world = World::start_with(|settings| settings.description.name = "Test tones".into()).await;
    let info = world.info().await;
    assert_eq!((info.name.as_str(), info.access), ("Test tones", index_api::Access::Open));
    assert_eq!(info.rendezvous.unwrap().port, world.ready.rendezvous.port());
    assert_eq!(world.ready.join_link.key, Some(info.key));
    assert_eq!(world.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_peer_logs_in_by_its_key_and_keeps_its_session_over_a_restart() {
    let world = World::start().await;
    let mut peer = world.peer(1).await;
    let me: Me = peer.get("/me").await.json();
    assert_eq!((me.peer, me.name), (peer.id(), None));
    let Ticket { index, expires_unix_s, .. } = peer.session.ticket.clone();
    assert_eq!(index, world.info().await.key);
    assert_eq!(peer.session.ticket.check(&peer.id(), expires_unix_s), Ok(()));

    let world = world.restart().await;
    peer.address = world.address;
    assert_eq!(peer.get("/me").await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn a_wrong_signature_a_strange_challenge_and_a_forged_token_are_refused() {
    let world = World::start().await;
    let wrong = world.log_in(&secret(1), |login| login.signature = Signature::new([7; 64])).await;
    assert_eq!((wrong.status, wrong.code()), (401, ErrorCode::LoginFailed));
    let other = world.log_in(&secret(1), |login| login.peer = secret(2).peer_id()).await;
    assert_eq!(other.code(), ErrorCode::LoginFailed);
    let strange = world.log_in(&secret(1), |login| login.challenge = "A".repeat(75)).await;
    assert_eq!(strange.code(), ErrorCode::LoginFailed);

    let mut peer = world.peer(1).await;
    assert_eq!(world.get(&format!("{PREFIX}/me")).await.code(), ErrorCode::NotLoggedIn);
    peer.session.token.insert(10, 'A');
    assert_eq!(peer.get("/me").await.code(), ErrorCode::NotLoggedIn);
}

#[tokio::test]
async fn an_index_with_invites_takes_whoever_has_one_and_remembers_them() {
    let world = World::start_with(|settings| settings.access = Access::Invite).await;
    assert_eq!(world.log_in(&secret(1), |_| {}).await.code(), ErrorCode::InviteNeeded);
    let guess = world.log_in(&secret(1), |login| login.invite = Some("wrong".into())).await;
    assert_eq!(guess.code(), ErrorCode::InviteInvalid);

    let invite = world.ready.join_link.invite.clone();
    assert!(invite.is_some());
    let _: Session = world.log_in(&secret(1), |login| login.invite = invite.clone()).await.json();
    let _: Session = world.log_in(&secret(1), |_| {}).await.json();

    let world = world.restart().await;
    assert_eq!(world.ready.join_link.invite, invite, "the first link stays good");
}

#[tokio::test]
async fn a_closed_index_takes_nobody_new() {
    let world = World::start_with(|settings| settings.access = Access::Closed).await;
    let invited = world.log_in(&secret(1), |login| login.invite = Some("any".into())).await;
    assert_eq!(invited.code(), ErrorCode::Closed);
}

#[tokio::test]
async fn names_are_claims_and_whoever_erases_itself_is_gone() {
    let world = World::start().await;
    let (anna, bert) = (world.peer(1).await, world.peer(2).await);
    let me: Me = anna.send("PUT", "/me", &[], br#"{"name": "Anna"}"#).await.json();
    assert_eq!(me.name.as_deref(), Some("Anna"));
    assert_eq!(bert.send("PUT", "/me", &[], br#"{"name": "anna"}"#).await.code(), ErrorCode::NameTaken);
    assert_eq!(bert.send("PUT", "/me", &[], br#"{"name": "admin"}"#).await.code(), ErrorCode::BadClaim);

    assert_eq!(anna.send("DELETE", "/me", &[], b"").await.status, 204);
    assert_eq!(anna.get("/me").await.code(), ErrorCode::NotLoggedIn);
    assert_eq!(bert.get(&format!("/peers/{}", anna.id())).await.code(), ErrorCode::NotFound);
    let me: Me = bert.send("PUT", "/me", &[], br#"{"name": "anna"}"#).await.json();
    assert_eq!(me.name.as_deref(), Some("anna"));
    let again = world.peer(1).await;
    assert_eq!(anna.get("/me").await.code(), ErrorCode::NotLoggedIn, "an old session is no way back");
    assert_eq!(again.get("/me").await.status, 200);
}
