//! How an upload ends that cannot go on.

use std::collections::HashSet;

use choir_shared::identity::SecretKey;
use choir_shared::wire::CloseCode;

use super::super::admit::{Audience, Rules};
use super::sharer::{MIB, Sharer, rules};
use super::visitor::{read_all, whole};
use crate::session::SessionError;

#[tokio::test]
async fn who_is_being_sent_to_when_all_ends_is_told_why() {
    let sharer = Sharer::with(2, &[64 * MIB]);
    let file = sharer.ids[0];
    let (banned, other) = (sharer.visitor(2).await, sharer.visitor(3).await);
    let _slots = (banned.slot().await, other.slot().await);
    // Nobody reads, so that the line is full of bytes when the connections are to be closed.
    let deliveries = [banned.have(file, whole(file)).await, other.have(file, whole(file)).await];
    let ban = HashSet::from([SecretKey::from_seed(&[2; 32]).peer_id()]);
    sharer.uploads.set_rules(Rules { banned: ban, ..rules(Audience::Anyone) });
    assert_eq!(SessionError::from(banned.session.closed().await).close_code(), Some(CloseCode::Banned));
    sharer.cancel.cancel();
    assert_eq!(SessionError::from(other.session.closed().await).close_code(), Some(CloseCode::Leaving));
    for delivery in deliveries {
        assert!(read_all(delivery).await.is_err(), "a part must not look like the whole");
    }
    drop(sharer.reach);
    sharer.tracker.close();
    sharer.tracker.wait().await;
}
