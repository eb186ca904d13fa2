//! What an index needs with very many songs and peers: each peer online shares 500 that nobody else does.

use std::sync::Arc;
use std::time::Instant;

use harness::load::corpus::Corpus;

use crate::crowd::{self, Detail, Publisher};
use crate::http::{Online, libraries};
use crate::measure::grouped;
use crate::server::{Server, UNLIMITED};

const LIBRARY: u32 = 500;

/// What the aim is about.
const AIMED_AT: f64 = 10_000_000.0;

/// Peers whose change sets are made before they are sent.
const AT_ONCE: usize = 1_000;

pub(crate) fn measure(songs: u32) -> anyhow::Result<String> {
    let server = Server::start(UNLIMITED)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let corpus = Corpus::new(songs);
        let empty = server.resident();
        let begun = Instant::now();
        let libraries = libraries(&corpus, LIBRARY);
        let mut peers = Vec::new();
        for (part, libraries) in libraries.chunks(AT_ONCE).enumerate() {
            let first = (part * AT_ONCE) as u32;
            let members = crowd::members(server.door(), first..first + libraries.len() as u32).await?;
            peers.extend(crowd::publish(Publisher::all(members, &corpus, libraries, Detail::Claims)?).await?.0);
        }
        let published = begun.elapsed().as_secs_f64();
        while server.metric("choir_index_files_indexed_total", "")? < songs.into() {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        // Merges go on after the last commit.
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
        let offline = server.resident();
        let peers: Vec<_> = peers.into_iter().map(Arc::new).collect();
        let _online = Online::of(&peers).await?;
        let online = server.resident();
        let mebibytes = |bytes: u64| bytes >> 20;
        let straight = empty as f64 + (online - empty) as f64 * AIMED_AT / f64::from(songs);
        Ok(format!(
            "| | index, MiB resident |\n|---|---|\n| empty | {} |\n| {} songs published and searchable (in {published:.0} s) | {} |\n| {} peers online with {LIBRARY} songs each | {} |\n| {} songs and {} peers, **extrapolated** in proportion | {:.0} |\n",
            mebibytes(empty),
            grouped(songs.into()),
            mebibytes(offline),
            grouped(peers.len() as f64),
            mebibytes(online),
            grouped(AIMED_AT),
            grouped(AIMED_AT / f64::from(LIBRARY)),
            straight / f64::from(1 << 20)
        ))
    })
}
