//! Songs as they lie on the disk, taken into a library: read, hashed, their tags read, and noted in the database.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use anyhow::ensure;
use choir_peer::database::Database;
use choir_peer::library::{Library, LibraryOptions};
use rustix::fs::{Advice, fadvise};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bound;
use crate::goods::{Goods, files_of};
use crate::report::{Candidate, compare, ratios, table};
use crate::usage::{Run, Usage};

const PIECE_BYTES: usize = 1 << 20;

/// A song's bytes are hashed for the file, and those of its sound once more.
const HASHED_TIMES: f64 = 2.0;

pub(crate) fn measure(place: &Path, rounds: usize) -> anyhow::Result<String> {
    let songs = Rc::new(Goods::lossless(place)?);
    let [read, taken_in] = [(); 2].map(|()| Rc::clone(&songs));
    let candidates = vec![
        Candidate::new("reading alone, one file after another", move || read_alone(&read)),
        Candidate::new("taken into a library", move || take_in(&taken_in)),
    ];
    let medians = compare(candidates, rounds)?;
    let beside = ratios(&medians, "taken into a library", &["reading alone"]);
    let lanes = HASHED_TIMES * bound::hashed_on_all_cores(usize::try_from(songs.bytes)?, rounds)?;
    Ok(format!(
        "{}{beside}\nHashing file and sound in lanes, out of the processors' caches, on all cores at once: {lanes:.2} s.\n",
        table(&medians, songs.bytes)
    ))
}

fn read_alone(songs: &Goods) -> anyhow::Result<Run> {
    forget(songs)?;
    let (start, before) = (Instant::now(), Usage::of(std::process::id())?);
    let mut piece = vec![0; PIECE_BYTES];
    for song in files_of(&songs.path) {
        let mut song = File::open(song)?;
        loop {
            match song.read(&mut piece) {
                Ok(0) => break,
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
        }
    }
    finished(start, before)
}

fn take_in(songs: &Goods) -> anyhow::Result<Run> {
    let home = tempfile::tempdir()?;
    forget(songs)?;
    let (start, before) = (Instant::now(), Usage::of(std::process::id())?);
    let runtime = tokio::runtime::Runtime::new()?;
    let taken = runtime.block_on(async {
        let (database, _) = Database::open(&home.path().join("peer.db")).await?;
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let library = Library::open(database, LibraryOptions::default(), &tracker, stop.clone()).await?;
        library.add_folder(&songs.path, None, "bench").await?;
        library.settled().await;
        let taken: u64 = library.folders().await?.iter().map(|folder| folder.bytes).sum();
        stop.cancel();
        anyhow::Ok(taken)
    })?;
    let run = finished(start, before);
    ensure!(taken == songs.bytes, "{taken} of {} bytes were taken in", songs.bytes);
    run
}

fn finished(start: Instant, before: Usage) -> anyhow::Result<Run> {
    let receiving = Usage { peak_bytes: 0, ..Usage::of(std::process::id())?.since(before) };
    Ok(Run { seconds: start.elapsed().as_secs_f64(), receiving, sending: Usage::default() })
}

/// Takes the songs out of the page cache. They must be on the disk for that.
fn forget(songs: &Goods) -> anyhow::Result<()> {
    for song in files_of(&songs.path) {
        let song = File::open(song)?;
        song.sync_all()?;
        fadvise(&song, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}
