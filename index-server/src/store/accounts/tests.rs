use std::net::IpAddr;

use choir_shared::address::Subnet;
use choir_shared::identity::SecretKey;

use super::*;
use crate::store::testing::{NOW, World, on_both_databases};
use crate::store::{Ban, BanTarget};

fn peer(seed: u8) -> PeerId {
    SecretKey::from_seed(&[seed; 32]).peer_id()
}

fn name(text: &str) -> DisplayName {
    DisplayName::new(text).unwrap()
}

async fn a_member_enrols_once(world: World) {
    let first = world.store.enrol(&peer(1), Enrolment::Open, NOW).await.unwrap();
    let again = world.store.enrol(&peer(1), Enrolment::Open, NOW + 9).await.unwrap();
    assert_eq!((first.no, first.created_unix_s, first.browsable), (MemberNo(1), NOW, true));
    assert_eq!(first, again);
    assert_eq!(world.store.member(&peer(1)).await.unwrap(), Some(first.clone()));
    assert_eq!(world.store.member(&peer(2)).await.unwrap(), None);
    let second = world.store.enrol(&peer(2), Enrolment::Open, NOW).await.unwrap();
    let both = world.store.members_by_no(&[second.no, MemberNo(99), first.no]).await.unwrap();
    assert_eq!(both, [second, first]);
}

async fn an_invite_for_five_lets_five_in_however_many_come_at_once(world: World) {
    let code = world.store.create_invite(5, NOW + 60, None, NOW).await.unwrap();
    let guests = (1..=20).map(|seed| {
        let (store, code) = (world.store.clone(), code.to_uppercase());
        tokio::spawn(async move { store.enrol(&peer(seed), Enrolment::Invite(&code), NOW).await })
    });
    let mut members = Vec::new();
    for guest in guests.collect::<Vec<_>>() {
        match guest.await.unwrap() {
            Ok(member) => members.push(member),
            Err(error) => assert!(matches!(error, EnrolError::InviteInvalid), "{error}"),
        }
    }
    assert_eq!(members.len(), 5);
    assert_eq!(world.store.counts().await.unwrap().members, 5);
    assert!(world.store.live_invites(NOW).await.unwrap().is_empty());

    let again = world.store.enrol(&members[0].peer, Enrolment::Invite("nonsense"), NOW).await.unwrap();
    assert_eq!(again, members[0], "a member needs no invite");
}

async fn an_invite_expires_and_can_be_revoked(world: World) {
    let code = world.store.create_invite(5, NOW + 60, Some(&peer(9)), NOW).await.unwrap();
    let late = world.store.enrol(&peer(1), Enrolment::Invite(&code), NOW + 60).await;
    assert!(matches!(late, Err(EnrolError::InviteInvalid)));

    let [invite] = world.store.live_invites(NOW).await.unwrap().try_into().unwrap();
    assert_eq!((invite.uses_left, invite.created_by), (5, Some(peer(9))));
    assert!(world.store.revoke_invite(&invite.hash, NOW).await.unwrap());
    assert!(!world.store.revoke_invite(&invite.hash, NOW).await.unwrap());
    let revoked = world.store.enrol(&peer(1), Enrolment::Invite(&code), NOW).await;
    assert!(matches!(revoked, Err(EnrolError::InviteInvalid)));

    let record = world.store.audit(10).await.unwrap();
    assert_eq!(record.len(), 2);
    assert!(record.iter().all(|entry| !entry.what.contains(&code)));
}

async fn an_invite_lets_nobody_in_while_whoever_made_it_is_banned(world: World) {
    let code = world.store.create_invite(2, NOW + 60, Some(&peer(9)), NOW).await.unwrap();
    let by_operator = world.store.create_invite(1, NOW + 50, None, NOW).await.unwrap();
    let ban = |until_unix_s| Ban { target: BanTarget::Peer(peer(9)), reason: "spam".into(), until_unix_s };
    let enrol = async |seed, code, now| world.store.enrol(&peer(seed), Enrolment::Invite(code), now).await;

    world.store.ban(ban(Some(NOW + 5)), NOW).await.unwrap();
    let refused = enrol(1, &code, NOW + 4).await;
    assert!(matches!(refused, Err(EnrolError::InviterBanned)), "{refused:?}");
    let live = world.store.live_invites(NOW + 4).await.unwrap();
    assert_eq!(
        live.iter().map(|invite| (invite.uses_left, invite.suspended)).collect::<Vec<_>>(),
        [(2, true), (1, false)]
    );
    enrol(2, &by_operator, NOW + 4).await.unwrap();
    enrol(1, &code, NOW + 5).await.expect("a ban that is over");

    world.store.ban(ban(None), NOW).await.unwrap();
    assert!(matches!(enrol(3, &code, NOW + 6).await, Err(EnrolError::InviterBanned)));
    world.store.unban(&BanTarget::Peer(peer(9)), NOW).await.unwrap();
    assert!(world.store.live_invites(NOW + 6).await.unwrap().iter().all(|invite| !invite.suspended));
    enrol(3, &code, NOW + 6).await.expect("a ban that was lifted");
}

async fn a_name_is_one_members_in_every_spelling_that_looks_like_it(world: World) {
    for seed in 1..=2 {
        world.store.enrol(&peer(seed), Enrolment::Open, NOW).await.unwrap();
    }
    world.store.rename(&peer(1), &name("Björk"), NOW).await.unwrap();
    for same in ["Björk", "BJORK", "bjork", "Вjörk"] {
        let taken = world.store.rename(&peer(2), &name(same), NOW).await;
        assert!(matches!(taken, Err(RenameError::Taken)), "{same}");
    }
    world.store.rename(&peer(1), &name("BJÖRK"), NOW).await.unwrap();
    world.store.rename(&peer(2), &name("Anna"), NOW).await.unwrap();
    assert_eq!(world.store.member(&peer(1)).await.unwrap().unwrap().name.as_deref(), Some("BJÖRK"));
    let stranger = world.store.rename(&peer(3), &name("Carl"), NOW).await;
    assert!(matches!(stranger, Err(RenameError::NoSuchMember)));
}

async fn a_name_is_found_as_it_is_typed_and_a_look_alike_is_told_apart(world: World) {
    for seed in 1..=2 {
        world.store.enrol(&peer(seed), Enrolment::Open, NOW).await.unwrap();
    }
    world.store.rename(&peer(1), &name("Björk"), NOW).await.unwrap();
    world.store.rename(&peer(2), &name("Bo"), NOW).await.unwrap();
    let member = async |seed| world.store.member(&peer(seed)).await.unwrap().unwrap();
    let table = [
        ("Björk", Some(Named::Exactly(member(1).await))),
        ("BJORK", Some(Named::Exactly(member(1).await))),
        ("Вjörk", Some(Named::LooksLike(member(1).await))),
        ("bo", Some(Named::Exactly(member(2).await))),
        ("B0", Some(Named::LooksLike(member(2).await))),
        ("Bob", None),
    ];
    for (typed, meant) in table {
        assert_eq!(world.store.named(&name(typed)).await.unwrap(), meant, "{typed}");
    }
}

async fn a_name_is_free_again_when_nobody_has_used_it_for_long(world: World) {
    for seed in 1..=2 {
        world.store.enrol(&peer(seed), Enrolment::Open, NOW).await.unwrap();
    }
    world.store.rename(&peer(1), &name("Anna"), NOW).await.unwrap();
    world.store.touch(&peer(1), NOW + 2 * LAST_SEEN_STEP_S).await.unwrap();
    let too_soon = world.store.rename(&peer(2), &name("Anna"), NOW + NAME_UNUSED_S).await;
    assert!(matches!(too_soon, Err(RenameError::Taken)));
    world.store.rename(&peer(2), &name("Anna"), NOW + NAME_UNUSED_S + 3 * LAST_SEEN_STEP_S).await.unwrap();
    assert_eq!(world.store.member(&peer(1)).await.unwrap().unwrap().name, None);
}

async fn bans_outlive_a_restart(world: World) {
    let network = BanTarget::Prefix(Subnet { address: IpAddr::from([192, 0, 2, 0]), prefix_bits: 24 });
    let key = BanTarget::Peer(peer(1));
    world.store.ban(Ban { target: network, reason: "flood".into(), until_unix_s: Some(NOW + 9) }, NOW).await.unwrap();
    world.store.ban(Ban { target: key, reason: "spam".into(), until_unix_s: None }, NOW).await.unwrap();
    let world = world.reopened(|_| {}).await;
    let bans = world.store.bans().await.unwrap();
    assert_eq!(bans.len(), 2);
    assert!(bans.iter().any(|ban| ban.target == network && ban.is_over(NOW + 9) && !ban.is_over(NOW + 8)));
    assert!(bans.iter().any(|ban| ban.target == key && !ban.is_over(u64::MAX)));
    assert!(world.store.unban(&key, NOW).await.unwrap());
    assert!(!world.store.unban(&key, NOW).await.unwrap());
    assert_eq!(world.store.bans().await.unwrap().len(), 1);
}

async fn browsing_is_the_owners_switch(world: World) {
    world.store.enrol(&peer(1), Enrolment::Open, NOW).await.unwrap();
    world.store.set_browsable(&peer(1), false).await.unwrap();
    assert!(!world.store.member(&peer(1)).await.unwrap().unwrap().browsable);
}

on_both_databases! {
    a_member_enrols_once,
    an_invite_for_five_lets_five_in_however_many_come_at_once,
    an_invite_expires_and_can_be_revoked,
    an_invite_lets_nobody_in_while_whoever_made_it_is_banned,
    a_name_is_one_members_in_every_spelling_that_looks_like_it,
    a_name_is_found_as_it_is_typed_and_a_look_alike_is_told_apart,
    a_name_is_free_again_when_nobody_has_used_it_for_long,
    bans_outlive_a_restart,
    browsing_is_the_owners_switch,
}
