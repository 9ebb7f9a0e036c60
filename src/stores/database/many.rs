//! One statement for many rows.
//!
//! Its text has room for one row, or for a few, up to [`ROWS`]. Places left over repeat the last row, which must change nothing: an
//! insert of it conflicts with itself, an update finds it once. So few texts are prepared, and all are constant.
//!
//! PostgreSQL has its places numbered. SQLite takes numbers for names, of which each is looked for among all: there they have none.

use std::{iter, sync::LazyLock};

use super::{Backend, Query};

/// Most rows in one statement.
pub(super) const ROWS: usize = 64;
const ROOM: [usize; 6] = [1, 4, 8, 16, 32, ROWS];

pub(super) type Many = LazyLock<Texts>;

pub(super) struct Texts {
    numbered: [String; ROOM.len()],
    plain: [String; ROOM.len()],
}

impl Texts {
    /// `before ($1, $2), ($3, $4) after` for rows of two columns.
    pub fn rows(before: &str, columns: usize, after: &str) -> Self {
        Self::of(|rows, place| [before, &places(rows, columns, place), after].concat())
    }

    /// `before FROM (VALUES ($1, $2), ($3, $4)) AS v WHERE key is v.column1 after`: of each row, what its key finds.
    ///
    /// Not by `=`: of a table that it has seen empty PostgreSQL would read all, look for each row among the values, and keep that
    /// plan while the table grows. What is in a range it can only look up.
    pub fn updates(before: &str, columns: usize, key: &str, after: &str) -> Self {
        let before = [before, " FROM (VALUES "].concat();
        Self::rows(&before, columns, &[") AS v WHERE ", key, " BETWEEN v.column1 AND v.column1", after].concat())
    }

    /// `before ($1, $2, $3) after`: a list.
    pub fn list(before: &str, after: &str) -> Self {
        Self::of(|rows, place| [before, &places(1, rows, place), after].concat())
    }

    fn of(text: impl Fn(usize, Place) -> String) -> Self {
        let texts = |place: Place| ROOM.map(|rows| text(rows, place));
        Self { numbered: texts(|number| format!("${number}")), plain: texts(|_| "?".to_owned()) }
    }

    /// With these rows, 1 to [`ROWS`] of them.
    pub fn bound<'a, T>(&'static self, on: Backend, rows: &'a [T], bind: impl Fn(Query, &'a T) -> Query) -> Query {
        let texts = match on {
            Backend::Postgres => &self.numbered,
            Backend::Sqlite => &self.plain,
        };
        let mut rooms = texts.iter().zip(ROOM);
        let (text, room) = rooms.find(|(_, room)| rows.len() <= *room).expect("nobody binds more than ROWS");
        filled(rows, room).fold(sqlx::query(text.as_str()), bind)
    }
}

/// A place, by its number.
type Place = fn(usize) -> String;

/// `($1, $2), ($3, $4)` for two rows of two columns.
fn places(rows: usize, columns: usize, place: Place) -> String {
    let row = |row: usize| {
        let names = (1..=columns).map(|column| place(row * columns + column));
        format!("({})", names.collect::<Vec<_>>().join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// The rows, and the last one again for each place that is left over.
fn filled<T>(rows: &[T], room: usize) -> impl Iterator<Item = &T> {
    rows.iter().chain(rows.last().into_iter().flat_map(iter::repeat)).take(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbered_through() {
        let texts = Texts::rows("VALUES ", 2, "");
        assert_eq!([&texts.numbered[0], &texts.plain[0]], ["VALUES ($1, $2)", "VALUES (?, ?)"]);
        assert!(texts.numbered[1].starts_with("VALUES ($1, $2), ($3, $4), "), "{}", texts.numbered[1]);
    }

    #[test]
    fn places_left_over_repeat_the_last_row() {
        assert_eq!(filled(&[1, 2], 4).collect::<Vec<_>>(), [&1, &2, &2, &2]);
        assert_eq!(filled::<u8>(&[], 4).count(), 0);
    }
}
