//! What downloaders of one file need to know of each other, so that each fetches what the others lack.
//!
//! Of the leaves that the fewest have, each takes first those that fall to it: for every [`GROUP`] of leaves one member
//! of the swarm is drawn, by the same lot wherever it is drawn ("highest random weight": Thaler and Ravishankar 1998).
//! So the few who have the whole file send each leaf about once, although what members know of each other is always a
//! little old; without it a seed sent a song nearly twice before eight downloaders had all of it between them.

use std::collections::BTreeSet;

use choir_shared::leaf::{FileLength, LeafIndex, LeafRange, LeafSet, Presence};

/// Leaves that fall to the same member. As many as the smallest request has.
const GROUP: u32 = super::MIN_REQUEST_LEAVES;

/// More are not drawn from; strangers name each other.
const MAX_MEMBERS: usize = 64;

/// A member's lot: some of the bits of its key, which nobody chooses to its advantage, for all it could win is work.
pub type MemberLot = u64;

#[derive(Debug)]
pub(super) struct Swarm {
    me: MemberLot,
    others: BTreeSet<MemberLot>,
    /// How many have each leaf, of the sources that have not all of them.
    holders: Vec<u16>,
    /// The leaves that fall to us.
    ours: LeafSet,
    /// Leaves that fall to one member together: [`GROUP`], or those of a node of the tree if it has more.
    group: u32,
    chance: u64,
}

impl Swarm {
    pub(super) fn new(length: FileLength, leaves_per_node: u32, me: MemberLot) -> Self {
        Self {
            me,
            others: BTreeSet::new(),
            holders: vec![0; length.leaf_count() as usize],
            ours: LeafSet::full(length),
            group: GROUP.max(leaves_per_node),
            chance: me,
        }
    }

    /// Somebody else fetches the file as well.
    pub(super) fn joined(&mut self, other: MemberLot) {
        if self.others.len() >= MAX_MEMBERS || other == self.me || !self.others.insert(other) {
            return;
        }
        let length = self.ours.length();
        let (me, group) = (self.me, self.group);
        for number in 0..length.leaf_count().div_ceil(group) {
            let Some(leaves) = length.range(number * group, group.min(length.leaf_count() - number * group)) else {
                continue;
            };
            if mixed(other ^ mixed(number.into())) > mixed(me ^ mixed(number.into())) {
                leaves.leaves().for_each(|leaf| _ = self.ours.remove(leaf));
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.others.is_empty()
    }

    /// A source came that has these.
    pub(super) fn gains(&mut self, has: &LeafSet) {
        self.count(has, |count| count.saturating_add(1));
    }

    /// A source that had these is gone, or has others.
    pub(super) fn loses(&mut self, had: &LeafSet) {
        self.count(had, |count| count.saturating_sub(1));
    }

    /// Who has the whole file has every leaf alike.
    fn count(&mut self, leaves: &LeafSet, change: impl Fn(u16) -> u16) {
        if leaves.is_full() {
            return;
        }
        for run in leaves.runs(Presence::Present) {
            if let Some(counts) = self.holders.get_mut(run.first() as usize..run.end() as usize) {
                counts.iter_mut().for_each(|count| *count = change(*count));
            }
        }
    }

    /// What to ask a source for that has all of `useful`: what the fewest have, and of that what falls to us.
    pub(super) fn wanted(&self, useful: &LeafSet) -> LeafSet {
        let leaves = || useful.runs(Presence::Present).flat_map(LeafRange::leaves);
        let fewest = leaves().map(|leaf| self.holders_of(leaf)).min();
        let mut wanted = LeafSet::empty(useful.length());
        for leaf in leaves().filter(|leaf| Some(self.holders_of(*leaf)) == fewest) {
            wanted.insert(leaf);
        }
        let mut ours = wanted.clone();
        ours.intersect(&self.ours);
        if ours.is_empty() { wanted } else { ours }
    }

    fn holders_of(&self, leaf: LeafIndex) -> u16 {
        self.holders.get(leaf.number() as usize).copied().unwrap_or_default()
    }

    /// Where in the file to begin: anywhere, but always at a group.
    pub(super) fn draw_begin(&mut self) -> u32 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let groups = self.ours.length().leaf_count().div_ceil(self.group);
        (mixed(self.chance) % u64::from(groups)) as u32 * self.group
    }
}

/// SplitMix64's last step: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
const fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> LeafSet {
        LeafSet::empty(FileLength::new(10_000_000).unwrap())
    }

    fn swarms(lots: &[MemberLot]) -> Vec<Swarm> {
        let member = |me: &MemberLot| {
            let mut swarm = Swarm::new(none().length(), 1, *me);
            lots.iter().for_each(|lot| swarm.joined(*lot));
            swarm
        };
        lots.iter().map(member).collect()
    }

    #[test]
    fn every_leaf_falls_to_one_member_and_to_each_about_as_many() {
        let swarms = swarms(&[7, 1 << 20, 3 << 40, u64::MAX, 99]);
        let all = none().length().leaf_count();
        let shares: Vec<u32> = swarms.iter().map(|swarm| swarm.ours.count()).collect();
        assert_eq!(shares.iter().sum::<u32>(), all);
        let mut together = none();
        swarms.iter().for_each(|swarm| swarm.ours.runs(Presence::Present).for_each(|run| together.insert_range(run)));
        assert!(together.is_full());
        assert!(shares.iter().all(|share| (all / 10..all / 3).contains(share)), "{shares:?}");
    }

    #[test]
    fn rare_leaves_come_before_those_that_fall_to_us() {
        let mut swarm = swarms(&[7, 8]).remove(0);
        let length = none().length();
        let everything = LeafSet::full(length);
        assert_eq!(swarm.wanted(&everything), swarm.ours);

        // The other has all but two leaves, one of which falls to us.
        let ours = swarm.ours.runs(Presence::Present).next().unwrap().leaves().next().unwrap();
        let mut theirs = LeafSet::full(length);
        theirs.subtract(&swarm.ours);
        let theirs = theirs.runs(Presence::Present).next().unwrap().leaves().next().unwrap();
        let mut has = everything.clone();
        has.remove(ours);
        has.remove(theirs);
        swarm.gains(&has);
        let wanted = swarm.wanted(&everything);
        assert!(wanted.contains(ours) && wanted.count() == 1);
        let mut rest = everything.clone();
        rest.remove(ours);
        assert!(swarm.wanted(&rest).contains(theirs), "and then those that fall to others");
        swarm.loses(&has);
        assert_eq!(swarm.wanted(&everything), swarm.ours);
    }
}
