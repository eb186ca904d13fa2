//! Who may have what.

use std::collections::HashSet;

use choir_shared::identity::SecretKey;
use choir_shared::ticket::Ticket;
use choir_shared::wire::{CloseCode, No, Reason};

use super::super::admit::{Audience, Rules};
use super::sharer::{MIB, Sharer, content, rules};
use super::visitor::{leaves, read_all, whole};
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
async fn who_is_banned_loses_the_connection() {
    let sharer = Sharer::with(1, &[MIB]);
    let visitor = sharer.visitor(2).await;
    let _slot = visitor.slot().await;
    let banned = HashSet::from([SecretKey::from_seed(&[2; 32]).peer_id()]);
    sharer.uploads.set_rules(Rules { banned, ..rules(Audience::Anyone) });
    assert_eq!(SessionError::from(visitor.session.closed().await).close_code(), Some(CloseCode::Banned));
}
