//! Whose search is next.
//!
//! A search takes a processor for a millisecond or more, and what a key may do in a minute it may do at once. So the
//! searches of one network run one after another, however many keys it has, and every network has one search among
//! those that wait for a processor: who floods waits for itself.

use std::time::Duration;

use choir_shared::address::NetworkPrefix;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::locks::{Lock, Locks};
use crate::origin::Origin;
use crate::store::MemberNo;

/// How long a search waits for a processor before it is refused. People wait longer, but then there are more of them.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) struct SearchTurns {
    own: Locks<Searcher>,
    processors: Semaphore,
}

/// Of whom one search runs at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Searcher {
    Network(NetworkPrefix),
    /// Who comes from no network that is counted.
    Member(MemberNo),
}

/// A processor to search with, while it lives.
pub(crate) struct SearchTurn<'a> {
    _processor: SemaphorePermit<'a>,
    _own: Lock<Searcher>,
}

impl SearchTurns {
    /// `most` searches run at the same time.
    pub(crate) fn new(most: u32) -> Self {
        Self { own: Locks::default(), processors: Semaphore::new(most as usize) }
    }

    /// `None` if it took too long.
    pub(crate) async fn take(&self, member: MemberNo, origin: Origin) -> Option<SearchTurn<'_>> {
        let searcher = origin.counted().map_or(Searcher::Member(member), Searcher::Network);
        let turn = async {
            let own = self.own.lock(searcher).await;
            let processor = self.processors.acquire().await.ok()?;
            Some(SearchTurn { _processor: processor, _own: own })
        };
        timeout(PATIENCE, turn).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt as _;

    use super::*;

    fn from(address: [u8; 4]) -> Origin {
        Origin::of(IpAddr::from(address))
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_that_floods_waits_for_itself() {
        let turns = SearchTurns::new(3);
        let mut flood: Vec<_> =
            (0..100).map(|member| Box::pin(turns.take(MemberNo(member), from([5, 6, 7, member as u8])))).collect();
        let taken: Vec<_> = flood.iter_mut().filter_map(|turn| turn.as_mut().now_or_never().flatten()).collect();
        assert_eq!(taken.len(), 1);
        let others = [from([5, 6, 8, 1]), from([127, 0, 0, 1])];
        let others = others.map(|origin| turns.take(MemberNo(200), origin).now_or_never().flatten());
        assert!(others.iter().all(Option::is_some));

        let fourth = turns.take(MemberNo(201), from([9, 9, 9, 9]));
        assert!(fourth.await.is_none(), "there are three processors");
        drop((taken, others, flood));
        assert!(turns.take(MemberNo(1), from([5, 6, 7, 1])).now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn members_of_this_machine_wait_for_themselves() {
        let turns = SearchTurns::new(3);
        let here = from([127, 0, 0, 1]);
        let first = turns.take(MemberNo(1), here).await;
        assert!(turns.take(MemberNo(1), here).now_or_never().is_none());
        assert!(turns.take(MemberNo(2), here).now_or_never().flatten().is_some());
        drop(first);
        assert!(turns.take(MemberNo(1), here).now_or_never().flatten().is_some());
    }
}
