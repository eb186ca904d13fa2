//! A disk in memory that fills up, fails, loses files and loses its power.
//!
//! It knows what programs see and what is on the disk. A sync that succeeds makes the one the other, for one file or
//! for the names of one folder. A sync that fails leaves what programs see, and loses half of what was to be written,
//! as kernels do. When the power fails, what was not synced may be there or not, in any mixture.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::{Disk, DiskFile, Folder};

/// What is lost in one piece, or not at all.
const SECTOR_BYTES: usize = 512;

/// What an operation meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no room. Reading and removing need none.
    Full,
    Unreadable,
    /// Somebody removes everything unfinished.
    Vanishes,
    /// Nothing is done from here on.
    PowerFails,
}

/// For how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasting {
    Once,
    UntilMended,
}

/// What is there after the power failed, of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsynced {
    Lost,
    Kept,
    /// Sector by sector and name by name, as the seed has it.
    Torn(u64),
}

/// Clones are handles on the same disk.
#[derive(Clone, Default)]
pub(crate) struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Clone, Default)]
struct State {
    inodes: Vec<Inode>,
    names: Names,
    names_on_disk: Names,
    operations: usize,
    plan: Option<(usize, Fault, Lasting)>,
    two_steps: bool,
    syncs_fail: bool,
    room: Option<u64>,
}

type Names = BTreeMap<(Place, String), usize>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Partial,
    Finished,
}

#[derive(Clone, Default)]
struct Inode {
    seen: Vec<u8>,
    on_disk: Vec<u8>,
    /// What may reach the disk at any moment.
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    Size(usize),
}

/// What an operation needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Room,
    NoRoom,
}

impl FaultyDisk {
    /// Operation number `at`, counted from now, meets `fault`.
    pub(crate) fn plan(&self, at: usize, fault: Fault, lasting: Lasting) {
        let mut state = self.state();
        state.operations = 0;
        state.plan = Some((at, fault, lasting));
    }

    /// Everything works from now on.
    pub(crate) fn mend(&self) {
        self.state().plan = None;
    }

    /// Operations since the last plan.
    pub(crate) fn operations(&self) -> usize {
        self.state().operations
    }

    /// As a file system that cannot rename without replacing.
    pub(crate) fn finishes_in_two_steps(self) -> Self {
        self.state().two_steps = true;
        self
    }

    /// Whether every sync of a file finds the disk full from now on.
    pub(crate) fn fail_syncs(&self, fail: bool) {
        self.state().syncs_fail = fail;
    }

    pub(crate) fn set_room(&self, bytes: u64) {
        self.state().room = Some(bytes);
    }

    /// Another disk, as this one is found when the power is back.
    pub(crate) fn after_power_failure(&self, unsynced: Unsynced) -> Self {
        let mut state = self.state().clone();
        let mut chance = Chance::new(unsynced);
        let (seen, mut names) = (state.names, state.names_on_disk);
        let all: Vec<_> = names.keys().chain(seen.keys()).cloned().collect();
        for name in all {
            if names.get(&name) != seen.get(&name) && chance.keeps() {
                match seen.get(&name) {
                    Some(inode) => names.insert(name, *inode),
                    None => names.remove(&name),
                };
            }
        }
        for inode in &mut state.inodes {
            inode.flush(&mut chance);
            inode.seen.clone_from(&inode.on_disk);
        }
        (state.names, state.names_on_disk, state.plan) = (names.clone(), names, None);
        Self(Arc::new(Mutex::new(state)))
    }

    /// The finished files, as programs see them.
    pub(crate) fn finished(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        let names = state.names.iter().filter(|((place, _), _)| *place == Place::Finished);
        names.map(|((_, name), inode)| (name.clone(), state.inodes[*inode].seen.clone())).collect()
    }

    /// Does one operation, or fails as planned.
    fn operation<T>(&self, needs: Needs, run: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        match state.next_fault(needs) {
            Some(error) => Err(error),
            None => run(&mut state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn open_inode(&self, inode: usize) -> Box<dyn DiskFile> {
        Box::new(OpenFile { disk: self.clone(), inode })
    }
}

impl State {
    fn next_fault(&mut self, needs: Needs) -> Option<io::Error> {
        self.operations += 1;
        let (at, fault, lasting) = self.plan?;
        let meets = match lasting {
            Lasting::Once => self.operations == at,
            Lasting::UntilMended => self.operations >= at,
        };
        match fault {
            Fault::PowerFails => (self.operations >= at).then(|| io::Error::other("the power failed")),
            _ if !meets => None,
            Fault::Full => (needs == Needs::Room).then(|| ErrorKind::StorageFull.into()),
            Fault::Unreadable => Some(io::Error::other("input/output error")),
            Fault::Vanishes => {
                self.names.retain(|(place, _), _| *place == Place::Finished);
                None
            }
        }
    }

    fn find(&self, place: Place, name: &str) -> io::Result<usize> {
        self.names.get(&(place, name.to_owned())).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn link(&mut self, draft: &str, name: &str) -> io::Result<()> {
        if self.names.contains_key(&(Place::Finished, name.to_owned())) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let inode = self.find(Place::Partial, draft)?;
        self.names.insert((Place::Finished, name.to_owned()), inode);
        Ok(())
    }

    fn remove(&mut self, draft: &str) -> io::Result<usize> {
        self.names.remove(&(Place::Partial, draft.to_owned())).ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl Inode {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.unsynced.push(change);
    }

    fn flush(&mut self, chance: &mut Chance) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write { offset, data } => {
                    for (number, sector) in data.chunks(SECTOR_BYTES).enumerate().filter(|_| chance.keeps()) {
                        let write = Change::Write { offset: offset + number * SECTOR_BYTES, data: sector.to_vec() };
                        write.apply(&mut self.on_disk);
                    }
                }
                size if chance.keeps() => size.apply(&mut self.on_disk),
                Change::Size(_) => {}
            }
        }
    }
}

impl Change {
    fn apply(&self, contents: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => {
                let end = offset + data.len();
                if contents.len() < end {
                    contents.resize(end, 0);
                }
                contents[*offset..end].copy_from_slice(data);
            }
            Self::Size(bytes) => contents.resize(*bytes, 0),
        }
    }
}

/// Whether the next thing that was not synced is there.
enum Chance {
    Always(bool),
    Random(u64),
}

impl Chance {
    const fn new(unsynced: Unsynced) -> Self {
        match unsynced {
            Unsynced::Lost => Self::Always(false),
            Unsynced::Kept => Self::Always(true),
            Unsynced::Torn(seed) => Self::Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
        }
    }

    const fn keeps(&mut self) -> bool {
        match self {
            Self::Always(keeps) => *keeps,
            Self::Random(state) => {
                *state ^= *state >> 12;
                *state ^= *state << 25;
                *state ^= *state >> 27;
                *state >> 63 == 0
            }
        }
    }
}

impl Disk for FaultyDisk {
    fn open(&self, _: &Path) -> io::Result<Box<dyn Folder>> {
        self.operation(Needs::Room, |_| Ok(()))?;
        Ok(Box::new(self.clone()))
    }

    fn room(&self, _: &Path) -> Option<u64> {
        self.state().room
    }
}

impl Folder for FaultyDisk {
    fn draft(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.operation(Needs::Room, |state| {
            if let Ok(inode) = state.find(Place::Partial, name) {
                return Ok(inode);
            }
            let inode = state.inodes.len();
            state.inodes.push(Inode::default());
            state.names.insert((Place::Partial, name.to_owned()), inode);
            Ok(inode)
        })?;
        Ok(self.open_inode(inode))
    }

    fn read_draft(&self, name: &str) -> io::Result<Vec<u8>> {
        self.operation(Needs::NoRoom, |state| Ok(state.inodes[state.find(Place::Partial, name)?].seen.clone()))
    }

    fn replace_draft(&self, from: &str, to: &str) -> io::Result<()> {
        self.operation(Needs::Room, |state| {
            let inode = state.remove(from)?;
            state.names.insert((Place::Partial, to.to_owned()), inode);
            Ok(())
        })
    }

    fn remove_draft(&self, name: &str) -> io::Result<()> {
        self.operation(Needs::NoRoom, |state| state.remove(name).map(|_| ()))
    }

    fn finish_draft(&self, draft: &str, name: &str) -> io::Result<()> {
        self.operation(Needs::Room, |state| {
            if state.two_steps {
                return Err(ErrorKind::Unsupported.into());
            }
            state.link(draft, name)?;
            state.remove(draft).map(|_| ())
        })
    }

    fn link_draft(&self, draft: &str, name: &str) -> io::Result<()> {
        self.operation(Needs::Room, |state| state.link(draft, name))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.operation(Needs::NoRoom, |state| {
            let finished = state.names.keys().filter(|(place, _)| *place == Place::Finished);
            Ok(finished.map(|(_, name)| name.clone()).collect())
        })
    }

    fn finished(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.open_inode(self.operation(Needs::NoRoom, |state| state.find(Place::Finished, name))?))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.operation(Needs::Room, |state| {
            state.names_on_disk.retain(|(place, _), _| *place == Place::Partial);
            let finished = state.names.iter().filter(|((place, _), _)| *place == Place::Finished);
            state.names_on_disk.extend(finished.map(|(name, inode)| (name.clone(), *inode)));
            Ok(())
        })
    }

    fn remove_partial(&self) {}
}

struct OpenFile {
    disk: FaultyDisk,
    inode: usize,
}

impl DiskFile for OpenFile {
    fn size(&self) -> io::Result<u64> {
        self.disk.operation(Needs::NoRoom, |state| Ok(state.inodes[self.inode].seen.len() as u64))
    }

    fn names(&self) -> io::Result<u64> {
        self.disk.operation(Needs::NoRoom, |state| {
            Ok(state.names.values().filter(|inode| **inode == self.inode).count() as u64)
        })
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.disk.operation(Needs::Room, |state| {
            state.inodes[self.inode].change(Change::Size(bytes as usize));
            Ok(())
        })
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.operation(Needs::NoRoom, |state| {
            let (offset, seen) = (offset as usize, &state.inodes[self.inode].seen);
            buffer.copy_from_slice(seen.get(offset..offset + buffer.len()).ok_or(ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    /// What fails has been done by half.
    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let fault = state.next_fault(Needs::Room);
        let written = if fault.is_some() { &data[..data.len() / 2] } else { data };
        state.inodes[self.inode].change(Change::Write { offset: offset as usize, data: written.to_vec() });
        fault.map_or(Ok(()), Err)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let powered = state.plan.is_none_or(|(_, fault, _)| fault != Fault::PowerFails);
        let full = state.syncs_fail.then(|| ErrorKind::StorageFull.into());
        let fault = state.next_fault(Needs::Room).or(full);
        match fault {
            None => state.inodes[self.inode].flush(&mut Chance::Always(true)),
            // The pages count as written from now on.
            Some(_) if powered => state.inodes[self.inode].flush(&mut Chance::Random(1)),
            Some(_) => {}
        }
        fault.map_or(Ok(()), Err)
    }

    fn handle(&self) -> io::Result<std::fs::File> {
        Err(ErrorKind::Unsupported.into())
    }
}
