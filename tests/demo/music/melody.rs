//! Music as text, read into notes: `F#4/4. E4/8 R/2 | C3+E3+G3/1 | % |`.
//!
//! - A note is a letter, perhaps `#` or `b`, and an octave; `C4` is middle C. `R` is a rest.
//!   `+` joins notes that sound together.
//! - `/4` is a quarter, `/8` an eighth; a dot adds half of that, a second dot half of the half.
//!   A note without a length has that of the note before it, as a typist expects.
//! - `|` ends a bar, and every bar must be exactly full, because a forgotten dot is the mistake typists make.
//!   Only the first bar may be short, for an upbeat, and the last, which an upbeat is taken from.
//! - `%` alone in a bar plays the bar before it again, as in printed music.

use std::fmt;

/// Time in the score.
pub(super) type Ticks = u32;

/// Fine enough for a sixteenth with two dots, the shortest length the notation has.
pub(super) const TICKS_PER_WHOLE: Ticks = 64;

/// How much fits between two bar lines, as at the start of a printed score: 3/4, 6/8.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    beats: u32,
    unit: u32,
}

impl Meter {
    pub(super) const TWO_FOUR: Self = Self { beats: 2, unit: 4 };
    pub(super) const THREE_FOUR: Self = Self { beats: 3, unit: 4 };
    pub(super) const FOUR_FOUR: Self = Self { beats: 4, unit: 4 };
    pub(super) const THREE_EIGHT: Self = Self { beats: 3, unit: 8 };
    pub(super) const SIX_EIGHT: Self = Self { beats: 6, unit: 8 };

    fn bar(self) -> Ticks {
        self.beats * TICKS_PER_WHOLE / self.unit
    }
}

/// A voice, ready to be played.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Melody {
    pub(super) notes: Vec<Note>,
    /// Rests at the end included.
    pub(super) length: Ticks,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Note {
    pub(super) pitch: Pitch,
    pub(super) start: Ticks,
    pub(super) length: Ticks,
}

/// Semitones above the C that lies five octaves below middle C, as MIDI counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Pitch(u8);

/// What is wrong in a score, and in which bar, counted from 1.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Mistake {
    bar: usize,
    flaw: Flaw,
}

#[derive(Debug, Eq, PartialEq)]
enum Flaw {
    UnknownPitch(String),
    UnknownLength(String),
    WrongBar { ticks: Ticks, expected: Ticks },
    NothingToRepeat,
}

impl Melody {
    /// Reads the lines one after the other, as if they were one.
    pub(super) fn parse(lines: &[&str], meter: Meter) -> Result<Self, Mistake> {
        let text = lines.join(" ");
        let bars: Vec<&str> = text.trim().trim_end_matches('|').split('|').map(str::trim).collect();

        let mut melody = Self { notes: Vec::new(), length: 0 };
        let mut step = TICKS_PER_WHOLE / 4;
        let mut before: Option<Bar> = None;
        for (index, text) in bars.iter().enumerate() {
            let mistake = |flaw| Mistake { bar: index + 1, flaw };
            let bar = match (*text, before) {
                ("%", Some(bar)) => bar,
                ("%", None) => return Err(mistake(Flaw::NothingToRepeat)),
                (text, _) => Bar::parse(text, &mut step).map_err(mistake)?,
            };
            let may_be_short = index == 0 || index + 1 == bars.len();
            if bar.length > meter.bar() || (bar.length < meter.bar() && !may_be_short) {
                return Err(mistake(Flaw::WrongBar { ticks: bar.length, expected: meter.bar() }));
            }
            let start = melody.length;
            melody.notes.extend(bar.notes.iter().map(|note| Note { start: start + note.start, ..*note }));
            melody.length += bar.length;
            before = Some(bar);
        }
        Ok(melody)
    }
}

/// The notes between two bar lines; their starts count from the first.
struct Bar {
    notes: Vec<Note>,
    length: Ticks,
}

impl Bar {
    /// `step` is the length that a note without one has; it lives on from bar to bar.
    fn parse(text: &str, step: &mut Ticks) -> Result<Self, Flaw> {
        let mut bar = Self { notes: Vec::new(), length: 0 };
        for word in text.split_whitespace() {
            let (chord, length) = word.split_once('/').map_or((word, None), |(chord, length)| (chord, Some(length)));
            if let Some(length) = length {
                *step = parse_length(length).ok_or_else(|| Flaw::UnknownLength(word.to_owned()))?;
            }
            if chord != "R" {
                for name in chord.split('+') {
                    let pitch = Pitch::parse(name).ok_or_else(|| Flaw::UnknownPitch(word.to_owned()))?;
                    bar.notes.push(Note { pitch, start: bar.length, length: *step });
                }
            }
            bar.length += *step;
        }
        Ok(bar)
    }
}

fn parse_length(text: &str) -> Option<Ticks> {
    let fraction = text.trim_end_matches('.');
    let plain = match fraction {
        "1" | "2" | "4" | "8" | "16" => TICKS_PER_WHOLE / fraction.parse::<Ticks>().ok()?,
        _ => return None,
    };
    match text.len() - fraction.len() {
        0 => Some(plain),
        1 => Some(plain + plain / 2),
        2 => Some(plain + plain / 2 + plain / 4),
        _ => None,
    }
}

impl Pitch {
    #[cfg(test)]
    pub(super) const A4: Self = Self(69);

    fn parse(name: &str) -> Option<Self> {
        let mut letters = name.chars();
        let natural = match letters.next()? {
            'C' => 0,
            'D' => 2,
            'E' => 4,
            'F' => 5,
            'G' => 7,
            'A' => 9,
            'B' => 11,
            _ => return None,
        };
        let rest = letters.as_str();
        let (bent, octave) = match rest.as_bytes().first()? {
            b'#' => (1, &rest[1..]),
            b'b' => (-1, &rest[1..]),
            _ => (0, rest),
        };
        let octave = match octave.as_bytes() {
            [digit @ b'0'..=b'8'] => i16::from(digit - b'0'),
            _ => return None,
        };
        u8::try_from((octave + 1) * 12 + natural + bent).ok().map(Self)
    }

    /// Hertz, in equal temperament from A4 = 440.
    ///
    /// Multiplied up step by step, because `powf` may round differently on another machine.
    pub(super) fn frequency(self) -> f64 {
        /// The twelfth root of two.
        const SEMITONE: f64 = 1.059_463_094_359_295_3;
        /// Of MIDI's pitch 0, five octaves and nine semitones below A4.
        const LOWEST: f64 = 8.175_798_915_643_707;
        (0..self.0).fold(LOWEST, |frequency, _| frequency * SEMITONE)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bar {}: ", self.bar)?;
        match &self.flaw {
            Flaw::UnknownPitch(word) => write!(f, "no such note: {word}"),
            Flaw::UnknownLength(word) => write!(f, "no such length: {word}"),
            Flaw::WrongBar { ticks, expected } => {
                write!(f, "{ticks} ticks long instead of {expected}")
            }
            Flaw::NothingToRepeat => write!(f, "no bar before it to repeat"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(text: &str) -> Vec<(u8, Ticks, Ticks)> {
        let melody = Melody::parse(&[text], Meter::FOUR_FOUR).unwrap();
        melody.notes.iter().map(|note| (note.pitch.0, note.start, note.length)).collect()
    }

    fn flaw(text: &str) -> (usize, Flaw) {
        let mistake = Melody::parse(&[text], Meter::FOUR_FOUR).unwrap_err();
        (mistake.bar, mistake.flaw)
    }

    #[test]
    fn a_note_keeps_the_length_of_the_one_before() {
        assert_eq!(notes("C4/2 D4"), [(60, 0, 32), (62, 32, 32)]);
    }

    #[test]
    fn a_length_lives_on_past_the_bar_line() {
        assert_eq!(notes("C4/1 | D4"), [(60, 0, 64), (62, 64, 64)]);
    }

    #[test]
    fn dots_lengthen_by_half_and_by_half_of_that() {
        assert_eq!(notes("C4/4. D4/8 E4/4.. F4/16"), [(60, 0, 24), (62, 24, 8), (64, 32, 28), (65, 60, 4)]);
    }

    #[test]
    fn the_notes_of_a_chord_start_together_and_a_rest_is_silent_time() {
        assert_eq!(notes("R/2 C4+Eb4"), [(60, 32, 32), (63, 32, 32)]);
    }

    #[test]
    fn a_percent_sign_plays_the_bar_before_again() {
        assert_eq!(notes("C4/1 | % | %"), [(60, 0, 64), (60, 64, 64), (60, 128, 64)]);
        assert_eq!(flaw("% | C4/1"), (1, Flaw::NothingToRepeat));
    }

    #[test]
    fn only_an_upbeat_and_the_last_bar_may_be_short() {
        assert_eq!(notes("C4/4 | D4/1 | E4/2.").len(), 3);
        assert_eq!(flaw("C4/4 | D4/2 | E4/1"), (2, Flaw::WrongBar { ticks: 32, expected: 64 }));
    }

    #[test]
    fn no_bar_may_be_too_full() {
        assert_eq!(flaw("C4/1 | D4/1 E4/8"), (2, Flaw::WrongBar { ticks: 72, expected: 64 }));
    }

    #[test]
    fn what_is_not_a_note_is_named() {
        for word in ["H4", "C", "C9", "C44", "c4", "C##4", "+C4", "é4", "Cé", "Rest"] {
            assert_eq!(flaw(word), (1, Flaw::UnknownPitch(word.to_owned())));
        }
        for word in ["C4/", "C4/3", "C4/0", "C4/4...", "C4/.4", "C4/4/4"] {
            assert_eq!(flaw(word), (1, Flaw::UnknownLength(word.to_owned())));
        }
    }

    #[test]
    fn an_octave_up_is_twice_the_frequency() {
        assert!((Pitch::A4.frequency() - 440.0).abs() < 1e-9);
        let [low, high] = ["C4", "C5"].map(|name| Pitch::parse(name).unwrap().frequency());
        assert!((high / low - 2.0).abs() < 1e-12);
        assert_eq!(Pitch::parse("C#4"), Pitch::parse("Db4"));
    }
}
