//! Toss's list of movements: what has moved for a payment in one step, taken or given back. Written from the published API
//! (`GET /v1/transactions`), which wants a span of time, with a page's last movement to go on after.
//!
//! Spans are in whole seconds of Korea's time, both ends included. A longer time than [`SPAN`] is asked for in parts.

use jiff::{Timestamp, civil::DateTime, tz::Offset};
use serde::Deserialize;
use serde_json::Number;

use super::super::{Over, Record};
use crate::{
    domain::time::{EventTime, Millis},
    stores::error::StoreError,
};

/// Asked for at once.
const SPAN: Millis = Millis::minutes(31 * 24 * 60);
/// A movement takes some 500 bytes.
pub(super) const MOST: u32 = 500;
const KOREA: Offset = Offset::constant(9);

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Movement {
    pub transaction_key: String,
    order_id: String,
    currency: String,
    amount: Number,
    status: String,
}

/// Where a page begins: in which part of the time, after which movement of it. As text `MILLISECONDS/KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    from: EventTime,
    /// Empty: from the first on.
    pub after: String,
}

impl Place {
    pub fn of(over: Over, text: &str) -> Result<Self, StoreError> {
        if text.is_empty() {
            return Ok(Self { from: over.since, after: String::new() });
        }
        let parts = text.split_once('/').and_then(|(from, after)| Some((from.parse().ok()?, after)));
        let (from, after) = parts.ok_or_else(|| StoreError::Invalid("that is no page of Toss's".into()))?;
        Ok(Self { from: EventTime(from), after: after.to_owned() })
    }

    pub fn text(&self) -> String {
        format!("{}/{}", self.from.0, self.after)
    }

    /// First and last second of the part, as Toss reads them.
    pub fn span(&self, over: Over) -> Result<(String, String), StoreError> {
        Ok((korean(self.from)?, korean(EventTime(self.end(over).0.saturating_sub(1_000)))?))
    }

    /// Where the next part begins.
    fn end(&self, over: Over) -> EventTime {
        (self.from + SPAN).min(over.until.max(self.from) + Millis::seconds(1))
    }

    /// After a page with these movements; `is_full`: there may be more in this part.
    pub fn next(&self, over: Over, last: Option<&Movement>, is_full: bool) -> Result<Option<Self>, StoreError> {
        match last {
            Some(last) if is_full && last.transaction_key == self.after => {
                Err(StoreError::Corrupt("Toss's list of movements does not go on".into()))
            }
            Some(last) if is_full => Ok(Some(Self { after: last.transaction_key.clone(), ..self.clone() })),
            _ => {
                let from = self.end(over);
                Ok((from <= over.until).then(|| Self { from, after: String::new() }))
            }
        }
    }
}

impl Movement {
    /// `None`: nothing has moved. That a cancellation's amount is negative in Toss's list of settlements and not said of this one
    /// makes no difference here.
    pub fn record(self) -> Result<Option<Record>, StoreError> {
        let amount = self.amount.as_i64().filter(|_| self.currency == "KRW");
        let amount = amount.ok_or_else(|| StoreError::Corrupt("a movement of no whole won".into()))?;
        let session = self.order_id;
        match self.status.as_str() {
            "DONE" => Ok(Some(Record { session, captured_minor: amount, refunded_minor: 0 })),
            "CANCELED" | "PARTIAL_CANCELED" => {
                Ok(Some(Record { session, captured_minor: 0, refunded_minor: amount.saturating_abs() }))
            }
            "READY" | "IN_PROGRESS" | "WAITING_FOR_DEPOSIT" | "ABORTED" | "EXPIRED" => Ok(None),
            other => Err(StoreError::Corrupt(format!("a movement that is {other:?}"))),
        }
    }
}

fn korean(at: EventTime) -> Result<String, StoreError> {
    let seconds = i64::try_from(at.0 / 1_000).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let seconds = seconds.ok_or_else(|| StoreError::Invalid("a time that no calendar has".into()))?;
    let local: DateTime = KOREA.to_datetime(seconds);
    Ok(local.strftime("%Y-%m-%dT%H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DAY: Millis = Millis::minutes(24 * 60);
    /// The first second of 2026 in Korea.
    const NEW_YEAR: EventTime = EventTime(1_767_193_200_000);

    fn movement(status: &str, amount: serde_json::Value) -> Movement {
        let told = json!({"mId": "shop", "transactionKey": "t-1", "paymentKey": "tk_1", "orderId": "o-1", "method": "카드",
            "customerKey": null, "useEscrow": false, "receiptUrl": "https://…", "amount": amount, "currency": "KRW",
            "status": status, "transactionAt": "2026-01-01T00:00:00+09:00"});
        serde_json::from_value(told).expect("a movement")
    }

    #[test]
    fn a_movement_is_money_taken_or_given_back_or_nothing_yet() {
        let record = |status, amount: i64| {
            let record = movement(status, json!(amount)).record().expect("known");
            record.map(|record| (record.session, record.captured_minor, record.refunded_minor))
        };
        assert_eq!(record("DONE", 5_000), Some(("o-1".into(), 5_000, 0)));
        for status in ["CANCELED", "PARTIAL_CANCELED"] {
            assert_eq!(record(status, 2_000), Some(("o-1".into(), 0, 2_000)), "{status}");
            assert_eq!(record(status, -2_000), Some(("o-1".into(), 0, 2_000)), "{status}");
        }
        for status in ["READY", "IN_PROGRESS", "WAITING_FOR_DEPOSIT", "ABORTED", "EXPIRED"] {
            assert_eq!(record(status, 5_000), None, "{status}");
        }
        assert!(movement("NEW", json!(1)).record().is_err());
        assert!(movement("DONE", json!(1.5)).record().is_err());
        let dollars = Movement { currency: "USD".into(), ..movement("DONE", json!(5)) };
        assert!(dollars.record().is_err());
    }

    #[test]
    fn a_time_is_asked_for_in_parts_without_a_gap_and_twice_by_nobody() {
        let over = Over { since: NEW_YEAR, until: NEW_YEAR + Millis(40 * DAY.0) };
        let first = Place::of(over, "").expect("a place");
        let span = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(first.span(over).expect("a span"), span("2026-01-01T00:00:00", "2026-01-31T23:59:59"));
        let second = first.next(over, None, false).expect("a place").expect("more");
        assert_eq!(second.span(over).expect("a span"), span("2026-02-01T00:00:00", "2026-02-10T00:00:00"));
        assert_eq!(Place::of(over, &second.text()).expect("a place"), second);
        assert_eq!(second.next(over, None, false).expect("a place"), None);
        // Amid a part.
        let last = movement("DONE", json!(1));
        let amid = first.next(over, Some(&last), true).expect("a place").expect("more");
        assert_eq!((amid.after.as_str(), amid.span(over).expect("a span")), ("t-1", first.span(over).expect("a span")));
        assert_eq!(Place::of(over, &amid.text()).expect("a place"), amid);
        assert_eq!(first.next(over, Some(&last), false).expect("a place"), Some(second));
        assert!(amid.next(over, Some(&last), true).is_err(), "the same movement again");
        for wrong in ["x", "x/t-1", "/t-1"] {
            assert!(Place::of(over, wrong).is_err(), "{wrong}");
        }
        // As short as can be.
        let over = Over { since: NEW_YEAR, until: NEW_YEAR };
        let only = Place::of(over, "").expect("a place");
        assert_eq!(only.span(over).expect("a span"), span("2026-01-01T00:00:00", "2026-01-01T00:00:00"));
        assert_eq!(only.next(over, None, false).expect("a place"), None);
    }
}
