//! A proxy in front of an index that spoils chosen answers. All else passes unchanged, so that a test shows what one
//! bad answer does to a network that is otherwise in order.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::TestIndex;

/// Requests have a few headers.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// How an answer is spoilt.
#[derive(Clone)]
pub enum Spoilt {
    /// This status and this body instead.
    Answer(u16, &'static str),
    /// A terabyte is announced, and the end comes soon.
    Huge,
    /// The body has no end.
    Endless,
    /// The request is taken, and nothing comes.
    Silence,
    /// The end comes in the middle of the true body.
    CutShort,
    /// The true body, changed.
    Changed(Arc<dyn Fn(&mut Value) + Send + Sync>),
}

/// A running proxy.
pub struct Spoiler {
    /// What peers take for the address of the index.
    pub url: String,
    rules: Rules,
    _runtime: Runtime,
}

/// Beginnings of paths below `/api/v1`, and what becomes of their answers.
type Rules = Arc<Mutex<Vec<(&'static str, Spoilt)>>>;

impl Spoiler {
    /// # Panics
    /// If there is no free port.
    pub fn before(index: &TestIndex) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let upstream = index.url.trim_start_matches("http://").parse().expect("an index on loopback speaks plain HTTP");
        let rules = Rules::default();
        runtime.spawn(serve(listener, upstream, Arc::clone(&rules)));
        Self { url, rules, _runtime: runtime }
    }

    /// From now on, answers to requests whose path contains `part` are spoilt like this.
    pub fn spoil(&self, part: &'static str, how: Spoilt) {
        let mut rules = lock(&self.rules);
        rules.retain(|(known, _)| *known != part);
        rules.push((part, how));
    }

    /// From now on everything passes unchanged.
    pub fn relent(&self) {
        lock(&self.rules).clear();
    }
}

fn lock(rules: &Rules) -> MutexGuard<'_, Vec<(&'static str, Spoilt)>> {
    rules.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, index: SocketAddr, rules: Rules) {
    while let Ok((client, _)) = listener.accept().await {
        let rules = Arc::clone(&rules);
        // A connection that breaks is the business of whoever opened it.
        tokio::spawn(async move { pass(client, index, &rules).await });
    }
}

/// One connection is one request: the index is asked to close after its answer, but for a WebSocket.
async fn pass(mut client: TcpStream, index: SocketAddr, rules: &Rules) -> io::Result<()> {
    let (head, rest) = read_head(&mut client).await?;
    let path = head.split(' ').nth(1).unwrap_or_default();
    let spoilt = lock(rules).iter().find(|(part, _)| path.contains(part)).map(|(_, how)| how.clone());
    match spoilt {
        Some(Spoilt::Answer(status, body)) => return client.write_all(&answer(status, body.as_bytes())).await,
        Some(Spoilt::Huge) => {
            return client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1099511627776\r\n\r\n{\"total\"").await;
        }
        Some(Spoilt::Endless) => {
            client.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n[").await?;
            loop {
                client.write_all(&[b' '; 64 * 1024]).await?;
            }
        }
        Some(Spoilt::Silence) => return copy(&mut client, &mut tokio::io::sink()).await.map(drop),
        Some(Spoilt::CutShort | Spoilt::Changed(_)) | None => {}
    }
    let mut upstream = TcpStream::connect(index).await?;
    let is_upgrade = head.to_ascii_lowercase().contains("\r\nupgrade:");
    let close = if is_upgrade { "" } else { "connection: close\r\n" };
    upstream.write_all(format!("{}\r\n{close}\r\n", head.trim_end()).as_bytes()).await?;
    upstream.write_all(&rest).await?;
    let Some(spoilt) = spoilt else { return copy_bidirectional(&mut client, &mut upstream).await.map(drop) };

    let mut whole = Vec::new();
    let (mut from_client, mut to_client) = client.split();
    let (mut from_index, mut to_index) = upstream.split();
    tokio::select! {
        read = from_index.read_to_end(&mut whole) => drop(read?),
        Err(broken) = copy(&mut from_client, &mut to_index) => return Err(broken),
    }
    let body = whole.windows(4).position(|four| four == b"\r\n\r\n").map_or(whole.len(), |at| at + 4);
    match spoilt {
        Spoilt::Changed(change) => {
            let mut value = serde_json::from_slice(&whole[body..])?;
            change(&mut value);
            to_client.write_all(&answer(200, value.to_string().as_bytes())).await
        }
        _ => to_client.write_all(&whole[..body + (whole.len() - body) / 2]).await,
    }
}

fn answer(status: u16, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} Spoilt\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The head of a request, and what of its body came with it.
async fn read_head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        if bytes.len() > MAX_HEAD_BYTES || client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}
