//! What the messages of an index mean to this peer. Pure: text in, meaning out.

use std::time::Duration;

use choir_shared::control::{CollectionState, FromIndex, FromPeer, MAX_TOLD_BLOCKED, MAX_WATCHED};
use choir_shared::text::escape_controls;

use super::super::error::IndexError;
use super::super::http::check_candidates;
use super::Told;

/// Nobody is made to wait longer for an index that restarts, whatever it says.
const LONGEST_SPREAD: Duration = Duration::from_secs(600);

/// A message, checked.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    Welcome {
        resync: Vec<CollectionState>,
    },
    Resync(CollectionState),
    Told(Told),
    Superseded,
    Closing {
        spread: Duration,
    },
    /// Of a later version, or nothing to act on.
    Nothing,
}

pub(super) fn understand(text: &str) -> Result<Heard, IndexError> {
    let message = serde_json::from_str(text)
        .map_err(|error| IndexError::nonsense(format!("on the control connection: {error}")))?;
    Ok(match message {
        FromIndex::Welcome { resync } => Heard::Welcome { resync },
        FromIndex::Resync(state) => Heard::Resync(state),
        FromIndex::Introduction { peer, name, file, candidates } => {
            check_candidates(&candidates)?;
            Heard::Told(Told::Introduced { peer, name, file, candidates })
        }
        FromIndex::Available { files } if files.len() > MAX_WATCHED => {
            return Err(IndexError::nonsense("more files available than anyone may wait for"));
        }
        FromIndex::Available { files } => Heard::Told(Told::Available { files }),
        FromIndex::Blocked { files, .. } if files.len() > MAX_TOLD_BLOCKED => {
            return Err(IndexError::nonsense("more blocked files named than may be"));
        }
        FromIndex::Blocked { files, count, reason } => {
            Heard::Told(Told::Blocked { files, count, reason: escape_controls(&reason).into() })
        }
        FromIndex::Superseded => Heard::Superseded,
        FromIndex::Closing { reconnect_spread_s } => {
            Heard::Closing { spread: Duration::from_secs(reconnect_spread_s.into()).min(LONGEST_SPREAD) }
        }
        FromIndex::Unknown => Heard::Nothing,
    })
}

pub(super) fn hello(collections: Vec<CollectionState>) -> FromPeer {
    FromPeer::Hello { agent: concat!("choir ", env!("CARGO_PKG_VERSION")).to_owned(), collections }
}

#[cfg(test)]
mod tests {
    use choir_shared::identity::SecretKey;

    use super::*;

    #[test]
    fn messages_are_checked_before_they_mean_anything() {
        assert_eq!(understand(r#"{"type":"superseded"}"#), Ok(Heard::Superseded));
        assert_eq!(understand(r#"{"type":"from_the_future","x":1}"#), Ok(Heard::Nothing));
        assert_eq!(
            understand(r#"{"type":"closing","reconnect_spread_s":4000000000}"#),
            Ok(Heard::Closing { spread: LONGEST_SPREAD })
        );
        for nonsense in ["", "{}", "[]", r#"{"type":"welcome"}"#, r#"{"type":"available","files":["x"]}"#] {
            assert!(matches!(understand(nonsense), Err(IndexError::Nonsense(_))), "{nonsense}");
        }
    }

    #[test]
    fn nobody_is_introduced_at_an_address_where_no_peer_can_be() {
        let introduction = |address: &str| {
            let peer = SecretKey::from_seed(&[1; 32]).peer_id();
            let file = format!("{}-3", "ab".repeat(32));
            understand(&format!(
                r#"{{"type":"introduction","peer":"{peer}","file":"{file}","candidates":[{{"address":"{address}","kind":"observed"}}]}}"#
            ))
        };
        assert!(matches!(introduction("5.6.7.8:6699"), Ok(Heard::Told(Told::Introduced { .. }))));
        assert!(matches!(introduction("255.255.255.255:53"), Err(IndexError::Nonsense(_))));
    }
}
