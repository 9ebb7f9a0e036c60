//! What a ticket costs, and what that is made of: its face value, a discount, fees and taxes.
//!
//! Owns the one rule of rounding: discount, fees, added taxes and included taxes are each worked out once, for one ticket (and
//! for what an order costs once, for the order), exactly, then rounded half up to whole minor units. Everything else is a sum or
//! a product of these, so parts always add up to what they are parts of.

use serde::{Deserialize, Serialize};

use super::{code::Code, money::Money};

/// Hundredths of a percent: 10,000 is the whole.
pub const WHOLE: u32 = 10_000;
pub const MAX_FEES: usize = 10;
pub const MAX_TAXES: usize = 5;
pub const MAX_NAME_LEN: usize = 100;

/// What an event adds to its prices, and what of them is tax.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Charges {
    pub fees: Vec<Fee>,
    pub taxes: Vec<Tax>,
}

/// Both of it, for what costs anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fee {
    pub name: String,
    pub per: Per,
    pub minor: i64,
    /// Of the face value, less the discount.
    pub basis_points: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Per {
    Ticket,
    Order,
}

/// Of face value and fees, less the discount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tax {
    pub name: String,
    pub basis_points: u32,
    /// Whether prices and fees have it in them already.
    pub included: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Discount {
    BasisPoints(u32),
    /// Off each ticket; never more than it costs.
    Minor(i64),
}

/// Minor units; none is below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Parts {
    pub face_minor: i64,
    pub discount_minor: i64,
    pub fees_minor: i64,
    /// Added to the rest.
    pub taxes_minor: i64,
    /// Taxes that are in the rest already.
    pub included_minor: i64,
}

/// What a line of an order costs, and by which code: frozen with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Breakdown {
    /// Of each ticket.
    pub each: Parts,
    /// Of the order as a whole: its first line carries it.
    pub once: Parts,
    /// The number of the code by which it was held.
    pub code: Option<u32>,
    /// At which of its ticket type's rates.
    #[serde(default)]
    pub rate: Option<Code>,
}

impl Breakdown {
    /// Of more tickets of such a line: the order's own part stays where it is.
    pub fn without_once(&self) -> Box<Self> {
        Box::new(Self { once: Parts::default(), ..self.clone() })
    }
}

impl Parts {
    pub const fn face(face_minor: i64) -> Self {
        Self { face_minor, discount_minor: 0, fees_minor: 0, taxes_minor: 0, included_minor: 0 }
    }

    /// All that is paid.
    pub fn total_minor(&self) -> i64 {
        let paid = self.face_minor.saturating_sub(self.discount_minor);
        paid.saturating_add(self.fees_minor).saturating_add(self.taxes_minor)
    }

    /// It is its face value, and nothing is to be said about that.
    pub fn is_plain(&self) -> bool {
        *self == Self::face(self.face_minor)
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            face_minor: self.face_minor.saturating_add(other.face_minor),
            discount_minor: self.discount_minor.saturating_add(other.discount_minor),
            fees_minor: self.fees_minor.saturating_add(other.fees_minor),
            taxes_minor: self.taxes_minor.saturating_add(other.taxes_minor),
            included_minor: self.included_minor.saturating_add(other.included_minor),
        }
    }

    #[must_use]
    pub fn times(self, quantity: u32) -> Self {
        let times = |minor: i64| minor.saturating_mul(quantity.into());
        Self {
            face_minor: times(self.face_minor),
            discount_minor: times(self.discount_minor),
            fees_minor: times(self.fees_minor),
            taxes_minor: times(self.taxes_minor),
            included_minor: times(self.included_minor),
        }
    }
}

impl Charges {
    /// Of one ticket. What costs nothing has no fees.
    pub fn of_ticket(&self, face_minor: i64, discount: Option<Discount>) -> Parts {
        let discount_minor = match discount {
            None => 0,
            Some(Discount::BasisPoints(of)) => share(face_minor, of.min(WHOLE), WHOLE),
            Some(Discount::Minor(minor)) => minor.clamp(0, face_minor),
        };
        let paid_minor = face_minor - discount_minor;
        let fees_minor = self.fees_minor(Per::Ticket, paid_minor);
        Parts { discount_minor, ..self.taxed(face_minor, paid_minor, fees_minor) }
    }

    /// Of an order as a whole, beside its tickets, of which this is paid without their fees.
    pub fn of_order(&self, paid_minor: i64) -> Parts {
        let fees_minor = self.fees_minor(Per::Order, paid_minor);
        if fees_minor == 0 { Parts::default() } else { self.taxed(0, 0, fees_minor) }
    }

    fn fees_minor(&self, per: Per, paid_minor: i64) -> i64 {
        if paid_minor == 0 {
            return 0;
        }
        let fees = || self.fees.iter().filter(|fee| fee.per == per);
        let fixed: i64 = fees().map(|fee| fee.minor).sum();
        fixed + share(paid_minor, fees().map(|fee| fee.basis_points).sum(), WHOLE)
    }

    fn taxed(&self, face_minor: i64, paid_minor: i64, fees_minor: i64) -> Parts {
        let rate = |included| self.taxes.iter().filter(|tax| tax.included == included).map(|t| t.basis_points).sum();
        let (base, included): (i64, u32) = (paid_minor + fees_minor, rate(true));
        Parts {
            face_minor,
            discount_minor: 0,
            fees_minor,
            taxes_minor: share(base, rate(false), WHOLE),
            included_minor: share(base, included, WHOLE + included),
        }
    }

    pub fn is_valid(&self) -> bool {
        let fee = |fee: &Fee| (0..=Money::MAX_MINOR).contains(&fee.minor) && fee.basis_points <= WHOLE;
        let names = self.fees.iter().map(|fee| &fee.name).chain(self.taxes.iter().map(|tax| &tax.name));
        self.fees.len() <= MAX_FEES
            && self.taxes.len() <= MAX_TAXES
            && self.fees.iter().all(fee)
            && self.taxes.iter().all(|tax| tax.basis_points <= WHOLE)
            && names.into_iter().all(|name| name.chars().count() <= MAX_NAME_LEN)
    }
}

/// `amount · of / whole`, half up. No factor is below zero; prices, fees and rates have limits that keep the product far from
/// the end of its type.
fn share(amount: i64, of: u32, whole: u32) -> i64 {
    let (of, whole) = (i64::from(of), i64::from(whole));
    (amount * of * 2 + whole) / (whole * 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fee(per: Per, minor: i64, basis_points: u32) -> Fee {
        Fee { name: "service".into(), per, minor, basis_points }
    }

    fn tax(basis_points: u32, included: bool) -> Tax {
        Tax { name: "VAT".into(), basis_points, included }
    }

    fn parts(parts: [i64; 5]) -> Parts {
        let [face_minor, discount_minor, fees_minor, taxes_minor, included_minor] = parts;
        Parts { face_minor, discount_minor, fees_minor, taxes_minor, included_minor }
    }

    #[test]
    fn each_part_is_rounded_half_up_once() {
        let percent = Charges { fees: vec![fee(Per::Ticket, 0, 1_000)], taxes: vec![] };
        let both =
            Charges { fees: vec![fee(Per::Ticket, 150, 250), fee(Per::Order, 99, 0)], taxes: vec![tax(700, false)] };
        let within = Charges { fees: vec![fee(Per::Ticket, 100, 0)], taxes: vec![tax(1_900, true)] };
        let half = Some(Discount::BasisPoints(5_000));
        for (charges, face, discount, expected, total) in [
            (&Charges::default(), 2_500, None, [2_500, 0, 0, 0, 0], 2_500),
            (&percent, 4, None, [4, 0, 0, 0, 0], 4),
            (&percent, 5, None, [5, 0, 1, 0, 0], 6),
            (&percent, 14, None, [14, 0, 1, 0, 0], 15),
            (&percent, 15, None, [15, 0, 2, 0, 0], 17),
            // 150 + 62.5 → 213; 7 % of 2,713 is 189.91
            (&both, 2_500, None, [2_500, 0, 213, 190, 0], 2_903),
            // 19 / 119 of 2,600 is 415.13
            (&within, 2_500, None, [2_500, 0, 100, 0, 415], 2_600),
            (&within, 2_501, half, [2_501, 1_251, 100, 0, 216], 1_350),
            (&within, 2_500, Some(Discount::Minor(9_999)), [2_500, 2_500, 0, 0, 0], 0),
            (&within, 0, None, [0, 0, 0, 0, 0], 0),
        ] {
            let found = charges.of_ticket(face, discount);
            assert_eq!((found, found.total_minor()), (parts(expected), total), "{face} {discount:?} {charges:?}");
        }
        assert_eq!(both.of_order(5_000), parts([0, 0, 99, 7, 0]));
        assert_eq!(both.of_order(0), Parts::default(), "what costs nothing has no fees");
        assert_eq!(percent.of_order(5_000), Parts::default());
    }

    fn charges() -> impl Strategy<Value = Charges> {
        let fee = (any::<bool>(), 0..=Money::MAX_MINOR, 0..=WHOLE)
            .prop_map(|(each, minor, bps)| fee(if each { Per::Ticket } else { Per::Order }, minor, bps));
        let tax = (0..=WHOLE, any::<bool>()).prop_map(|(bps, included)| tax(bps, included));
        (prop::collection::vec(fee, 0..=MAX_FEES), prop::collection::vec(tax, 0..=MAX_TAXES))
            .prop_map(|(fees, taxes)| Charges { fees, taxes })
    }

    fn discount() -> impl Strategy<Value = Option<Discount>> {
        prop_oneof![
            Just(None),
            (0..=WHOLE).prop_map(|of| Some(Discount::BasisPoints(of))),
            (0..=Money::MAX_MINOR).prop_map(|minor| Some(Discount::Minor(minor))),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        /// Also at every limit: nothing overflows, nothing is below zero, and the parts are the whole.
        #[test]
        fn parts_add_up_and_no_rounding_is_off_by_more_than_half(
            charges in charges(),
            face in prop_oneof![0..200_i64, 0..=Money::MAX_MINOR, Just(Money::MAX_MINOR)],
            discount in discount(),
            quantity in 1..=20_u32,
        ) {
            prop_assert!(charges.is_valid());
            let each = charges.of_ticket(face, discount);
            let paid = each.face_minor - each.discount_minor;
            let once = charges.of_order(paid * i64::from(quantity));
            for parts in [each, once] {
                let Parts { face_minor, discount_minor, fees_minor, taxes_minor, included_minor } = parts;
                prop_assert!([face_minor, discount_minor, fees_minor, taxes_minor, included_minor].iter().all(|p| *p >= 0));
                prop_assert_eq!(parts.total_minor(), face_minor - discount_minor + fees_minor + taxes_minor);
                prop_assert!(discount_minor <= face_minor && included_minor <= parts.total_minor());
                prop_assert!(parts.total_minor() < i64::MAX / 1_000_000);
                // Exactly: twice the part, times the whole, is within one whole of twice the product.
                let rate = |included: bool| -> i128 {
                    charges.taxes.iter().filter(|tax| tax.included == included).map(|t| i128::from(t.basis_points)).sum()
                };
                let base = i128::from(face_minor - discount_minor + fees_minor);
                for (part, of, whole) in [(taxes_minor, rate(false), 10_000), (included_minor, rate(true), 10_000 + rate(true))] {
                    let error = 2 * (i128::from(part) * whole - base * of);
                    prop_assert!(-whole < error && error <= whole, "{} of {}", part, base);
                }
            }
            let all = each.times(quantity).plus(once);
            prop_assert_eq!(all.total_minor(), each.total_minor() * i64::from(quantity) + once.total_minor());
        }
    }
}
