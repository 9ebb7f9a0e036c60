//! Calendar entries (RFC 5545): one event, with what its time zone does around it.

use jiff::{Timestamp, tz::TimeZone};

use super::{language::Language, programme::Programme, text::plain, when};
use crate::domain::time::EventTime;

/// Octets of a line, without its end.
const LINE: usize = 75;
/// Changes of a time zone that are told: of an event as long as may be, not more.
const CHANGES: usize = 8;

/// Whoever has several tickets to an event has one entry of it; `changed_at` and `version` tell a calendar which copy is newer.
pub fn of(programme: &Programme, language: Language) -> String {
    let words = language.words();
    let zone = TimeZone::get(&programme.time_zone).ok().filter(|_| is_parameter(&programme.time_zone));
    let mut lines = Lines::default();
    lines.add("BEGIN:VCALENDAR");
    lines.add("VERSION:2.0");
    lines.add("PRODID:-//onsale//onsale//EN");
    lines.add("CALSCALE:GREGORIAN");
    if let Some(zone) = &zone {
        time_zone(&mut lines, programme, zone);
    }
    lines.add("BEGIN:VEVENT");
    lines.add(&format!("UID:{}@onsale", programme.event));
    lines.add(&format!("DTSTAMP:{}", utc(programme.changed_at)));
    lines.add(&format!("LAST-MODIFIED:{}", utc(programme.changed_at)));
    lines.add(&format!("SEQUENCE:{}", programme.version));
    for (name, time) in [("DTSTART", programme.starts_at), ("DTEND", programme.ends_at)] {
        match &zone {
            Some(zone) => {
                let at = when::timestamp(time).to_zoned(zone.clone()).strftime("%Y%m%dT%H%M%S");
                lines.add(&format!("{name};TZID={}:{at}", programme.time_zone));
            }
            None => lines.add(&format!("{name}:{}", utc(time))),
        }
    }
    lines.add(&format!("SUMMARY:{}", escaped(&programme.title)));
    lines.add(&format!("LOCATION:{}", escaped(&format!("{}, {}", programme.venue, programme.city))));
    if let Some(doors) = programme.doors_at {
        let doors = when::time(&when::local(doors, &programme.time_zone));
        lines.add(&format!("DESCRIPTION:{}", escaped(&format!("{} {doors}", words.doors))));
    }
    lines.add(if programme.is_cancelled { "STATUS:CANCELLED" } else { "STATUS:CONFIRMED" });
    lines.add("TRANSP:OPAQUE");
    lines.add("END:VEVENT");
    lines.add("END:VCALENDAR");
    lines.0
}

/// What the zone's clocks do from before the event until its end.
fn time_zone(lines: &mut Lines, programme: &Programme, zone: &TimeZone) {
    let (start, end) = (when::timestamp(programme.starts_at), when::timestamp(programme.ends_at));
    lines.add("BEGIN:VTIMEZONE");
    lines.add(&format!("TZID:{}", programme.time_zone));
    let mut changes: Vec<Timestamp> = zone.preceding(start).next().iter().map(|change| change.timestamp()).collect();
    // Without one, what is so now was always so.
    changes.resize(changes.len().max(1), Timestamp::UNIX_EPOCH);
    let following = zone.following(start).map(|change| change.timestamp());
    changes.extend(following.take_while(|change| *change <= end).take(CHANGES));
    for at in changes {
        let before = at.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap_or(at);
        let (from, to) = (zone.to_offset(before), zone.to_offset_info(at));
        let kind = if to.dst().is_dst() { "DAYLIGHT" } else { "STANDARD" };
        lines.add(&format!("BEGIN:{kind}"));
        lines.add(&format!("DTSTART:{}", from.to_datetime(at).strftime("%Y%m%dT%H%M%S")));
        lines.add(&format!("TZOFFSETFROM:{}", offset(from)));
        lines.add(&format!("TZOFFSETTO:{}", offset(to.offset())));
        lines.add(&format!("TZNAME:{}", escaped(to.abbreviation())));
        lines.add(&format!("END:{kind}"));
    }
    lines.add("END:VTIMEZONE");
}

fn offset(offset: jiff::tz::Offset) -> String {
    let (sign, seconds) = (if offset.is_negative() { '-' } else { '+' }, offset.seconds().unsigned_abs());
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let seconds = if seconds == 0 { String::new() } else { format!("{seconds:02}") };
    format!("{sign}{hours:02}{minutes:02}{seconds}")
}

fn utc(time: EventTime) -> String {
    when::timestamp(time).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The name of a zone stands in a parameter, which knows no escapes.
fn is_parameter(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+'))
}

/// As a TEXT value, of one line.
fn escaped(text: &str) -> String {
    plain(text).chars().fold(String::new(), |mut out, c| {
        if matches!(c, '\\' | ';' | ',') {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    /// Folded between characters where it is long: what follows begins with a space, which counts.
    fn add(&mut self, line: &str) {
        let mut used = 0;
        for c in line.chars() {
            if used + c.len_utf8() > LINE {
                self.0.push_str("\r\n ");
                used = 1;
            }
            self.0.push(c);
            used += c.len_utf8();
        }
        self.0.push_str("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::sample;

    fn programme() -> Programme {
        sample::programme("Noć, u; \\Zagrebu")
    }

    fn has(ics: &str, line: &str) -> bool {
        ics.split("\r\n").any(|one| one == line)
    }

    #[test]
    fn an_entry_says_when_where_and_by_which_clock() {
        let ics = of(&programme(), Language::English);
        for line in [
            "UID:00000000000000000000000000000001@onsale",
            "DTSTAMP:20251129T110000Z",
            "SEQUENCE:3",
            "DTSTART;TZID=Europe/Zagreb:20350601T200000",
            "DTEND;TZID=Europe/Zagreb:20350602T000000",
            "SUMMARY:Noć\\, u\\; \\\\Zagrebu",
            "LOCATION:Dom sportova\\, Zagreb",
            "DESCRIPTION:Doors open 19:00",
            "STATUS:CONFIRMED",
            "TZOFFSETFROM:+0100",
            "TZOFFSETTO:+0200",
            "DTSTART:20350325T020000",
            "TZNAME:CEST",
        ] {
            assert!(has(&ics, line), "{line} is not in {ics}");
        }
        assert!(ics.starts_with("BEGIN:VCALENDAR\r\n") && ics.ends_with("END:VCALENDAR\r\n"));
    }

    #[test]
    fn an_event_over_a_change_of_clocks_knows_both_and_a_zone_without_any_has_one() {
        let mut summer = programme();
        summer.ends_at = EventTime(summer.starts_at.0 + 200 * 86_400_000);
        let ics = of(&summer, Language::English);
        assert!(has(&ics, "BEGIN:DAYLIGHT") && has(&ics, "BEGIN:STANDARD"), "{ics}");
        let mut seoul = programme();
        seoul.time_zone = "Asia/Seoul".into();
        let ics = of(&seoul, Language::Korean);
        assert!(has(&ics, "TZOFFSETTO:+0900") && has(&ics, "DTSTART;TZID=Asia/Seoul:20350602T030000"), "{ics}");
        seoul.is_cancelled = true;
        assert!(has(&of(&seoul, Language::Korean), "STATUS:CANCELLED"));
        let mut unknown = programme();
        unknown.time_zone = "Mars/Olympus".into();
        let ics = of(&unknown, Language::English);
        assert!(has(&ics, "DTSTART:20350601T180000Z") && !ics.contains("VTIMEZONE"), "{ics}");
    }

    #[test]
    fn s_50_a_title_cannot_add_a_line_and_long_lines_are_folded_between_characters() {
        let mut hostile = programme();
        hostile.title = "x\r\nATTACH:http://e.example\nDTSTART:19700101T000000Z".into();
        hostile.venue = "서울".repeat(60);
        let ics = of(&hostile, Language::English);
        let lines: Vec<_> = ics.split("\r\n").collect();
        assert!(lines.iter().all(|line| line.len() <= LINE && !line.contains(['\r', '\n'])), "{ics}");
        assert!(!lines.iter().any(|line| line.starts_with("ATTACH") || *line == "DTSTART:19700101T000000Z"));
        let unfolded = ics.replace("\r\n ", "");
        assert!(unfolded.contains(&"서울".repeat(60)));
    }
}
