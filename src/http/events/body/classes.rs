//! The classes of an event's queue as its organizer sets them.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    domain::{
        code::Code,
        inventory::{
            classes::{Classes, QueueClass, RESERVED},
            configuration::MAX_NAME_LEN,
        },
        queue::{Class, MAX_WEIGHT, Precedence},
    },
    http::shapes::Wrong,
};

/// All of them: given in a change, they are instead of those before. Once the event is published, or a class has members,
/// classes are only added at the end; names and weights may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassesBody {
    #[serde(default)]
    pub precedence: PrecedenceBody,
    /// Of those who are in none of the list.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 100, default = 1)]
    pub default_weight: u8,
    #[serde(default)]
    #[schema(max_items = 8)]
    pub list: Vec<ClassBody>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassBody {
    #[schema(value_type = String, example = "VIP")]
    pub code: Code,
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Its share of admissions while somebody of it waits: this by the sum of all weights.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 100, default = 1)]
    pub weight: u8,
}

/// Which class is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrecedenceBody {
    /// Each by its weight: none that waits starves.
    #[default]
    Weighted,
    /// Nobody while anybody of an earlier class of the list waits; the default class is the last.
    Strict,
}

fn one() -> u8 {
    1
}

impl ClassesBody {
    pub fn of(classes: &Classes) -> Self {
        let list = classes.list.iter().map(|class| ClassBody {
            code: class.code.clone(),
            name: class.name.clone(),
            weight: class.weight,
        });
        let precedence = match classes.precedence {
            Precedence::Weighted => PrecedenceBody::Weighted,
            Precedence::Strict => PrecedenceBody::Strict,
        };
        Self { precedence, default_weight: classes.default_weight, list: list.collect() }
    }

    pub(super) fn configured(&self) -> Arc<Classes> {
        let list = self.list.iter().map(|class| QueueClass {
            code: class.code.clone(),
            name: class.name.clone(),
            weight: class.weight,
        });
        let precedence = match self.precedence {
            PrecedenceBody::Weighted => Precedence::Weighted,
            PrecedenceBody::Strict => Precedence::Strict,
        };
        Arc::new(Classes { precedence, default_weight: self.default_weight, list: list.collect() })
    }

    pub(super) fn check(&self, wrong: &mut Wrong) {
        wrong.number("queue.classes.list", self.list.len(), 0..=Class::MAX_CONFIGURED);
        wrong.number("queue.classes.default_weight", self.default_weight, 1..=MAX_WEIGHT);
        let mut codes = BTreeSet::new();
        for (index, class) in self.list.iter().enumerate().take(Class::MAX_CONFIGURED) {
            let field = |name: &str| format!("queue.classes.list[{index}].{name}");
            if RESERVED.contains(&class.code.as_str()) {
                wrong.add(field("code"), "default and front are taken");
            }
            if !codes.insert(&class.code) {
                wrong.add(field("code"), "the class is named twice");
            }
            wrong.text(&field("name"), &class.name, 1..=MAX_NAME_LEN, false);
            wrong.number(field("weight"), class.weight, 1..=MAX_WEIGHT);
        }
    }
}
