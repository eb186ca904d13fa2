//! Vienna, when it had Mozart and Beethoven.

use super::melody::Meter;
use super::synth::Instrument;
use super::{Song, Voice};

pub(super) fn songs() -> [Song; 4] {
    [ode_to_joy(), fur_elise(), ah_vous_dirai_je(), nachtmusik()]
}

fn ode_to_joy() -> Song {
    const ASKING: &str = "F#4/4 F#4 G4 A4 | A4 G4 F#4 E4 | D4 D4 E4 F#4 | F#4/4. E4/8 E4/2 |";
    const ANSWERING: &str = "F#4/4 F#4 G4 A4 | A4 G4 F#4 E4 | D4 D4 E4 F#4 | E4/4. D4/8 D4/2 |";
    const BELOW_ASKING: &str = "D3+A3/1 | A2+E3 | D3+A3 | A2+E3 |";
    const BELOW_ANSWERING: &str = "D3+A3/1 | A2+E3 | D3+A3 | A2+E3/4. D3+A3/8 D3+A3/2 |";
    Song {
        title: "Ode to Joy",
        artist: "Ludwig van Beethoven",
        album: "Symphony No. 9",
        year: 1824,
        track: 4,
        genre: "Classical",
        quarters_per_minute: 144,
        meter: Meter::FOUR_FOUR,
        voices: &[
            Voice {
                instrument: Instrument::Strings,
                score: &[
                    ASKING,
                    ANSWERING,
                    "E4/4 E4 F#4 D4 | E4 F#4/8 G4 F#4/4 D4 | E4 F#4/8 G4 F#4/4 E4 | D4 E4 A3/2 |",
                    ANSWERING,
                ],
            },
            Voice {
                instrument: Instrument::Strings,
                score: &[
                    BELOW_ASKING,
                    BELOW_ANSWERING,
                    "A2+E3/2 D3+A3 | % | A2+E3/2 F#2+C#3 | B2+F#3/4 E2+B2 A2+E3/2 |",
                    BELOW_ANSWERING,
                ],
            },
        ],
    }
}

fn fur_elise() -> Song {
    const THEME: &str = "E5/16 D#5 E5 B4 D5 C5 | A4/8 R/16 C4 E4 A4 | B4/8 R/16 E4 G#4 B4 | C5/8 R/16 E4 E5 D#5 |
                         E5/16 D#5 E5 B4 D5 C5 | A4/8 R/16 C4 E4 A4 | B4/8 R/16 E4 C5 B4 |";
    const BELOW_THEME: &str = "R/4. | A2/16 E3 A3 R/8. | E2/16 E3 G#3 R/8. | A2/16 E3 A3 R/8. |
                               R/4. | A2/16 E3 A3 R/8. | E2/16 E3 G#3 R/8. |";
    Song {
        title: "Für Elise",
        artist: "Ludwig van Beethoven",
        album: "Bagatelles",
        year: 1810,
        track: 1,
        genre: "Classical",
        quarters_per_minute: 72,
        meter: Meter::THREE_EIGHT,
        voices: &[
            Voice {
                instrument: Instrument::Piano,
                score: &[
                    "E5/16 D#5 |",
                    THEME,
                    "A4/8 R/16 B4 C5 D5 | E5/8. G4/16 F5 E5 | D5/8. F4/16 E5 D5 | C5/8. E4/16 D5 C5 |",
                    "B4/8 R/16 E4 E5 R | R E5 E6 R R D#5 | E5 R R D#5 E5 D#5 |",
                    THEME,
                    "A4/4.",
                ],
            },
            Voice {
                instrument: Instrument::Piano,
                score: &[
                    "R/8 |",
                    BELOW_THEME,
                    "A2/16 E3 A3 R/8. | C3/16 G3 C4 R/8. | G2/16 G3 B3 R/8. | A2/16 E3 A3 R/8. |",
                    "E2/16 E3 E4 R/8. | R/4. | % |",
                    BELOW_THEME,
                    "A2/16 E3 A3 R/8.",
                ],
            },
        ],
    }
}

/// An older French tune; English speakers sing “Twinkle, Twinkle, Little Star” to it.
fn ah_vous_dirai_je() -> Song {
    const OUTSIDE: &str = "C5/4 C5 | G5 G5 | A5 A5 | G5/2 | F5/4 F5 | E5 E5 | D5 D5 | C5/2 |";
    const BELOW_OUTSIDE: &str = "C3/4 C4 | E4 C4 | F4 C4 | E4 C4 | D4 B3 | C4 A3 | F3 G3 | C3/2 |";
    Song {
        title: "Ah! vous dirai-je, maman",
        artist: "Wolfgang Amadeus Mozart",
        album: "Piano Variations",
        year: 1785,
        track: 1,
        genre: "Classical",
        quarters_per_minute: 112,
        meter: Meter::TWO_FOUR,
        voices: &[
            Voice {
                instrument: Instrument::Piano,
                score: &[OUTSIDE, "G5/4 G5 | F5 F5 | E5 E5 | D5/2 | G5/4 G5 | F5 F5 | E5 E5 | D5/2 |", OUTSIDE],
            },
            Voice {
                instrument: Instrument::Piano,
                score: &[
                    BELOW_OUTSIDE,
                    "E4/4 G3 | D4 G3 | C4 G3 | B3 G3 | E4 G3 | D4 G3 | C4 G3 | B3 G3 |",
                    BELOW_OUTSIDE,
                ],
            },
        ],
    }
}

fn nachtmusik() -> Song {
    Song {
        title: "Eine kleine Nachtmusik",
        artist: "Wolfgang Amadeus Mozart",
        album: "Serenades",
        year: 1787,
        track: 1,
        genre: "Classical",
        quarters_per_minute: 126,
        meter: Meter::FOUR_FOUR,
        voices: &[
            Voice {
                instrument: Instrument::Strings,
                score: &[
                    "G4/4 R/8 D4 G4/4 R/8 D4 | G4 D4 G4 B4 D5/4 R | C5 R/8 A4 C5/4 R/8 A4 | C5 A4 F#4 A4 D4/4 R |",
                    "G4/4 G4/4. B4/8 A4 G4 | G4 F#4 F#4/4. A4/8 C5 F#4 | A4 G4 G4/4. B4/8 A4 G4 |",
                    "G4/8 F#4 F#4/4. A4/8 C5 F#4 | G4 G4 G4/16 F#4 E4 F#4 G4/8 G4 B4/16 A4 G4 A4 |",
                    "B4/8 B4 D5/16 C5 B4 C5 D5/4 R | D4+B4+G5/4 R D4+B4+G5/2",
                ],
            },
            Voice {
                instrument: Instrument::Strings,
                score: &[
                    "G3/4 R/8 D3 G3/4 R/8 D3 | G3 D3 G3 B3 D4/4 R | C4 R/8 A3 C4/4 R/8 A3 | C4 A3 F#3 A3 D3/4 R |",
                    "G3+B3/4 G3+B3 G3+B3 G3+B3 | D3+C4 D3+C4 D3+C4 D3+C4 | G3+B3 G3+B3 G3+B3 G3+B3 |",
                    "D3+C4/4 D3+C4 D3+C4 D3+C4 | G3+B3 G3+B3 G3+B3 G3+B3 | G3+B3 D3+B3 D3+A3 R |",
                    "G2+G3/4 R G2+G3/2",
                ],
            },
        ],
    }
}
