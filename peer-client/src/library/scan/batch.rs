//! Facts that wait to be written together.

use std::time::{Duration, Instant};

use super::super::store::Fact;

/// Facts are written when there are so many, or when the first of them has waited so long: the first songs are to be
/// found within seconds, and a transaction for each would take most of the time.
const BATCH_FACTS: usize = 500;
const BATCH_TIME: Duration = Duration::from_secs(1);

/// With this many facts that cannot be written, because the disk is full say, nothing more is read.
const MAX_UNWRITTEN: usize = 4 * BATCH_FACTS;

/// How long until another attempt to write.
const WRITE_AGAIN_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Batch {
    facts: Vec<Fact>,
    /// When the oldest has waited for long enough.
    write_at: Option<Instant>,
    /// They could not be written, and are not tried again before this.
    hold_until: Option<Instant>,
}

impl Batch {
    pub(super) fn note(&mut self, now: Instant, fact: Fact) {
        self.facts.push(fact);
        self.write_at = self.write_at.or(Some(now + BATCH_TIME));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.facts.len() < MAX_UNWRITTEN
    }

    /// When it is to be written although it is not full.
    pub(super) fn due(&self) -> Option<Instant> {
        self.hold_until.or(self.write_at)
    }

    /// The facts, if it is time to write them, or if `more` of them will not come soon.
    pub(super) fn to_write(&self, now: Instant, more: More) -> Option<&[Fact]> {
        let is_time = match self.hold_until {
            Some(until) => until <= now,
            None => {
                more == More::NotExpected
                    || self.facts.len() >= BATCH_FACTS
                    || self.write_at.is_some_and(|due| due <= now)
            }
        };
        Some(self.facts.as_slice()).filter(|facts| is_time && !facts.is_empty())
    }

    /// They are written.
    pub(super) fn take(&mut self) -> Vec<Fact> {
        (self.write_at, self.hold_until) = (None, None);
        std::mem::take(&mut self.facts)
    }

    /// They are not.
    pub(super) fn hold(&mut self, now: Instant) {
        self.hold_until = Some(now + WRITE_AGAIN_AFTER);
    }
}

/// Whether more facts are on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    Expected,
    NotExpected,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_written_when_they_are_many_or_have_waited_or_are_the_last() {
        let now = Instant::now();
        let mut batch = Batch::default();
        assert!(batch.to_write(now, More::NotExpected).is_none());
        batch.note(now, Fact::Gone { file: 0 });
        assert!(batch.to_write(now, More::Expected).is_none());
        assert!(batch.to_write(now, More::NotExpected).is_some());
        assert!(batch.to_write(now + BATCH_TIME, More::Expected).is_some());
        (1..BATCH_FACTS as i64).for_each(|file| batch.note(now, Fact::Gone { file }));
        assert_eq!(batch.to_write(now, More::Expected).unwrap().len(), BATCH_FACTS);
        assert_eq!((batch.take().len(), batch.is_empty(), batch.due()), (BATCH_FACTS, true, None));
    }

    #[test]
    fn what_cannot_be_written_is_kept_and_tried_again_later() {
        let now = Instant::now();
        let mut batch = Batch::default();
        batch.note(now, Fact::Gone { file: 0 });
        batch.hold(now);
        assert!(batch.to_write(now + BATCH_TIME, More::NotExpected).is_none());
        assert_eq!(batch.due(), Some(now + WRITE_AGAIN_AFTER));
        assert!(batch.to_write(now + WRITE_AGAIN_AFTER, More::Expected).is_some());
        assert!(batch.has_room());
        (0..MAX_UNWRITTEN as i64).for_each(|file| batch.note(now, Fact::Gone { file }));
        assert!(!batch.has_room());
    }
}
