//! Whole downloads on a disk where every operation may fail, and the power at every moment.

use std::path::Path;

use choir_shared::SafeName;
use choir_shared::leaf::{LEAF_BYTES, LeafSet};
use choir_shared::merkle::{HashedFile, TreeHasher, TreeLayer};
use proptest::prelude::*;

use super::faulty::{Fault, FaultyDisk, Lasting, Unsynced};
use super::*;

/// Leaves written together.
const BATCH_LEAVES: u32 = 2;

/// A disk of which nothing can be read or changed any more is given up by the kernel, and with it what was in memory:
/// to a download that is as if the power had failed.
const FAULTS: [(Fault, Lasting); 5] = [
    (Fault::Full, Lasting::Once),
    (Fault::Full, Lasting::UntilMended),
    (Fault::Unreadable, Lasting::Once),
    (Fault::Vanishes, Lasting::Once),
    (Fault::Vanishes, Lasting::UntilMended),
];

const OUTAGES: [Unsynced; 5] =
    [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn(1), Unsynced::Torn(2), Unsynced::Torn(3)];

struct Song {
    data: Vec<u8>,
    file: HashedFile,
}

impl Song {
    fn new() -> Self {
        let data: Vec<u8> = (0..5 * LEAF_BYTES + 7).map(|n| (n * 31 + (n >> 8) * 17) as u8).collect();
        let mut hasher = TreeHasher::new();
        hasher.update(&data);
        Self { data, file: hasher.finish().unwrap() }
    }

    /// Goes on with the download as a job does. Every second batch is followed by a sync of which only the next write
    /// hears, and the bytes written are added to `fetched`.
    fn download(&self, disk: &FaultyDisk, fetched: &mut u64) -> Result<SafeName, StoreError> {
        let (folder, id, name) = (Path::new("/downloads"), self.file.id, SafeName::new("Song.ogg").unwrap());
        if let Some(name) = find_finished(disk, folder, id, &name)? {
            return Ok(name);
        }
        let part = Part::open_on(disk, folder, id)?;
        let held = match part.resume()? {
            Some(resumed) => resumed.held,
            None => {
                part.save_layer(&TreeLayer::of_leaves(id, &self.file.leaves).unwrap())?;
                LeafSet::empty(id.length())
            }
        };
        let length = id.length();
        for first in (0..length.leaf_count()).step_by(BATCH_LEAVES as usize) {
            let batch = length.range(first, BATCH_LEAVES.min(length.leaf_count() - first)).unwrap();
            if held.contains_range(batch) {
                continue;
            }
            let bytes = length.byte_range(batch);
            part.write(length.leaf(first).unwrap(), &self.data[bytes.start as usize..bytes.end as usize])?;
            *fetched += length.range_len(batch);
            if first % (2 * BATCH_LEAVES) == 0 {
                let _ = part.sync();
            }
        }
        part.finish(&name)
    }

    /// Operations of a download that nothing disturbs.
    fn operations(&self, disk: &FaultyDisk) -> usize {
        self.download(disk, &mut 0).unwrap();
        disk.operations()
    }

    /// Under its final name lies the file or nothing, now and whenever the power fails.
    fn expect_no_wrong_byte(&self, disk: &FaultyDisk) {
        let afterwards = OUTAGES.map(|unsynced| disk.after_power_failure(unsynced));
        for disk in [disk].into_iter().chain(&afterwards) {
            assert!(disk.finished().values().all(|bytes| *bytes == self.data), "wrong bytes under a final name");
        }
    }

    /// On a disk that works again the download comes to its end, and then nothing can take it away.
    fn expect_to_finish(&self, disk: &FaultyDisk) {
        disk.mend();
        let name = self.download(disk, &mut 0).expect("it finishes on a disk that works");
        for unsynced in OUTAGES {
            let finished = disk.after_power_failure(unsynced).finished();
            assert_eq!(finished.len(), 1, "one file, once: {:?}", finished.keys());
            assert!(finished.get(name.as_str()) == Some(&self.data), "what was reported is there");
        }
    }
}

fn disks() -> [FaultyDisk; 2] {
    [FaultyDisk::default(), FaultyDisk::default().finishes_in_two_steps()]
}

#[test]
fn whatever_fails_is_told_and_made_good_by_another_try() {
    let song = Song::new();
    for two_steps in [0, 1] {
        for at in 1..=song.operations(&disks()[two_steps]) {
            for (fault, lasting) in FAULTS {
                let disk = disks()[two_steps].clone();
                disk.plan(at, fault, lasting);
                let outcome = song.download(&disk, &mut 0);
                song.expect_no_wrong_byte(&disk);
                match (outcome, fault) {
                    (Ok(_), _) => {}
                    (Err(StoreError::DiskFull | StoreError::LostToFullDisk { .. }), Fault::Full) => {}
                    (Err(StoreError::Io { source, .. }), Fault::Unreadable) => {
                        assert_eq!(source.to_string(), "input/output error");
                    }
                    (Err(StoreError::Io { source, .. }), Fault::Vanishes) => {
                        assert_eq!(source.kind(), io::ErrorKind::NotFound);
                    }
                    (Err(error), _) => panic!("{fault:?} at {at} is told as {error}"),
                }
                song.expect_to_finish(&disk);
            }
        }
    }
}

#[test]
fn the_power_may_fail_at_any_moment() {
    let song = Song::new();
    for two_steps in [0, 1] {
        for at in 1..=song.operations(&disks()[two_steps]) {
            let disk = disks()[two_steps].clone();
            disk.plan(at, Fault::PowerFails, Lasting::UntilMended);
            let _ = song.download(&disk, &mut 0);
            song.expect_no_wrong_byte(&disk);
            for unsynced in OUTAGES {
                song.expect_to_finish(&disk.after_power_failure(unsynced));
            }
        }
    }
}

#[test]
fn a_program_that_is_killed_fetches_nothing_again_that_it_wrote() {
    let song = Song::new();
    let batch = u64::from(BATCH_LEAVES * LEAF_BYTES);
    for two_steps in [0, 1] {
        let disk = &disks()[two_steps];
        for at in 1..=song.operations(disk) {
            let disk = disks()[two_steps].clone();
            // The kernel lives on: only what the program has yet to do is not done.
            disk.plan(at, Fault::PowerFails, Lasting::UntilMended);
            let mut fetched = 0;
            let _ = song.download(&disk, &mut fetched);
            disk.mend();
            song.download(&disk, &mut fetched).unwrap();
            assert!(fetched <= song.data.len() as u64 + batch, "{fetched} bytes when killed at {at}");
            assert_eq!(disk.finished().len(), 1);
        }
    }
}

#[test]
fn what_a_failed_sync_lost_is_not_believed_although_it_can_be_read() {
    let song = Song::new();
    let synced = song.operations(&FaultyDisk::default());
    let mut lost = 0;
    for at in 1..=synced {
        let disk = FaultyDisk::default();
        disk.plan(at, Fault::Full, Lasting::Once);
        let mut fetched = 0;
        if let Err(StoreError::LostToFullDisk { .. }) = song.download(&disk, &mut fetched) {
            if lost == 0 {
                assert!(fetched < song.data.len() as u64, "nor is more fetched for what is lost already");
            }
            lost += 1;
            disk.mend();
            let mut again = 0;
            song.download(&disk, &mut again).unwrap();
            assert_eq!(again, song.data.len() as u64, "all of it is fetched again");
        }
    }
    assert_eq!(lost, 3, "two early syncs and the last one");
}

#[test]
fn what_cannot_be_read_of_a_part_counts_as_missing() {
    let (song, disk) = (Song::new(), FaultyDisk::default());
    // All is written, and nothing finished.
    disk.plan(song.operations(&FaultyDisk::default()) - 4, Fault::PowerFails, Lasting::UntilMended);
    assert!(song.download(&disk, &mut 0).is_err());
    disk.mend();
    let part = Part::open_on(&disk, Path::new("/downloads"), song.file.id).unwrap();
    assert_eq!(part.resume().unwrap().unwrap().held.bytes(), song.data.len() as u64);
    // After the layer.
    disk.plan(2, Fault::Unreadable, Lasting::Once);
    assert_eq!(part.resume().unwrap().unwrap().held.bytes(), 0);
}

fn episode() -> impl Strategy<Value = (usize, (Fault, Lasting), Option<Unsynced>)> {
    let faults = FAULTS.into_iter().chain([(Fault::PowerFails, Lasting::UntilMended)]).collect::<Vec<_>>();
    let unsynced = prop_oneof![Just(Unsynced::Lost), Just(Unsynced::Kept), any::<u64>().prop_map(Unsynced::Torn),];
    (1usize..45, prop::sample::select(faults), prop::option::of(unsynced))
}

proptest! {
    #[test]
    fn trouble_upon_trouble_ends_well(
        episodes in prop::collection::vec(episode(), 1..6),
        two_steps in 0usize..2,
    ) {
        let song = Song::new();
        let mut disk = disks()[two_steps].clone();
        for (at, (fault, lasting), outage) in episodes {
            disk.plan(at, fault, lasting);
            let _ = song.download(&disk, &mut 0);
            song.expect_no_wrong_byte(&disk);
            if let Some(unsynced) = outage {
                disk = disk.after_power_failure(unsynced);
            }
            disk.mend();
        }
        song.expect_to_finish(&disk);
    }
}
