//! Candidates in turns, and their medians as tables.

use anyhow::Context as _;

use crate::usage::Run;

/// Something that is done once in each round.
pub(crate) struct Candidate {
    name: String,
    run: Box<dyn FnMut() -> anyhow::Result<Run>>,
}

impl Candidate {
    pub(crate) fn new(name: impl Into<String>, run: impl FnMut() -> anyhow::Result<Run> + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// The run in the middle, by time, of each candidate.
pub(crate) type Medians = Vec<(String, Run)>;

pub(crate) fn compare(mut candidates: Vec<Candidate>, rounds: usize) -> anyhow::Result<Medians> {
    let mut runs: Vec<Vec<Run>> = candidates.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for (candidate, runs) in candidates.iter_mut().zip(&mut runs) {
            runs.push((candidate.run)().with_context(|| candidate.name.clone())?);
        }
    }
    let median = |(candidate, mut runs): (Candidate, Vec<Run>)| {
        runs.sort_by(|left, right| left.seconds.total_cmp(&right.seconds));
        (candidate.name, runs[runs.len() / 2])
    };
    Ok(candidates.into_iter().zip(runs).map(median).collect())
}

pub(crate) fn table(medians: &Medians, bytes: u64) -> String {
    let head = "| | MB/s | s | CPU s receiving | CPU s sending | peak MiB receiving | peak MiB sending |\n";
    let mut table = format!("{head}|---|---|---|---|---|---|---|\n");
    for (name, run) in medians {
        let rate = bytes as f64 / run.seconds / 1e6;
        let mebibytes = |bytes: u64| if bytes == 0 { "–".to_owned() } else { (bytes >> 20).to_string() };
        table += &format!(
            "| {name} | {rate:.0} | {:.2} | {:.2} | {:.2} | {} | {} |\n",
            run.seconds,
            run.receiving.cpu_seconds,
            run.sending.cpu_seconds,
            mebibytes(run.receiving.peak_bytes),
            mebibytes(run.sending.peak_bytes)
        );
    }
    table
}

/// How many times as fast the first candidate called so is as each of `others`, as far as they ran. All moved the same
/// bytes.
pub(crate) fn ratios(medians: &Medians, ours: &str, others: &[&str]) -> String {
    let find = |name: &str| medians.iter().find(|(known, _)| known.starts_with(name));
    let Some((ours, time)) = find(ours).map(|(name, run)| (name, run.seconds)) else { return String::new() };
    let ratio = |(name, run): &(String, Run)| format!("{:.2} × {name}", run.seconds / time);
    let ratios: Vec<String> = others.iter().filter_map(|name| find(name)).map(ratio).collect();
    format!("\n`{ours}` is as fast as: {}.\n", ratios.join("; "))
}
