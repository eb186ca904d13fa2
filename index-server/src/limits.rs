//! How often anyone may ask.
//!
//! - Every kind of request has its own limit, so that a long search session does not stop a download.
//! - Each is counted twice: for the key, and for the network it comes from. Keys cost nothing to make; networks do.
//! - A key may use its minute at once, because people do: they wake up, and fetch an album. A network of many has no
//!   such habits, and what all its keys may do in a minute would be felt by everybody if it came in one second.
//! - The key is counted first, so that one impatient peer does not use up what its neighbours share.
//! - A login counts for the key only once its signature is checked, or anyone could lock anyone out.
//! - A member to whom the operator gave a number of its own is counted by that, and not for its network: its key
//!   costs nobody nothing.
//! - What needs no login, and what lacks one, is counted for the network alone.
//! - Whoever is refused is told when to come back, and a metric names the limit.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use choir_shared::PeerId;
use choir_shared::address::NetworkPrefix;
use choir_shared::index_api::ErrorCode;
use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::error::ApiError;
use crate::origin::Origin;
use crate::settings::LimitSettings;

/// The kinds of requests that are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Limit {
    Logins,
    Searches,
    Introductions,
    Changes,
    Sources,
    Browses,
    Reports,
    Control,
    Visits,
}

impl Limit {
    const ALL: [Self; 9] = [
        Self::Logins,
        Self::Searches,
        Self::Introductions,
        Self::Changes,
        Self::Sources,
        Self::Browses,
        Self::Reports,
        Self::Control,
        Self::Visits,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Logins => "logins",
            Self::Searches => "searches",
            Self::Introductions => "introductions",
            Self::Changes => "changes",
            Self::Sources => "sources",
            Self::Browses => "browses",
            Self::Reports => "reports",
            Self::Control => "control",
            Self::Visits => "visits",
        }
    }

    const fn per_minute(self, settings: &LimitSettings) -> NonZeroU32 {
        match self {
            Self::Logins => settings.logins_per_minute,
            Self::Searches => settings.searches_per_minute,
            Self::Introductions => settings.introductions_per_minute,
            Self::Changes => settings.changes_per_minute,
            Self::Sources => settings.sources_per_minute,
            Self::Browses => settings.browses_per_minute,
            Self::Reports => settings.reports_per_minute,
            Self::Control => settings.control_messages_per_minute,
            Self::Visits => settings.visits_per_minute,
        }
    }
}

/// A network may do the sixth part of its minute at once, and in any case as much as one key.
const NETWORK_BURSTS: u32 = 6;

/// Lines in the log that requests bring about, or strangers would push everything else out of a log that is capped.
const LINES_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();

/// All limits of an index.
pub(crate) struct Limits {
    /// In the order of [`Limit::ALL`].
    pairs: Vec<Pair>,
    /// Of members with numbers of their own, by limit and number.
    own: Mutex<HashMap<(Limit, NonZeroU32), DefaultKeyedRateLimiter<PeerId>>>,
    lines: DefaultDirectRateLimiter,
}

struct Pair {
    by_key: DefaultKeyedRateLimiter<PeerId>,
    by_network: DefaultKeyedRateLimiter<NetworkPrefix>,
}

impl Limits {
    pub(crate) fn new(settings: &LimitSettings) -> Self {
        let pair = |limit: Limit| {
            let one = limit.per_minute(settings);
            let all = one.saturating_mul(settings.network_factor);
            let at_once = NonZeroU32::new(all.get() / NETWORK_BURSTS).map_or(one, |burst| burst.max(one));
            Pair {
                by_key: RateLimiter::dashmap(Quota::per_minute(one)),
                by_network: RateLimiter::dashmap(Quota::per_minute(all).allow_burst(at_once)),
            }
        };
        let lines = RateLimiter::direct(Quota::per_minute(LINES_PER_MINUTE));
        Self { pairs: Limit::ALL.map(pair).into(), own: Mutex::default(), lines }
    }

    /// Counts one request of `peer` from `origin`.
    pub(crate) fn count(&self, limit: Limit, peer: &PeerId, origin: Origin) -> Result<(), ApiError> {
        self.count_key(limit, peer)?;
        self.count_network(limit, origin)
    }

    pub(crate) fn count_key(&self, limit: Limit, peer: &PeerId) -> Result<(), ApiError> {
        check(limit, "key", &self.pair(limit).by_key, peer)
    }

    /// Counts one request of a peer that may make `per_minute` of them.
    pub(crate) fn count_own(&self, limit: Limit, peer: &PeerId, per_minute: NonZeroU32) -> Result<(), ApiError> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let limiter =
            own.entry((limit, per_minute)).or_insert_with(|| RateLimiter::dashmap(Quota::per_minute(per_minute)));
        check(limit, "key", limiter, peer)
    }

    pub(crate) fn count_network(&self, limit: Limit, origin: Origin) -> Result<(), ApiError> {
        match origin.counted() {
            Some(network) => check(limit, "network", &self.pair(limit).by_network, &network),
            None => Ok(()),
        }
    }

    /// Whether a request may have a line in the log.
    pub(crate) fn may_log(&self) -> bool {
        self.lines.check().is_ok()
    }

    /// Drops the counts of those who have not asked for long enough to be as good as new.
    pub(crate) fn forget_idle(&self) {
        for pair in &self.pairs {
            pair.by_key.retain_recent();
            pair.by_network.retain_recent();
        }
        self.own.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, limiter| {
            limiter.retain_recent();
            !limiter.is_empty()
        });
    }

    fn pair(&self, limit: Limit) -> &Pair {
        &self.pairs[limit as usize]
    }
}

fn check<K: Clone + Eq + std::hash::Hash>(
    limit: Limit,
    by: &'static str,
    limiter: &DefaultKeyedRateLimiter<K>,
    key: &K,
) -> Result<(), ApiError> {
    limiter.check_key(key).map_err(|refused| {
        metrics::counter!("choir_index_refused_total", "limit" => limit.name(), "by" => by).increment(1);
        let wait: Duration = refused.wait_time_from(limiter.clock().now());
        ApiError::because(ErrorCode::RateLimited, format_args!("too many {} from this {by}", limit.name()))
            .retry_after(wait)
    })
}

#[cfg(test)]
mod tests {
    use choir_shared::identity::SecretKey;

    use super::*;

    fn limits(introductions: u32, factor: u32) -> Limits {
        let number = |n| NonZeroU32::new(n).unwrap();
        Limits::new(&LimitSettings {
            introductions_per_minute: number(introductions),
            network_factor: number(factor),
            ..LimitSettings::default()
        })
    }

    fn peer(seed: u8) -> PeerId {
        SecretKey::from_seed(&[seed; 32]).peer_id()
    }

    #[test]
    fn a_key_has_its_limit_and_other_limits_are_untouched() {
        let (limits, origin) = (limits(2, 100), Origin::of("5.6.7.8".parse().unwrap()));
        for _ in 0..2 {
            limits.count(Limit::Introductions, &peer(1), origin).unwrap();
        }
        let refused = limits.count(Limit::Introductions, &peer(1), origin).unwrap_err();
        assert_eq!(refused.problem().code, ErrorCode::RateLimited);
        assert!((1..=30).contains(&refused.problem().retry_after_s.unwrap()));
        limits.count(Limit::Searches, &peer(1), origin).unwrap();
        limits.count(Limit::Introductions, &peer(2), origin).unwrap();
    }

    #[test]
    fn a_network_full_of_keys_has_a_limit_too_and_this_machine_has_none() {
        let limits = limits(1, 20);
        let from = |ip: &str| Origin::of(ip.parse().unwrap());
        for seed in 0..3 {
            limits.count(Limit::Introductions, &peer(seed), from("5.6.7.8")).unwrap();
        }
        let refused = limits.count(Limit::Introductions, &peer(3), from("5.6.7.9")).unwrap_err();
        assert!(refused.problem().retry_after_s.unwrap() <= 3, "twenty each minute");
        limits.count(Limit::Introductions, &peer(4), from("5.6.8.8")).unwrap();
        for seed in 10..20 {
            limits.count(Limit::Introductions, &peer(seed), from("127.0.0.1")).unwrap();
        }
    }

    #[test]
    fn a_number_of_ones_own_is_more_or_less_than_that_of_others() {
        let (limits, origin) = (limits(2, 1), Origin::of("5.6.7.8".parse().unwrap()));
        for (seed, own) in [(1, 1), (2, 5), (3, 5)] {
            let count = || limits.count_own(Limit::Introductions, &peer(seed), NonZeroU32::new(own).unwrap()).is_ok();
            assert_eq!((0..9).take_while(|_| count()).count(), own as usize, "{seed}");
        }
        limits.count(Limit::Introductions, &peer(4), origin).unwrap();
        assert_eq!(limits.own.lock().unwrap().len(), 2);
        limits.forget_idle();
        assert_eq!(limits.own.lock().unwrap().len(), 2, "they asked just now");
    }

    #[test]
    fn ten_who_look_each_second_are_never_refused() {
        let limits = Limits::new(&LimitSettings::default());
        let office = Origin::of("5.6.7.8".parse().unwrap());
        for _ in 0..600 {
            limits.count_network(Limit::Visits, office).unwrap();
        }
    }

    #[test]
    fn limits_are_found_by_their_number() {
        for (number, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, number);
        }
    }
}
