//! The one place that looks at the calendar.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01T00:00:00Z; 0 if the clock is set before that.
pub(crate) fn now_unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The day of a time, as `2026-11-23`, in UTC. The days of the proleptic Gregorian calendar are counted in eras of
/// 400 years that begin in March (Howard Hinnant, "chrono-compatible low-level date algorithms").
pub(crate) fn day(unix_s: u64) -> String {
    let days = unix_s / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_the_names_that_calendars_give_them() {
        let table = [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (1_800_000_000, "2027-01-15")];
        for (unix_s, expected) in
            table.into_iter().chain([(4_107_542_399, "2100-02-28"), (4_107_542_400, "2100-03-01")])
        {
            assert_eq!(day(unix_s), expected);
        }
    }
}
