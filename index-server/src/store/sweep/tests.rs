use choir_shared::Claim;
use choir_shared::index_api::{ChangeSet, Phase};

use super::*;
use crate::store::FileNo;
use crate::store::testing::{NOW, World, file, on_both_databases, song};

/// Search has seen everything.
const ALL: u64 = u64::MAX;

impl World {
    async fn swept(&self, now_unix_s: u64, indexed_revision: u64) -> Swept {
        let mut sweep = self.store.sweep(now_unix_s, indexed_revision).await.unwrap();
        loop {
            if let ControlFlow::Break(swept) = sweep.step().await.unwrap() {
                return swept;
            }
        }
    }

    /// How many rows there are of files and of claims.
    async fn rows(&self) -> (u32, u32) {
        let query = "SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM claims)";
        super::query(query).fetch_one(&self.store.catalogue.readers).await.unwrap()
    }

    /// Somebody with a song that is never swept: the last row of each table stays anyway.
    async fn someone_else(&self) {
        self.member(99).await.share(self, &[(99, &song("Else"))]).await;
    }
}

const fn swept(files: u64, claims: u64) -> Swept {
    Swept { files, claims }
}

async fn what_nobody_holds_goes_when_its_time_is_over_and_its_claim_after_it(world: World) {
    let (mut anna, mut bob) = (world.member(1).await, world.member(2).await);
    anna.share(&world, &[(1, &song("One")), (2, &song("Two")), (3, &song("Three"))]).await;
    bob.share(&world, &[(2, &song("Two, live"))]).await;
    world.someone_else().await;
    assert_eq!(world.rows().await, (4, 5));
    let remove = anna.change(&[], &[1, 2]);
    anna.send(&world, remove).await.unwrap();

    let (found, over) = (NOW + 10, NOW + 10 + KEPT_S);
    for now in [found, found + 1, over - 1] {
        assert_eq!(world.swept(now, ALL).await, swept(0, 0), "{now}");
    }
    // Anna's claim of file 2, which Bob still holds, has been idle as long as file 1.
    assert_eq!(world.swept(over, ALL).await, swept(1, 1));
    assert_eq!(world.store.file_no(&file(1)).await.unwrap(), None);
    assert_eq!(world.rows().await, (3, 4));
    assert_eq!(world.swept(over + KEPT_S - 1, ALL).await, swept(0, 0), "until just now it was shown");
    assert_eq!(world.swept(over + KEPT_S, ALL).await, swept(0, 1));
    assert_eq!(world.rows().await, (3, 3));
    assert_eq!(world.swept(over + 9 * KEPT_S, ALL).await, swept(0, 0));

    let mut bare = anna.clone().change(&[(1, &song("One"))], &[]);
    bare.add[0].claim = None;
    assert_eq!(anna.send(&world, bare).await.unwrap().answer.unknown_claims, [song("One").hash()]);
    assert_eq!(anna.share(&world, &[(1, &song("One"))]).await.added, [FileNo(5)], "no number is given twice");
}

async fn the_last_of_all_stays_so_that_its_number_is_not_given_again(world: World) {
    let mut anna = world.member(1).await;
    for (seed, title) in [(1, "One"), (2, "Two")] {
        anna.share(&world, &[(seed, &song(title))]).await;
    }
    let stop = anna.stop();
    anna.send(&world, stop).await.unwrap();
    for weeks in 0..4 {
        world.swept(NOW + weeks * KEPT_S, ALL).await;
    }
    assert_eq!(world.rows().await, (1, 1));
    anna.generation = 0;
    assert_eq!(anna.share(&world, &[(3, &song("Three"))]).await.added, [FileNo(3)]);
}

async fn who_comes_back_in_time_finds_everything_and_begins_to_wait_anew(world: World) {
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One"))]).await;
    world.someone_else().await;
    for week in 0..3 {
        let remove = anna.change(&[], &[1]);
        anna.send(&world, remove).await.unwrap();
        let gone = NOW + week * KEPT_S;
        assert_eq!(world.swept(gone + 1, ALL).await, swept(0, 0), "{week}");
        assert_eq!(anna.share(&world, &[(1, &song("One"))]).await.added, [FileNo(1)], "{week}");
    }
    let remove = anna.change(&[], &[1]);
    anna.send(&world, remove).await.unwrap();
    assert_eq!(world.swept(NOW + 3 * KEPT_S, ALL).await, swept(0, 0));
    assert_eq!(world.swept(NOW + 4 * KEPT_S, ALL).await, swept(1, 0));
}

async fn what_is_staged_is_in_use(world: World) {
    let mut anna = world.member(1).await;
    let begin = anna.part(Phase::Begin, &[(1, &song("One"))], &[]);
    anna.send(&world, begin).await.unwrap();
    world.someone_else().await;
    for weeks in 0..3 {
        assert_eq!(world.swept(NOW + weeks * KEPT_S, ALL).await, swept(0, 0));
    }
    let commit = anna.part(Phase::Commit, &[], &[]);
    let commit = anna.signed(commit);
    assert_eq!(anna.send(&world, commit).await.unwrap().added, [FileNo(1)]);
}

async fn what_is_named_in_the_middle_of_a_sweep_is_spared(world: World) {
    let (mut anna, mut bob) = (world.member(1).await, world.member(2).await);
    bob.share(&world, &[(8, &song("Eight"))]).await;
    anna.share(&world, &[(1, &song("One")), (2, &song("One, too"))]).await;
    world.someone_else().await;
    let remove = anna.change(&[(2, &song("Two"))], &[1]);
    anna.send(&world, remove).await.unwrap();
    assert_eq!(world.swept(NOW, ALL).await, swept(0, 0));

    let mut sweep = world.store.sweep(NOW + KEPT_S, ALL).await.unwrap();
    while sweep.place != (Place::IdleFiles { after: 0 }) {
        assert_eq!(sweep.step().await.unwrap(), ControlFlow::Continue(()));
    }
    // The file is due, and all holdings have been read. So is the other's first claim, which nobody can name any more.
    let mut bare = bob.part(Phase::Begin, &[(1, &song("One"))], &[]);
    bare.add[0].claim = None;
    assert!(bob.send(&world, bare).await.unwrap().answer.unknown_claims.is_empty());
    while sweep.step().await.unwrap() == ControlFlow::Continue(()) {}
    assert_eq!(sweep.swept, swept(0, 1));
    let commit = bob.part(Phase::Commit, &[(8, &song("Eight"))], &[]);
    let commit = bob.signed(commit);
    assert_eq!(bob.send(&world, commit).await.unwrap().added, [FileNo(2)]);
    let [row] = world.store.files_by_no(&[FileNo(2)]).await.unwrap().try_into().unwrap();
    assert_eq!((row.row.file_id, row.claim), (file(1), song("One")));
}

async fn a_vote_outlives_its_holding_and_keeps_its_claim(world: World) {
    let (mut anna, mut neighbour) = (world.member(1).await, world.member(2).await);
    neighbour.voter = anna.voter;
    anna.share(&world, &[(1, &song("Hers"))]).await;
    neighbour.share(&world, &[(1, &song("Theirs"))]).await;
    let mut others = [world.member(3).await, world.member(4).await];
    for other in &mut others {
        other.share(&world, &[(1, &song("Other"))]).await;
    }
    world.someone_else().await;
    let stop = neighbour.stop();
    neighbour.send(&world, stop).await.unwrap();
    // Nobody holds the file with that claim, and another is shown; but the network's vote stands for it.
    for weeks in 0..3 {
        assert_eq!(world.swept(NOW + weeks * KEPT_S, ALL).await, swept(0, 0));
    }
    for other in &mut others {
        let stop = other.stop();
        other.send(&world, stop).await.unwrap();
    }
    assert_eq!(world.store.files_by_no(&[FileNo(1)]).await.unwrap()[0].claim, song("Theirs"));
}

async fn what_an_erased_member_leaves_behind_goes_with_the_next_sweep_but_not_what_others_name(world: World) {
    let (mut anna, mut bob) = (world.member(1).await, world.member(2).await);
    let both = song("Of both");
    let with_genre = Claim { genre: Some("Jazz".into()), ..song("Two") };
    let with_album = Claim { album: Some("Album".into()), ..song("Two") };
    anna.share(&world, &[(1, &song("Hers")), (2, &with_genre), (3, &both)]).await;
    bob.share(&world, &[(2, &with_album), (3, &both), (4, &song("His"))]).await;
    world.member(3).await.share(&world, &[(2, &song("Two"))]).await;
    world.member(4).await.share(&world, &[(2, &Claim { year: Some(1999), ..song("Two") })]).await;
    let staged =
        ChangeSet { collection: "friends".into(), ..anna.clone().part(Phase::Begin, &[(5, &song("Staged"))], &[]) };
    anna.send(&world, staged).await.unwrap();
    world.someone_else().await;
    assert_eq!(world.rows().await, (6, 9));

    let mut sweep = world.store.sweep(NOW, ALL).await.unwrap();
    world.store.erase(&anna.peer()).await.unwrap();
    while sweep.step().await.unwrap() == ControlFlow::Continue(()) {}
    assert_eq!(sweep.swept, swept(0, 0), "that sweep had begun before");
    assert_eq!(world.swept(NOW + 1, ALL).await, swept(2, 3));
    assert_eq!(world.rows().await, (4, 6));
    assert_eq!(world.store.holdings(bob.no).await.unwrap().len(), 3);
    let claims: Vec<Claim> =
        world.store.files_by_no(&[FileNo(2), FileNo(3)]).await.unwrap().into_iter().map(|row| row.claim).collect();
    assert_eq!(claims, [Claim { year: Some(1999), ..with_album }, both]);

    let stop = bob.stop();
    bob.send(&world, stop).await.unwrap();
    assert_eq!(world.swept(NOW + 2, ALL).await, swept(0, 0), "Bob's own are kept as anybody's");
}

async fn a_file_waits_until_search_has_forgotten_it(world: World) {
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One"))]).await;
    world.someone_else().await;
    let remove = anna.change(&[], &[1]);
    anna.send(&world, remove).await.unwrap();
    let gone = world.store.revision().await.unwrap();
    for weeks in 0..3 {
        assert_eq!(world.swept(NOW + weeks * KEPT_S, gone - 1).await, swept(0, 0));
    }
    assert_eq!(world.store.swept_revision().await.unwrap(), 0);
    assert_eq!(world.swept(NOW + 3 * KEPT_S, gone).await, swept(1, 0));
    assert_eq!(world.store.swept_revision().await.unwrap(), gone);
}

async fn no_step_reads_or_deletes_more_than_its_share(world: World) {
    let mut anna = world.member(1).await;
    let songs: Vec<(u64, Claim)> = (1..=30).map(|seed| (seed, song(&format!("Song {seed}")))).collect();
    anna.share(&world, &songs.iter().map(|(seed, claim)| (*seed, claim)).collect::<Vec<_>>()).await;
    world.someone_else().await;
    let stop = anna.stop();
    anna.send(&world, stop).await.unwrap();

    for (now, left) in [(NOW, (31, 31)), (NOW + KEPT_S, (1, 31)), (NOW + 2 * KEPT_S, (1, 1))] {
        let mut sweep = world.store.sweep(now, ALL).await.unwrap().in_steps_of(4);
        let mut before = world.rows().await;
        let mut deleting = 0;
        while sweep.step().await.unwrap() == ControlFlow::Continue(()) {
            let after = world.rows().await;
            let deleted = before.0 - after.0 + before.1 - after.1;
            assert!(deleted <= 4, "{deleted} rows in one step");
            deleting += u32::from(deleted > 0);
            before = after;
        }
        assert_eq!(world.rows().await, left);
        assert_eq!(deleting, if now == NOW { 0 } else { 8 }, "30 rows, four at a time");
    }
}

on_both_databases! {
    what_nobody_holds_goes_when_its_time_is_over_and_its_claim_after_it,
    the_last_of_all_stays_so_that_its_number_is_not_given_again,
    who_comes_back_in_time_finds_everything_and_begins_to_wait_anew,
    what_is_staged_is_in_use,
    what_is_named_in_the_middle_of_a_sweep_is_spared,
    a_vote_outlives_its_holding_and_keeps_its_claim,
    what_an_erased_member_leaves_behind_goes_with_the_next_sweep_but_not_what_others_name,
    a_file_waits_until_search_has_forgotten_it,
    no_step_reads_or_deletes_more_than_its_share,
}
