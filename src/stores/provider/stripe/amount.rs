//! Amounts as Stripe has them: in a currency's smallest unit, which for some is not ISO 4217's.

use crate::{
    domain::money::{Currency, Money},
    stores::error::StoreError,
};

/// Digits of Stripe's unit, and what its last digits must be a multiple of. `None`: not taken here, because what is published of
/// it can be read in two ways, or not at all.
fn unit(currency: Currency) -> Option<(u32, i64)> {
    match currency.as_str() {
        "UGX" | "IQD" | "LYD" => None,
        // Without decimals in ISO, too, but for the ariary.
        "BIF" | "CLP" | "DJF" | "GNF" | "JPY" | "KMF" | "KRW" | "MGA" | "PYG" | "RWF" | "VND" | "VUV" | "XAF"
        | "XOF" | "XPF" => Some((0, 1)),
        // Whole crowns, told in hundredths.
        "ISK" => Some((2, 100)),
        "BHD" | "JOD" | "KWD" | "OMR" | "TND" => Some((3, 10)),
        _ => Some((2, 1)),
    }
}

/// What Stripe is asked for.
pub fn to_stripe(amount: Money) -> Result<i64, StoreError> {
    let refused = || StoreError::Invalid(format!("Stripe is not asked for {amount}").into());
    let (digits, multiple) = unit(amount.currency).ok_or_else(refused)?;
    let ours = amount.currency.digits();
    let told = if digits >= ours {
        amount.minor.checked_mul(10_i64.pow(digits - ours)).ok_or_else(refused)?
    } else {
        let parts = 10_i64.pow(ours - digits);
        if amount.minor % parts != 0 {
            return Err(refused());
        }
        amount.minor / parts
    };
    if told % multiple == 0 { Ok(told) } else { Err(refused()) }
}

/// What Stripe has told; `currency` in small letters. `None`: no amount of ours can be that.
pub fn of_stripe(told: i64, currency: &str) -> Option<Money> {
    let currency: Currency = currency.to_ascii_uppercase().parse().ok()?;
    let (digits, _) = unit(currency)?;
    let ours = currency.digits();
    let minor = if digits >= ours {
        let parts = 10_i64.pow(digits - ours);
        (told % parts == 0).then(|| told / parts)?
    } else {
        told.checked_mul(10_i64.pow(ours - digits))?
    };
    Some(Money { minor, currency })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64, currency: &str) -> Money {
        Money { minor, currency: currency.parse().expect("a currency") }
    }

    #[test]
    fn an_amount_is_told_in_the_unit_that_stripe_has_for_its_currency() {
        for (minor, currency, told) in [
            (1_250, "EUR", 1_250),
            (1_250, "USD", 1_250),
            (50_000, "KRW", 50_000),
            (500, "JPY", 500),
            (5, "ISK", 500),
            (5_120, "KWD", 5_120),
            (500, "MGA", 5),
        ] {
            let amount = money(minor, currency);
            assert_eq!(to_stripe(amount).expect("taken"), told, "{amount}");
            assert_eq!(of_stripe(told, &currency.to_lowercase()), Some(amount), "{amount}");
        }
    }

    #[test]
    fn what_stripe_cannot_be_told_exactly_is_refused() {
        for (minor, currency) in [(5_124, "KWD"), (501, "MGA"), (5, "UGX"), (5, "IQD"), (i64::MAX, "ISK")] {
            assert!(to_stripe(money(minor, currency)).is_err(), "{minor} {currency}");
        }
        for (told, currency) in [(550, "isk"), (5, "ugx"), (5, "euro"), (5, ""), (i64::MAX, "mga")] {
            assert_eq!(of_stripe(told, currency), None, "{told} {currency}");
        }
    }
}
