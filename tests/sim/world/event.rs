//! Everything that can happen, and what callers hear.

use std::rc::Rc;

use onsale::domain::{
    id::{FanId, OrderId, PaymentId},
    inventory::{
        fact::OrderFact,
        request::{Answer, HoldView, Refusal},
    },
    queue::{News, Outcome, Place, Standing},
};

use crate::{node::ToNode, oracle::model::Left, saga::Act};

#[derive(Debug, Clone)]
pub enum Told {
    Answer(Answer),
    Refused(Refusal),
    Read {
        left: Left,
        seq: u64,
    },
    /// Not attempted.
    Not,
    Unknown,
}

/// What a caller of a waiting room hears.
#[derive(Debug, Clone)]
pub enum ToldByRoom {
    Outcome(Outcome),
    Standing(Standing),
}

pub enum Event {
    ToNode(u32, ToNode),
    /// A write reaches the journal; its sender may never hear of it.
    Land {
        node: u32,
        epoch: u64,
        seq: u64,
        bytes: Rc<[u8]>,
        reply_lost: bool,
    },
    /// What an owner froze a while ago, and may no longer be allowed to store.
    Snapshot {
        epoch: u64,
        seq: u64,
        bytes: Vec<u8>,
    },
    StoreOpen {
        node: u32,
        term: u32,
    },
    StoreJoin {
        node: u32,
        term: u32,
        joins: Vec<(Place, FanId)>,
        done: bool,
        said: bool,
    },
    StoreForget {
        term: u32,
        places: Vec<Place>,
    },
    /// A node asks the bus to take facts.
    Publish {
        node: u32,
        facts: Vec<OrderFact>,
        epoch: u64,
    },
    MarkPublished {
        epoch: u64,
        number: u64,
    },
    Fan(usize),
    Answered {
        attempt: usize,
        told: Told,
    },
    AnsweredByRoom {
        attempt: usize,
        told: ToldByRoom,
    },
    News {
        fan: FanId,
        news: News,
    },
    Deliver(u64),
    SettleAnswered {
        message: u64,
        told: Told,
    },
    SettleTimeout {
        message: u64,
        attempt: u64,
    },
    TakersFound(Told),
    ReduceAnswered {
        order: OrderId,
        known: usize,
        told: Told,
    },
    /// To whoever moves a ticket,
    MoveAnswered {
        order: OrderId,
        number: u32,
        told: Told,
    },
    /// and to whoever has told what is left of its order.
    Kept {
        order: OrderId,
        number: u32,
        told: Told,
    },
    /// By the script: a payment is opened, and paid some time later.
    CheckOut {
        view: Box<HoldView>,
        number: u128,
        after: u64,
        captured: bool,
    },
    /// By the script: the provider is asked how far the payment is.
    Look(Box<HoldView>),
    /// What a provider is asked for arrives late.
    OpenSession {
        payment: PaymentId,
        order: OrderId,
        amount_minor: i64,
    },
    GiveBack {
        payment: PaymentId,
        key: u128,
        amount_minor: i64,
    },
    Pay {
        payment: PaymentId,
        captured: bool,
    },
    /// The provider has the fan's decision.
    Paid {
        payment: PaymentId,
        captured: bool,
    },
    Act(Act),
    /// One arrives.
    Mail(OrderId),
    /// The node dies.
    Crash,
    Webhook(u64),
    Relay,
    Watch,
    Nemesis,
}
