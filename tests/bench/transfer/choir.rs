//! Those who share, and one after another who fetches.

use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use harness::{Daemon, TestIndex, TestPeer, eventually};

use crate::goods::Goods;
use crate::usage::{Run, Usage, measure};

/// One or several who share the same.
pub(crate) struct Sharer {
    index: TestIndex,
    daemons: Vec<(TestPeer, Daemon)>,
    goods: Rc<Goods>,
    what: Vec<String>,
    /// For those who share and those who fetch.
    environment: Vec<(&'static str, String)>,
}

impl Sharer {
    /// Shares `goods` on an index of its own.
    pub(crate) fn of(goods: &Rc<Goods>, datagram: u16) -> anyhow::Result<Self> {
        Self::start(goods, 1, vec![("CHOIR_DATAGRAM_BYTES", datagram.to_string())])
    }

    /// So many share it, and send no more than `limit` bytes a second each.
    pub(crate) fn several(goods: &Rc<Goods>, sharers: usize, limit: u32) -> anyhow::Result<Self> {
        Self::start(goods, sharers, vec![("CHOIR_UPLOAD_LIMIT", limit.to_string())])
    }

    fn start(goods: &Rc<Goods>, sharers: usize, environment: Vec<(&'static str, String)>) -> anyhow::Result<Self> {
        let index = TestIndex::start();
        let mut daemons = Vec::new();
        let set: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for number in 1..=sharers {
            let peer = TestPeer::new(&format!("sharer {number}"), &index);
            goods.link_into(&peer.music())?;
            let daemon = peer.daemon_with_environment(&set);
            ensure!(peer.share().code == 0, "it is shared");
            daemons.push((peer, daemon));
        }
        let (peer, _) = daemons.first().context("somebody shares it")?;
        let row = eventually("it is found", || peer.search(&["--artist", "Bench"]).pop());
        let what = if goods.is_folder() {
            vec!["--folder".to_owned(), peer.id(), "music/Songs".to_owned()]
        } else {
            vec![row["file_id"].as_str().context("a row has a file id")?.to_owned()]
        };
        Ok(Self { index, daemons, goods: Rc::clone(goods), what, environment })
    }

    /// A new person downloads it: from typing the command to its end.
    pub(crate) fn get(&mut self) -> anyhow::Result<Run> {
        let guest = TestPeer::new("guest", &self.index);
        let before = self.used()?;
        let mut command = guest.command();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(["-q", "get"]).args(&self.what).arg("-o").arg(guest.downloads());
        let (seconds, receiving) = measure(&mut command)?;
        let sending = self.used()?.since(before);
        self.goods.check(&guest.downloads())?;
        Ok(Run { seconds, receiving, sending })
    }

    /// What all who share it used: the sum of their time, and the memory of the largest.
    fn used(&self) -> anyhow::Result<Usage> {
        let mut sum = Usage::default();
        for (_, daemon) in &self.daemons {
            let usage = Usage::of(daemon.process.id())?;
            sum.cpu_seconds += usage.cpu_seconds;
            sum.peak_bytes = sum.peak_bytes.max(usage.peak_bytes);
        }
        Ok(sum)
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
