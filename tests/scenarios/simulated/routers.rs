//! Homes behind routers that translate addresses.

use std::sync::Arc;
use std::time::Duration;

use harness::internet::{Line, NatKind};
use harness::simulated::{Fetching, Peer};

use super::{SONG, World, ms};

#[tokio::test(start_paused = true)]
async fn a_download_goes_on_when_the_router_forgets_its_mappings() {
    for kind in [NatKind::FullCone, NatKind::RestrictedCone, NatKind::PortRestrictedCone, NatKind::Symmetric] {
        let world = World::with_song(SONG, ms(50));
        let sharer = world.sharer(world.line(100));
        let home = world.internet.home(Line::of_mbit(1000, world.delay), kind);
        let downloader = Arc::new(Peer::downloader(&home));
        let mut fetching = Fetching::begin(&downloader, &world.song, &[&sharer]);
        fetching.reaches(SONG as u64 / 2).await;
        home.rebind();
        let fetched = fetching.end().await;
        assert!(sharer.host.counts().filtered > 0, "what was under way did not get through");
        assert!(fetched.longest_gap() < Duration::from_secs(1), "{kind:?}: {:?}", fetched.progress);
    }
}
