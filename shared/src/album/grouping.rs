//! Which songs with the same title of an album are one album.
//!
//! Tags of one album disagree: album artist and year are missing on some copies, reissues have another year, a
//! compilation has an artist for each song. And albums of one title are many: everybody has a "Greatest Hits".
//!
//! 1. **Songs that say the same maker and the same year are one cell.** The maker is the album artist, or else the
//!    artist without guests. Artists who share one pressing (year and number of tracks) without album artist, and whose
//!    songs do not claim the same places, are one maker: a compilation.
//! 2. **Cells join albums**, the largest first, if there is evidence:
//!    - the same maker, and a year is unknown, or half of the songs are the same, or they fill each other's gaps;
//!    - another maker, but half of the songs are the same by artist and title, or it is a guest whose place on this
//!      very pressing is free.
//!
//!    Self-titled albums of one artist in different years share neither songs nor gaps, so they stay apart.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::AlbumTrack;

/// So many artists make a compilation; two may as well be two albums.
const ARTISTS_OF_A_COMPILATION: usize = 3;

/// Of so many songs one may claim the place of another: taggers err.
const SONGS_PER_CLASH: usize = 10;

/// For each of `tracks` the number of its album: the position of the first track that is on the same. Costs at most a
/// look at each track for each album of its title.
pub fn grouped(tracks: &[AlbumTrack]) -> Vec<usize> {
    let mut by_title: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    tracks.iter().enumerate().for_each(|(position, track)| by_title.entry(track.album).or_default().push(position));
    let mut groups: Vec<usize> = (0..tracks.len()).collect();
    for positions in by_title.into_values() {
        for album in albums(tracks, &positions) {
            let first = album.iter().copied().min().unwrap_or_default();
            for position in album {
                groups.get_mut(position).into_iter().for_each(|group| *group = first);
            }
        }
    }
    groups
}

/// The positions of the tracks of each album, all of one title.
fn albums(tracks: &[AlbumTrack], positions: &[usize]) -> Vec<Vec<usize>> {
    let compilers = compilers(tracks, positions);
    let mut cells: BTreeMap<(Option<u64>, Option<u32>), Pieces> = BTreeMap::new();
    for &position in positions {
        let Some(track) = tracks.get(position) else { continue };
        let maker = match track.by {
            None if compilers.contains(&Pressing::of(track)) && track.artist.is_some() => AlbumTrack::various(),
            by => by.or(track.artist),
        };
        cells.entry((maker, track.year)).or_insert_with(|| Pieces::by(maker)).add(position, track);
    }
    let mut cells: Vec<Pieces> = cells.into_values().collect();
    cells.sort_by_key(|cell| (Reverse(cell.told), Reverse(cell.positions.len()), cell.positions.first().copied()));
    let mut albums: Vec<Pieces> = Vec::new();
    for cell in cells {
        let likeness = |album: &Pieces| cell.likeness(album);
        let best = albums.iter().enumerate().filter_map(|(at, album)| Some((likeness(album)?, Reverse(at)))).max();
        match best.and_then(|(_, Reverse(at))| albums.get_mut(at)) {
            Some(album) => album.absorb(cell),
            None => albums.push(cell),
        }
    }
    albums.into_iter().map(|album| album.positions).collect()
}

/// What copies of one edition agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pressing {
    year: Option<u32>,
    track_total: Option<u32>,
}

impl Pressing {
    const fn of(track: &AlbumTrack) -> Self {
        Self { year: track.year, track_total: track.track_total }
    }

    const fn is_known(self) -> bool {
        self.year.is_some() || self.track_total.is_some()
    }
}

/// The pressings that are compilations, though their songs do not say so.
fn compilers(tracks: &[AlbumTrack], positions: &[usize]) -> HashSet<Pressing> {
    #[derive(Default)]
    struct Songs {
        of_artist: HashMap<u64, HashSet<u64>>,
        slots: HashSet<(u32, u32)>,
        songs: HashSet<((u32, u32), u64)>,
        unnumbered: bool,
    }
    let of = positions.iter().filter_map(|position| tracks.get(*position));
    let makers: HashSet<u64> = of.clone().filter_map(|track| track.by).collect();
    let mut pressings: HashMap<Pressing, Songs> = HashMap::new();
    for track in of.filter(|track| track.by.is_none()) {
        let (Some(artist), Some(title)) = (track.artist, track.title) else { continue };
        if makers.contains(&artist) {
            continue;
        }
        let songs = pressings.entry(Pressing::of(track)).or_default();
        songs.of_artist.entry(artist).or_default().insert(title);
        match track.slot() {
            Some(slot) => {
                songs.slots.insert(slot);
                songs.songs.insert((slot, title));
            }
            None => songs.unnumbered = true,
        }
    }
    let is_compilation = |songs: &Songs| {
        let most = songs.of_artist.values().map(HashSet::len).max().unwrap_or_default();
        let clashes = songs.songs.len() - songs.slots.len();
        !songs.unnumbered
            && songs.of_artist.len() >= ARTISTS_OF_A_COMPILATION
            && most * 2 <= songs.songs.len()
            && clashes * SONGS_PER_CLASH <= songs.songs.len()
    };
    let known = pressings.into_iter().filter(|(pressing, songs)| pressing.is_known() && is_compilation(songs));
    known.map(|(pressing, _)| pressing).collect()
}

/// Some songs that are on one album.
#[derive(Debug)]
struct Pieces {
    maker: Option<u64>,
    /// Whether any of them says who made the album.
    told: bool,
    positions: Vec<usize>,
    titles: HashSet<u64>,
    /// Artist and title.
    songs: HashSet<(u64, u64)>,
    artists: HashSet<u64>,
    slots: HashMap<(u32, u32), u64>,
    years: HashSet<u32>,
    totals: HashSet<u32>,
}

/// Why a cell may be part of an album, the better reason the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Likeness {
    same_maker: bool,
    shared: usize,
    fewest_clashes: Reverse<usize>,
    size: usize,
}

impl Pieces {
    fn by(maker: Option<u64>) -> Self {
        Self {
            maker,
            told: false,
            positions: Vec::new(),
            titles: HashSet::new(),
            songs: HashSet::new(),
            artists: HashSet::new(),
            slots: HashMap::new(),
            years: HashSet::new(),
            totals: HashSet::new(),
        }
    }

    fn add(&mut self, position: usize, track: &AlbumTrack) {
        self.told |= track.by.is_some();
        self.positions.push(position);
        self.artists.extend(track.artist);
        self.years.extend(track.year);
        self.totals.extend(track.track_total);
        if let Some(title) = track.title {
            self.titles.insert(title);
            self.songs.extend(track.artist.map(|artist| (artist, title)));
            if let Some(slot) = track.slot() {
                self.slots.insert(slot, title);
            }
        }
    }

    fn absorb(&mut self, other: Self) {
        self.told |= other.told;
        self.positions.extend(other.positions);
        self.titles.extend(other.titles);
        self.songs.extend(other.songs);
        self.artists.extend(other.artists);
        self.slots.extend(other.slots);
        self.years.extend(other.years);
        self.totals.extend(other.totals);
    }

    /// How much speaks for these being songs of `album`; `None` if too little does.
    fn likeness(&self, album: &Self) -> Option<Likeness> {
        let same_maker = self.maker == album.maker;
        let shared = match same_maker {
            true => self.titles.intersection(&album.titles).count(),
            false => self.songs.intersection(&album.songs).count(),
        };
        let clash = |(slot, title): (&(u32, u32), &u64)| album.slots.get(slot).is_some_and(|taken| taken != title);
        let clashes = self.slots.iter().filter(|&place| clash(place)).count();
        let half_is_shared = shared > 0 && shared * 2 >= self.titles.len().min(album.titles.len());
        let fills_gaps = clashes == 0 && !self.slots.is_empty();
        let (unknown_year, same_year) = agreement(&self.years, &album.years);
        let (_, same_total) = agreement(&self.totals, &album.totals);

        let belongs = if same_maker {
            unknown_year || half_is_shared || fills_gaps && same_total
        } else if half_is_shared {
            unknown_year || same_year
        } else {
            let many_artists = album.artists.len() >= ARTISTS_OF_A_COMPILATION || album.maker == AlbumTrack::various();
            let hosted = if many_artists {
                same_year || same_total
            } else {
                same_year && same_total && self.titles.len() * 2 <= album.titles.len()
            };
            !self.told && fills_gaps && hosted && (same_year || unknown_year)
        };
        let size = album.positions.len();
        belongs.then_some(Likeness { same_maker, shared, fewest_clashes: Reverse(clashes), size })
    }
}

/// Whether one side knows nothing, and whether both know the same.
fn agreement(one: &HashSet<u32>, other: &HashSet<u32>) -> (bool, bool) {
    (one.is_empty() || other.is_empty(), !one.is_disjoint(other))
}

#[cfg(test)]
mod tests;
