//! Pages of a list: where the next one starts, and how long one may be.

use std::{fmt, str::FromStr};

use super::row;
use crate::domain::time::EventTime;

/// Most rows in one page; a larger limit is taken as this.
pub const MAX_LIMIT: u32 = 200;

/// A page, and where the next one starts if there is more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<Cursor>,
}

/// The last row seen: lists are ordered by a time and an id, so a row added meanwhile shifts nothing.
///
/// Text form: 16 hexadecimal digits, a dot, the id. A client must not read meaning into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    at: EventTime,
    id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: only what a list gave as next_cursor is accepted")]
pub struct NotACursor;

impl<T> Page<T> {
    /// From up to one row more than `limit`: the one too many only says that there is more.
    pub(super) fn of(mut items: Vec<T>, limit: u32, place: impl Fn(&T) -> (EventTime, String)) -> Self {
        let length = rows(limit) as usize;
        let has_more = items.len() > length;
        items.truncate(length);
        let last = if has_more { items.last() } else { None };
        let next = last.map(&place).map(|(at, id)| Cursor { at, id });
        Self { items, next }
    }
}

/// How many rows a page has at most.
fn rows(limit: u32) -> u32 {
    limit.clamp(1, MAX_LIMIT)
}

/// What to ask the database for; see [`Page::of`].
pub(super) fn rows_and_one(limit: u32) -> i64 {
    i64::from(rows(limit)) + 1
}

/// The place from which a list goes down; without a cursor, above everything.
pub(super) fn below(cursor: Option<&Cursor>) -> (i64, String) {
    cursor.map_or((i64::MAX, "~".into()), |cursor| (row::millis(cursor.at), cursor.id.clone()))
}

/// The place from which a list goes up; without a cursor, below everything.
pub(super) fn above(cursor: Option<&Cursor>) -> (i64, String) {
    cursor.map_or((-1, String::new()), |cursor| (row::millis(cursor.at), cursor.id.clone()))
}

/// A pattern for LIKE … ESCAPE '!' that finds `text` itself anywhere, in lower case.
pub(super) fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.to_lowercase().chars().filter(|character| *character != '\0') {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}.{}", self.at.0, self.id)
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (at, id) = text.split_once('.').ok_or(NotACursor)?;
        let hexadecimal = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
        if at.len() != 16 || id.is_empty() || id.len() > 65 || !hexadecimal(at) || !hexadecimal(id) {
            return Err(NotACursor);
        }
        let at = u64::from_str_radix(at, 16).map_err(|_| NotACursor)?;
        // The database's numbers are signed.
        i64::try_from(at).map_err(|_| NotACursor)?;
        Ok(Self { at: EventTime(at), id: id.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_is_a_cursor() {
        let cursor = Cursor { at: EventTime(1_700_000_000_000), id: "0a-1b".into() };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in [
            "",
            ".",
            "0",
            "0000000000000000.",
            "000000000000000.a",
            "0000000000000000.a b",
            "0000000000000000.\'",
            "ffffffffffffffff.a",
        ] {
            assert_eq!(wrong.parse::<Cursor>(), Err(NotACursor), "{wrong:?}");
        }
    }

    #[test]
    fn a_page_says_where_the_next_one_starts_only_if_there_is_one() {
        let page = |count: u64, limit| Page::of((0..count).collect(), limit, |n| (EventTime(*n), "a".into()));
        assert_eq!(page(3, 3).next, None);
        assert_eq!(page(4, 3).next, Some(Cursor { at: EventTime(2), id: "a".into() }));
        assert_eq!(page(4, 3).items, [0, 1, 2]);
        assert_eq!(page(2, 0).items, [0], "a page of none would never end");
    }

    #[test]
    fn a_pattern_means_its_text() {
        assert_eq!(containing("50% _Off_!"), "%50!% !_off!_!!%");
    }
}
