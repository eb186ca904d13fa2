//! The indexes this peer belongs to: asking them, being online there, and telling them what it shares.
//!
//! - [`IndexUrl`] is where an index is, [`Memberships`] the list of those joined, `pinning` how their certificates
//!   are judged.
//! - [`IndexHttp`] asks one index; [`IndexError`] is what can go wrong.
//! - `control` keeps this peer online there, `publish` tells what it shares; both are tasks, owned by [`IndexClient`].
//! - [`IndexClient`] is all of them as one. Indexes know nothing of each other: searches go to all at once and are
//!   merged by file, and the loss of one shows in its status and nowhere else.

mod address;
mod backoff;
mod control;
mod error;
mod gather;
mod http;
mod membership;
mod merge;
mod pinning;
mod publish;
mod replicas;

use std::sync::{Arc, PoisonError, RwLock};

use choir_shared::identity::{IndexKey, SecretKey};
use choir_shared::index_api::{Introduction, Source};
use choir_shared::query::Query;
use choir_shared::ticket::Ticket;
use choir_shared::{FileId, PeerId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use address::{IndexUrl, InvalidUrl};
pub use control::{IndexEvent, LinkState, Told};
pub use error::IndexError;
pub use http::{IndexHttp, Patience};
pub use membership::{Added, Membership, MembershipError, Memberships};
pub use merge::{Merged, MergedRow};
pub use pinning::install_crypto;
pub use publish::{ChangesPage, CollectionSummary, LibraryError, Published, PublishedCollection, PublishedLibrary};

use control::{Control, Timing, Wanted};
use gather::{Answers, gather};
use publish::{Given, Publisher};

/// Welcomes and resync wishes that a publisher has not read yet: one for each connection, so a handful is plenty.
const NOTICES: usize = 8;

/// All indexes of this peer. Cheap to clone; the tasks end with the token and are waited for by the tracker.
#[derive(Clone)]
pub struct IndexClient(Arc<Shared>);

struct Shared {
    secret: SecretKey,
    wanted: watch::Sender<Wanted>,
    members: RwLock<Vec<Member>>,
    spawn: Box<dyn Fn(Spawned) + Send + Sync>,
    stop: CancellationToken,
}

/// An index, and its tasks' ends of the channels.
#[derive(Clone)]
struct Member {
    http: Arc<IndexHttp>,
    name: String,
    link: watch::Receiver<LinkState>,
    published: watch::Receiver<Published>,
    given: Arc<watch::Sender<Vec<String>>>,
    stop: CancellationToken,
}

/// What the two tasks of an index are made from.
struct Spawned {
    http: Arc<IndexHttp>,
    link: watch::Sender<LinkState>,
    published: watch::Sender<Published>,
    given: watch::Receiver<Vec<String>>,
    wanted: watch::Receiver<Wanted>,
    stop: CancellationToken,
}

/// How this peer stands with one index.
#[derive(Clone, Debug)]
pub struct IndexStatus {
    pub url: IndexUrl,
    pub key: IndexKey,
    /// What its operator calls it.
    pub name: String,
    pub link: LinkState,
    pub published: Published,
}

impl IndexClient {
    /// A client of no index yet. Events come out of `events`; see there what happens if nobody reads them.
    pub fn new<L: PublishedLibrary>(
        secret: SecretKey,
        library: Arc<L>,
        events: mpsc::Sender<IndexEvent>,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let owner = secret.clone();
        let spawn = move |spawned: Spawned| {
            let Spawned { http, link, published, given, wanted, stop } = spawned;
            let (notify, notices) = mpsc::channel(NOTICES);
            let given = || Given { library: library.clone(), collections: given.clone() };
            let publisher = Publisher::new(http.clone(), given(), owner.clone(), notices, published, stop.clone());
            tracker.spawn(publisher.run());
            let (reported, events, timing) = (given(), events.clone(), Timing::default());
            tracker.spawn(Control { http, reported, wanted, state: link, events, notices: notify, timing, stop }.run());
        };
        Self(Arc::new(Shared {
            secret,
            wanted: watch::channel(Wanted::default()).0,
            members: RwLock::new(Vec::new()),
            spawn: Box::new(spawn),
            stop,
        }))
    }

    /// Goes online at an index, if it has not yet. What it is asked from now on, it is asked over `http`, if given:
    /// somebody who has just joined is logged in there already.
    pub fn start(&self, membership: &Membership, http: Option<Arc<IndexHttp>>) -> Result<Arc<IndexHttp>, IndexError> {
        let http = match http {
            Some(http) => http,
            None => {
                let Membership { url, key, replicas, .. } = membership;
                let http = IndexHttp::new(url.clone(), *key, self.0.secret.clone(), Patience::default())?;
                http.know_replicas(replicas);
                Arc::new(http)
            }
        };
        let mut members = self.0.members.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = members.iter().find(|known| known.http.key() == membership.key) {
            return Ok(known.http.clone());
        }
        let (link, link_seen) = watch::channel(LinkState::Connecting);
        let (published, published_seen) = watch::channel(Published::default());
        let (give, given) = watch::channel(membership.collections.clone());
        let stop = self.0.stop.child_token();
        members.push(Member {
            http: http.clone(),
            name: membership.index_name.clone(),
            link: link_seen,
            published: published_seen,
            given: Arc::new(give),
            stop: stop.clone(),
        });
        let wanted = self.0.wanted.subscribe();
        (self.0.spawn)(Spawned { http: http.clone(), link, published, given, wanted, stop });
        Ok(http)
    }

    /// Goes offline at an index.
    pub fn stop(&self, index: &IndexKey) {
        let mut members = self.0.members.write().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| {
            let stays = member.http.key() != *index;
            if !stays {
                member.stop.cancel();
            }
            stays
        });
    }

    /// Changes which collections an index is told of.
    pub fn give(&self, index: &IndexKey, collections: Vec<String>) {
        if let Some(member) = self.member(index) {
            member.given.send_replace(collections);
        }
    }

    /// Files that this peer waits for. Every index tells when one of them has a source.
    pub fn watch(&self, files: Vec<FileId>) {
        self.0.wanted.send_if_modified(|wanted| (wanted.watch != files).then(|| wanted.watch = files).is_some());
    }

    /// Files whose verified parts this peer serves.
    pub fn fetching(&self, files: Vec<FileId>) {
        self.0.wanted.send_if_modified(|wanted| (wanted.fetching != files).then(|| wanted.fetching = files).is_some());
    }

    pub fn states(&self) -> Vec<IndexStatus> {
        let status = |member: Member| IndexStatus {
            url: member.http.url().clone(),
            key: member.http.key(),
            link: member.link.borrow().clone(),
            published: member.published.borrow().clone(),
            name: member.name,
        };
        self.members().into_iter().map(status).collect()
    }

    /// Waits until an index has everything that it is given, or is refused something.
    pub async fn published(&self, index: &IndexKey) -> Option<Published> {
        let mut member = self.member(index)?;
        let settled = |published: &Published| {
            let told = !published.collections.is_empty();
            told && (published.is_current() || published.collections.values().any(|one| one.problem.is_some()))
        };
        member.published.wait_for(settled).await.ok().map(|published| published.clone())
    }

    /// Changes whenever this peer comes online or goes offline at an index.
    pub fn link(&self, index: &IndexKey) -> Option<watch::Receiver<LinkState>> {
        self.member(index).map(|member| member.link)
    }

    pub fn index(&self, index: &IndexKey) -> Option<Arc<IndexHttp>> {
        self.member(index).map(|member| member.http)
    }

    pub fn indexes(&self) -> Vec<Arc<IndexHttp>> {
        self.members().into_iter().map(|member| member.http).collect()
    }

    /// The word of an index that this peer is a member, for other peers; `None` while it is not logged in there.
    pub fn ticket(&self, index: &IndexKey) -> Option<Ticket> {
        self.index(index)?.ticket()
    }

    /// Searches all indexes, or those in `only`, and merges what they find.
    pub async fn search_all(&self, query: &Query, only: &[IndexKey]) -> Merged {
        let asked: Vec<_> =
            self.indexes().into_iter().filter(|index| only.is_empty() || only.contains(&index.key())).collect();
        let keys: Vec<_> = asked.iter().map(|index| index.key()).collect();
        let plan = match merge::plan(&keys, query.cursor.as_deref()) {
            Ok(plan) => plan,
            Err(error) => return Merged::failed(keys.into_iter().map(|key| (key, error.clone())).collect()),
        };
        let searches = plan.into_iter().filter_map(|place| {
            let index = asked.iter().find(|index| index.key() == place.index)?.clone();
            let mut query = query.clone();
            query.cursor.clone_from(&place.cursor);
            let search = index.clone();
            Some((index, async move { Ok((place, search.search(&query).await?)) }))
        });
        let Answers { answers, errors } = gather(searches.collect()).await;
        merge::merge(answers.into_iter().map(|(_, page)| page).collect(), usize::from(query.limit), errors)
    }

    /// Who holds a file, and the index that can introduce us. An error only if no index has answered.
    pub async fn sources(&self, file: &FileId) -> Result<Vec<(IndexKey, Source)>, IndexError> {
        let questions = self.indexes().into_iter().map(|index| {
            let asked = index.clone();
            (index, async move { asked.sources(file).await })
        });
        let Answers { answers, errors } = gather(questions.collect()).await;
        match errors.into_iter().next() {
            Some((_, error)) if answers.is_empty() => Err(error),
            _ => Ok(answers
                .into_iter()
                .flat_map(|(key, found)| found.sources.into_iter().map(move |one| (key, one)))
                .collect()),
        }
    }

    /// Asks one index where a peer may be met.
    pub async fn introduce(&self, index: &IndexKey, peer: PeerId, file: FileId) -> Result<Introduction, IndexError> {
        match self.index(index) {
            Some(index) => index.introduce(peer, file).await,
            None => Err(IndexError::NotJoined),
        }
    }

    fn members(&self) -> Vec<Member> {
        self.0.members.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn member(&self, index: &IndexKey) -> Option<Member> {
        self.members().into_iter().find(|member| member.http.key() == *index)
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
