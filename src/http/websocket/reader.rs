//! Reads a client's frames and says what they mean, until it must not go on.
//!
//! A task of its own: the frame reader loses bytes when a read is given up half way, so nothing may race it but the deadline
//! after which nothing is read any more.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use fastwebsockets::{Frame, OpCode, Role, WebSocketError, after_handshake_split};
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
    time::timeout,
};

use super::{code, masked::Masked};

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
pub enum Heard {
    /// To be sent back as it is: a pong, or the echo of a close.
    Owed(Frame<'static>),
    Said(Said),
    /// A text that means nothing here.
    Unclear,
    /// Close with this code.
    Ended(u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Said {
    Ping {},
    Claim {},
    Extend {},
    Leave {},
}

/// Why no more frames are read.
enum Stop {
    /// The client has closed, or is gone.
    Done,
    Refused(u16),
}

/// Reads until the client is gone or has to be; then drains what it still sends for a moment.
pub async fn read<S: AsyncRead + Unpin>(mut stream: S, heard: mpsc::Sender<Heard>) {
    if let Stop::Refused(code) = frames(&mut stream, &heard).await {
        // Nobody listens any more when we were first to close.
        let _ = heard.send(Heard::Ended(code)).await;
        drain(&mut stream).await;
    }
}

async fn frames<S: AsyncRead + Unpin>(stream: &mut S, heard: &mpsc::Sender<Heard>) -> Stop {
    let (mut reader, _) = after_handshake_split(Masked::new(stream), tokio::io::sink(), Role::Server);
    reader.set_max_message_size(MOST_BYTES + 1);
    let closed = AtomicBool::new(false);
    // A client that floods us with pings faster than it reads our pongs is not served.
    let mut owe = |frame: Frame<'static>| {
        closed.store(frame.opcode == OpCode::Close, Ordering::Relaxed);
        let sent = heard.try_send(Heard::Owed(frame));
        async move { sent.map_err(|_| WebSocketError::ConnectionClosed) }
    };
    let mut pace = Pace::new();
    loop {
        let frame = match timeout(SILENCE, reader.read_frame(&mut owe)).await {
            _ if closed.load(Ordering::Relaxed) => return Stop::Done,
            Err(_) => return Stop::Refused(code::SILENT),
            Ok(Err(error)) => return code_for(&error).map_or(Stop::Done, Stop::Refused),
            Ok(Ok(frame)) => frame,
        };
        if frame.opcode != OpCode::Pong && !pace.allows(Instant::now()) {
            return Stop::Refused(code::TOO_MANY_MESSAGES);
        }
        match frame.opcode {
            OpCode::Text if frame.fin => {
                let said = serde_json::from_slice(&frame.payload).map_or(Heard::Unclear, Heard::Said);
                if heard.send(said).await.is_err() {
                    return Stop::Done;
                }
            }
            OpCode::Ping | OpCode::Pong => {}
            // Neither binary messages nor fragments are spoken here; gathering fragments has no bound in the reader.
            _ => return Stop::Refused(code::UNSUPPORTED),
        }
    }
}

fn code_for(error: &WebSocketError) -> Option<u16> {
    match error {
        WebSocketError::FrameTooLarge => Some(code::TOO_LARGE),
        WebSocketError::InvalidUTF8 => Some(code::NOT_UTF8),
        WebSocketError::IoError(error) if error.kind() != io::ErrorKind::InvalidData => None,
        WebSocketError::UnexpectedEOF | WebSocketError::ConnectionClosed => None,
        // A flood of pings ends here too.
        _ => Some(code::PROTOCOL),
    }
}

async fn drain<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut bytes = [0; 1024];
    let mut left = GOODBYE_BYTES;
    let _ = timeout(GOODBYE, async {
        while let Ok(read @ 1..) = stream.read(&mut bytes).await {
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
    fn a_client_says_four_things_and_nothing_else() {
        let said = |text: &str| serde_json::from_str::<Said>(text).ok();
        assert_eq!(said(r#"{"type": "ping"}"#), Some(Said::Ping {}));
        assert_eq!(said(r#"{"type": "claim"}"#), Some(Said::Claim {}));
        assert_eq!(said(r#"{"type": "extend"}"#), Some(Said::Extend {}));
        assert_eq!(said(r#"{"type": "leave"}"#), Some(Said::Leave {}));
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
