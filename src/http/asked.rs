//! What several routes ask for in the same words: a page of a list, a search, a reason.

use super::problem::{Code, Problem};
use crate::stores::database::page::Cursor;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;
const MAX_SEARCH_CHARS: usize = 100;
const MAX_REASON_CHARS: usize = 500;

/// Cursor and limit of a list's query.
pub fn page(cursor: Option<&str>, limit: Option<u32>) -> Result<(Option<Cursor>, u32), Problem> {
    let cursor = cursor.map(str::parse).transpose().map_err(|_| {
        Problem::new(Code::InvalidQuery).detail("cursor: only what a list gave as next_cursor is accepted")
    })?;
    match limit.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok((cursor, limit)),
        _ => Err(Problem::new(Code::InvalidQuery).detail("limit: 1 to 200 is expected")),
    }
}

/// Why an act is done: needed, for the audit.
pub fn reason(text: &str) -> Result<&str, Problem> {
    let text = text.trim();
    if (1..=MAX_REASON_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    Err(Problem::new(Code::InvalidBody).detail("reason: 1 to 500 characters are expected"))
}

/// A text to search for. PostgreSQL takes no NUL in a text, and SQLite stops at it.
pub fn search(text: &str) -> Result<&str, Problem> {
    if text.chars().count() <= MAX_SEARCH_CHARS && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    Err(Problem::new(Code::InvalidQuery).detail("q: at most 100 characters are expected"))
}
