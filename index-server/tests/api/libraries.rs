//! Publishing, searching, browsing.

use std::time::Duration;

use choir_shared::audio::AudioId;
use choir_shared::control::{CollectionState, FromIndex, FromPeer};
use choir_shared::index_api::{
    Album, AlbumPage, ChangesAnswer, ErrorCode, LibraryPage, Profile, SearchPage, SearchRow, Sources,
};
use choir_shared::leaf::FileLength;
use choir_shared::link::encode;
use choir_shared::{Claim, Digest};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::web_socket::{Control, Heard, hello};
use crate::world::{PATIENCE, World, song};

#[tokio::test]
async fn what_one_publishes_another_finds_and_sees_who_has_it() {
    let world = World::start().await;
    let (mut anna, bert) = (world.peer(1).await, world.peer(2).await);
    let _control = Control::online(&anna).await;
    let answer = anna.publish(&["Morning Raga", "Evening Raga"]).await;
    assert_eq!((answer.generation, answer.count), (1, 2));

    let page = bert.find("morning").await;
    let [row] = &page.results[..] else { panic!("{page:?}") };
    assert_eq!((row.file_id, row.title.as_deref(), row.sources), (song("Morning Raga"), Some("Morning Raga"), 1));

    let sources: Sources = bert.get(&format!("/files/{}/sources", row.file_id)).await.json();
    assert_eq!((sources.online, sources.sources.len()), (1, 1));
    assert_eq!((sources.sources[0].peer, sources.sources[0].complete), (anna.id(), true));
    let own: Sources = anna.get(&format!("/files/{}/sources", row.file_id)).await.json();
    assert_eq!((own.online, own.sources.len()), (1, 0), "nobody fetches from itself");
}

#[tokio::test]
async fn other_copies_are_found_by_the_audio_that_a_row_names() {
    let world = World::start().await;
    let (mut anna, bert) = (world.peer(1).await, world.peer(2).await);
    let _control = Control::online(&anna).await;
    let audio = AudioId { root: Digest::of(b"audio"), offset: 9, length: FileLength::new(1_000).unwrap() };
    let mut set = anna.change(&["Morning Raga", "Track 1", "Evening Raga"]);
    for (addition, offset) in set.add.iter_mut().zip([9, 7]) {
        let claim = addition.claim.take().unwrap();
        let claim =
            Claim { audio: Some(AudioId { offset, ..audio }), disc: Some(2), genre: Some("Raga".into()), ..claim };
        (addition.claim_hash, addition.claim) = (claim.hash(), Some(claim));
    }
    assert_eq!(anna.post("/library/changes", &set).await.json::<ChangesAnswer>().count, 3);

    let row = bert.find("morning").await.results.remove(0);
    assert_eq!((row.audio, row.disc, row.genre.as_deref()), (Some(audio.as_file()), Some(2), Some("Raga")));
    let page: SearchPage = bert.get(&format!("/search?audio={}", audio.as_file())).await.json();
    let mut found: Vec<_> = page.results.iter().filter_map(|row| row.title.as_deref()).collect();
    found.sort_unstable();
    assert_eq!(found, ["Morning Raga", "Track 1"]);
    assert_eq!(bert.get("/search?audio=ab").await.code(), ErrorCode::BadQuery);
}

#[tokio::test]
async fn files_are_known_by_their_id_also_while_nobody_is_online() {
    let world = World::start().await;
    let (mut anna, bert) = (world.peer(1).await, world.peer(2).await);
    anna.publish(&["Quiet"]).await;
    let row: SearchRow = bert.get(&format!("/files/{}", song("Quiet"))).await.json();
    assert_eq!((row.title.as_deref(), row.sources), (Some("Quiet"), 0));
    assert_eq!(bert.get(&format!("/files/{}", song("Unknown"))).await.code(), ErrorCode::NotFound);
    assert_eq!(bert.get("/files/no-id").await.code(), ErrorCode::NotFound);
    let sources: Sources = bert.get(&format!("/files/{}/sources", song("Unknown"))).await.json();
    assert_eq!(sources, Sources { sources: Vec::new(), online: 0 });
}

#[tokio::test]
async fn an_album_tells_what_there_is_of_it_and_who_has_most() {
    let world = World::start().await;
    let (mut anna, mut bert, carl) = (world.peer(1).await, world.peer(2).await, world.peer(3).await);
    let (_anna, _bert) = (Control::online(&anna).await, Control::online(&bert).await);
    for (peer, titles) in [(&mut anna, &["Morning", "Noon"][..]), (&mut bert, &["Morning"])] {
        let mut set = peer.change(titles);
        for (addition, track) in set.add.iter_mut().zip(1..) {
            let mut claim = addition.claim.take().unwrap();
            (claim.album, claim.track, claim.track_total) = (Some("Ragas".into()), Some(track), Some(3));
            (addition.claim_hash, addition.claim) = (claim.hash(), Some(claim));
        }
        assert_eq!(peer.post("/library/changes", &set).await.status, 200);
    }
    carl.find("noon").await;
    let page: AlbumPage = carl.get("/albums?q=noon").await.json();
    let [row] = &page.albums[..] else { panic!("{page:?}") };
    assert_eq!((row.title.as_str(), row.artist.as_deref()), ("Ragas", Some("The Examples")));
    assert_eq!((row.tracks, row.tracks_online, row.track_total, row.complete), (2, 2, Some(3), false));

    let album: Album = carl.get(&format!("/albums/{}", row.album_key)).await.json();
    assert_eq!(album.row, *row);
    assert_eq!(album.files.iter().map(|file| file.track).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(album.files[0].sources, 2);
    let holders: Vec<_> = album.holders.iter().map(|holder| (holder.peer, holder.tracks)).collect();
    assert_eq!(holders, [(anna.id(), 2), (bert.id(), 1)]);

    let half_right = format!("{}{}", &row.album_key[..16], "0".repeat(16));
    for unknown in ["", "no key", "ffffffffffffffff", &half_right] {
        assert_eq!(carl.get(&format!("/albums/{}", encode(unknown))).await.code(), ErrorCode::NotFound, "{unknown}");
    }
    let nothing = carl.get("/albums").await;
    assert_eq!(nothing.code(), ErrorCode::BadQuery);
    let explained: SearchPage = carl.get("/search?q=noon&explain=1").await.json();
    assert_eq!(explained.explain.unwrap()[0].words[0].found, "noon");
}

#[tokio::test]
async fn a_change_on_a_wrong_base_is_told_the_right_one_and_a_repeated_one_is_no_change() {
    let world = World::start().await;
    let mut anna = world.peer(1).await;
    let set = anna.change(&["One"]);
    let first: ChangesAnswer = anna.post("/library/changes", &set).await.json();
    let again: ChangesAnswer = anna.post("/library/changes", &set).await.json();
    assert_eq!(first, again);

    let mut skipping = anna.change(&["Two"]);
    skipping.base_generation = 7;
    skipping.generation = 8;
    let refused = anna.post("/library/changes", &skipping).await;
    assert_eq!((refused.code(), refused.problem().generation), (ErrorCode::WrongBase, Some(1)));
}

#[tokio::test]
async fn a_packed_change_set_is_unpacked_and_a_bomb_is_not() {
    let world = World::start().await;
    let mut anna = world.peer(1).await;
    // Stored blocks are the simplest gzip: a header, the bytes, and the two sums that close it.
    let body = gzip(&serde_json::to_vec(&anna.change(&["Packed"])).unwrap());
    let answer = anna.send("POST", "/library/changes", &[("Content-Encoding", "gzip")], &body).await;
    assert_eq!(answer.json::<ChangesAnswer>().count, 1);

    let bomb = gzip(&vec![b' '; 2 << 20]);
    let answer = anna.send("POST", "/library/changes", &[("Content-Encoding", "gzip")], &bomb).await;
    assert_eq!(answer.code(), ErrorCode::TooLarge);
    let answer = anna.send("POST", "/library/changes", &[("Content-Encoding", "gzip")], b"no gzip").await;
    assert_eq!(answer.code(), ErrorCode::BadRequest);
    let answer = anna.send("POST", "/library/changes", &[("Content-Encoding", "br")], b"").await;
    assert_eq!(answer.code(), ErrorCode::BadRequest);
}

#[tokio::test]
async fn a_library_is_browsed_by_folder_if_its_owner_lets_others() {
    let world = World::start().await;
    let (mut anna, bert) = (world.peer(1).await, world.peer(2).await);
    anna.publish(&["One", "Two"]).await;
    let root: LibraryPage = bert.get(&format!("/peers/{}/library", anna.id())).await.json();
    assert_eq!(
        root.folders.iter().map(|folder| (folder.path.as_str(), folder.files)).collect::<Vec<_>>(),
        [("Music", 2)]
    );
    let inside: LibraryPage = bert.get(&format!("/peers/{}/library?folder=Music%2FMixed", anna.id())).await.json();
    assert_eq!(inside.files.len(), 2);
    let profile: Profile = bert.get(&format!("/peers/{}", anna.id())).await.json();
    assert_eq!((profile.files, profile.online, profile.browsable), (2, false, true));

    assert_eq!(anna.send("PUT", "/me", &[], br#"{"browsable": false}"#).await.status, 200);
    let closed = bert.get(&format!("/peers/{}/library", anna.id())).await;
    assert_eq!(closed.code(), ErrorCode::NotBrowsable);
    assert_eq!(anna.get(&format!("/peers/{}/library", anna.id())).await.status, 200);
    let search = bert.get(&format!("/search?q=one&peer={}", anna.id())).await;
    assert_eq!(search.code(), ErrorCode::NotBrowsable, "search is no way around");
}

#[tokio::test]
async fn the_search_index_is_filled_again_if_it_is_lost() {
    let world = World::start().await;
    let mut anna = world.peer(1).await;
    anna.publish(&["Lost and Found"]).await;
    let (folder, settings) = world.stop().await;
    std::fs::remove_dir_all(settings.data_dir.join("search")).unwrap();
    let world = World::again(folder, settings).await;
    anna.address = world.address;
    let _control = Control::online(&anna).await;
    assert_eq!(anna.find("lost").await.results.len(), 1);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut chunks = bytes.chunks(0xffff).peekable();
    while let Some(chunk) = chunks.next() {
        let length = chunk.len() as u16;
        packed.push(u8::from(chunks.peek().is_none()));
        packed.extend_from_slice(&length.to_le_bytes());
        packed.extend_from_slice(&(!length).to_le_bytes());
        packed.extend_from_slice(chunk);
    }
    packed.extend_from_slice(&crc32(bytes).to_le_bytes());
    packed.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    packed
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[tokio::test]
async fn neither_a_search_nor_a_control_message_waits_behind_a_publish() {
    let world = World::start().await;
    let (mut anna, bert) = (world.peer(1).await, world.peer(2).await);
    let ChangesAnswer { generation, digest, .. } = anna.publish(&["Before"]).await;
    let before = CollectionState { collection: "everyone".into(), generation, digest };
    let (mut annas, mut berts) = (Control::online(&anna).await, Control::online(&bert).await);
    bert.find("before").await;

    let catalogue = SqliteConnectOptions::new().filename(world.settings.data_dir.join("catalogue.db"));
    let mut writer = catalogue.connect().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut writer).await.unwrap();
    let mut publishing = Vec::new();
    for mut peer in [anna, world.peer(3).await, world.peer(4).await, world.peer(5).await] {
        publishing.push(tokio::spawn(async move { peer.publish(&["Meanwhile"]).await.count }));
    }
    let here = FromIndex::Available { files: vec![song("Before")] };
    for round in 10..20 {
        assert_eq!(bert.search("before").await.results[0].sources, 1);
        for control in [&mut annas, &mut berts] {
            control.ping().await;
            assert_eq!(control.hear().await, Heard::Pong);
            control.say(&FromPeer::Fetching { files: vec![song("Before")] }).await;
            // What was on the list before is no news.
            control.say(&FromPeer::Watch { files: vec![] }).await;
            control.say(&FromPeer::Watch { files: vec![song("Before")] }).await;
            assert_eq!(control.message().await, here);
        }
        let _newcomer = Control::online(&world.peer(round).await).await;
    }
    let before = FromIndex::Welcome { resync: vec![before] };
    let nothing = FromIndex::Welcome { resync: vec![] };
    let mut returned = Vec::new();
    for (publisher, expected) in [(1, &before), (3, &nothing), (4, &nothing), (5, &nothing)] {
        let (control, welcome) = Control::open(&world.peer(publisher).await, &hello(vec![])).await;
        assert_eq!(&welcome, expected, "{publisher}");
        returned.push(control);
    }
    assert!(publishing.iter().all(|task| !task.is_finished()), "they wait for the writer");
    sqlx::query("COMMIT").execute(&mut writer).await.unwrap();
    let mut counts = Vec::new();
    for task in publishing {
        counts.push(task.await.unwrap());
    }
    assert_eq!(counts, [2, 1, 1, 1]);
    let all_are_sources = async {
        let path = format!("/files/{}/sources", song("Meanwhile"));
        while bert.get(&path).await.json::<Sources>().online != 4 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all_are_sources).await.expect("who came back is a source of what it published");
    assert_eq!(bert.search("before").await.results[0].sources, 1);
}

#[tokio::test]
async fn a_large_library_is_a_source_soon_after_its_welcome() {
    let world = World::start().await;
    let (mut anna, bert) = (world.peer(1).await, world.peer(2).await);
    let titles: Vec<String> = (0..=10_000).map(|number| format!("Song {number}")).collect();
    for titles in titles.chunks(800) {
        anna.publish(&titles.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    let (_control, welcome) = Control::open(&anna, &hello(vec![])).await;
    assert!(matches!(welcome, FromIndex::Welcome { resync } if resync.len() == 1));
    let is_a_source = async {
        let path = format!("/files/{}/sources", song("Song 10000"));
        while bert.get(&path).await.json::<Sources>().online != 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, is_a_source).await.expect("it is loaded behind the welcome");
}
