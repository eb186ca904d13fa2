//! The line that connects a host with the internet.

use std::time::Duration;

use super::chance::Chance;

/// What a line can do. Everything holds for each direction by itself.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Bytes of datagrams per second towards the internet; what lies below UDP is not counted.
    pub up: u64,
    /// Bytes of datagrams per second from the internet.
    pub down: u64,
    /// How long a packet is under way on it; from one host to another it passes two lines.
    pub delay: Duration,
    /// Up to so much more, by chance for each packet, which lets packets overtake one another.
    pub jitter: Duration,
    /// How many of all packets get lost, from 0 to 1.
    pub loss: f64,
    /// How long a packet may wait before the line; what would wait longer finds no room and is dropped.
    pub buffer: Duration,
}

impl Line {
    /// The same speed both ways, with nothing lost and room for as much as two such lines hold in a round trip.
    pub const fn of_mbit(rate: u64, delay: Duration) -> Self {
        let bytes = rate * 125_000;
        let buffer = Duration::from_nanos(4 * delay.as_nanos() as u64);
        Self { up: bytes, down: bytes, delay, jitter: Duration::ZERO, loss: 0.0, buffer }
    }

    pub(super) fn lanes(&self, chance: &mut Chance) -> (Lane, Lane) {
        let mut lane = |bytes_per_second| Lane {
            bytes_per_second,
            buffer: self.buffer,
            loss: self.loss,
            jitter: self.jitter,
            free_at: Duration::ZERO,
            chance: chance.split(),
        };
        (lane(self.up), lane(self.down))
    }
}

/// One direction of a line: what waits goes in order, one packet after the other.
#[derive(Debug)]
pub(super) struct Lane {
    bytes_per_second: u64,
    buffer: Duration,
    loss: f64,
    jitter: Duration,
    free_at: Duration,
    chance: Chance,
}

/// Why a packet does not come out at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drop {
    NoRoom,
    Lost,
}

impl Lane {
    pub(super) fn backlog(&self, now: Duration) -> Duration {
        self.free_at.saturating_sub(now)
    }

    /// When a packet of so many bytes that comes `now` will have passed.
    pub(super) fn pass(&mut self, bytes: usize, now: Duration) -> Result<Duration, Drop> {
        if self.free_at.saturating_sub(now) > self.buffer {
            return Err(Drop::NoRoom);
        }
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        self.free_at = self.free_at.max(now) + takes;
        if self.chance.happens(self.loss) {
            return Err(Drop::Lost);
        }
        let late = if self.jitter.is_zero() { 0.0 } else { self.chance.fraction() };
        Ok(self.free_at + self.jitter.mul_f64(late))
    }
}
