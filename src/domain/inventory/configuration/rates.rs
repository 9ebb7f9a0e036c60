//! What some pay instead of a ticket type's price.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Invalid, MAX_NAME_LEN, TicketType, at_most};
use crate::domain::{code::Code, money::Money};

/// Of one ticket type.
pub const MAX_RATES: usize = 10;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    pub code: Code,
    pub name: String,
    /// The face value.
    pub price_minor: i64,
}

impl TicketType {
    pub fn rate(&self, code: &Code) -> Option<&Rate> {
        self.rates.iter().find(|rate| rate.code == *code)
    }

    pub(super) fn validate_rates(&self) -> Result<(), Invalid> {
        at_most("rates", self.rates.len(), MAX_RATES)?;
        let mut codes = HashSet::new();
        let good = |rate: &Rate| {
            (0..=Money::MAX_MINOR).contains(&rate.price_minor) && rate.name.chars().count() <= MAX_NAME_LEN
        };
        let all = self.rates.iter().all(|rate| good(rate) && codes.insert(&rate.code));
        if all { Ok(()) } else { Err(Invalid::Rates(self.code.clone())) }
    }
}
