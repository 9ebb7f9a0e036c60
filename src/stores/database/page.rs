//! Pages of a list: where the next one starts, and how long one may be.

use std::{fmt, str::FromStr};

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
