//! Strangers control every byte that comes from the network.

use std::fs;

use choir_shared::wire::{CloseCode, Get, Hello, Kind, No, Reason, decode, encode};
use choir_shared::{FileId, PeerId};
use harness::mischief::{Guise, HostilePeer, Intruder, Mischief};
use harness::process::{Memory, memory};
use harness::{TestIndex, TestPeer, eventually, fixtures};

/// A download from an honest and a hostile source: the hostile one is named, and the right bytes come from the other.
fn an_honest_source_saves_the_download_from(mischief: Mischief, note: &str) {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    let song = fixtures::noise("Truth", "Honest", 4_000_000, 20);
    sharer.add_music("Honest - Truth.wav", &song);
    let _runs = sharer.daemon();
    sharer.share().expect_code(0);
    // Slow enough that the other source is asked for its share, and found out.
    assert_eq!(sharer.run(["uploads", "limit", "300K"]).code, 0);
    let liar = HostilePeer::join(&index, &song, "Truth", "Honest", mischief);
    let _guest_runs = guest.daemon();
    eventually("both are listed", || guest.search(&["--artist", "honest"]).pop().filter(|row| row["sources"] == 2));
    let mut get = guest.begin_get("@1");
    eventually(note, || guest.source(liar.peer)?["note"].as_str()?.contains(note).then_some(()));
    assert!(liar.tally().requests > 0);
    assert_eq!(sharer.run(["uploads", "limit", "unlimited"]).code, 0);
    assert!(get.wait().success());
    let done = guest.download().unwrap();
    assert_eq!(fs::read(done["path"].as_str().unwrap()).unwrap(), song);
}

#[test]
fn a_lone_liar_is_told_and_not_asked_again() {
    let index = TestIndex::start();
    let guest = TestPeer::new("guest", &index);
    let song = fixtures::noise("Lie", "Liar", 2_000_000, 24);
    let liar = HostilePeer::join(&index, &song, "Lie", "Liar", Mischief::WrongBytes);
    let _guest_runs = guest.daemon();
    let file = guest.find(&["--artist", "liar"]).remove(0)["file_id"].as_str().unwrap().to_owned();
    let downloads = guest.downloads();
    let get = ["get".as_ref(), file.as_ref(), "--wait".as_ref(), "0".as_ref(), "-o".as_ref(), downloads.as_os_str()];
    let refused = guest.json(get).expect_code(6);
    assert_eq!(refused.error_code(), "integrity");
    eventually("the liar is told", || (liar.tally().complaints > 0).then_some(()));

    let before = liar.tally();
    assert_eq!(guest.json(["downloads", "pause", "1"]).code, 0);
    assert_eq!(guest.json(["downloads", "resume", "1"]).code, 0);
    let line = guest.download_when("it was tried again", |line| line["state"] == "waiting");
    assert_eq!(line["reason"], "integrity", "{line}");
    assert_eq!(liar.tally(), before, "nothing more was asked of it");
}

#[test]
fn wrong_bytes_are_found_and_fetched_elsewhere() {
    an_honest_source_saves_the_download_from(Mischief::WrongBytes, "sent wrong bytes");
}

#[test]
fn a_wrong_layer_is_found_and_fetched_elsewhere() {
    an_honest_source_saves_the_download_from(Mischief::WrongLayer, "sent wrong bytes");
}

#[test]
fn too_few_bytes_are_found_and_fetched_elsewhere() {
    an_honest_source_saves_the_download_from(Mischief::TooFewBytes, "sent wrong bytes");
}

#[test]
fn too_many_bytes_are_found_and_fetched_elsewhere() {
    an_honest_source_saves_the_download_from(Mischief::TooManyBytes, "sent wrong bytes");
}

#[test]
fn a_silent_source_is_given_up_and_the_rest_fetched_elsewhere() {
    an_honest_source_saves_the_download_from(Mischief::Silence, "silent for too long");
}

#[test]
fn a_slow_source_is_not_taken_for_a_silent_one() {
    let index = TestIndex::start();
    let [sharer, guest] = ["sharer", "guest"].map(|name| TestPeer::new(name, &index));
    let song = fixtures::noise("Patience", "Slow", 200_000, 23);
    sharer.add_music("Slow - Patience.wav", &song);
    let (_runs, _guest_runs) = (sharer.daemon(), guest.daemon());
    sharer.share().expect_code(0);
    guest.find(&["--artist", "slow"]);
    // The rest of the song comes in one piece that takes longer than silence is borne.
    assert_eq!(sharer.run(["uploads", "limit", "40K"]).code, 0);
    let got = guest.get("@1").expect_code(0).json();
    assert_eq!(fs::read(got["path"].as_str().unwrap()).unwrap(), song);
}

#[test]
fn a_source_that_talks_junk_is_dropped() {
    an_honest_source_saves_the_download_from(Mischief::Junk, "broke the protocol");
}

/// A sharer with one song, and what an intruder needs to visit it.
struct Sharer {
    peer: TestPeer,
    runs: harness::Daemon,
    id: PeerId,
    file: FileId,
}

fn sharer(index: &TestIndex) -> Sharer {
    let peer = TestPeer::new("sharer", index);
    peer.add_music("Open - Door.wav", &fixtures::noise("Door", "Open", 500_000, 21));
    let runs = peer.daemon();
    peer.share().expect_code(0);
    let id = peer.json(["status"]).json()["peer_id"].as_str().unwrap().parse().unwrap();
    let file = eventually("the song is listed", || peer.search(&["--artist", "open"]).pop());
    Sharer { file: file["file_id"].as_str().unwrap().parse().unwrap(), peer, runs, id }
}

fn header(kind: u16, bytes: u32) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &bytes.to_be_bytes()].concat()
}

#[test]
fn broken_requests_close_the_connection_with_their_code_and_others_are_served() {
    let index = TestIndex::start();
    let sharer = sharer(&index);
    let get =
        |first_leaf, leaf_count| Get { file: sharer.file, first_leaf, leaf_count, want_layer: false, priority: 0 };
    let whole = encode(&get(0, 1));
    let hello = Hello { minor: 0, features: 0, agent: String::new(), tickets: vec![] };
    let broken: [(&str, Vec<u8>, CloseCode); 6] = [
        ("a length of 4 GiB", header(Kind::Get as u16, u32::MAX), CloseCode::Oversized),
        ("one byte more than allowed", header(Kind::Enter as u16, 257), CloseCode::Oversized),
        ("junk in place of a request", [header(Kind::Get as u16, 3), vec![0xff; 3]].concat(), CloseCode::Malformed),
        ("a request that ends in the middle", whole[..whole.len() - 4].to_vec(), CloseCode::Malformed),
        ("a message that is no request", encode(&hello), CloseCode::Unexpected),
        ("leaves that the file does not have", encode(&get(1_000_000, 1)), CloseCode::Malformed),
    ];
    for (what, bytes, code) in broken {
        let intruder = Intruder::visit(&index, sharer.id, sharer.file);
        intruder.say(&bytes);
        assert_eq!(intruder.closed_with(), Some(u64::from(code.code())), "{what}");
    }

    let polite = Intruder::visit(&index, sharer.id, sharer.file);
    let answer = polite.say(&[header(0x7777, 4), vec![1, 2, 3, 4]].concat());
    let no: No = decode(&answer[6..]).unwrap();
    assert_eq!(no.reason, Reason::Unsupported, "an unknown request is answered");
    let foreign = FileId::new(choir_shared::Digest::of(b"not shared"), sharer.file.length());
    let answer = polite.say(&encode(&Get { file: foreign, ..get(0, 1) }));
    let no: No = decode(&answer[6..]).unwrap();
    assert_eq!(no.reason, Reason::NotShared, "no file is served because its id is known");
    assert!(polite.is_connected(), "and the connection lives");
    let without_slot = polite.say(&encode(&get(8, 4)));
    let no: No = decode(&without_slot[6..]).unwrap();
    assert_eq!(no.reason, Reason::Busy, "only the start is served without a slot");

    let guest = TestPeer::new("guest", &index);
    guest.find(&["--artist", "open"]);
    guest.get("@1").expect_code(0);
}

#[test]
fn an_oversized_claim_in_a_header_costs_no_memory() {
    let index = TestIndex::start();
    let sharer = sharer(&index);
    let address = sharer.peer.udp_address();
    let taken = |what| memory(sharer.runs.process.id(), what);
    let before = [taken(Memory::Resident), taken(Memory::MostReserved)];
    for _ in 0..30 {
        let intruder = Intruder::dial(address, sharer.id, Guise::stranger());
        intruder.say(&header(Kind::Get as u16, u32::MAX));
        intruder.closed_with();
    }
    let after = [taken(Memory::Resident), taken(Memory::MostReserved)];
    // Connections that linger for a moment are some megabytes, and one believed header would reserve four gigabytes.
    assert!(after[0] < before[0] + (64 << 20) && after[1] < before[1] + (3 << 30), "{before:?}, then {after:?}");
    assert_eq!(sharer.peer.json(["status"]).code, 0);
}

#[test]
fn a_stranger_chooses_no_path() {
    let index = TestIndex::start();
    let guest = TestPeer::new("guest", &index);
    let song = fixtures::noise("Escape", "Houdini", 100_000, 22);
    // The index shows what a holder claims; the claim's file name is a stranger's.
    let _peer = HostilePeer::join(&index, &song, "../../../escape\u{202e}gpj.exe", "Houdini", Mischief::Silence);
    let sharer = TestPeer::new("sharer", &index);
    sharer.add_music("whatever.wav", &song);
    let _runs = sharer.daemon();
    sharer.share().expect_code(0);
    let _guest_runs = guest.daemon();
    let row = eventually("it is listed", || guest.search(&["--artist", "houdini"]).pop());
    let got = guest.get(row["file_id"].as_str().unwrap()).expect_code(0).json();
    let path = std::path::PathBuf::from(got["path"].as_str().unwrap());
    assert_eq!(path.parent().unwrap().canonicalize().unwrap(), guest.downloads().canonicalize().unwrap());
    assert!(!path.to_string_lossy().contains('\u{202e}'));
}
