//! Change sets whose bodies are being received.
//!
//! - A body may take its time, and its bytes are in memory while it does. So there is room for some, for few of one
//!   member, and for a part of them from one network: keys cost nothing to make.
//! - It may not take all the time that a request has: whoever sends a byte a second is soon given up, and no line is
//!   so slow.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use choir_shared::address::NetworkPrefix;
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use crate::settings::LimitSettings;
use crate::store::MemberNo;

/// A peer sends the sets of one collection one after the other.
const OF_ONE_MEMBER: u32 = 4;

/// For the first bytes to come, or for lost ones to be sent again.
const HEAD_START: Duration = Duration::from_secs(5);

/// The bodies on their way.
pub(crate) struct Uploads {
    most: u32,
    most_per_network: u32,
    bytes_per_second: NonZeroU32,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: u32,
    by_member: HashMap<MemberNo, u32>,
    by_network: HashMap<NetworkPrefix, u32>,
}

impl Uploads {
    pub(crate) fn new(settings: &LimitSettings) -> Self {
        Self {
            most: settings.uploads_at_once,
            most_per_network: settings.uploads_at_once_per_network,
            bytes_per_second: settings.upload_bytes_per_second,
            counts: Mutex::default(),
        }
    }

    /// Room for one body, or `None` if there is none for this member or its network.
    pub(crate) fn admit(&self, member: MemberNo, network: Option<NetworkPrefix>) -> Option<Upload<'_>> {
        let mut counts = self.counts();
        let of_member = counts.by_member.get(&member).copied().unwrap_or(0);
        let of_network = network.and_then(|network| counts.by_network.get(&network).copied()).unwrap_or(0);
        if counts.all >= self.most || of_member >= OF_ONE_MEMBER || of_network >= self.most_per_network {
            return None;
        }
        counts.all += 1;
        *counts.by_member.entry(member).or_default() += 1;
        if let Some(network) = network {
            *counts.by_network.entry(network).or_default() += 1;
        }
        Some(Upload { uploads: self, member, network })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room of one body, while it lives.
pub(crate) struct Upload<'a> {
    uploads: &'a Uploads,
    member: MemberNo,
    network: Option<NetworkPrefix>,
}

/// Why a body did not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("at most {0} bytes, unpacked")]
    TooLarge(usize),
    #[error("less than {0} bytes a second came")]
    TooSlow(NonZeroU32),
    #[error("the body broke off or does not unpack")]
    Broken(#[source] axum::Error),
}

impl Upload<'_> {
    /// The whole body, of `most` bytes at most. It has a head start, and a second for each
    /// [`LimitSettings::upload_bytes_per_second`] that have come.
    pub(crate) async fn receive(&self, body: Body, most: usize) -> Result<Vec<u8>, UploadError> {
        let (begun, pace) = (Instant::now(), self.uploads.bytes_per_second);
        let (mut chunks, mut bytes) = (body.into_data_stream(), Vec::new());
        loop {
            let earned = Duration::from_secs(bytes.len() as u64) / pace.get();
            let Ok(chunk) = timeout_at(begun + HEAD_START + earned, chunks.next()).await else {
                metrics::counter!("choir_index_slow_uploads_total").increment(1);
                return Err(UploadError::TooSlow(pace));
            };
            let Some(chunk) = chunk.transpose().map_err(UploadError::Broken)? else { return Ok(bytes) };
            if chunk.len() > most - bytes.len() {
                return Err(UploadError::TooLarge(most));
            }
            bytes.extend_from_slice(&chunk);
        }
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        let mut counts = self.uploads.counts();
        counts.all -= 1;
        take_one(&mut counts.by_member, self.member);
        if let Some(network) = self.network {
            take_one(&mut counts.by_network, network);
        }
    }
}

/// Who has none left is forgotten.
fn take_one<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use futures_util::stream;

    use super::*;

    fn uploads() -> Uploads {
        Uploads::new(&LimitSettings::default())
    }

    fn network(number: u8) -> Option<NetworkPrefix> {
        Some(NetworkPrefix::of([5, 6, number, 7].into()))
    }

    #[test]
    fn a_member_that_takes_its_time_leaves_room_for_others() {
        let uploads = uploads();
        let slow: Vec<_> = std::iter::from_fn(|| uploads.admit(MemberNo(1), None)).collect();
        assert_eq!(slow.len() as u32, OF_ONE_MEMBER);
        let others: Vec<_> = (2..1000).map_while(|member| uploads.admit(MemberNo(member), None)).collect();
        assert_eq!((slow.len() + others.len()) as u32, uploads.most);
        drop(slow);
        assert!(uploads.admit(MemberNo(1), None).is_some());
    }

    #[test]
    fn a_network_full_of_keys_leaves_room_for_others() {
        let uploads = uploads();
        let slow: Vec<_> = (0..1000).map_while(|member| uploads.admit(MemberNo(member), network(1))).collect();
        assert_eq!(slow.len() as u32, uploads.most / 4);
        assert!(uploads.admit(MemberNo(1000), network(2)).is_some());
        drop(slow);
        assert!(uploads.admit(MemberNo(1000), network(1)).is_some());
        assert!(uploads.counts().by_network.is_empty() && uploads.counts().by_member.is_empty());
    }

    /// So many pieces of so many bytes, one after each pause.
    fn trickle(pieces: usize, bytes: usize, pause: Duration) -> Body {
        Body::from_stream(stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, std::convert::Infallible>(Bytes::from(vec![b' '; bytes]))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up_and_one_from_a_slow_line_is_not() {
        let (uploads, begun) = (uploads(), Instant::now());
        let upload = uploads.admit(MemberNo(1), None).unwrap();
        let pace = uploads.bytes_per_second.get() as usize;
        let second = Duration::from_secs(1);
        let received = upload.receive(trickle(25, pace, second), usize::MAX).await.unwrap();
        assert_eq!((received.len(), begun.elapsed()), (25 * pace, 25 * second));

        let begun = Instant::now();
        let given_up = upload.receive(trickle(25, 1, second), usize::MAX).await.unwrap_err();
        assert!(matches!(given_up, UploadError::TooSlow(_)), "{given_up:?}");
        assert_eq!(begun.elapsed().as_secs(), HEAD_START.as_secs());

        let begun = Instant::now();
        let stalls =
            trickle(1, pace, Duration::ZERO).into_data_stream().chain(trickle(1, 1, 25 * second).into_data_stream());
        assert!(upload.receive(Body::from_stream(stalls), usize::MAX).await.is_err());
        assert_eq!(begun.elapsed(), HEAD_START + second, "for what came before it has a second more");
    }
}
