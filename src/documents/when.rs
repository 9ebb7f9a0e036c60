//! Moments as people at the venue read them: in its time zone, in a fan's language.

use jiff::{Timestamp, Zoned, tz::TimeZone};

use super::language::Language;
use crate::domain::time::EventTime;

/// In UTC where the zone is not known here.
pub fn local(time: EventTime, time_zone: &str) -> Zoned {
    let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
    timestamp(time).to_zoned(zone)
}

pub fn timestamp(time: EventTime) -> Timestamp {
    let ms = i64::try_from(time.0).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// Weekday, day, month, year, time and zone.
pub fn long(at: &Zoned, language: Language) -> String {
    let (year, month, day) = (at.year(), usize::from(at.month().unsigned_abs()), at.day());
    let weekday = usize::from(at.weekday().to_monday_zero_offset().unsigned_abs());
    let named = |names: [&'static str; 12]| names.get(month.saturating_sub(1)).copied().unwrap_or_default();
    let of_week = |names: [&'static str; 7]| names.get(weekday).copied().unwrap_or_default();
    let time = time(at);
    let zone = at.strftime("%Z");
    match language {
        Language::English => {
            format!("{}, {day} {} {year}, {time} ({zone})", of_week(ENGLISH_DAYS), named(ENGLISH_MONTHS))
        }
        Language::Croatian => {
            format!("{}, {day}. {} {year}. u {time} ({zone})", of_week(CROATIAN_DAYS), named(CROATIAN_MONTHS))
        }
        Language::Korean => format!("{year}년 {month}월 {day}일 {} {time} ({zone})", of_week(KOREAN_DAYS)),
    }
}

/// Hours and minutes.
pub fn time(at: &Zoned) -> String {
    at.strftime("%H:%M").to_string()
}

const ENGLISH_DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const ENGLISH_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const CROATIAN_DAYS: [&str; 7] = ["ponedjeljak", "utorak", "srijeda", "četvrtak", "petak", "subota", "nedjelja"];
/// In the genitive, as in a date.
const CROATIAN_MONTHS: [&str; 12] = [
    "siječnja",
    "veljače",
    "ožujka",
    "travnja",
    "svibnja",
    "lipnja",
    "srpnja",
    "kolovoza",
    "rujna",
    "listopada",
    "studenoga",
    "prosinca",
];
const KOREAN_DAYS: [&str; 7] = ["월요일", "화요일", "수요일", "목요일", "금요일", "토요일", "일요일"];

#[cfg(test)]
mod tests {
    use super::*;

    /// 2035-06-01T18:00:00Z, a Friday.
    const FRIDAY: EventTime = EventTime(2_064_333_600_000);

    #[test]
    fn a_moment_is_told_in_the_zone_of_the_venue_and_in_the_language_of_the_fan() {
        for (language, zone, told) in [
            (Language::English, "Europe/Zagreb", "Friday, 1 June 2035, 20:00 (CEST)"),
            (Language::Croatian, "Europe/Zagreb", "petak, 1. lipnja 2035. u 20:00 (CEST)"),
            (Language::Korean, "Asia/Seoul", "2035년 6월 2일 토요일 03:00 (KST)"),
            (Language::English, "America/New_York", "Friday, 1 June 2035, 14:00 (EDT)"),
            (Language::English, "Mars/Olympus", "Friday, 1 June 2035, 18:00 (UTC)"),
        ] {
            assert_eq!(long(&local(FRIDAY, zone), language), told);
        }
    }

    #[test]
    fn a_moment_beyond_the_calendar_is_its_end() {
        assert_eq!(timestamp(EventTime(u64::MAX)), Timestamp::MAX);
    }
}
