//! Lists, page by page: what may be asked, and what is told.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::{Code, Problem};
use crate::stores::database::page::{self, Cursor, MAX_LIMIT};

const DEFAULT_LIMIT: u32 = 50;
const MAX_SEARCH_CHARS: usize = 200;

/// Of a list that cannot be asked for anything else.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows in a page, 200 at most.
    limit: Option<u32>,
}

impl PageQuery {
    pub fn checked(&self) -> Result<(Option<Cursor>, u32), Problem> {
        checked(self.cursor.as_deref(), self.limit)
    }
}

/// Cursor and limit, of whatever query has them.
pub fn checked(cursor: Option<&str>, limit: Option<u32>) -> Result<(Option<Cursor>, u32), Problem> {
    let cursor = cursor.map(str::parse).transpose().map_err(|_| {
        Problem::new(Code::InvalidQuery).detail("cursor: only what a list gave as next_cursor is accepted")
    })?;
    match limit.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok((cursor, limit)),
        _ => Err(Problem::new(Code::InvalidQuery).detail(format!("limit: 1 to {MAX_LIMIT} is expected"))),
    }
}

/// A text to look for; a blank one is none. PostgreSQL takes no NUL in a text, and SQLite stops at it.
pub fn search(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    if text.chars().count() <= MAX_SEARCH_CHARS && !text.chars().any(char::is_control) {
        return Ok(Some(text));
    }
    Err(Problem::new(Code::InvalidQuery)
        .detail(format!("{name}: at most {MAX_SEARCH_CHARS} characters are expected, no control characters")))
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    items: Vec<T>,
    /// For the page after this; `null` at the end.
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    pub fn of<Row>(page: page::Page<Row>, tell: impl FnMut(Row) -> T) -> Self {
        Self {
            items: page.items.into_iter().map(tell).collect(),
            next_cursor: page.next.map(|cursor| cursor.to_string()),
        }
    }
}
