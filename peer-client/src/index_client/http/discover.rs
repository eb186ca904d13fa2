//! Meeting an index for the first time.

use std::sync::{Arc, OnceLock};

use choir_shared::identity::{IndexKey, SecretKey};
use choir_shared::index_api::Info;

use super::super::address::IndexUrl;
use super::super::error::IndexError;
use super::super::pinning::Expected;
use super::{IndexHttp, Patience};

impl IndexHttp {
    /// The index at an address as people write it, and what it says of itself. With no key to expect, the one it
    /// shows is taken, and the caller shows its fingerprint before joining.
    pub async fn discover(
        address: &str,
        expected: Option<IndexKey>,
        secret: &SecretKey,
        patience: Patience,
    ) -> Result<(Self, Arc<Info>), IndexError> {
        let urls =
            IndexUrl::guesses(address).map_err(|why| IndexError::BadAddress { text: address.to_owned(), why })?;
        let mut failure = None;
        for url in urls {
            match Self::meet(url, expected, secret, patience).await {
                Err(error @ IndexError::Unreachable { .. }) => failure = failure.or(Some(error)),
                // Somebody is there: what else could be guessed is somebody else.
                met => return met,
            }
        }
        Err(failure.unwrap_or(IndexError::NotJoined))
    }

    async fn meet(
        url: IndexUrl,
        expected: Option<IndexKey>,
        secret: &SecretKey,
        patience: Patience,
    ) -> Result<(Self, Arc<Info>), IndexError> {
        let key = match expected {
            Some(key) => key,
            None => Self::first_sight(url.clone(), secret, patience).await?,
        };
        let index = Self::new(url, key, secret.clone(), patience)?;
        let info = index.info().await?;
        Ok((index, info))
    }

    /// The key of whoever is there. A certificate on an index key must be on the key that `/info` names.
    async fn first_sight(url: IndexUrl, secret: &SecretKey, patience: Patience) -> Result<IndexKey, IndexError> {
        let seen = Arc::new(OnceLock::new());
        // Nothing is signed for this stranger, so it does not matter whose key stands in for its own.
        let stand_in = secret.index_key();
        let stranger =
            Self::with_tls(url.clone(), stand_in, Expected::FirstSight(seen.clone()), secret.clone(), patience)?;
        let named = stranger.fetch_info().await?.key;
        match seen.get() {
            Some(&certified) if certified != named => {
                Err(IndexError::KeyChanged { url, pinned: certified, found: Some(named) })
            }
            _ => Ok(named),
        }
    }
}
