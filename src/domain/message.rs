//! Messages to fans: which kinds there are, who may switch what off, and what each says in each language.
//!
//! A kind is a row of [`TABLE`]; nothing else has to be written for one but the place from which it is sent. Texts have places such as
//! `{event}`; which ones a kind has, its row says.

mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::table::TABLE;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    OrderReceived,
    Tickets,
    PaymentRefused,
    RefundBegun,
    RefundDone,
    EventChanged,
    EventCancelled,
    Broadcast,
    Verification,
    Reset,
    Offer,
    TicketReplaced,
    TicketGiven,
}

/// One of the two ways on which a message comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Always,
    /// Unless the fan does not want it.
    On,
    /// If the fan wants it.
    Off,
    Never,
}

impl Way {
    /// Whether it comes, and whether the fan has a say.
    pub fn is_on(self, wanted: Option<bool>) -> bool {
        match self {
            Self::Always => true,
            Self::On => wanted.unwrap_or(true),
            Self::Off => wanted.unwrap_or(false),
            Self::Never => false,
        }
    }

    pub fn is_fixed(self) -> bool {
        matches!(self, Self::Always | Self::Never)
    }
}

pub struct Row {
    pub kind: Kind,
    pub name: &'static str,
    pub mail: Way,
    pub in_app: Way,
    /// What its texts may name, besides [`EVERYWHERE`].
    pub places: &'static [&'static str],
    /// In the order of [`LANGUAGES`].
    pub texts: [Text; 3],
}

/// A subject of one line, and a text of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    pub subject: &'static str,
    pub body: &'static str,
}

/// Those that have texts of our own; any other gets the first.
pub const LANGUAGES: [&str; 3] = ["en", "hr", "ko"];
/// The fan's name.
pub const EVERYWHERE: &str = "name";

impl Kind {
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.row().name
    }

    pub fn by_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.kind)
    }

    /// In a language of [`LANGUAGES`], or in the first of them.
    pub fn text(self, language: &str) -> Text {
        let at = LANGUAGES.iter().position(|one| *one == language).unwrap_or(0);
        self.row().texts[at]
    }

    fn has(self, place: &str) -> bool {
        place == EVERYWHERE || self.row().places.contains(&place)
    }

    /// Whether all that the text names is there for this kind: the first that is not.
    pub fn check(self, text: &str) -> Result<(), NoSuchPlace> {
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (_, from) = rest.split_at(at);
            let end = from.find('}').filter(|_| from.starts_with('{'));
            let Some((place, after)) = end.and_then(|end| Some((from.get(1..end)?, from.get(end + 1..)?))) else {
                return Err(NoSuchPlace(from.chars().take(20).collect()));
            };
            if !self.has(place) {
                return Err(NoSuchPlace(place.chars().take(40).collect()));
            }
            rest = after;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no place of this kind's texts")]
pub struct NoSuchPlace(String);

/// What stands in the places. One that is not known stays empty; what is filled in is not looked through again.
pub fn filled(text: &str, values: &BTreeMap<&str, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('{') {
        out.push_str(before);
        let Some((place, after)) = from.split_once('}') else { return out };
        out.push_str(values.get(place).map_or("", String::as_str));
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_row_with_texts_that_name_only_what_it_has() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!((row.kind as usize, Kind::by_name(row.name)), (at, Some(row.kind)), "{}", row.name);
            for text in row.texts {
                assert_eq!((row.kind.check(text.subject), row.kind.check(text.body)), (Ok(()), Ok(())), "{}", row.name);
                assert!(!text.subject.is_empty() && !text.subject.contains('\n'), "{}", row.name);
            }
            assert_eq!(serde_json::to_value(row.kind).expect("a name"), row.name);
        }
        assert_eq!(Kind::Tickets.text("ko").subject, "예매하신 입장권: {event}");
        assert_eq!(Kind::Tickets.text("fr"), Kind::Tickets.text("en"));
    }

    #[test]
    fn a_place_that_a_kind_does_not_have_is_found() {
        for good in ["", "{name}", "a {event} b {order}{amount}", "no places"] {
            assert_eq!(Kind::RefundDone.check(good), Ok(()), "{good}");
        }
        for wrong in ["{code}", "{}", "{ event }", "{event", "event}", "{{event}}", "}{", "{name.secret}", "{EVENT}"] {
            assert!(Kind::RefundDone.check(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_filled_in_names_no_places_itself() {
        let values = BTreeMap::from([("event", "{order} <b>".to_owned()), ("order", "secret".to_owned())]);
        assert_eq!(filled("a {event} b {name}c", &values), "a {order} <b> b c");
    }

    #[test]
    fn what_is_fixed_is_not_the_fans_to_say() {
        assert!(Way::Always.is_on(Some(false)) && !Way::Never.is_on(Some(true)));
        assert!(
            Way::On.is_on(None) && !Way::On.is_on(Some(false)) && !Way::Off.is_on(None) && Way::Off.is_on(Some(true))
        );
        assert!(Kind::Tickets.row().mail.is_fixed());
    }
}
