//! What a seed decides about a run before it begins: its size, and which faults it has (each with even odds).

use std::collections::BTreeMap;

use onsale::domain::inventory::configuration::Mode;

use super::rng::Rng;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    JournalLosesRequest,
    JournalLosesReply,
    JournalRequestLate,
    JournalDown,
    OwnerCrashes,
    OwnerRestarts,
    OwnerPauses,
    LeaseRevoked,
    ClockJumps,
    StoreFails,
    StoreFailsAfterWriting,
    StoreLosesWrites,
    ForgetLost,
    BusRefuses,
    BusLosesConfirm,
    BusDuplicates,
    BusReorders,
    ConsumerCrashes,
    DatabaseFails,
    DatabaseReplyLost,
    PaymentDeclined,
    PaymentLate,
    PaymentTwice,
    WebhookDuplicated,
    WebhookLate,
    RefundReplyLost,
    NetworkLoses,
    ClientRepeats,
    ClientReusesKey,
    ClientForges,
    FanVanishes,
    FanLeaves,
    Misrouted,
    /// No faults, but they come at any moment too.
    OperatorActs,
    OrganizerActs,
    ModeChanges,
    ComesByDevice,
}

impl Fault {
    pub const ALL: [Self; 37] = [
        Self::JournalLosesRequest,
        Self::JournalLosesReply,
        Self::JournalRequestLate,
        Self::JournalDown,
        Self::OwnerCrashes,
        Self::OwnerRestarts,
        Self::OwnerPauses,
        Self::LeaseRevoked,
        Self::ClockJumps,
        Self::StoreFails,
        Self::StoreFailsAfterWriting,
        Self::StoreLosesWrites,
        Self::ForgetLost,
        Self::BusRefuses,
        Self::BusLosesConfirm,
        Self::BusDuplicates,
        Self::BusReorders,
        Self::ConsumerCrashes,
        Self::DatabaseFails,
        Self::DatabaseReplyLost,
        Self::PaymentDeclined,
        Self::PaymentLate,
        Self::PaymentTwice,
        Self::WebhookDuplicated,
        Self::WebhookLate,
        Self::RefundReplyLost,
        Self::NetworkLoses,
        Self::ClientRepeats,
        Self::ClientReusesKey,
        Self::ClientForges,
        Self::FanVanishes,
        Self::FanLeaves,
        Self::Misrouted,
        Self::OperatorActs,
        Self::OrganizerActs,
        Self::ModeChanges,
        Self::ComesByDevice,
    ];
}

#[derive(Debug, Clone)]
pub struct Swarm {
    /// The faults that are on, and how often each strikes, in percent.
    pub faults: BTreeMap<Fault, u64>,
    pub fans: usize,
    /// How often a fan may queue again.
    pub rounds: u64,
    pub standing: u32,
    pub gallery: u32,
    pub seats: u32,
    /// The first so many of them.
    pub press: u32,
    /// What the ticket types have room for together, if they share it.
    pub hall: Option<u32>,
    pub hall_holds_seats: bool,
    pub slots: u32,
    pub rate_per_minute: u32,
    pub per_fan: u16,
    pub hold_ttl_ms: u64,
    pub session_ms: u64,
    pub claim_window_ms: u64,
    pub grace_ms: u64,
    /// Faults stop here.
    pub chaos_ms: u64,
    pub mode: Mode,
    /// The sale opens so long after the event is made.
    pub opens_ms: u64,
    pub beacon: bool,
}

impl Swarm {
    pub fn of(rng: &mut Rng) -> Self {
        let mut faults = BTreeMap::new();
        for fault in Fault::ALL {
            let often = rng.pick(&[2, 5, 10, 20, 40]);
            if rng.percent(50) {
                faults.insert(fault, often);
            }
        }
        let (standing, gallery) = (rng.between(2, 10) as u32, rng.between(0, 6) as u32);
        Self {
            faults,
            fans: rng.between(4, 14) as usize,
            rounds: rng.between(1, 3),
            standing,
            gallery,
            seats: rng.pick(&[0, 4, 6, 9]),
            press: rng.pick(&[0, 0, 2]),
            hall: rng.percent(50).then(|| rng.between(2, u64::from(standing + gallery)) as u32),
            hall_holds_seats: rng.percent(50),
            slots: rng.between(1, 5) as u32,
            rate_per_minute: rng.pick(&[60, 300, 6_000]),
            per_fan: rng.between(1, 4) as u16,
            hold_ttl_ms: rng.pick(&[4_000, 10_000, 25_000]),
            session_ms: rng.pick(&[8_000, 20_000, 60_000]),
            claim_window_ms: rng.pick(&[2_000, 6_000]),
            grace_ms: rng.pick(&[3_000, 15_000]),
            chaos_ms: rng.between(40_000, 120_000),
            mode: rng.pick(&[Mode::Fifo, Mode::Fifo, Mode::Draw, Mode::Draw, Mode::Random, Mode::Passthrough]),
            opens_ms: rng.pick(&[0, 2_000, 6_000, 12_000]),
            beacon: rng.percent(40),
        }
    }
}
