//! What a caller is told when something goes wrong: `application/problem+json` with a stable code.
//!
//! A fault of the index itself is logged with its cause and answered without it: what our disk complains of is no
//! stranger's business.

use std::fmt::Display;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use choir_shared::index_api::{ErrorCode, PROBLEM_JSON, Problem};

use crate::search::SearchError;
use crate::store::{ChangeError, EnrolError, RenameError, ReportError, StoreError};
use crate::uploads::UploadError;

/// The store is away while the index stops or starts, and while its database or its disk is.
const STORE_COMES_BACK: Duration = Duration::from_secs(5);

/// An answer that is no success. Boxed, because every handler's result carries one.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Problem>);

impl ApiError {
    pub(crate) fn new(code: ErrorCode) -> Self {
        Self(Box::new(Problem::new(code)))
    }

    pub(crate) fn because(code: ErrorCode, detail: impl Display) -> Self {
        Self(Box::new(Problem::new(code).detail(detail.to_string())))
    }

    /// Our own failure. The cause goes to the log only.
    pub(crate) fn internal(cause: impl Display) -> Self {
        tracing::error!(%cause, "a request failed");
        metrics::counter!("choir_index_internal_errors_total").increment(1);
        Self::new(ErrorCode::Internal)
    }

    /// Too many others are at it.
    pub(crate) fn busy(what: &'static str) -> Self {
        metrics::counter!("choir_index_busy_total", "what" => what).increment(1);
        Self::because(ErrorCode::Unavailable, format_args!("too many {what} at once"))
    }

    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        // Rounded up: who comes back too early is refused again.
        let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
        Self(Box::new(self.0.retry_after_s(seconds)))
    }

    pub(crate) fn generation(mut self, generation: u64) -> Self {
        self.0.generation = Some(generation);
        self
    }

    #[cfg(test)]
    pub(crate) fn problem(&self) -> &Problem {
        &self.0
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if let Some(seconds) = self.0.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What was meant by the store, told to a caller.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable => Self::new(ErrorCode::Unavailable).retry_after(STORE_COMES_BACK),
            StoreError::Lost(error) => {
                tracing::error!(%error, "the database cannot serve a request");
                metrics::counter!("choir_index_outages_total").increment(1);
                Self::because(ErrorCode::Unavailable, "the index cannot use its database at the moment")
                    .retry_after(STORE_COMES_BACK)
            }
            error => Self::internal(error),
        }
    }
}

impl From<EnrolError> for ApiError {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::InviteInvalid => Self::new(ErrorCode::InviteInvalid),
            EnrolError::InviterBanned => Self::because(ErrorCode::InviteInvalid, error),
            EnrolError::Store(error) => error.into(),
        }
    }
}

impl From<ReportError> for ApiError {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::TooManyOfOne(_) | ReportError::TooMany(_) => Self::because(ErrorCode::QuotaExceeded, error),
            ReportError::Store(error) => error.into(),
        }
    }
}

impl From<RenameError> for ApiError {
    fn from(error: RenameError) -> Self {
        match error {
            RenameError::Taken => Self::new(ErrorCode::NameTaken),
            RenameError::NoSuchMember => Self::new(ErrorCode::NotLoggedIn),
            RenameError::Store(error) => error.into(),
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::WrongBase { generation } => Self::new(ErrorCode::WrongBase).generation(generation),
            // The cure is the same: publish the collection anew.
            ChangeError::HeadMismatch => Self::because(ErrorCode::WrongBase, error),
            ChangeError::BadEntry(_) => Self::because(ErrorCode::BadClaim, error),
            ChangeError::QuotaExceeded(_) => Self::because(ErrorCode::QuotaExceeded, error),
            ChangeError::NoSuchMember => Self::new(ErrorCode::NotLoggedIn),
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        let code = match error {
            UploadError::TooLarge(_) => ErrorCode::TooLarge,
            UploadError::TooSlow(_) => ErrorCode::TooSlow,
            UploadError::Broken(_) => ErrorCode::BadRequest,
        };
        Self::because(code, error)
    }
}

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::BadCursor => Self::because(ErrorCode::BadQuery, error),
            SearchError::Engine(_) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_error_is_problem_json_and_says_when_to_come_back() {
        let error = ApiError::because(ErrorCode::RateLimited, "searches").retry_after(Duration::from_millis(1001));
        let response = error.into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        let problem: Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem, Problem::new(ErrorCode::RateLimited).detail("searches").retry_after_s(2));
    }

    #[test]
    fn our_own_faults_are_not_explained_to_strangers() {
        assert_eq!(ApiError::internal("disk full at /srv").problem(), &Problem::new(ErrorCode::Internal));
    }
}
