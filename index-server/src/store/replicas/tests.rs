use std::ops::ControlFlow;

use super::*;
use crate::store::testing::{NOW, World, file, song};
use crate::store::{Ban, BanTarget, Block, BlockTarget, Forgotten, KEPT_S, OwnQuota};

/// A program that says what it is told to, and remembers what it has heard.
struct Program {
    beat: Beat,
}

impl Program {
    async fn start(world: &World, url: &str) -> Self {
        let mut program = Self { beat: Beat { url: url.to_owned(), ..Beat::default() } };
        program.hear(world).await;
        program
    }

    fn no(&self) -> ReplicaNo {
        self.beat.replica.unwrap()
    }

    async fn pulse(&mut self, world: &World) -> Pulse {
        let pulse = world.store.beat(self.beat.clone()).await.unwrap();
        let url = self.beat.url.clone();
        self.beat = Beat { replica: Some(pulse.replica), heard: pulse.heard, url, ..Beat::default() };
        pulse
    }

    /// Where members are who have moved, or share something else.
    async fn hear(&mut self, world: &World) -> Vec<(MemberNo, Option<ReplicaNo>)> {
        let mut moved: Vec<_> = self.pulse(world).await.moved.iter().map(|moved| (moved.member, moved.at)).collect();
        moved.sort_unstable();
        moved
    }

    async fn came(&mut self, world: &World, member: MemberNo) -> Vec<(MemberNo, Option<ReplicaNo>)> {
        self.beat.came.push(member);
        self.hear(world).await
    }

    async fn left(&mut self, world: &World, member: MemberNo) -> Vec<(MemberNo, Option<ReplicaNo>)> {
        self.beat.left.push(member);
        self.hear(world).await
    }
}

/// Lets a program's lease have ended so long ago.
async fn silence(world: &World, program: &Program, seconds: u32) {
    let lapse = query(
        "UPDATE replicas SET lease_until = clock_timestamp() - CAST($2 AS BIGINT) * interval '1 second' WHERE no = $1",
    )
    .bind(time(program.no().0))
    .bind(seconds);
    let run = world.store.accounts.writer.run(move |db| Box::pin(async move { lapse.execute(db).await.map(drop) }));
    run.await.unwrap();
}

#[tokio::test]
async fn who_is_at_another_program_keeps_the_library() {
    let world = World::on_postgres().await;
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One"))]).await;
    let mut other = Program::start(&world, "http://other").await;
    other.came(&world, anna.no).await;
    let forget = async || world.store.forget_some(anna.no, NOW + 1).await.unwrap();
    assert_eq!(forget().await, Forgotten::Nothing);
    silence(&world, &other, FORGOTTEN_S - 5).await;
    assert_eq!(forget().await, Forgotten::Nothing, "it may not be dead");
    silence(&world, &other, FORGOTTEN_S + 1).await;
    assert_eq!(forget().await, Forgotten::Something);
    other.came(&world, anna.no).await;
    assert_eq!(forget().await, Forgotten::Nothing, "it is not");
    other.left(&world, anna.no).await;
    assert_eq!(forget().await, Forgotten::Something);
    assert_eq!(forget().await, Forgotten::Everything);
}

#[tokio::test]
async fn each_hears_what_the_others_said_and_nothing_twice() {
    let world = World::on_postgres().await;
    let (mut a, mut b) = (Program::start(&world, "a").await, Program::start(&world, "b").await);
    let (anna, ben) = (world.member(1).await.no, world.member(2).await.no);
    assert_eq!(a.came(&world, anna).await, []);
    assert_eq!(b.came(&world, ben).await, [(anna, Some(a.no()))]);
    assert_eq!(b.hear(&world).await, []);
    assert_eq!(a.hear(&world).await, [(ben, Some(b.no()))]);

    b.beat.changed.push(anna);
    assert_eq!(b.hear(&world).await, []);
    assert_eq!(a.hear(&world).await, [(anna, Some(a.no()))], "what she shares is to be looked at");
    assert_eq!(b.left(&world, ben).await, []);
    assert_eq!(a.hear(&world).await, [(ben, None)]);
    let mut late = Program::start(&world, "c").await;
    late.beat.heard = 0;
    assert_eq!(late.hear(&world).await, [(anna, Some(a.no()))], "who is nowhere is no news to who has just started");
}

#[tokio::test]
async fn the_last_one_to_which_a_member_came_has_it_and_the_one_before_cannot_put_it_out() {
    let world = World::on_postgres().await;
    let (mut a, mut b) = (Program::start(&world, "a").await, Program::start(&world, "b").await);
    let anna = world.member(1).await.no;
    a.came(&world, anna).await;
    assert_eq!(b.came(&world, anna).await, [(anna, Some(a.no()))]);
    assert_eq!(a.left(&world, anna).await, [(anna, Some(b.no()))]);
    assert_eq!(b.hear(&world).await, []);
    assert_eq!(Program::start(&world, "c").await.beat.heard, b.beat.heard);
}

#[tokio::test]
async fn who_falls_silent_is_not_asked_any_more_and_its_places_are_kept_for_a_while() {
    let world = World::on_postgres().await;
    let (mut a, mut b) = (Program::start(&world, "a").await, Program::start(&world, "b").await);
    let anna = world.member(1).await.no;
    a.came(&world, anna).await;
    b.hear(&world).await;
    silence(&world, &a, 1).await;
    let pulse = b.pulse(&world).await;
    assert_eq!(pulse.living, [Replica { no: b.no(), url: "b".to_owned() }]);
    assert_eq!(pulse.moved, []);

    silence(&world, &a, FORGOTTEN_S + 1).await;
    assert_eq!(b.hear(&world).await, [(anna, None)]);
    let before = a.no();
    assert_eq!(a.hear(&world).await, [(anna, None)]);
    assert!(a.no() > before, "it lives after all, and is told so by its new number");
}

#[tokio::test]
async fn whoever_was_erased_is_a_member_without_a_key() {
    let world = World::on_postgres().await;
    let (mut a, mut b) = (Program::start(&world, "a").await, Program::start(&world, "b").await);
    let anna = world.member(1).await;
    a.came(&world, anna.no).await;
    world.store.erase(&anna.peer()).await.unwrap();
    let moved = b.pulse(&world).await.moved;
    assert_eq!(moved, [Moved { member: anna.no, peer: None, at: Some(a.no()) }]);
}

#[tokio::test]
async fn what_everybody_keeps_in_memory_is_counted_when_it_changes() {
    let world = World::on_postgres().await;
    let mut program = Program::start(&world, "a").await;
    let anna = world.member(1).await.peer();
    let (store, target) = (&world.store, BanTarget::Peer(anna));
    let block = Block { target: BlockTarget::File(file(1)), reason: String::new() };
    store.ban(Ban { target, reason: String::new(), until_unix_s: None }, NOW).await.unwrap();
    store.unban(&target, NOW).await.unwrap();
    store.block(block.clone(), NOW).await.unwrap();
    store.unblock(&block.target, NOW).await.unwrap();
    store.set_message_of_the_day("Hello", NOW).await.unwrap();
    let anna_no = store.member(&anna).await.unwrap().unwrap().no;
    store.set_own_quota(anna_no, OwnQuota { files: Some(7), ..OwnQuota::default() }, NOW).await.unwrap();
    store.erase(&anna).await.unwrap();
    let versions = program.pulse(&world).await.versions;
    assert_eq!(versions, Versions { bans: 2, blocks: 2, members: 2, texts: 1 });
}

#[tokio::test]
async fn nothing_is_swept_that_a_program_has_not_indexed() {
    let world = World::on_postgres().await;
    let mut anna = world.member(1).await;
    anna.share(&world, &[(1, &song("One")), (2, &song("Two"))]).await;
    let remove = anna.change(&[], &[1]);
    anna.send(&world, remove).await.unwrap();
    let mut late = Program::start(&world, "late").await;
    for (now, indexed, swept) in [(NOW, 0, 0), (NOW + KEPT_S, 2, 0), (NOW + KEPT_S, 3, 1)] {
        late.beat.indexed_revision = indexed;
        late.hear(&world).await;
        let mut sweep = world.store.sweep(now, 3).await.unwrap();
        let found = loop {
            if let ControlFlow::Break(found) = sweep.step().await.unwrap() {
                break found;
            }
        };
        assert_eq!(found.files, swept, "{indexed}");
    }
}

#[tokio::test]
async fn a_database_has_one_owner() {
    let world = World::on_postgres().await;
    let key = |seed| choir_shared::identity::SecretKey::from_seed(&[seed; 32]).index_key();
    assert!(world.store.belongs_to(&key(1)).await.unwrap());
    assert!(world.store.belongs_to(&key(1)).await.unwrap());
    assert!(!world.store.belongs_to(&key(2)).await.unwrap());
}
