//! Tunes whose composers nobody remembers.

use super::melody::Meter;
use super::synth::Instrument;
use super::{Song, Voice};

pub(super) fn songs() -> [Song; 4] {
    [amazing_grace(), auld_lang_syne(), frere_jacques(), greensleeves()]
}

fn amazing_grace() -> Song {
    Song {
        title: "Amazing Grace",
        artist: "Traditional",
        album: "Hymns",
        year: 1835,
        track: 1,
        genre: "Folk",
        quarters_per_minute: 108,
        meter: Meter::THREE_FOUR,
        voices: &[
            Voice {
                instrument: Instrument::Flute,
                score: &[
                    "D4/4 | G4/2 B4/8 G4 | B4/2 A4/4 | G4/2 E4/4 | D4/2 D4/4 | G4/2 B4/8 G4 | B4/2 A4/4 | D5/2. |",
                    "D5/2 B4/4 | D5/4. B4/8 D5 B4 | G4/2 D4/4 | E4/4. G4/8 G4 E4 | D4/2 D4/4 |",
                    "G4/2 B4/8 G4 | B4/2 A4/4 | G4/2",
                ],
            },
            Voice {
                instrument: Instrument::Piano,
                score: &[
                    "R/4 | G2/4 D3+B3 D3+B3 | % | C3/4 E3+C4 E3+C4 | G2/4 D3+B3 D3+B3 | % | % | D3/4 F#3+C4 F#3+C4 |",
                    "D3/4 F#3+C4 F#3+C4 | G2/4 D3+B3 D3+B3 | % | C3/4 E3+C4 E3+C4 | G2/4 D3+B3 D3+B3 |",
                    "E2/4 E3+B3 E3+B3 | D3/4 F#3+C4 F#3+C4 | G2+D3+B3/2",
                ],
            },
        ],
    }
}

fn auld_lang_syne() -> Song {
    Song {
        title: "Auld Lang Syne",
        artist: "Traditional",
        album: "Songs of Scotland and England",
        year: 1799,
        track: 1,
        genre: "Folk",
        quarters_per_minute: 100,
        meter: Meter::FOUR_FOUR,
        voices: &[
            Voice {
                instrument: Instrument::Flute,
                score: &[
                    "C4/4 | F4/4. F4/8 F4/4 A4 | G4/4. F4/8 G4/4 A4 | F4/4. F4/8 A4/4 C5 | D5/2. D5/4 |",
                    "C5/4. A4/8 A4/4 F4 | G4/4. F4/8 G4/4 A4 | F4/4. D4/8 D4/4 C4 | F4/2.",
                ],
            },
            Voice {
                instrument: Instrument::Strings,
                score: &[
                    "R/4 | F2+C3+A3/2 F2+C3+A3 | C3+G3+Bb3 C3+G3+Bb3 | F2+C3+A3 F3+C4 | Bb2+F3+Bb3/1 |",
                    "F2+C3+A3/2 F2+C3+A3 | C3+G3+Bb3 C3+G3+Bb3 | Bb2+F3 C3+G3+Bb3 | F2+C3+A3/2.",
                ],
            },
        ],
    }
}

/// Sung as a round: the next voice begins when the one before it has sung two bars.
fn frere_jacques() -> Song {
    const ROUND: &str = "C4/4 D4 E4 C4 | % | E4 F4 G4/2 | % |
                         G4/8 A4 G4 F4 E4/4 C4 | % | C4 G3 C4/2 | % |";
    const ROUND_ABOVE: &str = "C5/4 D5 E5 C5 | % | E5 F5 G5/2 | % |
                               G5/8 A5 G5 F5 E5/4 C5 | % | C5 G4 C5/2 | % |";
    const WAIT: &str = "R/1 | % |";
    Song {
        title: "Frère Jacques",
        artist: "Traditional",
        album: "Chansons d’enfants",
        year: 1780,
        track: 3,
        genre: "Folk",
        quarters_per_minute: 120,
        meter: Meter::FOUR_FOUR,
        voices: &[
            Voice { instrument: Instrument::Flute, score: &[ROUND, WAIT, WAIT] },
            Voice { instrument: Instrument::MusicBox, score: &[WAIT, ROUND_ABOVE, WAIT] },
            Voice { instrument: Instrument::Strings, score: &[WAIT, WAIT, ROUND] },
        ],
    }
}

fn greensleeves() -> Song {
    const VERSE: &str = "C5/4 D5/8 E5/8. F#5/16 E5/8 | D5/4 B4/8 G4/8. A4/16 B4/8 |";
    const CHORUS: &str = "G5/4. G5/8. F#5/16 E5/8 | D5/4 B4/8 G4/8. A4/16 B4/8 |";
    const OPEN_END: &str = "C5/4 A4/8 A4/8. G#4/16 A4/8 |";
    const CLOSED_END: &str = "C5/8. B4/16 A4/8 G#4/8. F#4/16 G#4/8 |";
    Song {
        title: "Greensleeves",
        artist: "Traditional",
        album: "Songs of Scotland and England",
        year: 1580,
        track: 2,
        genre: "Folk",
        quarters_per_minute: 110,
        meter: Meter::SIX_EIGHT,
        voices: &[
            Voice {
                instrument: Instrument::Plucked,
                score: &[
                    "A4/8 |",
                    VERSE,
                    OPEN_END,
                    "B4/4 G#4/8 E4/4 A4/8 |",
                    VERSE,
                    CLOSED_END,
                    "A4/4. A4 |",
                    CHORUS,
                    OPEN_END,
                    "B4/4 G#4/8 E4/4. |",
                    CHORUS,
                    CLOSED_END,
                    "A4/4. A4",
                ],
            },
            Voice {
                instrument: Instrument::Plucked,
                score: &[
                    "R/8 | A2 E3 C4 E3 C4 E3 | G2 D3 B3 D3 B3 D3 | F2 C3 A3 C3 A3 C3 | E2 B2 G#3 B2 G#3 B2 |",
                    "A2/8 E3 C4 E3 C4 E3 | G2 D3 B3 D3 B3 D3 | A2 E3 A3 E2 B2 G#3 | A2 E3 A3 E3 A3 E3 |",
                    "C3/8 G3 C4 G3 C4 G3 | G2 D3 B3 D3 B3 D3 | F2 C3 A3 C3 A3 C3 | E2 B2 G#3 B2 G#3 B2 |",
                    "C3/8 G3 C4 G3 C4 G3 | G2 D3 B3 D3 B3 D3 | A2 E3 A3 E2 B2 G#3 | A2 E3 A3 A2+E3+A3/4.",
                ],
            },
        ],
    }
}
