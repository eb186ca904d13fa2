//! Songs that nobody made.
//!
//! Every song is computed from its rank, 0 being the most popular. What matters to a search index is as in the
//! collections of `research/index_measured.md`: words follow Zipf's law, in ten languages of which three are written
//! without Latin letters and one without spaces; an artist has 13.5 songs on average, some have very many; every
//! third file is another rip of a more popular song; the number of holders falls with the rank to the power of 0.8.

use choir_shared::claim::{Format, Origin};
use choir_shared::leaf::FileLength;
use choir_shared::{Claim, Digest, FileId, text};

use super::Chance;

const SEED: u64 = 0x0c40_1415;

/// Words of one language.
const VOCABULARY: u64 = 60_000;

/// With it the most frequent word stands in some ten of a hundred songs of its language, as `the` does in English.
const WORD_SHIFT: f64 = 6.0;

/// Nobody's song is in more libraries.
const MOST_HOLDERS: u32 = 50_000;

const OTHER_RIPS_PERCENT: u64 = 35;

struct Language {
    percent: u64,
    /// Words are made of these: a rare word of more than a frequent one.
    syllables: &'static str,
    between: &'static str,
}

const LANGUAGES: [Language; 10] = [
    language(
        60,
        "the a of in lo ve my you me day night be ra ki sto ne ri ver wa ter ing er ly light home ho ney blu e fi re co ld sun",
    ),
    language(
        8,
        "der die und ich du ein nacht li be her z fe ür schö ne re gen wal d stern träu men haus mee r win ter lei se tag ö ß el ung",
    ),
    language(
        6,
        "le la de mon ton nuit jour a mour cœur é toi le rê ve ciel fleu r mer ven t é té ça bo ré al mé lo die pa ri s on",
    ),
    language(
        6,
        "el la de mi tu co ra zón no che sol lu na ni ño ma ña na can ción a mor cie lo mar fue go vi da ca mi no es i da",
    ),
    language(
        4,
        "och en det jag du na tt da g hjär ta sko g må ne vå r sjö ljus vin d stjär na hö st å ter än gel ö ver sö der ka ra",
    ),
    language(
        5,
        "я ты не в на но чь де нь лю бо вь се р дце мо ре не бо ве тер сн ег до ро га ле то зи ма го род пе сня ра",
    ),
    language(3, "το η και με σε νύ χτα μέ ρα α γά πη καρ διά θά λασ σα ου ρα νός ή λιος φεγ γά ρι δρό μος τρα γού δι"),
    language(4, "나 너 의 를 밤 날 사 랑 마 음 하 늘 바 다 별 꽃 비 눈 길 노 래 겨 울 봄 여 름 가 을 달 빛 숲"),
    language(2, "في من على يا ليل حب قل ب شم س قم ر بح ر نج م ور د طر يق ري ح مط ر أغ ني ة نو ر سم اء"),
    Language {
        percent: 2,
        syllables: "月 夜 雨 風 花 空 海 星 猫 夢 の は に を と 東 京 春 夏 秋 冬 恋 心 旅 光 影 歌 声 街 駅 灯 雪",
        between: "",
    },
];

const fn language(percent: u64, syllables: &'static str) -> Language {
    Language { percent, syllables, between: " " }
}

const FORMATS: [(u64, &str); 5] = [(68, "mp3"), (16, "flac"), (8, "m4a"), (5, "ogg"), (3, "opus")];

/// Different kinds of chance for the same number.
#[derive(Clone, Copy)]
enum Of {
    Copy,
    Song,
    Artist,
    Album,
    File,
}

#[derive(Clone, Debug)]
pub struct Corpus {
    songs: u32,
    /// Has no divisor in common with the number of songs.
    step: u64,
}

impl Corpus {
    /// # Panics
    /// If there are no songs.
    pub fn new(songs: u32) -> Self {
        assert!(songs > 0, "a corpus of nothing");
        let golden = (f64::from(songs) * 0.618) as u64 | 1;
        let step = (golden..).find(|step| greatest_divisor(*step, songs.into()) == 1).unwrap_or(1);
        Self { songs, step }
    }

    pub const fn songs(&self) -> u32 {
        self.songs
    }

    /// The rank of the song that comes in this place: popular songs are not published first.
    pub fn arrival(&self, place: u32) -> u32 {
        (u64::from(place) * self.step % u64::from(self.songs)) as u32
    }

    pub fn holders(&self, rank: u32) -> u32 {
        let holders = (f64::from(self.songs) / (f64::from(rank) + 1.0)).powf(0.8);
        (holders as u32).clamp(1, MOST_HOLDERS)
    }

    pub fn file(&self, rank: u32) -> FileId {
        let bytes = 3_000_000 + self.chance(Of::File, rank).below(9_000_000);
        let length = FileLength::new(bytes).unwrap_or_else(|_| unreachable!("some megabytes"));
        FileId::new(Digest::of(&[b"a song".as_slice(), &rank.to_be_bytes()].concat()), length)
    }

    pub fn claim(&self, rank: u32) -> Claim {
        let mut chance = self.chance(Of::Song, self.original(rank));
        let artists = u64::from(self.songs) * 2 / 27 + 1;
        let artist = if chance.percent(36) { chance.below(artists) } else { chance.zipf(artists, 1.0) };
        let mut artist_chance = self.chance(Of::Artist, artist as u32);
        let language = some_language(&mut artist_chance);
        let length = 1 + artist_chance.below(2);
        let artist_name = language.words(&mut artist_chance, length);
        let length = 1 + chance.below(4);
        let title = language.words(&mut chance, length);
        let mut album_chance = self.chance(Of::Album, (artist * 8 + chance.below(5)) as u32);
        let length = 1 + album_chance.below(3);
        let album = language.words(&mut album_chance, length);
        let track = 1 + chance.below(15) as u32;
        let year = 1960 + album_chance.below(65) as u32;

        // What differs between two rips of one song.
        let mut chance = self.chance(Of::File, rank);
        let format = pick(&mut chance, &FORMATS);
        let bitrate = if format == "flac" { 700 + chance.below(400) } else { 128 + 64 * chance.below(4) };
        Claim {
            format: Format::new(format).unwrap_or_default(),
            duration_ms: Some(90_000 + chance.below(300_000)),
            file_name: Some(format!("{track:02} {title}.{format}")),
            title: Some(title),
            artist: Some(artist_name),
            album: Some(album),
            track: Some(track),
            year: Some(year),
            bitrate_kbps: Some(bitrate as u32),
            sample_rate_hz: Some(44_100),
            channels: Some(2),
            origin: Some(Origin::Tags),
            ..Claim::default()
        }
    }

    /// The words of a song as a reader says them: title, artist, album.
    pub fn words(&self, rank: u32) -> Vec<String> {
        let claim = self.claim(rank);
        [claim.title, claim.artist, claim.album].into_iter().flatten().flat_map(|text| text::tokens(&text)).collect()
    }

    /// The word of this rank of the first language.
    pub fn frequent_word(rank: u64) -> String {
        LANGUAGES[0].word(rank)
    }

    /// The song of which this one is a rip.
    fn original(&self, mut rank: u32) -> u32 {
        loop {
            let mut chance = self.chance(Of::Copy, rank);
            if rank == 0 || !chance.percent(OTHER_RIPS_PERCENT) {
                return rank;
            }
            rank = chance.below(rank.into()) as u32;
        }
    }

    fn chance(&self, of: Of, number: u32) -> Chance {
        Chance::new(SEED, (of as u64) << 32 | u64::from(number))
    }
}

impl Language {
    fn words(&self, chance: &mut Chance, count: u64) -> String {
        let words: Vec<String> = (0..count).map(|_| self.word(chance.zipf(VOCABULARY, WORD_SHIFT))).collect();
        words.join(self.between)
    }

    /// The word of a rank: written with the digits of a number whose digits are syllables.
    fn word(&self, rank: u64) -> String {
        let syllables: Vec<&str> = self.syllables.split(' ').collect();
        let base = syllables.len() as u64;
        let (mut rest, mut length, mut room) = (rank, 1, base);
        while rest >= room {
            (rest, length, room) = (rest - room, length + 1, room * base);
        }
        // Neighbours in rank are not to be neighbours in the dictionary.
        let mut digits = (rest * 7_919 + 13) % room;
        let mut word = String::new();
        for _ in 0..length {
            word += syllables[(digits % base) as usize];
            digits /= base;
        }
        word
    }
}

fn some_language(chance: &mut Chance) -> &'static Language {
    let mut lot = chance.below(100);
    for language in &LANGUAGES {
        if lot < language.percent {
            return language;
        }
        lot -= language.percent;
    }
    &LANGUAGES[0]
}

fn pick(chance: &mut Chance, choices: &[(u64, &'static str)]) -> &'static str {
    let mut lot = chance.below(100);
    for (percent, choice) in choices {
        if lot < *percent {
            return choice;
        }
        lot -= percent;
    }
    choices[0].1
}

fn greatest_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_song_arrives_once_and_keeps_the_rules_of_claims() {
        let corpus = Corpus::new(3_000);
        let ranks: HashSet<u32> = (0..3_000).map(|place| corpus.arrival(place)).collect();
        assert_eq!(ranks.len(), 3_000);
        for rank in ranks {
            let claim = corpus.claim(rank);
            assert_eq!(Claim::parse(claim.to_canonical_json().as_bytes()), Ok(claim));
        }
    }

    #[test]
    fn the_languages_are_shares_of_a_whole() {
        assert_eq!(LANGUAGES.iter().map(|language| language.percent).sum::<u64>(), 100);
        assert_eq!(FORMATS.iter().map(|(percent, _)| percent).sum::<u64>(), 100);
    }

    #[test]
    fn words_follow_the_law_of_zipf() {
        let corpus = Corpus::new(20_000);
        let mut counts = std::collections::HashMap::new();
        for rank in 0..20_000 {
            let words: HashSet<String> = corpus.words(rank).into_iter().collect();
            words.into_iter().for_each(|word| *counts.entry(word).or_insert(0u32) += 1);
        }
        let mut counts: Vec<u32> = counts.into_values().collect();
        counts.sort_by_key(|count| std::cmp::Reverse(*count));
        assert!((800..4_000).contains(&counts[0]), "{}", counts[0]);
        assert!(counts.len() > 10_000 && counts[counts.len() / 2] <= 2, "half of all words are rare: {}", counts.len());
    }
}
