//! What can happen to the node that runs the event, and how long the event may be away for it.

use std::fmt;

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT after ten seconds.
    Freeze,
    /// The node's lease is revoked in etcd.
    Lease,
    /// SIGTERM.
    Stop,
    /// An operator drains the node.
    Drain,
    /// An operator moves the event.
    Move,
    /// etcd's leader: SIGKILL, and started again after ten seconds.
    KillLeader,
    /// etcd's leader: SIGSTOP, and SIGCONT after ten seconds.
    FreezeLeader,
    /// SIGKILL for the node and for etcd's leader.
    KillBoth,
}

impl Fault {
    /// Of `RELIABILITY.md` and the design: what an event may be away for, in seconds.
    pub fn bound(self) -> Option<u32> {
        match self {
            Self::Kill | Self::Freeze => Some(8),
            Self::Stop | Self::Drain | Self::Move => Some(1),
            Self::KillLeader | Self::FreezeLeader => Some(2),
            Self::KillBoth => Some(13),
            Self::Lease => None,
        }
    }

    pub fn is_of_the_leader(self) -> bool {
        matches!(self, Self::KillLeader | Self::FreezeLeader | Self::KillBoth)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "killed (SIGKILL)",
            Self::Freeze => "frozen for 10 s",
            Self::Lease => "lease revoked",
            Self::Stop => "told to stop",
            Self::Drain => "drained",
            Self::Move => "event moved",
            Self::KillLeader => "etcd leader killed",
            Self::FreezeLeader => "etcd leader frozen for 10 s",
            Self::KillBoth => "killed, and the etcd leader",
        })
    }
}
