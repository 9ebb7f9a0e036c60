//! Reads a client's frames and does what they say, until it must not go on.
//!
//! The frame reader loses bytes when a read is given up half way, so nothing may race it but the deadline after which nothing
//! is read any more.

use std::{
    future::ready,
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocketError, after_handshake_split};
use serde::Deserialize;
use tokio::{io::AsyncReadExt, time::timeout};

use super::{code, line::Line, masked::Masked, speaker};
use crate::domain::stock::Mark;

/// Bytes of one message.
const MOST_BYTES: usize = 16 * 1024;
/// Messages in one second.
const MOST_PER_SECOND: u32 = 20;
/// A client that is silent so long, not even answering pings, is gone.
const SILENCE: Duration = Duration::from_secs(40);
/// How long, and how many bytes, a client that was told to go may still send: closing while its bytes are unread would
/// reset the connection, and it would never read why.
const GOODBYE: Duration = Duration::from_secs(2);
const GOODBYE_BYTES: usize = 1024 * 1024;

/// What a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Said {
    Ping {},
    Claim {},
    Extend {},
    Leave {},
    /// Tell me the stock, from what I have seen on.
    Stock(Seen),
}

/// Both, or neither: then all is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Numbers")]
pub struct Seen(Option<Mark>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Numbers {
    epoch: Option<u64>,
    last_seq: Option<u64>,
}

impl TryFrom<Numbers> for Seen {
    type Error = &'static str;

    fn try_from(numbers: Numbers) -> Result<Self, Self::Error> {
        match (numbers.epoch, numbers.last_seq) {
            (Some(epoch), Some(seq)) => Ok(Self(Some(Mark { epoch, seq }))),
            (None, None) => Ok(Self(None)),
            _ => Err("epoch and lastSeq go together"),
        }
    }
}

impl Seen {
    pub fn mark(self) -> Option<Mark> {
        self.0
    }
}

/// What a message is about whose rest cannot be read.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum About {
    Stock {},
}

fn wrong(payload: &[u8]) -> &'static str {
    match serde_json::from_slice(payload) {
        Ok(About::Stock {}) => "invalid_last_seq",
        Err(_) => "invalid_message",
    }
}

/// Why no more frames are read.
pub enum Stop {
    /// The client has closed, and is owed the echo that waits on the line.
    Closed,
    Gone,
    Refused(u16),
}

/// Reads until the client is gone or has to be. `hear` says whether that can be said on this socket.
pub async fn read(line: &Line, hear: &mut impl FnMut(Said) -> bool) -> Stop {
    let closed = AtomicBool::new(false);
    let mut close = |frame: Frame<'static>| {
        closed.store(true, Ordering::Relaxed);
        line.close_with(frame);
        ready(Ok(()))
    };
    let mut pace = Pace::new();
    loop {
        let frame = match timeout(SILENCE, frame(line, &mut close)).await {
            _ if closed.load(Ordering::Relaxed) => return Stop::Closed,
            Err(_) => return Stop::Refused(code::SILENT),
            Ok(Err(error)) => return code_for(&error).map_or(Stop::Gone, Stop::Refused),
            Ok(Ok(frame)) => frame,
        };
        if frame.opcode != OpCode::Pong && !pace.allows(Instant::now()) {
            return Stop::Refused(code::TOO_MANY_MESSAGES);
        }
        match frame.opcode {
            OpCode::Text if frame.fin => match serde_json::from_slice(&frame.payload) {
                Ok(Said::Ping {}) => speaker::pong(line),
                Ok(said) if hear(said) => {}
                Ok(_) => speaker::error(line, "invalid_message"),
                Err(_) => speaker::error(line, wrong(&frame.payload)),
            },
            // A client that floods us with pings faster than it reads our pongs is not served.
            OpCode::Ping if line.send(Frame::pong(Payload::Borrowed(&frame.payload))).is_err() => {
                return Stop::Refused(code::PROTOCOL);
            }
            OpCode::Ping | OpCode::Pong => {}
            // Neither binary messages nor fragments are spoken here; gathering fragments has no bound in the reader.
            _ => return Stop::Refused(code::UNSUPPORTED),
        }
    }
}

/// One frame, by a reader of its own: what it is read into goes with it, and a silent client costs nothing.
async fn frame<R>(line: &Line, close: &mut impl FnMut(Frame<'static>) -> R) -> Result<Frame<'static>, WebSocketError>
where
    R: Future<Output = Result<(), WebSocketError>>,
{
    line.hear().await?;
    let (mut reader, _) = after_handshake_split(Masked::new(line), tokio::io::sink(), Role::Server);
    reader.set_auto_pong(false);
    reader.set_max_message_size(MOST_BYTES + 1);
    let Frame { fin, opcode, payload, .. } = reader.read_frame(close).await?;
    Ok(Frame::new(fin, opcode, None, Payload::Owned(payload.to_vec())))
}

fn code_for(error: &WebSocketError) -> Option<u16> {
    match error {
        WebSocketError::FrameTooLarge => Some(code::TOO_LARGE),
        WebSocketError::InvalidUTF8 => Some(code::NOT_UTF8),
        WebSocketError::IoError(error) if error.kind() != io::ErrorKind::InvalidData => None,
        WebSocketError::UnexpectedEOF | WebSocketError::ConnectionClosed => None,
        _ => Some(code::PROTOCOL),
    }
}

/// Takes what a client still sends that was told to go, for a moment.
pub async fn drain(mut line: &Line) {
    let mut bytes = [0; 1024];
    let mut left = GOODBYE_BYTES;
    let _ = timeout(GOODBYE, async {
        while let Ok(read @ 1..) = line.read(&mut bytes).await {
            left = left.saturating_sub(read);
            if left == 0 {
                return;
            }
        }
    })
    .await;
}

/// Counts messages by the second.
struct Pace {
    since: Instant,
    count: u32,
}

impl Pace {
    fn new() -> Self {
        Self { since: Instant::now(), count: 0 }
    }

    fn allows(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self { since: now, count: 0 };
        }
        self.count += 1;
        self.count <= MOST_PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_says_five_things_and_nothing_else() {
        let said = |text: &str| serde_json::from_str::<Said>(text).ok();
        assert_eq!(said(r#"{"type": "ping"}"#), Some(Said::Ping {}));
        assert_eq!(said(r#"{"type": "claim"}"#), Some(Said::Claim {}));
        assert_eq!(said(r#"{"type": "extend"}"#), Some(Said::Extend {}));
        assert_eq!(said(r#"{"type": "leave"}"#), Some(Said::Leave {}));
        let seen = |seen| Some(Said::Stock(Seen(seen)));
        assert_eq!(said(r#"{"type": "stock"}"#), seen(None));
        let mark = Some(Mark { epoch: 7, seq: 12 });
        assert_eq!(said(r#"{"type": "stock", "epoch": 7, "lastSeq": 12}"#), seen(mark));
        for half in
            [r#""lastSeq": 12"#, r#""epoch": 7"#, r#""epoch": 7, "lastSeq": -1"#, r#""epoch": 7, "lastSeq": "a""#]
        {
            let text = format!(r#"{{"type": "stock", {half}}}"#);
            assert_eq!((said(&text), wrong(text.as_bytes())), (None, "invalid_last_seq"), "{half}");
        }
        assert_eq!(wrong(br#"{"type": "claim", "fan": "1"}"#), "invalid_message");
        for wrong in ["", "null", "[]", "{}", r#"{"type": "admit"}"#, r#"{"type": "claim", "fan": "1"}"#] {
            assert_eq!(said(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn twenty_messages_a_second_are_allowed_and_the_next_second_begins_anew() {
        let mut pace = Pace::new();
        let start = Instant::now();
        assert!((0..20).all(|_| pace.allows(start)));
        assert!(!pace.allows(start));
        assert!(pace.allows(start + Duration::from_secs(2)));
    }
}
