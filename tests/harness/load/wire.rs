//! HTTP/1.1 with keep-alive, and WebSockets (RFC 6455), as far as an index speaks them.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use choir_shared::index_api::PREFIX;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// An index that takes so long for anything does not answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer is at most some hundred rows.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// A connection to an index, from any address of this machine.
pub struct Connection {
    stream: TcpStream,
    /// What was read and not yet used.
    buffer: Vec<u8>,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Behind [`PREFIX`].
    pub path: &'a str,
    /// Empty for none.
    pub token: &'a str,
    /// As a trusted proxy would tell it.
    pub forwarded_for: Option<IpAddr>,
    pub body: Body<'a>,
}

#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    Empty,
    Json(&'a [u8]),
    /// JSON, packed with zstd.
    Packed(&'a [u8]),
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl<'a> Request<'a> {
    pub const fn get(path: &'a str, token: &'a str) -> Self {
        Self { method: "GET", path, token, forwarded_for: None, body: Body::Empty }
    }

    pub const fn post(path: &'a str, token: &'a str, body: Body<'a>) -> Self {
        Self { method: "POST", path, token, forwarded_for: None, body }
    }

    #[must_use]
    pub const fn forwarded_for(self, address: Option<IpAddr>) -> Self {
        Self { forwarded_for: address, ..self }
    }

    fn bytes(&self, upgrade: &str) -> Vec<u8> {
        let Self { method, path, token, .. } = self;
        let mut head = format!("{method} {PREFIX}{path} HTTP/1.1\r\nHost: index\r\n{upgrade}");
        if !token.is_empty() {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        if let Some(address) = self.forwarded_for {
            head += &format!("X-Forwarded-For: {address}\r\n");
        }
        let (body, kind): (&[u8], &str) = match self.body {
            Body::Empty => (&[], ""),
            Body::Json(body) => (body, "Content-Type: application/json\r\n"),
            Body::Packed(body) => (body, "Content-Type: application/json\r\nContent-Encoding: zstd\r\n"),
        };
        if !kind.is_empty() {
            head += &format!("{kind}Content-Length: {}\r\n", body.len());
        }
        [head.as_bytes(), b"\r\n", body].concat()
    }
}

impl Answer {
    /// Of a request that must succeed.
    pub fn json<T: DeserializeOwned>(&self) -> io::Result<T> {
        if self.status != 200 {
            return Err(io::Error::other(format!("{} {}", self.status, String::from_utf8_lossy(&self.body))));
        }
        serde_json::from_slice(&self.body).map_err(io::Error::other)
    }
}

impl Connection {
    pub async fn open(index: SocketAddr, from: IpAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        let stream = in_time(socket.connect(index)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    pub async fn send(&mut self, request: &Request<'_>) -> io::Result<Answer> {
        in_time(async {
            self.stream.write_all(&request.bytes("")).await?;
            self.answer().await
        })
        .await
    }

    /// Makes a WebSocket of it.
    pub async fn upgrade(mut self, request: &Request<'_>) -> io::Result<WebSocket> {
        const UPGRADE: &str = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                               Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let answered = in_time(async {
            self.stream.write_all(&request.bytes(UPGRADE)).await?;
            self.answer().await
        });
        let answer = answered.await?;
        match answer.status {
            101 => Ok(WebSocket(self)),
            _ => Err(answer.json::<()>().err().unwrap_or_else(|| ErrorKind::InvalidData.into())),
        }
    }

    async fn answer(&mut self) -> io::Result<Answer> {
        let head = loop {
            match self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break self.take(end + 4),
                None => self.fill().await?,
            }
        };
        let head = String::from_utf8_lossy(&head);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(ErrorKind::InvalidData)?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let length = length.unwrap_or(0).min(MAX_ANSWER_BYTES);
        while self.buffer.len() < length {
            self.fill().await?;
        }
        Ok(Answer { status, body: self.take(length) })
    }

    fn take(&mut self, bytes: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(bytes);
        std::mem::replace(&mut self.buffer, rest)
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

pub struct WebSocket(Connection);

/// What arrives.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    Text(Vec<u8>),
    /// It was answered already.
    Ping,
    Closed,
}

impl WebSocket {
    pub async fn say(&mut self, text: &str) -> io::Result<()> {
        self.frame(0x1, text.as_bytes()).await
    }

    /// Says goodbye.
    pub async fn close(mut self) -> io::Result<()> {
        self.frame(0x8, &1000u16.to_be_bytes()).await
    }

    /// Waits for as long as it takes.
    pub async fn hear(&mut self) -> io::Result<Heard> {
        loop {
            if let Some((kind, payload)) = self.next_frame() {
                return match kind {
                    0x1 => Ok(Heard::Text(payload)),
                    0x8 => Ok(Heard::Closed),
                    0x9 => self.frame(0xa, &payload).await.map(|()| Heard::Ping),
                    _ => Err(ErrorKind::InvalidData.into()),
                };
            }
            if self.0.buffer.is_empty() {
                // Nothing is kept for a silent connection: there may be thousands.
                self.0.buffer = Vec::new();
                self.0.stream.readable().await?;
                let mut small = [0; 512];
                match self.0.stream.try_read(&mut small) {
                    Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                    Ok(read) => self.0.buffer.extend_from_slice(&small[..read]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            } else {
                self.0.fill().await?;
            }
        }
    }

    fn next_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let buffer = &self.0.buffer;
        let kind = buffer.first()? & 0xf;
        let (start, length) = match *buffer.get(1)? {
            126 => (4, usize::from(u16::from_be_bytes(*buffer.get(2..)?.first_chunk()?))),
            127 => (10, usize::try_from(u64::from_be_bytes(*buffer.get(2..)?.first_chunk()?)).ok()?),
            length => (2, usize::from(length)),
        };
        if buffer.len() < start + length {
            return None;
        }
        let payload = self.0.take(start + length).split_off(start);
        Some((kind, payload))
    }

    async fn frame(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        // Final; masked with zeros, which leaves it as it is.
        let mut frame = vec![0x80 | kind];
        match u16::try_from(payload.len()).map_err(|_| ErrorKind::InvalidInput)? {
            length @ 0..126 => frame.push(0x80 | length as u8),
            length => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&length.to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(payload);
        in_time(self.0.stream.write_all(&frame)).await
    }
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}
