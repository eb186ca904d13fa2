//! One index over HTTP.
//!
//! - **The key is checked before anything is believed**: in TLS where the certificate is on it, in `/info` always, and
//!   in the signature of the ticket, which nobody else can make.
//! - **A login is renewed by itself**, when three quarters of it are over or when the index forgets it, once for each
//!   request. Token and ticket live in memory only.
//! - **An index may be several programs.** What one of them does not answer, or cannot at the moment, the next is asked,
//!   once each; sessions count at all of them ([`Replicas`]).
//! - **No answer is waited for or read without a bound**, no redirect is followed, no proxy is asked.

mod answer;
mod discover;
mod login;
mod rules;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use choir_shared::identity::{IndexKey, SecretKey};
use choir_shared::index_api::{
    ChangeSet, ChangesAnswer, Info, Introduction, IntroductionRequest, LibraryPage, Me, MeUpdate, PREFIX, Profile,
    SearchPage, SearchRow, Sources, file_path, library, named_peer_path, peer_path,
};
use choir_shared::query::Query;
use choir_shared::{FileId, PeerId};
use reqwest::{Client, Method, Request, RequestBuilder, Url};
use rustls::ClientConfig;
use serde::de::DeserializeOwned;

use super::address::IndexUrl;
use super::error::IndexError;
use super::pinning::{self, Expected};
use super::replicas::Replicas;
use login::Logins;

pub(super) use answer::refusal;
pub(super) use login::now_unix_s;
pub(super) use rules::candidates as check_candidates;

/// The version of the API that this program speaks.
const PROTOCOL: u16 = 1;

/// Most bytes of an answer that is not a page of files.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Most bytes of `/info`: rules and the message of the day are texts.
const MAX_INFO_BYTES: usize = 256 * 1024;

/// Most bytes of a page of files: 200 rows of 5 KiB.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// How long a question waits for one replica when there is another: answers take milliseconds, and people wait.
const REPLICA_PATIENCE: Duration = Duration::from_secs(5);

/// Change sets are JSON full of repeated names; the fastest levels already take most of it away.
const ZSTD_LEVEL: i32 = 3;

/// How long an index is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For a whole answer.
    pub total: Duration,
}

impl Default for Patience {
    /// Five seconds outlast two lost packets of a handshake; thirty a slow uplink with a full change set.
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(30) }
    }
}

/// One index, its key pinned. Cheap to share; all methods may run side by side.
pub struct IndexHttp {
    replicas: Replicas,
    key: IndexKey,
    secret: SecretKey,
    client: Client,
    tls: Arc<ClientConfig>,
    patience: Patience,
    /// The address that answered last.
    reached: Mutex<Option<SocketAddr>>,
    info: Mutex<Option<Arc<Info>>>,
    logins: Logins,
}

impl IndexHttp {
    pub fn new(url: IndexUrl, key: IndexKey, secret: SecretKey, patience: Patience) -> Result<Self, IndexError> {
        Self::with_tls(url, key, Expected::Pinned(key), secret, patience)
    }

    fn with_tls(
        url: IndexUrl,
        key: IndexKey,
        expected: Expected,
        secret: SecretKey,
        patience: Patience,
    ) -> Result<Self, IndexError> {
        let impossible = |reason: String| IndexError::Unreachable { url: url.clone(), reason };
        let tls = pinning::client_config(expected).map_err(|error| impossible(error.to_string()))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .user_agent(concat!("choir/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience.connect)
            .timeout(patience.total)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| impossible(error.to_string()))?;
        Ok(Self {
            replicas: Replicas::new(url),
            key,
            secret,
            client,
            tls: Arc::new(tls),
            patience,
            reached: Mutex::new(None),
            info: Mutex::new(None),
            logins: Logins::default(),
        })
    }

    /// By which it was joined.
    pub fn url(&self) -> &IndexUrl {
        self.replicas.home()
    }

    /// The program that is asked now.
    pub(super) fn at(&self) -> IndexUrl {
        self.replicas.at()
    }

    /// A program does not answer, or asks to be left: another is asked from now on, if there is one.
    pub(super) fn turn_from(&self, at: &IndexUrl) {
        self.replicas.turn_from(at);
    }

    /// By which it can be reached as well.
    pub fn replicas(&self) -> Vec<IndexUrl> {
        self.replicas.others()
    }

    /// Takes over what it has said at another time.
    pub(super) fn know_replicas(&self, replicas: &[IndexUrl]) {
        self.replicas.learn(replicas.iter().cloned());
    }

    pub const fn key(&self) -> IndexKey {
        self.key
    }

    pub(super) fn tls(&self) -> Arc<ClientConfig> {
        self.tls.clone()
    }

    pub(super) const fn patience(&self) -> Patience {
        self.patience
    }

    /// The address by which the index was last reached.
    pub fn reached(&self) -> Option<IpAddr> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).map(|address| address.ip().to_canonical())
    }

    pub(super) fn note_reached(&self, address: SocketAddr) {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// What the index says of itself now.
    pub async fn info(&self) -> Result<Arc<Info>, IndexError> {
        let info = Arc::new(self.fetch_info().await?);
        if info.key != self.key {
            return Err(IndexError::KeyChanged { url: self.at(), pinned: self.key, found: Some(info.key) });
        }
        self.replicas.learn(info.replicas.iter().filter_map(|url| url.parse().ok()));
        *self.info.lock().unwrap_or_else(PoisonError::into_inner) = Some(info.clone());
        Ok(info)
    }

    /// What it said last.
    pub fn known_info(&self) -> Option<Arc<Info>> {
        self.info.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn fetch_info(&self) -> Result<Info, IndexError> {
        let request = self.request(Method::GET, &format!("{PREFIX}/info"));
        let not_an_index = |reason: String| IndexError::NotAnIndex { url: self.at(), reason };
        let info: Info = match self.ask(request, MAX_INFO_BYTES).await {
            Err(IndexError::Nonsense(reason)) => return Err(not_an_index(reason)),
            Err(IndexError::Refused(problem)) if problem.status == 404 => return Err(not_an_index(problem.title)),
            answer => answer?,
        };
        if (info.protocol_min..=info.protocol_max).contains(&PROTOCOL) {
            Ok(info)
        } else {
            Err(IndexError::Incompatible { min: info.protocol_min, max: info.protocol_max })
        }
    }

    /// The UDP address at which peers learn their own; `None` if this index has none.
    pub async fn rendezvous_address(&self) -> Result<Option<SocketAddr>, IndexError> {
        let info = match self.known_info() {
            Some(info) => info,
            None => self.info().await?,
        };
        let Some(endpoint) = &info.rendezvous else { return Ok(None) };
        if endpoint.port == 0 {
            return Err(IndexError::nonsense("a rendezvous at port 0"));
        }
        let reached = self.reached();
        let Some(host) = &endpoint.host else {
            return Ok(reached.map(|address| SocketAddr::new(address, endpoint.port)));
        };
        let unknown = |reason: String| IndexError::Unreachable { url: self.at(), reason };
        let found =
            tokio::time::timeout(self.patience.connect, tokio::net::lookup_host((host.as_str(), endpoint.port)))
                .await
                .map_err(|_| unknown(format!("its rendezvous {host} has no address in time")))?
                .map_err(|error| unknown(format!("its rendezvous {host} has no address: {error}")))?;
        let found: Vec<_> = found.collect();
        // The family that worked for HTTP works from here.
        let same_family = found.iter().find(|address| reached.is_some_and(|by| by.is_ipv4() == address.is_ipv4()));
        Ok(same_family.or_else(|| found.first()).copied())
    }

    pub async fn search(&self, query: &Query) -> Result<SearchPage, IndexError> {
        let request = self.request(Method::GET, &format!("{PREFIX}/search")).query(&query.to_params());
        rules::search_page(self.ask_as_member(request, MAX_PAGE_BYTES).await?, query)
    }

    pub async fn file(&self, file: &FileId) -> Result<SearchRow, IndexError> {
        rules::row_of(self.ask_as_member(self.request(Method::GET, &file_path(file)), MAX_ANSWER_BYTES).await?, file)
    }

    /// Who holds a file and is online, this peer itself left out.
    pub async fn sources(&self, file: &FileId) -> Result<Sources, IndexError> {
        let request = self.request(Method::GET, &format!("{}/sources", file_path(file)));
        rules::sources(self.ask_as_member(request, MAX_ANSWER_BYTES).await?, &self.secret.peer_id())
    }

    /// Where a peer may be met about a file; it is told who asks.
    pub async fn introduce(&self, peer: PeerId, file: FileId) -> Result<Introduction, IndexError> {
        let request =
            self.request(Method::POST, &format!("{PREFIX}/introductions")).json(&IntroductionRequest { peer, file });
        rules::introduction(self.ask_as_member(request, MAX_ANSWER_BYTES).await?, &peer)
    }

    pub async fn me(&self) -> Result<Me, IndexError> {
        let request = self.request(Method::GET, &format!("{PREFIX}/me"));
        rules::me(self.ask_as_member(request, MAX_ANSWER_BYTES).await?, &self.secret.peer_id())
    }

    pub async fn update_me(&self, update: &MeUpdate) -> Result<Me, IndexError> {
        let request = self.request(Method::PUT, &format!("{PREFIX}/me")).json(update);
        rules::me(self.ask_as_member(request, MAX_ANSWER_BYTES).await?, &self.secret.peer_id())
    }

    /// Makes the index forget this peer: account, name and libraries.
    pub async fn erase(&self) -> Result<(), IndexError> {
        self.ask_as_member_for_bytes(self.request(Method::DELETE, &format!("{PREFIX}/me")), MAX_ANSWER_BYTES).await?;
        self.logins.forget();
        Ok(())
    }

    pub async fn profile(&self, peer: &PeerId) -> Result<Profile, IndexError> {
        rules::profile(self.ask_as_member(self.request(Method::GET, &peer_path(peer)), MAX_ANSWER_BYTES).await?, peer)
    }

    /// The peer that has a display name here. Which spellings mean it is the index's to say; that the name is another
    /// is not.
    pub async fn profile_named(&self, name: &str) -> Result<Profile, IndexError> {
        let request = self.request(Method::GET, &named_peer_path(name));
        rules::profile_named(self.ask_as_member(request, MAX_ANSWER_BYTES).await?, name)
    }

    /// One folder of a peer's library; the empty path is its top.
    pub async fn library(&self, peer: &PeerId, folder: &str, cursor: Option<&str>) -> Result<LibraryPage, IndexError> {
        let mut request =
            self.request(Method::GET, &format!("{}/library", peer_path(peer))).query(&[("folder", folder)]);
        if let Some(cursor) = cursor {
            request = request.query(&[("cursor", cursor)]);
        }
        rules::library_page(self.ask_as_member(request, MAX_PAGE_BYTES).await?, peer)
    }

    pub async fn publish(&self, set: &ChangeSet) -> Result<ChangesAnswer, IndexError> {
        let failed = |error: std::io::Error| IndexError::nonsense(format!("this change set cannot be packed: {error}"));
        let json = serde_json::to_vec(set).map_err(|error| failed(error.into()))?;
        debug_assert!(json.len() <= library::MAX_BYTES, "the publisher measures its sets");
        let packed = zstd::encode_all(json.as_slice(), ZSTD_LEVEL).map_err(failed)?;
        let request = self
            .request(Method::POST, &format!("{PREFIX}/library/changes"))
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .header(reqwest::header::CONTENT_ENCODING, "zstd")
            .body(packed);
        self.ask_as_member(request, MAX_PAGE_BYTES).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.at().http(path))
    }

    /// Sends a request that needs a login, with a fresh one if the index does not know the old one any more.
    async fn ask_as_member<T: DeserializeOwned>(&self, request: RequestBuilder, most: usize) -> Result<T, IndexError> {
        answer::parse(&self.ask_as_member_for_bytes(request, most).await?)
    }

    async fn ask_as_member_for_bytes(&self, request: RequestBuilder, most: usize) -> Result<Vec<u8>, IndexError> {
        let again = request.try_clone();
        let login = self.login().await?;
        match self.send(request.bearer_auth(&login.session.token), most).await {
            Err(IndexError::NotLoggedIn) => {}
            answer => return answer,
        }
        self.logins.forget_one(&login);
        let login = self.login().await?;
        let again = again.ok_or(IndexError::NotLoggedIn)?;
        self.send(again.bearer_auth(&login.session.token), most).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder, most: usize) -> Result<T, IndexError> {
        answer::parse(&self.send(request, most).await?)
    }

    async fn send(&self, request: RequestBuilder, most: usize) -> Result<Vec<u8>, IndexError> {
        let request = request.build().map_err(|error| answer::transport(&self.at(), self.patience, &error))?;
        let mut replicas = self.replicas.in_turn();
        let last = replicas.pop().unwrap_or_else(|| self.at());
        // What carries much takes its time.
        let patience = (request.method() == Method::GET).then_some(REPLICA_PATIENCE);
        for url in replicas {
            let Some(attempt) = directed(&request, &url, patience) else { break };
            match self.send_to(&url, attempt, most).await {
                Err(IndexError::Unreachable { .. } | IndexError::Busy { .. }) => self.turn_from(&url),
                answer => return answer,
            }
        }
        let attempt = directed(&request, &last, None).unwrap_or(request);
        self.send_to(&last, attempt, most).await
    }

    async fn send_to(&self, url: &IndexUrl, request: Request, most: usize) -> Result<Vec<u8>, IndexError> {
        let transport = |error| answer::transport(url, self.patience, &error);
        let response = self.client.execute(request).await.map_err(transport)?;
        if let Some(address) = response.remote_addr() {
            self.note_reached(address);
        }
        answer::read(response, most).await.map_err(|failure| match failure {
            answer::Failure::Transport(error) => transport(error),
            answer::Failure::Answer(error) => error,
        })
    }
}

/// The same request for another program. `None` if it cannot be said twice.
fn directed(request: &Request, to: &IndexUrl, patience: Option<Duration>) -> Option<Request> {
    let mut directed = request.try_clone()?;
    let mut url: Url = to.http(request.url().path()).parse().ok()?;
    url.set_query(request.url().query());
    *directed.url_mut() = url;
    if patience.is_some() {
        *directed.timeout_mut() = patience;
    }
    Some(directed)
}

#[cfg(test)]
mod tests;
