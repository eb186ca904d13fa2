//! One session on loopback whose other end says whatever the test wants.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use choir_shared::identity::SecretKey;
use choir_shared::leaf::FileLength;
use choir_shared::wire::{BadLeaf, Enter, Get, Granted, Have, Kind, LeavesHeld, Place, encode};
use choir_shared::{Digest, FileId};
use quinn::{ReadError, ReadToEndError, VarInt};

use super::answering::Request;
use super::notices::Notice;
use super::*;
use crate::connectivity::tls::Expected;
use crate::connectivity::{Endpoint, EndpointOptions};

/// Ours is a session, theirs a bare connection.
struct Pair {
    ours: Session,
    theirs: quinn::Connection,
    _endpoints: [Endpoint; 2],
}

impl Pair {
    async fn connect() -> Self {
        let [here, there] = [1, 2].map(|seed| {
            let options = EndpointOptions::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
            Endpoint::bind(SecretKey::from_seed(&[seed; 32]), options).unwrap()
        });
        let expected = Expected::Peer(here.secret().peer_id());
        let dialled = async { there.dial(here.local_address().unwrap(), expected).unwrap().await.unwrap() };
        let accepted = async { here.accept().await.unwrap().unwrap().await.unwrap() };
        let (theirs, accepted) = tokio::join!(dialled, accepted);
        let ours = Session::begin(accepted, there.secret().peer_id(), hello("ours"));
        Self { ours, theirs, _endpoints: [here, there] }
    }

    /// A stream on which they have said `bytes` and say no more.
    async fn they_open(&self, bytes: &[u8]) -> (quinn::SendStream, quinn::RecvStream) {
        let (mut send, receive) = self.theirs.open_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        (send, receive)
    }

    /// A notice of which they have said `bytes`.
    async fn they_notify(&self, bytes: &[u8]) -> quinn::SendStream {
        let mut send = self.theirs.open_uni().await.unwrap();
        send.write_all(bytes).await.unwrap();
        send
    }

    async fn request(&self) -> Request {
        self.ours.next_stream().await.unwrap().request(LONG).await.unwrap().unwrap()
    }
}

/// Longer than anything takes that happens at all.
const LONG: Duration = Duration::from_secs(60);

/// What happens, happens before those give up who are patient.
async fn soon<T>(happening: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG / 6, happening).await.expect("it happens")
}

const CANCELLED: VarInt = VarInt::from_u32(StreamCode::Cancelled.code());
const SLOT_ENDED: VarInt = VarInt::from_u32(StreamCode::SlotEnded.code());

fn file() -> FileId {
    FileId::new(Digest::new([0xab; 32]), FileLength::new(100_000).unwrap())
}

fn get() -> Get {
    Get { file: file(), first_leaf: 0, leaf_count: 1, want_layer: false, priority: 0 }
}

fn hello(agent: &str) -> Hello {
    Hello { minor: 0, features: 0, agent: agent.into(), tickets: vec![] }
}

fn is_reset(read: Result<Vec<u8>, ReadToEndError>, code: VarInt) -> bool {
    matches!(read, Err(ReadToEndError::Read(ReadError::Reset(reset))) if reset == code)
}

#[tokio::test]
async fn a_stream_without_a_request_is_given_up_both_ways() {
    let pair = Pair::connect().await;
    let (send, mut receive) = pair.they_open(&encode(&get())[..3]).await;
    let opened = pair.ours.next_stream().await.unwrap();
    assert!(matches!(opened.request(Duration::from_millis(1)).await, Err(SessionError::Silent)));
    assert!(is_reset(receive.read_to_end(1).await, CANCELLED));
    assert_eq!(send.stopped().await, Ok(Some(CANCELLED)));
    assert!(pair.ours.is_alive());
}

#[tokio::test]
async fn an_answer_that_is_dropped_never_looks_whole() {
    let pair = Pair::connect().await;
    let (_send, mut receive) = pair.they_open(&encode(&get())).await;
    let Request::Get(_, mut reply) = pair.request().await else { panic!("a get was sent") };
    reply.have(&Have { leaves: LeavesHeld::All, more_sources: vec![] }, 0).await.unwrap();
    drop(reply);
    assert!(is_reset(receive.read_to_end(100).await, CANCELLED));
}

#[tokio::test]
async fn a_place_that_is_dropped_is_not_a_slot_that_ended() {
    let pair = Pair::connect().await;
    let enter = encode(&Enter { files: 1, bytes: 1 });
    let (send, mut receive) = pair.they_open(&enter).await;
    let Request::Enter(_, place) = pair.request().await else { panic!("a place was asked for") };
    drop(place);
    assert!(is_reset(receive.read_to_end(100).await, CANCELLED));
    assert_eq!(send.stopped().await, Ok(Some(CANCELLED)));

    let (send, mut receive) = pair.they_open(&enter).await;
    let Request::Enter(_, mut place) = pair.request().await else { panic!("a place was asked for") };
    let granted = Granted { idle_ms: 1 };
    place.granted(&granted).await.unwrap();
    place.end();
    assert_eq!(receive.read_to_end(100).await.unwrap(), encode(&granted));
    assert_eq!(send.stopped().await, Ok(Some(SLOT_ENDED)));
}

#[tokio::test]
async fn a_notice_that_never_comes_holds_up_no_other() {
    let pair = Pair::connect().await;
    let bad = BadLeaf { file: file(), leaf: 6 };
    let _silent = [pair.they_notify(&[0]).await, pair.they_notify(&[0]).await, pair.they_notify(&[0]).await];
    let _complaint = pair.they_notify(&encode(&bad)).await;
    let mut notices = pair.ours.notices(LONG);
    assert_eq!(soon(notices.next()).await.unwrap(), Notice::BadLeaf(bad));
}

#[tokio::test]
async fn a_notice_that_does_not_come_in_time_is_stopped() {
    let pair = Pair::connect().await;
    let silent = pair.they_notify(&[0]).await;
    let mut notices = pair.ours.notices(Duration::from_millis(1));
    tokio::select! {
        stopped = soon(silent.stopped()) => assert_eq!(stopped, Ok(Some(CANCELLED))),
        ended = notices.next() => panic!("{ended:?}"),
    }
    assert!(pair.ours.is_alive());
}

#[tokio::test]
async fn the_hello_that_was_said_last_counts_even_if_it_comes_first() {
    let pair = Pair::connect().await;
    let (first, second) = (encode(&hello("first")), encode(&hello("second")));
    let mut slow = pair.they_notify(&first[..10]).await;
    let _quick = pair.they_notify(&second).await;
    let mut notices = pair.ours.notices(LONG);
    assert_eq!(soon(notices.next()).await.unwrap(), Notice::Hello);
    slow.write_all(&first[10..]).await.unwrap();
    // It is read to its end before what is said after that.
    assert_eq!(slow.finish(), Ok(()));
    let _ = slow.stopped().await;
    let _complaint = pair.they_notify(&encode(&BadLeaf { file: file(), leaf: 0 })).await;
    assert!(matches!(notices.next().await.unwrap(), Notice::BadLeaf(_)));
    assert_eq!(pair.ours.hello().borrow().as_ref().map(|hello| hello.agent.clone()), Some("second".into()));
}

#[tokio::test]
async fn a_sharer_that_breaks_the_protocol_is_told_how() {
    let kind = (Kind::Have as u16).to_be_bytes();
    let too_long = [&kind[..], &u32::MAX.to_be_bytes()].concat();
    let have = [&kind[..], &1u32.to_be_bytes(), &[0xff]].concat();
    let place = encode(&Place { ahead: 0, eta_ms: None });
    for (answer, code) in
        [(too_long, CloseCode::Oversized), (have, CloseCode::Malformed), (place, CloseCode::Unexpected)]
    {
        let pair = Pair::connect().await;
        let answering = async {
            let (mut send, _receive) = pair.theirs.accept_bi().await.unwrap();
            send.write_all(&answer).await.unwrap();
            SessionError::from(pair.theirs.closed().await).close_code()
        };
        let get = get();
        let (asked, told) = tokio::join!(pair.ours.get(&get), soon(answering));
        assert!(matches!(asked, Err(SessionError::Misbehaved(_))));
        assert_eq!(told, Some(code));
    }
}
