//! What a seed decides about a run before it begins: its size, and which faults it has (each with even odds).

use std::{collections::BTreeMap, sync::Arc};

use onsale::domain::{
    id::FanId,
    inventory::{
        classes::{Classes, QueueClass},
        configuration::{ListMode, Mode, WaitlistSettings},
    },
    queue::{Class, Precedence},
    time::Millis,
};

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
    /// All of them; as often as not its owner dies with it.
    StoreLost,
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
        Self::StoreLost,
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
    /// Weights of the default class and of those beside it.
    pub weights: Vec<u8>,
    pub strict: bool,
    /// Of the waiting list, if there is one.
    pub list: Option<List>,
}

#[derive(Debug, Clone, Copy)]
pub struct List {
    pub offer_ms: u64,
    pub gather_ms: u64,
    pub entries: u32,
}

impl List {
    /// By dice of its own, so that a run without a list is what it was before there were any.
    pub fn of(rng: &mut Rng) -> Option<Self> {
        rng.percent(60).then(|| Self {
            offer_ms: rng.pick(&[3_000, 10_000, 20_000]),
            gather_ms: rng.pick(&[0, 2_000, 8_000]),
            entries: rng.between(1, 10) as u32,
        })
    }
}

impl Swarm {
    pub fn waitlist(&self) -> WaitlistSettings {
        let Some(List { offer_ms, gather_ms, entries }) = self.list else { return WaitlistSettings::DEFAULT };
        WaitlistSettings {
            mode: ListMode::Open,
            max_entries: entries,
            offer_on_the_day: Millis(offer_ms),
            gather: Millis(gather_ms),
            ..WaitlistSettings::DEFAULT
        }
    }

    pub fn classes(&self) -> Arc<Classes> {
        let class = |(number, &weight): (usize, &u8)| QueueClass {
            code: format!("C{number}").parse().expect("a code"),
            name: "A class".to_owned(),
            weight,
        };
        let precedence = if self.strict { Precedence::Strict } else { Precedence::Weighted };
        let list = self.weights.iter().enumerate().skip(1).map(class).collect();
        Arc::new(Classes { precedence, default_weight: self.weights[0], list })
    }

    /// In which the fan joins.
    pub fn class(&self, fan: FanId) -> Class {
        Class((fan.as_u128() % self.weights.len() as u128) as u8)
    }

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
            weights: rng.pick(&[&[1][..], &[1, 1], &[1, 3], &[4, 1, 2]]).to_vec(),
            strict: rng.percent(25),
            list: None,
        }
    }
}
