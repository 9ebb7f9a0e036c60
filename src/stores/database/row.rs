//! What a row says, typed. Whatever cannot be read is corrupt: nobody else writes these tables.

use std::str::FromStr;

use serde::{
    Serialize,
    de::{
        DeserializeOwned, IntoDeserializer as _,
        value::{self, StrDeserializer},
    },
};
use sqlx::{Row as _, any::AnyRow};

use crate::{
    domain::{
        money::{Currency, Money},
        time::EventTime,
    },
    stores::error::StoreError,
};

pub(super) struct Row(pub(super) AnyRow);

impl Row {
    pub(super) fn text(&self, column: &'static str) -> Result<&str, StoreError> {
        self.0.try_get(column).map_err(|error| corrupt(column, error))
    }

    pub(super) fn text_if_any(&self, column: &'static str) -> Result<Option<&str>, StoreError> {
        self.0.try_get(column).map_err(|error| corrupt(column, error))
    }

    pub(super) fn string(&self, column: &'static str) -> Result<String, StoreError> {
        self.text(column).map(Into::into)
    }

    pub(super) fn parsed<T: FromStr<Err: ToString>>(&self, column: &'static str) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|error: T::Err| corrupt(column, error))
    }

    pub(super) fn parsed_if_any<T: FromStr<Err: ToString>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let Some(text) = self.text_if_any(column)? else { return Ok(None) };
        text.parse().map(Some).map_err(|error: T::Err| corrupt(column, error))
    }

    /// A name as serde spells it, of an enum without content.
    pub(super) fn named<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        let name: StrDeserializer<'_, value::Error> = self.text(column)?.into_deserializer();
        T::deserialize(name).map_err(|error| corrupt(column, error))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        serde_json::from_str(self.text(column)?).map_err(|error| corrupt(column, error))
    }

    /// A number that is smaller in the program than in the database.
    pub(super) fn number<T: TryFrom<i64, Error: ToString>>(&self, column: &'static str) -> Result<T, StoreError> {
        let number: i64 = self.0.try_get(column).map_err(|error| corrupt(column, error))?;
        number.try_into().map_err(|error: T::Error| corrupt(column, error))
    }

    pub(super) fn number_if_any<T: TryFrom<i64, Error: ToString>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let number: Option<i64> = self.0.try_get(column).map_err(|error| corrupt(column, error))?;
        number.map(|number| number.try_into().map_err(|error: T::Error| corrupt(column, error))).transpose()
    }

    pub(super) fn time(&self, column: &'static str) -> Result<EventTime, StoreError> {
        self.number(column).map(EventTime)
    }

    pub(super) fn time_if_any(&self, column: &'static str) -> Result<Option<EventTime>, StoreError> {
        Ok(self.number_if_any(column)?.map(EventTime))
    }

    pub(super) fn money(&self, column: &'static str) -> Result<Money, StoreError> {
        Ok(Money { minor: self.number(column)?, currency: self.parsed::<Currency>("currency")? })
    }
}

fn corrupt(column: &'static str, error: impl ToString) -> StoreError {
    StoreError::Corrupt(format!("{column}: {}", error.to_string()))
}

/// As the database keeps it. A time beyond its range is as good as never.
pub(super) fn millis(time: EventTime) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

pub(super) fn millis_if_any(time: Option<EventTime>) -> Option<i64> {
    time.map(millis)
}

/// Plain shapes with string keys only.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("such a shape always has a JSON form")
}
