use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const ANN: MemberNo = MemberNo(1);
const BOB: MemberNo = MemberNo(2);
const SONG: FileNo = FileNo(70_000);

#[test]
fn a_file_is_online_while_anybody_holds_it() {
    let online = Online::new();
    assert!(!online.is_online(SONG) && !online.is_online(FileNo(u32::MAX)));
    online.arrive(ANN, &[SONG, SONG]);
    online.arrive(BOB, &[SONG]);
    assert_eq!(online.sources(SONG), 2);
    online.leave(ANN);
    assert!(online.is_online(SONG));
    online.leave(BOB);
    online.leave(BOB);
    assert!(!online.is_online(SONG));
    assert_eq!((online.member_count(), online.file_count()), (0, 0));
}

#[test]
fn who_has_most_of_several_songs_comes_first_and_copies_count_once() {
    let online = Online::new();
    let [one, copy, two, other] = [1, 2, 3, 4].map(FileNo);
    online.arrive(ANN, &[one, copy, other]);
    online.arrive(BOB, &[copy, two]);
    online.arrive(MemberNo(3), &[other]);
    let songs = [vec![one, copy], vec![two], vec![FileNo(99)]];
    assert_eq!(online.holders_of_most(&songs, 9, 7), [(BOB, 2), (ANN, 1)]);
    assert_eq!(online.holders_of_most(&songs, 1, 7), [(BOB, 2)]);
    assert_eq!(online.holders_of_most(&[], 9, 7), []);
}

#[test]
fn who_arrives_again_starts_anew() {
    let online = Online::new();
    online.arrive(ANN, &[SONG]);
    online.set_fetching(ANN, &[FileNo(3)]);
    online.arrive(ANN, &[FileNo(2)]);
    assert_eq!(online.sources(SONG), 0);
    assert_eq!(online.held_by(ANN), Some(vec![FileNo(2)]));
    assert_eq!(online.partial_holders(FileNo(3), 9, 0), []);
}

#[test]
fn who_is_fetching_is_no_source_until_it_holds_the_whole() {
    let online = Online::new();
    online.arrive(ANN, &[]);
    online.set_fetching(ANN, &[SONG]);
    assert!(!online.is_online(SONG));
    assert_eq!(online.partial_holders(SONG, 9, 0), [ANN]);
    online.add(ANN, &[SONG]);
    assert_eq!((online.partial_holders(SONG, 9, 0), online.holders(SONG, 9, 0)), (vec![], vec![ANN]));
}

#[test]
fn who_is_not_online_holds_nothing() {
    let online = Online::new();
    online.add(ANN, &[SONG]);
    online.set_fetching(ANN, &[SONG]);
    online.remove(ANN, &[SONG]);
    assert!(!online.is_online(SONG) && !online.is_member_online(ANN));
}

#[test]
fn a_reader_beside_a_writer_sees_what_is_always_there() {
    let online = Online::new();
    online.arrive(BOB, &[SONG]);
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert!(online.is_online(SONG));
            }
        });
        for _ in 0..2_000 {
            online.arrive(ANN, &[SONG, FileNo(1), FileNo(200_000)]);
            online.leave(ANN);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(online.sources(SONG), 1);
}

#[derive(Clone, Debug)]
enum Change {
    Arrive(u32, Vec<u32>),
    Add(u32, Vec<u32>),
    Remove(u32, Vec<u32>),
    Fetching(u32, Vec<u32>),
    Leave(u32),
}

fn change() -> impl Strategy<Value = Change> {
    let member = 0..4u32;
    // On both sides of a word of bits and of a chunk of counters.
    let file = prop_oneof![0..3u32, 62..66u32, 65_535..65_538u32];
    let files = vec(file, 0..6);
    prop_oneof![
        (member.clone(), files.clone()).prop_map(|(member, files)| Change::Arrive(member, files)),
        (member.clone(), files.clone()).prop_map(|(member, files)| Change::Add(member, files)),
        (member.clone(), files.clone()).prop_map(|(member, files)| Change::Remove(member, files)),
        (member.clone(), files).prop_map(|(member, files)| Change::Fetching(member, files)),
        member.prop_map(Change::Leave),
    ]
}

/// Whole and partial files of everybody online.
type Model = BTreeMap<u32, (BTreeSet<u32>, BTreeSet<u32>)>;

fn apply(online: &Online, model: &mut Model, change: Change) {
    let numbers = |files: &[u32]| files.iter().copied().map(FileNo).collect::<Vec<_>>();
    match change {
        Change::Arrive(member, files) => {
            online.arrive(MemberNo(member), &numbers(&files));
            model.insert(member, (files.into_iter().collect(), BTreeSet::new()));
        }
        Change::Add(member, files) => {
            online.add(MemberNo(member), &numbers(&files));
            model.entry(member).and_modify(|(whole, _)| whole.extend(files));
        }
        Change::Remove(member, files) => {
            online.remove(MemberNo(member), &numbers(&files));
            model.entry(member).and_modify(|(whole, _)| whole.retain(|file| !files.contains(file)));
        }
        Change::Fetching(member, files) => {
            online.set_fetching(MemberNo(member), &numbers(&files));
            model.entry(member).and_modify(|(_, fetching)| *fetching = files.into_iter().collect());
        }
        Change::Leave(member) => {
            online.leave(MemberNo(member));
            model.remove(&member);
        }
    }
}

proptest! {
    #[test]
    fn it_agrees_with_a_naive_model(changes in vec(change(), 0..40)) {
        let online = Online::new();
        let mut model = Model::new();
        for change in changes {
            apply(&online, &mut model, change);
            for file in [0, 1, 2, 62, 63, 64, 65, 65_535, 65_536, 65_537] {
                let who = |wanted: &dyn Fn(&(BTreeSet<u32>, BTreeSet<u32>)) -> bool| -> BTreeSet<MemberNo> {
                    model.iter().filter(|(_, held)| wanted(held)).map(|(member, _)| MemberNo(*member)).collect()
                };
                let whole = who(&|held| held.0.contains(&file));
                let partial = who(&|held| held.1.contains(&file) && !held.0.contains(&file));
                let file = FileNo(file);
                prop_assert_eq!(online.sources(file) as usize, whole.len());
                prop_assert_eq!(online.is_online(file), !whole.is_empty());
                prop_assert_eq!(online.holders(file, 9, 1).into_iter().collect::<BTreeSet<_>>(), whole);
                prop_assert_eq!(online.partial_holders(file, 9, 1).into_iter().collect::<BTreeSet<_>>(), partial);
            }
            prop_assert_eq!(online.member_count(), model.len());
        }
    }
}
