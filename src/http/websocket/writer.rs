//! Writes a socket: what its connection says, what is owed to the client, pings, and why it ends.
//!
//! The only one who writes to the stream, so frames never mix.

use std::time::Duration;

use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocketWrite, after_handshake_split};
use serde::Serialize;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    code,
    first_version::{FirstVersion, Step},
    opener::Opener,
    reader::{self, Heard},
};
use crate::{
    actors::connection::{self, Outgoing},
    domain::id::EventId,
    http::{
        now,
        queue::{
            state::{QueueState, Teller, Told},
            stream::in_words,
        },
        shapes::Timestamp,
        tokens::{Tokens, unix_now},
    },
};

const PING_EVERY: Duration = Duration::from_secs(20);
/// A client that does not take a frame within this is cut.
const WRITE: Duration = Duration::from_secs(5);
/// For the client's answer to our close.
const GOODBYE: Duration = Duration::from_secs(2);

/// What the server says.
#[derive(Serialize)]
#[serde(tag = "type")]
enum Said<'a> {
    #[serde(rename = "queue.update")]
    Update(&'a QueueState),
    #[serde(rename = "queue.turn", rename_all = "camelCase")]
    Turn { claim_by: Option<Timestamp> },
    #[serde(rename = "queue.notice", rename_all = "camelCase")]
    Notice {
        code: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        opens_at: Option<Timestamp>,
    },
    #[serde(rename = "goaway", rename_all = "camelCase")]
    Goaway { resume_ticket: String, expires_in: u64 },
    #[serde(rename = "pong", rename_all = "camelCase")]
    Pong { server_now: Timestamp },
    #[serde(rename = "error")]
    Error { code: &'static str },
}

pub struct Writer {
    pub connection: connection::Handle,
    pub teller: Teller,
    pub tokens: Tokens,
    pub event: EventId,
    pub opener: Opener,
    /// Spoken to as the first version of this service did.
    pub first_version: Option<FirstVersion>,
    pub outgoing: mpsc::Receiver<Outgoing>,
    pub heard: mpsc::Receiver<Heard>,
    pub reader: JoinHandle<()>,
}

/// How a socket ends.
enum End {
    /// We close: the client is told why.
    Close(u16, &'static str),
    /// The client has closed, and has our echo.
    Closed,
    /// There is nobody to tell.
    Gone,
}

impl Writer {
    pub async fn run<S: AsyncWrite + Unpin>(
        mut self,
        mut stream: S,
        goodbye: impl Future<Output = ()>,
        displaced: &CancellationToken,
    ) {
        let (_, mut frames) = after_handshake_split(tokio::io::empty(), &mut stream, Role::Server);
        frames.set_writev(false);
        let end = self.talk(&mut frames, goodbye, displaced).await;
        let told = match end {
            End::Close(code, reason) => write(&mut frames, Frame::close(code, reason.as_bytes())).await.is_some(),
            End::Closed => true,
            End::Gone => false,
        };
        drop(frames);
        // The room learns at once that the fan is gone, and the reader that nobody listens.
        drop((self.connection, self.heard));
        if told {
            // A half close after the last frame: the client reads why, then the end, and closes too.
            let _ = timeout(GOODBYE, stream.shutdown()).await;
            let _ = timeout(GOODBYE, &mut self.reader).await;
        }
        self.reader.abort();
    }

    async fn talk<S: AsyncWrite + Unpin>(
        &mut self,
        frames: &mut WebSocketWrite<S>,
        goodbye: impl Future<Output = ()>,
        displaced: &CancellationToken,
    ) -> End {
        let expiry = tokio::time::sleep(Duration::from_secs(self.opener.until_s().saturating_sub(unix_now())));
        tokio::pin!(expiry);
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        tokio::pin!(goodbye);
        let mut going = false;
        loop {
            let frame = tokio::select! {
                biased;
                () = displaced.cancelled() => return End::Close(code::TOO_MANY_SOCKETS, "too_many_sockets"),
                () = &mut expiry => return End::Close(code::TOKEN_EXPIRED, "token_expired"),
                () = &mut goodbye, if !going => {
                    going = true;
                    self.connection.goaway();
                    continue;
                }
                heard = self.heard.recv() => match heard {
                    None => return End::Gone,
                    Some(Heard::Ended(code)) => return End::Close(code, ""),
                    Some(Heard::Owed(frame)) if frame.opcode == OpCode::Close => {
                        return if write(frames, frame).await.is_some() { End::Closed } else { End::Gone };
                    }
                    Some(Heard::Owed(frame)) => frame,
                    Some(Heard::Unclear) => text(&Said::Error { code: "invalid_message" }),
                    Some(Heard::Said(reader::Said::Ping {})) => text(&Said::Pong { server_now: now().into() }),
                    Some(Heard::Said(reader::Said::Claim {})) => {
                        self.connection.claim();
                        continue;
                    }
                    Some(Heard::Said(reader::Said::Extend {})) => {
                        self.connection.extend();
                        continue;
                    }
                    Some(Heard::Said(reader::Said::Leave {})) => {
                        self.connection.leave();
                        continue;
                    }
                },
                outgoing = self.outgoing.recv() => match outgoing {
                    // The actor has failed: the client opens another socket.
                    None => return End::Close(code::FAILED, "failed"),
                    Some(Outgoing::Close(why)) => return End::Close(why.code(), why.reason()),
                    Some(outgoing) => match FirstVersion::step(&mut self.first_version, &outgoing, &self.connection) {
                        Step::Say => self.put(outgoing),
                        Step::Pass => continue,
                        Step::Last => {
                            let last = self.put(outgoing);
                            return if write(frames, last).await.is_some() { End::Close(1000, "accepted") } else { End::Gone };
                        }
                    },
                },
                _ = ping.tick() => {
                    FirstVersion::remind(self.first_version.as_ref(), &self.connection);
                    Frame::new(true, OpCode::Ping, None, Payload::Borrowed(b""))
                }
            };
            if write(frames, frame).await.is_none() {
                return End::Gone;
            }
        }
    }

    /// In words.
    fn put(&mut self, outgoing: Outgoing) -> Frame<'static> {
        match outgoing {
            Outgoing::Update(update) => {
                let state = self.teller.tell(Told {
                    standing: update.standing,
                    position: update.position,
                    conditions: update.conditions,
                    server_now: update.server_now,
                    seq: update.seq,
                });
                text(&Said::Update(&state))
            }
            Outgoing::Turn(admission) => text(&Said::Turn { claim_by: admission.claim_by.map(Timestamp::from) }),
            Outgoing::Notice(notice) => {
                let (code, opens_at) = in_words(notice);
                text(&Said::Notice { code, opens_at })
            }
            Outgoing::Goaway | Outgoing::Close(_) => {
                let (resume_ticket, expires_in) = self.opener.resume_ticket(&self.tokens, self.event);
                text(&Said::Goaway { resume_ticket, expires_in })
            }
        }
    }
}

fn text(said: &Said<'_>) -> Frame<'static> {
    Frame::text(Payload::Owned(serde_json::to_vec(said).expect("words are plain values")))
}

/// `None`: the client takes nothing, or is gone.
async fn write<S: AsyncWrite + Unpin>(frames: &mut WebSocketWrite<S>, frame: Frame<'static>) -> Option<()> {
    let written = timeout(WRITE, async {
        frames.write_frame(frame).await?;
        // With TLS, what is written is not yet sent.
        frames.flush().await
    });
    written.await.ok()?.ok()
}
