//! A peer that is only a key, a library and a connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use choir_shared::control::{CollectionState, FromIndex, FromPeer};
use choir_shared::identity::{IndexKey, SecretKey, sign_login};
use choir_shared::index_api::{
    Addition, Challenge, ChangeSet, ChangesAnswer, Folder, LoginRequest, Phase, SearchPage, Session,
};
use choir_shared::library::{DEFAULT_COLLECTION, Head, LibraryDigest};
use choir_shared::link::encode;
use choir_shared::query::SearchParams;
use choir_shared::{Claim, Digest, FileId};

use super::wire::{Answer, Body, Connection, Heard, Request, WebSocket};
use crate::TestIndex;

/// As the real client packs.
const ZSTD_LEVEL: i32 = 3;

/// Where an index is, and who it is.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    pub address: SocketAddr,
    pub key: IndexKey,
}

impl Door {
    /// # Panics
    /// If the index has no address on this machine.
    pub fn of(index: &TestIndex) -> Self {
        let address = index.url.rsplit('/').next().and_then(|address| address.parse().ok());
        Self { address: address.expect("an address"), key: index.key() }
    }
}

pub struct CrowdPeer {
    secret: SecretKey,
    door: Door,
    /// An address of this machine.
    pub from: IpAddr,
    /// What a trusted proxy says of it.
    pub forwarded_for: Option<IpAddr>,
    pub token: String,
    /// What it shares, as both sides sum it up.
    generation: u64,
    digest: LibraryDigest,
    count: u64,
}

/// One holding to be published: with its claim, or with no more than the claim's hash.
#[derive(Clone, Debug)]
pub struct Holding {
    pub file: FileId,
    pub claim_hash: Digest,
    pub claim: Option<Claim>,
}

impl Holding {
    pub fn new(file: FileId, claim: Claim) -> Self {
        Self { file, claim_hash: claim.hash(), claim: Some(claim) }
    }

    /// As it is sent where the claim should be known.
    #[must_use]
    pub fn known(self) -> Self {
        Self { claim: None, ..self }
    }
}

impl CrowdPeer {
    /// The peer of this number, the same in every process.
    pub fn new(number: u32, door: Door, from: IpAddr) -> Self {
        let seed = Digest::of(&[b"a peer".as_slice(), &number.to_be_bytes()].concat());
        Self {
            secret: SecretKey::from_seed(seed.as_bytes()),
            door,
            from,
            forwarded_for: None,
            token: String::new(),
            generation: 0,
            digest: LibraryDigest::EMPTY,
            count: 0,
        }
    }

    /// The same key and session, with nothing to share.
    #[must_use]
    pub fn twin(&self) -> Self {
        Self {
            secret: self.secret.clone(),
            token: self.token.clone(),
            generation: 0,
            digest: LibraryDigest::EMPTY,
            count: 0,
            ..*self
        }
    }

    pub async fn connect(&self) -> io::Result<Connection> {
        Connection::open(self.door.address, self.from).await
    }

    /// Gets a token; the first time it becomes a member.
    pub async fn log_in(&mut self, connection: &mut Connection) -> io::Result<()> {
        let ask = Request::get("/challenge", "").forwarded_for(self.forwarded_for);
        let Challenge { challenge, .. } = connection.send(&ask).await?.json()?;
        let signature = sign_login(&self.secret, &self.door.key, challenge.as_bytes());
        let login = LoginRequest { peer: self.secret.peer_id(), challenge, signature, invite: None };
        let body = serde_json::to_vec(&login)?;
        let post = Request::post("/sessions", "", Body::Json(&body)).forwarded_for(self.forwarded_for);
        self.token = connection.send(&post).await?.json::<Session>()?.token;
        Ok(())
    }

    /// Adds to its library. Returns the packed change set that tells an index so.
    pub fn add(&mut self, holdings: Vec<Holding>) -> io::Result<Vec<u8>> {
        let base_generation = self.generation;
        self.generation += 1;
        self.count += holdings.len() as u64;
        for holding in &holdings {
            self.digest.insert(&holding.file, &holding.claim_hash);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let head = Head::sign(&self.secret, DEFAULT_COLLECTION, self.generation, self.digest, self.count, now);
        let folder = Folder { number: 1, path: Some("Music".to_owned()) };
        let addition = |holding: Holding| {
            let Holding { file, claim_hash, claim } = holding;
            Addition { file, folder: 1, claim_hash, claim }
        };
        let set = ChangeSet {
            collection: DEFAULT_COLLECTION.to_owned(),
            base_generation,
            generation: self.generation,
            phase: Phase::Change,
            folders: if base_generation == 0 { vec![folder] } else { Vec::new() },
            add: holdings.into_iter().map(addition).collect(),
            remove: Vec::new(),
            head: Some(head),
        };
        zstd::encode_all(serde_json::to_vec(&set)?.as_slice(), ZSTD_LEVEL)
    }

    /// Tells an index of a change set. An answer other than "taken" is an error.
    pub async fn publish(&self, connection: &mut Connection, packed: &[u8]) -> io::Result<()> {
        let answer: ChangesAnswer = self.offer(connection, packed).await?.json()?;
        match answer.unknown_claims.len() {
            0 => Ok(()),
            unknown => Err(io::Error::other(format!("{unknown} claims are unknown"))),
        }
    }

    /// Tells an index of a change set, whatever it answers.
    pub async fn offer(&self, connection: &mut Connection, packed: &[u8]) -> io::Result<Answer> {
        let post = Request::post("/library/changes", &self.token, Body::Packed(packed));
        connection.send(&post.forwarded_for(self.forwarded_for)).await
    }

    pub async fn search(&self, connection: &mut Connection, path: &str) -> io::Result<Answer> {
        connection.send(&Request::get(path, &self.token).forwarded_for(self.forwarded_for)).await
    }

    pub async fn find(&self, connection: &mut Connection, params: &SearchParams) -> io::Result<SearchPage> {
        self.search(connection, &search_path(params)).await?.json()
    }

    /// Comes online. Returns the connection and the collections that the index wants to be told again.
    pub async fn come_online(&self) -> io::Result<(WebSocket, Vec<CollectionState>)> {
        let connection = self.connect().await?;
        let request = Request::get("/control", &self.token).forwarded_for(self.forwarded_for);
        let mut control = connection.upgrade(&request).await?;
        let hello = FromPeer::Hello { agent: "crowd".to_owned(), collections: self.collections() };
        control.say(&serde_json::to_string(&hello)?).await?;
        loop {
            match control.hear().await? {
                Heard::Text(text) => match serde_json::from_slice(&text)? {
                    FromIndex::Welcome { resync } => return Ok((control, resync)),
                    other => return Err(io::Error::other(format!("{other:?} before a welcome"))),
                },
                Heard::Ping => {}
                Heard::Closed => return Err(io::ErrorKind::ConnectionReset.into()),
            }
        }
    }

    fn collections(&self) -> Vec<CollectionState> {
        if self.generation == 0 {
            return Vec::new();
        }
        let (generation, digest) = (self.generation, self.digest);
        vec![CollectionState { collection: DEFAULT_COLLECTION.to_owned(), generation, digest }]
    }
}

/// Path and parameters of a search.
pub fn search_path(params: &SearchParams) -> String {
    let texts = [("q", &params.q), ("artist", &params.artist), ("title", &params.title), ("album", &params.album)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some(format!("{name}={}", encode(text.as_ref()?))));
    let limit = params.limit.map(|limit| format!("limit={limit}"));
    let offline = params.offline.map(|offline| format!("offline={offline}"));
    format!("/search?{}", texts.chain(limit).chain(offline).collect::<Vec<_>>().join("&"))
}
