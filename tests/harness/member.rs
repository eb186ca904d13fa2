//! A member of an index that says exactly what a test has it say, over plain HTTP.
//!
//! For what the peer program would never do: requests out of turn, by the thousand, or to an index that fails.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use choir_peer::index_client::{IndexHttp, Patience, install_crypto};
use choir_shared::identity::SecretKey;
use choir_shared::index_api::{Addition, ChangeSet, Folder, PREFIX, Phase};
use choir_shared::leaf::FileLength;
use choir_shared::link::{JoinLink, Link};
use choir_shared::{Claim, Digest, FileId};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{TestIndex, mischief};

/// A member that is logged in.
#[derive(Clone)]
pub struct Member {
    pub secret: SecretKey,
    pub token: String,
    pub address: SocketAddr,
    generation: u64,
}

impl Member {
    /// A new one, with the invite of the index's join link if that has one.
    ///
    /// # Panics
    /// If the index takes nobody.
    pub fn of(index: &TestIndex) -> Self {
        install_crypto();
        let secret = mischief::random_key();
        let Ok(Link::Join(JoinLink { invite, .. })) = index.join_link.parse() else {
            panic!("{} is no link to an index", index.join_link)
        };
        let session = Runtime::new().expect("a runtime").block_on(async {
            let (http, _) = IndexHttp::discover(&index.url, None, &secret, Patience::default()).await?;
            http.join(invite.as_deref()).await
        });
        let token = session.expect("the index takes whoever has an invite").token;
        Self { secret, token, address: index.address(), generation: 0 }
    }

    /// # Panics
    /// If the index does not answer.
    pub fn get(&self, path: &str) -> HttpAnswer {
        self.send("GET", path, b"")
    }

    /// # Panics
    /// If the index does not answer.
    pub fn send(&self, method: &str, path: &str, body: &[u8]) -> HttpAnswer {
        let head = self.head(method, path, body.len());
        exchange(self.address, &[head.as_bytes(), body].concat())
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The head of a request for a path below [`PREFIX`], after whose answer the connection is closed.
    pub fn head(&self, method: &str, path: &str, body_bytes: usize) -> String {
        format!(
            "{method} {PREFIX}{path} HTTP/1.1\r\nHost: index\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {body_bytes}\r\n\r\n",
            self.token
        )
    }

    /// Publishes songs with these titles as one change. If it is refused, the same change may be tried again.
    ///
    /// # Panics
    /// If the index does not answer.
    pub fn publish<'a>(&mut self, titles: impl IntoIterator<Item = &'a str>) -> HttpAnswer {
        let set = ChangeSet {
            collection: "everyone".to_owned(),
            base_generation: self.generation,
            generation: self.generation + 1,
            phase: Phase::Change,
            folders: vec![Folder { number: 1, path: Some("Music".to_owned()) }],
            add: titles.into_iter().map(addition).collect(),
            remove: Vec::new(),
            head: None,
        };
        let answer = self.send("POST", "/library/changes", &serde_json::to_vec(&set).expect("it is plain data"));
        self.generation += u64::from(answer.status == 200);
        answer
    }
}

/// The song of this title: everybody's copy is the same file.
pub fn song(title: &str) -> FileId {
    FileId::new(Digest::of(title.as_bytes()), FileLength::new(5_000_000).expect("below the greatest length"))
}

/// What is said of the song of this title.
pub fn claim(title: &str) -> Claim {
    let words = |text: &str| Some(text.to_owned());
    Claim { title: words(title), artist: words("The Examples"), album: words("For Instance"), ..Claim::default() }
}

fn addition(title: &str) -> Addition {
    let claim = Claim { title: Some(title.to_owned()), artist: Some("The Examples".to_owned()), ..Claim::default() };
    Addition { file: song(title), folder: 1, claim_hash: claim.hash(), claim: Some(claim) }
}

/// What came back, whole.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    pub status: u16,
    /// As it was sent.
    pub head: String,
    pub body: Vec<u8>,
}

impl HttpAnswer {
    /// # Panics
    /// If it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The stable code of a refusal.
    ///
    /// # Panics
    /// If this is no problem in the form that every refusal has.
    pub fn code(&self) -> String {
        assert!(self.head.contains("application/problem+json"), "{self:?}");
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends `request` over a connection of its own, and reads until the index closes it.
pub fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<HttpAnswer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(crate::PATIENCE))?;
    // An index that refuses a body may close before it has read it, but not without an answer.
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    match HttpAnswer::parse(&bytes) {
        Some(answer) => Ok(answer),
        None => Err(read.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())),
    }
}

impl HttpAnswer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head, body: bytes[end + 4..].to_vec() })
    }
}
