//! The store against a model: random peers publish, resync and drop, and the store must agree with them.

use std::collections::{BTreeMap, BTreeSet};

use choir_shared::index_api::Phase;
use choir_shared::{Claim, Digest, FileId};
use proptest::prelude::*;

use crate::store::testing::{NOW, Sharer, World, file, song};
use crate::store::{FileNo, KEPT_S, Sweep};

/// What a random peer does next.
#[derive(Clone, Debug)]
enum Deed {
    Change {
        member: u8,
        add: Vec<(u8, u8)>,
        remove: Vec<u8>,
    },
    Resync {
        member: u8,
        library: Vec<(u8, u8)>,
    },
    Drop {
        member: u8,
    },
    Stop {
        member: u8,
    },
    /// So many steps of a sweep; a new one begins when one is over, a while after it.
    Sweep {
        steps: u8,
    },
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let entries = || proptest::collection::vec((0..12u8, 0..4u8), 0..6);
    let deed = prop_oneof![
        4 => (0..3u8, entries(), proptest::collection::vec(0..12u8, 0..4))
            .prop_map(|(member, add, remove)| Deed::Change { member, add, remove }),
        1 => (0..3u8, entries()).prop_map(|(member, library)| Deed::Resync { member, library }),
        1 => (0..3u8).prop_map(|member| Deed::Drop { member }),
        1 => (0..3u8).prop_map(|member| Deed::Stop { member }),
        4 => (1..12u8).prop_map(|steps| Deed::Sweep { steps }),
    ];
    proptest::collection::vec(deed, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The model is three peers that each know their own library; everything the store tells is computed from that.
    #[test]
    fn the_store_agrees_with_what_the_peers_know(deeds in deeds()) {
        run(async { agrees(World::new().await, deeds).await });
    }
}

proptest! {
    // A database takes a while to be made.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn so_does_the_store_on_postgres(deeds in deeds()) {
        run(async { agrees(World::on_postgres().await, deeds).await });
    }
}

fn run(story: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story);
}

async fn agrees(world: World, deeds: Vec<Deed>) {
    let mut peers = [world.member(1).await, world.member(2).await, world.member(3).await];
    let mut sweeps = Sweeps::new(&world).await;
    for deed in deeds {
        match deed {
            Deed::Sweep { steps } => sweeps.go_on(&world, steps).await,
            deed => perform(&world, &mut peers, deed).await,
        }
        compare(&world, &peers).await;
    }
    sweeps.finish(&world).await;
    compare(&world, &peers).await;
    nothing_is_left_that_nobody_names(&world, &peers).await;
    world.store.close().await;
}

/// One sweep after another, in small steps between the deeds of others.
struct Sweeps {
    current: Sweep,
    now_unix_s: u64,
}

impl Sweeps {
    async fn new(world: &World) -> Self {
        Self { current: Self::begin(world, NOW).await, now_unix_s: NOW }
    }

    async fn begin(world: &World, now_unix_s: u64) -> Sweep {
        world.store.sweep(now_unix_s, u64::MAX).await.unwrap().in_steps_of(2)
    }

    async fn go_on(&mut self, world: &World, steps: u8) {
        for _ in 0..steps {
            if self.current.step().await.unwrap().is_break() {
                self.now_unix_s += KEPT_S / 2 + 1;
                self.current = Self::begin(world, self.now_unix_s).await;
            }
        }
    }

    /// Long enough for files to go, and their claims after them.
    async fn finish(mut self, world: &World) {
        for _ in 0..4 {
            self.now_unix_s += KEPT_S;
            self.current = Self::begin(world, self.now_unix_s).await;
            while self.current.step().await.unwrap().is_continue() {}
        }
    }
}

/// But for the last row of each table, and what the last file shows.
async fn nothing_is_left_that_nobody_names(world: &World, peers: &[Sharer]) {
    let query = "SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM claims)";
    let (files, claims): (usize, usize) = {
        let (files, claims): (u32, u32) =
            crate::store::sql::query(query).fetch_one(&world.store.catalogue.readers).await.unwrap();
        (files as usize, claims as usize)
    };
    let held: BTreeSet<&FileId> = peers.iter().flat_map(|peer| peer.library.keys()).collect();
    let named: BTreeSet<&Digest> = peers.iter().flat_map(|peer| peer.library.values()).collect();
    // A claim of several files is one row if it came with one set.
    let most: BTreeSet<(&FileId, &Digest)> = peers.iter().flat_map(|peer| &peer.library).collect();
    assert!((held.len()..=held.len() + 1).contains(&files), "{files} files, {} held", held.len());
    assert!((named.len()..=most.len() + 2).contains(&claims), "{claims} claims, {} named", named.len());
}

async fn perform(world: &World, peers: &mut [Sharer], deed: Deed) {
    let claims: Vec<Claim> = (0..4).map(|n| song(&format!("Claim {n}"))).collect();
    let entries = |list: &[(u8, u8)]| {
        let unique: BTreeMap<u8, u8> = list.iter().copied().collect();
        unique.into_iter().map(|(file, claim)| (u64::from(file), &claims[usize::from(claim)])).collect::<Vec<_>>()
    };
    match deed {
        Deed::Change { member, add, remove } => {
            let peer = &mut peers[usize::from(member)];
            let add = entries(&add);
            let remove: BTreeSet<u64> =
                remove.into_iter().map(u64::from).filter(|seed| add.iter().all(|(file, _)| file != seed)).collect();
            let before: BTreeSet<FileId> = peer.library.keys().copied().collect();
            let set = peer.change(&add, &remove.into_iter().collect::<Vec<_>>());
            let applied = peer.send(world, set).await.unwrap();
            let after: BTreeSet<FileId> = peer.library.keys().copied().collect();
            assert_eq!(applied.added.len(), after.difference(&before).count());
            assert_eq!(applied.removed.len(), before.difference(&after).count());
        }
        Deed::Resync { member, library } => {
            let peer = &mut peers[usize::from(member)];
            let library = entries(&library);
            let (first, rest) = library.split_at(library.len() / 2);
            peer.library.clear();
            let begin = peer.part(Phase::Begin, first, &[]);
            peer.send(world, begin).await.unwrap();
            let commit = peer.part(Phase::Commit, rest, &[]);
            let commit = peer.signed(commit);
            peer.send(world, commit).await.unwrap();
        }
        Deed::Drop { member } => {
            let peer = &mut peers[usize::from(member)];
            world.store.drop_collection(peer.no, "everyone").await.unwrap();
            peer.library.clear();
            peer.generation = 0;
        }
        Deed::Stop { member } => {
            let peer = &mut peers[usize::from(member)];
            let stop = peer.stop();
            peer.send(world, stop).await.unwrap();
            peer.generation = 0;
        }
        Deed::Sweep { .. } => unreachable!("sweeps are nobody's deed"),
    }
}

async fn compare(world: &World, peers: &[Sharer]) {
    for peer in peers {
        let known = world.store.collections(peer.no).await.unwrap();
        assert_eq!(known.is_empty(), peer.generation == 0);
        let digest = known.first().map(|state| state.digest).unwrap_or_default();
        assert_eq!(digest, peer.digest());
        let files: Vec<FileId> = peer.library.keys().copied().collect();
        let mut numbers: Vec<FileNo> = world.store.file_nos(&files).await.unwrap().into_values().collect();
        numbers.sort_unstable();
        assert_eq!(world.store.holdings(peer.no).await.unwrap(), numbers);
    }
    let mut holdings = 0;
    let mut held_files = 0;
    for seed in 0..12 {
        let holders = peers.iter().filter(|peer| peer.library.contains_key(&file(seed))).collect::<Vec<_>>();
        holdings += holders.len() as u64;
        held_files += u64::from(!holders.is_empty());
        let Some(no) = world.store.file_no(&file(seed)).await.unwrap() else {
            assert!(holders.is_empty());
            continue;
        };
        let [row] = world.store.files_by_no(&[no]).await.unwrap().try_into().unwrap();
        assert_eq!(row.holders as usize, holders.len());
        // Every network has one member here, so the claim shown has as many votes as any.
        let votes = |claim: &Digest| holders.iter().filter(|peer| peer.library[&file(seed)] == *claim).count();
        if let Some(most) = holders.iter().map(|peer| votes(&peer.library[&file(seed)])).max() {
            assert_eq!(votes(&row.claim.hash()), most);
        }
    }
    let counts = world.store.counts().await.unwrap();
    assert_eq!((counts.files, counts.holdings), (held_files, holdings));
}
