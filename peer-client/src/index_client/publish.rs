//! Telling one index what this peer shares.
//!
//! One task for each index looks after all collections that the index is given. What to send next is decided by
//! [`progress`]; this shell fetches pages, sends sets and waits. It sends nothing before the first welcome, and goes
//! on while a scan still runs: songs can be found seconds after their hash is known.

mod library;
mod progress;
mod set;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use choir_shared::control::CollectionState;
use choir_shared::identity::SecretKey;
use choir_shared::index_api::{ChangeSet, ChangesAnswer, Phase};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub use library::{ChangesPage, CollectionSummary, LibraryError, PublishedLibrary};

use super::backoff::{Backoff, random};
use super::control::Reported;
use super::error::IndexError;
use super::http::{IndexHttp, now_unix_s};
use progress::{Lane, Next, Sent, Verdict};
use set::SetLimits;

/// Changes are gathered for so long: a scan that finds a file every few milliseconds makes few sets, and people see
/// their song within a second.
const GATHER: Duration = Duration::from_millis(400);

/// What the control connection tells the publisher.
#[derive(Debug)]
pub(crate) enum Notice {
    Welcomed { said: Vec<CollectionState>, resync: Vec<CollectionState> },
    Resync(CollectionState),
}

/// How far an index knows the library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    pub collections: BTreeMap<String, PublishedCollection>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishedCollection {
    /// Of the library now.
    pub newest: u64,
    /// Up to here the index knows it; `None` while it is told everything anew.
    pub acknowledged: Option<u64>,
    /// Why it is not told more.
    pub problem: Option<String>,
}

impl Published {
    /// Whether the index has everything it is given.
    pub fn is_current(&self) -> bool {
        self.collections.values().all(|collection| collection.acknowledged == Some(collection.newest))
    }
}

/// What is reported in a hello: the collections that this index is given.
pub(crate) struct Given<L> {
    pub(crate) library: Arc<L>,
    pub(crate) collections: watch::Receiver<Vec<String>>,
}

impl<L: PublishedLibrary> Reported for Given<L> {
    async fn states(&self) -> Result<Vec<CollectionState>, IndexError> {
        let given = self.collections.borrow().clone();
        let all = self.library.collections().await?;
        Ok(all.iter().filter(|one| given.contains(&one.collection)).map(CollectionSummary::state).collect())
    }
}

/// The task that publishes to one index.
pub(crate) struct Publisher<L> {
    http: Arc<IndexHttp>,
    library: Arc<L>,
    secret: SecretKey,
    given: watch::Receiver<Vec<String>>,
    notices: mpsc::Receiver<Notice>,
    published: watch::Sender<Published>,
    stop: CancellationToken,
    /// By collection. Empty before the first welcome.
    lanes: BTreeMap<String, Pace>,
    is_welcome: bool,
}

/// A lane with the time at which it may go on.
struct Pace {
    lane: Lane,
    backoff: Backoff,
    until: Option<Instant>,
    problem: Option<String>,
}

impl Pace {
    fn new(lane: Lane) -> Self {
        Self { lane, backoff: Backoff::default(), until: None, problem: None }
    }

    fn obey(&mut self, verdict: Verdict) {
        self.until = match verdict {
            Verdict::Go => None,
            Verdict::Wait(pause) => Some(Instant::now() + pause),
            Verdict::BackOff => Some(Instant::now() + self.backoff.wait(random())),
        };
    }
}

/// Whether there may be more to do at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Idle,
    Worked,
}

impl<L: PublishedLibrary> Publisher<L> {
    pub(crate) fn new(
        http: Arc<IndexHttp>,
        given: Given<L>,
        secret: SecretKey,
        notices: mpsc::Receiver<Notice>,
        published: watch::Sender<Published>,
        stop: CancellationToken,
    ) -> Self {
        let Given { library, collections } = given;
        Self {
            http,
            library,
            secret,
            given: collections,
            notices,
            published,
            stop,
            lanes: BTreeMap::new(),
            is_welcome: false,
        }
    }

    pub(crate) async fn run(mut self) {
        let stop = self.stop.clone();
        let mut changed = self.library.changed();
        loop {
            changed.mark_unchanged();
            let round = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                round = self.round() => round,
            };
            let waiting = match round {
                Ok(Step::Worked) => continue,
                Ok(Step::Idle) => self.lanes.values().filter_map(|pace| pace.until).min(),
                Err(error) => {
                    warn!(index = %self.http.url(), %error, "publishing waits");
                    Some(Instant::now() + GATHER * 10)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                notice = self.notices.recv() => match notice {
                    Some(notice) => self.heed(notice),
                    None => return,
                },
                Ok(()) = changed.changed() => tokio::time::sleep(GATHER).await,
                Ok(()) = self.given.changed() => {}
                () = sleep_until(waiting) => {}
            }
        }
    }

    fn heed(&mut self, notice: Notice) {
        let given = self.given.borrow().clone();
        match notice {
            Notice::Welcomed { said, resync } => {
                let find = |states: &[CollectionState], name: &str| {
                    states.iter().find(|state| state.collection == name).cloned()
                };
                let ours = given.iter().map(|name| {
                    let lane = Lane::welcomed(find(&said, name).as_ref(), find(&resync, name).as_ref());
                    (name.clone(), Pace::new(lane))
                });
                let strays = resync.iter().filter(|state| !given.contains(&state.collection));
                let strays = strays.map(|state| (state.collection.clone(), Pace::new(Lane::stray(state))));
                self.lanes = ours.chain(strays).collect();
                self.is_welcome = true;
            }
            Notice::Resync(state) => {
                if let Some(pace) = self.lanes.get_mut(&state.collection) {
                    let verdict = pace.lane.resync();
                    pace.obey(verdict);
                }
            }
        }
    }

    /// One set for each collection that has something to say and may.
    async fn round(&mut self) -> Result<Step, LibraryError> {
        while let Ok(notice) = self.notices.try_recv() {
            self.heed(notice);
        }
        if !self.is_welcome {
            return Ok(Step::Idle);
        }
        self.follow_gifts();
        let collections = self.library.collections().await?;
        let newest = |name: &str| collections.iter().find(|one| one.collection == name).map(|one| one.generation);
        let names: Vec<String> = self.lanes.keys().cloned().collect();
        let mut outcome = Step::Idle;
        for name in names {
            let Some(mut pace) = self.lanes.remove(&name) else { continue };
            let may = pace.until.is_none_or(|until| until <= Instant::now());
            let step = if may {
                pace.until = None;
                self.step(&name, &mut pace, newest(&name)).await
            } else {
                Ok(Step::Idle)
            };
            self.lanes.insert(name, pace);
            if step? == Step::Worked {
                outcome = Step::Worked;
            }
        }
        self.report(|name| newest(name).unwrap_or(0));
        Ok(outcome)
    }

    /// The owner may give this index other collections at any time.
    fn follow_gifts(&mut self) {
        let given = self.given.borrow_and_update().clone();
        for (name, pace) in &mut self.lanes {
            match (given.contains(name), pace.lane.is_withdrawn()) {
                (false, false) => pace.lane.withdraw(),
                (true, true) => *pace = Pace::new(Lane::new()),
                _ => {}
            }
        }
        for name in given {
            self.lanes.entry(name).or_insert_with(|| Pace::new(Lane::new()));
        }
    }

    fn report(&self, newest: impl Fn(&str) -> u64) {
        let told = self.lanes.iter().filter(|(_, pace)| !pace.lane.is_withdrawn());
        let collections = told.map(|(name, pace)| {
            let acknowledged = pace.lane.acknowledged();
            (name.clone(), PublishedCollection { newest: newest(name), acknowledged, problem: pace.problem.clone() })
        });
        let now = Published { collections: collections.collect() };
        self.published.send_if_modified(|before| (*before != now).then(|| *before = now).is_some());
    }

    /// `newest` is the generation of the collection, if the library has it.
    async fn step(&self, name: &str, pace: &mut Pace, newest: Option<u64>) -> Result<Step, LibraryError> {
        let (base, page) = match pace.lane.next(newest.unwrap_or(0)) {
            Next::Nothing => return Ok(Step::Idle),
            Next::Page { .. } if newest.is_none() => (0, ChangesPage::empty(true)),
            Next::Page { after } => {
                let page = self.page(name, after).await?;
                if page.entries() == 0 && page.through <= after && page.complete.is_none() {
                    // The library has nothing to tell now, and will say when that changes.
                    return Ok(Step::Idle);
                }
                (after, page)
            }
            Next::Empty { is_last } => (0, ChangesPage::empty(is_last)),
        };
        let phase = pace.lane.phase(page.complete.is_some());
        let full = set::signed(set::from_page(name, base, phase, &page), &page, &self.secret, now_unix_s());
        let first = if pace.lane.withholds_claims() { set::without_claims(&full) } else { full.clone() };
        let verdict = match self.send(&full, first).await {
            Ok(answer) => {
                debug!(index = %self.http.url(), collection = name, generation = full.generation, ?phase, "published");
                pace.backoff.reset();
                pace.problem = None;
                pace.lane.accepted(&Sent { phase, generation: full.generation, complete: page.complete }, &answer)
            }
            Err(error) => {
                debug!(index = %self.http.url(), collection = name, %error, "not published");
                pace.problem = Some(error.to_string());
                pace.lane.refused(&error, newest.unwrap_or(0))
            }
        };
        if let Verdict::Wait(pause) = verdict {
            warn!(index = %self.http.url(), collection = name, ?pause, problem = ?pace.problem, "publishing waits");
        }
        pace.obey(verdict);
        Ok(if verdict == Verdict::Go { Step::Worked } else { Step::Idle })
    }

    /// Sends a set, and once more with the claims that the index turns out not to know.
    async fn send(&self, full: &ChangeSet, first: ChangeSet) -> Result<ChangesAnswer, IndexError> {
        let answer = self.http.publish(&first).await?;
        if answer.unknown_claims.is_empty() {
            return Ok(answer);
        }
        let second = set::with_claims(full, &first, &answer.unknown_claims)?;
        let answer = self.http.publish(&second).await?;
        if answer.unknown_claims.is_empty() {
            Ok(answer)
        } else {
            Err(IndexError::nonsense("it keeps asking for claims"))
        }
    }

    /// The next page, as long as fits into one set.
    async fn page(&self, name: &str, after: u64) -> Result<ChangesPage, LibraryError> {
        let info = self.http.known_info();
        let limits = info.map_or(SetLimits::MOST, |info| SetLimits::of(&info.limits));
        let mut limit = limits.entries;
        loop {
            let page = self.library.changes_since(name, after, limit).await?;
            if limits.hold(&page, &set::from_page(name, after, Phase::Staging, &page)) {
                return Ok(page);
            }
            if limit == 1 {
                return Err(LibraryError(format!("one change of {name} is too large for any index")));
            }
            limit /= 2;
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
