//! What an index needs with very many songs and peers: each peer online shares 500 that nobody else does.

use std::sync::Arc;
use std::time::Instant;

use harness::load::corpus::Corpus;
use harness::process::{Memory, memory};

use crate::crowd::{self, Detail, Publisher};
use crate::http::{Online, libraries};
use crate::measure::grouped;
use crate::server::{Server, UNLIMITED};

const LIBRARY: u32 = 500;

/// What the aim is about.
const AIMED_AT: f64 = 10_000_000.0;

/// Each is a file that is open on either side, of which a process may have 20,000.
const MOST_ONLINE: usize = 19_000;

/// Peers whose change sets are made before they are sent.
const AT_ONCE: usize = 1_000;

pub(crate) fn measure(songs: u32) -> anyhow::Result<String> {
    let server = Server::start(UNLIMITED)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let corpus = Corpus::new(songs);
        let empty = Resident::of(&server);
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
        let offline = Resident::of(&server);
        let peers: Vec<_> = peers.into_iter().take(MOST_ONLINE).map(Arc::new).collect();
        let _online = Online::of(&peers).await?;
        let online = Resident::of(&server);
        let mut table =
            "| | index, MiB resident | of these the program's own, no pages of files |\n|---|---|---|\n".to_owned();
        let mut row = |what: String, Resident { all, own }: Resident| {
            table += &format!("| {what} | {:.0} | {:.0} |\n", all / MEBIBYTE, own / MEBIBYTE);
        };
        row("empty".to_owned(), empty);
        row(format!("{} songs published and searchable (in {published:.0} s)", grouped(songs.into())), offline);
        row(format!("{} peers online with {LIBRARY} songs each", grouped(peers.len() as f64)), online);
        let times = AIMED_AT / f64::from(songs);
        if times > 1.0 {
            let straight = |empty: f64, online: f64| empty + (online - empty) * times;
            let all = Resident { all: straight(empty.all, online.all), own: straight(empty.own, online.own) };
            let peers = grouped(AIMED_AT / f64::from(LIBRARY));
            row(format!("{} songs and {peers} peers, **extrapolated** in proportion", grouped(AIMED_AT)), all);
        }
        Ok(table)
    })
}

const MEBIBYTE: f64 = (1 << 20) as f64;

/// Bytes of memory.
#[derive(Clone, Copy)]
struct Resident {
    all: f64,
    own: f64,
}

impl Resident {
    fn of(server: &Server) -> Self {
        let of = |what| memory(server.index.process.id(), what) as f64;
        Self { all: of(Memory::Resident), own: of(Memory::Anonymous) }
    }
}
