//! The WebSocket beneath the control connection.

use std::sync::Arc;
use std::time::Duration;

use choir_shared::control::{FromPeer, MAX_MESSAGE_BYTES};
use choir_shared::index_api::PREFIX;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::super::address::IndexUrl;
use super::super::error::IndexError;
use super::super::http::{IndexHttp, Patience, refusal};
use super::super::pinning::OtherKey;
use super::messages::{Heard, understand};

/// Control messages are small; tungstenite would set aside 128 KiB to read and as much to write.
const BUFFER_BYTES: usize = 8 * 1024;

/// The program wants to end.
const FAREWELL: Duration = Duration::from_millis(500);

pub(super) struct Link {
    url: IndexUrl,
    patience: Patience,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Link {
    /// Opens the connection, logging in afresh once if the index has forgotten the login.
    pub(super) async fn open(http: &IndexHttp) -> Result<Self, IndexError> {
        let login = http.login().await?;
        match Self::open_with(http, &login.session.token).await {
            Err(IndexError::NotLoggedIn) => {}
            opened => return opened,
        }
        http.forget_login(&login);
        let login = http.login().await?;
        Self::open_with(http, &login.session.token).await
    }

    async fn open_with(http: &IndexHttp, token: &str) -> Result<Self, IndexError> {
        let url = http.at();
        let request = request(&url, token)?;
        let late = || IndexError::Unreachable { url: url.clone(), reason: "no control connection in time".to_owned() };
        let opened = tokio::time::timeout(http.patience().total, async {
            let stream = tokio::time::timeout(http.patience().connect, TcpStream::connect((url.host(), url.port())))
                .await
                .map_err(|_| late())?
                .map_err(|error| failure(&url, &Error::Io(error)))?;
            let reached = stream.peer_addr().ok();
            let connector =
                if url.is_encrypted() { Connector::Rustls(Arc::clone(&http.tls())) } else { Connector::Plain };
            let (socket, _) = client_async_tls_with_config(request, stream, Some(limits()), Some(connector))
                .await
                .map_err(|error| failure(&url, &error))?;
            Ok::<_, IndexError>((socket, reached))
        });
        let (socket, reached) = opened.await.map_err(|_| late())??;
        if let Some(address) = reached {
            http.note_reached(address);
        }
        Ok(Self { url: url.clone(), patience: http.patience(), socket })
    }

    pub(super) async fn say(&mut self, message: &FromPeer) -> Result<(), IndexError> {
        let text = serde_json::to_string(message).map_err(|error| IndexError::nonsense(error.to_string()))?;
        self.send(Message::text(text)).await
    }

    pub(super) async fn ping(&mut self) -> Result<(), IndexError> {
        self.send(Message::Ping(Default::default())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), IndexError> {
        match tokio::time::timeout(self.patience.total, self.socket.send(message)).await {
            Ok(sent) => sent.map_err(|error| failure(&self.url, &error)),
            Err(_) => Err(self.lost("it does not read")),
        }
    }

    /// The next message. Pings are answered by the library.
    pub(super) async fn hear(&mut self) -> Result<Heard, IndexError> {
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => understand(&text),
            Some(Ok(Message::Close(_))) | None => Err(self.lost("it closed the control connection")),
            Some(Ok(_)) => Ok(Heard::Nothing),
            Some(Err(error)) => Err(failure(&self.url, &error)),
        }
    }

    pub(super) async fn close(&mut self) {
        // Without the answer (RFC 6455 section 7.1.1) the index could not tell a goodbye from a broken line, and
        // would keep our place for a while.
        let goodbye = async {
            let _ = self.socket.close(None).await;
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        let _ = tokio::time::timeout(FAREWELL, goodbye).await;
    }

    pub(super) fn lost(&self, reason: &str) -> IndexError {
        IndexError::Unreachable { url: self.url.clone(), reason: reason.to_owned() }
    }
}

fn request(url: &IndexUrl, token: &str) -> Result<Request, IndexError> {
    let mut request =
        url.websocket(&format!("{PREFIX}/control")).into_client_request().map_err(|error| failure(url, &error))?;
    let bearer = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| IndexError::nonsense("a token that fits no header"))?;
    request.headers_mut().insert("authorization", bearer);
    Ok(request)
}

fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_MESSAGE_BYTES)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
}

fn failure(url: &IndexUrl, error: &Error) -> IndexError {
    if let Some(OtherKey { pinned, found }) = OtherKey::within(error) {
        return IndexError::KeyChanged { url: url.clone(), pinned, found: Some(found) };
    }
    match error {
        Error::Http(response) => {
            let status = StatusCode::from_u16(response.status().as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let retry_after_s =
                response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            refusal(status, retry_after_s, response.body().as_deref().unwrap_or_default())
        }
        Error::Capacity(_) => IndexError::nonsense("a control message that is too long"),
        Error::Protocol(_) | Error::Utf8(_) => IndexError::nonsense(format!("on the control connection: {error}")),
        _ => IndexError::Unreachable { url: url.clone(), reason: error.to_string() },
    }
}
