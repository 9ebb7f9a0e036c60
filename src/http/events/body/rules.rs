//! What holders of an event's tickets may do with them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::stores::database::events::TicketRules;

/// A field left out has its default in a new event, and stays in a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TicketRulesBody {
    /// Whether they may hand them on, and put other names on them.
    #[schema(default = true)]
    pub transferable: Option<bool>,
    /// Whether a ticket's code changes every 15 seconds, so that a picture of it is worth nothing. Such tickets are not printed.
    #[schema(default = false)]
    pub rotating_codes: Option<bool>,
}

impl TicketRulesBody {
    pub fn of(rules: TicketRules) -> Self {
        Self { transferable: Some(rules.transferable), rotating_codes: Some(rules.rotating_codes) }
    }

    pub fn applied(self, before: TicketRules) -> TicketRules {
        TicketRules {
            transferable: self.transferable.unwrap_or(before.transferable),
            rotating_codes: self.rotating_codes.unwrap_or(before.rotating_codes),
        }
    }
}
