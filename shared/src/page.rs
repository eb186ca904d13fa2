//! `PROTOCOL.md` and this crate say the same: every value and every example on the page is compared with what the code
//! makes and understands. The values there were computed by other programs.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::album::album_key;
use crate::control::{FromIndex, FromPeer};
use crate::identity::{Domain, SecretKey, sign_login, verify_login};
use crate::index_api::{
    Album, AlbumPage, ChangeSet, ChangesAnswer, Info, Introduction, LibraryPage, LoginRequest, Problem, Profile,
    ReportRequest, Reported, SearchPage, Session, Sources,
};
use crate::leaf::FileLength;
use crate::library::{DEFAULT_COLLECTION, Head, LibraryDigest};
use crate::merkle::TreeHasher;
use crate::rendezvous::Observed;
use crate::ticket::Ticket;
use crate::wire::{BadLeaf, Enter, Get, Granted, Have, Hello, LeavesHeld, Message, No, Place, Reason, decode, encode};
use crate::{Claim, Digest, FileId};

const PAGE: &str = include_str!("../PROTOCOL.md");

/// Digits in a row from which on they are a value and not a word or a number.
const VALUE_DIGITS: usize = 16;
const KEY_LETTERS: usize = 52;

fn index() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

fn peer() -> SecretKey {
    SecretKey::from_seed(&[2; 32])
}

fn ticket() -> Ticket {
    Ticket::issue(&index(), peer().peer_id(), 1_800_000_000)
}

fn song() -> Claim {
    Claim::parse(json_after("This claim").as_bytes()).unwrap()
}

fn files() -> [FileId; 2] {
    let of_ab = FileId::new(Digest::new([0xab; 32]), FileLength::new(100_000).unwrap());
    [of_ab, hash(b"abc")]
}

fn library() -> LibraryDigest {
    let mut digest = LibraryDigest::EMPTY;
    files().iter().for_each(|file| digest.insert(file, &song().hash()));
    digest
}

fn head() -> Head {
    Head::sign(&peer(), DEFAULT_COLLECTION, 7, library(), 2, 1_700_000_000)
}

fn hash(bytes: &[u8]) -> FileId {
    let mut hasher = TreeHasher::new();
    hasher.update(bytes);
    hasher.finish().unwrap().id
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first block of JSON after `words`.
fn json_after(words: &str) -> &'static str {
    let (_, after) = PAGE.split_once(words).unwrap_or_else(|| panic!("{words} is on the page"));
    let (_, block) = after.split_once("```json\n").unwrap();
    block.split_once("```").unwrap().0
}

/// The messages of chapter 2.2, part by part.
fn signed() -> [Vec<u8>; 4] {
    let (index, peer) = (index().index_key(), peer().peer_id());
    let login = |challenge: &[u8]| [b"choir login 1", &index.as_bytes()[..], peer.as_bytes(), challenge].concat();
    let ticket = [b"choir ticket 1", &index.as_bytes()[..], peer.as_bytes(), &1_800_000_000u64.to_be_bytes()].concat();
    let head = [
        b"choir head 1",
        &7u64.to_be_bytes()[..],
        library().as_digest().as_bytes(),
        &2u64.to_be_bytes(),
        &1_700_000_000u64.to_be_bytes(),
        DEFAULT_COLLECTION.as_bytes(),
    ]
    .concat();
    [login(b"example-challenge"), login(b"challenge"), ticket, head]
}

/// Everything that the page can show a value of.
fn computed() -> Vec<String> {
    let (index_key, peer_id) = (index().index_key(), peer().peer_id());
    let third = SecretKey::from_seed(&[3; 32]).peer_id();
    let mut values = vec![index_key.to_string(), peer_id.to_string(), third.to_string()];
    values.extend([hex(index_key.as_bytes()), hex(&peer_id.to_spki_der()), hex(&peer().to_pkcs8_der())]);
    values.extend(signed().map(|message| hex(&message)));
    let logins = ["example-challenge", "challenge"].map(|text| sign_login(&peer(), &index_key, text.as_bytes()));
    values.extend(logins.into_iter().chain([ticket().signature, head().signature]).map(|it| hex(it.as_bytes())));

    let pattern: Vec<u8> = (0..49_152u32).map(|i| (31 * i + 17 * (i >> 8) + 7) as u8).collect();
    values.extend([hash(&pattern), files()[0], files()[1]].map(|file| file.to_string()));
    values.extend([song().hash(), *library().as_digest(), *LibraryDigest::EMPTY.as_digest()].map(|it| it.to_string()));
    values.extend(files().map(|file| {
        let mut alone = LibraryDigest::EMPTY;
        alone.insert(&file, &song().hash());
        alone.as_digest().to_string()
    }));
    let other = Claim {
        artist: Some("Sigur Rós".into()),
        album: Some("Ágætis byrjun".into()),
        year: Some(1999),
        ..Claim::default()
    };
    values.extend([album_key(&song()).unwrap(), album_key(&other).unwrap()]);
    values.extend(frames());
    values
}

fn frames() -> Vec<String> {
    fn frame<M: Message + PartialEq + Debug>(message: M) -> String {
        let frame = encode(&message);
        assert_eq!(decode::<M>(&frame[6..]), Ok(message));
        hex(&frame)
    }
    let [file, _] = files();
    let no = |reason, retry_after_ms| frame(No { reason, retry_after_ms });
    vec![
        frame(Hello { minor: 0, features: 0, agent: "choir 0.1.0".into(), tickets: vec![] }),
        frame(Hello { minor: 1, features: 5, agent: String::new(), tickets: vec![ticket()] }),
        frame(Get { file, first_leaf: 1, leaf_count: 300, want_layer: true, priority: 7 }),
        frame(Have { leaves: LeavesHeld::All, more_sources: vec![] }),
        frame(Have { leaves: LeavesHeld::Bitmap(vec![0x7f]), more_sources: vec![index().peer_id()] }),
        no(Reason::NotShared, 0),
        no(Reason::Busy, 1000),
        no(Reason::Changed, 0),
        no(Reason::Refused, 0),
        no(Reason::Unsupported, 0),
        no(Reason::Other(300), 1000),
        frame(Enter { files: 2, bytes: 1_000_000 }),
        frame(Place { ahead: 3, eta_ms: None }),
        frame(Place { ahead: 3, eta_ms: Some(1500) }),
        frame(Granted { idle_ms: 10_000 }),
        frame(BadLeaf { file, leaf: 6 }),
        frame(Observed { address: "127.0.0.1:6699".parse().unwrap() }),
        frame(Observed { address: "[2a00::1]:6699".parse().unwrap() }),
    ]
}

#[test]
fn every_value_on_the_page_is_what_the_code_computes() {
    let computed = computed();
    let words = PAGE.split(|letter: char| !letter.is_ascii_alphanumeric());
    let is_value = |word: &&str| {
        let is_hex = word.bytes().all(|letter| matches!(letter, b'0'..=b'9' | b'a'..=b'f'));
        let is_key =
            word.len() == KEY_LETTERS && word.bytes().all(|letter| matches!(letter, b'a'..=b'z' | b'2'..=b'7'));
        is_key || is_hex && word.len() >= VALUE_DIGITS
    };
    let values: Vec<_> = words.filter(is_value).collect();
    assert!(values.len() > 60, "only {} values were found on the page", values.len());
    for value in values {
        assert!(computed.iter().any(|known| known.contains(value)), "{value} is on the page and computed nowhere");
    }
    for signature in [ticket().signature, head().signature] {
        assert!(PAGE.contains(&hex(signature.as_bytes())));
    }
}

#[test]
fn what_is_signed_has_the_length_and_the_beginning_that_the_page_says() {
    let [_, login, ticket, head] = signed();
    assert_eq!([login.len(), ticket.len(), head.len()], [86, 86, 76]);
    for (message, domain) in [(login, Domain::Login), (ticket, Domain::Ticket), (head, Domain::LibraryHead)] {
        assert!(message.starts_with(domain.prefix()));
    }
    let login: LoginRequest = serde_json::from_str(json_after("3. `POST /sessions`")).unwrap();
    assert!(verify_login(&login.peer, &index().index_key(), login.challenge.as_bytes(), &login.signature));
    let session: Session = serde_json::from_str(json_after("4. The answer")).unwrap();
    assert_eq!(session.ticket, self::ticket());
    assert_eq!(serde_json::from_str::<Head>(json_after("### 5.3 The head")).unwrap(), self::head());
}

#[test]
fn every_example_on_the_page_is_understood_and_written_alike() {
    fn check<T: Serialize + DeserializeOwned>(json: &str) {
        let read: T = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
        let (written, page) = (serde_json::to_value(&read).unwrap(), serde_json::from_str::<Value>(json).unwrap());
        // What has a default may be left out on the page.
        for (name, value) in page.as_object().unwrap() {
            assert_eq!(&written[name], value, "{name}");
        }
    }
    let kinds: &[fn(&str)] = &[
        check::<Claim>,
        check::<Head>,
        check::<Problem>,
        check::<Info>,
        check::<LoginRequest>,
        check::<Session>,
        check::<ChangesAnswer>,
        check::<ChangeSet>,
        check::<SearchPage>,
        check::<AlbumPage>,
        check::<Album>,
        check::<Sources>,
        check::<Introduction>,
        check::<Profile>,
        check::<LibraryPage>,
        check::<ReportRequest>,
        check::<Reported>,
        check::<FromPeer>,
        check::<FromPeer>,
        check::<FromPeer>,
        check::<FromIndex>,
        check::<FromIndex>,
        check::<FromIndex>,
        check::<FromIndex>,
        check::<FromIndex>,
        check::<FromIndex>,
        check::<FromIndex>,
    ];
    let blocks: Vec<_> = PAGE.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), kinds.len());
    blocks.iter().zip(kinds).for_each(|(block, check)| check(block));
}
