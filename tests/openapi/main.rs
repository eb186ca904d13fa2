//! `tests/run fuzz-api`: every route of a running index, fuzzed from the document that the index serves of itself.
//!
//! Schemathesis makes requests that the document allows, and such that it forbids. No answer may be a fault of the
//! index, and none may be other than the document says: its status, its type, its body. Four visitors come: one
//! without a login, a member, a member that names what is there, and one that erases itself.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use choir_shared::album::album_key;
use choir_shared::index_api::PREFIX;
use clap::Parser;
use harness::TestIndex;
use harness::member::{Member, claim, song};

/// The same requests each time; a run that is red stays red.
const SEED: &str = "1";

/// Per route and phase. The coverage phase adds the edges of every parameter to this.
const EXAMPLES: &str = "30";

/// All but two: a request in the right form may still be refused for what it says (no such file, a stale signature),
/// and the document does not list what each header of HTTP itself may do.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,missing_required_header,\
    unsupported_method,allow_header_conformance,ignored_auth";

/// Nobody is as quick as a fuzzer, and here it shall not be told to slow down.
const LIMITS: &str = "[limits]
logins_per_minute = 1000000
searches_per_minute = 1000000
introductions_per_minute = 1000000
changes_per_minute = 1000000
sources_per_minute = 1000000
browses_per_minute = 1000000
reports_per_minute = 1000000
control_messages_per_minute = 1000000
waiting_reports_per_peer = 1000000
waiting_reports = 1000000
";

/// Fuzzes every route of an index from its OpenAPI document.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// The program `schemathesis`.
    #[arg(long, value_name = "FILE")]
    schemathesis: PathBuf,
    /// Another seed, to look further.
    #[arg(long, default_value = SEED)]
    seed: String,
    /// For each route and phase.
    #[arg(long, default_value = EXAMPLES)]
    examples: String,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let settings = folder.path().join("config.toml");
    std::fs::write(&settings, LIMITS)?;
    let index = TestIndex::with(&["--config", settings.to_str().context("a path of text")?]);
    let mut sharer = Member::of(&index);
    let published = sharer.publish(["Moby", "Ishmael", "Queequeg"]);
    ensure!(published.status == 200, "{published:?}");

    let known = format!(
        "[parameters]\n\"path.id\" = \"{}\"\n\"path.who\" = \"{}\"\n\"path.album_key\" = \"{}\"\n\
         \"query.q\" = [\"moby\", \"examples\"]\n\"query.offline\" = true\n",
        song("Moby"),
        sharer.secret.peer_id(),
        album_key(&claim("Moby")).context("an album")?,
    );
    std::fs::write(folder.path().join("known.toml"), known)?;
    std::fs::write(folder.path().join("plain.toml"), "")?;

    let fuzz = |who: &str, token: Option<&str>, config: &str, choice: &[&str]| -> anyhow::Result<bool> {
        println!("\n-- {who}");
        let mut command = Command::new(&arguments.schemathesis);
        command.args(["--config-file", config]);
        command.current_dir(folder.path()).args(["run", "--no-color", "--checks", CHECKS]);
        // Threads that compile at the same time make Python up to 3.11.7 fail now and then (python/cpython#106905).
        command.args(["--workers", "1"]);
        command.args(["--seed", &arguments.seed, "--max-examples", &arguments.examples, "--request-timeout", "30"]);
        // Nothing is learnt from one run for the next, or red would not stay red.
        command.args(["--generation-database", "none", "--warnings", "off", "--continue-on-failure"]);
        if let Some(token) = token {
            command.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        let status = command.args(choice).arg(format!("{}/openapi.json", index.url)).status();
        let status = status.with_context(|| format!("cannot run {}", arguments.schemathesis.display()))?;
        Ok(status.success())
    };
    let erasure = format!("DELETE {PREFIX}/me");
    let all_but_erasure = ["--exclude-name", &erasure];
    let agreed = [
        fuzz("nobody in particular", None, "plain.toml", &[])?,
        fuzz("a member", Some(&Member::of(&index).token), "plain.toml", &all_but_erasure)?,
        fuzz("a member that knows its way", Some(&Member::of(&index).token), "known.toml", &all_but_erasure)?,
        fuzz("a member that goes", Some(&Member::of(&index).token), "plain.toml", &["--include-name", &erasure])?,
    ];
    ensure!(agreed == [true; 4], "the index and its document disagree; its log:\n{}", index.process.errors());

    let found = sharer.get(&format!("/files/{}", song("Moby")));
    ensure!(found.status == 200, "what was there before is there: {found:?}");
    let log = index.process.errors();
    ensure!(!log.contains("\"ERROR\""), "the index complained:\n{log}");
    Ok(())
}
