use choir_shared::control::CollectionState;
use choir_shared::library::DEFAULT_COLLECTION;

use super::*;
use crate::store::check_catalogue;
use crate::store::testing::{NOW, Sharer, World, on_both_databases, song};

/// Nobody has been here since this.
const LATER: u64 = NOW + 1;

impl World {
    /// Steps of two holdings.
    async fn forget_two(&self, sharer: &Sharer) -> Forgotten {
        self.store.forget_up_to(sharer.no, LATER, 2).await.unwrap()
    }

    async fn known(&self, sharer: &Sharer) -> Option<CollectionState> {
        let known = self.store.collections(sharer.no).await.unwrap();
        known.into_iter().find(|state| state.collection == DEFAULT_COLLECTION)
    }
}

async fn five_songs(world: &World) -> Sharer {
    let mut anna = world.member(1).await;
    let songs = ["One", "Two", "Three", "Four", "Five"].map(song);
    anna.share(world, &(1..).zip(&songs).collect::<Vec<_>>()).await;
    anna
}

async fn a_library_goes_step_by_step_and_counts_and_sums_are_right_after_each(world: World) {
    let anna = five_songs(&world).await;
    let mut bert = world.member(2).await;
    bert.share(&world, &[(2, &song("Two"))]).await;
    let mut staging = anna.clone();
    let begin = staging.part(Phase::Begin, &[(6, &song("Six")), (7, &song("Seven")), (8, &song("Eight"))], &[]);
    anna.send(&world, begin).await.unwrap();
    let revision = world.store.revision().await.unwrap();

    let mut left = Vec::new();
    while world.forget_two(&anna).await == Forgotten::Something {
        assert_eq!(check_catalogue(&world.location).await.unwrap(), []);
        left.push(world.store.holdings(anna.no).await.unwrap().len());
        assert!(left.len() < 20, "{left:?}");
    }
    // What is staged goes first, then three times songs; its folder goes with each collection.
    assert_eq!(left, [5, 5, 5, 3, 1, 0, 0]);
    assert_eq!(world.forget_two(&anna).await, Forgotten::Everything);
    assert_eq!(world.known(&anna).await, None);
    assert_eq!(world.store.owners().await.unwrap(), [(bert.no, bert.peer())]);
    let gone: Vec<u32> =
        world.store.changed_files(revision, 99).await.unwrap().iter().map(|file| file.holders).collect();
    assert_eq!(gone, [0; 4], "search hears of all but Bert's");
    assert_eq!(world.store.holdings(bert.no).await.unwrap().len(), 1);
}

async fn folders_go_in_steps_too(world: World) {
    let mut anna = world.member(1).await;
    let folders = (1..=5).map(|number| choir_shared::index_api::Folder { number, path: Some(format!("{number}")) });
    let set = ChangeSet { folders: folders.collect(), ..anna.part(Phase::Change, &[], &[]) };
    let set = anna.signed(set);
    anna.send(&world, set).await.unwrap();
    let mut steps = 0;
    while world.forget_two(&anna).await == Forgotten::Something {
        assert_eq!(check_catalogue(&world.location).await.unwrap(), []);
        steps += 1;
    }
    assert_eq!(steps, 3);
    assert_eq!(world.known(&anna).await, None);
}

async fn who_comes_back_in_the_middle_keeps_the_rest_and_publishes_anew(world: World) {
    let mut anna = five_songs(&world).await;
    assert_eq!(world.forget_two(&anna).await, Forgotten::Something);
    world.store.touch(&anna.peer(), NOW + 9000).await.unwrap();
    assert_eq!(world.forget_two(&anna).await, Forgotten::Nothing);
    assert_eq!(world.store.absent_owners(LATER).await.unwrap(), []);
    let known = world.known(&anna).await.unwrap();
    assert_eq!(known.generation, 0, "of which every peer tells everything");
    assert_ne!(known.digest, anna.digest());

    let six = song("Six");
    let missed = anna.clone().change(&[(6, &six)], &[]);
    let refused = anna.send(&world, missed).await;
    assert!(matches!(refused, Err(ChangeError::WrongBase { generation: 0 })), "{refused:?}");
    let songs = ["One", "Two", "Three", "Four", "Five"].map(song);
    let begin = anna.part(Phase::Begin, &(1..).zip(&songs).collect::<Vec<_>>(), &[]);
    anna.send(&world, begin).await.unwrap();
    let commit = anna.part(Phase::Commit, &[], &[]);
    let commit = anna.signed(commit);
    anna.send(&world, commit).await.unwrap();
    assert_eq!(world.known(&anna).await.unwrap().digest, anna.digest());
    assert_eq!(check_catalogue(&world.location).await.unwrap(), []);
}

async fn only_owners_who_were_not_seen_are_absent(world: World) {
    let (anna, bert) = (five_songs(&world).await, world.member(2).await);
    assert_eq!(world.store.absent_owners(NOW).await.unwrap(), []);
    assert_eq!(world.store.absent_owners(LATER).await.unwrap(), [(anna.no, anna.peer())], "Bert shares nothing");
    world.store.erase(&anna.peer()).await.unwrap();
    assert_eq!(world.forget_two(&anna).await, Forgotten::Nothing);
    assert_eq!(world.forget_two(&bert).await, Forgotten::Everything);
}

on_both_databases! {
    a_library_goes_step_by_step_and_counts_and_sums_are_right_after_each,
    folders_go_in_steps_too,
    who_comes_back_in_the_middle_keeps_the_rest_and_publishes_anew,
    only_owners_who_were_not_seen_are_absent,
}
