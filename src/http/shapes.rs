//! Shapes that several routes share: moments, prices, and what is wrong with a field.
//!
//! Owns how they are written in JSON. Knows no route.

use std::{fmt, ops::RangeInclusive};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::json;
use utoipa::ToSchema;

use super::problem::{Code, Problem};
use crate::domain::{
    money::{Currency, Money},
    time::EventTime,
};

/// A moment as an RFC 3339 string, in answers always UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-20T18:00:00.000Z")]
pub struct Timestamp(pub EventTime);

impl Timestamp {
    /// No event of this system is later: the end of the year 2199.
    const LATEST_MS: i64 = 7_258_118_399_999;

    pub fn ms(self) -> u64 {
        self.0.0
    }
}

impl From<EventTime> for Timestamp {
    fn from(time: EventTime) -> Self {
        Self(time)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.ms()).unwrap_or(Self::LATEST_MS);
        let moment = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{moment:.3}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let wrong = || de::Error::custom("not a moment: RFC 3339 between 1970 and 2199 is expected");
        let moment: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
        match moment.as_millisecond() {
            ms @ 0..=Self::LATEST_MS => Ok(Self(EventTime(ms.unsigned_abs()))),
            _ => Err(wrong()),
        }
    }
}

/// An amount: whole minor units (cents for EUR, won for KRW) of an ISO 4217 currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    #[schema(example = 1250)]
    pub minor: i64,
    #[schema(value_type = String, example = "EUR")]
    pub currency: Currency,
}

impl Price {
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }
}

impl From<Money> for Price {
    fn from(money: Money) -> Self {
        Self { minor: money.minor, currency: money.currency }
    }
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Path of the field, such as `ticket_types[1].price`.
    pub field: String,
    pub message: String,
}

impl From<Vec<FieldError>> for Problem {
    fn from(errors: Vec<FieldError>) -> Self {
        let detail = errors.first().map(|error| format!("{}: {}", error.field, error.message));
        let errors = errors.into_iter().map(|error| json!({"field": error.field, "message": error.message}));
        Self::new(Code::InvalidBody).detail(detail.unwrap_or_default()).with("errors", errors.collect::<Vec<_>>())
    }
}

/// Gathers everything that is wrong with a request, so that it is told in one answer.
#[derive(Debug, Default)]
pub struct Wrong(Vec<FieldError>);

impl Wrong {
    /// No more than these are told.
    const MOST: usize = 20;

    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        if self.0.len() < Self::MOST {
            self.0.push(FieldError { field: field.into(), message: message.into() });
        }
    }

    pub fn is_full(&self) -> bool {
        self.0.len() >= Self::MOST
    }

    /// Characters, not bytes; control characters never belong in a text, but for new lines where `lines` says so.
    pub fn text(&mut self, field: &str, text: &str, length: RangeInclusive<usize>, lines: bool) {
        if !length.contains(&text.chars().count()) {
            self.add(field, format!("must have {} to {} characters", length.start(), length.end()));
        } else if text.chars().any(|c| c.is_control() && !(lines && matches!(c, '\n' | '\r' | '\t'))) {
            self.add(field, "must not have control characters");
        } else if *length.start() > 0 && text.trim().is_empty() {
            self.add(field, "must not be blank");
        }
    }

    pub fn number<N: PartialOrd + fmt::Display>(
        &mut self,
        field: impl fmt::Display,
        value: N,
        range: RangeInclusive<N>,
    ) {
        if !range.contains(&value) {
            self.add(field.to_string(), format!("must be between {} and {}", range.start(), range.end()));
        }
    }

    /// Why an admin or money act is done: needed, for the audit.
    pub fn add_reason(&mut self, reason: &str) {
        self.text("reason", reason, 1..=500, false);
    }

    /// The only thing that can be wrong with it is the reason.
    pub fn reason(reason: &str) -> Result<(), Vec<FieldError>> {
        let mut wrong = Self::default();
        wrong.add_reason(reason);
        wrong.or(())
    }

    pub fn or<T>(self, value: T) -> Result<T, Vec<FieldError>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_with_any_offset_and_written_in_utc_with_milliseconds() {
        for (text, expected) in [
            ("2026-11-20T19:00:00+01:00", "2026-11-20T18:00:00.000Z"),
            ("2026-11-20T18:00:00.1234Z", "2026-11-20T18:00:00.123Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ] {
            let read: Timestamp = serde_json::from_value(text.into()).expect(text);
            assert_eq!(read.to_string(), expected);
        }
        for wrong in ["", "2026-11-20", "2026-11-20T18:00:00", "1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "soon"] {
            assert!(serde_json::from_value::<Timestamp>(wrong.into()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_price_has_no_fractions_and_no_other_fields() {
        assert!(serde_json::from_str::<Price>(r#"{"minor": 1250, "currency": "EUR"}"#).is_ok());
        for wrong in [
            r#"{"minor": 12.5, "currency": "EUR"}"#,
            r#"{"minor": "12", "currency": "EUR"}"#,
            r#"{"minor": 12, "currency": "eur"}"#,
            r#"{"minor": 12, "currency": "EUR", "vat": 1}"#,
            r#"{"minor": 99999999999999999999, "currency": "EUR"}"#,
        ] {
            assert!(serde_json::from_str::<Price>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_up_to_a_limit() {
        let mut wrong = Wrong::default();
        wrong.text("title", "", 1..=5, false);
        wrong.text("city", "a\u{7}b", 1..=5, false);
        wrong.text("venue", "   ", 1..=5, false);
        wrong.text("description", "a\nb", 0..=5, true);
        wrong.number("age_limit", 120, 0..=99);
        let told = wrong.or(()).expect_err("four fields are wrong");
        let fields: Vec<_> = told.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(fields, ["title", "city", "venue", "age_limit"]);

        let mut wrong = Wrong::default();
        for i in 0..100 {
            wrong.add(format!("seats[{i}]"), "is wrong");
        }
        assert_eq!(wrong.or(()).expect_err("wrong").len(), Wrong::MOST);
    }
}
