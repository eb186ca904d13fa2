//! The networks that this machine is attached to.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use choir_shared::address::{Scope, Subnet};

/// Interfaces come and go with Wi-Fi and VPNs, but not between two packets.
const FRESH_FOR: Duration = Duration::from_secs(10);

type Remembered = Option<(Instant, Arc<[Subnet]>)>;

/// The subnets of all interfaces but loopback, at most [`FRESH_FOR`] old.
pub fn attached_subnets() -> Arc<[Subnet]> {
    static LAST: LazyLock<Mutex<Remembered>> = LazyLock::new(Mutex::default);
    let mut last = LAST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match &*last {
        Some((read, subnets)) if read.elapsed() < FRESH_FOR => Arc::clone(subnets),
        _ => {
            let subnets: Arc<[Subnet]> = read_interfaces().into();
            *last = Some((Instant::now(), Arc::clone(&subnets)));
            subnets
        }
    }
}

fn read_interfaces() -> Vec<Subnet> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::debug!(%error, "cannot list the network interfaces");
        Vec::new()
    });
    interfaces
        .into_iter()
        .map(|interface| match interface.addr {
            if_addrs::IfAddr::V4(v4) => Subnet { address: v4.ip.into(), prefix_bits: v4.prefixlen },
            if_addrs::IfAddr::V6(v6) => Subnet { address: v6.ip.into(), prefix_bits: v6.prefixlen },
        })
        // A prefix of 0 would make the whole world a neighbour.
        .filter(|subnet| subnet.prefix_bits > 0 && Scope::of(subnet.address) != Scope::Loopback)
        .collect()
}
