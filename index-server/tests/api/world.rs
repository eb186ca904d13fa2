//! An index on loopback, and peers who know how to talk to it.

use std::net::SocketAddr;
use std::time::Duration;

use choir_index::settings::{PortChoice, Settings};
use choir_index::{Ready, RunError, run};
use choir_shared::claim::{Format, Origin};
use choir_shared::identity::{SecretKey, sign_login};
use choir_shared::index_api::{
    Addition, Challenge, ChangeSet, ChangesAnswer, Folder, Info, LoginRequest, PREFIX, Phase, SearchPage, Session,
};
use choir_shared::leaf::FileLength;
use choir_shared::link::encode;
use choir_shared::{Claim, Digest, FileId, PeerId};
use serde::Serialize;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::http::{Response, send};

/// Beyond this a test has failed, however slow the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) ready: Ready,
    pub(crate) address: SocketAddr,
    pub(crate) settings: Settings,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
    folder: TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// An index whose settings `change` has changed.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(folder.path().join("data"));
        settings.listen = vec!["127.0.0.1:0".parse().unwrap()];
        settings.port_choice = PortChoice::Operator;
        change(&mut settings);
        Self::again(folder, settings).await
    }

    /// An index in a folder that may have seen one before.
    pub(crate) async fn again(folder: TempDir, settings: Settings) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shutdown = CancellationToken::new();
        let (tell, told) = oneshot::channel();
        let ready = |ready| drop(tell.send(ready));
        let task = tokio::spawn(run(settings.clone(), ready, shutdown.clone()));
        let ready: Ready = match tokio::time::timeout(PATIENCE, told).await.expect("a start in time") {
            Ok(ready) => ready,
            Err(_) => panic!("{:?}", task.await),
        };
        let (_, address) = ready.listeners[0].split_once("://").unwrap();
        Self { address: address.parse().unwrap(), ready, settings, shutdown, task, folder }
    }

    pub(crate) async fn stop(self) -> (TempDir, Settings) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("a stop in time").unwrap().unwrap();
        (self.folder, self.settings)
    }

    pub(crate) async fn restart(self) -> Self {
        let (folder, settings) = self.stop().await;
        Self::again(folder, settings).await
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        send(self.address, "GET", path, &[], b"").await
    }

    pub(crate) async fn info(&self) -> Info {
        self.get(&format!("{PREFIX}/info")).await.json()
    }

    /// Asks for a session; what comes back is for the caller to judge.
    pub(crate) async fn log_in(&self, secret: &SecretKey, change: impl FnOnce(&mut LoginRequest)) -> Response {
        let challenge: Challenge = self.get(&format!("{PREFIX}/challenge")).await.json();
        let signature = sign_login(secret, &self.info().await.key, challenge.challenge.as_bytes());
        let mut login =
            LoginRequest { peer: secret.peer_id(), challenge: challenge.challenge, signature, invite: None };
        change(&mut login);
        let body = serde_json::to_vec(&login).unwrap();
        send(self.address, "POST", &format!("{PREFIX}/sessions"), &[("Content-Type", "application/json")], &body).await
    }

    /// A member that is logged in.
    pub(crate) async fn peer(&self, seed: u8) -> Peer {
        let secret = SecretKey::from_seed(&[seed; 32]);
        let session: Session = self.log_in(&secret, |_| {}).await.json();
        Peer { secret, session, address: self.address, generation: 0 }
    }
}

pub(crate) struct Peer {
    pub(crate) secret: SecretKey,
    pub(crate) session: Session,
    pub(crate) address: SocketAddr,
    generation: u64,
}

impl Peer {
    pub(crate) fn id(&self) -> PeerId {
        self.secret.peer_id()
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.session.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send("GET", path, &[], b"").await
    }

    pub(crate) async fn post(&self, path: &str, body: &impl Serialize) -> Response {
        self.send("POST", path, &[], &serde_json::to_vec(body).unwrap()).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let bearer = self.bearer();
        let own = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        send(self.address, method, &format!("{PREFIX}{path}"), &[&own[..], headers].concat(), body).await
    }

    /// Publishes songs with these titles, as one change.
    pub(crate) async fn publish(&mut self, titles: &[&str]) -> ChangesAnswer {
        let set = self.change(titles);
        self.post("/library/changes", &set).await.json()
    }

    /// The next change.
    pub(crate) fn change(&mut self, titles: &[&str]) -> ChangeSet {
        self.generation += 1;
        ChangeSet {
            collection: "everyone".into(),
            base_generation: self.generation - 1,
            generation: self.generation,
            phase: Phase::Change,
            folders: vec![Folder { number: 1, path: Some("Music/Mixed".into()) }],
            add: titles.iter().map(|title| addition(title)).collect(),
            remove: Vec::new(),
            head: None,
        }
    }

    pub(crate) async fn search(&self, words: &str) -> SearchPage {
        self.get(&format!("/search?q={}", encode(words))).await.json()
    }

    /// Searches until there is a result: what is published can be found soon, not at once.
    pub(crate) async fn find(&self, words: &str) -> SearchPage {
        let found = async {
            loop {
                let page = self.search(words).await;
                if !page.results.is_empty() {
                    return page;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("nothing found for {words}"))
    }

    pub(crate) async fn introduction(&self, to: &Self, file: FileId) -> Response {
        self.post("/introductions", &json!({"peer": to.id(), "file": file})).await
    }
}

/// The song of this title. Everybody's copy is the same file.
pub(crate) fn song(title: &str) -> FileId {
    FileId::new(Digest::of(title.as_bytes()), FileLength::new(5_000_000).unwrap())
}

fn addition(title: &str) -> Addition {
    let claim = Claim {
        format: Format::new("flac").unwrap(),
        title: Some(title.to_owned()),
        artist: Some("The Examples".into()),
        origin: Some(Origin::Tags),
        ..Claim::default()
    };
    Addition { file: song(title), folder: 1, claim_hash: claim.hash(), claim: Some(claim) }
}
