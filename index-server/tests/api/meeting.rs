//! Control connections, introductions, the rendezvous.

use std::net::UdpSocket;
use std::sync::Arc;

use choir_shared::control::{CollectionState, FromIndex, FromPeer};
use choir_shared::identity::SecretKey;
use choir_shared::index_api::{CandidateKind, ErrorCode, Introduction, Reach, SearchPage, Sources};
use choir_shared::library::LibraryDigest;
use choir_shared::rendezvous::Observed;
use choir_shared::wire::{CloseCode, HEADER_BYTES, Header, decode};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint};

use crate::tls;
use crate::web_socket::{Control, Heard, hello};
use crate::world::{World, song};

fn state(generation: u64, digest: LibraryDigest) -> CollectionState {
    CollectionState { collection: "everyone".into(), generation, digest }
}

#[tokio::test]
async fn the_welcome_names_what_both_sides_know_differently() {
    let world = World::start().await;
    let mut anna = world.peer(1).await;
    let answer = anna.publish(&["One"]).await;
    let known = state(1, answer.digest);

    let (_control, welcome) = Control::open(&anna, &hello(vec![known.clone()])).await;
    assert_eq!(welcome, FromIndex::Welcome { resync: vec![] });
    let (_control, welcome) = Control::open(&anna, &hello(vec![state(5, LibraryDigest::EMPTY)])).await;
    assert_eq!(welcome, FromIndex::Welcome { resync: vec![known] });
}

#[tokio::test]
async fn the_newest_connection_of_a_key_wins_and_the_older_is_told() {
    let world = World::start().await;
    let anna = world.peer(1).await;
    let mut older = Control::online(&anna).await;
    let _newer = Control::online(&anna).await;
    assert_eq!(older.message().await, FromIndex::Superseded);
    assert_eq!(older.hear().await, Heard::Closed(Some(1000)));
}

#[tokio::test]
async fn unknown_messages_are_ignored_and_junk_ends_the_connection() {
    let world = World::start().await;
    let anna = world.peer(1).await;
    let mut control = Control::silent(&anna).await;
    control.say_text(r#"{"type": "from the future", "x": [1]}"#).await;
    control.say(&hello(vec![])).await;
    assert_eq!(control.message().await, FromIndex::Welcome { resync: vec![] });
    control.say_text("junk").await;
    assert_eq!(control.hear().await, Heard::Closed(Some(1008)));
}

#[tokio::test]
async fn who_waits_for_a_file_is_told_when_it_can_be_had() {
    let world = World::start().await;
    let (mut anna, bert) = (world.peer(1).await, world.peer(2).await);
    let mut waiting = Control::online(&bert).await;
    waiting.say(&FromPeer::Watch { files: vec![song("Rare"), song("Rarer")] }).await;

    anna.publish(&["Rare"]).await;
    let _control = Control::online(&anna).await;
    assert_eq!(waiting.message().await, FromIndex::Available { files: vec![song("Rare")] });
    anna.publish(&["Rarer", "Common"]).await;
    assert_eq!(waiting.message().await, FromIndex::Available { files: vec![song("Rarer")] });

    waiting.say(&FromPeer::Watch { files: vec![song("Common")] }).await;
    assert_eq!(waiting.message().await, FromIndex::Available { files: vec![song("Common")] });
}

#[tokio::test]
async fn who_waits_is_told_of_every_new_source_and_of_none_twice() {
    let world = World::start().await;
    let (mut anna, bert, mut carl) = (world.peer(1).await, world.peer(2).await, world.peer(3).await);
    anna.publish(&["Rare"]).await;
    let _annas = Control::online(&anna).await;
    let mut waiting = Control::online(&bert).await;
    waiting.say(&FromPeer::Watch { files: vec![song("Rare")] }).await;
    let rare = FromIndex::Available { files: vec![song("Rare")] };
    assert_eq!(waiting.message().await, rare);

    carl.publish(&["Rare"]).await;
    let _carls = Control::online(&carl).await;
    assert_eq!(waiting.message().await, rare, "somebody else has it, too");
    let _annas = Control::online(&anna).await;
    assert_eq!(waiting.message().await, rare, "who was lost may be met again");

    anna.publish(&["Rare", "Other"]).await;
    waiting.say(&FromPeer::Watch { files: vec![song("Rare"), song("Other")] }).await;
    assert_eq!(waiting.message().await, FromIndex::Available { files: vec![song("Other")] }, "that is the only news");
}

#[tokio::test]
async fn an_index_that_stops_says_when_to_come_back() {
    let world = World::start_with(|settings| settings.limits.reconnect_spread_seconds = 7).await;
    let mut control = Control::online(&world.peer(1).await).await;
    let stopped = tokio::spawn(world.stop());
    assert_eq!(control.message().await, FromIndex::Closing { reconnect_spread_s: 7 });
    assert_eq!(control.hear().await, Heard::Closed(Some(1001)));
    stopped.await.unwrap();
}

#[tokio::test]
async fn a_member_learns_its_address_and_others_get_it_by_introduction_only() {
    let world = World::start().await;
    let (mut anna, bert) = (world.peer(1).await, world.peer(2).await);
    anna.publish(&["Meeting"]).await;
    let file = song("Meeting");

    assert_eq!(bert.introduction(&anna, file).await.code(), ErrorCode::Offline);
    let mut control = Control::online(&anna).await;
    let met = Meeting::of(&world, &anna.secret).await;
    let at = met.observed().await;
    assert_eq!(at, met.endpoint.local_addr().unwrap());
    let bert_met = Meeting::of(&world, &bert.secret).await;
    let bert_at = bert_met.observed().await;

    assert_eq!(bert.introduction(&anna, song("Other")).await.code(), ErrorCode::NotFound);
    let introduction: Introduction = bert.introduction(&anna, file).await.json();
    assert_eq!(
        introduction.candidates.iter().map(|c| (c.address, c.kind)).collect::<Vec<_>>(),
        [(at, CandidateKind::Observed)]
    );
    match control.message().await {
        FromIndex::Introduction { peer, file: wanted, candidates, .. } => {
            assert_eq!((peer, wanted, candidates[0].address), (bert.id(), file, bert_at));
        }
        other => panic!("{other:?}"),
    }
    let sources: Sources = bert.get(&format!("/files/{file}/sources")).await.json();
    assert_eq!(sources.sources[0].reach, Reach::Direct);
    let page: SearchPage = bert.find("meeting").await;
    assert!(
        !serde_json::to_string(&(page, sources)).unwrap().contains("127.0.0.1"),
        "no address without an introduction"
    );
}

#[tokio::test]
async fn partial_sources_are_listed_as_such_and_can_be_met() {
    let world = World::start().await;
    let (mut anna, bert, carl) = (world.peer(1).await, world.peer(2).await, world.peer(3).await);
    anna.publish(&["Shared"]).await;
    let mut fetching = Control::online(&bert).await;
    fetching.say(&FromPeer::Fetching { files: vec![song("Shared")] }).await;
    // Messages are heeded in their order: the answer to this shows that the one before was.
    fetching.say(&FromPeer::Watch { files: vec![song("Shared")] }).await;
    let _control = Control::online(&anna).await;
    assert_eq!(fetching.message().await, FromIndex::Available { files: vec![song("Shared")] });

    let sources: Sources = carl.get(&format!("/files/{}/sources", song("Shared"))).await.json();
    let listed: Vec<_> = sources.sources.iter().map(|source| (source.peer, source.complete)).collect();
    assert_eq!((sources.online, listed), (1, vec![(anna.id(), true), (bert.id(), false)]));
    assert_eq!(carl.introduction(&bert, song("Shared")).await.status, 200);
}

#[tokio::test]
async fn the_rendezvous_lets_members_in_and_nobody_else() {
    let world = World::start().await;
    let stranger = Meeting::of(&world, &SecretKey::from_seed(&[99; 32])).await;
    match stranger.connection.closed().await {
        quinn::ConnectionError::ApplicationClosed(close) => {
            assert_eq!(close.error_code.into_inner(), u64::from(CloseCode::NotAMember.code()));
        }
        other => panic!("{other}"),
    }
}

/// A rendezvous connection of one peer.
struct Meeting {
    endpoint: Endpoint,
    connection: Connection,
}

impl Meeting {
    async fn of(world: &World, secret: &SecretKey) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new(quinn::EndpointConfig::default(), None, socket, runtime).unwrap();
        let tls = tls::raw_public_keys(secret, world.info().await.key);
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let connection = endpoint.connect_with(config, world.ready.rendezvous, "index").unwrap().await.unwrap();
        Self { endpoint, connection }
    }

    async fn observed(&self) -> std::net::SocketAddr {
        let mut stream = self.connection.accept_uni().await.unwrap();
        let mut header = [0; HEADER_BYTES];
        stream.read_exact(&mut header).await.unwrap();
        let header = Header::parse(header);
        header.expect::<Observed>().unwrap();
        let mut payload = vec![0; header.payload_bytes as usize];
        stream.read_exact(&mut payload).await.unwrap();
        decode::<Observed>(&payload).unwrap().address
    }
}
