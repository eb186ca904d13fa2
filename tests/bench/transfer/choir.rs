//! One who shares the file, and one after another who fetches it.

use std::path::Path;

use anyhow::{Context as _, ensure};
use harness::{Daemon, TestIndex, TestPeer, eventually};

use crate::usage::{Run, Usage, measure};

pub(crate) struct Sharer {
    index: TestIndex,
    daemon: Daemon,
    _peer: TestPeer,
    file: String,
    bytes: u64,
    datagram: String,
}

impl Sharer {
    /// Shares `song` on an index of its own.
    pub(crate) fn of(song: &Path, datagram: u16) -> anyhow::Result<Self> {
        let index = TestIndex::start();
        let peer = TestPeer::new("sharer", &index);
        let name = song.file_name().context("a file has a name")?;
        std::fs::hard_link(song, peer.music().join(name))
            .or_else(|_| std::fs::copy(song, peer.music().join(name)).map(drop))?;
        let datagram = datagram.to_string();
        let daemon = peer.daemon_with_environment(&[("CHOIR_DATAGRAM_BYTES", &datagram)]);
        ensure!(peer.share().code == 0, "the file is shared");
        let row = eventually("the file is found", || peer.search(&["--artist", "Bench"]).pop());
        let file = row["file_id"].as_str().context("a row has a file id")?.to_owned();
        Ok(Self { index, daemon, _peer: peer, file, bytes: song.metadata()?.len(), datagram })
    }

    /// A new person downloads the file: from typing the command to its end.
    pub(crate) fn get(&mut self) -> anyhow::Result<Run> {
        let guest = TestPeer::new("guest", &self.index);
        let before = Usage::of(self.daemon.process.id())?;
        let mut command = guest.command();
        command.env("CHOIR_DATAGRAM_BYTES", &self.datagram);
        command.args(["-q", "get", &self.file, "-o"]).arg(guest.downloads());
        let (seconds, receiving) = measure(&mut command)?;
        let sending = Usage::of(self.daemon.process.id())?.since(before);
        let files = harness::peer::files_below(&guest.downloads());
        ensure!(files.iter().any(|path| path.metadata().is_ok_and(|found| found.len() == self.bytes)), "it is whole");
        Ok(Run { seconds, receiving, sending })
    }
}
