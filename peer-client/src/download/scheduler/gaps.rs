//! Where a source begins its region.

use choir_shared::leaf::{LeafRange, LeafSet, Presence};

/// The leaves that one source could be asked for.
pub(super) struct Region<'a> {
    pub(super) wanted: &'a LeafSet,
    pub(super) has: &'a LeafSet,
    pub(super) alignment: u32,
}

impl Region<'_> {
    /// At most `leaves` leaves: from the source's own `cursor` on if it can go on there, else from the first gap at or
    /// after leaf `begin`, else from the largest gap. `fronts` are the leaves at which other sources will go on; a
    /// gap that begins at one of them is entered in the middle, for its first half is as good as taken.
    pub(super) fn choose(
        &self,
        cursor: Option<u32>,
        begin: Option<u32>,
        fronts: &[u32],
        leaves: u32,
    ) -> Option<LeafRange> {
        if let Some(range) = cursor.and_then(|cursor| self.run_at(cursor, leaves)) {
            return Some(range);
        }
        if let Some(begin) = begin {
            let gap = self.gaps().find(|gap| gap.end() > begin).or_else(|| self.gaps().next())?;
            let start = if gap.first() < begin && begin < gap.end() { begin } else { gap.first() };
            return self.whole_nodes(gap.tail(start)?.head(start + leaves)?);
        }
        let gap = self.gaps().max_by_key(|gap| (gap.count(), std::cmp::Reverse(gap.first())))?;
        let start = if fronts.contains(&gap.first()) && gap.count() > 2 * leaves {
            gap.first() + (gap.count() / 2) / self.alignment * self.alignment
        } else {
            gap.first()
        };
        self.whole_nodes(gap.tail(start)?.head(start + leaves)?)
    }

    /// A gap may begin inside a node, where a request was given up half-way. The leaves before it are fetched again,
    /// for only whole nodes can be verified alone.
    fn whole_nodes(&self, range: LeafRange) -> Option<LeafRange> {
        let length = self.wanted.length();
        let first = range.first() / self.alignment * self.alignment;
        let end = range.end().next_multiple_of(self.alignment).min(length.leaf_count());
        let range = length.range(first, end - first)?;
        self.has.contains_range(range).then_some(range)
    }

    fn run_at(&self, first: u32, leaves: u32) -> Option<LeafRange> {
        let gap = self.gaps().find(|gap| (gap.first()..gap.end()).contains(&first))?;
        self.whole_nodes(gap.tail(first)?.head(first + leaves)?)
    }

    fn gaps(&self) -> impl Iterator<Item = LeafRange> {
        self.wanted.runs(Presence::Present)
    }
}
