//! What every error answer looks like.

use serde::{Deserialize, Serialize};

/// `application/problem+json` as of RFC 9457, with a stable `code`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    pub title: String,
    pub status: u16,
    pub code: ErrorCode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// With status 429 and 503, as in the header `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
    /// With [`ErrorCode::WrongBase`]: the generation that the index has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $status:literal $title:literal,)*) => {
        /// The registry of error codes, each with its HTTP status and title. Codes are never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)*
            /// A code of a later version.
            #[serde(other)]
            Unknown,
        }

        impl ErrorCode {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)*
                    Self::Unknown => 500,
                }
            }

            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)*
                    Self::Unknown => "an error of a later version",
                }
            }
        }
    };
}

error_codes! {
    /// The request does not parse, or a value is out of range.
    BadRequest = 400 "the request is malformed",
    /// The query has too many words, too many bytes, or a filter that makes no sense.
    BadQuery = 400 "the search is malformed",
    /// A claim, a name or a folder breaks its rules.
    BadClaim = 400 "an entry of the change set is malformed",
    /// No token, or one that has expired or that the index did not issue.
    NotLoggedIn = 401 "log in first",
    /// The signature over the challenge is wrong, or the challenge is too old.
    LoginFailed = 401 "the login signature is wrong or late",
    /// The index takes new members only with an invite.
    InviteNeeded = 403 "this index needs an invite",
    /// The invite is used up, expired or unknown, or whoever made it is banned.
    InviteInvalid = 403 "the invite is not valid",
    /// The index takes no new members at all.
    Closed = 403 "this index takes no new members",
    /// The key or its network is banned here.
    Banned = 403 "banned",
    /// The operator lets nobody find this file here.
    Blocked = 403 "blocked here",
    /// The holder does not let others browse its library.
    NotBrowsable = 403 "this peer does not let others browse",
    /// No such file, peer, album or route.
    NotFound = 404 "not found",
    /// The route is there, but not for this method; the header `Allow` has those that it knows.
    MethodNotAllowed = 405 "not by this method",
    /// The body came too slowly to wait for the rest.
    TooSlow = 408 "the request came too slowly",
    /// The holder is not online now.
    Offline = 409 "this peer is offline",
    /// The change set builds on another generation than the index has.
    WrongBase = 409 "the library has moved on",
    /// Another peer has this name, or one that looks like it.
    NameTaken = 409 "the name is taken",
    /// The body is larger than it may be, packed or unpacked.
    TooLarge = 413 "the request is too large",
    /// A quota of this peer is used up: files, or bytes of claims.
    QuotaExceeded = 422 "quota exceeded",
    /// Too many requests of this kind from this key or network.
    RateLimited = 429 "slow down",
    /// The index is at fault.
    Internal = 500 "the index failed",
    /// The index is too busy or not ready yet.
    Unavailable = 503 "the index is not ready",
}

impl Problem {
    pub fn new(code: ErrorCode) -> Self {
        Self {
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: None,
            retry_after_s: None,
            generation: None,
        }
    }

    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    #[must_use]
    pub fn retry_after_s(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_one_text_and_later_ones_are_understood_as_unknown() {
        assert_eq!(serde_json::to_string(&ErrorCode::NotLoggedIn).unwrap(), "\"not_logged_in\"");
        assert_eq!(serde_json::from_str::<ErrorCode>("\"from_the_future\"").unwrap(), ErrorCode::Unknown);
        for code in ErrorCode::ALL {
            assert!((400..600).contains(&code.status()), "{code:?}");
        }
    }
}
