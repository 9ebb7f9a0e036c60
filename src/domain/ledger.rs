//! The books of one order: where its money stands, by double entry.
//!
//! | account | grows when | and goes down when |
//! |---|---|---|
//! | captured | the provider has taken money from the fan | never |
//! | pending | that money waits for the inventory's decision | tickets are issued, or a refund is begun |
//! | ticketed | tickets are issued for it | a refund of tickets is begun |
//! | refunding | a refund is begun: it is the fan's | the provider has given it back |
//! | refunded | the provider has given it back | never |
//!
//! A posting moves an amount from one account to another, so at every commit captured = pending + ticketed + refunding +
//! refunded, and no account is below zero. Rows are added, never changed. What the provider has of ours is captured − refunded.
//! There is no account for fees: they stand where the money of their tickets does.

use serde::{Deserialize, Serialize};

use super::money::{Currency, Money};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    Captured,
    Pending,
    Ticketed,
    Refunding,
    Refunded,
}

impl Account {
    pub const ALL: [Self; 5] = [Self::Captured, Self::Pending, Self::Ticketed, Self::Refunding, Self::Refunded];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Pending => "pending",
            Self::Ticketed => "ticketed",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
        }
    }
}

/// What is booked, by the fact that it follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The provider has the money.
    Captured,
    /// Tickets were issued for it.
    Ticketed,
    /// It bought nothing and goes back.
    ReturnBegun,
    /// Tickets were revoked, and their money goes back.
    RefundBegun,
    /// The provider has given it back.
    RefundDone,
}

impl Entry {
    /// The account that is debited, and the one that is credited.
    pub const fn accounts(self) -> (Account, Account) {
        match self {
            Self::Captured => (Account::Captured, Account::Pending),
            Self::Ticketed => (Account::Pending, Account::Ticketed),
            Self::ReturnBegun => (Account::Pending, Account::Refunding),
            Self::RefundBegun => (Account::Ticketed, Account::Refunding),
            Self::RefundDone => (Account::Refunding, Account::Refunded),
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Ticketed => "ticketed",
            Self::ReturnBegun => "return_begun",
            Self::RefundBegun => "refund_begun",
            Self::RefundDone => "refund_done",
        }
    }
}

/// Why an entry cannot be booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotBooked {
    #[error("an amount must be more than nothing")]
    Nothing,
    #[error("the order's money is {0}")]
    OtherCurrency(Currency),
    #[error("only {left_minor} are left in {}", .account.as_str())]
    TooMuch { account: Account, left_minor: i64 },
}

/// The balances of one order, all in one currency, each zero or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Books {
    currency: Option<Currency>,
    minor: [i64; Account::ALL.len()],
}

impl Books {
    /// Books it, or changes nothing.
    pub fn book(&mut self, entry: Entry, amount: Money) -> Result<(), NotBooked> {
        if amount.minor <= 0 {
            return Err(NotBooked::Nothing);
        }
        if let Some(currency) = self.currency.filter(|currency| *currency != amount.currency) {
            return Err(NotBooked::OtherCurrency(currency));
        }
        let mut next = *self;
        next.currency = Some(amount.currency);
        let (debit, credit) = entry.accounts();
        // Captured is what we have been given, the others say whose it is: a debit makes more of the one, less of the others.
        let change = if debit == Account::Captured { amount.minor } else { -amount.minor };
        next.change(debit, change)?;
        next.change(credit, amount.minor)?;
        *self = next;
        Ok(())
    }

    fn change(&mut self, account: Account, change: i64) -> Result<(), NotBooked> {
        let Some(balance) = self.minor.get_mut(account as usize) else { return Err(NotBooked::Nothing) };
        let too_much = NotBooked::TooMuch { account, left_minor: *balance };
        *balance = balance.checked_add(change).filter(|balance| *balance >= 0).ok_or(too_much)?;
        Ok(())
    }

    /// In minor units.
    pub fn of(&self, account: Account) -> i64 {
        self.minor.get(account as usize).copied().unwrap_or(0)
    }

    /// captured = pending + ticketed + refunding + refunded
    pub fn balance(&self) -> bool {
        let owed: i64 = Account::ALL.iter().filter(|a| **a != Account::Captured).map(|a| self.of(*a)).sum();
        self.of(Account::Captured) == owed
    }

    /// What is the provider's and not the fan's any more, nor promised back: no more than this can go back.
    pub fn refundable_minor(&self) -> i64 {
        self.of(Account::Pending).saturating_add(self.of(Account::Ticketed))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ENTRIES: [Entry; 5] =
        [Entry::Captured, Entry::Ticketed, Entry::ReturnBegun, Entry::RefundBegun, Entry::RefundDone];

    fn eur(minor: i64) -> Money {
        Money { minor, currency: Currency::EUR }
    }

    fn balances(books: &Books) -> [i64; 5] {
        Account::ALL.map(|account| books.of(account))
    }

    #[test]
    fn a_life_is_booked_from_capture_to_money_back() {
        use Entry::{Captured, RefundBegun, RefundDone, ReturnBegun, Ticketed};
        let mut books = Books::default();
        for (entry, minor, expected) in [
            (Captured, 5_000, [5_000, 5_000, 0, 0, 0]),
            (Ticketed, 5_000, [5_000, 0, 5_000, 0, 0]),
            (Captured, 5_000, [10_000, 5_000, 5_000, 0, 0]),
            (ReturnBegun, 5_000, [10_000, 0, 5_000, 5_000, 0]),
            (RefundBegun, 2_500, [10_000, 0, 2_500, 7_500, 0]),
            (RefundDone, 5_000, [10_000, 0, 2_500, 2_500, 5_000]),
            (RefundDone, 2_500, [10_000, 0, 2_500, 0, 7_500]),
        ] {
            books.book(entry, eur(minor)).expect("booked");
            assert_eq!(balances(&books), expected, "{entry:?}");
            assert!(books.balance());
        }
        assert_eq!(books.refundable_minor(), 2_500);
    }

    #[test]
    fn what_is_not_there_cannot_be_moved() {
        let mut books = Books::default();
        books.book(Entry::Captured, eur(100)).expect("booked");
        let before = books;
        let usd = "USD".parse().expect("currency");
        for (entry, amount, why) in [
            (Entry::Captured, eur(0), NotBooked::Nothing),
            (Entry::Captured, eur(-1), NotBooked::Nothing),
            (Entry::Ticketed, eur(101), NotBooked::TooMuch { account: Account::Pending, left_minor: 100 }),
            (Entry::RefundBegun, eur(1), NotBooked::TooMuch { account: Account::Ticketed, left_minor: 0 }),
            (Entry::RefundDone, eur(1), NotBooked::TooMuch { account: Account::Refunding, left_minor: 0 }),
            (Entry::Captured, eur(i64::MAX), NotBooked::TooMuch { account: Account::Captured, left_minor: 100 }),
            (Entry::Ticketed, Money { minor: 1, currency: usd }, NotBooked::OtherCurrency(Currency::EUR)),
        ] {
            assert_eq!(books.book(entry, amount), Err(why), "{entry:?} {amount:?}");
            assert_eq!(books, before, "nothing has changed");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// I-20, and the half of I-14 that is ours: no more goes back than came.
        #[test]
        fn any_order_of_entries_keeps_the_balance(
            asked in prop::collection::vec((prop::sample::select(ENTRIES.to_vec()), -5_i64..400), 0..60),
        ) {
            let mut books = Books::default();
            let (mut captured, mut refunded) = (0, 0);
            for (entry, minor) in asked {
                if books.book(entry, eur(minor)).is_ok() {
                    captured += if entry == Entry::Captured { minor } else { 0 };
                    refunded += if entry == Entry::RefundDone { minor } else { 0 };
                }
                prop_assert!(books.balance(), "{books:?}");
                prop_assert!(balances(&books).iter().all(|balance| *balance >= 0), "{books:?}");
                prop_assert_eq!((books.of(Account::Captured), books.of(Account::Refunded)), (captured, refunded));
                prop_assert!(refunded <= captured);
            }
        }
    }
}
