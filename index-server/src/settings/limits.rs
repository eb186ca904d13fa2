//! Every limit by name. A limit is there so that one stranger cannot take the index from all the others.

use std::num::NonZeroU32;

use choir_shared::index_api::Limits;
use choir_shared::index_api::library::{MAX_BYTES, MAX_ENTRIES};
use serde::{Deserialize, Serialize};

/// The table `[limits]` of the settings file. "Per minute" is for one key; one network may do
/// [`network_factor`](Self::network_factor) times as much, and a sixth of that at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// TCP connections in all. Each costs a file descriptor and some 10 KB; the usual limit of descriptors is 20,000.
    pub connections: u32,
    /// TCP connections from one network that is not this machine: a university behind one /24 still gets in.
    pub connections_per_network: u32,
    /// QUIC connections to the rendezvous; one for each peer online.
    pub rendezvous_connections: u32,
    /// QUIC connections to the rendezvous from one network.
    pub rendezvous_connections_per_network: u32,
    /// How much more one network may do than one key: a household, a school, or many phones behind one carrier NAT.
    pub network_factor: NonZeroU32,
    /// A peer logs in once a day and after each restart of the index.
    pub logins_per_minute: NonZeroU32,
    /// Search as you type asks about four times a second while the keys move.
    pub searches_per_minute: NonZeroU32,
    /// An album of 20 songs from 5 holders needs 5. Beyond this somebody harvests addresses.
    pub introductions_per_minute: NonZeroU32,
    /// 1,000 entries each: a first library of 100,000 songs goes up in a minute.
    pub changes_per_minute: NonZeroU32,
    /// One for each file that is fetched: a thousand songs at once, and some again.
    pub sources_per_minute: NonZeroU32,
    /// Folders opened, peers looked at.
    pub browses_per_minute: NonZeroU32,
    /// Nobody finds more to complain of in a minute and writes it down.
    pub reports_per_minute: NonZeroU32,
    /// Reports of one member that wait for the operator.
    pub waiting_reports_per_peer: u64,
    /// Reports that wait for the operator; some kilobytes each at the most, and nobody reads more.
    pub waiting_reports: u64,
    /// Messages on a control connection, and connections made.
    pub control_messages_per_minute: NonZeroU32,
    /// Requests without a login, for which only the network is counted: peers look at /info when they come, monitoring
    /// asks each second.
    pub visits_per_minute: NonZeroU32,
    /// Searches that run at the same time, one of a network; more wait, and after a while are refused. Some more than
    /// processors, since some wait for the disk.
    pub searches_at_once: u32,
    /// Change sets that are unpacked and applied at the same time; fewer than the machine's cores, so that
    /// searches always find one.
    pub changes_at_once: u32,
    /// Change sets whose bodies are being received, at most 1 MiB of memory each.
    pub uploads_at_once: u32,
    /// Change sets that are being received from one network: a quarter of all, so that no network stops all others.
    pub uploads_at_once_per_network: u32,
    /// Change sets that come more slowly are given up after some seconds, so that nobody holds a place by a byte now
    /// and then. Unpacked, a phone at the edge of its network sends several times as much.
    pub upload_bytes_per_second: NonZeroU32,
    /// Files that one peer may list. The largest private collections have some 200,000.
    pub files_per_peer: u64,
    /// Bytes of claims that one peer may store. A claim has some 400 bytes, so this never hinders an honest peer.
    pub claim_bytes_per_peer: u64,
    /// Days for which the library of a member who does not come is kept, and can be browsed if its owner lets others. A
    /// month of holidays; whoever comes later publishes anew, and of others nobody would ever fetch anything.
    pub offline_library_days: NonZeroU32,
    /// Seconds for the header of a request, and for how long an idle connection is kept.
    pub header_seconds: u32,
    /// Seconds for a whole request, its body included.
    pub request_seconds: u32,
    /// Peers return at random within so many seconds after a restart. 10,000 within a minute are 170 logins a second.
    pub reconnect_spread_seconds: u32,
}

/// A constant that is not zero. Evaluated by the compiler.
const fn above_zero(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => panic!("a limit of zero"),
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            connections: 12_000,
            connections_per_network: 512,
            rendezvous_connections: 12_000,
            rendezvous_connections_per_network: 256,
            network_factor: const { above_zero(20) },
            logins_per_minute: const { above_zero(30) },
            searches_per_minute: const { above_zero(300) },
            introductions_per_minute: const { above_zero(120) },
            changes_per_minute: const { above_zero(120) },
            sources_per_minute: const { above_zero(1200) },
            browses_per_minute: const { above_zero(300) },
            reports_per_minute: const { above_zero(10) },
            waiting_reports_per_peer: 50,
            waiting_reports: 10_000,
            control_messages_per_minute: const { above_zero(120) },
            visits_per_minute: const { above_zero(300) },
            searches_at_once: 16,
            changes_at_once: 2,
            uploads_at_once: 64,
            uploads_at_once_per_network: 16,
            upload_bytes_per_second: const { above_zero(4096) },
            files_per_peer: 250_000,
            claim_bytes_per_peer: 250_000_000,
            offline_library_days: const { above_zero(30) },
            header_seconds: 10,
            request_seconds: 30,
            reconnect_spread_seconds: 60,
        }
    }
}

impl LimitSettings {
    /// What clients are told, so that they stay within it.
    pub fn public(&self) -> Limits {
        Limits {
            files_per_peer: self.files_per_peer,
            searches_per_minute: self.searches_per_minute.get(),
            introductions_per_minute: self.introductions_per_minute.get(),
            changes_per_minute: self.changes_per_minute.get(),
            entries_per_change_set: MAX_ENTRIES as u32,
            change_set_bytes: MAX_BYTES as u32,
        }
    }
}
