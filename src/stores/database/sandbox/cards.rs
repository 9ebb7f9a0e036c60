//! The sandbox's test cards: what happens follows from the number. Only which card it was is kept, never a number.

use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Card {
    /// The money is there, and the shop is told.
    Good,
    /// No money.
    Declined,
    /// The shop is told some seconds later.
    Slow,
    /// The money is taken, and whoever asked gets no answer.
    TimesOut,
    /// The shop is told several times, by the same message and by another one.
    Repeats,
    /// An older decline is told after the capture.
    OutOfOrder,
    /// The first attempt to give money back is refused.
    RefundFails,
    /// Giving money back takes some seconds.
    RefundSlow,
    /// The money is under way for some seconds; the shop is told so at once.
    Processing,
}

impl Card {
    pub const ALL: [(Self, &'static str, &'static str); 9] = [
        (Self::Good, "good", "4242424242424242"),
        (Self::Declined, "declined", "4000000000000002"),
        (Self::Slow, "slow", "4000000000000010"),
        (Self::TimesOut, "times_out", "4000000000000028"),
        (Self::Repeats, "repeats", "4000000000000036"),
        (Self::OutOfOrder, "out_of_order", "4000000000000044"),
        (Self::RefundFails, "refund_fails", "4000000000000051"),
        (Self::RefundSlow, "refund_slow", "4000000000000069"),
        (Self::Processing, "processing", "4000000000000077"),
    ];

    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(card, ..)| *card == self).map_or("good", |(_, name, _)| name)
    }

    /// The card of this number; spaces do not matter.
    pub fn of_number(number: &str) -> Option<Self> {
        let digits: String = number.chars().filter(|c| *c != ' ').collect();
        Self::ALL.iter().find(|(_, _, number)| *number == digits).map(|(card, ..)| *card)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a test card")]
pub struct NotACard;

impl FromStr for Card {
    type Err = NotACard;

    fn from_str(text: &str) -> Result<Self, NotACard> {
        Self::ALL.iter().find(|(_, name, _)| *name == text).map(|(card, ..)| *card).ok_or(NotACard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_known_by_its_number_and_kept_by_its_name() {
        for (card, name, number) in Card::ALL {
            assert_eq!((Card::of_number(number), card.as_str(), name.parse()), (Some(card), name, Ok(card)));
        }
        assert_eq!(Card::of_number("4242 4242 4242 4242"), Some(Card::Good));
        for wrong in ["", "4242", "4111111111111111", "good"] {
            assert_eq!(Card::of_number(wrong), None, "{wrong}");
        }
    }
}
