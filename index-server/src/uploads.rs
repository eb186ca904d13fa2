//! Change sets whose bodies are being received.
//!
//! A body may take its time, and its bytes are in memory while it does. So there is room for some, and for few of one
//! member: whoever sends a byte a second takes no room from others.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::MemberNo;

/// 1 MiB each.
const AT_ONCE: usize = 64;

/// A peer sends the sets of one collection one after the other.
const OF_ONE_MEMBER: usize = 4;

/// The bodies on their way.
#[derive(Default)]
pub(crate) struct Uploads(Mutex<HashMap<MemberNo, usize>>);

impl Uploads {
    /// Room for one body, or `None` if there is none for this member.
    pub(crate) fn admit(&self, member: MemberNo) -> Option<Upload<'_>> {
        let mut counts = self.counts();
        if counts.values().sum::<usize>() >= AT_ONCE || counts.get(&member).is_some_and(|own| *own >= OF_ONE_MEMBER) {
            return None;
        }
        *counts.entry(member).or_default() += 1;
        Some(Upload { uploads: self, member })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<MemberNo, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room of one body, while it lives.
pub(crate) struct Upload<'a> {
    uploads: &'a Uploads,
    member: MemberNo,
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        let mut counts = self.uploads.counts();
        if let Some(own) = counts.get_mut(&self.member) {
            *own -= 1;
            if *own == 0 {
                counts.remove(&self.member);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_takes_its_time_leaves_room_for_others() {
        let uploads = Uploads::default();
        let slow: Vec<_> = std::iter::from_fn(|| uploads.admit(MemberNo(1))).collect();
        assert_eq!(slow.len(), OF_ONE_MEMBER);
        let others: Vec<_> = (2..1000).map_while(|member| uploads.admit(MemberNo(member))).collect();
        assert_eq!(slow.len() + others.len(), AT_ONCE);
        drop(slow);
        assert!(uploads.admit(MemberNo(1)).is_some());
    }
}
