//! One who shares, and one after another who fetches.

use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use harness::{Daemon, TestIndex, TestPeer, eventually};

use crate::goods::Goods;
use crate::usage::{Run, Usage, measure};

pub(crate) struct Sharer {
    index: TestIndex,
    daemon: Daemon,
    _peer: TestPeer,
    goods: Rc<Goods>,
    what: Vec<String>,
    datagram: String,
}

impl Sharer {
    /// Shares `goods` on an index of its own.
    pub(crate) fn of(goods: &Rc<Goods>, datagram: u16) -> anyhow::Result<Self> {
        let index = TestIndex::start();
        let peer = TestPeer::new("sharer", &index);
        goods.link_into(&peer.music())?;
        let datagram = datagram.to_string();
        let daemon = peer.daemon_with_environment(&[("CHOIR_DATAGRAM_BYTES", &datagram)]);
        ensure!(peer.share().code == 0, "it is shared");
        let row = eventually("it is found", || peer.search(&["--artist", "Bench"]).pop());
        let what = if goods.is_folder() {
            vec!["--folder".to_owned(), peer.id(), "music/Songs".to_owned()]
        } else {
            vec![row["file_id"].as_str().context("a row has a file id")?.to_owned()]
        };
        Ok(Self { index, daemon, _peer: peer, goods: Rc::clone(goods), what, datagram })
    }

    /// A new person downloads it: from typing the command to its end.
    pub(crate) fn get(&mut self) -> anyhow::Result<Run> {
        let guest = TestPeer::new("guest", &self.index);
        let before = Usage::of(self.daemon.process.id())?;
        let mut command = guest.command();
        command.env("CHOIR_DATAGRAM_BYTES", &self.datagram);
        command.args(["-q", "get"]).args(&self.what).arg("-o").arg(guest.downloads());
        let (seconds, receiving) = measure(&mut command)?;
        let sending = Usage::of(self.daemon.process.id())?.since(before);
        self.goods.check(&guest.downloads())?;
        Ok(Run { seconds, receiving, sending })
    }
}

/// A new person shares it, with a daemon that runs already: until everything is hashed and published.
pub(crate) fn share(goods: &Goods) -> anyhow::Result<Run> {
    let index = TestIndex::start();
    let peer = TestPeer::new("sharer", &index);
    goods.link_into(&peer.music())?;
    let daemon = peer.daemon();
    let before = Usage::of(daemon.process.id())?;
    let start = Instant::now();
    ensure!(peer.share().code == 0, "it is shared");
    let seconds = start.elapsed().as_secs_f64();
    Ok(Run { seconds, receiving: Usage::of(daemon.process.id())?.since(before), sending: Usage::default() })
}

/// Hashes it, without any network or database.
pub(crate) fn hash(goods: &Goods) -> anyhow::Result<Run> {
    let index = TestIndex::start();
    let peer = TestPeer::new("hasher", &index);
    let (seconds, receiving) = measure(peer.command().arg("hash").args(crate::goods::files_of(&goods.path)))?;
    Ok(Run { seconds, receiving, sending: Usage::default() })
}
