//! What is too much, too long or too slow.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::time::Duration;

use choir_index::settings::Proxies;
use choir_shared::index_api::{ErrorCode, PREFIX};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http::send;
use crate::world::{PATIENCE, Peer, World};

#[tokio::test]
async fn an_unknown_route_or_method_is_a_problem_in_json() {
    let world = World::start().await;
    assert_eq!(world.get("/nowhere").await.code(), ErrorCode::NotFound);
    assert_eq!(world.get(&format!("{PREFIX}/nowhere")).await.code(), ErrorCode::NotFound);
    let wrong_method = send(world.address, "DELETE", &format!("{PREFIX}/info"), &[], b"").await;
    assert_eq!(wrong_method.code(), ErrorCode::MethodNotAllowed);
    assert!(world.get("/healthz").await.headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn a_header_that_never_ends_is_not_waited_for() {
    let world = World::start_with(|settings| settings.limits.header_seconds = 1).await;
    let mut slow = TcpStream::connect(world.address).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: ").await.unwrap();
    let mut silent = TcpStream::connect(world.address).await.unwrap();
    let mut rest = Vec::new();
    let mut byte = [0; 1];
    let closed = async { tokio::join!(slow.read_to_end(&mut rest), silent.read(&mut byte)) };
    let (_, silent) = tokio::time::timeout(PATIENCE, closed).await.expect("both are closed");
    assert_eq!(silent.unwrap(), 0);
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_waited_for_either() {
    let world = World::start_with(|settings| settings.limits.request_seconds = 1).await;
    let mut slow = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST {PREFIX}/sessions HTTP/1.1\r\nHost: i\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tokio::time::timeout(PATIENCE, slow.read_exact(&mut answer)).await.expect("an answer").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let world = World::start().await;
    let mut anna = world.peer(1).await;
    let huge = vec![b' '; (1 << 20) + 1];
    assert_eq!(anna.send("POST", "/library/changes", &[], &huge).await.status, 413);
    let mut just_right = serde_json::to_vec(&anna.change(&["Large"])).unwrap();
    just_right.resize(1 << 20, b' ');
    assert_eq!(anna.send("POST", "/library/changes", &[], &just_right).await.status, 200);
    assert_eq!(anna.send("PUT", "/me", &[], &vec![b' '; 20_000]).await.code(), ErrorCode::TooLarge);
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let world = World::start_with(|settings| {
        settings.limits.searches_per_minute = NonZeroU32::new(3).unwrap();
    })
    .await;
    let (anna, bert) = (world.peer(1).await, world.peer(2).await);
    for _ in 0..3 {
        assert_eq!(anna.get("/search?q=song").await.status, 200);
    }
    let refused = anna.get("/search?q=song").await;
    assert_eq!((refused.status, refused.code()), (429, ErrorCode::RateLimited));
    let wait: u32 = refused.headers["retry-after"].parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(refused.problem().retry_after_s, Some(wait));
    assert_eq!(bert.get("/search?q=song").await.status, 200, "others are not held up");
    assert_eq!(anna.get("/me").await.status, 200, "nor is anything else");
}

#[tokio::test]
async fn a_network_has_a_limit_too_as_far_as_a_trusted_proxy_tells_them_apart() {
    let world = World::start_with(|settings| {
        settings.proxies = Proxies::new(vec![Ipv4Addr::LOCALHOST.into()]);
        settings.limits.searches_per_minute = NonZeroU32::new(3).unwrap();
        settings.limits.network_factor = NonZeroU32::MIN;
    })
    .await;
    let (anna, bert) = (world.peer(1).await, world.peer(2).await);
    let search = async |peer: &Peer, from: &str| {
        peer.send("GET", "/search?q=song", &[("X-Forwarded-For", from)], b"").await.status
    };
    for _ in 0..3 {
        assert_eq!(search(&anna, "203.1.113.7").await, 200);
    }
    assert_eq!(search(&bert, "203.1.113.8").await, 429, "the neighbour used it up");
    assert_eq!(search(&bert, "203.1.114.8").await, 200);
    assert_eq!(search(&bert, "203.1.113.7, 203.1.114.8").await, 200, "the client's own words count for nothing");
}

#[tokio::test]
async fn what_needs_no_login_has_a_limit_by_network_too() {
    const MOST: u32 = 7;
    let world = World::start_with(|settings| {
        settings.proxies = Proxies::new(vec![Ipv4Addr::LOCALHOST.into()]);
        settings.limits.visits_per_minute = NonZeroU32::new(MOST).unwrap();
        settings.limits.network_factor = NonZeroU32::MIN;
    })
    .await;
    let (info, search) = (format!("{PREFIX}/info"), format!("{PREFIX}/search?q=song"));
    let paths = ["/healthz", "/readyz", "/openapi.json", &info, &search, "/nowhere"];
    for (number, path) in paths.into_iter().enumerate() {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let from = format!("X-Forwarded-For: 203.1.{number}.7");
        let request = format!("GET {path} HTTP/1.1\r\nHost: i\r\n{from}\r\n\r\n");
        let last = format!("GET {path} HTTP/1.1\r\nHost: i\r\n{from}\r\nConnection: close\r\n\r\n");
        stream.write_all((request.repeat(9) + &last).as_bytes()).await.unwrap();
        let mut answers = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answers)).await.expect("ten answers").unwrap();
        assert_eq!(answers.matches("HTTP/1.1 429").count(), 10 - MOST as usize, "{path}");
    }
    for _ in 0..2 * MOST {
        assert_eq!(world.get("/healthz").await.status, 200, "this machine looks as often as it likes");
    }
}

#[tokio::test]
async fn a_network_that_trickles_change_sets_holds_up_no_other() {
    let world = World::start_with(|settings| {
        settings.proxies = Proxies::new(vec![Ipv4Addr::LOCALHOST.into()]);
        settings.limits.uploads_at_once_per_network = 1;
    })
    .await;
    let (anna, mut bert) = (world.peer(1).await, world.peer(2).await);
    let mut slow = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST {PREFIX}/library/changes HTTP/1.1\r\nHost: i\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\
         Authorization: {}\r\nX-Forwarded-For: 203.1.113.7\r\n\r\n{{",
        anna.bearer()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let set = serde_json::to_vec(&bert.change(&["Quick"])).unwrap();
    let publish =
        async |from: &str| bert.send("POST", "/library/changes", &[("X-Forwarded-For", from)], &set).await.status;
    let neighbour_waits = async { while publish("203.1.113.8").await != 503 {} };
    tokio::time::timeout(PATIENCE, neighbour_waits).await.expect("the place of this network is taken");
    assert_eq!(publish("203.1.114.8").await, 200);
    let mut answer = [0; 12];
    tokio::time::timeout(PATIENCE, slow.read_exact(&mut answer)).await.expect("it is given up").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert_eq!(publish("203.1.113.8").await, 200);
}

#[tokio::test]
async fn a_full_house_closes_the_door_and_opens_it_again() {
    let world = World::start_with(|settings| settings.limits.connections = 1).await;
    let guest = TcpStream::connect(world.address).await.unwrap();
    let mut late = TcpStream::connect(world.address).await.unwrap();
    assert!(!matches!(late.read(&mut [0; 1]).await, Ok(1..)), "closed without a word");
    drop(guest);
    let again = async {
        loop {
            let mut stream = TcpStream::connect(world.address).await.unwrap();
            let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: index\r\n\r\n").await;
            if matches!(stream.read(&mut [0; 1]).await, Ok(1)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("a free place");
}

#[tokio::test]
async fn a_search_that_makes_no_sense_is_refused_with_the_reason() {
    let world = World::start().await;
    let anna = world.peer(1).await;
    for query in ["", "q=", "q=a&limit=0", "q=a&limit=x", "q=a&sort=size&cursor=junk", "q=a&peer=nobody"] {
        let refused = anna.get(&format!("/search?{query}")).await;
        assert_eq!((refused.status, refused.code()), (400, ErrorCode::BadQuery), "{query}");
        assert!(refused.problem().detail.is_some(), "{query}");
    }
}
