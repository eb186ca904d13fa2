//! What is meant: a row of the last search, a file id, a link, words, an album, a folder.

use choir_shared::index_api::LibraryFolder;
use choir_shared::link::Link;
use choir_shared::query::{MAX_LIMIT, SearchParams};
use choir_shared::{FileId, PeerId};

use super::album;
use crate::api::types::{FileRow, LeftOut};
use crate::api::{Answer, ApiClient, ErrorKind, ServiceError};
use crate::cli::args::Get;
use crate::cli::browse::whole_folder;
use crate::cli::choice::{self, numbers};
use crate::cli::context::Context;
use crate::cli::last_search::{LastSearch, MIN_PREFIX_DIGITS};
use crate::cli::whois::called;
use crate::download::about::About;

/// Most files of one folder with all that is inside. More is asked for in parts, knowingly.
const MAX_FILES: usize = 10_000;

/// Most folders that are looked into.
const MAX_FOLDERS: usize = 2_000;

/// Files to fetch.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wanted {
    pub(super) files: Vec<WantedFile>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) group: Option<String>,
    /// Whether the result is told as a list, even if it has one file.
    pub(super) several: bool,
}

#[derive(Debug, PartialEq)]
pub(super) struct WantedFile {
    pub(super) file_id: FileId,
    pub(super) name: Option<String>,
    /// From strangers; the daemon makes them safe.
    pub(super) subfolders: Vec<String>,
    pub(super) sources: Vec<PeerId>,
    pub(super) about: Option<About>,
}

pub(super) enum Found {
    Wanted(Wanted),
    /// Several match where one is meant.
    TooMany(Vec<FileRow>),
}

pub(super) async fn resolve(context: &Context, client: &ApiClient, get: &Get) -> Answer<Found> {
    if let Some(text) = &get.album {
        return whole_album(context, client, get, text).await;
    }
    if let Some([peer, path]) = get.folder.as_deref() {
        return folder(context, client, get, peer, path).await.map(Found::Wanted);
    }
    if let Some(references) =
        get.targets.iter().map(|target| Reference::read(target)).collect::<Answer<Option<Vec<_>>>>()?
    {
        let last = LastSearch::read(&context.last_search());
        let mut wanted = Wanted { several: references.len() > 1, ..Wanted::default() };
        for reference in references {
            let files = reference.files(client, &last).await?;
            wanted.several |= files.len() > 1;
            wanted.files.extend(files);
        }
        return Ok(Found::Wanted(wanted));
    }
    if let [word] = get.targets.as_slice()
        && let Some(file) = prefix(context, client, word).await?
    {
        return Ok(Found::Wanted(Wanted { files: vec![file], ..Wanted::default() }));
    }
    words(context, client, get).await
}

/// What names files by itself.
#[derive(Debug, PartialEq)]
enum Reference {
    /// `@2`, `@5-7`
    Rows(Vec<usize>),
    File {
        file: FileId,
        name: Option<String>,
    },
}

impl Reference {
    /// `None` for words. What looks like a reference and is none is an error, not a search.
    fn read(text: &str) -> Answer<Option<Self>> {
        let usage = |message: String| ServiceError::new(ErrorKind::Usage, message);
        if let Some(rows) = text.strip_prefix('@') {
            let rows = numbers(rows, MAX_FILES).ok_or_else(|| usage(format!("{text}: a row is @2, some are @2-4")))?;
            return Ok(Some(Self::Rows(rows)));
        }
        if text.starts_with("choir:") {
            return match text.parse() {
                Ok(Link::File { file, name }) => Ok(Some(Self::File { file, name })),
                Ok(Link::Join(_)) => Err(usage("this link names an index".into()).hint("`choir join LINK` joins it")),
                Err(error) => Err(usage(error.to_string())),
            };
        }
        Ok(text.parse().ok().map(|file| Self::File { file, name: None }))
    }

    async fn files(self, client: &ApiClient, last: &LastSearch) -> Answer<Vec<WantedFile>> {
        match self {
            Self::Rows(rows) => rows.into_iter().map(|row| last.row(row).map(|row| of_row(&row))).collect(),
            Self::File { file, name: Some(name) } => Ok(vec![WantedFile { name: Some(name), ..nameless(file) }]),
            Self::File { file, name: None } => match last.of(file) {
                Some(row) => Ok(vec![of_row(&row)]),
                None => match client.file(&file.to_string()).await {
                    Ok(row) => Ok(vec![of_row(&row)]),
                    // No index knows it, but somebody may have it all the same: the download waits for them.
                    Err(error) if error.code == ErrorKind::NotFound => Ok(vec![nameless(file)]),
                    Err(error) => Err(error),
                },
            },
        }
    }
}

/// The file whose id begins with `word`, if `word` can be the beginning of one and is known.
async fn prefix(context: &Context, client: &ApiClient, word: &str) -> Answer<Option<WantedFile>> {
    let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let root = word.split('-').next().unwrap_or_default();
    if root.len() < MIN_PREFIX_DIGITS || !root.bytes().all(digits) {
        return Ok(None);
    }
    if let Some(row) = LastSearch::read(&context.last_search()).begins_with(word)? {
        return Ok(Some(of_row(&row)));
    }
    match client.file(word).await {
        Ok(row) => Ok(Some(of_row(&row))),
        // Then it is a word.
        Err(error) if error.code == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn words(context: &Context, client: &ApiClient, get: &Get) -> Answer<Found> {
    let params = SearchParams { q: Some(get.targets.join(" ")), ..SearchParams::default() };
    let rows = found(client, params).await?;
    LastSearch::write(&context.last_search(), &rows);
    let wanted = |rows: &[FileRow]| Wanted {
        files: rows.iter().map(of_row).collect(),
        several: rows.len() > 1,
        ..Wanted::default()
    };
    match rows.as_slice() {
        [only] => Ok(Found::Wanted(wanted(std::slice::from_ref(only)))),
        [best, ..] if get.first => Ok(Found::Wanted(wanted(std::slice::from_ref(best)))),
        _ if context.out.can_ask() => Ok(Found::Wanted(wanted(&choice::among(context, &rows).await?))),
        _ => Ok(Found::TooMany(rows)),
    }
}

async fn whole_album(context: &Context, client: &ApiClient, get: &Get, text: &str) -> Answer<Found> {
    let params =
        SearchParams { album: Some(text.to_owned()), limit: Some(u32::from(MAX_LIMIT)), ..SearchParams::default() };
    let albums = album::grouped(found(client, params).await?);
    let heads: Vec<FileRow> = albums.iter().filter_map(|rows| rows.first().cloned()).collect();
    let chosen = match albums.as_slice() {
        [only] => only,
        [best, ..] if get.first => best,
        _ if context.out.can_ask() => {
            context.out.message("several albums match; one song of each:");
            let head = choice::among(context, &heads).await?;
            let same = |rows: &&Vec<FileRow>| rows.first().is_some_and(|row| head.first() == Some(row));
            albums.iter().find(same).ok_or_else(|| too_many(heads.len()))?
        }
        _ => {
            LastSearch::write(&context.last_search(), &heads);
            return Ok(Found::TooMany(heads));
        }
    };
    let (tracks, left_out) = album::one_of_each(chosen);
    // `-o` names the folder itself; otherwise the album gets one of its own.
    let subfolders = if get.out.is_some() { Vec::new() } else { album::folder(chosen) };
    let files = tracks.into_iter().map(|row| WantedFile { subfolders: subfolders.clone(), ..of_row(row) }).collect();
    let group = Some(album::folder(chosen).join(" - ")).filter(|group| !group.is_empty());
    Ok(Found::Wanted(Wanted { files, left_out, group, several: true }))
}

/// A folder with all that is inside.
async fn folder(context: &Context, client: &ApiClient, get: &Get, who: &str, path: &str) -> Answer<Wanted> {
    let path = path.trim_matches('/');
    let mut wanted = Wanted { several: true, ..Wanted::default() };
    let mut open = vec![path.to_owned()];
    let mut looked_into = 0;
    // A name that changes hands meanwhile must not lead into another's library.
    let mut who = who.to_owned();
    while let Some(inner) = open.pop() {
        let page = whole_folder(client, &who, &inner).await?;
        if looked_into == 0 {
            context.out.message(called(page.name.as_deref(), &page.peer));
            let whose = page.name.clone().unwrap_or_else(|| page.peer.short());
            wanted.group = Some(if path.is_empty() { whose } else { path.to_owned() });
            who = page.peer.to_string();
        }
        looked_into += 1;
        let subfolders = relative(path, &inner, get.out.is_some());
        wanted.files.extend(page.files.iter().map(|row| WantedFile {
            subfolders: subfolders.clone(),
            sources: vec![page.peer],
            ..of_row(row)
        }));
        if looked_into > MAX_FOLDERS || wanted.files.len() > MAX_FILES {
            let message = format!("more than {MAX_FILES} files or {MAX_FOLDERS} folders are in there");
            return Err(ServiceError::new(ErrorKind::TooLarge, message).hint("fetch the folders inside one by one"));
        }
        // Only folders that are really inside: the names come from a stranger, and a circle would not end.
        let inside = |folder: &LibraryFolder| inner.is_empty() || folder.path.starts_with(&format!("{inner}/"));
        open.extend(
            page.folders
                .into_iter()
                .filter(inside)
                .filter(|folder| folder.path.len() > inner.len())
                .map(|folder| folder.path),
        );
    }
    if wanted.files.is_empty() {
        return Err(ServiceError::new(ErrorKind::NotFound, "there are no files in this folder")
            .hint("`choir browse PEER` shows what is there"));
    }
    Ok(wanted)
}

/// The folders to make for the files of `inner`, which is `path` or inside it. `-o` stands for `path` itself;
/// otherwise the last folder of `path` is made too.
fn relative(path: &str, inner: &str, out_is_given: bool) -> Vec<String> {
    let keep = match (out_is_given, path.rsplit_once('/')) {
        (true, _) => inner.strip_prefix(path).unwrap_or(inner),
        (false, Some((above, _))) => inner.strip_prefix(above).unwrap_or(inner),
        (false, None) => inner,
    };
    keep.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

async fn found(client: &ApiClient, params: SearchParams) -> Answer<Vec<FileRow>> {
    params.clone().parse().map_err(|error| ServiceError::new(ErrorKind::Usage, error.to_string()))?;
    let rows = client.search(&params).await?.results;
    if rows.is_empty() {
        let error = ServiceError::new(ErrorKind::NotFound, "nothing found");
        return Err(error.hint("fewer words find more: `choir search WORDS`"));
    }
    Ok(rows)
}

pub(super) fn too_many(count: usize) -> ServiceError {
    ServiceError::new(ErrorKind::Ambiguous, format!("{count} match"))
        .hint("`choir get @N` fetches row N, `--first` the best")
}

fn of_row(row: &FileRow) -> WantedFile {
    WantedFile { name: Some(row.download_name()), about: Some(row.about()), ..nameless(row.file_id) }
}

const fn nameless(file_id: FileId) -> WantedFile {
    WantedFile { file_id, name: None, subfolders: Vec::new(), sources: Vec::new(), about: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::row;

    #[test]
    fn references_are_told_from_words() {
        let file = row(1, "a").file_id;
        let table = [
            ("hyperballad".to_owned(), Ok(None)),
            ("1999".to_owned(), Ok(None)),
            ("@2".to_owned(), Ok(Some(Reference::Rows(vec![2])))),
            ("@2-4".to_owned(), Ok(Some(Reference::Rows(vec![2, 3, 4])))),
            ("@".to_owned(), Err(ErrorKind::Usage)),
            ("@x".to_owned(), Err(ErrorKind::Usage)),
            (file.to_string(), Ok(Some(Reference::File { file, name: None }))),
            (format!("choir:file/{file}?name=a.flac"), Ok(Some(Reference::File { file, name: Some("a.flac".into()) }))),
            ("choir:join/h:1".to_owned(), Err(ErrorKind::Usage)),
            ("choir:file/abc".to_owned(), Err(ErrorKind::Usage)),
        ];
        for (text, expected) in table {
            assert_eq!(Reference::read(&text).map_err(|error| error.code), expected, "{text}");
        }
    }

    #[test]
    fn folders_keep_their_shape_below_the_one_that_is_asked_for() {
        let table: [(&str, &str, bool, &[&str]); 7] = [
            ("", "", false, &[]),
            ("", "A/B", false, &["A", "B"]),
            ("A", "A", false, &["A"]),
            ("A/B", "A/B", false, &["B"]),
            ("A/B", "A/B/C", false, &["B", "C"]),
            ("A/B", "A/B", true, &[]),
            ("A/B", "A/B/C/D", true, &["C", "D"]),
        ];
        for (path, inner, out_is_given, expected) in table {
            assert_eq!(relative(path, inner, out_is_given), expected, "{path} {inner}");
        }
    }
}
