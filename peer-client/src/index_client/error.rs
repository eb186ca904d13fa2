//! What can go wrong between a peer and an index, one variant for each thing a caller does about it.

use std::time::Duration;

use choir_shared::identity::IndexKey;
use choir_shared::index_api::{ErrorCode, Problem};

use super::address::{IndexUrl, InvalidUrl};
use super::publish::LibraryError;

/// Why an index did not do what it was asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum IndexError {
    #[error("{text:?} is not the address of an index: {why}")]
    BadAddress { text: String, why: InvalidUrl },
    /// It was left in the meantime, or never joined.
    #[error("this peer has not joined that index")]
    NotJoined,
    /// Try again later.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable { url: IndexUrl, reason: String },
    /// Somebody else answers in its place, or it was set up anew. Never to be passed over.
    #[error(
        "{url} HAS ANOTHER KEY than the one you joined ({}, now {}): somebody may be posing as it, or it was set up \
         anew; ask its operator, then `choir leave` it and join again with a new link",
        .pinned.short(), .found.map_or_else(|| "none of an index".to_owned(), |key| key.short())
    )]
    KeyChanged { url: IndexUrl, pinned: IndexKey, found: Option<IndexKey> },
    #[error("{url} is not a Choir index: {reason}")]
    NotAnIndex { url: IndexUrl, reason: String },
    #[error(
        "the index speaks versions {min} to {max} of the protocol and this program version 1; one of them needs an update"
    )]
    Incompatible { min: u16, max: u16 },
    #[error("this index takes new members by invitation; ask a member or its operator for a join link")]
    InviteNeeded,
    #[error("the invite {}; ask for a new join link", .reason.as_ref().map_or_else(
        || "is used up, has expired or is not known here".to_owned(),
        |why| format!("is not valid: {why}"),
    ))]
    InviteInvalid { reason: Option<String> },
    #[error("this index takes no new members")]
    Closed,
    #[error("you are banned from this index{}", .reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Banned { reason: Option<String> },
    /// The token is not or no longer good; [`IndexHttp`](super::IndexHttp) has already tried a fresh one.
    #[error("the index does not accept this peer's login")]
    NotLoggedIn,
    #[error("the index asks to slow down; try again in {} s", .retry_after.as_secs())]
    RateLimited { retry_after: Duration },
    #[error("the index is too busy; try again in {} s", .retry_after.as_secs())]
    Busy { retry_after: Duration },
    /// The library there is at another generation than this peer thought.
    #[error("the index has generation {generation} of the library")]
    WrongBase { generation: u64 },
    /// A refusal with a reason that stands in its code.
    #[error("{}", explain(.0))]
    Refused(Problem),
    /// Our own fault: without the library there is nothing to say to an index.
    #[error(transparent)]
    OwnLibrary(#[from] LibraryError),
    /// The index breaks the rules of the protocol.
    #[error("the index answers nonsense: {0}")]
    Nonsense(String),
}

impl IndexError {
    pub(crate) fn nonsense(what: impl Into<String>) -> Self {
        Self::Nonsense(what.into())
    }

    /// The stable code of a refusal.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::InviteNeeded => Some(ErrorCode::InviteNeeded),
            Self::InviteInvalid { .. } => Some(ErrorCode::InviteInvalid),
            Self::Closed => Some(ErrorCode::Closed),
            Self::Banned { .. } => Some(ErrorCode::Banned),
            Self::NotLoggedIn => Some(ErrorCode::NotLoggedIn),
            Self::RateLimited { .. } => Some(ErrorCode::RateLimited),
            Self::Busy { .. } => Some(ErrorCode::Unavailable),
            Self::WrongBase { .. } => Some(ErrorCode::WrongBase),
            Self::Refused(problem) => Some(problem.code),
            Self::BadAddress { .. }
            | Self::NotJoined
            | Self::Unreachable { .. }
            | Self::KeyChanged { .. }
            | Self::NotAnIndex { .. }
            | Self::Incompatible { .. }
            | Self::OwnLibrary(_)
            | Self::Nonsense(_) => None,
        }
    }

    /// Whether trying again by itself is pointless: the user or the operator has to do something first.
    pub fn needs_people(&self) -> bool {
        match self {
            Self::BadAddress { .. }
            | Self::NotJoined
            | Self::KeyChanged { .. }
            | Self::NotAnIndex { .. }
            | Self::Incompatible { .. }
            | Self::InviteNeeded
            | Self::InviteInvalid { .. }
            | Self::Closed
            | Self::Banned { .. } => true,
            Self::Refused(problem) => problem.status < 500,
            Self::Unreachable { .. }
            | Self::NotLoggedIn
            | Self::RateLimited { .. }
            | Self::Busy { .. }
            | Self::WrongBase { .. }
            | Self::OwnLibrary(_)
            | Self::Nonsense(_) => false,
        }
    }
}

/// A pause that an index asks for is kept within these, whatever it says.
const PAUSE_S: std::ops::RangeInclusive<u32> = 1..=3600;

/// If it asks for none.
const DEFAULT_PAUSE_S: u32 = 5;

fn pause(asked_s: Option<u32>) -> Duration {
    Duration::from_secs(asked_s.unwrap_or(DEFAULT_PAUSE_S).clamp(*PAUSE_S.start(), *PAUSE_S.end()).into())
}

impl From<Problem> for IndexError {
    fn from(problem: Problem) -> Self {
        match problem.code {
            ErrorCode::NotLoggedIn => Self::NotLoggedIn,
            ErrorCode::InviteNeeded => Self::InviteNeeded,
            ErrorCode::InviteInvalid => Self::InviteInvalid { reason: problem.detail },
            ErrorCode::Closed => Self::Closed,
            ErrorCode::Banned => Self::Banned { reason: problem.detail },
            ErrorCode::RateLimited => Self::RateLimited { retry_after: pause(problem.retry_after_s) },
            ErrorCode::Unavailable | ErrorCode::Internal => Self::Busy { retry_after: pause(problem.retry_after_s) },
            ErrorCode::WrongBase => match problem.generation {
                Some(generation) => Self::WrongBase { generation },
                // The digests disagree: like every refusal of a set, it is answered by publishing all anew.
                None => Self::Refused(problem),
            },
            _ => Self::Refused(problem),
        }
    }
}

fn explain(problem: &Problem) -> String {
    match &problem.detail {
        Some(detail) => format!("the index refuses: {}: {detail}", problem.title),
        None => format!("the index refuses: {}", problem.title),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_stays_within_reason() {
        let table = [(None, 5), (Some(0), 1), (Some(30), 30), (Some(u32::MAX), 3600)];
        for (asked_s, seconds) in table {
            let problem = Problem { retry_after_s: asked_s, ..Problem::new(ErrorCode::RateLimited) };
            assert_eq!(
                IndexError::from(problem),
                IndexError::RateLimited { retry_after: Duration::from_secs(seconds) }
            );
        }
    }

    #[test]
    fn every_code_is_kept_through_its_variant() {
        for &code in ErrorCode::ALL {
            let problem = Problem { generation: Some(1), ..Problem::new(code) };
            let kept = IndexError::from(problem).code();
            let expected = if code == ErrorCode::Internal { ErrorCode::Unavailable } else { code };
            assert_eq!(kept, Some(expected), "{code:?}");
        }
    }
}
