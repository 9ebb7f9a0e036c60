//! What the server says on a socket, in words.
//!
//! The outlet of its connection: signs what is told, and gives the frames to the [`Line`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastwebsockets::{Frame, Payload};
use serde::Serialize;

use super::{
    code,
    line::{Broken, Line},
    opener::Opener,
};
use crate::{
    actors::connection::{Outgoing, Outlet, Put, Seen, Update},
    domain::{
        claims::SeenClaim,
        id::{EventId, OrderRef},
    },
    http::{
        now,
        queue::state::{QueueState, Teller},
        shapes::Timestamp,
        tokens::Tokens,
    },
};

#[derive(Serialize)]
#[serde(tag = "type")]
enum Said<'a> {
    #[serde(rename = "queue.update")]
    Update(&'a QueueState),
    /// Nothing has changed since the last state that was told on the socket before.
    #[serde(rename = "resumed", rename_all = "camelCase")]
    Resumed { seq: u64, server_now: Timestamp },
    #[serde(rename = "queue.turn", rename_all = "camelCase")]
    Turn { claim_by: Option<Timestamp> },
    #[serde(rename = "queue.notice", rename_all = "camelCase")]
    Notice {
        code: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        opens_at: Option<Timestamp>,
    },
    #[serde(rename = "waitlist.offer", rename_all = "camelCase")]
    Offer { reference: OrderRef, expires_at: Timestamp },
    #[serde(rename = "goaway", rename_all = "camelCase")]
    Goaway { resume_ticket: String, expires_in: u64 },
    #[serde(rename = "pong", rename_all = "camelCase")]
    Pong { server_now: Timestamp },
    #[serde(rename = "error")]
    Error { code: &'static str },
}

pub struct Speaker {
    line: Arc<Line>,
    telling: Mutex<Telling>,
    tokens: Tokens,
    event: EventId,
    opener: Arc<Opener>,
}

struct Telling {
    teller: Teller,
    /// What the client knows already, until it is told something.
    seen: Option<SeenClaim>,
}

impl Speaker {
    pub fn new(line: Arc<Line>, tokens: Tokens, event: EventId, opener: Arc<Opener>) -> Self {
        let seen = opener.seen();
        let teller = Teller::new(tokens.clone(), event, opener.fan).bound_to(opener.key());
        let teller = teller.with_more_time(opener.more_time).telling_tickets_once();
        let teller = teller.having_told_ticket_of(seen.and_then(|seen| seen.plc));
        let telling = Mutex::new(Telling { teller, seen });
        Self { line, telling, tokens, event, opener }
    }

    fn update(&self, mut update: Update) -> Put {
        if !self.line.is_clear() {
            return Put::NotNow;
        }
        update.seq += self.opener.seq();
        let mut telling = self.telling();
        if let Some(seen) = telling.seen.take() {
            if update.digest() == seen.dig {
                return self.say(&Said::Resumed { seq: update.seq, server_now: update.server_now.into() });
            }
            if update.conditions.notice == seen.ntc {
                update.notice = None;
            }
        }
        let state = telling.teller.tell(update);
        self.say(&Said::Update(&state))
    }

    fn goaway(&self, seen: Option<Seen>) -> Put {
        let plc = self.telling().teller.told_ticket_of();
        let seen = seen.map(|Seen { seq, notice, digest }| SeenClaim {
            seq: seq + self.opener.seq(),
            dig: digest,
            ntc: notice,
            plc,
        });
        let (resume_ticket, expires_in) = self.opener.resume_ticket(&self.tokens, self.event, seen);
        self.say(&Said::Goaway { resume_ticket, expires_in })
    }

    fn telling(&self) -> MutexGuard<'_, Telling> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, said: &Said<'_>) -> Put {
        match say(&self.line, said) {
            Ok(()) => Put::Taken,
            Err(Broken) => Put::Never,
        }
    }
}

impl Outlet for Speaker {
    fn put(&self, outgoing: Outgoing) -> Put {
        match outgoing {
            Outgoing::Update(update) => self.update(update),
            Outgoing::Turn(admission) => self.say(&Said::Turn { claim_by: admission.claim_by.map(Timestamp::from) }),
            Outgoing::Notice(notice) => {
                self.say(&Said::Notice { code: notice.name(), opens_at: notice.opens_at().map(Timestamp::from) })
            }
            Outgoing::Offer { reference, until } => self.say(&Said::Offer { reference, expires_at: until.into() }),
            Outgoing::Goaway(seen) => self.goaway(seen),
            Outgoing::Close(why) => {
                self.line.close(why.code(), why.reason());
                Put::Taken
            }
        }
    }
}

/// Without a word before: the connection has failed, and the client opens another socket.
impl Drop for Speaker {
    fn drop(&mut self) {
        self.line.close(code::FAILED, "failed");
    }
}

/// Asked by the client. A line that is broken ends by itself.
pub fn pong(line: &Line) {
    let _ = say(line, &Said::Pong { server_now: now().into() });
}

pub fn error(line: &Line, code: &'static str) {
    let _ = say(line, &Said::Error { code });
}

fn say(line: &Line, said: &Said<'_>) -> Result<(), Broken> {
    let text = serde_json::to_vec(said).expect("words are plain values");
    line.send(Frame::text(Payload::Owned(text)))
}
