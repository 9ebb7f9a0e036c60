//! What does not go on by itself, or not as fast as it should: counted, for operators.

use super::{Database, row::millis};
use crate::{
    domain::time::{EventTime, Millis},
    stores::error::StoreError,
};

/// Something of which there is more than none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concern {
    pub kind: Kind,
    pub count: u64,
    /// Since when the oldest of them is there.
    pub oldest_at: EventTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The provider refuses to give money back.
    RefundFailed,
    /// It has not been given back within an hour.
    RefundSlow,
    /// Money is here, and for ten minutes nothing has been decided about it.
    PaymentUndecided,
    /// A payment that has neither come nor ended within a day.
    PaymentOpen,
    DeadLetter,
    MailFailed,
    /// Has not reached the broker within a minute.
    MessageUnsent,
    /// A ticket was to move, and for ten minutes the inventory has not been told what became of it.
    SeatMove,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::RefundFailed,
        Self::RefundSlow,
        Self::PaymentUndecided,
        Self::PaymentOpen,
        Self::DeadLetter,
        Self::MailFailed,
        Self::MessageUnsent,
        Self::SeatMove,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefundFailed => "refund_failed",
            Self::RefundSlow => "refund_slow",
            Self::PaymentUndecided => "payment_undecided",
            Self::PaymentOpen => "payment_open",
            Self::DeadLetter => "dead_letter",
            Self::MailFailed => "mail_failed",
            Self::MessageUnsent => "message_unsent",
            Self::SeatMove => "seat_move",
        }
    }

    /// Table, moment since when, which of them; and how old it must be.
    const fn found(self) -> (&'static str, &'static str, &'static str, Millis) {
        match self {
            Self::RefundFailed => ("refunds", "updated_at", "state = 'failed'", Millis(0)),
            Self::RefundSlow => ("refunds", "created_at", "state IN ('begun', 'asked')", Millis::minutes(60)),
            Self::PaymentUndecided => ("orders", "updated_at", "state = 'paid'", Millis::minutes(10)),
            Self::PaymentOpen => ("payments", "created_at", "state = 'open'", Millis::minutes(24 * 60)),
            Self::DeadLetter => ("dead_letters", "died_at", "state = 'waiting'", Millis(0)),
            // For a week after the last try could have been: what nobody can do anything about must not stand here for ever.
            Self::MailFailed => ("mails", "created_at", "state = 'failed' AND give_up_at + 604800000 > $1", Millis(0)),
            Self::MessageUnsent => ("outbox", "created_at", "sent_at IS NULL", Millis::minutes(1)),
            Self::SeatMove => ("seat_moves", "created_at", "done_at IS NULL", Millis::minutes(10)),
        }
    }
}

/// In the order of [`Kind::ALL`].
pub async fn all(database: &Database, now: EventTime) -> Result<Vec<Concern>, StoreError> {
    let mut concerns = Vec::new();
    for kind in Kind::ALL {
        let (table, since, which, age) = kind.found();
        let select = super::statement([
            "SELECT COUNT(*) AS count, CAST(MIN(",
            since,
            ") AS BIGINT) AS oldest FROM ",
            table,
            " WHERE ",
            which,
            " AND ",
            since,
            " <= $1",
        ]);
        let row = database.fetch_optional(select.bind(millis(EventTime(now.0.saturating_sub(age.0))))).await?;
        let Some(row) = row else { continue };
        let (count, oldest) = (row.number("count")?, row.time_if_any("oldest")?);
        if let (1.., Some(oldest_at)) = (count, oldest) {
            concerns.push(Concern { kind, count, oldest_at });
        }
    }
    Ok(concerns)
}
