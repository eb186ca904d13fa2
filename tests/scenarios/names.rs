//! Saying a name where a peer is meant.

use harness::{TestIndex, TestPeer, fixtures};

#[test]
fn a_name_is_good_wherever_a_peer_is_meant() {
    let index = TestIndex::start();
    let [anna, guest] = ["anna", "guest"].map(|name| TestPeer::new(name, &index));
    assert_eq!(anna.run(["join", &index.join_link, "--name", "Annchén"]).code, 0);
    anna.add_music("Songs/Anna - Air.wav", &fixtures::noise("Air", "Anna", 100_000, 30));
    let (_anna_runs, _guest_runs) = (anna.daemon(), guest.daemon());
    anna.share().expect_code(0);
    let key = anna.key();

    let known = guest.json(["whois", "ANNCHEN"]).expect_code(0).json();
    assert_eq!((known["peer"].as_str(), known["name"].as_str()), (Some(key.as_str()), Some("Annchén")));
    let top = guest.json(["browse", "annchen"]).expect_code(0).json();
    assert_eq!((top["peer"].as_str(), top["folders"][0]["path"].as_str()), (Some(key.as_str()), Some("music")));
    guest.json(["doctor", "annchen"]).expect_code(0);
    guest.find(&["--peer", "annchen", "air"]);
    let out = guest.downloads();
    let got = guest.json(["get", "--folder", "annchen", "music/Songs", "-o", out.to_str().unwrap()]).expect_code(0);
    assert_eq!(got.json()["files"].as_array().unwrap().len(), 1);

    // The first letter is Cyrillic. Anna is named, and not banned for her likeness.
    let look_alike = guest.json(["ban", "Аnnchén"]).expect_code(3);
    assert!(look_alike.stdout.contains(&key) && look_alike.stdout.contains("Annchén"), "{look_alike:?}");
    assert_eq!(guest.json(["whois", &key]).json()["banned"], false);

    let banned = guest.run(["ban", "annchén"]).expect_code(0);
    assert!(banned.stdout.contains(&format!("Annchén ({key}) is banned")), "{banned:?}");
    assert_eq!(anna.run(["name", "Berta"]).code, 0);
    assert_eq!(guest.json(["whois", "Berta"]).expect_code(0).json()["banned"], true, "a ban is on the key");
    guest.json(["unban", "Annchén"]).expect_code(3);
    guest.json(["unban", "berta"]).expect_code(0);
    assert_eq!(guest.json(["unban", "berta"]).expect_code(3).error_code(), "not_found");
}

#[test]
fn a_name_of_two_peers_is_an_error_until_one_index_is_chosen() {
    let (one, mut other) = (TestIndex::start(), TestIndex::start());
    let (bob, imitator) = (TestPeer::new("bob", &one), TestPeer::new("imitator", &other));
    for (peer, index) in [(&bob, &one), (&imitator, &other)] {
        assert_eq!(peer.run(["join", &index.join_link, "--name", "Bob"]).code, 0);
    }
    let both = format!("{},{}", one.url, other.url);
    let mut guest = TestPeer::at("guest", &both);
    let _guest_runs = guest.daemon();
    for command in ["whois", "ban"] {
        let unclear = guest.json([command, "bob"]).expect_code(3);
        assert_eq!(unclear.error_code(), "ambiguous");
        assert!(unclear.stdout.contains(&bob.key()) && unclear.stdout.contains(&imitator.key()), "{unclear:?}");
    }
    guest.turn_to(&other.url);
    assert_eq!(guest.json(["ban", "bob"]).expect_code(0).json()["peer"], imitator.key());

    guest.turn_to(&both);
    other.process.kill();
    assert_eq!(guest.json(["whois", "bob"]).expect_code(0).json()["peer"], bob.key(), "one index is enough to look");
    let doubtful = guest.json(["ban", "bob"]).expect_code(5);
    assert!(doubtful.stdout.contains("--index"), "{doubtful:?}");
}
