//! The HTTP API of the index: paths, and the JSON of every request and answer.
//!
//! Fields may be added, never renamed; units are in the names. Readers ignore fields that they do not know.
//! Errors are `application/problem+json` (RFC 9457) with a stable [`ErrorCode`].

pub mod albums;
pub mod library;
pub mod people;
pub mod problem;
pub mod reports;
pub mod search;
pub mod session;

pub use albums::{Album, AlbumHolder, AlbumPage, AlbumRow};
pub use library::{Addition, ChangeSet, ChangesAnswer, Folder, Phase};
pub use people::{
    Candidate, CandidateKind, Introduction, IntroductionRequest, LibraryFolder, LibraryPage, Me, MeUpdate, Profile,
    Reach, Source, Sources,
};
pub use problem::{ErrorCode, Problem};
pub use reports::{ReportReason, ReportRequest, Reported};
pub use search::{Exactness, ExplainedWord, Explanation, FacetCount, Facets, SearchPage, SearchRow, TotalIs};
pub use session::{Access, Challenge, Info, Limits, LoginRequest, Session, UdpEndpoint};

/// Every route but health begins so; another major version would begin with `/api/v2`.
pub const PREFIX: &str = "/api/v1";

/// The media type of errors.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The path of everything one file has.
pub fn file_path(file: &crate::FileId) -> String {
    format!("{PREFIX}/files/{file}")
}

/// The path of everything one peer has.
pub fn peer_path(peer: &crate::PeerId) -> String {
    format!("{PREFIX}/peers/{peer}")
}

/// The same for the peer that has this display name.
pub fn named_peer_path(name: &str) -> String {
    format!("{PREFIX}/peers/{}", crate::link::encode(name))
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    #[test]
    fn words_of_a_later_index_have_a_harmless_meaning() {
        fn later<T: DeserializeOwned>() -> T {
            serde_json::from_str("\"from_the_future\"").unwrap()
        }
        assert_eq!(later::<Reach>(), Reach::Unknown);
        assert_eq!(later::<TotalIs>(), TotalIs::AtLeast);
        assert_eq!(later::<Access>(), Access::Other);
        assert_eq!(later::<CandidateKind>(), CandidateKind::Other);
        assert!(serde_json::from_str::<Phase>("\"from_the_future\"").is_err(), "an index must know what to do");
    }
}
