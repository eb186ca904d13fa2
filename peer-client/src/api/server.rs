//! The HTTP server: connections, limits, the guard in front, the headers behind.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::{ErrorKind, ServiceError};
use super::guard::{Asked, Guard};
use super::routes;
use super::service::Service;
use super::token::Token;

/// The largest request: a list of downloads of a few thousand files.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Enough for some browser windows (six connections each) and commands beside them.
const MAX_CONNECTIONS: usize = 128;

/// A program that opens connections and says nothing may not hold them (slowloris).
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long requests in progress may take to end after a stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// After an accept that failed for want of file descriptors, until the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// On every answer: nothing from elsewhere is loaded, nobody frames the page, no link tells where it came from.
fn safety_headers() -> [(HeaderName, HeaderValue); 5] {
    const POLICY: &str =
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";
    [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]
}

/// What every handler gets.
pub(super) struct Door<S> {
    pub(super) service: Arc<S>,
    pub(super) cancel: CancellationToken,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Passwords and named hosts for other addresses come with the page.
    #[error("the local API listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    #[error("the local API cannot listen: {0}")]
    Io(#[from] io::Error),
}

/// Serves until `cancel`, and then until all connections have ended, for which each has [`STOP_TIMEOUT`].
pub async fn serve<S: Service>(
    listener: TcpListener,
    token: Token,
    service: Arc<S>,
    cancel: CancellationToken,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    let router = guarded(Guard::new(address, token), service, cancel.clone());
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    while let Some((stream, place)) = next_connection(&listener, &places, &cancel).await {
        connections.spawn(converse(stream, router.clone(), cancel.clone(), place));
    }
    connections.close();
    connections.wait().await;
    Ok(())
}

/// The routes behind the guard.
pub(super) fn guarded<S: Service>(guard: Guard, service: Arc<S>, cancel: CancellationToken) -> Router {
    routes::router::<S>()
        .method_not_allowed_fallback(no_such_method)
        .fallback(async || ServiceError::new(ErrorKind::NotFound, "there is no such route"))
        .with_state(Arc::new(Door { service, cancel }))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(Arc::new(guard), check))
        .layer(middleware::map_response(add_headers))
}

async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let asked = Asked { method: request.method(), uri: request.uri(), headers: request.headers() };
    match guard.admit(asked) {
        Ok(()) => next.run(request).await,
        Err(rejection) => ServiceError::from(rejection).into_response(),
    }
}

async fn no_such_method() -> Response {
    let error = ServiceError::new(ErrorKind::Usage, "this route has no such method");
    (StatusCode::METHOD_NOT_ALLOWED, error.into_json()).into_response()
}

async fn add_headers(mut response: Response) -> Response {
    response.headers_mut().extend(safety_headers());
    response
}

/// The next connection and its place among [`MAX_CONNECTIONS`]; `None` when it is time to stop.
async fn next_connection(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    cancel: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let accept = async {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, place)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection to the local API");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    cancel.run_until_cancelled(accept).await.flatten()
}

async fn converse(stream: TcpStream, router: Router, cancel: CancellationToken, _place: OwnedSemaphorePermit) {
    // Progress comes in small pieces that should not wait for more. It is only a wish.
    let _ = stream.set_nodelay(true);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Ok(ended),
        () = cancel.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(STOP_TIMEOUT, connection).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection to the local API broke"),
        Err(_) => tracing::debug!("a connection to the local API did not end in time"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::Request;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tower::ServiceExt as _;

    use super::*;
    use crate::api::ErrorBody;
    use crate::api::fake::{FakeDaemon, FakeService};

    async fn ask(request: Request<Body>) -> (StatusCode, axum::http::HeaderMap, String) {
        let token = Token::parse(&choir_shared::base32::encode(&[7; 32])).unwrap();
        let guard = Guard::new("127.0.0.1:6688".parse().unwrap(), token);
        let router = guarded(guard, Arc::new(FakeService::default()), CancellationToken::new());
        let answer = router.oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await.unwrap();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    fn request(method: &str, path: &str) -> axum::http::request::Builder {
        let token = choir_shared::base32::encode(&[7; 32]);
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1:6688")
            .header("authorization", format!("Bearer {token}"))
    }

    #[tokio::test]
    async fn every_answer_has_the_headers_and_every_error_the_shape() {
        let json = |request: axum::http::request::Builder, body: &str| {
            request.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap()
        };
        let big = format!("{{\"link\":\"{}\"}}", "x".repeat(MAX_BODY_BYTES));
        let table = [
            (request("GET", "/").body(Body::empty()).unwrap(), 200),
            (request("GET", "/api/v1/status").body(Body::empty()).unwrap(), 200),
            (request("GET", "/api/v1/nothing").body(Body::empty()).unwrap(), 404),
            (request("GET", "/api/v1/search?limit=many").body(Body::empty()).unwrap(), 400),
            (request("DELETE", "/api/v1/status").body(Body::empty()).unwrap(), 405),
            (request("GET", "/api/v1/downloads/one").body(Body::empty()).unwrap(), 404),
            (request("POST", "/api/v1/downloads/1/explode").body(Body::empty()).unwrap(), 404),
            (json(request("POST", "/api/v1/indexes"), "{"), 400),
            (json(request("POST", "/api/v1/indexes"), "{}"), 400),
            (json(request("POST", "/api/v1/indexes"), &big), 413),
            (json(request("PUT", "/api/v1/uploads/limit"), r#"{"limit":"fast"}"#), 400),
            (request("POST", "/api/v1/indexes").header("content-type", "text/plain").body("x".into()).unwrap(), 415),
            (Request::builder().uri("/").header("host", "evil.example").body(Body::empty()).unwrap(), 421),
            (
                Request::builder().uri("/api/v1/status").header("host", "localhost:6688").body(Body::empty()).unwrap(),
                401,
            ),
        ];
        for (request, status) in table {
            let asked = format!("{} {}", request.method(), request.uri());
            let (answered, headers, body) = ask(request).await;
            assert_eq!(answered.as_u16(), status, "{asked}: {body}");
            for (name, value) in safety_headers() {
                assert_eq!(headers.get(&name), Some(&value), "{asked}");
            }
            assert!(!headers.contains_key("access-control-allow-origin"));
            if status >= 400 {
                let error: ErrorBody = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{asked}: {body}"));
                assert_ne!(error.error.code, ErrorKind::Unknown);
            }
        }
    }

    #[tokio::test]
    async fn a_stop_ends_idle_connections_and_endless_answers() {
        let daemon = FakeDaemon::start(FakeService::default()).await;
        let mut events = daemon.client.download_events().await.unwrap();
        events.next().await.unwrap();
        let address = daemon.client.url().strip_prefix("http://").unwrap().to_owned();
        let mut idle = TcpStream::connect(&address).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();

        daemon.stop().await;
        assert_eq!(events.next().await.unwrap_err().code, ErrorKind::DaemonUnreachable);
        let mut rest = Vec::new();
        let _ = idle.read_to_end(&mut rest).await;
        assert!(TcpStream::connect(&address).await.is_err());
    }

    #[tokio::test]
    async fn only_loopback_is_served() {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let token = Token::random().unwrap();
        let refused = serve(listener, token, Arc::new(FakeService::default()), CancellationToken::new()).await;
        assert!(matches!(refused, Err(ServeError::NotLoopback(_))));
    }
}
