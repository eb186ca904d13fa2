//! What can go wrong at the door, in stable words.
//!
//! One registry gives each word its HTTP status and the exit code of the command that meets it, so that a script
//! that reads JSON, a page that reads the status and a shell that reads `$?` are told the same.

use serde::{Deserialize, Serialize};

/// How a command ends. The numbers are a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    /// The command line makes no sense (clap's own code for it).
    Usage = 2,
    /// Nothing was found, or too much to choose from.
    NotFound = 3,
    Refused = 4,
    /// No index, no peer, or no daemon answers.
    Unreachable = 5,
    /// The bytes are not those they should be.
    Integrity = 6,
    /// Some of several.
    Incomplete = 7,
    /// As shells report a death by SIGINT.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

macro_rules! error_kinds {
    ($($(#[$doc:meta])* $variant:ident = $status:literal $exit:ident,)*) => {
        /// The registry of errors, each with its HTTP status and exit code. Words are never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorKind {
            $($(#[$doc])* $variant,)*
            /// A word of a later version.
            #[serde(other)]
            Unknown,
        }

        impl ErrorKind {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)*
                    Self::Unknown => 500,
                }
            }

            pub const fn exit(self) -> Exit {
                match self {
                    $(Self::$variant => Exit::$exit,)*
                    Self::Unknown => Exit::Failed,
                }
            }
        }
    };
}

error_kinds! {
    /// An argument that cannot be understood or does not fit the others.
    Usage = 400 Usage,
    /// The request's token is missing or wrong.
    Unauthorized = 401 Refused,
    /// A page of another origin asks.
    ForeignOrigin = 403 Refused,
    /// The index or the peer says no.
    Refused = 403 Refused,
    /// An index takes new members only with an invite, and this is none.
    InviteNeeded = 403 Refused,
    /// The index shows another key than the one remembered.
    KeyChanged = 403 Refused,
    /// A folder that is never shared: `/`, the home folder, a system folder.
    FolderRefused = 403 Refused,
    NotFound = 404 NotFound,
    /// What is asked for does not fit the state of things: resuming what is done, joining twice.
    Conflict = 409 Failed,
    /// Several things match where one is needed.
    Ambiguous = 409 NotFound,
    /// Another peer of this index has the name, or one that looks like it.
    NameTaken = 409 Refused,
    TooLarge = 413 Failed,
    UnsupportedMedia = 415 Failed,
    /// The request was sent to a host name that is not this program's.
    Misdirected = 421 Refused,
    /// Bytes do not have the file id they should have.
    Integrity = 422 Integrity,
    /// Some of several things were done.
    Incomplete = 422 Incomplete,
    /// The index wants fewer requests.
    RateLimited = 429 Unreachable,
    /// The person gave up (Ctrl-C).
    Interrupted = 499 Interrupted,
    Internal = 500 Failed,
    IndexUnreachable = 502 Unreachable,
    PeersUnreachable = 502 Unreachable,
    /// The daemon is stopping, or gone.
    DaemonUnreachable = 503 Unreachable,
    DiskFull = 507 Failed,
}

/// An error that is told to a person or a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ServiceError {
    pub code: ErrorKind,
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ServiceError {
    pub fn new(code: ErrorKind, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub const fn exit(&self) -> Exit {
        self.code.exit()
    }
}

/// What every use case of the door answers.
pub type Answer<T> = Result<T, ServiceError>;

/// The body of every error answer, and what `--json` prints of an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: ServiceError,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_one_exit_code_and_an_error_status() {
        for kind in ErrorKind::ALL {
            assert!((400..600).contains(&kind.status()), "{kind:?}");
            assert_ne!(kind.exit(), Exit::Done, "{kind:?}");
        }
        let table = [
            (ErrorKind::Internal, 1),
            (ErrorKind::Usage, 2),
            (ErrorKind::NotFound, 3),
            (ErrorKind::Ambiguous, 3),
            (ErrorKind::Refused, 4),
            (ErrorKind::IndexUnreachable, 5),
            (ErrorKind::PeersUnreachable, 5),
            (ErrorKind::Integrity, 6),
            (ErrorKind::Incomplete, 7),
            (ErrorKind::Interrupted, 130),
        ];
        for (kind, code) in table {
            assert_eq!(kind.exit() as u8, code, "{kind:?}");
        }
    }

    #[test]
    fn errors_have_one_shape_and_words_of_later_versions_are_understood_as_unknown() {
        let error = ServiceError::new(ErrorKind::NotFound, "nothing").hint("try less");
        let text = serde_json::to_string(&ErrorBody { error }).unwrap();
        assert_eq!(text, r#"{"error":{"code":"not_found","message":"nothing","hint":"try less"}}"#);
        assert_eq!(serde_json::from_str::<ErrorKind>(r#""from_the_future""#).unwrap(), ErrorKind::Unknown);
    }
}
