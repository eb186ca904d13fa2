//! What a transfer cost.

use std::fs;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// One transfer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    pub(crate) seconds: f64,
    pub(crate) receiving: Usage,
    pub(crate) sending: Usage,
}

/// What one process used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    /// Resident memory at its largest; 0 if it was not measured.
    pub(crate) peak_bytes: u64,
}

impl Usage {
    /// Of a process that runs, or ran and was not waited for.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in brackets may hold anything; user and system time are the 12th and 13th field after it.
        let fields = stat.rsplit_once(") ").context("a stat line")?.1.split(' ');
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Self { cpu_seconds: ticks as f64 / TICKS_PER_SECOND, peak_bytes: peak(pid).unwrap_or(0) })
    }

    /// What was used since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { cpu_seconds: self.cpu_seconds - before.cpu_seconds, ..self }
    }
}

/// `sysconf(_SC_CLK_TCK)` on every Linux that is in use (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

fn peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Runs a command to its end, from the start of the process to its last system call.
pub(crate) fn measure(command: &mut Command) -> anyhow::Result<(f64, Usage)> {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let mut peak_bytes = 0;
    while !has_ended(&child)? {
        peak_bytes = peak(child.id()).unwrap_or(0).max(peak_bytes);
        std::thread::sleep(Duration::from_millis(5));
    }
    let seconds = start.elapsed().as_secs_f64();
    let usage = Usage { peak_bytes, ..Usage::of(child.id())? };
    let status: ExitStatus = child.wait()?;
    ensure!(status.success(), "it ended with {status}");
    Ok((seconds, usage))
}

/// Whether it is a zombie: what it used can still be read.
fn has_ended(child: &Child) -> anyhow::Result<bool> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
    Ok(stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('Z')))
}
