//! Where figures are kept: docs/PERFORMANCE.md, between two comments for each part of a bench.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// Puts `tables` where those of the last run of this part are.
pub fn write(bench: &str, part: &str, tables: &str) -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PERFORMANCE.md");
    let text = fs::read_to_string(&path)?;
    let (begin, end) = (format!("<!-- {bench}: {part} -->\n"), "<!-- end -->");
    let (before, rest) = text.split_once(&begin).with_context(|| format!("there is no place for {part}"))?;
    let (_, after) = rest.split_once(end).context("the place has an end")?;
    fs::write(&path, format!("{before}{begin}{tables}{end}{after}"))?;
    Ok(())
}
