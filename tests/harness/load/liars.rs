//! Many keys that give a song a false name.

use std::net::{IpAddr, Ipv4Addr};

use choir_shared::claim::{Format, Origin};
use choir_shared::leaf::FileLength;
use choir_shared::query::SearchParams;
use choir_shared::{Claim, Digest, FileId};
use tokio::task::JoinSet;

use super::peer::{CrowdPeer, Door, Holding};
use crate::{PATIENCE, TestIndex};

/// Who says what.
#[derive(Clone, Copy, Debug)]
pub struct Lie {
    pub liars: u32,
    pub liars_networks: u8,
    /// Each of a network of its own.
    pub honest: u8,
}

pub const TRUE_TITLE: &str = "Lanterns";
pub const FALSE_TITLE: &str = "Lies";
const ARTIST: &str = "The Undisputed";

/// The title that a song has after the honest and then the liars have published it.
pub async fn shown_title(index: &TestIndex, lie: Lie) -> anyhow::Result<String> {
    const LANES: u32 = 16;
    let door = Door::of(index);
    for number in 0..u32::from(lie.honest) {
        say(CrowdPeer::new(number, door, network(1, number as u8)), TRUE_TITLE).await?;
    }
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        lanes.spawn(async move {
            for number in (lane..lie.liars).step_by(LANES as usize) {
                let from = network(2, (number % u32::from(lie.liars_networks)) as u8);
                say(CrowdPeer::new(1_000 + number, door, from), FALSE_TITLE).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = lanes.join_next().await {
        ended??;
    }
    // The last who comes is a bystander: when what it says can be found, so can all that was said before.
    let mut reader = CrowdPeer::new(u32::MAX, door, network(3, 0));
    let mut connection = reader.connect().await?;
    reader.log_in(&mut connection).await?;
    let mark = Holding::new(file(b"a mark"), claim("Mark"));
    let set = reader.add(vec![mark])?;
    reader.publish(&mut connection, &set).await?;
    let named = |q: &str| SearchParams { q: Some(format!("{q} ")), offline: Some(true), ..SearchParams::default() };
    let seen = async {
        while reader.find(&mut connection, &named("mark")).await?.results.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        reader.find(&mut connection, &named("undisputed")).await
    };
    let page = tokio::time::timeout(PATIENCE, seen).await??;
    let row = page.results.into_iter().find(|row| row.file_id == file(b"the song"));
    Ok(row.and_then(|row| row.title).unwrap_or_default())
}

async fn say(mut peer: CrowdPeer, title: &str) -> std::io::Result<()> {
    let mut connection = peer.connect().await?;
    peer.log_in(&mut connection).await?;
    let set = peer.add(vec![Holding::new(file(b"the song"), claim(title))])?;
    peer.publish(&mut connection, &set).await
}

fn network(group: u8, number: u8) -> IpAddr {
    Ipv4Addr::new(127, group, number, 1).into()
}

fn file(seed: &[u8]) -> FileId {
    let length = FileLength::new(4_000_000).unwrap_or_else(|_| unreachable!("some megabytes"));
    FileId::new(Digest::of(seed), length)
}

fn claim(title: &str) -> Claim {
    Claim {
        title: Some(title.to_owned()),
        artist: Some(ARTIST.to_owned()),
        format: Format::new("mp3").unwrap_or_default(),
        origin: Some(Origin::Tags),
        ..Claim::default()
    }
}
