//! Who may ask. Pure rules over the head of a request, checked before anything else looks at it.
//!
//! The door is open to every program of this machine, and through the browser to every page that the user visits. In
//! this order:
//!
//! 1. **The host must be one of ours, port included**, else 421. A page of `evil.example` whose name is rebound to
//!    127.0.0.1 is of the same origin as this server in the browser's eyes; only the host name tells them apart
//!    (Transmission's CVE-2018-5702). It comes first, so that nothing of an answer reaches such a page.
//! 2. **The token** must come with every request but the one for the page itself, which holds no secrets. It travels
//!    in a header that other origins cannot set without asking first; nobody here says yes to such questions (no
//!    CORS). No cookies: browsers send them to every port of a host.
//! 3. **A change must come from our own page or from no page**: `Origin`, where there is one, is ours, and
//!    `Sec-Fetch-Site` is absent, `same-origin` or `none`. `Origin: null` is a page that hides.
//! 4. **A change has a JSON body or none.** What a form can send is neither.

use std::net::SocketAddr;

use axum::http::{HeaderMap, Method, Uri, header};

use super::error::{ErrorKind, ServiceError};
use super::token::Token;

/// Header that browsers set and pages cannot.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Everything the rules compare with.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The host names by which this server may be asked for, each with the port.
    hosts: Vec<String>,
    token: Token,
}

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
}

/// The first rule that a request breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("this is not the host that was asked for")]
    WrongHost,
    #[error("a token is needed")]
    NoToken,
    #[error("the token is not that of this daemon")]
    WrongToken,
    #[error("pages of other origins may change nothing here")]
    ForeignOrigin,
    #[error("the body of a change is JSON")]
    NotJson,
}

impl Guard {
    /// The rules for a server that listens on `address`.
    pub fn new(address: SocketAddr, token: Token) -> Self {
        let port = address.port();
        Self { hosts: ["127.0.0.1", "[::1]", "localhost"].map(|host| format!("{host}:{port}")).to_vec(), token }
    }

    pub fn admit(&self, asked: Asked<'_>) -> Result<(), Rejection> {
        self.check_host(asked)?;
        if is_page(asked) {
            return Ok(());
        }
        self.check_token(asked.headers)?;
        if asked.method.is_safe() {
            return Ok(());
        }
        self.check_origin(asked.headers)?;
        check_body(asked.headers)
    }

    /// Exactly one `Host`; a request line with a whole URL must name the same.
    fn check_host(&self, asked: Asked<'_>) -> Result<(), Rejection> {
        let host = only(asked.headers, header::HOST.as_str()).ok_or(Rejection::WrongHost)?;
        let same = asked.uri.authority().is_none_or(|authority| authority.as_str().eq_ignore_ascii_case(host));
        if same && self.is_ours(host) { Ok(()) } else { Err(Rejection::WrongHost) }
    }

    fn is_ours(&self, host: &str) -> bool {
        self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        if !headers.contains_key(header::AUTHORIZATION) {
            return Err(Rejection::NoToken);
        }
        let token = only(headers, header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        if token.is_some_and(|token| self.token.matches(token)) { Ok(()) } else { Err(Rejection::WrongToken) }
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        if headers.contains_key(header::ORIGIN) {
            let host = only(headers, header::ORIGIN.as_str()).and_then(|origin| origin.strip_prefix("http://"));
            if !host.is_some_and(|host| self.is_ours(host)) {
                return Err(Rejection::ForeignOrigin);
            }
        }
        let from = headers.contains_key(SEC_FETCH_SITE).then(|| only(headers, SEC_FETCH_SITE));
        match from {
            None | Some(Some("same-origin" | "none")) => Ok(()),
            Some(_) => Err(Rejection::ForeignOrigin),
        }
    }
}

/// The page itself, which a browser asks for before it has a token.
fn is_page(asked: Asked<'_>) -> bool {
    asked.method.is_safe() && asked.uri.path() == "/"
}

fn check_body(headers: &HeaderMap) -> Result<(), Rejection> {
    let length = only(headers, header::CONTENT_LENGTH.as_str()).unwrap_or("0");
    let empty = length == "0" && !headers.contains_key(header::TRANSFER_ENCODING);
    if !headers.contains_key(header::CONTENT_TYPE) {
        return if empty { Ok(()) } else { Err(Rejection::NotJson) };
    }
    let kind = only(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Rejection::NotJson) }
}

/// The value of a header that is there exactly once, as text.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

impl From<Rejection> for ServiceError {
    fn from(rejection: Rejection) -> Self {
        let code = match rejection {
            Rejection::WrongHost => ErrorKind::Misdirected,
            Rejection::NoToken | Rejection::WrongToken => ErrorKind::Unauthorized,
            Rejection::ForeignOrigin => ErrorKind::ForeignOrigin,
            Rejection::NotJson => ErrorKind::UnsupportedMedia,
        };
        let error = Self::new(code, rejection.to_string());
        match rejection {
            Rejection::NoToken | Rejection::WrongToken => error.hint("`choir open` opens the page with the right one"),
            _ => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::routes;

    /// A request to change something that the guard admits, with `changes` made: an empty value takes a header away.
    fn verdict(method: &Method, path: &str, changes: &[(&'static str, &str)]) -> Result<(), Rejection> {
        let token = Token::random().unwrap();
        let authorization = format!("Bearer {}", token.to_text());
        let guard = Guard::new("127.0.0.1:6688".parse().unwrap(), token);
        let mut headers = HeaderMap::new();
        headers.insert("host", "127.0.0.1:6688".parse().unwrap());
        headers.insert("authorization", authorization.parse().unwrap());
        headers.insert("content-type", "application/json".parse().unwrap());
        headers.insert("content-length", "2".parse().unwrap());
        for (name, value) in changes {
            headers.remove(*name);
            if !value.is_empty() {
                headers.insert(*name, value.parse().unwrap());
            }
        }
        guard.admit(Asked { method, uri: &path.parse().unwrap(), headers: &headers })
    }

    #[test]
    fn every_change_is_guarded_against_every_stranger() {
        let matrix: &[(&[(&'static str, &str)], Result<(), Rejection>)] = &[
            (&[], Ok(())),
            (&[("host", "localhost:6688")], Ok(())),
            (&[("host", "[::1]:6688")], Ok(())),
            (&[("origin", "http://127.0.0.1:6688"), ("sec-fetch-site", "same-origin")], Ok(())),
            (&[("sec-fetch-site", "none")], Ok(())),
            (&[("content-type", "application/json; charset=utf-8")], Ok(())),
            (&[("content-type", ""), ("content-length", "0")], Ok(())),
            (&[("host", "")], Err(Rejection::WrongHost)),
            (&[("host", "evil.example")], Err(Rejection::WrongHost)),
            (&[("host", "evil.example:6688")], Err(Rejection::WrongHost)),
            (&[("host", "127.0.0.1")], Err(Rejection::WrongHost)),
            (&[("host", "127.0.0.1:80")], Err(Rejection::WrongHost)),
            (&[("host", "127.0.0.1:6688.evil.example")], Err(Rejection::WrongHost)),
            (&[("host", "evil.example"), ("authorization", "")], Err(Rejection::WrongHost)),
            (&[("authorization", "")], Err(Rejection::NoToken)),
            (&[("authorization", "Bearer")], Err(Rejection::WrongToken)),
            (&[("authorization", "Bearer aaaa")], Err(Rejection::WrongToken)),
            (&[("authorization", "Basic YWRtaW46YWRtaW4=")], Err(Rejection::WrongToken)),
            (&[("origin", "http://evil.example")], Err(Rejection::ForeignOrigin)),
            (&[("origin", "http://127.0.0.1:80")], Err(Rejection::ForeignOrigin)),
            (&[("origin", "https://127.0.0.1:6688")], Err(Rejection::ForeignOrigin)),
            (&[("origin", "null")], Err(Rejection::ForeignOrigin)),
            (&[("sec-fetch-site", "cross-site")], Err(Rejection::ForeignOrigin)),
            (&[("sec-fetch-site", "same-site")], Err(Rejection::ForeignOrigin)),
            (&[("origin", "http://127.0.0.1:6688"), ("sec-fetch-site", "cross-site")], Err(Rejection::ForeignOrigin)),
            (&[("content-type", "application/x-www-form-urlencoded")], Err(Rejection::NotJson)),
            (&[("content-type", "multipart/form-data; boundary=x")], Err(Rejection::NotJson)),
            (&[("content-type", "text/plain")], Err(Rejection::NotJson)),
            (&[("content-type", "")], Err(Rejection::NotJson)),
            (
                &[("content-type", ""), ("content-length", "0"), ("transfer-encoding", "chunked")],
                Err(Rejection::NotJson),
            ),
        ];
        let changes: Vec<_> = routes::listed().into_iter().filter(|(method, _)| !method.is_safe()).collect();
        assert!(changes.len() > 10, "{changes:?}");
        for (method, path) in changes {
            let path = path.replace(['{', '}'], "");
            for (headers, expected) in matrix {
                assert_eq!(verdict(&method, &path, headers), *expected, "{method} {path} {headers:?}");
            }
        }
    }

    #[test]
    fn reading_needs_host_and_token_too_and_only_the_page_is_free() {
        for (method, path) in routes::listed().into_iter().filter(|(method, _)| method.is_safe()) {
            let without_token = verdict(&method, &path.replace(['{', '}'], ""), &[("authorization", "")]);
            let expected = if path == "/" { Ok(()) } else { Err(Rejection::NoToken) };
            assert_eq!(without_token, expected, "{path}");
            assert_eq!(
                verdict(&method, &path.replace(['{', '}'], ""), &[("host", "evil.example")]),
                Err(Rejection::WrongHost)
            );
        }
        assert_eq!(verdict(&Method::POST, "/", &[("authorization", "")]), Err(Rejection::NoToken));
    }

    #[test]
    fn a_header_that_comes_twice_and_a_foreign_request_line_are_refused() {
        assert_eq!(verdict(&Method::GET, "http://evil.example:6688/api/v1/status", &[]), Err(Rejection::WrongHost));
        let token = Token::random().unwrap();
        let guard = Guard::new("127.0.0.1:6688".parse().unwrap(), token);
        let mut headers = HeaderMap::new();
        headers.append("host", "127.0.0.1:6688".parse().unwrap());
        headers.append("host", "evil.example".parse().unwrap());
        let asked = Asked { method: &Method::GET, uri: &"/".parse().unwrap(), headers: &headers };
        assert_eq!(guard.admit(asked), Err(Rejection::WrongHost));
    }
}
