//! A proxy for HTTP/2 that holds, swallows and cuts, for one server.
//!
//! It knows frames, so that it can tell when a request is complete and when it has been answered, and can hold back a
//! request without the cancellation that follows: like a packet that arrives late, from a client that has gone on.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp},
    sync::{mpsc, watch},
};
use tokio_util::task::AbortOnDropHandle;

use crate::harness::in_time;

/// What becomes of the frames of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    Pass,
    /// Lets so many complete messages of each connection pass, and keeps what follows until it is `Pass` again.
    HoldAfter(u64),
    /// As if sent, and lost. Cut the connections before passing again.
    Swallow,
}

pub struct Direction {
    flow: watch::Sender<Flow>,
    /// Complete messages that have arrived at the proxy.
    complete: watch::Sender<u64>,
    /// Frames that have arrived with a segment of a journal in them.
    commits: watch::Sender<u64>,
}

pub struct Proxy {
    address: SocketAddr,
    pub requests: Arc<Direction>,
    pub replies: Arc<Direction>,
    cuts: watch::Sender<u64>,
    _accept: AbortOnDropHandle<()>,
}

impl Direction {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            flow: watch::Sender::new(Flow::Pass),
            complete: watch::Sender::new(0),
            commits: watch::Sender::new(0),
        })
    }

    pub fn set(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }

    pub fn complete(&self) -> u64 {
        *self.complete.borrow()
    }

    /// Waits until so many have arrived since the proxy started.
    pub async fn wait_for(&self, complete: u64) {
        let mut seen = self.complete.subscribe();
        in_time(seen.wait_for(|seen| *seen >= complete)).await.expect("the proxy runs");
    }
}

/// In each commit of a segment, and in little else.
const COMMIT: &[u8] = b"onsale/journal/";

/// Commits.
impl Direction {
    /// How many there were.
    pub fn commits(&self) -> u64 {
        *self.commits.borrow()
    }

    /// Waits until one more arrives. Whatever was set before holds for it.
    pub async fn next_commit(&self) {
        let mut seen = self.commits.subscribe();
        let before = *seen.borrow_and_update();
        in_time(seen.wait_for(|seen| *seen > before)).await.expect("the proxy runs");
    }
}

impl Proxy {
    /// `target` is a URL such as `http://127.0.0.1:2379`.
    pub async fn start(target: &str) -> Self {
        let target = target.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (requests, replies) = (Direction::new(), Direction::new());
        let cuts = watch::Sender::new(0);
        let accept = tokio::spawn({
            let (requests, replies, cuts) = (Arc::clone(&requests), Arc::clone(&replies), cuts.clone());
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let (requests, replies) = (Arc::clone(&requests), Arc::clone(&replies));
                    let mut cut = cuts.subscribe();
                    let target = target.clone();
                    tokio::spawn(async move {
                        let Ok(server) = TcpStream::connect(target).await else { return };
                        client.set_nodelay(true).expect("a socket");
                        server.set_nodelay(true).expect("a socket");
                        let (from_client, to_client) = client.into_split();
                        let (from_server, to_server) = server.into_split();
                        tokio::select! {
                            () = pump(from_client, to_server, &requests, PREFACE) => {}
                            () = pump(from_server, to_client, &replies, 0) => {}
                            _ = cut.changed() => {}
                        }
                    });
                }
            }
        });
        Self { address, requests, replies, cuts, _accept: AbortOnDropHandle::new(accept) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends all connections; new ones are taken.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

// https://www.rfc-editor.org/rfc/rfc9113: what a client sends before its first frame, and frames.
const PREFACE: usize = 24;
const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

struct Frame {
    bytes: Vec<u8>,
    ends_message: bool,
    cancels: bool,
}

async fn pump(from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, direction: &Direction, preface: usize) {
    let (sender, mut frames) = mpsc::unbounded_channel();
    let reader = AbortOnDropHandle::new(tokio::spawn(read(from, preface, sender)));
    let mut flow = direction.flow.subscribe();
    let mut passed = 0;
    let mut held: Vec<Frame> = Vec::new();
    loop {
        let now = *flow.borrow_and_update();
        if now == Flow::Pass {
            for frame in held.drain(..) {
                if to.write_all(&frame.bytes).await.is_err() {
                    return;
                }
            }
            passed = 0;
        }
        let frame: Frame = tokio::select! {
            // What is set holds for every frame that comes after.
            biased;
            changed = flow.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            frame = frames.recv() => match frame {
                Some(frame) => frame,
                None => break,
            },
        };
        if frame.ends_message {
            direction.complete.send_modify(|complete| *complete += 1);
        }
        if frame.bytes.windows(COMMIT.len()).any(|some| some == COMMIT) {
            direction.commits.send_modify(|commits| *commits += 1);
        }
        let before = passed;
        passed += u64::from(frame.ends_message);
        match now {
            // A server must not learn that nobody waits for what was held.
            _ if frame.cancels => {}
            Flow::Swallow => {}
            Flow::HoldAfter(count) if before >= count => held.push(frame),
            Flow::Pass | Flow::HoldAfter(_) => {
                if to.write_all(&frame.bytes).await.is_err() {
                    return;
                }
            }
        }
    }
    drop(reader);
    // The sender has gone; what it sent before may still be on its way.
    if !held.is_empty() && flow.wait_for(|flow| *flow == Flow::Pass).await.is_ok() {
        for frame in held {
            if to.write_all(&frame.bytes).await.is_err() {
                return;
            }
        }
    }
}

async fn read(mut from: tcp::OwnedReadHalf, preface: usize, frames: mpsc::UnboundedSender<Frame>) -> io::Result<()> {
    let mut bytes = vec![0; preface];
    from.read_exact(&mut bytes).await?;
    let _ = frames.send(Frame { bytes, ends_message: false, cancels: false });
    loop {
        let mut bytes = vec![0; HEADER];
        from.read_exact(&mut bytes).await?;
        let (kind, flags) = (bytes[3], bytes[4]);
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        bytes.resize(HEADER + usize::try_from(length).expect("24 bits"), 0);
        from.read_exact(&mut bytes[HEADER..]).await?;
        let ends_message = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
        if frames.send(Frame { bytes, ends_message, cancels: kind == RST_STREAM }).is_err() {
            return Ok(());
        }
    }
}
