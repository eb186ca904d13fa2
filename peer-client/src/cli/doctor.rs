//! `choir doctor [PEER]`

use choir_shared::text::escape_controls;

use super::context::Context;
use super::output::{Output, Paint};
use crate::api::types::{Finding, Verdict};
use crate::api::{Answer, Exit};

pub(super) async fn run(context: &Context, of: Option<String>) -> Answer<Exit> {
    let doctor = context
        .with_peer(async |peer| {
            if !peer.outlives_the_command() {
                context
                    .out
                    .message("no daemon runs here; what follows is true for this command's own one, on other ports");
            }
            peer.client.doctor(of.as_deref()).await
        })
        .await?;
    context.out.result(&doctor, |out| doctor.findings.iter().for_each(|finding| show(out, finding)));
    let sick = doctor.findings.iter().any(|finding| finding.verdict == Verdict::Bad);
    Ok(if sick { Exit::Failed } else { Exit::Done })
}

fn show(out: &Output, finding: &Finding) {
    let mark = match finding.verdict {
        Verdict::Good => out.painted(Paint::Good, "✓"),
        Verdict::Warning => out.painted(Paint::Warning, "!"),
        Verdict::Bad => out.painted(Paint::Bad, "✗"),
    };
    out.line(format!("{mark} {}: {}", escape_controls(&finding.what), escape_controls(&finding.message)));
    if let Some(help) = &finding.help {
        out.line(format!("    {}", escape_controls(help)));
    }
}
