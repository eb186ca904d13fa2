//! Who waits, and who has a slot.

use choir_shared::wire::{CloseCode, Reason, StreamCode};

use super::super::UploadState;
use super::sharer::{MIB, Sharer, content};
use super::visitor::{granted, leaves, read_all, whole};
use crate::session::SessionError;
use crate::session::asking::{Answer, QueueNews};

#[tokio::test]
async fn without_a_slot_only_the_beginning_is_served_and_only_so_often() {
    let sharer = Sharer::with(1, &[MIB]);
    let file = sharer.ids[0];
    let visitor = sharer.visitor(2).await;
    assert_eq!(visitor.refused(file, whole(file)).await, Reason::Busy);
    assert_eq!(visitor.refused(file, leaves(file, 3, 2)).await, Reason::Busy);
    let beginning = leaves(file, 0, 4);
    assert_eq!(read_all(visitor.have(file, beginning).await).await.unwrap(), content(65_536));
    let mut served = 1;
    while let Answer::Have(_) = visitor.ask(file, Some(beginning), false).await {
        served += 1;
        assert!(served < 1000, "the budget has no end");
    }
    assert!(served >= 60);
}

#[tokio::test]
async fn a_place_becomes_a_slot_when_the_one_before_leaves_and_what_that_was_sent_ends() {
    let sharer = Sharer::with(1, &[64 * MIB]);
    let file = sharer.ids[0];
    let (first, second) = (sharer.visitor(2).await, sharer.visitor(3).await);
    let slot = first.slot().await;
    let unread = first.have(file, whole(file)).await;
    let mut place = second.enter().await;
    let news = place.next().await.unwrap();
    assert!(matches!(&news, QueueNews::Place(place) if place.ahead == 0), "{news:?}");
    assert_eq!(second.refused(file, leaves(file, 0, 5)).await, Reason::Busy);
    let states: Vec<_> = sharer.uploads.list().into_iter().map(|status| status.state).collect();
    assert_eq!(states, [UploadState::Sending, UploadState::Queued { ahead: 0 }]);

    drop(slot);
    granted(&mut place).await;
    assert!(matches!(read_all(unread).await, Err(SessionError::Ended(Some(StreamCode::SlotEnded)))));
    assert_eq!(read_all(second.have(file, leaves(file, 0, 64)).await).await.unwrap(), content(MIB));
    sharer.until(|list| matches!(list, [only] if only.state == UploadState::SlotIdle)).await;
}

#[tokio::test]
async fn a_lost_connection_leaves_no_place_behind() {
    let sharer = Sharer::with(1, &[MIB]);
    let (first, second, third) = (sharer.visitor(2).await, sharer.visitor(3).await, sharer.visitor(4).await);
    let _slot = first.slot().await;
    let _waiting = second.enter().await;
    sharer.until(|list| list.len() == 2).await;
    let mut place = third.enter().await;
    assert!(matches!(place.next().await.unwrap(), QueueNews::Place(place) if place.ahead == 1));
    second.reach.endpoint().close().await;
    assert!(matches!(place.next().await.unwrap(), QueueNews::Place(place) if place.ahead == 0));
    first.session.close(CloseCode::Done);
    granted(&mut place).await;
}

#[tokio::test]
async fn a_second_place_of_the_same_peer_takes_the_slot_over() {
    let sharer = Sharer::with(1, &[MIB]);
    let visitor = sharer.visitor(2).await;
    let mut old = visitor.slot().await;
    let _new = visitor.slot().await;
    assert!(matches!(old.next().await, Err(SessionError::Ended(_))));
    assert_eq!(sharer.uploads.list().len(), 1);
    assert!(visitor.session.is_alive());
}
