//! An index for tests: real HTTP on loopback, invented answers.
//!
//! By itself it does what an honest index does with logins and change sets. [`FakeIndex::answer_next`] makes it
//! misbehave once on a path; control connections are handed to the test.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use choir_shared::control::{FromIndex, FromPeer};
use choir_shared::identity::{SecretKey, verify_login};
use choir_shared::index_api::{
    Access, Challenge, ChangeSet, ChangesAnswer, ErrorCode, Info, Limits, LoginRequest, Phase, Problem, Session,
    UdpEndpoint,
};
use choir_shared::library::LibraryDigest;
use choir_shared::ticket::Ticket;
use choir_shared::{Digest, FileId};
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::address::IndexUrl;

const CHALLENGE: &str = "sign this";

pub(super) struct FakeIndex {
    pub(super) url: IndexUrl,
    pub(super) secret: SecretKey,
    shared: Arc<Shared>,
    controls: mpsc::UnboundedReceiver<WebSocket>,
    server: AbortHandle,
}

struct Shared {
    secret: SecretKey,
    limits: Limits,
    state: Mutex<Inner>,
    controls: mpsc::UnboundedSender<WebSocket>,
}

#[derive(Default)]
struct Inner {
    /// Every request, as `GET /path`.
    asked: Vec<String>,
    /// What to answer instead, by path.
    scripts: HashMap<String, VecDeque<Canned>>,
    logins: u32,
    /// Tokens of earlier logins than this are forgotten.
    first_good_login: u32,
    live: BTreeMap<String, FakeCollection>,
    staged: BTreeMap<String, FakeCollection>,
    known_claims: Vec<Digest>,
    /// Every change set as it came.
    sets: Vec<ChangeSet>,
}

#[derive(Clone, Default)]
pub(super) struct FakeCollection {
    pub(super) generation: u64,
    pub(super) holdings: BTreeMap<FileId, Digest>,
}

impl FakeCollection {
    pub(super) fn digest(&self) -> LibraryDigest {
        let mut digest = LibraryDigest::EMPTY;
        self.holdings.iter().for_each(|(file, claim)| digest.insert(file, claim));
        digest
    }
}

pub(super) enum Canned {
    Json(String),
    Problem(Problem),
    /// No answer at all.
    Silence,
    /// So many bytes.
    Bytes(usize),
}

impl Canned {
    pub(super) fn json(value: &impl Serialize) -> Self {
        Self::Json(serde_json::to_string(value).unwrap())
    }
}

impl FakeIndex {
    pub(super) async fn new(seed: u8) -> Self {
        Self::with_limits(seed, 1000).await
    }

    /// With another limit on the entries of a change set.
    pub(super) async fn with_limits(seed: u8, entries: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        Self::serve(listener, url, seed, entries)
    }

    /// Over HTTPS, with a certificate on the key that `certificate_seed` makes.
    pub(super) async fn over_tls(seed: u8, certificate_seed: u8) -> Self {
        Self::with_certificate(seed, certificate_seed, certificate_seed).await
    }

    /// Over HTTPS, with the right certificate, which anyone can copy, but without its secret key.
    pub(super) async fn impostor(seed: u8) -> Self {
        Self::with_certificate(seed, seed, seed + 1).await
    }

    async fn with_certificate(seed: u8, certificate_seed: u8, signing_seed: u8) -> Self {
        let [certificate, signing] = [certificate_seed, signing_seed].map(|seed| SecretKey::from_seed(&[seed; 32]));
        let listener = TlsListener::new(&certificate, &signing).await;
        let url = format!("https://{}", listener.tcp.local_addr().unwrap()).parse().unwrap();
        Self::serve(listener, url, seed, 1000)
    }

    fn serve<L>(listener: L, url: IndexUrl, seed: u8, entries: u32) -> Self
    where
        L: axum::serve::Listener<Addr: std::fmt::Debug>,
    {
        super::install_crypto();
        let (handed_over, controls) = mpsc::unbounded_channel();
        let limits = Limits {
            files_per_peer: 1000,
            searches_per_minute: 60,
            introductions_per_minute: 60,
            changes_per_minute: 600,
            entries_per_change_set: entries,
            change_set_bytes: 1 << 20,
        };
        let secret = SecretKey::from_seed(&[seed; 32]);
        let shared =
            Arc::new(Shared { secret: secret.clone(), limits, state: Mutex::default(), controls: handed_over });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Self { url, secret, shared, controls, server }
    }

    pub(super) fn answer_next(&self, path: &str, canned: Canned) {
        self.shared.state.lock().unwrap().scripts.entry(path.to_owned()).or_default().push_back(canned);
    }

    pub(super) fn forget_logins(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.first_good_login = state.logins + 1;
    }

    pub(super) fn logins(&self) -> u32 {
        self.shared.state.lock().unwrap().logins
    }

    pub(super) fn asked(&self, what: &str) -> usize {
        self.shared.state.lock().unwrap().asked.iter().filter(|asked| *asked == what).count()
    }

    pub(super) fn sets(&self) -> Vec<ChangeSet> {
        self.shared.state.lock().unwrap().sets.clone()
    }

    pub(super) fn collection(&self, name: &str) -> FakeCollection {
        self.shared.state.lock().unwrap().live.get(name).cloned().unwrap_or_default()
    }

    /// What an earlier life of the peer has left here.
    pub(super) fn plant(&self, name: &str, collection: FakeCollection) {
        self.shared.state.lock().unwrap().live.insert(name.to_owned(), collection);
    }

    pub(super) async fn control(&mut self) -> FakeControl {
        FakeControl(self.controls.recv().await.unwrap())
    }
}

impl Drop for FakeIndex {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The index's end of a control connection.
pub(super) struct FakeControl(WebSocket);

impl FakeControl {
    /// The next message that is one; `None` when the peer has gone.
    pub(super) async fn hear(&mut self) -> Option<FromPeer> {
        loop {
            match self.0.recv().await {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    pub(super) async fn say(&mut self, message: &FromIndex) {
        self.say_text(&serde_json::to_string(message).unwrap()).await;
    }

    pub(super) async fn say_text(&mut self, text: &str) {
        self.0.send(Message::text(text.to_owned())).await.unwrap();
    }

    /// Hears the hello and finds everything as it says.
    pub(super) async fn welcome(&mut self) -> FromPeer {
        let hello = self.hear().await.unwrap();
        self.say(&FromIndex::Welcome { resync: vec![] }).await;
        hello
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches(choir_shared::index_api::PREFIX).to_owned();
    let what = format!("{} {path}", request.method());
    let canned = {
        let mut state = shared.state.lock().unwrap();
        state.asked.push(what.clone());
        state.scripts.get_mut(&path).and_then(VecDeque::pop_front)
    };
    match canned {
        Some(Canned::Json(json)) => return ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Some(Canned::Problem(problem)) => return refuse(problem),
        Some(Canned::Silence) => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            return StatusCode::NO_CONTENT.into_response();
        }
        Some(Canned::Bytes(count)) => return Body::from(vec![b' '; count]).into_response(),
        None => {}
    }
    match what.as_str() {
        "GET /info" => json(&shared.info()),
        "GET /challenge" => json(&Challenge { challenge: CHALLENGE.into(), expires_in_s: 60 }),
        "POST /sessions" => shared.log_in(&body(request).await),
        _ if !shared.knows(&request) => refuse(Problem::new(ErrorCode::NotLoggedIn)),
        "POST /library/changes" => shared.publish(&zstd::decode_all(body(request).await.as_slice()).unwrap()),
        "GET /control" => {
            let (mut parts, _) = request.into_parts();
            let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.unwrap();
            upgrade.on_upgrade(async move |socket| drop(shared.controls.send(socket)))
        }
        _ => refuse(Problem::new(ErrorCode::NotFound)),
    }
}

impl Shared {
    fn info(&self) -> Info {
        Info {
            name: "Test".into(),
            key: self.secret.index_key(),
            version: "0".into(),
            protocol_min: 1,
            protocol_max: 1,
            access: Access::Open,
            limits: self.limits.clone(),
            rendezvous: Some(UdpEndpoint { host: None, port: 8888 }),
            contact: None,
            rules: None,
            message_of_the_day: None,
            reconnect_spread_s: 0,
            replicas: Vec::new(),
        }
    }

    fn log_in(&self, body: &[u8]) -> Response {
        let request: LoginRequest = serde_json::from_slice(body).unwrap();
        if !verify_login(&request.peer, &self.secret.index_key(), CHALLENGE.as_bytes(), &request.signature) {
            return refuse(Problem::new(ErrorCode::LoginFailed));
        }
        let mut state = self.state.lock().unwrap();
        state.logins += 1;
        let ticket = Ticket::issue(&self.secret, request.peer, u64::MAX);
        json(&Session { token: format!("login-{}", state.logins), expires_in_s: 86_400, ticket, name: None })
    }

    fn knows(&self, request: &Request) -> bool {
        let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let login = token.and_then(|token| token.strip_prefix("Bearer login-")?.parse::<u32>().ok());
        login.is_some_and(|login| login >= self.state.lock().unwrap().first_good_login)
    }

    /// As the real one does it, without folders and without mercy.
    fn publish(&self, body: &[u8]) -> Response {
        let set: ChangeSet = serde_json::from_slice(body).unwrap();
        let mut state = self.state.lock().unwrap();
        let state = &mut *state;
        state.sets.push(set.clone());
        assert!(set.add.len() + set.remove.len() <= self.limits.entries_per_change_set as usize);
        let name = set.collection.clone();
        let generation = state.live.get(&name).map_or(0, |live| live.generation);
        let target = match set.phase {
            Phase::Change if set.base_generation == generation => state.live.entry(name.clone()).or_default(),
            Phase::Begin => {
                state.staged.remove(&name);
                state.staged.entry(name.clone()).or_default()
            }
            Phase::Staging | Phase::Commit if state.staged.contains_key(&name) => {
                state.staged.entry(name.clone()).or_default()
            }
            _ => return refuse(Problem { generation: Some(generation), ..Problem::new(ErrorCode::WrongBase) }),
        };
        let mut unknown_claims = Vec::new();
        for addition in &set.add {
            match &addition.claim {
                Some(claim) => assert_eq!(claim.hash(), addition.claim_hash),
                None if state.known_claims.contains(&addition.claim_hash) => {}
                None => unknown_claims.push(addition.claim_hash),
            }
        }
        if unknown_claims.is_empty() {
            state.known_claims.extend(set.add.iter().map(|addition| addition.claim_hash));
            target.holdings.extend(set.add.iter().map(|addition| (addition.file, addition.claim_hash)));
            target.holdings.retain(|file, _| !set.remove.contains(file));
            target.generation = set.generation;
            if set.phase == Phase::Commit {
                let staged = state.staged.remove(&name).unwrap();
                state.live.insert(name.clone(), staged);
            }
        }
        let live = state.live.get(&name).cloned().unwrap_or_default();
        let count = live.holdings.len() as u64;
        json(&ChangesAnswer { generation: live.generation, digest: live.digest(), count, unknown_claims })
    }
}

async fn body(request: Request) -> Vec<u8> {
    axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap().to_vec()
}

fn json(value: &impl Serialize) -> Response {
    axum::Json(value).into_response()
}

fn refuse(problem: Problem) -> Response {
    (StatusCode::from_u16(problem.status).unwrap(), axum::Json(&problem)).into_response()
}

struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    async fn new(certificate: &SecretKey, signing: &SecretKey) -> Self {
        super::install_crypto();
        let pkcs8 = |key: &SecretKey| PrivatePkcs8KeyDer::from(key.to_pkcs8_der());
        let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8(certificate), &rcgen::PKCS_ED25519).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["choir".to_owned()]).unwrap().self_signed(&pair).unwrap();
        let signing = any_eddsa_type(&pkcs8(signing)).unwrap();
        let certified = CertifiedKey::new(vec![certificate.der().clone()], signing);
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        Self { tcp: TcpListener::bind("127.0.0.1:0").await.unwrap(), acceptor: Arc::new(config).into() }
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
