//! Where a source begins its region.

use choir_shared::leaf::{LeafRange, LeafSet, Presence};

/// The free leaves that one source could be asked for.
pub(super) struct Region<'a> {
    pub(super) free: &'a LeafSet,
    pub(super) has: &'a LeafSet,
    pub(super) alignment: u32,
}

impl Region<'_> {
    /// At most `leaves` leaves: from the source's own `cursor` on if it can go on there, else from the largest gap.
    /// `fronts` are the leaves at which other sources will go on; a gap that begins at one of them is entered in the
    /// middle, for its first half is as good as taken.
    pub(super) fn choose(&self, cursor: Option<u32>, fronts: &[u32], leaves: u32) -> Option<LeafRange> {
        cursor.and_then(|cursor| self.run_at(cursor, leaves)).or_else(|| {
            let gap = self.gaps().max_by_key(|gap| (gap.count(), std::cmp::Reverse(gap.first())))?;
            let start = if fronts.contains(&gap.first()) && gap.count() > 2 * leaves {
                gap.first() + (gap.count() / 2) / self.alignment * self.alignment
            } else {
                gap.first()
            };
            self.whole_nodes(gap.tail(start)?.head(start + leaves)?)
        })
    }

    /// A gap may begin inside a node, where a request was given up half-way. The leaves before it are fetched again,
    /// for only whole nodes can be verified alone.
    fn whole_nodes(&self, range: LeafRange) -> Option<LeafRange> {
        let first = range.first() / self.alignment * self.alignment;
        let range = self.free.length().range(first, range.end() - first)?;
        self.has.contains_range(range).then_some(range)
    }

    fn run_at(&self, first: u32, leaves: u32) -> Option<LeafRange> {
        let gap = self.gaps().find(|gap| (gap.first()..gap.end()).contains(&first))?;
        self.whole_nodes(gap.tail(first)?.head(first + leaves)?)
    }

    /// Runs of free leaves, cut to those that the source has.
    fn gaps(&self) -> impl Iterator<Item = LeafRange> {
        let length = self.free.length();
        self.free.runs(Presence::Present).flat_map(move |run| {
            let mut pieces = Vec::new();
            if self.has.is_full() {
                pieces.push(run);
                return pieces;
            }
            let mut start = None;
            for number in run.first()..=run.end() {
                let there = number < run.end() && length.leaf(number).is_some_and(|leaf| self.has.contains(leaf));
                match (there, start) {
                    (true, None) => start = Some(number),
                    (false, Some(first)) => {
                        pieces.extend(length.range(first, number - first));
                        start = None;
                    }
                    _ => {}
                }
            }
            pieces
        })
    }
}
