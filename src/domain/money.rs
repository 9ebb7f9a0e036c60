//! Money: whole minor units (cents) of one ISO 4217 currency.
//!
//! Owns their form, also as people write them. Does not add, convert or round.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A three-letter ISO 4217 code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a currency: three capital letters of ISO 4217 are expected")]
pub struct NotACurrency;

impl Currency {
    pub const EUR: Self = Self(*b"EUR");

    pub fn as_str(&self) -> &str {
        // Only capital letters get in, so this is always UTF-8.
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// Decimal digits of its minor unit: ISO 4217 has two but for these.
    pub fn digits(&self) -> u32 {
        match self.as_str() {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VND" | "VUV"
            | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            _ => 2,
        }
    }
}

impl FromStr for Currency {
    type Err = NotACurrency;
    fn from_str(text: &str) -> Result<Self, NotACurrency> {
        match text.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(NotACurrency),
        }
    }
}
impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// An amount in minor units. The largest that is accepted from outside is [`Money::MAX_MINOR`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units: cents for EUR, won for KRW.
    pub minor: i64,
    pub currency: Currency,
}

impl Money {
    /// A price above this is refused as a mistake: ten million of a currency with cents.
    pub const MAX_MINOR: i64 = 1_000_000_000;
}

impl fmt::Display for Money {
    /// Such as `12.50 EUR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { minor, currency } = self;
        let digits = currency.digits();
        if digits == 0 {
            return write!(f, "{minor} {currency}");
        }
        let unit = 10_u64.pow(digits);
        let (whole, part) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
        let sign = if *minor < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}.{part:0width$} {currency}", width = digits as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!("EUR".parse(), Ok(Currency::EUR));
        for wrong in ["", "eur", "EURO", "E R", "€"] {
            assert_eq!(wrong.parse::<Currency>(), Err(NotACurrency), "{wrong}");
        }
    }

    #[test]
    fn amounts_have_as_many_digits_as_their_currency() {
        let amount = |minor, code: &str| Money { minor, currency: code.parse().expect("currency") }.to_string();
        assert_eq!(amount(5, "EUR"), "0.05 EUR");
        assert_eq!(amount(150_000, "KRW"), "150000 KRW");
        assert_eq!(amount(1_500, "KWD"), "1.500 KWD");
        assert_eq!(amount(-1_250, "USD"), "-12.50 USD");
    }
}
