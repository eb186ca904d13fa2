//! What goes wrong below, in the words of the door.

use crate::api::{ErrorKind, ServiceError};
use crate::download::list::ListError;
use crate::index_client::IndexError;

pub(super) fn index_error(error: &IndexError) -> ServiceError {
    use choir_shared::index_api::ErrorCode;
    let kind = match error {
        IndexError::BadAddress { .. } => ErrorKind::Usage,
        IndexError::NotJoined => ErrorKind::NotFound,
        IndexError::Unreachable { .. }
        | IndexError::NotAnIndex { .. }
        | IndexError::Nonsense(_)
        | IndexError::Busy { .. } => ErrorKind::IndexUnreachable,
        IndexError::KeyChanged { .. }
        | IndexError::Incompatible { .. }
        | IndexError::InviteNeeded
        | IndexError::InviteInvalid { .. }
        | IndexError::Closed
        | IndexError::Banned { .. }
        | IndexError::NotLoggedIn => ErrorKind::Refused,
        IndexError::RateLimited { .. } => ErrorKind::RateLimited,
        IndexError::Refused(problem) => match problem.code {
            ErrorCode::NotFound => ErrorKind::NotFound,
            ErrorCode::NameTaken => ErrorKind::NameTaken,
            ErrorCode::BadRequest | ErrorCode::BadQuery => ErrorKind::Usage,
            ErrorCode::Offline => ErrorKind::PeersUnreachable,
            _ => ErrorKind::Refused,
        },
        IndexError::WrongBase { .. } | IndexError::OwnLibrary(_) => ErrorKind::Internal,
    };
    ServiceError::new(kind, error.to_string())
}

pub(super) fn list_error(error: &ListError) -> ServiceError {
    let kind = match error {
        ListError::NoSuch { .. } | ListError::NotOffered { .. } => ErrorKind::NotFound,
        ListError::Over { .. } | ListError::Same { .. } => ErrorKind::Conflict,
        ListError::Stopping => ErrorKind::DaemonUnreachable,
        ListError::Database(_) => ErrorKind::Internal,
    };
    ServiceError::new(kind, error.to_string())
}
