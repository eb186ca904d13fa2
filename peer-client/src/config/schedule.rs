//! Limits by the time of day.
//!
//! A schedule is a list of windows with semicolons between them: `mon-fri 08:00-18:00 up 1M down 5M; 23:00-06:00 up max`.
//!
//! ```text
//! window = [days] HH:MM-HH:MM ( up RATE | down RATE )…
//! days   = mon, mon-fri, sat,sun, fri-mon, …            every day, if there are none
//! RATE   = 500K, 2M, max; for up also auto
//! ```
//!
//! 1. **A window that ends before it begins goes on over midnight**, and belongs to the day on which it began:
//!    `fri 22:00-06:00` ends on Saturday morning. The day ends at 24:00.
//! 2. **The first window that holds wins**, for each direction by itself: what a window says nothing about is left to
//!    those after it, and at last to the limits outside of the schedule.
//! 3. **Times are those of the clock on the wall.** Where it is put forward or back, so are the windows.

use std::fmt;
use std::str::FromStr;

use super::value::{Rate, UploadRate};

const MINUTES_OF_HOUR: u16 = 60;
const MINUTES_OF_DAY: u16 = 24 * MINUTES_OF_HOUR;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Which limits hold when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule(Vec<Window>);

/// A minute of the week, local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeekMinute {
    /// From Monday, which is 0.
    day: u8,
    minute: u16,
}

/// What the schedule says of one minute; `None` where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduled {
    pub up: Option<UploadRate>,
    pub down: Option<Rate>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    days: Days,
    from: u16,
    until: u16,
    limits: Scheduled,
}

/// One bit for each day, Monday's the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Days(u8);

impl WeekMinute {
    /// `day` from Monday, which is 0; `None` for what no clock shows.
    pub const fn new(day: u8, hour: u16, minute: u16) -> Option<Self> {
        if day < 7 && hour < 24 && minute < MINUTES_OF_HOUR {
            Some(Self { day, minute: hour * MINUTES_OF_HOUR + minute })
        } else {
            None
        }
    }
}

impl Schedule {
    pub fn at(&self, now: WeekMinute) -> Scheduled {
        let holding = || self.0.iter().filter(|window| window.holds(now));
        Scheduled {
            up: holding().find_map(|window| window.limits.up),
            down: holding().find_map(|window| window.limits.down),
        }
    }
}

impl Window {
    fn holds(&self, now: WeekMinute) -> bool {
        let WeekMinute { day, minute } = now;
        if self.from < self.until {
            return self.days.contains(day) && (self.from..self.until).contains(&minute);
        }
        let yesterday = (day + 6) % 7;
        self.days.contains(day) && minute >= self.from || self.days.contains(yesterday) && minute < self.until
    }
}

impl Days {
    const ALL: Self = Self(0x7f);

    const fn contains(self, day: u8) -> bool {
        self.0 & (1 << day) != 0
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let windows = text.split(';').map(str::trim).filter(|window| !window.is_empty());
        windows
            .map(|window| window.parse().map_err(|why| format!("{why}, in \"{window}\"")))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace().peekable();
        let starts_with_days = |word: &&str| word.starts_with(|first: char| first.is_ascii_alphabetic());
        let days = words.next_if(starts_with_days).map_or(Ok(Days::ALL), str::parse)?;
        let (from, until) = span(words.next().unwrap_or_default())?;
        let mut limits = Scheduled::default();
        while let Some(direction) = words.next() {
            let rate = words.next().unwrap_or_default();
            let is_again = match direction {
                "up" => limits.up.replace(rate.parse()?).is_some(),
                "down" => limits.down.replace(rate.parse()?).is_some(),
                _ => return Err(format!("up or down is wanted instead of {direction:?}")),
            };
            if is_again {
                return Err(format!("there are two limits {direction}"));
            }
        }
        if limits == Scheduled::default() {
            return Err("a limit like up 1M or down 5M is wanted after the time".to_owned());
        }
        Ok(Self { days, from, until, limits })
    }
}

impl FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut days = 0;
        for run in text.split(',') {
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            let (mut day, last) = (day(first)?, day(last)?);
            days |= 1 << last;
            while day != last {
                days |= 1 << day;
                day = (day + 1) % 7;
            }
        }
        Ok(Self(days))
    }
}

fn day(text: &str) -> Result<u8, String> {
    let at = DAYS.iter().position(|day| day.eq_ignore_ascii_case(text));
    at.map(|day| day as u8).ok_or_else(|| format!("days like mon-fri or sat,sun are wanted instead of {text:?}"))
}

fn span(text: &str) -> Result<(u16, u16), String> {
    let wanted = || format!("a time like 08:00-18:00 is wanted instead of {text:?}");
    let (from, until) = text.split_once('-').ok_or_else(wanted)?;
    let (from, until) = (minute(from).ok_or_else(wanted)?, minute(until).ok_or_else(wanted)?);
    if from == until || from == MINUTES_OF_DAY {
        return Err(format!("{text} lasts no time; the whole day is 00:00-24:00"));
    }
    Ok((from, until))
}

/// From 00:00 to 24:00.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse::<u16>().ok())?;
    let (hour, minute) = (number(hour)?, number(minute).filter(|_| minute.len() == 2)?);
    let is_sound = minute < MINUTES_OF_HOUR && hour < 24 || (hour, minute) == (24, 0);
    is_sound.then_some(hour * MINUTES_OF_HOUR + minute)
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, window) in self.0.iter().enumerate() {
            write!(f, "{}{window}", if number > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != Days::ALL {
            write!(f, "{} ", self.days)?;
        }
        let time = |minute: u16| format!("{:02}:{:02}", minute / MINUTES_OF_HOUR, minute % MINUTES_OF_HOUR);
        write!(f, "{}-{}", time(self.from), time(self.until))?;
        if let Some(up) = self.limits.up {
            write!(f, " up {up}")?;
        }
        if let Some(down) = self.limits.down {
            write!(f, " down {down}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = (0..7).filter(|day| self.contains(*day)).map(|day| DAYS[usize::from(day)]).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MON: u8 = 0;
    const FRI: u8 = 4;
    const SAT: u8 = 5;
    const SUN: u8 = 6;

    fn schedule(text: &str) -> Schedule {
        text.parse().unwrap()
    }

    /// What a schedule says at a time, as text: "up down".
    fn at(text: &str, day: u8, hour: u16, minute: u16) -> String {
        let Scheduled { up, down } = schedule(text).at(WeekMinute::new(day, hour, minute).unwrap());
        let text = |rate: Option<String>| rate.unwrap_or_else(|| "-".to_owned());
        format!("{} {}", text(up.map(|up| up.to_string())), text(down.map(|down| down.to_string())))
    }

    #[test]
    fn a_window_holds_from_its_first_minute_to_the_one_before_its_end_on_its_days() {
        let text = "mon-fri 08:00-18:00 up 1M down 5M";
        assert_eq!(at(text, MON, 7, 59), "- -");
        assert_eq!(at(text, MON, 8, 0), "1M 5M");
        assert_eq!(at(text, FRI, 17, 59), "1M 5M");
        assert_eq!(at(text, FRI, 18, 0), "- -");
        assert_eq!(at(text, SAT, 12, 0), "- -");
        assert_eq!(at("00:00-24:00 up auto", SUN, 23, 59), "auto -");
        assert_eq!(at("sat-mon 00:00-24:00 up 1M", SUN, 0, 0), "1M -", "days go round");
        assert_eq!(at("sat-mon 00:00-24:00 up 1M", FRI, 23, 59), "- -");
    }

    #[test]
    fn over_midnight_a_window_belongs_to_the_day_on_which_it_began() {
        let text = "sun 22:00-06:00 down 1M";
        assert_eq!(at(text, SUN, 5, 59), "- -");
        assert_eq!(at(text, SUN, 22, 0), "- 1M");
        assert_eq!(at(text, MON, 5, 59), "- 1M");
        assert_eq!(at(text, MON, 6, 0), "- -");
        assert_eq!(at(text, MON, 22, 0), "- -");
        assert_eq!(at("fri 20:00-00:00 up 1M", SAT, 0, 0), "- -");
    }

    #[test]
    fn the_first_window_wins_for_each_direction() {
        let text = "12:00-13:00 up max; 08:00-18:00 up 1M down 5M; 00:00-24:00 down 9M";
        assert_eq!(at(text, MON, 12, 30), "unlimited 5M");
        assert_eq!(at(text, MON, 13, 0), "1M 5M");
        assert_eq!(at(text, MON, 18, 0), "- 9M");
    }

    #[test]
    fn what_makes_no_sense_is_told_with_the_window_it_is_in() {
        let table = [
            ("up 1M", "days like mon-fri or sat,sun are wanted instead of \"up\", in \"up 1M\""),
            ("mon up 1M", "a time like 08:00-18:00 is wanted instead of \"up\", in \"mon up 1M\""),
            ("8-18 up 1M", "a time like 08:00-18:00 is wanted instead of \"8-18\", in \"8-18 up 1M\""),
            (
                "08:00-24:01 up 1M",
                "a time like 08:00-18:00 is wanted instead of \"08:00-24:01\", in \"08:00-24:01 up 1M\"",
            ),
            ("08:00-08:00 up 1M", "08:00-08:00 lasts no time; the whole day is 00:00-24:00, in \"08:00-08:00 up 1M\""),
            (
                "08:00-18:00 up 1M; 23:00-06:00",
                "a limit like up 1M or down 5M is wanted after the time, in \"23:00-06:00\"",
            ),
            ("08:00-18:00 left 1M", "up or down is wanted instead of \"left\", in \"08:00-18:00 left 1M\""),
            ("08:00-18:00 up 1M up 2M", "there are two limits up, in \"08:00-18:00 up 1M up 2M\""),
            (
                "08:00-18:00 down auto",
                "a rate like 500K, 2M (bytes per second) or unlimited is wanted, in \"08:00-18:00 down auto\"",
            ),
        ];
        for (text, refusal) in table {
            assert_eq!(text.parse::<Schedule>().unwrap_err(), refusal);
        }
    }

    #[test]
    fn nothing_is_a_schedule_too() {
        assert_eq!(schedule(" ; "), Schedule::default());
        assert_eq!(at("", MON, 0, 0), "- -");
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_as_it_was_meant(text in "((mon|sat,sun|fri-tue) )?(0[0-9]|2[0-4]):[0-5]0-1[0-9]:30( up (1M|auto|max))?( down 5K)?") {
            if let Ok(schedule) = text.parse::<Schedule>() {
                prop_assert_eq!(schedule.to_string().parse(), Ok(schedule));
            }
        }

        #[test]
        fn junk_never_panics(text in ".{0,60}") {
            let _ = text.parse::<Schedule>();
        }
    }
}
