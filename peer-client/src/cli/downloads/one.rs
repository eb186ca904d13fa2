//! One download: all about it, and what could be had in place of it.

use choir_shared::text::escape_controls;
use serde::Serialize;

use super::word;
use crate::api::{Answer, ErrorKind, Exit, ServiceError};
use crate::cli::context::Context;
use crate::cli::last_search::MIN_PREFIX_DIGITS;
use crate::cli::output::{Output, Paint};
use crate::cli::units;
use crate::download::alternate::{Alternate, Difference, Likeness, Said};
use crate::download::group::GroupStatus;
use crate::download::status::{DownloadId, DownloadStatus};

pub(super) async fn show(context: &Context, id: DownloadId) -> Answer<Exit> {
    #[derive(Serialize)]
    struct Shape {
        #[serde(flatten)]
        download: DownloadStatus,
        group_status: Option<GroupStatus>,
    }
    let shape = context
        .with_peer(async |peer| {
            let download = peer.client.download(id).await?;
            let groups = match &download.group {
                Some(_) => peer.client.downloads().await?.groups,
                None => Vec::new(),
            };
            let group_status = groups.into_iter().find(|group| Some(&group.group) == download.group.as_ref());
            Ok(Shape { download, group_status })
        })
        .await?;
    context.out.result(&shape, |out| {
        tell(out, &shape.download);
        if let Some(group) = &shape.group_status {
            line(out, &super::in_words(group));
            group.missing.iter().for_each(|file| {
                let why = file.message.as_deref().unwrap_or_default();
                line(out, &format!("  {}  {}  {}  {why}", file.id.0, file.name, word(file.state)));
            });
        }
        offer(out, &shape.download);
    });
    Ok(Exit::Done)
}

pub(super) async fn take(context: &Context, id: DownloadId, file: &str) -> Answer<Exit> {
    let taken = context
        .with_peer(async |peer| {
            let offered = peer.client.download(id).await?.alternates;
            let file = chosen(&offered, file, id)?.file_id;
            peer.client.download_take(id, file).await
        })
        .await?;
    context.out.result(&taken, |out| tell(out, &taken));
    Ok(Exit::Done)
}

/// Named by its id and not by its place in a list: lists change between looking and taking.
fn chosen<'a>(offered: &'a [Alternate], digits: &str, id: DownloadId) -> Answer<&'a Alternate> {
    let show = format!("`choir downloads show {}` lists what is offered", id.0);
    if digits.len() < MIN_PREFIX_DIGITS {
        let message = format!("{digits}: a file id, or its first {MIN_PREFIX_DIGITS} digits, is wanted");
        return Err(ServiceError::new(ErrorKind::Usage, message).hint(show));
    }
    let matching: Vec<_> =
        offered.iter().filter(|alternate| alternate.file_id.to_string().starts_with(digits)).collect();
    match matching.as_slice() {
        [only] => Ok(only),
        [] => Err(ServiceError::new(ErrorKind::NotFound, format!("{digits} is not offered now")).hint(show)),
        several => Err(ServiceError::new(ErrorKind::Ambiguous, format!("{} begin with {digits}", several.len()))),
    }
}

fn line(out: &Output, text: &str) {
    out.line(escape_controls(text));
}

fn tell(out: &Output, download: &DownloadStatus) {
    let DownloadStatus { id, name, state, bytes_done, size, .. } = download;
    line(out, &format!("{}  {name}  {}", id.0, word(*state)));
    line(out, &format!("{} of {}, {}", units::size(*bytes_done), units::size(*size), download.file_id));
    download.message.iter().for_each(|why| line(out, why));
    if let Some(path) = &download.path {
        line(out, &path.to_string_lossy());
    }
    for source in &download.sources {
        let name = source.name.clone().unwrap_or_else(|| source.peer.short());
        line(out, &format!("  {name}: {}", source.note.as_deref().unwrap_or_default()));
    }
}

/// What could be had instead. All of it is the word of strangers, so it is told as such.
fn offer(out: &Output, download: &DownloadStatus) {
    if download.alternates.is_empty() {
        return;
    }
    out.line(format!("offered instead, as their holders describe them; `choir downloads take {} ID`:", download.id.0));
    for alternate in &download.alternates {
        let why = match alternate.why {
            Likeness::SameAudio => "same audio",
            Likeness::SameSong => "same artist, title and length",
        };
        let sources = units::count(alternate.sources.into(), "source");
        let name = alternate.about.name(&alternate.file_id);
        line(out, &format!("  {}  {why}, {sources} online: {name}", alternate.file_id.short()));
        let differs: Vec<_> = alternate.differs.iter().map(in_words).collect();
        if !differs.is_empty() {
            let differs = format!("            {}", differs.join("; "));
            out.line(out.painted(Paint::Faint, &escape_controls(&differs)));
        }
    }
}

/// `bit rate 320 kbps, not 900 kbps`
fn in_words(difference: &Difference) -> String {
    let what = match difference.what.as_str() {
        "bitrate_kbps" => "bit rate",
        "sample_rate_hz" => "sample rate",
        "duration_ms" => "length",
        "album_artist" => "album artist",
        what => what,
    };
    let value = |said: &Option<Said>| match (said, difference.what.as_str()) {
        (None, _) => "unknown".to_owned(),
        (Some(Said::Number(number)), "bitrate_kbps") => format!("{number} kbps"),
        (Some(Said::Number(number)), "sample_rate_hz") => format!("{number} Hz"),
        (Some(Said::Number(number)), "duration_ms") => format!("{:.1} s", *number as f64 / 1000.0),
        (Some(Said::Number(number)), "size") => units::size(*number),
        (Some(Said::Number(number)), _) => number.to_string(),
        (Some(Said::Text(text)), _) => text.clone(),
    };
    format!("{what} {}, not {}", value(&difference.offered), value(&difference.wanted))
}
