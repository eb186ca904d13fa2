//! An index's word that a peer is a member.
//!
//! A ticket comes with each session and is shown to other peers, so that a private index protects its members'
//! shares and not only its own searches. It is checked offline: the sharer knows the index's key.

use serde::{Deserialize, Serialize};

use crate::identity::{Domain, IndexKey, PeerId, SecretKey, Signature};

/// An index's signature over (index, peer, expiry).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ticket {
    pub index: IndexKey,
    pub peer: PeerId,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub expires_unix_s: u64,
    pub signature: Signature,
}

/// Members' clocks are wrong by minutes; a ticket lives for a day, so an hour costs nothing.
pub const CLOCK_TOLERANCE_S: u64 = 3600;

impl Ticket {
    pub fn issue(index: &SecretKey, peer: PeerId, expires_unix_s: u64) -> Self {
        let signature =
            index.sign(Domain::Ticket, &[index.index_key().as_bytes(), peer.as_bytes(), &expires_unix_s.to_be_bytes()]);
        Self { index: index.index_key(), peer, expires_unix_s, signature }
    }

    /// Whether `bearer` is a member of this ticket's index at `now`; which indexes count is the caller's choice.
    pub fn check(&self, bearer: &PeerId, now_unix_s: u64) -> Result<(), InvalidTicket> {
        if self.peer != *bearer {
            return Err(InvalidTicket::OfAnother);
        }
        if self.expires_unix_s.saturating_add(CLOCK_TOLERANCE_S) < now_unix_s {
            return Err(InvalidTicket::Expired);
        }
        let parts: [&[u8]; 3] = [self.index.as_bytes(), self.peer.as_bytes(), &self.expires_unix_s.to_be_bytes()];
        if self.index.verifies(Domain::Ticket, &parts, &self.signature) { Ok(()) } else { Err(InvalidTicket::Forged) }
    }
}

/// Why a ticket proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTicket {
    #[error("the ticket was issued to another peer")]
    OfAnother,
    #[error("the ticket has expired")]
    Expired,
    #[error("the ticket is not signed by the index it names")]
    Forged,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_for_its_bearer_until_it_expires() {
        let (index, member, thief) = (
            SecretKey::from_seed(&[1; 32]),
            SecretKey::from_seed(&[2; 32]).peer_id(),
            SecretKey::from_seed(&[3; 32]).peer_id(),
        );
        let ticket = Ticket::issue(&index, member, 1_000_000);
        assert_eq!(ticket.check(&member, 999_999), Ok(()));
        assert_eq!(ticket.check(&member, 1_000_001 + CLOCK_TOLERANCE_S), Err(InvalidTicket::Expired));
        assert_eq!(ticket.check(&thief, 0), Err(InvalidTicket::OfAnother));
        let longer = Ticket { expires_unix_s: u64::MAX, ..ticket };
        assert_eq!(longer.check(&member, 0), Err(InvalidTicket::Forged));
        let stolen = Ticket { peer: thief, ..ticket };
        assert_eq!(stolen.check(&thief, 0), Err(InvalidTicket::Forged));
    }
}
