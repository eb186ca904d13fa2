//! `POST /reports`: what a member wants the operator to look at.

use serde::{Deserialize, Serialize};

use crate::file_id::FileId;
use crate::identity::PeerId;

/// Most bytes of [`ReportRequest::details`].
pub const MAX_DETAILS_BYTES: usize = 1000;

/// A file, a peer, or what a peer does with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerId>,
    pub reason: ReportReason,
    /// For the operator to read; at most [`MAX_DETAILS_BYTES`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReportReason {
    /// Not what its title says.
    Fake,
    /// Does not play, or only in part.
    Broken,
    /// Should not be here by law or by the index's rules.
    Forbidden,
    /// A peer that troubles others.
    Abuse,
    #[serde(other)]
    Other,
}

impl ReportReason {
    /// As in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fake => "fake",
            Self::Broken => "broken",
            Self::Forbidden => "forbidden",
            Self::Abuse => "abuse",
            Self::Other => "other",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reported {
    /// The number by which the operator knows the report; the same if it is sent again.
    pub report: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_one_text_and_later_ones_are_other() {
        use ReportReason::*;
        for reason in [Fake, Broken, Forbidden, Abuse, Other] {
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{}\"", reason.as_str()));
        }
        assert_eq!(serde_json::from_str::<ReportReason>("\"from_the_future\"").unwrap(), Other);
    }
}
