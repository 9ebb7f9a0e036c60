//! Why something that was asked of an inventory is not done.

use serde::{Deserialize, Serialize};

use super::request::HoldState;
use crate::domain::{
    code::{Code, SeatId},
    time::EventTime,
};

/// A rule said no: nothing has changed and nothing will.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    #[error("the event is not on sale")]
    NotOnSale,
    #[error("the admission is not live, or not yours")]
    NotAdmitted,
    #[error("the quantity must be between 1 and {max}")]
    Quantity { max: u32 },
    #[error("there is no ticket type {0}")]
    UnknownTicketType(Code),
    #[error("{ticket_type} has no rate {rate}")]
    UnknownRate { ticket_type: Code, rate: Code },
    #[error("there is no seat {0}")]
    UnknownSeat(Code),
    #[error("{0} is sold by seat")]
    SoldBySeat(Code),
    #[error("seat {0} is named twice")]
    SeatTwice(SeatId),
    #[error("{left} of {ticket_type} left")]
    SoldOut { ticket_type: Code, left: u32 },
    #[error("seat {0} is taken")]
    SeatTaken(SeatId),
    #[error("no {quantity} such seats are left")]
    NoSuchSeats { quantity: u32 },
    #[error("this would leave {0} single")]
    Orphan(SeatId),
    #[error("{allowed} more tickets are allowed to you")]
    FanLimit { allowed: u32 },
    #[error("the event has changed: its version is {version}")]
    EventChanged { version: u32 },
    #[error("there is no such order")]
    UnknownOrder,
    #[error("the hold has ended")]
    HoldEnded { state: HoldState },
    #[error("the order is not sold")]
    NotSold { state: HoldState },
    #[error("the hold has been extended already")]
    AlreadyExtended,
    #[error("admissions to this event are not extended")]
    NoExtension,
    #[error("this key was used for another request")]
    KeyReused,
    #[error("the configuration is out of date: its version is {version}")]
    StaleVersion { version: u32 },
    #[error("{code} cannot go below {taken}, which are held or sold")]
    BelowTaken { code: Code, taken: u32 },
    #[error("the configuration is not valid: {0}")]
    InvalidConfiguration(String),
    #[error("the step from {from} to {to} is not allowed")]
    Transition { from: String, to: String },
    #[error("order messages lag behind; try again soon")]
    OrdersLagging,
    #[error("the draw is not at this step: {0}")]
    Draw(String),
    #[error("the queue has no class {code}")]
    UnknownClass { code: Code },
    #[error("at most {max} fans belong to the queue's classes")]
    TooManyMembers { max: u32 },
    #[error("the sale is halted; what you have is kept")]
    Halted,
    #[error("the invite is another person's")]
    InviteUsed,
    #[error("the invite was withdrawn")]
    InviteWithdrawn,
    #[error("as many invites were used as can be")]
    TooManyInvites,
    #[error("seat {0} is of another ticket type")]
    OtherTicketType(SeatId),
    #[error("a ticket of the order has moved since")]
    OrderMoved,
    #[error("this can be had now, without waiting")]
    NotSoldOut,
    #[error("the waiting list takes nobody new")]
    WaitlistClosed,
    #[error("{max} wait already")]
    WaitlistFull { max: u32 },
    #[error("you wait with another wish, or have an offer: leave or settle that first")]
    AlreadyWaiting,
    #[error("you do not wait, and nothing was offered to you")]
    NotWaiting,
    #[error("there is no such code")]
    UnknownCode,
    #[error("there is a code {0} already")]
    CodeExists(Code),
    #[error("an event has {max} codes at most")]
    TooManyCodes { max: u32 },
    #[error("the code is not valid now")]
    CodeNotValidNow { from: Option<EventTime>, until: Option<EventTime> },
    #[error("{left} more tickets can be had by this code")]
    CodeUsedUp { left: u32 },
    #[error("{left} more tickets can be yours by this code")]
    CodeFanLimit { left: u32 },
    #[error("the code is for other ticket types")]
    CodeNotForThese,
    #[error("{ticket_type} needs a code now")]
    CodeRequired { ticket_type: Code, opens_at: Option<EventTime> },
}
