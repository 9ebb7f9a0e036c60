//! Fees and taxes as an organizer sets them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    domain::{
        money::{Currency, Money},
        price::{Charges, Fee, MAX_FEES, MAX_NAME_LEN, MAX_TAXES, Per, Tax, WHOLE},
    },
    http::shapes::{Price, Wrong},
};

/// What is asked beside the price. What costs nothing has no fees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeeBody {
    #[schema(min_length = 1, max_length = 100, example = "Service")]
    pub name: String,
    /// Once for each ticket, or once for the order.
    #[serde(default)]
    pub per: PerBody,
    #[serde(default)]
    pub amount: Option<Price>,
    /// Hundredths of a percent of the price, less the discount; beside the amount.
    #[serde(default)]
    #[schema(maximum = 10_000, default = 0)]
    pub basis_points: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PerBody {
    #[default]
    Ticket,
    Order,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaxBody {
    #[schema(min_length = 1, max_length = 100, example = "VAT")]
    pub name: String,
    /// Hundredths of a percent of price and fees, less the discount.
    #[schema(maximum = 10_000)]
    pub basis_points: u32,
    /// Whether prices and fees have it in them already.
    #[serde(default)]
    pub included: bool,
}

impl FeeBody {
    pub fn all(charges: &Charges, currency: Currency) -> Vec<Self> {
        let body = |fee: &Fee| Self {
            name: fee.name.clone(),
            per: match fee.per {
                Per::Ticket => PerBody::Ticket,
                Per::Order => PerBody::Order,
            },
            amount: (fee.minor > 0).then(|| Price::new(fee.minor, currency)),
            basis_points: fee.basis_points,
        };
        charges.fees.iter().map(body).collect()
    }

    pub(super) fn configured(&self) -> Fee {
        let per = match self.per {
            PerBody::Ticket => Per::Ticket,
            PerBody::Order => Per::Order,
        };
        let minor = self.amount.map_or(0, |amount| amount.minor);
        Fee { name: self.name.clone(), per, minor, basis_points: self.basis_points }
    }
}

impl TaxBody {
    pub fn all(charges: &Charges) -> Vec<Self> {
        let body = |tax: &Tax| Self { name: tax.name.clone(), basis_points: tax.basis_points, included: tax.included };
        charges.taxes.iter().map(body).collect()
    }

    pub(super) fn configured(&self) -> Tax {
        Tax { name: self.name.clone(), basis_points: self.basis_points, included: self.included }
    }
}

pub(super) fn check_fees(wrong: &mut Wrong, fees: &[FeeBody], currency: Currency) {
    wrong.number("fees", fees.len(), 0..=MAX_FEES);
    for (i, fee) in fees.iter().enumerate().take(MAX_FEES) {
        wrong.text(&format!("fees[{i}].name"), &fee.name, 1..=MAX_NAME_LEN, false);
        wrong.number(format!("fees[{i}].basis_points"), fee.basis_points, 0..=WHOLE);
        if let Some(amount) = fee.amount {
            wrong.number(format!("fees[{i}].amount.minor"), amount.minor, 0..=Money::MAX_MINOR);
            if amount.currency != currency {
                wrong.add(format!("fees[{i}].amount.currency"), format!("must be the event's: {currency}"));
            }
        }
    }
}

pub(super) fn check_taxes(wrong: &mut Wrong, taxes: &[TaxBody]) {
    wrong.number("taxes", taxes.len(), 0..=MAX_TAXES);
    for (i, tax) in taxes.iter().enumerate().take(MAX_TAXES) {
        wrong.text(&format!("taxes[{i}].name"), &tax.name, 1..=MAX_NAME_LEN, false);
        wrong.number(format!("taxes[{i}].basis_points"), tax.basis_points, 0..=WHOLE);
    }
}
