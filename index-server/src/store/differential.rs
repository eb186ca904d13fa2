//! The same deeds on both databases, and the same answers from them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;

use choir_shared::address::Subnet;
use choir_shared::identity::SecretKey;
use choir_shared::index_api::{Phase, ReportReason, ReportRequest};
use choir_shared::{Claim, PeerId};
use proptest::prelude::*;

use super::testing::{NOW, PLENTY, Sharer, World, file, song};
use super::{
    Ban, BanTarget, Block, BlockTarget, DisplayName, Enrolment, FileNo, KEPT_S, MemberNo, QueueLimits, Quotas, Which,
};

/// Some of these differ in case or by a look-alike only; their order by bytes is not that of any language.
const NAMES: [&str; 6] = ["Anna", "ANNA", "Änne", "bert", "Zoë", "zoe"];
const COLLECTIONS: [&str; 4] = ["everyone", "Friends", "friends", "Älter"];

/// To look at everything takes a hundred questions.
const LOOK_EVERY: usize = 5;

/// One use of the store. Members, files, claims and invites are meant by small numbers.
#[derive(Clone, Debug)]
enum Deed {
    Enrol { member: u8 },
    Invite { uses: u8, by: Option<u8> },
    Redeem { member: u8, invite: u8 },
    Rename { member: u8, name: u8 },
    FreeName { member: u8 },
    Touch { member: u8 },
    Browsable { member: u8, browsable: bool },
    Ban { member: u8, until: Option<u8> },
    BanNetwork { bits: u8 },
    Unban { member: u8 },
    Block { file: u8 },
    Unblock { file: u8 },
    Report { member: u8, file: Option<u8>, about: Option<u8>, details: String },
    Close { report: u8 },
    Say { text: String },
    Change { member: u8, collection: u8, add: Vec<(u8, u8)>, remove: Vec<u8>, phase: u8, few: bool },
    Drop { member: u8, collection: u8 },
    Revise { files: Vec<u8> },
    Sweep,
    Erase { member: u8 },
    Reopen,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let member = || 0..4u8;
    let entries = || proptest::collection::vec((0..10u8, 0..4u8), 0..6);
    let deed = prop_oneof![
        2 => member().prop_map(|member| Deed::Enrol { member }),
        1 => (0..3u8, proptest::option::of(member())).prop_map(|(uses, by)| Deed::Invite { uses, by }),
        1 => (member(), 0..3u8).prop_map(|(member, invite)| Deed::Redeem { member, invite }),
        2 => (member(), 0..6u8).prop_map(|(member, name)| Deed::Rename { member, name }),
        1 => member().prop_map(|member| Deed::FreeName { member }),
        1 => member().prop_map(|member| Deed::Touch { member }),
        1 => (member(), any::<bool>()).prop_map(|(member, browsable)| Deed::Browsable { member, browsable }),
        1 => (member(), proptest::option::of(0..9u8)).prop_map(|(member, until)| Deed::Ban { member, until }),
        1 => (0..32u8).prop_map(|bits| Deed::BanNetwork { bits }),
        1 => member().prop_map(|member| Deed::Unban { member }),
        1 => (0..10u8).prop_map(|file| Deed::Block { file }),
        1 => (0..10u8).prop_map(|file| Deed::Unblock { file }),
        2 => (member(), proptest::option::of(0..3u8), proptest::option::of(member()), "[a-z\0'\\\\é]{0,4}")
            .prop_map(|(member, file, about, details)| Deed::Report { member, file, about, details }),
        1 => (0..4u8).prop_map(|report| Deed::Close { report }),
        1 => "[a-z\0\"\n]{0,4}".prop_map(|text| Deed::Say { text }),
        8 => (member(), 0..4u8, entries(), proptest::collection::vec(0..10u8, 0..4), 0..6u8, any::<bool>()).prop_map(
            |(member, collection, add, remove, phase, few)| Deed::Change { member, collection, add, remove, phase, few }
        ),
        1 => (member(), 0..4u8).prop_map(|(member, collection)| Deed::Drop { member, collection }),
        1 => proptest::collection::vec(1..10u8, 0..4).prop_map(|files| Deed::Revise { files }),
        3 => Just(Deed::Sweep),
        1 => member().prop_map(|member| Deed::Erase { member }),
        1 => Just(Deed::Reopen),
    ];
    proptest::collection::vec(deed, 1..40)
}

proptest! {
    // Two stores and a new database for each.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn both_databases_give_the_same_answers(deeds in deeds()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut sqlite = Side::new(World::new().await);
            let mut postgres = Side::new(World::on_postgres().await);
            for (step, deed) in deeds.iter().enumerate() {
                let time = NOW + KEPT_S / 3 * step as u64;
                assert_eq!(sqlite.perform(deed, time).await, postgres.perform(deed, time).await, "{deed:?}");
                if step % LOOK_EVERY == 0 || step + 1 == deeds.len() {
                    assert_eq!(sqlite.state(time).await, postgres.state(time).await, "after {deed:?}");
                }
            }
        });
    }
}

/// One of the two stores, and what it alone knows: the codes of its invites.
struct Side {
    world: Option<World>,
    invites: Vec<String>,
    generations: BTreeMap<(u8, u8), u64>,
}

impl Side {
    fn new(world: World) -> Self {
        Self { world: Some(world), invites: Vec::new(), generations: BTreeMap::new() }
    }

    fn world(&self) -> &World {
        self.world.as_ref().expect("it is away only while it is opened again")
    }

    /// What the store answers, as text.
    async fn perform(&mut self, deed: &Deed, now: u64) -> String {
        let store = self.world().store.clone();
        match deed.clone() {
            Deed::Enrol { member } => said(store.enrol(&peer(member), Enrolment::Open, now).await),
            Deed::Invite { uses, by } => {
                let by = by.map(peer);
                self.invites.push(store.create_invite(uses.into(), now + KEPT_S, by.as_ref(), now).await.unwrap());
                String::new()
            }
            Deed::Redeem { member, invite } => {
                let code = self.invites.get(usize::from(invite)).map_or("", String::as_str);
                let enrolled = store.enrol(&peer(member), Enrolment::Invite(code), now).await;
                format!("{:?} {:?}", said(enrolled), store.live_invites(now).await.unwrap().len())
            }
            Deed::Rename { member, name } => said(store.rename(&peer(member), &display(name), now).await),
            Deed::FreeName { member } => said(store.free_name(&peer(member), now).await),
            Deed::Touch { member } => said(store.touch(&peer(member), now).await),
            Deed::Browsable { member, browsable } => said(store.set_browsable(&peer(member), browsable).await),
            Deed::Ban { member, until } => {
                let until_unix_s = until.map(|until| now + u64::from(until));
                said(
                    store
                        .ban(Ban { target: BanTarget::Peer(peer(member)), reason: "it's".into(), until_unix_s }, now)
                        .await,
                )
            }
            Deed::BanNetwork { bits } => {
                let target = BanTarget::Prefix(Subnet { address: IpAddr::from([192, 0, 2, 0]), prefix_bits: bits });
                said(store.ban(Ban { target, reason: String::new(), until_unix_s: Some(u64::MAX) }, now).await)
            }
            Deed::Unban { member } => said(store.unban(&BanTarget::Peer(peer(member)), now).await),
            Deed::Block { file } => {
                said(store.block(Block { target: blocked(file), reason: now.to_string() }, now).await)
            }
            Deed::Unblock { file } => said(store.unblock(&blocked(file), now).await),
            Deed::Report { member, file, about, details } => {
                let request = ReportRequest {
                    file: file.map(|seed| super::testing::file(seed.into())),
                    peer: about.map(peer),
                    reason: ReportReason::Fake,
                    details,
                };
                said(store.report(&peer(member), request, QueueLimits { per_peer: 2, in_all: 4 }, now).await)
            }
            Deed::Close { report } => said(store.close_report(report.into(), "done", now).await),
            Deed::Say { text } => said(store.set_message_of_the_day(&text, now).await),
            Deed::Change { member, collection, add, remove, phase, few } => {
                self.change(member, collection, &add, &remove, phase, few).await
            }
            Deed::Drop { member, collection } => {
                let Some(known) = store.member(&peer(member)).await.unwrap() else { return String::new() };
                self.generations.remove(&(member, collection));
                said(store.drop_collection(known.no, COLLECTIONS[usize::from(collection)]).await)
            }
            Deed::Revise { files } => {
                let unique: std::collections::BTreeSet<u8> = files.into_iter().collect();
                said(store.revise(unique.into_iter().map(|no| FileNo(no.into())).collect()).await)
            }
            Deed::Sweep => {
                let mut sweep = store.sweep(now, u64::MAX).await.unwrap().in_steps_of(3);
                loop {
                    if let std::ops::ControlFlow::Break(swept) = sweep.step().await.unwrap() {
                        return format!("{swept:?}");
                    }
                }
            }
            Deed::Erase { member } => {
                self.generations.retain(|&(of, _), _| of != member);
                said(store.erase(&peer(member)).await)
            }
            Deed::Reopen => {
                let world = self.world.take().expect("it is there");
                drop(store);
                self.world = Some(world.reopened(|_| {}).await);
                String::new()
            }
        }
    }

    async fn change(
        &mut self,
        member: u8,
        collection: u8,
        add: &[(u8, u8)],
        remove: &[u8],
        phase: u8,
        few: bool,
    ) -> String {
        let store = self.world().store.clone();
        let Some(known) = store.member(&peer(member)).await.unwrap() else { return String::new() };
        let generation = self.generations.get(&(member, collection)).copied().unwrap_or_default();
        // The sharer does not remember what it shares: no head is sent, and whether a set fits is the store's to say.
        let mut sharer = Sharer {
            secret: secret(member),
            no: known.no,
            voter: u64::MAX - u64::from(member / 2),
            generation,
            library: BTreeMap::new(),
        };
        let claims: Vec<Claim> = (0..4).map(|n| song(&format!("Claim \u{1f3b5} '{n}\\"))).collect();
        let add: BTreeMap<u64, &Claim> =
            add.iter().map(|&(file, claim)| (file.into(), &claims[usize::from(claim)])).collect();
        let remove: Vec<u64> = remove.iter().map(|&seed| seed.into()).filter(|seed| !add.contains_key(seed)).collect();
        let add: Vec<(u64, &Claim)> = add.into_iter().collect();
        let phase = [Phase::Change, Phase::Change, Phase::Change, Phase::Begin, Phase::Staging, Phase::Commit]
            [usize::from(phase)];
        let mut set = sharer.part(phase, &add, &remove);
        set.remove.sort_unstable();
        set.remove.dedup();
        set.collection = COLLECTIONS[usize::from(collection)].to_owned();
        let quotas = if few { Quotas { files_per_peer: 7, ..PLENTY } } else { PLENTY };
        let applied = store.apply(sharer.no, &sharer.peer(), sharer.voter, set, &quotas).await;
        if let Ok(applied) = &applied {
            self.generations.insert((member, collection), applied.answer.generation);
        }
        said(applied)
    }

    /// Everything that can be asked.
    async fn state(&self, now: u64) -> String {
        let store = &self.world().store;
        let mut all = Vec::new();
        // The hashes of invites are those of random codes.
        let members = store.members().await.unwrap();
        all.push(format!("{:?}", members.iter().map(|it| (&it.member, it.invited_by)).collect::<Vec<_>>()));
        all.push(said(store.bans().await));
        all.push(said(store.blocks().await));
        all.push(said(store.reports(Which::Waiting, 9).await));
        all.push(said(store.reports(Which::All, 9).await));
        all.push(said(store.waiting_reports().await));
        all.push(said(store.message_of_the_day().await));
        all.push(said(store.counts().await));
        all.push(said(store.revision().await));
        all.push(said(store.swept_revision().await));
        all.push(said(store.changed_files(0, 99).await));
        all.push(said(store.files_after(FileNo(0), 99).await));
        all.push(said(store.files_by_no(&[FileNo(3), FileNo(1), FileNo(2), FileNo(3)]).await));
        let nos: BTreeMap<_, _> =
            store.file_nos(&(0..10).map(file).collect::<Vec<_>>()).await.unwrap().into_iter().collect();
        all.push(format!("{nos:?}"));
        let audit = store.audit(99).await.unwrap();
        all.push(said::<_, ()>(Ok(audit.iter().filter(|entry| !entry.what.starts_with("invite")).collect::<Vec<_>>())));
        let invites = store.live_invites(now).await.unwrap();
        all.push(format!(
            "{:?}",
            invites.iter().map(|i| (i.uses_left, i.expires_unix_s, i.created_by)).collect::<Vec<_>>()
        ));
        for name in 0..6 {
            all.push(said(store.named(&display(name)).await));
        }
        for member in 0..4 {
            let known = store.member(&peer(member)).await.unwrap();
            let no = known.as_ref().map_or(MemberNo(0), |known| known.no);
            let mut branch = store.branch(&peer(member)).await.unwrap();
            branch.sort_unstable();
            all.push(format!("{known:?} {branch:?}"));
            all.push(said(store.collections(no).await));
            all.push(said(store.holdings(no).await));
            all.push(said(store.profile(no).await));
            if let Some(known) = known {
                all.push(said(store.library_page(&known, "", None, 9).await));
                let page = store.library_page(&known, "Music", None, 2).await.unwrap();
                all.push(said(store.library_page(&known, "Music", page.next.as_deref(), 9).await));
                all.push(format!("{page:?}"));
            }
            let export = store.export(&peer(member)).await.unwrap();
            all.push(format!("{:?} {:?} {:?}", export.account, export.library, export.invites.len()));
        }
        all.push(said(super::check_catalogue(&self.world().location).await));
        all.join("\n")
    }
}

fn said<T: Debug, E: Debug>(answer: Result<T, E>) -> String {
    format!("{answer:?}")
}

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn peer(seed: u8) -> PeerId {
    secret(seed).peer_id()
}

fn display(name: u8) -> DisplayName {
    DisplayName::new(NAMES[usize::from(name)]).unwrap()
}

fn blocked(seed: u8) -> BlockTarget {
    BlockTarget::File(file(seed.into()))
}
