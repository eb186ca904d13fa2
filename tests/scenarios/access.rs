//! Who may come in.

use std::collections::BTreeSet;

use choir_shared::FileId;
use choir_shared::wire::{Enter, Get, No, Reason, decode, encode};
use harness::mischief::{Guise, HostilePeer, Intruder, Mischief};
use harness::{TestIndex, TestPeer, fixtures};

#[test]
fn a_private_index_takes_only_who_has_an_invite() {
    let index = TestIndex::with(&["--access", "invite"]);
    let guest = TestPeer::new("guest", &index);
    let refused = guest.json(["search", "--artist", "anyone"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stdout.contains("invitation"), "{refused:?}");

    let member = TestPeer::new("member", &index);
    assert_eq!(member.run(["join", &index.join_link, "--name", "Member"]).code, 0);
    member.add_music("Members Only - Song.wav", &fixtures::noise("Song", "Members Only", 100_000, 9));
    let _runs = member.daemon();
    member.share().expect_code(0);

    let friend = TestPeer::new("friend", &index);
    assert_eq!(friend.run(["join", &index.join_link]).code, 0);
    assert_eq!(friend.find(&["--artist", "members"]).len(), 1);
    friend.get("@1").expect_code(0);
}

#[test]
fn who_dials_a_member_of_a_private_index_needs_a_ticket_of_his_own() {
    let index = TestIndex::with(&["--access", "invite"]);
    let member = TestPeer::new("member", &index);
    assert_eq!(member.run(["join", &index.join_link]).code, 0);
    member.add_music("Members Only - Song.wav", &fixtures::noise("Song", "Members Only", 100_000, 25));
    let _runs = member.daemon();
    member.share().expect_code(0);
    let file: FileId = member.find(&["--artist", "members"])[0]["file_id"].as_str().unwrap().parse().unwrap();
    // Whoever was once introduced, or watches the line, knows the rest.
    let (id, address) = (member.id().parse().unwrap(), member.udp_address());

    let get = encode(&Get { file, first_leaf: 0, leaf_count: 1, want_layer: true, priority: 0 });
    let enter = encode(&Enter { files: 1, bytes: 1 });
    let refusal = |answer: Vec<u8>| decode::<No>(answer.get(6..).unwrap_or_default()).map(|no| no.reason);
    let friend = Guise::member_of(&index);
    let elsewhere = Guise::member_of(&TestIndex::with(&["--access", "invite"]));
    for (who, guise) in [("a stranger", Guise::stranger()), ("a thief", friend.copied()), ("a foreigner", elsewhere)] {
        let intruder = Intruder::dial(address, id, guise);
        assert_eq!(refusal(intruder.say(&get)), Ok(Reason::Refused), "{who} gets nothing");
        assert_eq!(refusal(intruder.say(&enter)), Ok(Reason::Refused), "{who} may not even wait");
    }
    let friend = Intruder::dial(address, id, friend);
    assert!(friend.say(&get).len() as u64 > 16_384, "a member is served at once");
}

#[test]
fn a_name_that_looks_like_anothers_is_refused() {
    let index = TestIndex::start();
    let [first, second] = ["first", "second"].map(|name| TestPeer::new(name, &index));
    assert_eq!(first.run(["join", &index.join_link, "--name", "Paula"]).code, 0);
    // The first letter is Cyrillic.
    let answer = second.json(["join", &index.join_link, "--name", "Раula"]);
    assert_eq!(answer.code, 4, "{answer:?}");
    assert_eq!(answer.error_code(), "name_taken");
}

#[test]
fn a_banned_peer_gets_nothing_more() {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    sharer.add_music("Keeper - Mine.wav", &fixtures::noise("Mine", "Keeper", 100_000, 10));
    let (_sharer_runs, _guest_runs) = (sharer.daemon(), guest.daemon());
    sharer.share().expect_code(0);
    let id = guest.json(["status"]).json()["peer_id"].as_str().unwrap().to_owned();
    assert_eq!(sharer.run(["ban", &id]).code, 0);
    assert_eq!(guest.find(&["--artist", "keeper"]).len(), 1);
    let mut command = guest.command();
    command.args(["get", "@1", "-o"]).arg(guest.downloads());
    let mut get = harness::process::Process::start("get", &mut command);
    harness::eventually("the source says no", || {
        let list = guest.json(["downloads", "ls"]).json();
        let line = list["downloads"].as_array()?.first()?.clone();
        (line["state"] == "waiting" && line["bytes_done"] == 0).then_some(())
    });
    assert_eq!(sharer.run(["unban", &id]).code, 0);
    assert!(get.wait().success(), "a refused source is asked again");
}

#[test]
fn a_source_learns_of_no_membership_but_in_the_index_that_lists_it() {
    let [index, other] = [TestIndex::start(), TestIndex::start()];
    let guest = TestPeer::new("guest", &index);
    for joined in [&index, &other] {
        assert_eq!(guest.run(["join", &joined.join_link]).code, 0);
    }
    let song = fixtures::noise("Ears", "Big", 100_000, 11);
    let curious = HostilePeer::join(&index, &song, "Ears", "Big", Mischief::Silence);
    let _runs = guest.daemon();
    assert_eq!(guest.find(&["--artist", "big"]).len(), 1);
    let mut command = guest.command();
    command.args(["get", "@1", "-o"]).arg(guest.downloads());
    let _get = harness::process::Process::start("get", &mut command);
    let greeted =
        harness::eventually("the source is greeted", || Some(curious.tally()).filter(|tally| tally.hellos > 0));
    assert_eq!(greeted.shown, BTreeSet::from([index.key()]));
}

#[test]
fn who_was_introduced_learns_of_no_membership_but_in_the_index_that_introduced_it() {
    let [index, other] = [TestIndex::start(), TestIndex::start()];
    let sharer = TestPeer::new("sharer", &index);
    for joined in [&index, &other] {
        assert_eq!(sharer.run(["join", &joined.join_link]).code, 0);
    }
    sharer.add_music("Big - Mouth.wav", &fixtures::noise("Mouth", "Big", 100_000, 12));
    let _runs = sharer.daemon();
    sharer.share().expect_code(0);
    let id = sharer.json(["status"]).json()["peer_id"].as_str().unwrap().parse().unwrap();
    let file: FileId = sharer.find(&["--artist", "big"])[0]["file_id"].as_str().unwrap().parse().unwrap();
    let visitor = Intruder::visit(&index, id, file);
    // The introduction may come after the visitor; then the sharer says hello again.
    let shown = std::iter::repeat_with(|| visitor.hear_hello().tickets).find(|tickets| !tickets.is_empty());
    let indexes: Vec<_> = shown.unwrap().iter().map(|ticket| ticket.index).collect();
    assert_eq!(indexes, [index.key()]);
}
