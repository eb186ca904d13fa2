//! Finding members by key and by name.

use std::num::NonZeroU32;

use choir_index::admin::{Request, ask};
use choir_shared::index_api::{ErrorCode, LibraryPage, Profile};
use choir_shared::link::encode;
use serde_json::json;

use crate::http::Response;
use crate::world::{Peer, World};

async fn call_oneself(peer: &Peer, name: &str) {
    let body = serde_json::to_vec(&json!({ "name": name })).unwrap();
    assert_eq!(peer.send("PUT", "/me", &[], &body).await.status, 200, "{name}");
}

async fn look_up(asker: &Peer, who: &str) -> Response {
    asker.get(&format!("/peers/{}", encode(who))).await
}

#[tokio::test]
async fn a_name_means_whoever_has_it_however_it_is_typed() {
    let world = World::start().await;
    let (mut anna, bert) = (world.peer(1).await, world.peer(2).await);
    call_oneself(&anna, "Ágnes / 50%").await;
    anna.publish(&["One"]).await;
    for typed in ["Ágnes / 50%", "agnes / 50%", "  ÁGNES   / 50% ", &anna.id().to_string()] {
        let profile: Profile = look_up(&bert, typed).await.json();
        assert_eq!((profile.peer, profile.name.as_deref()), (anna.id(), Some("Ágnes / 50%")), "{typed}");
        let library: LibraryPage = bert.get(&format!("/peers/{}/library?folder=Music", encode(typed))).await.json();
        assert_eq!((library.peer, library.name.as_deref()), (Some(anna.id()), Some("Ágnes / 50%")), "{typed}");
        assert_eq!(library.folders[0].path, "Music/Mixed");
    }
    for nobody in ["Ágnes", "root", "bad\u{202e}", "%", &"x".repeat(33), &"a".repeat(52)] {
        assert_eq!(look_up(&bert, nobody).await.code(), ErrorCode::NotFound, "{nobody:?}");
    }
    assert_eq!(bert.get("/peers/%FF").await.code(), ErrorCode::NotFound);
}

#[tokio::test]
async fn a_look_alike_is_named_and_not_taken_for_the_one_that_was_meant() {
    let world = World::start().await;
    let (paula, bert) = (world.peer(1).await, world.peer(2).await);
    call_oneself(&paula, "Paula").await;
    // The first two letters are Cyrillic.
    for typed in ["Раula", "Pau1a"] {
        for path in ["", "/library"] {
            let refused = bert.get(&format!("/peers/{}{path}", encode(typed))).await;
            assert_eq!(refused.code(), ErrorCode::NotFound, "{typed}");
            let detail = refused.problem().detail.unwrap();
            assert!(detail.contains("Paula looks like it") && detail.contains(&paula.id().to_string()), "{detail}");
        }
    }
    call_oneself(&bert, "Pola").await;
    let profile: Profile = look_up(&bert, "pola").await.json();
    assert_eq!(profile.peer, bert.id());
}

#[tokio::test]
async fn a_name_opens_no_door_that_the_key_does_not() {
    let world = World::start_with(|settings| {
        settings.limits.browses_per_minute = NonZeroU32::new(4).unwrap();
    })
    .await;
    let (anna, bert, carl) = (world.peer(1).await, world.peer(2).await, world.peer(3).await);
    call_oneself(&anna, "Anna").await;
    assert_eq!(anna.send("PUT", "/me", &[], br#"{"browsable": false}"#).await.status, 200);
    assert_eq!(bert.get("/peers/anna/library").await.code(), ErrorCode::NotBrowsable);
    assert_eq!(anna.get("/peers/anna/library").await.status, 200);

    let ban = Request::Ban { target: anna.id().to_string(), reason: "noise".into(), days: None };
    ask(&world.settings.data_dir, &ban).await.unwrap();
    for typed in ["Anna", "Аnna"] {
        let gone = look_up(&bert, typed).await;
        assert_eq!(gone.code(), ErrorCode::NotFound, "{typed}");
        assert_eq!(gone.problem().detail, None, "who is banned is not pointed at");
    }

    assert_eq!(look_up(&bert, "nobody else").await.code(), ErrorCode::NotFound);
    assert_eq!(look_up(&bert, "anna").await.code(), ErrorCode::RateLimited, "names are not there to be guessed");
    assert_eq!(look_up(&carl, "anna").await.code(), ErrorCode::NotFound);
}
