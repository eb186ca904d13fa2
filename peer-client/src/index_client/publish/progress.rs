//! How far one index knows one collection, and what to tell it next. Pure: answers come in, the next step goes out.
//!
//! 1. The index is the memory. On every welcome it says which collections it knows otherwise than this peer; all
//!    others are up to date. Nothing is remembered here from one start to the next.
//! 2. If the index is behind, it is told **what has changed since its generation**, on the belief that up to there it
//!    knows the same. The digests prove the belief when the newest generation is reached.
//! 3. If it cannot be merely behind (its generation is not before ours, or the digests disagree at the end), it is
//!    told **everything anew**, beside what it has, which others keep seeing until the last set.
//! 4. A resync that broke off begins anew: the index may have restarted, and forgotten what was staged.
//! 5. If both sides disagree even after a resync, one of them has a fault that repeating will not mend: the next
//!    attempt waits.
//! 6. A collection that is not given to this index (any more) is emptied there.

use std::time::Duration;

use choir_shared::control::CollectionState;
use choir_shared::index_api::{ChangesAnswer, ErrorCode, Phase};
use choir_shared::library::LibraryDigest;

use super::super::error::IndexError;

/// Rule 5. Long enough to burden nobody, short enough that an update of either side mends it the same day.
const DISAGREEMENT: Duration = Duration::from_secs(600);

/// After a refusal that people must settle. They do it by changing the library or the index's quota.
const REFUSAL: Duration = Duration::from_secs(60);

/// What to tell next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    /// The changes after a generation; whether its set begins, continues or ends something is asked of [`Lane::phase`].
    Page {
        after: u64,
    },
    /// An empty set, at generation zero.
    Empty {
        is_last: bool,
    },
}

/// What to do after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    /// As long as the index has asked for, or as long as nothing can change.
    Wait(Duration),
    /// Longer with each failure.
    BackOff,
}

/// A set that was sent: what is needed to judge the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) phase: Phase,
    pub(super) generation: u64,
    pub(super) complete: Option<(LibraryDigest, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Up to date to a generation, as far as known.
    Following {
        generation: u64,
    },
    /// Everything is being told anew; `None` before the first set.
    Staging {
        through: Option<u64>,
    },
    Withdrawing {
        begun: bool,
    },
    Withdrawn,
}

/// One collection at one index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    progress: Progress,
    /// Resyncs since both sides last agreed.
    resyncs: u32,
    /// Since the last set that was taken, the index has named a generation once.
    corrected: bool,
}

impl Lane {
    const fn at(progress: Progress) -> Self {
        Self { progress, resyncs: 0, corrected: false }
    }

    /// For a collection that this index has never heard of.
    pub(super) const fn new() -> Self {
        Self::at(Progress::Following { generation: 0 })
    }

    /// After a welcome: what this peer said, and what the index answered if it knows otherwise.
    pub(super) fn welcomed(said: Option<&CollectionState>, known: Option<&CollectionState>) -> Self {
        let newest = said.map_or(0, |said| said.generation);
        Self::at(match known {
            None => Progress::Following { generation: newest },
            Some(known) if known.generation == 0 || known.generation < newest => {
                Progress::Following { generation: known.generation }
            }
            Some(_) => Progress::Staging { through: None },
        })
    }

    /// For a collection that this index is not given, but knows.
    pub(super) fn stray(known: &CollectionState) -> Self {
        let empty = known.digest == LibraryDigest::EMPTY;
        Self::at(if empty { Progress::Withdrawn } else { Progress::Withdrawing { begun: false } })
    }

    /// The owner takes the collection away from this index.
    pub(super) fn withdraw(&mut self) {
        self.progress = match self.progress {
            Progress::Following { generation: 0 } | Progress::Withdrawn => Progress::Withdrawn,
            Progress::Withdrawing { begun } => Progress::Withdrawing { begun },
            Progress::Following { .. } | Progress::Staging { .. } => Progress::Withdrawing { begun: false },
        };
    }

    /// The index asks by itself to be told everything.
    pub(super) fn resync(&mut self) -> Verdict {
        match self.progress {
            Progress::Withdrawing { .. } | Progress::Withdrawn => Verdict::Go,
            Progress::Following { .. } | Progress::Staging { .. } => self.disagree(),
        }
    }

    pub(super) fn next(&mut self, newest: u64) -> Next {
        match self.progress {
            Progress::Following { generation } if generation == newest => Next::Nothing,
            Progress::Following { generation } if generation < newest => Next::Page { after: generation },
            Progress::Following { .. } => {
                self.progress = Progress::Staging { through: None };
                Next::Page { after: 0 }
            }
            Progress::Staging { through } => Next::Page { after: through.unwrap_or(0) },
            Progress::Withdrawing { begun } => Next::Empty { is_last: begun },
            Progress::Withdrawn => Next::Nothing,
        }
    }

    /// What the set of the next page is.
    pub(super) fn phase(&self, is_last: bool) -> Phase {
        match (self.progress, is_last) {
            (Progress::Following { .. }, _) => Phase::Change,
            (Progress::Staging { through: None } | Progress::Withdrawing { begun: false }, _) => Phase::Begin,
            (Progress::Staging { through: Some(_) }, false) => Phase::Staging,
            (Progress::Staging { .. } | Progress::Withdrawing { .. } | Progress::Withdrawn, _) => Phase::Commit,
        }
    }

    /// The index has taken a set.
    pub(super) fn accepted(&mut self, sent: &Sent, answer: &ChangesAnswer) -> Verdict {
        self.corrected = false;
        match (self.progress, sent.phase) {
            (Progress::Withdrawing { .. } | Progress::Withdrawn, Phase::Begin) => {
                self.progress = Progress::Withdrawing { begun: true };
                return Verdict::Go;
            }
            (Progress::Withdrawing { .. } | Progress::Withdrawn, _) => {
                self.progress = Progress::Withdrawn;
                return Verdict::Go;
            }
            (_, Phase::Begin | Phase::Staging) => {
                self.progress = Progress::Staging { through: Some(sent.generation) };
                return Verdict::Go;
            }
            (_, Phase::Change | Phase::Commit) => {}
        }
        if answer.generation != sent.generation {
            return self.disagree();
        }
        self.progress = Progress::Following { generation: sent.generation };
        match sent.complete {
            Some(ours) if ours != (answer.digest, answer.count) => self.disagree(),
            Some(_) => {
                self.resyncs = 0;
                Verdict::Go
            }
            None => Verdict::Go,
        }
    }

    /// The index has not taken a set, or the answer was lost. `newest` is our generation now.
    pub(super) fn refused(&mut self, error: &IndexError, newest: u64) -> Verdict {
        if let IndexError::RateLimited { retry_after } = error {
            return Verdict::Wait(*retry_after);
        }
        if error.code() == Some(ErrorCode::TooSlow) {
            // It did not arrive, so the index is where it was.
            return Verdict::BackOff;
        }
        let following = match self.progress {
            Progress::Following { generation } => Some(generation),
            Progress::Staging { .. } => {
                self.progress = Progress::Staging { through: None };
                None
            }
            Progress::Withdrawing { .. } => {
                self.progress = Progress::Withdrawing { begun: false };
                None
            }
            Progress::Withdrawn => None,
        };
        match error {
            IndexError::WrongBase { generation } => match following {
                Some(mine) if *generation != mine && *generation <= newest && !self.corrected => {
                    self.corrected = true;
                    self.progress = Progress::Following { generation: *generation };
                    Verdict::Go
                }
                Some(_) => self.disagree(),
                None => Verdict::BackOff,
            },
            IndexError::Busy { retry_after } => Verdict::Wait(*retry_after),
            IndexError::Refused(problem) if problem.code == ErrorCode::QuotaExceeded => Verdict::Wait(REFUSAL),
            // Perhaps it is only this change, or the state it leads to, that makes no sense to the index.
            IndexError::Refused(_) if following.is_some() => self.disagree(),
            IndexError::Unreachable { .. } | IndexError::NotLoggedIn => Verdict::BackOff,
            _ => Verdict::Wait(REFUSAL),
        }
    }

    /// Up to which generation the index knows this collection, as far as known.
    pub(super) fn acknowledged(&self) -> Option<u64> {
        match self.progress {
            Progress::Following { generation } => Some(generation),
            Progress::Staging { .. } | Progress::Withdrawing { .. } => None,
            Progress::Withdrawn => Some(0),
        }
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        matches!(self.progress, Progress::Withdrawing { .. } | Progress::Withdrawn)
    }

    /// While everything is told anew the index may know most claims already.
    pub(super) fn withholds_claims(&self) -> bool {
        matches!(self.progress, Progress::Staging { .. })
    }

    fn disagree(&mut self) -> Verdict {
        self.progress = Progress::Staging { through: None };
        self.resyncs += 1;
        if self.resyncs == 1 { Verdict::Go } else { Verdict::Wait(DISAGREEMENT) }
    }
}

#[cfg(test)]
mod tests {
    use choir_shared::Digest;
    use choir_shared::index_api::Problem;

    use super::*;

    fn digest(seed: u8) -> LibraryDigest {
        Digest::new([seed; 32]).into()
    }

    fn state(generation: u64, seed: u8) -> CollectionState {
        CollectionState { collection: "everyone".into(), generation, digest: digest(seed) }
    }

    fn answer(generation: u64, seed: u8) -> ChangesAnswer {
        ChangesAnswer { generation, digest: digest(seed), count: 1, unknown_claims: vec![] }
    }

    fn sent(phase: Phase, generation: u64, seed: Option<u8>) -> Sent {
        Sent { phase, generation, complete: seed.map(|seed| (digest(seed), 1)) }
    }

    const LOST: &str = "answers lost";

    fn lost() -> IndexError {
        IndexError::Unreachable { url: "http://127.0.0.1:1".parse().unwrap(), reason: LOST.into() }
    }

    #[test]
    fn what_a_welcome_means() {
        let table = [
            // said, known otherwise, first step at generation 9
            (Some(state(9, 1)), None, Next::Nothing),
            (Some(state(9, 1)), Some(state(0, 0)), Next::Page { after: 0 }),
            (Some(state(9, 1)), Some(state(5, 2)), Next::Page { after: 5 }),
            // The same generation with another digest, or a generation that we never had.
            (Some(state(9, 1)), Some(state(9, 2)), Next::Page { after: 0 }),
            (Some(state(9, 1)), Some(state(12, 2)), Next::Page { after: 0 }),
            (None, None, Next::Page { after: 0 }),
            // A library that was begun anew.
            (None, Some(state(5, 2)), Next::Page { after: 0 }),
        ];
        for (said, known, next) in table {
            let mut lane = Lane::welcomed(said.as_ref(), known.as_ref());
            assert_eq!(lane.next(9), next, "{said:?} {known:?}");
        }
        let behind = Lane::welcomed(Some(&state(9, 1)), Some(&state(5, 2)));
        let astray = Lane::welcomed(Some(&state(9, 1)), Some(&state(9, 2)));
        assert_eq!((behind.phase(true), astray.phase(true)), (Phase::Change, Phase::Begin));
    }

    #[test]
    fn a_belief_that_the_digests_refute_ends_in_one_resync() {
        let mut lane = Lane::welcomed(Some(&state(9, 1)), Some(&state(5, 2)));
        assert_eq!(lane.accepted(&sent(Phase::Change, 9, Some(1)), &answer(9, 3)), Verdict::Go);
        assert_eq!((lane.next(9), lane.phase(true)), (Next::Page { after: 0 }, Phase::Begin));
        assert_eq!(lane.accepted(&sent(Phase::Begin, 9, Some(1)), &answer(9, 3)), Verdict::Go);
        assert_eq!((lane.next(9), lane.phase(true)), (Next::Page { after: 9 }, Phase::Commit));
        let (mut agreed, mut not) = (lane.clone(), lane);
        assert_eq!(agreed.accepted(&sent(Phase::Commit, 9, Some(1)), &answer(9, 1)), Verdict::Go);
        assert_eq!(agreed.next(9), Next::Nothing);
        assert_eq!(not.accepted(&sent(Phase::Commit, 9, Some(1)), &answer(9, 3)), Verdict::Wait(DISAGREEMENT));
    }

    #[test]
    fn a_wrong_base_is_corrected_once_and_then_resynced() {
        let mut lane = Lane::welcomed(Some(&state(9, 1)), None);
        assert_eq!(lane.refused(&IndexError::WrongBase { generation: 7 }, 10), Verdict::Go);
        assert_eq!((lane.next(10), lane.phase(false)), (Next::Page { after: 7 }, Phase::Change));
        assert_eq!(lane.refused(&IndexError::WrongBase { generation: 8 }, 10), Verdict::Go);
        assert_eq!((lane.next(10), lane.phase(false)), (Next::Page { after: 0 }, Phase::Begin));

        let mut future = Lane::welcomed(Some(&state(9, 1)), None);
        assert_eq!(future.refused(&IndexError::WrongBase { generation: 70 }, 10), Verdict::Go);
        assert_eq!(future.phase(false), Phase::Begin);
    }

    #[test]
    fn a_resync_that_breaks_off_begins_anew_but_not_for_being_slow() {
        let mut lane = Lane::welcomed(Some(&state(9, 1)), Some(&state(9, 2)));
        lane.accepted(&sent(Phase::Begin, 4, None), &answer(9, 2));
        assert_eq!((lane.next(9), lane.phase(false)), (Next::Page { after: 4 }, Phase::Staging));
        let slow_down = IndexError::RateLimited { retry_after: Duration::from_secs(3) };
        assert_eq!(lane.refused(&slow_down, 9), Verdict::Wait(Duration::from_secs(3)));
        let too_slow = IndexError::Refused(Problem::new(ErrorCode::TooSlow));
        assert_eq!(lane.refused(&too_slow, 9), Verdict::BackOff);
        assert_eq!(lane.next(9), Next::Page { after: 4 });
        for error in [lost(), IndexError::WrongBase { generation: 9 }] {
            let mut lane = lane.clone();
            assert_eq!(lane.refused(&error, 9), Verdict::BackOff);
            assert_eq!((lane.next(9), lane.phase(false)), (Next::Page { after: 0 }, Phase::Begin));
        }
    }

    #[test]
    fn a_lost_answer_to_a_change_is_asked_for_again() {
        let mut lane = Lane::welcomed(Some(&state(9, 1)), Some(&state(5, 2)));
        assert_eq!(lane.refused(&lost(), 9), Verdict::BackOff);
        assert_eq!((lane.next(9), lane.phase(true)), (Next::Page { after: 5 }, Phase::Change));
    }

    #[test]
    fn a_full_quota_waits_and_any_other_refusal_is_answered_with_one_resync() {
        let mut lane = Lane::welcomed(Some(&state(9, 1)), Some(&state(5, 2)));
        let full = IndexError::Refused(Problem::new(ErrorCode::QuotaExceeded));
        assert_eq!(lane.refused(&full, 9), Verdict::Wait(REFUSAL));
        assert_eq!((lane.next(9), lane.phase(true)), (Next::Page { after: 5 }, Phase::Change));
        let bad = IndexError::Refused(Problem::new(ErrorCode::BadClaim));
        assert_eq!(lane.refused(&bad, 9), Verdict::Go);
        assert_eq!(lane.phase(true), Phase::Begin);
        assert_eq!(lane.refused(&bad, 9), Verdict::Wait(REFUSAL), "nor does it when told anew");
    }

    #[test]
    fn a_collection_that_is_taken_away_is_emptied() {
        let mut lane = Lane::stray(&state(5, 2));
        assert_eq!(lane.next(9), Next::Empty { is_last: false });
        lane.accepted(&sent(Phase::Begin, 0, None), &answer(5, 2));
        assert_eq!(lane.next(9), Next::Empty { is_last: true });
        lane.accepted(&sent(Phase::Commit, 0, Some(0)), &answer(0, 0));
        assert_eq!(lane.next(9), Next::Nothing);
        assert_eq!(Lane::stray(&state(5, 0)).next(9), Next::Nothing, "it is empty already");

        let mut given = Lane::welcomed(Some(&state(9, 1)), None);
        given.withdraw();
        assert_eq!(given.next(9), Next::Empty { is_last: false });
    }

    #[test]
    fn an_index_that_never_stops_asking_for_a_resync_is_made_to_wait() {
        let mut lane = Lane::welcomed(Some(&state(9, 1)), None);
        assert_eq!(lane.resync(), Verdict::Go);
        assert_eq!(lane.resync(), Verdict::Wait(DISAGREEMENT));
    }
}
