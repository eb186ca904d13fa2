//! Which indexes this daemon uses, and what goes with each: its membership, and the rendezvous that tells where it
//! sees us.
//!
//! Besides the joined ones there are **guests**: indexes named with `--index`, or the one on this machine that is
//! tried when none is joined. A guest's key is not remembered, so a guest is only as trustworthy as the way to it.
//! A guest that does not answer is asked again until it does.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use choir_shared::dial::Surroundings;
use choir_shared::identity::{IndexKey, SecretKey};
use choir_shared::index_api::{Access, MeUpdate};
use choir_shared::library::DEFAULT_COLLECTION;
use choir_shared::link::{JoinLink, Link};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::errors::index_error;
use crate::api::types::{IndexPreview, IndexState, IndexStatus, Join, Within};
use crate::api::{Answer, ErrorKind, ServiceError};
use crate::connectivity::surroundings::attached_subnets;
use crate::connectivity::{Endpoint, rendezvous};
use crate::index_client::{IndexClient, IndexError, IndexHttp, LinkState, Membership, Memberships, Patience};
use crate::upload::admit::Audience;

/// Tried when no index is joined and none is given.
const INDEX_ON_THIS_MACHINE: &str = "http://127.0.0.1:8888";

/// Between two questions to a guest that does not answer.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Between two questions for the replicas of an index at which this peer is online: operators add one now and then.
const LOOK_FOR_REPLICAS: Duration = Duration::from_secs(300);

/// What to do without an index.
const HOW_TO_JOIN: &str = "start one with `choir-index`, or join one with `choir join LINK`";

#[derive(Clone)]
pub(super) struct Indexes(Arc<Shared>);

struct Shared {
    client: IndexClient,
    secret: SecretKey,
    endpoint: Endpoint,
    memberships: Mutex<Memberships>,
    guests: Mutex<Vec<Guest>>,
    observed: Mutex<HashMap<IndexKey, watch::Receiver<Option<SocketAddr>>>>,
    tracker: TaskTracker,
    cancel: CancellationToken,
}

/// An index that is used without being joined.
struct Guest {
    address: String,
    state: watch::Receiver<GuestState>,
}

#[derive(Clone, Debug)]
enum GuestState {
    Asking,
    Failed(IndexError),
    Found(Membership),
}

impl Indexes {
    pub(super) fn new(
        client: IndexClient,
        endpoint: Endpoint,
        memberships: Memberships,
        tracker: TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        let secret = endpoint.secret().clone();
        Self(Arc::new(Shared {
            client,
            secret,
            endpoint,
            memberships: Mutex::new(memberships),
            guests: Mutex::default(),
            observed: Mutex::default(),
            tracker,
            cancel,
        }))
    }

    /// Goes online everywhere.
    pub(super) fn start(&self, given: &[String]) {
        let joined: Vec<Membership> = self.memberships().all().into_iter().cloned().collect();
        for membership in &joined {
            if let Err(error) = self.take_up(membership, None) {
                tracing::error!(index = %membership.url.authority(), %error, "an index cannot be used");
            }
        }
        let strangers = given.iter().filter(|address| self.memberships().find(address).is_err());
        strangers.for_each(|address| self.invite_guest(address.clone()));
        if joined.is_empty() && given.is_empty() {
            self.invite_guest(INDEX_ON_THIS_MACHINE.to_owned());
        }
    }

    /// Waits until every index has been asked once.
    pub(super) async fn settled(&self) {
        let mut states: Vec<_> = self.guests().iter().map(|guest| guest.state.clone()).collect();
        for state in &mut states {
            let _ = state.wait_for(|state| !matches!(state, GuestState::Asking)).await;
        }
    }

    /// The keys of the indexes that a request is about; an error if there is none.
    pub(super) async fn within(&self, within: &Within) -> Answer<Vec<IndexKey>> {
        self.settled().await;
        let all: Vec<IndexKey> = self.0.client.indexes().iter().map(|index| index.key()).collect();
        if within.0.is_empty() {
            return if all.is_empty() { Err(self.none_there()) } else { Ok(all) };
        }
        within.0.iter().map(|name| self.find(name)).collect()
    }

    /// One index by name, URL or key.
    pub(super) fn find(&self, name: &str) -> Answer<IndexKey> {
        if let Ok(membership) = self.memberships().find(name) {
            return Ok(membership.key);
        }
        let is_named = |guest: &&Guest| guest.address.trim_end_matches('/') == name.trim_end_matches('/');
        let state = self.guests().iter().find(is_named).map(|guest| guest.state.borrow().clone());
        match state {
            Some(GuestState::Found(membership)) => Ok(membership.key),
            Some(GuestState::Failed(_) | GuestState::Asking) => Err(self.none_there()),
            None => Err(ServiceError::new(ErrorKind::NotFound, format!("no index {name} is joined"))
                .hint("`choir index ls` lists them; `choir join LINK` joins another")),
        }
    }

    fn none_there(&self) -> ServiceError {
        let reason = self.guests().iter().find_map(|guest| match &*guest.state.borrow() {
            GuestState::Failed(error) => Some(index_error(error)),
            GuestState::Asking | GuestState::Found(_) => None,
        });
        let nothing = || ServiceError::new(ErrorKind::IndexUnreachable, "no index is joined");
        let error = reason.unwrap_or_else(nothing);
        if error.code == ErrorKind::IndexUnreachable { error.hint(HOW_TO_JOIN) } else { error }
    }

    pub(super) fn statuses(&self) -> Vec<IndexStatus> {
        let memberships = self.memberships().clone();
        let joined = memberships.all().into_iter().map(|membership| membership.key).collect::<Vec<_>>();
        let default = memberships.default().map(|membership| membership.key);
        let mut states = self.0.client.states();
        states.sort_by_key(|state| joined.iter().position(|key| *key == state.key).unwrap_or(joined.len()));
        let mut statuses: Vec<IndexStatus> = states
            .into_iter()
            .map(|status| {
                let (state, reason) = match status.link {
                    LinkState::Connecting => (IndexState::Connecting, None),
                    LinkState::Online { .. } => (IndexState::Online, None),
                    LinkState::Offline { reason } => (IndexState::Unreachable, Some(reason)),
                    LinkState::Refused { reason } => (IndexState::Refused, Some(reason)),
                };
                let membership = memberships.all().into_iter().find(|membership| membership.key == status.key).cloned();
                IndexStatus {
                    url: status.url.to_string(),
                    name: status.name,
                    key: Some(status.key),
                    state,
                    reason,
                    my_name: membership.and_then(|membership| membership.name),
                    default: default == Some(status.key),
                }
            })
            .collect();
        statuses.extend(self.guests().iter().filter_map(|guest| {
            let (state, reason) = match &*guest.state.borrow() {
                GuestState::Asking => (IndexState::Connecting, None),
                GuestState::Failed(error) => (IndexState::Unreachable, Some(error.to_string())),
                GuestState::Found(_) => return None,
            };
            let (url, name) = (guest.address.clone(), guest.address.clone());
            Some(IndexStatus { url, name, key: None, state, reason, my_name: None, default: false })
        }));
        statuses
    }

    pub(super) async fn preview(&self, link: &str) -> Answer<IndexPreview> {
        let target = Target::parse(link)?;
        let (http, info) = self.discover(&target).await?;
        let joined = self.memberships().all().iter().any(|membership| membership.key == info.key);
        Ok(IndexPreview {
            url: http.url().to_string(),
            name: info.name.clone(),
            key: info.key,
            key_from_link: target.key.is_some(),
            access: info.access,
            contact: info.contact.clone(),
            rules: info.rules.clone(),
            message_of_the_day: info.message_of_the_day.clone(),
            joined,
        })
    }

    pub(super) async fn join(&self, join: Join) -> Answer<IndexStatus> {
        let target = Target::parse(&join.link)?;
        let (http, info) = self.discover(&target).await?;
        let session = http.join(target.invite.as_deref()).await.map_err(|error| index_error(&error))?;
        let mut membership = Membership::new(http.url().clone(), info.key, &info.name);
        membership.name = session.name;
        if let Some(name) = join.name {
            let update = MeUpdate { name: Some(name), browsable: None };
            membership.name = http.update_me(&update).await.map_err(|error| index_error(&error))?.name;
        }
        self.memberships()
            .add(membership.clone())
            .map_err(|error| ServiceError::new(ErrorKind::Refused, error.to_string()))?;
        self.take_up(&membership, Some(Arc::new(http))).map_err(|error| index_error(&error))?;
        self.status_of(membership.key)
    }

    pub(super) async fn leave(&self, name: &str) -> Answer<IndexStatus> {
        let key = self.find(name)?;
        let status = self.status_of(key)?;
        if let Some(index) = self.0.client.index(&key)
            && let Err(error) = index.erase().await
        {
            tracing::warn!(%error, "the index could not be asked to forget this peer");
        }
        self.0.client.stop(&key);
        self.0.observed.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        // A guest was never among them.
        let _ = self.memberships().remove(&key);
        self.guests().retain(|guest| !matches!(&*guest.state.borrow(), GuestState::Found(found) if found.key == key));
        Ok(status)
    }

    pub(super) fn set_default(&self, name: &str) -> Answer<IndexStatus> {
        let key = self.find(name)?;
        self.memberships()
            .set_default(&key)
            .map_err(|error| ServiceError::new(ErrorKind::NotFound, error.to_string()))?;
        self.status_of(key)
    }

    pub(super) async fn rename(&self, name: &str, within: &Within) -> Answer<Vec<IndexStatus>> {
        let mut statuses = Vec::new();
        for key in self.within(within).await? {
            let Some(index) = self.0.client.index(&key) else { continue };
            let update = MeUpdate { name: Some(name.to_owned()), browsable: None };
            let me = index.update_me(&update).await.map_err(|error| index_error(&error))?;
            let known = self.memberships().all().into_iter().find(|membership| membership.key == key).cloned();
            if let Some(membership) = known {
                let renamed = Membership { name: me.name.clone(), ..membership };
                self.memberships()
                    .add(renamed)
                    .map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))?;
            }
            statuses.push(IndexStatus { my_name: me.name, ..self.status_of(key)? });
        }
        Ok(statuses)
    }

    /// What is needed to judge addresses that this index gives.
    pub(super) fn surroundings(&self, index: &IndexKey) -> Option<Surroundings> {
        let reached = self.0.client.index(index)?.reached()?;
        let observed = self.observed(index).map(|address| address.ip());
        Some(Surroundings { index: reached, observed, attached: attached_subnets().to_vec() })
    }

    /// Where this index sees us.
    pub(super) fn observed(&self, index: &IndexKey) -> Option<SocketAddr> {
        let observed = self.0.observed.lock().unwrap_or_else(PoisonError::into_inner);
        observed.get(index).and_then(|seen| *seen.borrow())
    }

    /// For whom a collection is: for those who use the indexes that were given it. Guests are given the default
    /// collection.
    pub(super) fn audience(&self, collection: &str) -> Audience {
        let memberships = self.memberships().clone();
        let is_given = |key: &IndexKey| {
            let joined = memberships.all().into_iter().find(|membership| membership.key == *key);
            joined.map_or(collection == DEFAULT_COLLECTION, |one| one.collections.iter().any(|name| name == collection))
        };
        let keys: Vec<_> = self.0.client.indexes().iter().map(|index| index.key()).filter(is_given).collect();
        self.audience_of(&keys)
    }

    /// Those who use any of these indexes: anyone if one of them is open, else their members.
    pub(super) fn audience_of(&self, keys: &[IndexKey]) -> Audience {
        let access = |key: &IndexKey| self.0.client.index(key)?.known_info().map(|info| info.access);
        // An index that was not reached yet, or is of a kind of its own, is taken for a private one.
        if keys.iter().any(|key| access(key) == Some(Access::Open)) {
            Audience::Anyone
        } else {
            Audience::MembersOf(keys.to_vec())
        }
    }

    /// Those who use any of the indexes of this peer.
    pub(super) fn everyone(&self) -> Audience {
        let keys: Vec<_> = self.0.client.indexes().iter().map(|index| index.key()).collect();
        self.audience_of(&keys)
    }

    async fn discover(&self, target: &Target) -> Answer<(IndexHttp, Arc<choir_shared::index_api::Info>)> {
        let found = IndexHttp::discover(&target.address, target.key, &self.0.secret, Patience::default()).await;
        found.map_err(|error| index_error(&error))
    }

    fn status_of(&self, key: IndexKey) -> Answer<IndexStatus> {
        let status = self.statuses().into_iter().find(|status| status.key == Some(key));
        status.ok_or_else(|| ServiceError::new(ErrorKind::NotFound, "the index is gone"))
    }

    fn take_up(&self, membership: &Membership, http: Option<Arc<IndexHttp>>) -> Result<(), IndexError> {
        let http = self.0.client.start(membership, http)?;
        let mut observed = self.0.observed.lock().unwrap_or_else(PoisonError::into_inner);
        observed.entry(membership.key).or_insert_with(|| {
            let (sender, receiver) = watch::channel(None);
            self.0.tracker.spawn(self.clone().meet(http, sender));
            receiver
        });
        Ok(())
    }

    /// Keeps the rendezvous with one index. Its address is asked for again whenever the index came back, since an
    /// index that restarted may have another port.
    async fn meet(self, http: Arc<IndexHttp>, observed: watch::Sender<Option<SocketAddr>>) {
        let cancel = &self.0.cancel;
        let Some(mut link) = self.0.client.link(&http.key()) else { return };
        loop {
            let online = link.wait_for(|state| matches!(state, LinkState::Online { .. }));
            match cancel.run_until_cancelled(online).await {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
            let address = match http.info().await {
                Ok(_) => http.rendezvous_address().await,
                Err(error) => Err(error),
            };
            self.remember_replicas(&http);
            let stop = cancel.child_token();
            let meeting = async {
                match address {
                    Ok(Some(address)) => {
                        rendezvous::keep(self.0.endpoint.clone(), http.key(), address, observed.clone(), stop.clone())
                            .await;
                    }
                    Ok(None) => {
                        tracing::warn!(index = %http.url(), "this index has no rendezvous; nobody can find this peer")
                    }
                    Err(error) => {
                        tracing::debug!(%error, "the index does not tell its rendezvous");
                        return tokio::time::sleep(ASK_AGAIN).await;
                    }
                }
                std::future::pending::<()>().await;
            };
            let looking = async {
                loop {
                    tokio::time::sleep(LOOK_FOR_REPLICAS).await;
                    if http.info().await.is_ok() {
                        self.remember_replicas(&http);
                    }
                }
            };
            let went_offline = link.wait_for(|state| !matches!(state, LinkState::Online { .. }));
            tokio::select! {
                () = cancel.cancelled() => return,
                () = meeting => {}
                () = looking => {}
                gone = went_offline => {
                    observed.send_replace(None);
                    if gone.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// So that the index is found again if it is reached by another URL only when this program starts next.
    fn remember_replicas(&self, http: &IndexHttp) {
        let mut memberships = self.memberships();
        let known = memberships.all().into_iter().find(|membership| membership.key == http.key()).cloned();
        let Some(known) = known.filter(|membership| membership.replicas != http.replicas()) else { return };
        if let Err(error) = memberships.add(Membership { replicas: http.replicas(), ..known }) {
            tracing::warn!(%error, "the replicas of an index could not be noted");
        }
    }

    fn invite_guest(&self, address: String) {
        let (sender, state) = watch::channel(GuestState::Asking);
        self.guests().push(Guest { address: address.clone(), state });
        let indexes = self.clone();
        self.0.tracker.spawn(async move {
            let cancel = indexes.0.cancel.clone();
            let _ = cancel.run_until_cancelled(indexes.greet(address, sender)).await;
        });
    }

    async fn greet(self, address: String, state: watch::Sender<GuestState>) {
        loop {
            match IndexHttp::discover(&address, None, &self.0.secret, Patience::default()).await {
                Ok((http, info)) => {
                    let membership = Membership::new(http.url().clone(), info.key, &info.name);
                    match self.take_up(&membership, Some(Arc::new(http))) {
                        Ok(()) => return drop(state.send_replace(GuestState::Found(membership))),
                        Err(error) => drop(state.send_replace(GuestState::Failed(error))),
                    }
                }
                Err(error) => drop(state.send_replace(GuestState::Failed(error))),
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    fn memberships(&self) -> MutexGuard<'_, Memberships> {
        self.0.memberships.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn guests(&self) -> MutexGuard<'_, Vec<Guest>> {
        self.0.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a join link or a URL says.
struct Target {
    address: String,
    key: Option<IndexKey>,
    invite: Option<String>,
}

impl Target {
    fn parse(link: &str) -> Answer<Self> {
        if !link.starts_with("choir:") {
            return Ok(Self { address: link.to_owned(), key: None, invite: None });
        }
        match link.parse() {
            Ok(Link::Join(JoinLink { authority, key, invite })) => Ok(Self { address: authority, key, invite }),
            Ok(Link::File { .. }) => Err(ServiceError::new(ErrorKind::Usage, "this link names a file, not an index")
                .hint("`choir get LINK` fetches it")),
            Err(error) => Err(ServiceError::new(ErrorKind::Usage, format!("this is no join link: {error}"))),
        }
    }
}
