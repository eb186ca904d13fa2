//! Who sends a request: the member whose token it carries.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use choir_shared::PeerId;
use choir_shared::index_api::ErrorCode;

use super::Token;
use crate::clock::now_unix_s;
use crate::error::ApiError;
use crate::index::Index;
use crate::limits::Limit;
use crate::origin::Origin;
use crate::store::MemberNo;

/// A member that is logged in and not banned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) peer: PeerId,
    pub(crate) member: MemberNo,
    pub(crate) origin: Origin,
}

impl Caller {
    /// Counts one request of this kind.
    pub(crate) fn count(&self, index: &Index, limit: Limit) -> Result<(), ApiError> {
        index.limits.count(limit, &self.peer, self.origin)
    }
}

impl FromRequestParts<Index> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, index: &Index) -> Result<Self, ApiError> {
        let origin = Origin::from_request_parts(parts, index).await?;
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let text = header.and_then(|value| value.strip_prefix("Bearer "));
        // A refusal costs little, but is not to be had without end.
        let stranger = |refusal| index.limits.count_network(Limit::Visits, origin).err().unwrap_or(refusal);
        let text = text.ok_or_else(|| stranger(ApiError::new(ErrorCode::NotLoggedIn)))?;
        let token = Token::open(&index.keys.tokens, text, now_unix_s())
            .map_err(|refused| stranger(ApiError::because(ErrorCode::NotLoggedIn, refused)))?;
        index.roster.unless_banned(&token.peer, origin).map_err(stranger)?;
        // Erased members keep a token for a while; who has joined again has another number.
        match index.roster.member(&token.peer).await? {
            Some(member) if member == token.member => Ok(Self { peer: token.peer, member, origin }),
            _ => Err(ApiError::because(ErrorCode::NotLoggedIn, "this member was erased")),
        }
    }
}
