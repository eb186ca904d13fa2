//! From bytes on the wire to an answer or to what went wrong, never reading more than a bound.

use std::error::Error;

use choir_shared::index_api::{ErrorCode, Problem};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;

use super::super::address::IndexUrl;
use super::super::error::IndexError;
use super::super::pinning::OtherKey;
use super::{MAX_ANSWER_BYTES, Patience};

/// Why there is no body.
pub(super) enum Failure {
    Transport(reqwest::Error),
    Answer(IndexError),
}

/// The body of a success, at most `most` bytes of it; otherwise the refusal.
pub(super) async fn read(response: Response, most: usize) -> Result<Vec<u8>, Failure> {
    let status = response.status();
    if status.is_success() {
        return read_body(response, most).await;
    }
    let retry_after_s =
        response.headers().get(reqwest::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = read_body(response, MAX_ANSWER_BYTES).await?;
    Err(Failure::Answer(refusal(status, retry_after_s, &body)))
}

async fn read_body(mut response: Response, most: usize) -> Result<Vec<u8>, Failure> {
    let too_large = || Failure::Answer(IndexError::nonsense(format!("more than {most} bytes")));
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Failure::Transport)? {
        if body.len() + chunk.len() > most {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, IndexError> {
    serde_json::from_slice(body).map_err(|error| IndexError::nonsense(error.to_string()))
}

/// What an answer without success means. Proxies in front of an index answer too, without our JSON.
pub(crate) fn refusal(status: StatusCode, retry_after_s: Option<u32>, body: &[u8]) -> IndexError {
    if let Ok(mut problem) = serde_json::from_slice::<Problem>(body) {
        problem.status = status.as_u16();
        problem.retry_after_s = problem.retry_after_s.or(retry_after_s);
        return problem.into();
    }
    let code = match status {
        StatusCode::UNAUTHORIZED => ErrorCode::NotLoggedIn,
        StatusCode::TOO_MANY_REQUESTS => ErrorCode::RateLimited,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            ErrorCode::Unavailable
        }
        _ => return IndexError::nonsense(format!("HTTP status {} without an explanation", status.as_u16())),
    };
    IndexError::from(Problem { retry_after_s, ..Problem::new(code) })
}

/// What a failure below HTTP means.
pub(super) fn transport(url: &IndexUrl, patience: Patience, error: &reqwest::Error) -> IndexError {
    if let Some(OtherKey { pinned, found }) = OtherKey::within(error) {
        return IndexError::KeyChanged { url: url.clone(), pinned, found: Some(found) };
    }
    let reason = if error.is_timeout() {
        let waited = if error.is_connect() { patience.connect } else { patience.total };
        format!("no answer within {waited:?}")
    } else {
        root_cause(error)
    };
    IndexError::Unreachable { url: url.clone(), reason }
}

/// The innermost error, which says what happened; those around it only say where.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn refusals_are_understood_with_and_without_our_json() {
        let problem = serde_json::to_vec(&Problem::new(ErrorCode::InviteNeeded)).unwrap();
        let later = br#"{"title":"new","status":418,"code":"from_the_future"}"#;
        let seconds = Duration::from_secs;
        let table: [(u16, Option<u32>, &[u8], IndexError); 6] = [
            (403, None, &problem, IndexError::InviteNeeded),
            (429, Some(7), b"slow down", IndexError::RateLimited { retry_after: seconds(7) }),
            (503, None, b"<html>", IndexError::Busy { retry_after: seconds(5) }),
            (401, None, b"", IndexError::NotLoggedIn),
            (500, None, b"oops", IndexError::nonsense("HTTP status 500 without an explanation")),
            (
                418,
                None,
                later,
                IndexError::Refused(Problem { title: "new".into(), status: 418, ..Problem::new(ErrorCode::Unknown) }),
            ),
        ];
        for (status, retry_after_s, body, error) in table {
            assert_eq!(refusal(StatusCode::from_u16(status).unwrap(), retry_after_s, body), error, "{status}");
        }
    }
}
