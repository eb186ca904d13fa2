//! One session on loopback whose other end says whatever the test wants.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use choir_shared::identity::SecretKey;
use choir_shared::leaf::FileLength;
use choir_shared::wire::{Enter, Get, Granted, Have, LeavesHeld, encode};
use choir_shared::{Digest, FileId};
use quinn::{ReadError, ReadToEndError, VarInt};

use super::answering::Request;
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
        let hello = Hello { minor: 0, features: 0, agent: "test".into(), tickets: vec![] };
        let ours = Session::begin(accepted, there.secret().peer_id(), hello);
        Self { ours, theirs, _endpoints: [here, there] }
    }

    /// A stream on which they have said `bytes` and say no more.
    async fn they_open(&self, bytes: &[u8]) -> (quinn::SendStream, quinn::RecvStream) {
        let (mut send, receive) = self.theirs.open_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        (send, receive)
    }

    async fn request(&self) -> Request {
        self.ours.next_stream().await.unwrap().request(LONG).await.unwrap().unwrap()
    }
}

const LONG: Duration = Duration::from_secs(60);

const CANCELLED: VarInt = VarInt::from_u32(StreamCode::Cancelled.code());
const SLOT_ENDED: VarInt = VarInt::from_u32(StreamCode::SlotEnded.code());

fn get() -> Get {
    let file = FileId::new(Digest::new([0xab; 32]), FileLength::new(100_000).unwrap());
    Get { file, first_leaf: 0, leaf_count: 1, want_layer: false, priority: 0 }
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
