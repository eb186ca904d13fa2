//! `GET /challenge` and `POST /sessions`: logging in by key.

use axum::Json;
use axum::extract::State;
use choir_shared::identity::verify_login;
use choir_shared::index_api::{Challenge, ErrorCode, LoginRequest, Session};
use choir_shared::ticket::Ticket;

use crate::auth::{self, CHALLENGE_SECONDS, SESSION_SECONDS, Token};
use crate::clock::now_unix_s;
use crate::error::ApiError;
use crate::index::Index;
use crate::input;
use crate::limits::Limit;
use crate::origin::Origin;
use crate::settings::Access;
use crate::store::{Enrolment, Member};

#[utoipa::path(get, path = "/challenge", responses((status = 200, body = Challenge), (status = 429)))]
pub(super) async fn challenge(State(index): State<Index>, origin: Origin) -> Result<Json<Challenge>, ApiError> {
    index.limits.count_network(Limit::Logins, origin)?;
    let challenge = auth::challenge(&index.keys.challenges, now_unix_s());
    Ok(Json(Challenge { challenge, expires_in_s: CHALLENGE_SECONDS as u32 }))
}

#[utoipa::path(post, path = "/sessions", request_body = LoginRequest, responses((status = 200, body = Session), (status = 401), (status = 403), (status = 429)))]
pub(super) async fn log_in(
    State(index): State<Index>,
    origin: Origin,
    input::Json(login): input::Json<LoginRequest>,
) -> Result<Json<Session>, ApiError> {
    index.limits.count_network(Limit::Logins, origin)?;
    let now = now_unix_s();
    auth::check_challenge(&index.keys.challenges, &login.challenge, now)
        .map_err(|refused| ApiError::because(ErrorCode::LoginFailed, refused))?;
    if !verify_login(&login.peer, &index.keys.index_key(), login.challenge.as_bytes(), &login.signature) {
        return Err(ApiError::new(ErrorCode::LoginFailed));
    }
    index.limits.count_key(Limit::Logins, &login.peer)?;
    index.roster.unless_banned(&login.peer, origin)?;
    let member = admit(&index, &login, now).await?;
    index.roster.remember(login.peer, member.no);
    let expires_unix_s = now + SESSION_SECONDS;
    Ok(Json(Session {
        token: Token { peer: login.peer, member: member.no, expires_unix_s }.seal(&index.keys.tokens),
        expires_in_s: SESSION_SECONDS as u32,
        ticket: Ticket::issue(&index.keys.secret, login.peer, expires_unix_s),
        name: member.name,
    }))
}

/// A member comes in. A stranger becomes one, if this index takes any.
async fn admit(index: &Index, login: &LoginRequest, now: u64) -> Result<Member, ApiError> {
    if let Some(member) = index.store.member(&login.peer).await? {
        index.store.touch(&login.peer, now).await?;
        return Ok(member);
    }
    let how = match (index.settings.access, &login.invite) {
        (Access::Closed, _) => return Err(ApiError::new(ErrorCode::Closed)),
        (Access::Open, _) => Enrolment::Open,
        (Access::Invite, None) => return Err(ApiError::new(ErrorCode::InviteNeeded)),
        (Access::Invite, Some(code)) => Enrolment::Invite(code),
    };
    let member = index.store.enrol(&login.peer, how, now).await?;
    metrics::counter!("choir_index_members_enrolled_total").increment(1);
    Ok(member)
}
