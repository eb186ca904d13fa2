//! Counterpoint, plucked and bowed.

use super::melody::Meter;
use super::synth::Instrument;
use super::{Song, Voice};

pub(super) fn songs() -> [Song; 3] {
    [minuet_in_g(), prelude_in_c(), canon()]
}

/// Long believed to be Bach's, because his wife's notebook does not say whose it is.
fn minuet_in_g() -> Song {
    const OPENING: &str = "D5/4 G4/8 A4 B4 C5 | D5/4 G4 G4 | E5 C5/8 D5 E5 F#5 | G5/4 G4 G4 |
                           C5/4 D5/8 C5 B4 A4 | B4/4 C5/8 B4 A4 G4 |";
    Song {
        title: "Minuet in G",
        artist: "Christian Petzold",
        album: "Notebook for Anna Magdalena Bach",
        year: 1725,
        track: 4,
        genre: "Baroque",
        quarters_per_minute: 120,
        meter: Meter::THREE_FOUR,
        voices: &[
            Voice {
                instrument: Instrument::Harpsichord,
                score: &[OPENING, "F#4/4 G4/8 A4 B4 G4 | A4/2. |", OPENING, "A4/4 B4/8 A4 G4 F#4 | G4/2."],
            },
            Voice {
                instrument: Instrument::Harpsichord,
                score: &[
                    "G3+B3+D4/2 A3/4 | B3/2. | C4 | B3 | A3 | G3 | D4/4 B3 G3 | D4/4 D3/8 C4 B3 A3 |",
                    "B3/2 A3/4 | G3 B3 G3 | C4/2. | B3/4 C4/8 B3 A3 G3 | A3/2 F#3/4 | G3/2 B3/4 | C4 D4 D3 | G2+G3/2.",
                ],
            },
        ],
    }
}

fn prelude_in_c() -> Song {
    Song {
        title: "Prelude in C",
        artist: "Johann Sebastian Bach",
        album: "The Well-Tempered Clavier",
        year: 1722,
        track: 1,
        genre: "Baroque",
        quarters_per_minute: 104,
        // The printed bars are twice as long; halves let `%` repeat each figure.
        meter: Meter::TWO_FOUR,
        voices: &[
            Voice {
                instrument: Instrument::Piano,
                score: &[
                    "R/8 G4/16 C5 E5 G4 C5 E5 | % | R/8 A4/16 D5 F5 A4 D5 F5 | % |",
                    "R/8 G4/16 D5 F5 G4 D5 F5 | % | R/8 G4/16 C5 E5 G4 C5 E5 | % |",
                    "R/8 A4/16 E5 A5 A4 E5 A5 | % | R/8 F#4/16 A4 D5 F#4 A4 D5 | % |",
                    "R/8 G4/16 D5 G5 G4 D5 G5 | % | R/8 E4/16 G4 C5 E4 G4 C5 | % |",
                    "R/8 E4/16 G4 C5 E4 G4 C5 | % | R/8 D4/16 F#4 C5 D4 F#4 C5 | % |",
                    "R/8 D4/16 G4 B4 D4 G4 B4 | % | E4+G4+C5/2",
                ],
            },
            Voice {
                instrument: Instrument::Piano,
                score: &[
                    "C4/16 E4/4.. | % | C4/16 D4/4.. | % | B3/16 D4/4.. | % | C4/16 E4/4.. | % |",
                    "C4/16 E4/4.. | % | C4/16 D4/4.. | % | B3/16 D4/4.. | % | B3/16 C4/4.. | % |",
                    "A3/16 C4/4.. | % | D3/16 A3/4.. | % | G3/16 B3/4.. | % | C3+C4/2",
                ],
            },
        ],
    }
}

/// Three violins play the same notes two bars apart over eight bass notes that never change.
fn canon() -> Song {
    const FIRST: &str = "F#5/4 E5 D5 C#5 | B4 A4 B4 C#5 |";
    const SECOND: &str = "D5/4 C#5 B4 A4 | G4 F#4 G4 E4 |";
    const THIRD: &str = "D4/8 F#4 A4 G4 F#4 D4 F#4 E4 | D4 B3 D4 A4 G4 B4 A4 G4 |";
    const FOURTH: &str = "F#4/8 D4 E4 C#5 D5 F#5 A5 A4 | B4 G4 A4 F#4 D4 D5 D5/8. C#5/16 |";
    const FIFTH: &str = "D5/16 C#5 D5 D4 C#4 A4 E4 F#4 D4 D5 C#5 B4 C#5 F#5 A5 B5 |
                         G5 F#5 E5 G5 F#5 E5 D5 C#5 B4 A4 G4 F#4 E4 G4 F#4 E4 |";
    const WAIT: &str = "R/1 | % |";
    const GROUND: &str = "D3/4 A2 B2 F#2 | G2 D2 G2 A2 |";
    Song {
        title: "Canon in D",
        artist: "Johann Pachelbel",
        album: "Canon and Gigue",
        year: 1680,
        track: 1,
        genre: "Baroque",
        quarters_per_minute: 92,
        meter: Meter::FOUR_FOUR,
        voices: &[
            Voice { instrument: Instrument::Strings, score: &[FIRST, SECOND, THIRD, FOURTH, FIFTH, "D5/2"] },
            Voice { instrument: Instrument::Strings, score: &[WAIT, FIRST, SECOND, THIRD, FOURTH, "F#4/2"] },
            Voice { instrument: Instrument::Strings, score: &[WAIT, WAIT, FIRST, SECOND, THIRD, "A4/2"] },
            Voice { instrument: Instrument::Plucked, score: &[GROUND, GROUND, GROUND, GROUND, GROUND, "D2+D3/2"] },
        ],
    }
}
