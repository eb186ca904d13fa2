use choir_shared::Claim;
use choir_shared::audio::AudioId;
use choir_shared::claim::Kind;
use choir_shared::index_api::Folder;
use choir_shared::leaf::FileLength;

use super::*;
use crate::store::Counts;
use crate::store::ballot::MAX_VARIANTS;
use crate::store::testing::{PLENTY, Sharer, World, addition, file, on_both_databases, song};

fn holders(rows: &[crate::store::FileRow]) -> Vec<u32> {
    rows.iter().map(|row| row.holders).collect()
}

async fn two_peers_with_one_file_are_two_holders_of_one_row(world: World) {
    let (mut anna, mut bob) = (world.member(1).await, world.member(2).await);
    let applied = anna.share(&world, &[(1, &song("One")), (2, &song("Two"))]).await;
    assert_eq!((applied.added, applied.removed), (vec![FileNo(1), FileNo(2)], vec![]));
    assert_eq!((applied.answer.generation, applied.answer.count), (1, 2));
    assert_eq!(applied.answer.digest, anna.digest());
    assert_eq!(bob.share(&world, &[(2, &song("Two")), (3, &song("Three"))]).await.added, [FileNo(2), FileNo(3)]);

    let rows = world.store.files_by_no(&[FileNo(3), FileNo(2), FileNo(9), FileNo(1)]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.row.title.as_deref().unwrap()).collect::<Vec<_>>(), ["Three", "Two", "One"]);
    assert_eq!(holders(&rows), [1, 2, 1]);
    assert_eq!(world.store.counts().await.unwrap(), Counts { files: 3, holdings: 4, members: 2 });
    assert_eq!(world.store.profile(bob.no).await.unwrap(), (2, 1002 + 1003));
}

async fn a_set_with_one_bad_entry_changes_nothing(world: World) {
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One"))]).await;
    let before = world.store.revision().await.unwrap();
    let good = anna.clone().change(&[(2, &song("Two"))], &[1]);

    type Spoil = fn(&mut ChangeSet);
    let spoils: [(&str, Spoil); 9] = [
        ("a claim with another hash", |set| set.add[0].claim_hash = Digest::of(b"else")),
        ("a folder that is not there", |set| set.add[0].folder = 7),
        ("a file twice", |set| set.add.push(set.add[0].clone())),
        ("a file added and removed", |set| set.remove.push(file(2))),
        ("a path that leaves its folder", |set| {
            set.folders.push(Folder { number: 2, path: Some("../etc".into()) });
        }),
        ("a folder that goes with files in it", |set| set.folders[0].path = None),
        ("no progress", |set| set.generation = set.base_generation),
        ("a generation beyond numbers", |set| set.generation = u64::MAX),
        ("a head signed by another", |set| {
            let head = set.head.as_mut().unwrap();
            head.time_unix_s += 1;
        }),
    ];
    for (name, spoil) in spoils {
        let mut set = good.clone();
        spoil(&mut set);
        let refused = anna.send(&world, set).await;
        assert!(matches!(refused, Err(ChangeError::BadEntry(_))), "{name}: {refused:?}");
        assert_eq!(world.store.holdings(anna.no).await.unwrap(), [FileNo(1)], "{name}");
    }
    assert_eq!(world.store.revision().await.unwrap(), before);
    assert_eq!(world.store.file_no(&file(2)).await.unwrap(), None);
    anna.send(&world, good).await.unwrap();
}

async fn a_claim_whose_audio_lies_outside_of_the_file_is_refused_for_that_file(world: World) {
    let mut anna = world.member(1).await;
    let root = Digest::of(b"audio");
    let tagged = |offset, bytes| {
        let length = FileLength::new(bytes).unwrap();
        Claim { audio: Some(AudioId { root, offset, length }), ..song("Tagged") }
    };
    // File 9 has 1009 bytes, and file 8 one less.
    let claim = tagged(9, 1000);
    let nowhere = tagged(u64::MAX, 1000);
    for (what, seed, claim) in [("one byte too long", 8, &claim), ("beyond numbers", 9, &nowhere)] {
        let brought = anna.clone().change(&[(seed, claim)], &[]);
        assert!(matches!(anna.send(&world, brought).await, Err(ChangeError::BadEntry(_))), "{what}");
    }
    let mut twice = anna.clone().change(&[(9, &claim), (8, &claim)], &[]);
    twice.add[1].claim = None;
    assert!(matches!(anna.send(&world, twice).await, Err(ChangeError::BadEntry(_))), "brought for another file");

    anna.share(&world, &[(9, &claim)]).await;
    let mut bare = anna.clone().change(&[(8, &claim)], &[]);
    bare.add[0].claim = None;
    assert_eq!(anna.send(&world, bare).await.unwrap().answer.unknown_claims, [claim.hash()], "known of another file");
    assert_eq!(anna.share(&world, &[(10, &claim)]).await.added.len(), 1);
}

async fn repeating_a_set_changes_nothing_and_is_answered_alike(world: World) {
    let mut anna = world.member(1).await;
    let set = anna.change(&[(1, &song("One"))], &[]);
    let first = anna.send(&world, set.clone()).await.unwrap();
    let revision = world.store.revision().await.unwrap();

    let unsigned = ChangeSet { head: None, ..set.clone() };
    let mut without_claims = set.clone();
    without_claims.add[0].claim = None;
    let reworded = ChangeSet { folders: Vec::new(), ..set };
    for repeated in [unsigned, without_claims, reworded] {
        let again = anna.send(&world, repeated).await.unwrap();
        assert_eq!((again.answer, again.added), (first.answer.clone(), vec![]));
    }
    assert_eq!(world.store.revision().await.unwrap(), revision);
}

async fn a_wrong_base_is_answered_with_the_right_one(world: World) {
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One"))]).await;
    for base in [0, 5] {
        let set = ChangeSet { base_generation: base, generation: 6, ..anna.clone().part(Phase::Change, &[], &[1]) };
        assert!(matches!(anna.send(&world, set).await, Err(ChangeError::WrongBase { generation: 1 })));
    }
    let stray = anna.clone().part(Phase::Commit, &[], &[]);
    assert!(matches!(anna.send(&world, stray).await, Err(ChangeError::WrongBase { generation: 1 })));
}

async fn claims_that_nobody_knows_are_asked_for(world: World) {
    let (mut anna, mut bob) = (world.member(1).await, world.member(2).await);
    anna.share(&world, &[(1, &song("One"))]).await;
    let whole = bob.change(&[(1, &song("One")), (2, &song("Two"))], &[]);
    let mut bare = whole.clone();
    bare.add.iter_mut().for_each(|entry| entry.claim = None);

    let asked = bob.send(&world, bare).await.unwrap();
    assert_eq!(asked.answer.unknown_claims, [song("Two").hash()]);
    assert_eq!((asked.answer.generation, asked.added), (0, vec![]));
    assert!(world.store.collections(bob.no).await.unwrap().is_empty());
    let mut just_that = whole;
    just_that.add[0].claim = None;
    assert_eq!(bob.send(&world, just_that).await.unwrap().added.len(), 2);
}

/// In the running, shown although nobody holds the file, or what the member says already.
async fn a_claim_is_known_of_its_file(world: World) {
    let (mut anna, mut bob) = (world.member(1).await, world.member(2).await);
    anna.share(&world, &[(1, &song("One")), (2, &song("Two"))]).await;
    let bare = |sharer: &mut Sharer, seed: u64, title: &str| {
        let mut set = sharer.change(&[(seed, &song(title))], &[]);
        set.add[0].claim = None;
        set
    };
    let asked = bob.send(&world, bare(&mut bob.clone(), 2, "One")).await.unwrap();
    assert_eq!(asked.answer.unknown_claims, [song("One").hash()], "known of another");
    let remove = anna.change(&[], &[1]);
    anna.send(&world, remove).await.unwrap();
    let set = bare(&mut bob, 1, "One");
    assert_eq!(bob.send(&world, set).await.unwrap().added.len(), 1, "shown of a file that nobody holds");

    // More stories than are in the running push the first one out, but its teller may go on telling it.
    for teller in 0..2 * MAX_VARIANTS as u8 {
        let mut teller = Sharer { voter: u64::from(teller), ..world.member(10 + teller).await };
        let title = format!("Story {}", teller.voter);
        teller.share(&world, &[(2, &song(&title))]).await;
    }
    let set = bare(&mut bob, 2, "Two");
    assert_eq!(bob.clone().send(&world, set).await.unwrap().answer.unknown_claims, [song("Two").hash()]);
    let revision = world.store.revision().await.unwrap();
    let set = bare(&mut anna, 2, "Two");
    let told = anna.send(&world, set).await.unwrap().answer;
    assert_eq!((told.unknown_claims, told.generation), (vec![], anna.generation), "said by the same already");
    assert_eq!(world.store.revision().await.unwrap(), revision, "nothing moved");
}

async fn a_head_that_counts_otherwise_is_noticed(world: World) {
    let mut anna = world.member(1).await;
    let mut forgetful = anna.clone();
    forgetful.library.insert(file(77), song("Lost").hash());
    let set = forgetful.change(&[(1, &song("One"))], &[]);
    assert!(matches!(anna.send(&world, set).await, Err(ChangeError::HeadMismatch)));
    assert_eq!(world.store.file_no(&file(1)).await.unwrap(), None);
    anna.share(&world, &[(1, &song("One"))]).await;
}

async fn quotas_count_all_collections_and_what_is_staged(world: World) {
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One")), (2, &song("Two"))]).await;
    let quotas = Quotas { files_per_peer: 3, ..PLENTY };
    let in_friends = |phase, seeds: &[u64]| ChangeSet {
        collection: "friends".into(),
        base_generation: 0,
        generation: 1,
        add: seeds.iter().map(|&seed| addition(seed, &song("Another"))).collect(),
        ..anna.clone().part(phase, &[], &[])
    };
    for (phase, seeds, fits) in [
        (Phase::Change, &[3, 4][..], false),
        (Phase::Begin, &[3, 4], false),
        (Phase::Begin, &[3], true),
        (Phase::Staging, &[4], false),
        (Phase::Commit, &[], true),
    ] {
        let sent = world.store.apply(anna.no, &anna.peer(), 1, in_friends(phase, seeds), &quotas).await;
        match sent {
            Ok(_) => assert!(fits, "{phase:?} {seeds:?}"),
            Err(ChangeError::QuotaExceeded(_)) => assert!(!fits, "{phase:?} {seeds:?}"),
            Err(error) => panic!("{error}"),
        }
    }
    let tight = Quotas { claim_bytes_per_peer: 300, ..PLENTY };
    let set = anna.clone().change(&[(5, &song(&"x".repeat(300)))], &[]);
    let sent = world.store.apply(anna.no, &anna.peer(), 1, set, &tight).await;
    assert!(matches!(sent, Err(ChangeError::QuotaExceeded(_))));
}

async fn who_is_above_a_lowered_quota_may_still_share_less(world: World) {
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One")), (2, &song("Two")), (3, &song("Three"))]).await;
    let quotas = Quotas { files_per_peer: 1, claim_bytes_per_peer: 1 };
    let more = anna.clone().change(&[(4, &song("Four"))], &[]);
    let refused = world.store.apply(anna.no, &anna.peer(), 1, more, &quotas).await;
    assert!(matches!(refused, Err(ChangeError::QuotaExceeded(_))));
    let less = anna.change(&[], &[3]);
    let applied = world.store.apply(anna.no, &anna.peer(), 1, less, &quotas).await.unwrap();
    assert_eq!(applied.answer.count, 2);
}

async fn a_resync_is_invisible_until_its_commit(world: World) {
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One")), (2, &song("Two")), (3, &song("Three"))]).await;
    let revision = world.store.revision().await.unwrap();

    anna.library.clear();
    let abandoned = anna.part(Phase::Begin, &[(9, &song("Nine"))], &[]);
    anna.send(&world, abandoned).await.unwrap();
    anna.library.clear();
    let begin = anna.part(Phase::Begin, &[(1, &song("One"))], &[]);
    let staging = anna.part(Phase::Staging, &[(2, &song("Two, again"))], &[]);
    for set in [begin, staging] {
        let answer = anna.send(&world, set).await.unwrap();
        assert_eq!(
            (answer.added, answer.removed, answer.answer.generation, answer.answer.count),
            (vec![], vec![], 1, 3)
        );
        assert_eq!(world.store.holdings(anna.no).await.unwrap(), [FileNo(1), FileNo(2), FileNo(3)]);
        assert_eq!(world.store.revision().await.unwrap(), revision);
    }
    let last = anna.part(Phase::Commit, &[(4, &song("Four"))], &[]);
    let last = anna.signed(last);
    let done = anna.send(&world, last.clone()).await.unwrap();
    assert_eq!((done.added.len(), done.removed.as_slice()), (1, &[FileNo(3)][..]));
    assert_eq!((done.answer.generation, done.answer.count, done.answer.digest), (2, 3, anna.digest()));
    assert_eq!(world.store.collections(anna.no).await.unwrap()[0].digest, anna.digest());
    let changed = world.store.changed_files(revision, 100).await.unwrap();
    assert_eq!(changed.len(), 3, "file 1 is as it was; 2 has another claim, 3 is gone, 4 is new");

    let again = anna.send(&world, last).await.unwrap();
    assert_eq!((again.answer, again.added), (done.answer, vec![]));
    anna.share(&world, &[(5, &song("Five"))]).await;
}

async fn a_collection_that_was_emptied_is_forgotten_and_may_begin_again(world: World) {
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One"))]).await;
    let known = async |anna: &Sharer| world.store.collections(anna.no).await.unwrap().len();
    let emptied = anna.change(&[], &[1]);
    anna.send(&world, emptied).await.unwrap();
    assert_eq!(known(&anna).await, 1, "a folder is left");

    let last = anna.stop();
    let gone = anna.send(&world, last.clone()).await.unwrap();
    assert_eq!((gone.answer.generation, gone.answer.count, gone.answer.digest), (3, 0, LibraryDigest::EMPTY));
    assert_eq!(known(&anna).await, 0);
    let again = anna.send(&world, last).await.unwrap();
    assert_eq!((again.answer, known(&anna).await), (gone.answer, 0), "its answer was lost, and nothing else");

    let unsaid = ChangeSet { head: None, ..anna.stop() };
    assert!(matches!(anna.send(&world, unsaid).await, Err(ChangeError::WrongBase { generation: 0 })));
    let more = anna.clone().change(&[(2, &song("Two"))], &[]);
    assert!(matches!(anna.send(&world, more).await, Err(ChangeError::WrongBase { generation: 0 })));
    anna.generation = 0;
    anna.share(&world, &[(2, &song("Two"))]).await;
    assert_eq!(known(&anna).await, 1);
}

async fn a_collection_that_is_taken_away_from_an_index_is_forgotten_there(world: World) {
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One"))]).await;
    anna.library.clear();
    // As a publisher withdraws: at generation 0, without entries.
    let empty = |phase, anna: &Sharer| {
        let set = ChangeSet { generation: 0, folders: Vec::new(), ..anna.clone().part(phase, &[], &[]) };
        if phase == Phase::Commit { anna.signed(set) } else { set }
    };
    anna.send(&world, empty(Phase::Begin, &anna)).await.unwrap();
    let done = anna.send(&world, empty(Phase::Commit, &anna)).await.unwrap();
    assert_eq!((done.removed.as_slice(), done.answer.generation), (&[FileNo(1)][..], 0));
    assert!(world.store.collections(anna.no).await.unwrap().is_empty());
    let again = anna.send(&world, empty(Phase::Commit, &anna)).await.unwrap();
    assert_eq!(again.answer, done.answer);
}

async fn a_resync_that_changes_nothing_is_not_heard_of(world: World) {
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One"))]).await;
    let revision = world.store.revision().await.unwrap();
    let begin = anna.part(Phase::Begin, &[(1, &song("One"))], &[]);
    anna.send(&world, begin).await.unwrap();
    let commit = anna.part(Phase::Commit, &[], &[]);
    let commit = anna.signed(commit);
    let done = anna.send(&world, commit).await.unwrap();
    assert_eq!((done.added, done.removed), (vec![], vec![]));
    assert_eq!(world.store.revision().await.unwrap(), revision);
}

async fn a_file_that_returns_keeps_its_number(world: World) {
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One"))]).await;
    let remove = anna.change(&[], &[1]);
    assert_eq!(anna.send(&world, remove).await.unwrap().removed, [FileNo(1)]);
    let [gone] = world.store.changed_files(1, 10).await.unwrap().try_into().unwrap();
    assert!(!gone.is_searchable());
    assert_eq!((gone.no, gone.id, gone.revision, gone.holders), (FileNo(1), file(1), 2, 0));
    assert_eq!(world.store.counts().await.unwrap(), Counts { files: 0, holdings: 0, members: 1 });
    assert_eq!(anna.share(&world, &[(1, &song("One"))]).await.added, [FileNo(1)]);
}

async fn revisions_follow_what_can_be_seen_and_powers_of_two(world: World) {
    let mut counts = Vec::new();
    for seed in 1..=8 {
        world.member(seed).await.share(&world, &[(1, &song("One"))]).await;
        counts.push(world.store.revision().await.unwrap());
    }
    assert_eq!(counts, [1, 1, 2, 2, 2, 2, 3, 3]);
    let [file] = world.store.changed_files(0, 10).await.unwrap().try_into().unwrap();
    assert_eq!((file.revision, file.holders), (3, 8));
    assert!(world.store.changed_files(3, 10).await.unwrap().is_empty());
}

async fn what_is_no_song_is_kept_but_not_searched_for(world: World) {
    let cover = Claim { kind: Kind::Cover, ..song("Front") };
    world.member(1).await.share(&world, &[(1, &cover)]).await;
    let [file] = world.store.changed_files(0, 10).await.unwrap().try_into().unwrap();
    assert!(!file.is_searchable());
    assert_eq!(file.holders, 1);
}

async fn holders_vote_and_a_network_has_one_vote(world: World) {
    let (mut anna, mut bob) = (world.member(1).await, world.member(2).await);
    for seed in 100..120 {
        let mut liar = world.member(seed).await;
        liar.voter = 666;
        liar.share(&world, &[(1, &song("Lie"))]).await;
    }
    let shown = async || world.store.files_by_no(&[FileNo(1)]).await.unwrap()[0].claim.clone();
    assert_eq!(shown().await, song("Lie"));
    anna.share(&world, &[(1, &Claim { album: Some("Album".into()), ..song("Truth") })]).await;
    bob.share(&world, &[(1, &song("Truth"))]).await;
    // Anna alone names an album, both name the title: no single claim says what is shown if Bob's has more votes.
    let mut carl = world.member(3).await;
    carl.share(&world, &[(1, &song("Truth"))]).await;
    assert_eq!(shown().await, Claim { album: Some("Album".into()), ..song("Truth") });

    let mut dora = world.member(4).await;
    dora.share(&world, &[(1, &Claim { genre: Some("Jazz".into()), ..song("Truth") })]).await;
    let composed = Claim { album: Some("Album".into()), genre: Some("Jazz".into()), ..song("Truth") };
    assert_eq!(shown().await, composed);
    assert_eq!(world.store.changed_files(0, 10).await.unwrap()[0].claim, composed);
}

async fn a_file_in_two_collections_is_held_once(world: World) {
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One"))]).await;
    let friends = ChangeSet {
        collection: "friends".into(),
        base_generation: 0,
        generation: 1,
        head: None,
        ..anna.clone().change(&[(1, &song("One")), (2, &song("Two"))], &[])
    };
    assert_eq!(anna.send(&world, friends).await.unwrap().added, [FileNo(2)]);
    assert_eq!(world.store.holdings(anna.no).await.unwrap(), [FileNo(1), FileNo(2)]);
    assert_eq!(holders(&world.store.files_by_no(&[FileNo(1)]).await.unwrap()), [1]);
    assert_eq!(world.store.drop_collection(anna.no, "friends").await.unwrap(), [FileNo(2)]);
    assert_eq!(world.store.collections(anna.no).await.unwrap().len(), 1);
    assert_eq!(holders(&world.store.files_by_no(&[FileNo(1), FileNo(2)]).await.unwrap()), [1, 0]);
    assert!(world.store.drop_collection(anna.no, "friends").await.unwrap().is_empty());
}

async fn many_publish_at_once_and_one_failure_spoils_no_other(world: World) {
    let mut sending = Vec::new();
    for seed in 1..=30 {
        let mut sharer = world.member(seed).await;
        let mut set = sharer.change(&[(1, &song("One")), (u64::from(seed) + 100, &song("Own"))], &[]);
        if seed % 3 == 0 {
            set.base_generation = 0;
            set.add[0].folder = 9;
        }
        let store = world.store.clone();
        sending.push(tokio::spawn(async move {
            store.apply(sharer.no, &sharer.peer(), sharer.voter, set, &PLENTY).await.is_ok()
        }));
    }
    let mut applied = 0;
    for sent in sending {
        applied += u32::from(sent.await.unwrap());
    }
    assert_eq!(applied, 20);
    let no = world.store.file_no(&file(1)).await.unwrap().unwrap();
    assert_eq!(holders(&world.store.files_by_no(&[no]).await.unwrap()), [20]);
    assert_eq!(world.store.counts().await.unwrap(), Counts { files: 21, holdings: 40, members: 30 });
}

async fn a_library_is_browsed_folder_by_folder(world: World) {
    let anna = world.member(1).await;
    let folder = |number, path: &str| Folder { number, path: Some(path.into()) };
    let put =
        |seed, folder| choir_shared::index_api::Addition { folder, ..addition(seed, &song(&format!("Song {seed}"))) };
    let set = ChangeSet {
        folders: vec![
            folder(1, "Music/A"),
            folder(2, "Music/A/Live"),
            folder(3, "Music/B"),
            folder(4, "Music"),
            folder(5, "Music2"),
            folder(6, "Music/Empty"),
        ],
        add: vec![put(1, 1), put(2, 2), put(3, 2), put(4, 3), put(5, 4), put(6, 5), put(7, 4), put(8, 4)],
        ..anna.clone().part(Phase::Change, &[], &[])
    };
    anna.send(&world, set).await.unwrap();
    let folders = |page: &choir_shared::index_api::LibraryPage| {
        page.folders.iter().map(|folder| (folder.path.clone(), folder.files)).collect::<Vec<_>>()
    };
    let member = world.store.member(&anna.peer()).await.unwrap().unwrap();
    let root = world.store.library_page(&member, "", None, 10).await.unwrap();
    assert_eq!(folders(&root), [("Music".into(), 7), ("Music2".into(), 1)]);
    assert!(root.files.is_empty());

    let first = world.store.library_page(&member, "Music", None, 2).await.unwrap();
    assert_eq!(folders(&first), [("Music/A".into(), 3), ("Music/B".into(), 1)]);
    assert_eq!(first.files.iter().map(|row| row.file_id).collect::<Vec<_>>(), [file(5), file(7)]);
    let second = world.store.library_page(&member, "Music", first.next.as_deref(), 2).await.unwrap();
    assert_eq!(second.files.iter().map(|row| row.file_id).collect::<Vec<_>>(), [file(8)]);
    assert_eq!((second.next, second.folders.len()), (None, 0));
    let nowhere = world.store.library_page(&member, "Mus", None, 2).await.unwrap();
    assert!(nowhere.files.is_empty() && nowhere.folders.is_empty());
}

async fn a_library_of_many_sets_loads_whole(world: World) {
    let mut anna = world.member(1).await;
    let claim = song("Same");
    for hundred in 0..5 {
        let songs: Vec<(u64, &Claim)> = (0..100).map(|seed| (hundred * 100 + seed, &claim)).collect();
        anna.share(&world, &songs).await;
    }
    let expected: Vec<FileNo> = (1..=500).map(FileNo).collect();
    assert_eq!(world.store.holdings(anna.no).await.unwrap(), expected);
}

on_both_databases! {
    two_peers_with_one_file_are_two_holders_of_one_row,
    a_set_with_one_bad_entry_changes_nothing,
    a_claim_whose_audio_lies_outside_of_the_file_is_refused_for_that_file,
    repeating_a_set_changes_nothing_and_is_answered_alike,
    a_wrong_base_is_answered_with_the_right_one,
    claims_that_nobody_knows_are_asked_for,
    a_claim_is_known_of_its_file,
    a_head_that_counts_otherwise_is_noticed,
    quotas_count_all_collections_and_what_is_staged,
    who_is_above_a_lowered_quota_may_still_share_less,
    a_resync_is_invisible_until_its_commit,
    a_collection_that_was_emptied_is_forgotten_and_may_begin_again,
    a_collection_that_is_taken_away_from_an_index_is_forgotten_there,
    a_resync_that_changes_nothing_is_not_heard_of,
    a_file_that_returns_keeps_its_number,
    revisions_follow_what_can_be_seen_and_powers_of_two,
    what_is_no_song_is_kept_but_not_searched_for,
    holders_vote_and_a_network_has_one_vote,
    a_file_in_two_collections_is_held_once,
    many_publish_at_once_and_one_failure_spoils_no_other,
    a_library_is_browsed_folder_by_folder,
    a_library_of_many_sets_loads_whole,
}
