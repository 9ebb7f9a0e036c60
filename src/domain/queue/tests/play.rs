//! What may happen to a waiting room, for random play.

use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::domain::queue::place::Class;

#[derive(Debug, Clone)]
pub(super) enum Play {
    Join(u32),
    Leave(u32),
    /// A device and an account.
    Tie(u32, u32),
    Tied,
    TieFailed,
    /// An admin moves the fan to this class.
    Move(u32, u8),
    Moved,
    MoveFailed,
    Present(u32),
    Absent(u32),
    Stored,
    StoreFailed,
    Tick {
        slots_free: u32,
        stock_free: u64,
        selling: bool,
        paused: bool,
        mode: Mode,
        engage_above: u32,
        dice: u64,
    },
    /// The inventory admits that share of what is proposed.
    Admitted(u8),
    AdmitFailed,
    End(u32),
    AdmitNow(u32),
    RemoveFirst(u32),
    Wait(u64),
    /// Begins a new term with what the store has, of which it lost some `Forget`s.
    Restart,
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![
        3 => Just(Mode::Fifo), 1 => Just(Mode::Random), 1 => Just(Mode::Passthrough), 1 => Just(Mode::Reject),
    ]
}

pub(super) fn play() -> impl Strategy<Value = Play> {
    let fan = 1u32..12;
    prop_oneof![
        8 => fan.clone().prop_map(Play::Join),
        2 => fan.clone().prop_map(Play::Leave),
        3 => (DEVICES, 1..DEVICES.start).prop_map(|(device, account)| Play::Tie(device, account)),
        3 => Just(Play::Tied),
        1 => Just(Play::TieFailed),
        2 => (fan.clone(), prop_oneof![0u8..3, Just(Class::FRONT.0)]).prop_map(|(fan, class)| Play::Move(fan, class)),
        2 => Just(Play::Moved),
        1 => Just(Play::MoveFailed),
        3 => fan.clone().prop_map(Play::Present),
        3 => fan.clone().prop_map(Play::Absent),
        6 => Just(Play::Stored),
        1 => Just(Play::StoreFailed),
        6 => (0u32..5, 0u64..8, prop::bool::weighted(0.8), prop::bool::weighted(0.2), mode(), 0u32..4, any::<u64>())
            .prop_map(|(slots_free, stock_free, selling, paused, mode, engage_above, dice)| {
                Play::Tick { slots_free, stock_free, selling, paused, mode, engage_above, dice }
            }),
        5 => (0u8..=100).prop_map(Play::Admitted),
        1 => Just(Play::AdmitFailed),
        3 => fan.clone().prop_map(Play::End),
        1 => (0u32..4).prop_map(Play::AdmitNow),
        1 => (0u32..3).prop_map(Play::RemoveFirst),
        4 => (1u64..40_000).prop_map(Play::Wait),
        1 => Just(Play::Restart),
    ]
}

/// Added to the number of an account that asks for a tie.
pub(super) const ASKED: u32 = 100;

/// Added to the number of a fan whom an admin moves.
pub(super) const MOVING: u32 = 1_000;

/// These fans are devices.
pub(super) const DEVICES: Range<u32> = 8..12;

pub(super) fn fan(number: u32) -> FanId {
    if DEVICES.contains(&number) { device(number) } else { super::fan(number) }
}

/// Everybody's own, whatever they would like.
pub(super) fn class(number: u32) -> Class {
    if DEVICES.contains(&number) { Class::DEFAULT } else { Class((number % 3) as u8) }
}

pub(super) const SHARES: Shares = Shares { precedence: Precedence::Weighted, weights: [3, 2, 1, 0, 0, 0, 0, 0, 0, 0] };
pub(super) const SHARED: Room = Room { shares: SHARES, ..ROOM };
