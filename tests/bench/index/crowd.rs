//! Many peers at once.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use harness::load::corpus::Corpus;
use harness::load::peer::{CrowdPeer, Door, Holding};
use tokio::task::JoinSet;

/// As many talk to the index at the same time.
const LANES: usize = 16;

/// An index that is busy is asked again after this.
const BUSY: Duration = Duration::from_millis(20);

/// Songs of a full change set; the first also has an entry for the folder.
pub(crate) const SET: usize = choir_shared::index_api::library::MAX_ENTRIES - 1;

/// Each of these is a network of its own: a /24.
pub(crate) fn address(network: u32) -> IpAddr {
    let [.., high, low] = network.to_be_bytes();
    Ipv4Addr::new(127, 1 + high, low, 1).into()
}

/// Peers of these numbers, logged in, spread over networks.
pub(crate) async fn members(door: Door, numbers: std::ops::Range<u32>) -> anyhow::Result<Vec<CrowdPeer>> {
    let peers = numbers.map(|number| CrowdPeer::new(number, door, address(number % 250))).collect();
    log_in(peers).await
}

/// In the same order.
pub(crate) async fn log_in(peers: Vec<CrowdPeer>) -> anyhow::Result<Vec<CrowdPeer>> {
    let waiting = Arc::new(Mutex::new(peers.into_iter().enumerate().collect::<VecDeque<_>>()));
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let waiting = Arc::clone(&waiting);
        lanes.spawn(async move {
            let mut done = Vec::new();
            while let Some((place, mut peer)) = next(&waiting) {
                let mut connection = peer.connect().await?;
                peer.log_in(&mut connection).await?;
                done.push((place, peer));
            }
            std::io::Result::Ok(done)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = lanes.join_next().await {
        all.extend(done??);
    }
    all.sort_by_key(|(place, _)| *place);
    Ok(all.into_iter().map(|(_, peer)| peer).collect())
}

/// A peer and what it is going to publish, packed already: generator and index share the processors.
pub(crate) struct Publisher {
    pub(crate) peer: CrowdPeer,
    pub(crate) sets: Vec<Vec<u8>>,
}

/// What of a song is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    Claims,
    /// For an index that should know the claims.
    Hashes,
}

impl Publisher {
    /// Shares these songs of the corpus.
    pub(crate) fn new(mut peer: CrowdPeer, corpus: &Corpus, ranks: &[u32], detail: Detail) -> anyhow::Result<Self> {
        let sets = Self::shared(&mut peer, corpus, ranks, detail)?;
        Ok(Self { peer, sets })
    }

    /// The change sets alone.
    pub(crate) fn shared(
        peer: &mut CrowdPeer,
        corpus: &Corpus,
        ranks: &[u32],
        detail: Detail,
    ) -> std::io::Result<Vec<Vec<u8>>> {
        let holding = |rank: &u32| {
            let holding = Holding::new(corpus.file(*rank), corpus.claim(*rank));
            if detail == Detail::Claims { holding } else { holding.known() }
        };
        ranks.chunks(SET).map(|ranks| peer.add(ranks.iter().map(holding).collect())).collect()
    }

    /// One for each library; made on all processors.
    pub(crate) fn all(
        peers: Vec<CrowdPeer>,
        corpus: &Corpus,
        libraries: &[Vec<u32>],
        detail: Detail,
    ) -> anyhow::Result<Vec<Self>> {
        let work: Vec<(CrowdPeer, &Vec<u32>)> = peers.into_iter().zip(libraries).collect();
        let half = work.len() / 2;
        let mut first = work;
        let second = first.split_off(half);
        let make = |work: Vec<(CrowdPeer, &Vec<u32>)>| -> anyhow::Result<Vec<Self>> {
            work.into_iter().map(|(peer, ranks)| Self::new(peer, corpus, ranks, detail)).collect()
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(|| make(second));
            let mut made = make(first)?;
            made.extend(other.join().unwrap_or_else(|_| anyhow::bail!("making libraries panicked"))?);
            Ok(made)
        })
    }
}

/// Everybody publishes everything. Returns the peers, and how often the index was too busy.
pub(crate) async fn publish(publishers: Vec<Publisher>) -> anyhow::Result<(Vec<CrowdPeer>, u64)> {
    let waiting = Arc::new(Mutex::new(publishers.into_iter().enumerate().collect::<VecDeque<_>>()));
    let busy = Arc::new(AtomicU64::new(0));
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let (waiting, busy) = (Arc::clone(&waiting), Arc::clone(&busy));
        lanes.spawn(async move {
            let mut done = Vec::new();
            while let Some((place, Publisher { peer, sets })) = next(&waiting) {
                let mut connection = peer.connect().await?;
                for set in sets {
                    publish_one(&peer, &mut connection, &set, &busy).await?;
                }
                done.push((place, peer));
            }
            anyhow::Ok(done)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = lanes.join_next().await {
        all.extend(done??);
    }
    all.sort_by_key(|(place, _)| *place);
    Ok((all.into_iter().map(|(_, peer)| peer).collect(), busy.load(Ordering::Relaxed)))
}

pub(crate) async fn publish_one(
    peer: &CrowdPeer,
    connection: &mut harness::load::wire::Connection,
    set: &[u8],
    busy: &AtomicU64,
) -> anyhow::Result<()> {
    loop {
        let answer = peer.offer(connection, set).await?;
        match answer.status {
            200 if !String::from_utf8_lossy(&answer.body).contains("unknown_claims") => return Ok(()),
            503 => {
                busy.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(BUSY).await;
            }
            status => anyhow::bail!("a change set was answered {status}: {}", String::from_utf8_lossy(&answer.body)),
        }
    }
}

fn next<T>(waiting: &Mutex<VecDeque<T>>) -> Option<T> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}
