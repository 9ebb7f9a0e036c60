//! Accounts: roles and what an account may be called.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What an account may do. One account can have several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Buys; everybody is one.
    Fan,
    /// Makes events, and steers the own ones.
    Organizer,
    /// Works at the door.
    Staff,
    /// Runs the cluster and its queues.
    Operator,
    /// All of it, and other accounts' roles.
    Admin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a role: fan, organizer, staff, operator or admin is expected")]
pub struct NotARole;

impl Role {
    pub const ALL: [Self; 5] = [Self::Fan, Self::Organizer, Self::Staff, Self::Operator, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fan => "fan",
            Self::Organizer => "organizer",
            Self::Staff => "staff",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = NotARole;
    fn from_str(text: &str) -> Result<Self, NotARole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(NotARole)
    }
}
