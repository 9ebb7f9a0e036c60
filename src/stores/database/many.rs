//! One statement for many rows.
//!
//! Its text has room for one row, or for a few, up to [`ROWS`]. Places left over repeat the last row, which must change nothing: an
//! insert of it conflicts with itself, an update finds it once. So few texts are prepared, and all are constant.

use std::{iter, sync::LazyLock};

use super::Query;

/// Most rows in one statement.
pub(super) const ROWS: usize = 64;
const ROOM: [usize; 6] = [1, 4, 8, 16, 32, ROWS];

pub(super) type Many = LazyLock<Texts>;

pub(super) struct Texts([String; ROOM.len()]);

impl Texts {
    /// `before ($1, $2), ($3, $4) after` for rows of two columns.
    pub fn rows(before: &str, columns: usize, after: &str) -> Self {
        Self(ROOM.map(|rows| [before, &places(rows, columns), after].concat()))
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
        Self(ROOM.map(|rows| [before, &places(1, rows), after].concat()))
    }

    /// With these rows, 1 to [`ROWS`] of them.
    pub fn bound<'a, T>(&'static self, rows: &'a [T], bind: impl Fn(Query, &'a T) -> Query) -> Query {
        let mut rooms = self.0.iter().zip(ROOM);
        let (text, room) = rooms.find(|(_, room)| rows.len() <= *room).expect("nobody binds more than ROWS");
        filled(rows, room).fold(sqlx::query(text.as_str()), bind)
    }
}

/// `($1, $2), ($3, $4)` for two rows of two columns.
fn places(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let names = (1..=columns).map(|column| format!("${}", row * columns + column));
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
        assert_eq!(places(2, 2), "($1, $2), ($3, $4)");
    }

    #[test]
    fn places_left_over_repeat_the_last_row() {
        assert_eq!(filled(&[1, 2], 4).collect::<Vec<_>>(), [&1, &2, &2, &2]);
        assert_eq!(filled::<u8>(&[], 4).count(), 0);
    }
}
