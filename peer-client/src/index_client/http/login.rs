//! Logging in, and staying so.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use choir_shared::identity::sign_login;
use choir_shared::index_api::{Challenge, LoginRequest, PREFIX, Session};
use choir_shared::ticket::{InvalidTicket, Ticket};
use reqwest::Method;

use super::super::error::IndexError;
use super::{IndexHttp, MAX_ANSWER_BYTES};

/// A token is a header of every request.
const MAX_TOKEN_BYTES: usize = 4096;

/// The challenge is signed and sent back as it is.
const MAX_CHALLENGE_BYTES: usize = 4096;

/// No login is renewed more often, however short the index says that it lives, nor counted on for longer.
const LIFETIME_S: std::ops::RangeInclusive<u32> = 20..=7 * 24 * 3600;

/// A session in use.
pub(crate) struct Login {
    pub(crate) session: Session,
    renew_at: Instant,
}

#[derive(Default)]
pub(super) struct Logins {
    held: Mutex<Option<Arc<Login>>>,
    /// Held while logging in, so that ten requests at once make one login.
    turn: tokio::sync::Mutex<()>,
}

impl Logins {
    fn held(&self) -> Option<Arc<Login>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hold(&self, login: Option<Arc<Login>>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = login;
    }

    pub(super) fn forget(&self) {
        self.hold(None);
    }

    /// Forgets `login` unless somebody has already got a newer one.
    pub(super) fn forget_one(&self, login: &Arc<Login>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|current| Arc::ptr_eq(current, login)) {
            *held = None;
        }
    }
}

impl IndexHttp {
    /// Becomes a member, or logs in as one. An invite is needed once at most.
    pub async fn join(&self, invite: Option<&str>) -> Result<Session, IndexError> {
        let _turn = self.logins.turn.lock().await;
        Ok(self.fresh_login(invite).await?.session.clone())
    }

    /// The index's word that this peer is a member, for other peers; `None` before the first login.
    pub fn ticket(&self) -> Option<Ticket> {
        self.logins.held().map(|login| login.session.ticket.clone())
    }

    /// The login in use, or a new one.
    pub(crate) async fn login(&self) -> Result<Arc<Login>, IndexError> {
        let usable = || self.logins.held().filter(|login| Instant::now() < login.renew_at);
        if let Some(login) = usable() {
            return Ok(login);
        }
        let _turn = self.logins.turn.lock().await;
        match usable() {
            Some(login) => Ok(login),
            None => self.fresh_login(None).await,
        }
    }

    pub(crate) fn forget_login(&self, login: &Arc<Login>) {
        self.logins.forget_one(login);
    }

    async fn fresh_login(&self, invite: Option<&str>) -> Result<Arc<Login>, IndexError> {
        if self.known_info().is_none() {
            // Compares the key, for servers whose certificate is on another.
            self.info().await?;
        }
        let challenge: Challenge =
            self.ask(self.request(Method::GET, &format!("{PREFIX}/challenge")), MAX_ANSWER_BYTES).await?;
        if challenge.challenge.len() > MAX_CHALLENGE_BYTES {
            return Err(IndexError::nonsense("a challenge of thousands of bytes"));
        }
        let request = LoginRequest {
            peer: self.secret.peer_id(),
            signature: sign_login(&self.secret, &self.key, challenge.challenge.as_bytes()),
            challenge: challenge.challenge,
            invite: invite.map(str::to_owned),
        };
        let asked_at = Instant::now();
        let session: Session = self
            .ask(self.request(Method::POST, &format!("{PREFIX}/sessions")).json(&request), MAX_ANSWER_BYTES)
            .await?;
        self.check(&session)?;
        let lifetime = session.expires_in_s.clamp(*LIFETIME_S.start(), *LIFETIME_S.end());
        // Three quarters: early enough that a ticket shown to a peer is good for hours.
        let renew_at = asked_at + Duration::from_secs(lifetime.into()) * 3 / 4;
        let login = Arc::new(Login { session, renew_at });
        self.logins.hold(Some(login.clone()));
        Ok(login)
    }

    fn check(&self, session: &Session) -> Result<(), IndexError> {
        let token = session.token.as_bytes();
        if token.is_empty() || token.len() > MAX_TOKEN_BYTES || !token.iter().all(u8::is_ascii_graphic) {
            return Err(IndexError::nonsense("a token that fits no header"));
        }
        if session.ticket.index != self.key {
            return Err(IndexError::KeyChanged { url: self.at(), pinned: self.key, found: Some(session.ticket.index) });
        }
        match session.ticket.check(&self.secret.peer_id(), now_unix_s()) {
            // A ticket that seems to have expired at once speaks of this machine's clock, and other peers have theirs.
            Ok(()) | Err(InvalidTicket::Expired) => Ok(()),
            Err(why) => Err(IndexError::nonsense(why.to_string())),
        }
    }
}

/// By this machine's clock.
pub(crate) fn now_unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
