//! Plays melodies: each note is a handful of sine waves, shaped as the instrument shapes it.
//!
//! - Only the four arithmetic operations make the sound. IEEE 754 fixes their every bit, which it does not for sine
//!   and its kin, so a song is the same file on every machine.
//! - The loudest sample of a song is set below full scale at the very end, so no mixture of voices can clip.

use super::melody::{Melody, Note, TICKS_PER_WHOLE, Ticks};

/// Samples in a second, as on a CD.
pub(super) const SAMPLE_RATE: u32 = 44_100;
const RATE: f64 = SAMPLE_RATE as f64;

/// How long a song goes on after its last note has been let go: longer than any instrument and its echo ring,
/// because a wave that is cut off clicks.
const LAST_RING_SECONDS: f64 = 1.2;

/// The loudest sample of every song: 3 dB below full scale, room for a lossy encoder's overshoot.
const PEAK: f64 = 0.707 * i16::MAX as f64;

/// One voice and who plays it.
pub(super) struct Part {
    pub(super) instrument: Instrument,
    pub(super) melody: Melody,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Instrument {
    Flute,
    Harpsichord,
    MusicBox,
    Piano,
    Plucked,
    Strings,
}

/// What makes an instrument sound like itself.
struct Timbre {
    /// Strength of each multiple of the note's frequency, the note itself first.
    partials: &'static [f64],
    /// Seconds until a note has its full strength.
    attack: f64,
    /// Seconds in which it comes most of the way from there to `sustain`.
    decay: f64,
    /// Strength while it is held.
    sustain: f64,
    /// Seconds until it is silent once let go.
    release: f64,
    /// How quickly partials die away, per second and step above the first: bright at first, mellow later.
    dulling: f64,
}

impl Instrument {
    const fn timbre(self) -> Timbre {
        match self {
            Self::Flute => Timbre {
                partials: &[1.0, 0.28, 0.10, 0.03],
                attack: 0.05,
                decay: 0.3,
                sustain: 0.8,
                release: 0.12,
                dulling: 0.2,
            },
            Self::Harpsichord => Timbre {
                partials: &[0.7, 0.6, 0.5, 0.35, 0.3, 0.2, 0.15, 0.1],
                attack: 0.003,
                decay: 0.5,
                sustain: 0.05,
                release: 0.1,
                dulling: 0.7,
            },
            Self::MusicBox => Timbre {
                partials: &[1.0, 0.12, 0.0, 0.30, 0.0, 0.0, 0.08],
                attack: 0.003,
                decay: 0.6,
                sustain: 0.0,
                release: 0.6,
                dulling: 1.5,
            },
            Self::Piano => Timbre {
                partials: &[1.0, 0.50, 0.28, 0.16, 0.08, 0.05],
                attack: 0.006,
                decay: 0.8,
                sustain: 0.12,
                release: 0.35,
                dulling: 1.0,
            },
            Self::Plucked => Timbre {
                partials: &[1.0, 0.65, 0.40, 0.25, 0.12, 0.08],
                attack: 0.004,
                decay: 0.35,
                sustain: 0.05,
                release: 0.25,
                dulling: 1.5,
            },
            Self::Strings => Timbre {
                partials: &[1.0, 0.45, 0.30, 0.18, 0.10, 0.06],
                attack: 0.07,
                decay: 0.4,
                sustain: 0.7,
                release: 0.2,
                dulling: 0.1,
            },
        }
    }
}

/// The parts together, one channel at [`SAMPLE_RATE`], the last note ringing on into silence.
pub(super) fn play(parts: &[Part], quarters_per_minute: u16) -> Vec<i16> {
    let length = parts.iter().map(|part| part.melody.length).max().unwrap_or(0);
    let mut sound = vec![0.0; samples_in(seconds(length, quarters_per_minute))];

    let position = |ticks| samples_in(written_seconds(ticks, quarters_per_minute));
    for part in parts {
        let timbre = part.instrument.timbre();
        for note in &part.melody.notes {
            add_note(&mut sound[position(note.start)..], note, position(note.length), &timbre);
        }
    }
    add_echo(&mut sound);
    level(&sound)
}

/// How long a score of `length` sounds at that tempo.
pub(super) fn seconds(length: Ticks, quarters_per_minute: u16) -> f64 {
    written_seconds(length, quarters_per_minute) + LAST_RING_SECONDS
}

fn written_seconds(ticks: Ticks, quarters_per_minute: u16) -> f64 {
    const SECONDS_PER_MINUTE: f64 = 60.0;
    let quarters = f64::from(ticks) / f64::from(TICKS_PER_WHOLE / 4);
    quarters * SECONDS_PER_MINUTE / f64::from(quarters_per_minute)
}

fn samples_in(seconds: f64) -> usize {
    (seconds * RATE) as usize
}

fn add_note(sound: &mut [f64], note: &Note, held: usize, timbre: &Timbre) {
    /// Above this a partial is hiss rather than tone.
    const HIGHEST_PARTIAL_HERTZ: f64 = 9_000.0;

    let shape = envelope(held, timbre);
    for (index, strength) in timbre.partials.iter().enumerate() {
        let frequency = note.pitch.frequency() * (index + 1) as f64;
        if frequency > HIGHEST_PARTIAL_HERTZ {
            break;
        }
        let fading = 1.0 - timbre.dulling * index as f64 / RATE;
        let wave = Oscillator::new(frequency, fading);
        for ((sample, shape), wave) in sound.iter_mut().zip(&shape).zip(wave) {
            *sample += strength * shape * wave;
        }
    }
}

/// The loudness of a note that is held for so many samples, from its first sample to silence.
fn envelope(held: usize, timbre: &Timbre) -> Vec<f64> {
    // Per sample.
    let rise = 1.0 / (timbre.attack * RATE);
    let towards_sustain = 1.0 / (timbre.decay * RATE);
    let fall = 1.0 / (timbre.release * RATE);

    let mut strength = 1.0;
    (0..held + samples_in(timbre.release))
        .map(|at| {
            let begun = at as f64 * rise;
            let let_go = at.saturating_sub(held) as f64 * fall;
            if begun >= 1.0 {
                strength += (timbre.sustain - strength) * towards_sustain;
            }
            strength * begun.min(1.0) * (1.0 - let_go)
        })
        .collect()
}

/// A sine wave that loses strength with each sample by a fixed factor.
///
/// Two multiplications a sample: `y[n] = 2 r cos(w) y[n-1] - r² y[n-2]`, the second-order resonator of any textbook
/// on signal processing.
struct Oscillator {
    last: f64,
    before_last: f64,
    from_last: f64,
    from_before_last: f64,
}

impl Oscillator {
    fn new(frequency: f64, fading: f64) -> Self {
        let (sine, cosine) = sine_and_cosine(std::f64::consts::TAU * frequency / RATE);
        Self {
            last: 0.0,
            before_last: -sine / fading,
            from_last: 2.0 * fading * cosine,
            from_before_last: fading * fading,
        }
    }
}

impl Iterator for Oscillator {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        let now = self.last;
        let next = self.from_last * now - self.from_before_last * self.before_last;
        self.before_last = now;
        self.last = next;
        Some(now)
    }
}

/// By the Taylor series, whose terms shrink below an `f64`'s precision for the angles that occur, all less than 2.
fn sine_and_cosine(angle: f64) -> (f64, f64) {
    const TERMS: u32 = 30;
    let (mut sine, mut cosine, mut term) = (0.0, 0.0, 1.0);
    for power in 0..TERMS {
        match power % 4 {
            0 => cosine += term,
            1 => sine += term,
            2 => cosine -= term,
            _ => sine -= term,
        }
        term *= angle / f64::from(power + 1);
    }
    (sine, cosine)
}

/// A small room around the players.
fn add_echo(sound: &mut [f64]) {
    /// Seconds and strength. The times share no divisor, so that the echoes do not add up to a tone of their own.
    const WALLS: [(f64, f64); 3] = [(0.0371, 0.16), (0.0533, 0.13), (0.0797, 0.11)];
    for (delay, strength) in WALLS {
        let delay = samples_in(delay);
        for at in delay..sound.len() {
            sound[at] += strength * sound[at - delay];
        }
    }
}

/// The same sound, its loudest sample at [`PEAK`].
fn level(sound: &[f64]) -> Vec<i16> {
    let loudest = sound.iter().fold(0.0_f64, |loudest, sample| loudest.max(sample.abs()));
    let gain = if loudest > 0.0 { PEAK / loudest } else { 0.0 };
    sound.iter().map(|sample| (sample * gain).round() as i16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::melody::Meter;

    const ALL: [Instrument; 6] = [
        Instrument::Flute,
        Instrument::Harpsichord,
        Instrument::MusicBox,
        Instrument::Piano,
        Instrument::Plucked,
        Instrument::Strings,
    ];

    fn part(instrument: Instrument, score: &str) -> Part {
        Part { instrument, melody: Melody::parse(&[score], Meter::FOUR_FOUR).unwrap() }
    }

    #[test]
    fn an_oscillator_is_a_sine_wave() {
        for (at, wave) in Oscillator::new(440.0, 1.0).take(SAMPLE_RATE as usize).enumerate() {
            let expected = (std::f64::consts::TAU * 440.0 * at as f64 / RATE).sin();
            assert!((wave - expected).abs() < 1e-6, "sample {at}: {wave} instead of {expected}");
        }
    }

    #[test]
    fn a_fading_oscillator_has_lost_its_share_after_a_second() {
        let loudest = |wave: Vec<f64>| wave.iter().fold(0.0_f64, |loudest, sample| loudest.max(sample.abs()));
        let late = Oscillator::new(440.0, 1.0 - 1.0 / RATE).skip(SAMPLE_RATE as usize).take(200).collect();
        assert!((loudest(late) - 1.0 / std::f64::consts::E).abs() < 0.01);
    }

    #[test]
    fn a_note_comes_when_the_tempo_says_so() {
        let samples = play(&[part(Instrument::Piano, "R/2 A4")], 60);
        let first = samples.iter().position(|sample| *sample != 0).unwrap();
        assert!(first.abs_diff(samples_in(2.0)) < 10, "{first}");
        assert_eq!(samples.len(), samples_in(4.0 + LAST_RING_SECONDS));
    }

    #[test]
    fn no_instrument_clicks_when_a_note_begins_or_ends() {
        for instrument in ALL {
            let shape = envelope(samples_in(0.5), &instrument.timbre());
            assert_eq!(shape.first(), Some(&0.0), "{instrument:?}");
            assert!(shape.last().unwrap().abs() < 0.001, "{instrument:?}");
        }
    }

    #[test]
    fn every_instrument_has_fallen_silent_when_the_song_ends() {
        for instrument in ALL {
            let samples = play(&[part(instrument, "C2+C3/16")], 60);
            let last = &samples[samples.len() - samples_in(0.05)..];
            assert!(last.iter().all(|sample| sample.unsigned_abs() <= 1), "{instrument:?}");
        }
    }

    #[test]
    fn many_voices_are_as_loud_as_one_and_do_not_clip() {
        for voices in [1, 12] {
            let parts: Vec<_> = (0..voices).map(|_| part(Instrument::Strings, "C4+E4+G4/1")).collect();
            let peak = play(&parts, 120).iter().map(|sample| sample.unsigned_abs()).max().unwrap();
            assert_eq!(peak, PEAK.round() as u16, "{voices} voices");
        }
    }

    #[test]
    fn silence_stays_silent() {
        assert!(play(&[part(Instrument::Flute, "R/1")], 120).iter().all(|sample| *sample == 0));
        assert!(play(&[], 120).iter().all(|sample| *sample == 0));
    }
}
