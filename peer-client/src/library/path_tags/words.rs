//! Names that say something else than an artist or an album.

/// Folders that say nothing of the songs in them.
#[rustfmt::skip]
const GENERIC: &[&str] = &[
    // Where music lies.
    "music", "my music", "musik", "musique", "musica", "música", "muzyka", "muziek", "audio", "songs", "song",
    "tracks", "sound", "sounds", "sound effects", "sfx", "snd", "bgm", "data", "assets", "media", "files", "mp3",
    "mp3s", "flac", "flacs", "ogg", "opus", "wav", "wma", "aac", "m4a", "lossless", "lossy", "hi-res", "library",
    "itunes", "itunes media", "itunes music", "share", "shared", "public", "home", "downloads", "download",
    "torrents", "complete", "completed", "finished", "incoming", "new", "unsorted", "sorted", "misc",
    "various stuff", "other", "others", "temp", "tmp", "backup", "collection", "choir", "soulseek", "nicotine",
    "desktop", "documents", "usenet", "dl", "res", "resources", "raw", "win", "lose", "menu", "ingame", "levels",
    // Which part of what an artist made.
    "albums", "studio albums", "live albums", "singles", "singles & eps", "eps", "ep", "discography", "bootlegs",
    "demos", "lps", "full-length",
    // Genres.
    "rock", "pop", "jazz", "blues", "classical", "klassik", "metal", "folk", "country", "electronic", "electronica",
    "techno", "house", "trance", "ambient", "hip hop", "hip-hop", "hiphop", "rap", "rnb", "r&b", "soul", "funk",
    "reggae", "punk", "indie", "alternative", "world", "latin", "dance", "disco", "christmas", "children", "kids",
    "party",
    // Names of nothing.
    "unknown", "unknown artist", "unknown album", "unknown disc", "untitled", "no artist", "no album", "0-9", "#",
];

#[rustfmt::skip]
const VARIOUS: &[&str] = &[
    "various", "various artists", "various artist", "va", "v.a.", "v.a", "v a", "compilations", "compilation",
    "samplers", "sampler", "soundtracks", "soundtrack", "ost", "diverse", "verschiedene interpreten", "mixtapes",
    "mixes",
];

/// What is written in brackets behind a name and is not part of it.
#[rustfmt::skip]
const NOISE: &[&str] = &[
    "flac", "mp3", "ogg", "opus", "aac", "alac", "m4a", "wav", "ape", "kbps", "kbit", "kb", "vbr", "cbr", "v0",
    "v2", "web", "webrip", "cd", "cdrip", "vinyl", "lp", "lossless", "rip", "digital", "hq", "hd", "4k", "1080p",
    "720p", "16bit", "24bit", "16-bit", "24-bit", "khz", "320", "256", "192", "160", "128", "24-96", "24-44",
    "24-48", "24-192", "16-44",
];

#[rustfmt::skip]
const VIDEO_NOISE: &[&str] = &[
    "official video", "official music video", "official audio", "official lyric video", "official lyrics video",
    "official visualizer", "official", "lyric video", "lyrics video", "lyrics", "with lyrics", "audio",
    "music video", "visualizer", "full album", "official hd video", "video", "clip officiel", "videoclip",
];

pub(super) fn is_generic_folder(name: &str) -> bool {
    let name = spaced(name).to_lowercase();
    name.chars().count() < 2 || GENERIC.contains(&name.as_str())
}

pub(super) fn is_various(name: &str) -> bool {
    VARIOUS.contains(&name.to_lowercase().as_str())
}

/// `CD1`, `Disc 2`, `disk_03`, `Disc 1 - The Beginning`; also `Side B`, which is no disc of its own.
pub(super) fn disc_folder(name: &str) -> Option<u32> {
    let name = spaced(name).to_lowercase();
    let rest =
        ["disque", "disco", "disc", "disk", "cd", "dvd", "lp"].iter().find_map(|word| name.strip_prefix(word))?;
    let rest = rest.trim_start_matches([' ', '-', '#', '.']);
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = rest.split_at(digits);
    let ends = rest.is_empty() || rest.starts_with([' ', '-', ':', '(', '[', '_', ',']);
    number.parse().ok().filter(|number| ends && (1..100).contains(number))
}

/// `Beatles, The` is filed under B.
pub(super) fn artist_folder(name: &str) -> String {
    let name = without_noise(&spaced(name));
    match name.rsplit_once(", ") {
        Some((rest, article)) if matches!(article, "The" | "the" | "Die" | "Der" | "Das" | "Les" | "Los") => {
            format!("{article} {rest}")
        }
        _ => name,
    }
}

/// Underscores and runs of spaces as single spaces.
pub(super) fn spaced(text: &str) -> String {
    let text = if text.contains("%20") { text.replace("%20", " ") } else { text.to_owned() };
    text.split(|c: char| c == '_' || c.is_whitespace()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The name without what rippers and sites put behind it, unless nothing else is left.
pub(super) fn without_noise(name: &str) -> String {
    let mut name = name.trim();
    loop {
        let shorter = without_last_noise(name).trim_end();
        if shorter.is_empty() || shorter.len() == name.len() {
            return name.to_owned();
        }
        name = shorter;
    }
}

fn without_last_noise(name: &str) -> &str {
    let lower = name.to_ascii_lowercase();
    if lower.ends_with(" - copy") {
        return name.get(..name.len() - " - copy".len()).unwrap_or(name);
    }
    let Some(open) = name.rfind(['(', '[', '{']) else { return name };
    let (Some(before), Some(group)) = (name.get(..open), name.get(open..)) else { return name };
    let closing = match group.chars().next() {
        Some('(') => ')',
        Some('[') => ']',
        _ => '}',
    };
    let Some(inner) = group.get(1..).and_then(|inner| inner.strip_suffix(closing)) else { return name };
    let is_noise = closing == '}' || is_noise(inner) || is_copy_number(inner) || closing == ']' && is_video_id(inner);
    if is_noise { before } else { name }
}

fn is_noise(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    if VIDEO_NOISE.contains(&text.as_str()) {
        return true;
    }
    let mut words = text.split([' ', ',', '/', '@', '+', '|']).filter(|word| !word.is_empty()).peekable();
    words.peek().is_some()
        && words.all(|word| {
            let bare = word.trim_start_matches(|c: char| c.is_ascii_digit());
            NOISE.contains(&word)
                || bare.len() < word.len() && matches!(bare, "kbps" | "kbit" | "kb" | "k" | "khz" | "bit")
        })
}

/// `Title (1)`: the second download of the same.
fn is_copy_number(text: &str) -> bool {
    matches!(text.as_bytes(), [b'1'..=b'9'])
}

/// Eleven letters, digits, hyphens and underscores, as video sites have them, and not a word.
fn is_video_id(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == ' ');
    text.len() == 11
        && plain
        && text.contains(|c: char| c.is_ascii_digit())
        && text.contains(|c: char| c.is_ascii_alphabetic())
}

/// A year in which music was recorded.
pub(super) fn year(text: &str) -> Option<u32> {
    let four_digits = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|year| four_digits && (1900..2100).contains(year))
}

/// The parts between dashes that have spaces around them, none of them empty.
pub(super) fn split_at_dashes(text: &str) -> Vec<&str> {
    let mut parts = vec![text];
    for dash in [" - ", " – ", " — ", " -- "] {
        parts = parts.into_iter().flat_map(|part| part.split(dash)).collect();
    }
    parts
        .into_iter()
        .map(|part| part.trim_matches(|c: char| c.is_whitespace() || c == '-'))
        .filter(|part| !part.is_empty())
        .collect()
}
