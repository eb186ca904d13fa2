//! Who stands for what: the vote of each network on one file, and the variants in the running.
//!
//! - **A network has one vote per file**, however many keys it makes: its voter is a keyed hash of the /24 or /48.
//!   The vote goes to the claim it stated last, and ends with the last of its holdings.
//! - **At most [`MAX_VARIANTS`] claims are in the running.** When they are that many, a new one takes the place of
//!   the oldest with a single vote; while all have more, it is not counted. A flood of variants from one network
//!   gains nothing, because its one vote moves along and a variant without votes leaves.
//! - Votes for a claim that has left the running count again only when they are cast again. That is the price of
//!   bounded work, and it is paid by files with more than eight stories about them.

use serde::{Deserialize, Serialize};

use super::numbers::ClaimNo;

/// Most files have one or two variants: the bytes are the same, so the tags are, and only names of files differ.
pub(super) const MAX_VARIANTS: usize = 8;

/// A claim, and how many networks stand for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Variant(pub(super) ClaimNo, pub(super) u32);

/// The variants of one file in the running, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Ballot(Vec<Variant>);

/// What one network says of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vote {
    pub(super) claim: ClaimNo,
    /// How many holdings of the network the vote rests on.
    pub(super) holdings: u32,
}

impl Ballot {
    pub(super) fn variants(&self) -> &[Variant] {
        &self.0
    }

    /// One holding of a network came (`before` is `None`), went (`after` is `None`) or got another claim.
    /// Takes the network's vote as it was and returns it as it is now.
    pub(super) fn cast(&mut self, vote: Option<Vote>, before: Option<ClaimNo>, after: Option<ClaimNo>) -> Option<Vote> {
        let holdings = vote.map_or(0, |vote| vote.holdings) + u32::from(after.is_some());
        let holdings = holdings.saturating_sub(u32::from(before.is_some()));
        let claim = after.or_else(|| vote.map(|vote| vote.claim)).filter(|_| holdings > 0);
        if vote.map(|vote| vote.claim) != claim {
            if let Some(vote) = vote {
                self.withdraw(vote.claim);
            }
            if let Some(claim) = claim {
                self.support(claim);
            }
        }
        claim.map(|claim| Vote { claim, holdings })
    }

    fn withdraw(&mut self, claim: ClaimNo) {
        for variant in &mut self.0 {
            if variant.0 == claim {
                variant.1 = variant.1.saturating_sub(1);
            }
        }
        self.0.retain(|variant| variant.1 > 0);
    }

    fn support(&mut self, claim: ClaimNo) {
        if let Some(variant) = self.0.iter_mut().find(|variant| variant.0 == claim) {
            variant.1 = variant.1.saturating_add(1);
            return;
        }
        if self.0.len() >= MAX_VARIANTS {
            let Some(weakest) = self.0.iter().position(|variant| variant.1 <= 1) else { return };
            self.0.remove(weakest);
        }
        self.0.push(Variant(claim, 1));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// One file and the votes that a database would keep.
    #[derive(Default)]
    struct Poll {
        ballot: Ballot,
        votes: HashMap<u64, Vote>,
    }

    impl Poll {
        fn cast(&mut self, voter: u64, before: Option<u32>, after: Option<u32>) {
            let vote = self.votes.remove(&voter);
            if let Some(vote) = self.ballot.cast(vote, before.map(ClaimNo), after.map(ClaimNo)) {
                self.votes.insert(voter, vote);
            }
        }

        fn voters(&self, claim: u32) -> u32 {
            self.ballot.variants().iter().find(|variant| variant.0 == ClaimNo(claim)).map_or(0, |variant| variant.1)
        }
    }

    #[test]
    fn a_thousand_keys_in_one_network_are_one_vote() {
        let mut poll = Poll::default();
        (0..1000).for_each(|_| poll.cast(1, None, Some(66)));
        poll.cast(2, None, Some(7));
        poll.cast(3, None, Some(7));
        assert_eq!((poll.voters(66), poll.voters(7)), (1, 2));
        (0..999).for_each(|_| poll.cast(1, Some(66), None));
        assert_eq!(poll.voters(66), 1);
        poll.cast(1, Some(66), None);
        assert_eq!((poll.voters(66), poll.votes.len()), (0, 2));
    }

    #[test]
    fn a_flood_of_variants_from_one_network_pushes_nobody_out() {
        let mut poll = Poll::default();
        poll.cast(1, None, Some(1));
        (100..200).for_each(|claim| poll.cast(2, None, Some(claim)));
        assert_eq!(poll.ballot.variants(), [Variant(ClaimNo(1), 1), Variant(ClaimNo(199), 1)]);
    }

    #[test]
    fn a_newcomer_takes_the_place_of_the_oldest_with_a_single_vote() {
        let mut poll = Poll::default();
        (1..=8).for_each(|claim| poll.cast(claim.into(), None, Some(claim)));
        poll.cast(11, None, Some(1));
        poll.cast(12, None, Some(9));
        assert_eq!((poll.voters(1), poll.voters(2), poll.voters(9)), (2, 0, 1));
        assert_eq!(poll.ballot.variants().len(), MAX_VARIANTS);
    }

    proptest! {
        /// While no more claims are about than fit, the count is exact and forgets the order.
        #[test]
        fn votes_are_counted_exactly(holdings: Vec<(u8, u8)>, leave: Vec<bool>) {
            let holdings: Vec<(u64, u32)> = holdings.iter().map(|&(voter, claim)| (u64::from(voter % 16), u32::from(claim % 8))).collect();
            let mut poll = Poll::default();
            holdings.iter().for_each(|&(voter, claim)| poll.cast(voter, None, Some(claim)));
            let leaving = |position: usize| leave.get(position).copied().unwrap_or(false);
            let mut last_said: HashMap<u64, u32> = HashMap::new();
            let mut left: HashMap<u64, u32> = HashMap::new();
            for (position, &(voter, claim)) in holdings.iter().enumerate() {
                last_said.insert(voter, claim);
                *left.entry(voter).or_default() += u32::from(!leaving(position));
            }
            for (position, &(voter, claim)) in holdings.iter().enumerate() {
                if leaving(position) {
                    poll.cast(voter, Some(claim), None);
                }
            }
            for claim in 0..8 {
                let expected = last_said.iter().filter(|&(voter, &said)| said == claim && left[voter] > 0).count();
                prop_assert_eq!(poll.voters(claim) as usize, expected);
            }
        }
    }
}
