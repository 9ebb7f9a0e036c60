//! What an event's steerers tell all who wait, in as many languages as they like.
//!
//! Owns the shape and its limits. Which of the texts a fan reads is the client's choice.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::time::EventTime;

pub const MAX_LANGUAGES: usize = 20;
pub const MAX_LANGUAGE_LEN: usize = 35;
/// Characters of one text.
pub const MAX_TEXT_LEN: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Of the configuration that brought it, so from 1: tells it from every other notice of the event.
    pub version: u32,
    /// When it was given.
    pub at: EventTime,
    /// By language, never none.
    pub texts: BTreeMap<String, String>,
}

impl Notice {
    pub fn is_valid(&self) -> bool {
        let named: BTreeSet<_> = self.texts.keys().map(|language| language.to_ascii_lowercase()).collect();
        (1..=MAX_LANGUAGES).contains(&self.texts.len())
            && named.len() == self.texts.len()
            && self.texts.iter().all(|(language, text)| is_language(language) && is_text(text))
    }
}

/// Looks like a tag of BCP 47: subtags of 1 to 8 ASCII letters and digits, the first one of letters. Which of them are
/// registered is not asked.
pub fn is_language(tag: &str) -> bool {
    let is_subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let first = tag.split('-').next().unwrap_or_default();
    tag.len() <= MAX_LANGUAGE_LEN
        && tag.split('-').all(is_subtag)
        && first.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_text(text: &str) -> bool {
    text.chars().count() <= MAX_TEXT_LEN && !text.trim().is_empty() && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(texts: &[(&str, &str)]) -> Notice {
        let texts = texts.iter().map(|&(language, text)| (language.to_owned(), text.to_owned())).collect();
        Notice { version: 1, at: EventTime(1), texts }
    }

    #[test]
    fn a_language_looks_like_a_tag_of_bcp_47() {
        let longest = format!("sl-{}", ["abcdefgh", "12345678", "abcdefgh", "12345"].join("-"));
        assert_eq!(longest.len(), MAX_LANGUAGE_LEN);
        for good in ["en", "hr", "pt-BR", "zh-Hant-TW", "de-1996", "x-shop", &longest] {
            assert!(is_language(good), "{good}");
        }
        let long = format!("{longest}6");
        for bad in ["", "-", "en-", "-en", "en--GB", "en_GB", "e n", "hrvatski1", "1en", "español", &long] {
            assert!(!is_language(bad), "{bad}");
        }
    }

    #[test]
    fn a_notice_has_texts_each_in_a_language_of_its_own() {
        let long = "ž".repeat(MAX_TEXT_LEN);
        assert!(notice(&[("en", "Sound check runs late."), ("hr", &long)]).is_valid());
        let longer = format!("{long}ž");
        for bad in [&[][..], &[("en", "")], &[("en", "  ")], &[("en", "a\nb")], &[("en", &longer)], &[("e!", "a")]] {
            assert!(!notice(bad).is_valid(), "{bad:?}");
        }
        assert!(!notice(&[("en", "a"), ("EN", "b")]).is_valid(), "one language");
        let languages: Vec<String> = (b'a'..=b'z').map(|letter| format!("x{}", char::from(letter))).collect();
        let many =
            |count: usize| languages.iter().take(count).map(|language| (language.as_str(), "a")).collect::<Vec<_>>();
        assert!(notice(&many(MAX_LANGUAGES)).is_valid() && !notice(&many(MAX_LANGUAGES + 1)).is_valid());
    }
}
