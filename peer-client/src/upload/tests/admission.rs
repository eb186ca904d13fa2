//! Who may have what.

use std::collections::HashSet;

use choir_shared::identity::SecretKey;
use choir_shared::ticket::Ticket;
use choir_shared::wire::{CloseCode, No, Reason};
use choir_shared::{Digest, FileId};

use super::super::admit::{Audience, Rules};
use super::sharer::{MIB, Sharer, content, rules};
use super::visitor::{hello, leaves, read_all, whole};
use crate::session::SessionError;
use crate::session::asking::QueueNews;

#[tokio::test]
async fn what_is_for_members_needs_a_ticket() {
    let sharer = Sharer::with(1, &[MIB]);
    let file = sharer.ids[0];
    let index = SecretKey::from_seed(&[9; 32]);
    sharer.uploads.set_rules(rules(Audience::MembersOf(vec![index.index_key()])));
    let stranger = sharer.visitor(2).await;
    assert_eq!(stranger.refused(file, leaves(file, 0, 1)).await, Reason::Refused);
    let mut place = stranger.enter().await;
    assert!(matches!(place.next().await.unwrap(), QueueNews::No(No { reason: Reason::Refused, .. })));

    let member = SecretKey::from_seed(&[3; 32]).peer_id();
    let member = sharer.visitor_with(3, vec![Ticket::issue(&index, member, u64::MAX / 2)]).await;
    let _slot = member.slot().await;
    assert_eq!(read_all(member.have(file, whole(file)).await).await.unwrap(), content(MIB));
}

#[tokio::test]
async fn a_ticket_that_is_shown_later_counts_even_for_what_was_asked_before() {
    let sharer = Sharer::with(1, &[MIB]);
    let file = sharer.ids[0];
    let index = SecretKey::from_seed(&[9; 32]);
    sharer.uploads.set_rules(rules(Audience::MembersOf(vec![index.index_key()])));
    let member = sharer.visitor(3).await;
    let ticket = Ticket::issue(&index, SecretKey::from_seed(&[3; 32]).peer_id(), u64::MAX / 2);
    let asked = member.have(file, leaves(file, 0, 1));
    let unknown = FileId::new(Digest::ZERO, file.length());
    let shown = async {
        // An answer to what was asked later: by now the first request was judged without the ticket.
        assert_eq!(member.refused(unknown, whole(unknown)).await, Reason::NotShared);
        member.hello.send_replace(hello(vec![ticket]));
    };
    let (delivery, ()) = tokio::join!(asked, shown);
    assert_eq!(read_all(delivery).await.unwrap(), content(16_384));
}

#[tokio::test]
async fn who_is_banned_loses_the_connection() {
    let sharer = Sharer::with(1, &[MIB]);
    let visitor = sharer.visitor(2).await;
    let _slot = visitor.slot().await;
    let banned = HashSet::from([SecretKey::from_seed(&[2; 32]).peer_id()]);
    sharer.uploads.set_rules(Rules { banned, ..rules(Audience::Anyone) });
    assert_eq!(SessionError::from(visitor.session.closed().await).close_code(), Some(CloseCode::Banned));
}
