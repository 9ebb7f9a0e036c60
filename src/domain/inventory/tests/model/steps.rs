//! What can happen at random.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
pub enum Step {
    Admit { n: u64, place: u64, present: bool },
    Claim { n: u64 },
    EndAdmission { n: u64 },
    Quantity { n: u64, general: u32, cheap: u32, code: Option<&'static str> },
    Seats { n: u64, seats: Vec<(usize, usize)> },
    Best { n: u64, quantity: u32, together: bool },
    Extend { pick: usize },
    Await { pick: usize },
    Move { pick: usize, seat: (usize, usize) },
    Release { pick: usize },
    Confirm { pick: usize, payment: u128 },
    Void { pick: usize },
    Reduce { pick: usize, left: usize },
    Stock { quantity: u32 },
    Releases { quantity: u32, seconds: u64 },
    SeatReleases { part: Option<Vec<(usize, usize)>>, seconds: u64 },
    Hall { capacity: u32 },
    Block { seat: usize, blocked: bool },
    Phase { paused: bool },
    Wait { n: u64, types: usize, wish: Wish },
    WaitNoMore { n: u64 },
    Pass { seconds: u64 },
    Repeat { pick: usize },
    Restart,
}

pub fn step() -> impl Strategy<Value = Step> {
    let n = || 1..=FANS;
    let pick = || 0..40usize;
    let seats = || prop::collection::vec((0..2usize, 0..5usize), 1..4);
    prop_oneof![
        3 => (n(), 1..40u64, prop::bool::weighted(0.8)).prop_map(|(n, place, present)| Step::Admit { n, place, present }),
        1 => n().prop_map(|n| Step::Claim { n }),
        1 => n().prop_map(|n| Step::EndAdmission { n }),
        5 => (n(), 0..4u32, 0..4u32, prop::sample::select(CODES.to_vec()))
            .prop_map(|(n, general, cheap, code)| Step::Quantity { n, general, cheap, code }),
        5 => (n(), seats()).prop_map(|(n, seats)| Step::Seats { n, seats }),
        3 => (n(), 1..4u32, any::<bool>()).prop_map(|(n, quantity, together)| Step::Best { n, quantity, together }),
        1 => pick().prop_map(|pick| Step::Extend { pick }),
        1 => pick().prop_map(|pick| Step::Await { pick }),
        2 => (pick(), (0..2usize, 0..5usize)).prop_map(|(pick, seat)| Step::Move { pick, seat }),
        2 => pick().prop_map(|pick| Step::Release { pick }),
        4 => (pick(), 1..4u128).prop_map(|(pick, payment)| Step::Confirm { pick, payment }),
        1 => pick().prop_map(|pick| Step::Void { pick }),
        2 => (pick(), 0..4usize).prop_map(|(pick, left)| Step::Reduce { pick, left }),
        1 => (0..14u32).prop_map(|quantity| Step::Stock { quantity }),
        1 => (1..8u32, 0..2_000u64).prop_map(|(quantity, seconds)| Step::Releases { quantity, seconds }),
        2 => (prop::option::weighted(0.8, seats()), 0..600u64)
            .prop_map(|(part, seconds)| Step::SeatReleases { part, seconds }),
        1 => (0..14u32).prop_map(|capacity| Step::Hall { capacity }),
        1 => (0..10usize, any::<bool>()).prop_map(|(seat, blocked)| Step::Block { seat, blocked }),
        1 => any::<bool>().prop_map(|paused| Step::Phase { paused }),
        4 => (n(), 1..8usize, (1..4u8, any::<bool>(), any::<bool>()))
            .prop_map(|(n, types, (quantity, any_seat, fewer))| Step::Wait { n, types, wish: Wish { quantity, any_seat, fewer } }),
        1 => n().prop_map(|n| Step::WaitNoMore { n }),
        3 => prop_oneof![1..400u64, Just(90_000)].prop_map(|seconds| Step::Pass { seconds }),
        1 => pick().prop_map(|pick| Step::Repeat { pick }),
        1 => Just(Step::Restart),
    ]
}

/// Of what is wanted, one.
pub fn with_a_child(want: &Want) -> Vec<AtRate> {
    let some = |ticket_type: &Code| Which::Some { ticket_type: ticket_type.clone(), quantity: 1 };
    let which = match want {
        Want::Quantities(wanted) => wanted.last().map(|(ticket_type, _)| some(ticket_type)),
        Want::Seats(seats) => seats.last().cloned().map(Which::Seat),
        Want::BestAvailable(wish) => Some(some(&wish.ticket_type)),
    };
    which.map(|which| AtRate { rate: code("child"), which }).into_iter().collect()
}
