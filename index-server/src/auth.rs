//! How the index recognises a peer without keeping a list of sessions.
//!
//! - A **challenge** is a time, some random bytes, and a code over both with a key that only the index has. It is
//!   good for a minute. Within that minute it may be signed twice; that gains a thief nothing, since whoever can read
//!   the login can read the token as well.
//! - A **token** is (peer, member number, expiry) with such a code. The epoch is part of what the code covers: to
//!   raise it ends all sessions. A token of a member who was erased is refused by the roster.
//!
//! Both survive a restart of the index, so that ten thousand peers need not log in again.

pub(crate) mod bans;
pub(crate) mod caller;
pub(crate) mod roster;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use choir_shared::PeerId;

use crate::keys;
use crate::mac::MacKey;
use crate::store::MemberNo;

/// A login takes one round trip and a signature; a minute is for bad lines.
pub(crate) const CHALLENGE_SECONDS: u64 = 60;

/// How long a session and its ticket last. Peers log in again before.
pub(crate) const SESSION_SECONDS: u64 = 24 * 60 * 60;

/// Raise it when the meaning of tokens changes; older ones end then.
const EPOCH: u32 = 1;

const NONCE_BYTES: usize = 16;
const CODE_BYTES: usize = 32;

/// A new challenge. The nonce makes every one different.
pub(crate) fn challenge(key: &MacKey, now_unix_s: u64) -> String {
    let nonce = keys::random::<NONCE_BYTES>();
    let time = now_unix_s.to_be_bytes();
    let code = key.mac(&[&time, &nonce]);
    BASE64.encode([&time[..], &nonce, code.as_bytes()].concat())
}

/// Whether the index made this challenge, lately.
pub(crate) fn check_challenge(key: &MacKey, challenge: &str, now_unix_s: u64) -> Result<(), Refused> {
    const BYTES: usize = 8 + NONCE_BYTES + CODE_BYTES;
    let bytes: [u8; BYTES] = decode(challenge)?;
    let (time, rest) = bytes.split_first_chunk::<8>().ok_or(Refused::Forged)?;
    let (nonce, code) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(Refused::Forged)?;
    let code = code.first_chunk::<CODE_BYTES>().ok_or(Refused::Forged)?;
    if !key.verifies(&[time, nonce], code) {
        return Err(Refused::Forged);
    }
    // Also late if from the future: this machine's clock was set back.
    let age = now_unix_s.checked_sub(u64::from_be_bytes(*time)).ok_or(Refused::Late)?;
    if age <= CHALLENGE_SECONDS { Ok(()) } else { Err(Refused::Late) }
}

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) peer: PeerId,
    pub(crate) member: MemberNo,
    pub(crate) expires_unix_s: u64,
}

impl Token {
    pub(crate) fn seal(&self, key: &MacKey) -> String {
        let body = self.body();
        BASE64.encode([&body[..], key.mac(&[&EPOCH.to_be_bytes(), &body]).as_bytes()].concat())
    }

    pub(crate) fn open(key: &MacKey, text: &str, now_unix_s: u64) -> Result<Self, Refused> {
        const BODY_BYTES: usize = 44;
        let bytes: [u8; BODY_BYTES + CODE_BYTES] = decode(text)?;
        let (body, code) = bytes.split_first_chunk::<BODY_BYTES>().ok_or(Refused::Forged)?;
        let code = code.first_chunk::<CODE_BYTES>().ok_or(Refused::Forged)?;
        if !key.verifies(&[&EPOCH.to_be_bytes(), body], code) {
            return Err(Refused::Forged);
        }
        let (peer, rest) = body.split_first_chunk::<32>().ok_or(Refused::Forged)?;
        let (member, expires) = rest.split_first_chunk::<4>().ok_or(Refused::Forged)?;
        let expires = expires.first_chunk::<8>().ok_or(Refused::Forged)?;
        let token = Self {
            peer: PeerId::new(*peer).map_err(|_| Refused::Forged)?,
            member: MemberNo(u32::from_be_bytes(*member)),
            expires_unix_s: u64::from_be_bytes(*expires),
        };
        if now_unix_s < token.expires_unix_s { Ok(token) } else { Err(Refused::Late) }
    }

    fn body(&self) -> Vec<u8> {
        [&self.peer.as_bytes()[..], &self.member.0.to_be_bytes(), &self.expires_unix_s.to_be_bytes()].concat()
    }
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N], Refused> {
    // Base 64 makes four letters of three bytes: nothing longer is even decoded.
    if text.len() > N.div_ceil(3) * 4 {
        return Err(Refused::Forged);
    }
    BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(Refused::Forged)
}

/// Why the index does not take its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("this index has not issued it")]
    Forged,
    #[error("it has expired")]
    Late,
}

#[cfg(test)]
mod tests {
    use choir_shared::identity::SecretKey;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key(seed: u8) -> MacKey {
        MacKey::derive(&[seed; 32], "test")
    }

    fn token() -> Token {
        Token {
            peer: SecretKey::from_seed(&[1; 32]).peer_id(),
            member: MemberNo(5),
            expires_unix_s: NOW + SESSION_SECONDS,
        }
    }

    /// Every text that differs from `text` in one letter.
    fn neighbours(text: &str) -> impl Iterator<Item = String> {
        (0..text.len()).map(move |at| {
            let letter = if &text[at..=at] == "A" { "B" } else { "A" };
            format!("{}{letter}{}", &text[..at], &text[at + 1..])
        })
    }

    #[test]
    fn a_challenge_is_good_for_a_minute() {
        let challenge = challenge(&key(1), NOW);
        assert_eq!(check_challenge(&key(1), &challenge, NOW), Ok(()));
        assert_eq!(check_challenge(&key(1), &challenge, NOW + CHALLENGE_SECONDS), Ok(()));
        assert_eq!(check_challenge(&key(1), &challenge, NOW + CHALLENGE_SECONDS + 1), Err(Refused::Late));
        assert_eq!(check_challenge(&key(1), &challenge, NOW - 1), Err(Refused::Late));
        assert_eq!(check_challenge(&key(2), &challenge, NOW), Err(Refused::Forged));
    }

    #[test]
    fn a_token_survives_its_text_and_expires() {
        let text = token().seal(&key(1));
        assert_eq!(Token::open(&key(1), &text, NOW), Ok(token()));
        assert_eq!(Token::open(&key(1), &text, NOW + SESSION_SECONDS), Err(Refused::Late));
        assert_eq!(Token::open(&key(2), &text, NOW), Err(Refused::Forged));
    }

    #[test]
    fn no_letter_of_either_can_be_changed() {
        let (challenge, token) = (challenge(&key(1), NOW), token().seal(&key(1)));
        for forged in neighbours(&challenge) {
            assert_eq!(check_challenge(&key(1), &forged, NOW), Err(Refused::Forged), "{forged}");
        }
        for forged in neighbours(&token) {
            assert_eq!(Token::open(&key(1), &forged, NOW), Err(Refused::Forged), "{forged}");
        }
        for junk in ["", "=", "ü", &"A".repeat(100_000)] {
            assert_eq!(Token::open(&key(1), junk, NOW), Err(Refused::Forged));
        }
    }

    #[test]
    fn two_challenges_of_one_second_differ() {
        assert_ne!(challenge(&key(1), NOW), challenge(&key(1), NOW));
    }
}
