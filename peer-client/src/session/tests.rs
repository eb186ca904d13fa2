//! Sessions whose other end does not keep to the rules, or leaves in the middle.

use std::time::Duration;

use choir_shared::leaf::FileLength;
use choir_shared::wire::{BadLeaf, Enter, Get, Granted, Have, Kind, LeavesHeld, Place, encode};
use choir_shared::{Digest, FileId};
use quinn::{ReadError, ReadToEndError, VarInt};

use super::answering::Request;
use super::asking::Answer;
use super::fixture::Pair;
use super::notices::Notice;
use super::*;

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

async fn request(pair: &Pair) -> Result<Option<Request>, SessionError> {
    pair.ours.next_stream().await.unwrap().request(LONG).await
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
    let Request::Get(_, mut reply) = request(&pair).await.unwrap().unwrap() else { panic!("a get was sent") };
    reply.have(&Have { leaves: LeavesHeld::All, more_sources: vec![] }, 0).await.unwrap();
    drop(reply);
    assert!(is_reset(receive.read_to_end(100).await, CANCELLED));
}

#[tokio::test]
async fn a_place_that_is_dropped_is_not_a_slot_that_ended() {
    let pair = Pair::connect().await;
    let enter = encode(&Enter { files: 1, bytes: 1 });
    let (send, mut receive) = pair.they_open(&enter).await;
    let Request::Enter(_, place) = request(&pair).await.unwrap().unwrap() else { panic!("a place was asked for") };
    drop(place);
    assert!(is_reset(receive.read_to_end(100).await, CANCELLED));
    assert_eq!(send.stopped().await, Ok(Some(CANCELLED)));

    let (send, mut receive) = pair.they_open(&enter).await;
    let Request::Enter(_, mut place) = request(&pair).await.unwrap().unwrap() else { panic!("a place was asked for") };
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

#[tokio::test]
async fn an_answer_that_ends_too_early_leaves_the_connection_alone() {
    let pair = Pair::connect().await;
    let have = encode(&Have { leaves: LeavesHeld::Bitmap(vec![0x7f]), more_sources: vec![] });
    let get = get();
    for cut in 0..have.len() {
        let (asked, ()) = tokio::join!(pair.ours.get(&get), pair.they_answer(&have[..cut]));
        assert!(matches!(asked, Err(SessionError::CutShort)), "{cut}");
    }
    let half_a_hash = [&have[..], &[7; 31]].concat();
    let (asked, ()) = tokio::join!(pair.ours.get(&get), pair.they_answer(&half_a_hash));
    let Ok(Answer::Have(mut delivery)) = asked else { panic!("all of the first message came") };
    assert!(matches!(delivery.read_layer(file()).await, Err(SessionError::CutShort)));

    let place = encode(&Place { ahead: 0, eta_ms: None });
    let mut queue = pair.ours.enter(&Enter { files: 1, bytes: 1 }).await.unwrap();
    pair.they_answer(&place[..3]).await;
    assert!(matches!(queue.next().await, Err(SessionError::CutShort)));
    assert!(pair.ours.is_alive());
}

#[tokio::test]
async fn a_request_or_notice_that_ends_too_early_is_a_broken_message() {
    let pair = Pair::connect().await;
    let mut nothing = pair.they_open(&[]).await.0;
    nothing.finish().unwrap();
    assert!(matches!(request(&pair).await, Err(SessionError::Silent)));
    assert!(pair.ours.is_alive());
    let mut half = pair.they_open(&encode(&get())[..9]).await.0;
    half.finish().unwrap();
    assert!(matches!(request(&pair).await, Err(SessionError::Misbehaved(InvalidMessage::Incomplete))));
    assert_eq!(SessionError::from(pair.theirs.closed().await).close_code(), Some(CloseCode::Malformed));

    let pair = Pair::connect().await;
    let mut half = pair.they_notify(&encode(&hello("half"))[..9]).await;
    half.finish().unwrap();
    let ended = pair.ours.notices(LONG).next().await;
    assert!(matches!(ended, Err(SessionError::Misbehaved(InvalidMessage::Incomplete))));
}

#[tokio::test]
async fn hello_is_said_again_when_it_changes() {
    let pair = Pair::connect().await;
    let heard = async || pair.theirs.accept_uni().await.unwrap().read_to_end(1000).await.unwrap();
    assert_eq!(heard().await, encode(&hello("ours")));
    pair.hello.send_replace(hello("ours, renewed"));
    assert_eq!(soon(heard()).await, encode(&hello("ours, renewed")));
}
