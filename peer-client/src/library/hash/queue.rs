//! Who is read next: as many files of each disk at the same time as that disk likes, and no more in all than there
//! are processors.

use std::collections::{BTreeMap, VecDeque};

/// Jobs by disk. It grows with the number of files that are new, some hundred bytes each.
#[derive(Debug)]
pub(crate) struct Queue<J> {
    disks: BTreeMap<u64, Disk<J>>,
    running: usize,
    width: usize,
}

#[derive(Debug)]
struct Disk<J> {
    waiting: VecDeque<J>,
    running: usize,
    readers: usize,
}

impl<J> Queue<J> {
    /// For `width` jobs at the same time.
    pub(crate) fn new(width: usize) -> Self {
        Self { disks: BTreeMap::new(), running: 0, width: width.max(1) }
    }

    /// `readers` is how many jobs the disk likes at the same time; the last word counts.
    pub(crate) fn push(&mut self, disk: u64, readers: usize, job: J) {
        self.disk(disk, readers).waiting.push_back(job);
    }

    /// Before all that wait for the same disk.
    pub(crate) fn push_first(&mut self, disk: u64, readers: usize, job: J) {
        self.disk(disk, readers).waiting.push_front(job);
    }

    /// The next job that may run now, of the disk with the fewest running. Say [`Queue::finished`] when it has.
    pub(crate) fn start(&mut self) -> Option<(u64, J)> {
        if self.running >= self.width {
            return None;
        }
        let free = self.disks.iter_mut().filter(|(_, disk)| !disk.waiting.is_empty() && disk.running < disk.readers);
        let (&number, disk) = free.min_by_key(|(_, disk)| disk.running)?;
        let job = disk.waiting.pop_front()?;
        disk.running += 1;
        self.running += 1;
        Some((number, job))
    }

    pub(crate) fn finished(&mut self, disk: u64) {
        self.running = self.running.saturating_sub(1);
        if let Some(disk) = self.disks.get_mut(&disk) {
            disk.running = disk.running.saturating_sub(1);
        }
        self.disks.retain(|_, disk| disk.running > 0 || !disk.waiting.is_empty());
    }

    /// Nothing waits and nothing runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.running == 0 && self.disks.values().all(|disk| disk.waiting.is_empty())
    }

    /// Takes the waiting jobs out that are not to be kept.
    pub(crate) fn remove_unless(&mut self, mut keep: impl FnMut(&J) -> bool) -> Vec<J> {
        let mut removed = Vec::new();
        for disk in self.disks.values_mut() {
            let (kept, gone): (VecDeque<J>, VecDeque<J>) = disk.waiting.drain(..).partition(&mut keep);
            disk.waiting = kept;
            removed.extend(gone);
        }
        removed
    }

    fn disk(&mut self, disk: u64, readers: usize) -> &mut Disk<J> {
        let disk = self.disks.entry(disk).or_insert_with(|| Disk { waiting: VecDeque::new(), running: 0, readers });
        disk.readers = readers.max(1);
        disk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotating_disk_has_one_reader_and_does_not_hold_up_another() {
        let mut queue = Queue::new(3);
        for job in 0..4 {
            queue.push(1, 1, ("slow", job));
            queue.push(2, 8, ("fast", job));
        }
        let started: Vec<_> = std::iter::from_fn(|| queue.start()).map(|(_, job)| job).collect();
        assert_eq!(started, [("slow", 0), ("fast", 0), ("fast", 1)]);
        queue.finished(2);
        assert_eq!(queue.start(), Some((2, ("fast", 2))));
        queue.finished(1);
        assert_eq!(queue.start(), Some((1, ("slow", 1))));
    }

    #[test]
    fn it_is_idle_when_all_is_done_or_taken_out() {
        let mut queue = Queue::new(2);
        assert!(queue.is_idle());
        (0..5).for_each(|job| queue.push(1, 2, job));
        queue.push_first(1, 2, 9);
        assert_eq!(queue.start(), Some((1, 9)));
        assert_eq!(queue.remove_unless(|job| job % 2 == 1), [0, 2, 4]);
        for expected in [1, 3] {
            assert_eq!(queue.start(), Some((1, expected)));
            queue.finished(1);
        }
        assert!(!queue.is_idle());
        queue.finished(1);
        assert!(queue.is_idle());
    }
}
