//! The second half of the nineteenth century.

use super::melody::Meter;
use super::synth::Instrument;
use super::{Song, Voice};

pub(super) fn songs() -> [Song; 4] {
    [lullaby(), largo(), mountain_king(), gymnopedie()]
}

fn lullaby() -> Song {
    Song {
        title: "Lullaby (Wiegenlied)",
        artist: "Johannes Brahms",
        album: "Five Songs",
        year: 1868,
        track: 4,
        genre: "Romantic",
        quarters_per_minute: 108,
        meter: Meter::THREE_FOUR,
        voices: &[
            Voice {
                instrument: Instrument::MusicBox,
                score: &[
                    "A4/8 A4 | C5/4. A4/8 A4/4 | C5/2 A4/8 C5 | F5/4 E5/4. D5/8 | D5/4 C5 G4/8 A4 |",
                    "Bb4/4. G4/8 G4 A4 | Bb4/2 G4/8 Bb4 | E5 D5 C5/4 E5 | F5/2 F4/8 F4 |",
                    "F5/2 D5/8 Bb4 | C5/2 A4/8 F4 | Bb4/4 C5 D5 | C5/2 F4/8 F4 |",
                    "F5/2 D5/8 Bb4 | C5/2 A4/8 F4 | Bb4/4 A4 G4 | F4/2",
                ],
            },
            Voice {
                instrument: Instrument::Piano,
                score: &[
                    "R/4 | F2/4 C3+A3 C3+A3 | % | % | C3/4 G3+Bb3 G3+Bb3 | % | % | % | F2/4 C3+A3 C3+A3 |",
                    "F2/4 F3+Bb3 F3+Bb3 | F2/4 C3+A3 C3+A3 | C3/4 G3+Bb3 G3+Bb3 | F2/4 C3+A3 C3+A3 |",
                    "F2/4 F3+Bb3 F3+Bb3 | F2/4 C3+A3 C3+A3 | C3/4 G3+Bb3 G3+Bb3 | F2+C3+A3/2",
                ],
            },
        ],
    }
}

fn largo() -> Song {
    const OPENING: &str = "F4/4. Ab4/8 Ab4/2 | F4/4. Eb4/8 Db4/2 |";
    Song {
        title: "Largo",
        artist: "Antonín Dvořák",
        album: "Symphony No. 9 “From the New World”",
        year: 1893,
        track: 2,
        genre: "Romantic",
        quarters_per_minute: 76,
        meter: Meter::FOUR_FOUR,
        voices: &[
            Voice {
                instrument: Instrument::Flute,
                score: &[OPENING, "Eb4/4. F4/8 Ab4/4. F4/8 | Eb4/1 |", OPENING, "Eb4/4 F4 Eb4/4. Db4/8 | Db4/1"],
            },
            Voice {
                instrument: Instrument::Strings,
                score: &[
                    "Db3+Ab3/1 | Db3+Ab3/2 Bb2+F3 | Gb2+Db3 Db3+Ab3 | Ab2+Eb3/1 |",
                    "Db3+Ab3/1 | Db3+Ab3/2 Bb2+F3 | Gb2+Db3 Ab2+Eb3 | Db3+Ab3/1",
                ],
            },
        ],
    }
}

fn mountain_king() -> Song {
    Song {
        title: "In the Hall of the Mountain King",
        artist: "Edvard Grieg",
        album: "Peer Gynt",
        year: 1875,
        track: 4,
        genre: "Romantic",
        quarters_per_minute: 152,
        meter: Meter::FOUR_FOUR,
        voices: &[
            Voice {
                instrument: Instrument::Plucked,
                score: &[
                    "B2/8 C#3 D3 E3 F#3 D3 F#3/4 | F3/8 C#3 F3/4 E3/8 C3 E3/4 |",
                    "B2/8 C#3 D3 E3 F#3 D3 F#3 B3 | A3 F#3 D3 F#3 A3/2 |",
                    "B3/8 C#4 D4 E4 F#4 D4 F#4/4 | F4/8 C#4 F4/4 E4/8 C4 E4/4 |",
                    "B3/8 C#4 D4 E4 F#4 D4 F#4 B4 | A4 F#4 D4 F#4 A4/2 |",
                    "F#4/8 G#4 A#4 B4 C#5 A#4 C#5/4 | D5/8 A#4 D5/4 C#5/8 A#4 C#5/4 |",
                    "F#4/8 G#4 A#4 B4 C#5 A#4 C#5/4 | D5/8 A#4 D5/4 C#5/2 |",
                    "B4/8 C#5 D5 E5 F#5 D5 F#5/4 | F5/8 C#5 F5/4 E5/8 C5 E5/4 |",
                    "B4/8 C#5 D5 E5 F#5 D5 F#5 B5 | A5 F#5 D5 F#5 B5/2",
                ],
            },
            Voice {
                instrument: Instrument::Plucked,
                score: &[
                    "B1+B2/4 R B1+B2 R | % | % | % | B1+B2/4 D3+F#3 B1+B2 D3+F#3 | B1+B2/4 R B1+B2 R |",
                    "B1+B2/4 D3+F#3 B1+B2 D3+F#3 | % | F#2/4 F#3+A#3 F#2 F#3+A#3 | % | % | % |",
                    "B1+B2/4 D3+F#3 B1+B2 D3+F#3 | B1+B2/4 R B1+B2 R |",
                    "B1+B2/4 D3+F#3 B1+B2 D3+F#3 | B1+B2/4 R B1+B2+D3+F#3/2",
                ],
            },
        ],
    }
}

fn gymnopedie() -> Song {
    const THEME: &str = "R/4 F#5 A5 | G5 F#5 C#5 | B4 C#5 D5 | A4/2. |";
    Song {
        title: "Gymnopédie No. 1",
        artist: "Erik Satie",
        album: "Trois Gymnopédies",
        year: 1888,
        track: 1,
        genre: "Impressionist",
        quarters_per_minute: 84,
        meter: Meter::THREE_FOUR,
        voices: &[
            Voice { instrument: Instrument::Piano, score: &["R/2. | % |", THEME, "F#4/2. | R |", THEME] },
            Voice {
                instrument: Instrument::Piano,
                score: &[
                    "G2/4 B3+D4+F#4/2 | D2/4 A3+C#4+F#4/2 | G2/4 B3+D4+F#4/2 | D2/4 A3+C#4+F#4/2 |",
                    "G2/4 B3+D4+F#4/2 | D2/4 A3+C#4+F#4/2 | G2/4 B3+D4+F#4/2 | D2/4 A3+C#4+F#4/2 |",
                    "G2/4 B3+D4+F#4/2 | D2/4 A3+C#4+F#4/2 | G2/4 B3+D4+F#4/2 | D2/4 A3+C#4+F#4/2 |",
                ],
            },
        ],
    }
}
