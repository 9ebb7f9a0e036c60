//! Classes of an event's queue: which there are, how they share admissions, and who belongs to which.
//!
//! Owns the shape and its limits. Whose turn it is follows in `domain::queue`. A class goes by its place in the list, which
//! never changes, as fans wait by it.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Corrupt, Decision, Inventory,
    configuration::{Configuration, Invalid, MAX_NAME_LEN},
    entry::Entry,
    request::{Answer, Refusal},
};
use crate::domain::{
    code::Code,
    event::Phase,
    id::FanId,
    queue::{Class, MAX_WEIGHT, Move, Precedence, Shares},
};

/// Fans who belong to a class other than the default one.
pub const MAX_CLASS_MEMBERS: usize = 100_000;
/// What the API calls the default class, and the line of those who are put first.
pub const RESERVED: [&str; 2] = ["default", "front"];

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classes {
    pub precedence: Precedence,
    /// Of those who are in none of the list, 1 to [`MAX_WEIGHT`].
    pub default_weight: u8,
    pub list: Vec<QueueClass>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueClass {
    pub code: Code,
    pub name: String,
    /// 1 to [`MAX_WEIGHT`].
    pub weight: u8,
}

impl Default for Classes {
    fn default() -> Self {
        Self { precedence: Precedence::default(), default_weight: 1, list: Vec::new() }
    }
}

impl Classes {
    pub fn shares(&self) -> Shares {
        let mut shares = Shares { precedence: self.precedence, ..Shares::default() };
        let weights = std::iter::once(self.default_weight).chain(self.list.iter().map(|class| class.weight));
        for (weight, share) in weights.zip(shares.weights.iter_mut().take(1 + Class::MAX_CONFIGURED)) {
            *share = weight;
        }
        shares
    }

    /// Of the list; the default class has no code.
    pub fn by_code(&self, code: &Code) -> Option<Class> {
        let index = self.list.iter().position(|class| class.code == *code)?;
        u8::try_from(index + 1).ok().map(Class)
    }

    pub fn get(&self, class: Class) -> Option<&QueueClass> {
        self.list.get(class.index().checked_sub(1)?)
    }

    /// As the API calls it.
    pub fn code(&self, class: Class) -> &str {
        let [default, front] = RESERVED;
        match class {
            Class::FRONT => front,
            class => self.get(class).map_or(default, |class| class.code.as_str()),
        }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let out_of_range =
            |field, max: usize| Invalid::OutOfRange { field, min: 1, max: i64::try_from(max).unwrap_or(i64::MAX) };
        if self.list.len() > Class::MAX_CONFIGURED {
            return Err(Invalid::OutOfRange { field: "classes", min: 0, max: Class::MAX_CONFIGURED as i64 });
        }
        for (index, class) in self.list.iter().enumerate() {
            let before = self.list.iter().take(index).any(|other| other.code == class.code);
            if before || RESERVED.contains(&class.code.as_str()) {
                return Err(Invalid::Duplicate(class.code.clone()));
            }
            if !(1..=MAX_NAME_LEN).contains(&class.name.chars().count()) {
                return Err(out_of_range("class name", MAX_NAME_LEN));
            }
        }
        let mut weights = self.list.iter().map(|class| class.weight).chain([self.default_weight]);
        if weights.any(|weight| !(1..=MAX_WEIGHT).contains(&weight)) {
            return Err(out_of_range("class weight", MAX_WEIGHT.into()));
        }
        Ok(())
    }
}

/// Who belongs to which class. Cheap to share.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClassMembers(Arc<BTreeMap<FanId, Class>>);

impl ClassMembers {
    pub fn class(&self, fan: FanId) -> Class {
        self.0.get(&fan).copied().unwrap_or_default()
    }

    /// How many belong to this one.
    pub fn count(&self, class: Class) -> usize {
        self.0.values().filter(|&&other| other == class).count()
    }
}

impl Inventory {
    /// Who joins from now on does so in this class; `None`: in none. Who waits stays where they are.
    pub(super) fn decide_classify(&self, fans: &[FanId], class: Option<&Code>) -> Result<Decision, Refusal> {
        let classes = self.configuration.as_ref().map(|configuration| &configuration.classes);
        let class = match class {
            None => Class::DEFAULT,
            Some(code) => classes
                .and_then(|classes| classes.by_code(code))
                .ok_or_else(|| Refusal::UnknownClass { code: code.clone() })?,
        };
        let mut changed: Vec<FanId> =
            fans.iter().copied().filter(|&fan| self.class_members.class(fan) != class).collect();
        changed.sort_unstable();
        changed.dedup();
        let new = changed.iter().filter(|&&fan| self.class_members.class(fan) == Class::DEFAULT).count();
        if self.class_members.0.len() + new > MAX_CLASS_MEMBERS {
            return Err(Refusal::TooManyMembers { max: MAX_CLASS_MEMBERS as u32 });
        }
        if changed.is_empty() {
            return Ok(Decision::already(Answer::Classified));
        }
        Ok(Decision::one(Entry::Classified { fans: changed, class }, Answer::Classified))
    }

    /// Counted before it is done: what cannot be counted is not done.
    pub(super) fn decide_count_moves(moves: &[Move]) -> Decision {
        let entry = |&Move { fan, from, to }: &Move| Entry::QueueMoved { fan, from, to };
        Decision { entries: moves.iter().map(entry).collect(), answer: Answer::MovesCounted }
    }

    /// Fans wait by a class's place in the list: what is there stays there.
    pub(super) fn check_classes(&self, next: &Configuration) -> Result<(), Refusal> {
        let Some(current) = self.configuration.as_deref() else { return Ok(()) };
        if current.phase == Phase::Draft && self.class_members.0.is_empty() {
            return Ok(());
        }
        let codes = |configuration: &Configuration| -> Vec<Code> {
            configuration.classes.list.iter().map(|class| class.code.clone()).collect()
        };
        if codes(next).starts_with(&codes(current)) {
            return Ok(());
        }
        Err(Refusal::InvalidConfiguration("classes of a queue can be added at the end, not taken away or moved".into()))
    }

    pub(super) fn classified(&mut self, fans: &[FanId], class: Class) -> Result<(), Corrupt> {
        let members = Arc::make_mut(&mut self.class_members.0);
        for &fan in fans {
            match class {
                Class::DEFAULT => members.remove(&fan),
                class => members.insert(fan, class),
            };
        }
        Ok(())
    }

    pub(super) fn queue_moved(&mut self) -> Result<(), Corrupt> {
        self.manual_moves += 1;
        Ok(())
    }
}
