//! The life of an order: a function of the set of facts known about it, whatever order they came in.
//!
//! | state | means | becomes |
//! |---|---|---|
//! | pending | held, not paid | paying, paid, ticketed, cancelled |
//! | paying | a checkout is open at the provider | paid, ticketed, cancelled |
//! | paid | the money is here or stock was sold for it; tickets are not there yet | ticketed, refunding, cancelled |
//! | ticketed | sold, tickets issued; some of them may have been revoked and refunded | refunding |
//! | cancelled | released, expired or given up unpaid | paid, ticketed, refunding (money came late) |
//! | refunding | the money is here and goes back: the stock is gone, or all tickets were revoked | refunded |
//! | refunded | the money is back | |
//!
//! Facts come from three sides that do not wait for each other: the inventory (numbered), the checkout, the provider. Taking
//! one in only ever adds to what is known, so any order and any repetition of the same facts ends in the same state; on the
//! way there states may be skipped. One thing is taken back: a checkout that ended without money leaves its order pending.

use serde::{Deserialize, Serialize};

use super::inventory::fact::{FactKind, OrderFact};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    Pending,
    Paying,
    Paid,
    Ticketed,
    Cancelled,
    Refunding,
    Refunded,
}

/// What is known about an order. Nothing is ever unlearned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Known {
    /// Highest fact number of the inventory seen; the deadline and lines of older ones are out of date.
    pub fact_number: u64,
    pub hold: HoldFact,
    pub checkout_open: bool,
    /// The payment that the order is settled by has the money.
    pub captured: bool,
    /// Order and tickets were settled, in one transaction: the inventory's own fact may be faster, and an order must not read
    /// ticketed without tickets.
    pub settled: bool,
    /// All its tickets were revoked, for their money to go back.
    #[serde(default)]
    pub given_up: bool,
    /// That money is back. The refund of any other payment (a second one for the same order) is not this.
    pub refunded: bool,
}

/// What the inventory has decided so far. The journal only ever walks down this list (extending changes no step), so the
/// furthest one seen is the state of things, whatever else arrives late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldFact {
    #[default]
    Held,
    /// Released or expired; a payment may still take it again.
    Lapsed,
    /// Before `Sold`: a second payment's refusal does not unsell what the first one bought.
    Refused,
    Sold,
    Voided,
}

impl From<FactKind> for HoldFact {
    fn from(kind: FactKind) -> Self {
        match kind {
            FactKind::Created | FactKind::Extended | FactKind::Offered => Self::Held,
            FactKind::Released | FactKind::Expired => Self::Lapsed,
            FactKind::ConfirmRefused { .. } => Self::Refused,
            FactKind::Confirmed { .. } => Self::Sold,
            FactKind::Voided => Self::Voided,
        }
    }
}

impl Known {
    /// Takes in a fact of the inventory; `false` if it told nothing new.
    pub fn learn(&mut self, fact: &OrderFact) -> bool {
        let before = *self;
        self.fact_number = self.fact_number.max(fact.number);
        self.hold = self.hold.max(fact.what.into());
        *self != before
    }

    /// The inventory has sold for this payment, and the tickets are written with this.
    pub fn settle(&mut self) {
        self.captured = true;
        self.settled = true;
        self.hold = self.hold.max(HoldFact::Sold);
    }

    /// The inventory has refused this payment, for good: the money goes back. Not for a second payment of a sold order.
    pub fn refuse(&mut self) {
        self.captured = true;
        self.hold = self.hold.max(HoldFact::Refused);
    }

    pub fn state(&self) -> OrderState {
        let captured = self.captured || self.refunded;
        match self.hold {
            // Until it is given up or voided: what was sold stays valid, whatever is said about money.
            HoldFact::Sold if self.settled && !self.given_up => OrderState::Ticketed,
            HoldFact::Sold if self.settled && self.refunded => OrderState::Refunded,
            HoldFact::Sold if self.settled => OrderState::Refunding,
            HoldFact::Sold => OrderState::Paid,
            _ if self.refunded => OrderState::Refunded,
            HoldFact::Refused | HoldFact::Voided if captured => OrderState::Refunding,
            HoldFact::Held | HoldFact::Lapsed if captured => OrderState::Paid,
            HoldFact::Lapsed | HoldFact::Refused | HoldFact::Voided => OrderState::Cancelled,
            HoldFact::Held if self.checkout_open => OrderState::Paying,
            HoldFact::Held => OrderState::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        id::{FanId, OrderId, PaymentId},
        inventory::request::ConfirmRefusal,
        money::Currency,
        time::EventTime,
    };

    const FIRST: PaymentId = PaymentId::from_u128(1);
    const SECOND: PaymentId = PaymentId::from_u128(2);

    /// A fact from any side.
    #[derive(Debug, Clone, Copy)]
    enum Fact {
        Inventory(u64, FactKind),
        CheckoutOpen,
        Captured,
        Settled,
        GivenUp,
        Refunded,
    }

    fn take(known: &mut Known, fact: Fact) {
        match fact {
            Fact::Inventory(number, what) => {
                known.learn(&OrderFact {
                    number,
                    order: OrderId::from_u128(1),
                    fan: FanId::from_u128(1),
                    at: EventTime(number),
                    what,
                    lines: Vec::new(),
                    total_minor: 0,
                    currency: Currency::EUR,
                    expires_at: EventTime(0),
                    version: 1,
                });
            }
            Fact::CheckoutOpen => known.checkout_open = true,
            Fact::Captured => known.captured = true,
            Fact::Settled => known.settle(),
            Fact::GivenUp => known.given_up = true,
            Fact::Refunded => known.refunded = true,
        }
    }

    fn refused(payment: PaymentId) -> FactKind {
        FactKind::ConfirmRefused { payment, why: ConfirmRefusal::Gone }
    }

    /// Every life that a journal can give an order: what the inventory decided, in its order.
    fn journals() -> Vec<Vec<FactKind>> {
        use FactKind::{Created, Expired, Extended, Released, Voided};
        let sold = FactKind::Confirmed { payment: FIRST };
        let mut journals = Vec::new();
        for middle in [vec![], vec![Extended]] {
            for lapse in [vec![], vec![Released], vec![Expired]] {
                let again = FactKind::ConfirmRefused { payment: SECOND, why: ConfirmRefusal::AlreadyPaid };
                for end in [vec![], vec![sold], vec![sold, again], vec![refused(FIRST)], vec![sold, Voided]] {
                    journals.push([vec![Created], middle.clone(), lapse.clone(), end].concat());
                }
            }
        }
        journals
    }

    /// All facts of a life: the journal's, and what the money did as far as that journal allows it.
    fn lives() -> Vec<Vec<Fact>> {
        let mut lives = Vec::new();
        for journal in journals() {
            let last = journal.iter().map(|&kind| HoldFact::from(kind)).max();
            let money_moves: &[&[Fact]] = match last {
                // The inventory decides about money that is here.
                Some(HoldFact::Sold) => &[
                    &[Fact::Settled],
                    &[Fact::CheckoutOpen, Fact::Captured, Fact::Settled],
                    &[Fact::Captured, Fact::Settled, Fact::GivenUp],
                    &[Fact::Captured, Fact::Settled, Fact::GivenUp, Fact::Refunded],
                ],
                Some(HoldFact::Refused) => {
                    &[&[Fact::CheckoutOpen, Fact::Captured], &[Fact::CheckoutOpen, Fact::Captured, Fact::Refunded]]
                }
                Some(HoldFact::Voided) => &[
                    &[Fact::CheckoutOpen, Fact::Settled],
                    &[Fact::CheckoutOpen, Fact::Settled, Fact::Refunded],
                    &[Fact::CheckoutOpen, Fact::Settled, Fact::GivenUp, Fact::Refunded],
                ],
                _ => &[&[], &[Fact::CheckoutOpen], &[Fact::CheckoutOpen, Fact::Captured]],
            };
            for money in money_moves {
                let numbered = journal.iter().zip(3..).map(|(&kind, number)| Fact::Inventory(number, kind));
                lives.push(numbered.chain(money.iter().copied()).collect());
            }
        }
        lives
    }

    fn known(facts: &[Fact]) -> Known {
        let mut known = Known::default();
        facts.iter().for_each(|&fact| take(&mut known, fact));
        known
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// I-17
        #[test]
        fn any_order_and_repetition_of_the_same_facts_ends_in_the_same_state(
            (life, shuffled) in prop::sample::select(lives()).prop_flat_map(|life| {
                let twice = [life.clone(), life.clone()].concat();
                (Just(life), Just(twice).prop_shuffle())
            }),
        ) {
            prop_assert_eq!(known(&shuffled), known(&life));
        }
    }

    #[test]
    fn each_life_ends_where_it_must() {
        use OrderState::{Cancelled, Paid, Paying, Pending, Refunded, Refunding, Ticketed};
        let created = Fact::Inventory(1, FactKind::Created);
        let extended = Fact::Inventory(2, FactKind::Extended);
        let expired = Fact::Inventory(3, FactKind::Expired);
        let sold = Fact::Inventory(4, FactKind::Confirmed { payment: FIRST });
        let gone = Fact::Inventory(4, refused(FIRST));
        let second = Fact::Inventory(5, refused(SECOND));
        let voided = Fact::Inventory(6, FactKind::Voided);
        let (open, captured, settled, back) = (Fact::CheckoutOpen, Fact::Captured, Fact::Settled, Fact::Refunded);
        let given_up = Fact::GivenUp;
        let table: &[(&[Fact], OrderState)] = &[
            (&[created], Pending),
            (&[created, extended], Pending),
            (&[created, open], Paying),
            (&[created, expired], Cancelled),
            (&[created, open, expired], Cancelled),
            (&[created, open, captured], Paid),
            (&[captured], Paid),
            (&[created, expired, captured], Paid),
            (&[created, sold], Paid),
            (&[created, captured, sold], Paid),
            (&[created, captured, sold, settled], Ticketed),
            (&[settled], Ticketed),
            (&[settled, created, expired, sold], Ticketed),
            (&[created, settled, sold, second], Ticketed),
            (&[created, settled, second, sold], Ticketed),
            (&[created, expired, captured, gone], Refunding),
            (&[created, expired, captured, gone, back], Refunded),
            (&[created, expired, gone, back], Refunded),
            (&[created, settled, sold, voided], Refunding),
            (&[created, sold, voided, settled], Refunding),
            (&[created, settled, sold, back], Ticketed),
            (&[created, settled, given_up], Refunding),
            (&[created, settled, sold, given_up, back], Refunded),
            (&[created, settled, sold, given_up, voided, back], Refunded),
            (&[created, settled, sold, back, voided], Refunded),
            (&[created, sold, voided], Cancelled),
        ];
        for (facts, state) in table {
            assert_eq!(known(facts).state(), *state, "{facts:?}");
        }
    }

    #[test]
    fn a_fact_seen_before_tells_nothing_new() {
        let mut known = Known::default();
        let fact = |number, what| OrderFact {
            number,
            order: OrderId::from_u128(1),
            fan: FanId::from_u128(1),
            at: EventTime(0),
            what,
            lines: Vec::new(),
            total_minor: 0,
            currency: Currency::EUR,
            expires_at: EventTime(0),
            version: 1,
        };
        assert!(known.learn(&fact(2, FactKind::Extended)), "a later deadline is news");
        assert!(!known.learn(&fact(2, FactKind::Extended)));
        assert!(!known.learn(&fact(1, FactKind::Created)));
    }

    /// The table at the top of this file, checked against every way in which the facts of every life can arrive.
    #[test]
    fn the_table_of_states_is_complete_and_exact() {
        use OrderState::{Cancelled, Paid, Paying, Pending, Refunded, Refunding, Ticketed};
        let table: BTreeSet<(OrderState, OrderState)> = [
            (Pending, vec![Paying, Paid, Ticketed, Cancelled]),
            (Paying, vec![Paid, Ticketed, Cancelled]),
            (Paid, vec![Ticketed, Refunding, Cancelled]),
            (Ticketed, vec![Refunding]),
            (Cancelled, vec![Paid, Ticketed, Refunding]),
            (Refunding, vec![Refunded]),
        ]
        .into_iter()
        .flat_map(|(from, tos)| tos.into_iter().map(move |to| (from, to)))
        .collect();
        let mut seen = BTreeSet::new();
        for life in lives() {
            // What the provider says about one payment comes in its order, and so does the journal; the rest does not.
            let (journal, money): (Vec<Fact>, Vec<Fact>) =
                life.iter().partition(|fact| matches!(fact, Fact::Inventory(..)));
            walk(Known::default(), &journal, &money, &mut seen);
        }
        assert_eq!(seen, table);
    }

    fn walk(known: Known, journal: &[Fact], money: &[Fact], seen: &mut BTreeSet<(OrderState, OrderState)>) {
        for (taken, journal, money) in
            [(journal.split_first(), None, Some(money)), (money.split_first(), Some(journal), None)]
        {
            let Some((&fact, rest)) = taken else { continue };
            let may_refund = known.given_up || matches!(known.hold, HoldFact::Refused | HoldFact::Voided);
            if matches!(fact, Fact::Refunded) && !may_refund {
                // We give money back ourselves, and only when this is known.
                continue;
            }
            let mut next = known;
            take(&mut next, fact);
            if next.state() != known.state() {
                seen.insert((known.state(), next.state()));
            }
            walk(next, journal.unwrap_or(rest), money.unwrap_or(rest), seen);
        }
    }
}
