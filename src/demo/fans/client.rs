//! The public API as a fan's program would call it: JSON over HTTP, and the queue's WebSocket.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload};
use http_body_util::Empty;
use hyper::{Request, upgrade::Upgraded};
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::{net::TcpStream, sync::Semaphore};

use crate::domain::id::EventId;

/// Of one client at a time, each on a connection of its own.
pub const REQUESTS: usize = 4_000;
/// Connections that are kept for later ones.
const IDLE: usize = 256;

pub struct Client {
    http: reqwest::Client,
    /// More wait.
    requests: Semaphore,
    /// At least one.
    doors: Vec<Door>,
    /// Which one is used: the next, when it does not answer.
    at: AtomicUsize,
}

/// One node's public API.
#[derive(Clone)]
struct Door {
    url: String,
    /// host:port
    authority: String,
}

/// An answer: status and JSON body (null when empty).
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub body: Value,
}

impl Reply {
    /// The stable code of a problem, or empty.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }

    pub fn text(&self, field: &str) -> Result<String, String> {
        self.body[field]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("no {field} in {} {}", self.status, self.body))
    }
}

/// Who asks, and with what.
#[derive(Default, Clone, Copy)]
pub struct Headers<'a> {
    pub access: Option<&'a str>,
    pub admission: Option<&'a str>,
    pub key: Option<&'a str>,
}

const DEADLINE: Duration = Duration::from_secs(30);
/// Overload and restarts are answered with 429 and 503; a fan tries again this often, for more than three minutes in all: a
/// checkout whose node died may be taken up again after one, and that node may die, too.
const TRIES: u32 = 200;

impl Client {
    /// Of several URLs, comma-separated, the first is used until it does not answer.
    pub fn new(urls: &str) -> Result<Self, String> {
        let doors = urls.split(',').map(Door::parse).collect::<Result<_, _>>()?;
        let http = reqwest::Client::builder().timeout(DEADLINE).pool_max_idle_per_host(IDLE).no_proxy().build();
        let http = http.map_err(|error| error.to_string())?;
        Ok(Self { http, requests: Semaphore::new(REQUESTS), doors, at: AtomicUsize::new(0) })
    }

    /// As many as there are URLs, each with another one first.
    pub fn each_first(urls: &str) -> Result<Vec<Arc<Self>>, String> {
        let count = urls.split(',').count();
        let client = |at| Self::new(urls).map(|client| Arc::new(Self { at: AtomicUsize::new(at), ..client }));
        (0..count).map(client).collect()
    }

    /// With its number.
    fn door(&self) -> (usize, &Door) {
        let at = self.at.load(Ordering::Relaxed);
        (at, &self.doors[at % self.doors.len()])
    }

    /// Whoever noticed it with others moves on but once.
    fn next_door(&self, from: usize) {
        let _ = self.at.compare_exchange(from, from + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// One request; answers that ask to try again are obeyed, always with the same key.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        body: Option<&Value>,
    ) -> Result<Reply, String> {
        let mut last = String::new();
        for attempt in 0..TRIES {
            match self.send_once(method.clone(), path, headers, body).await {
                Ok(reply) if !wants_retry(&reply) => return Ok(reply),
                Ok(reply) => last = format!("{} {}", reply.status, reply.body),
                Err(error) => last = error,
            }
            tokio::time::sleep(Duration::from_millis(50 * u64::from(attempt.min(20) + 1))).await;
        }
        Err(format!("{method} {path}: gave up: {last}"))
    }

    pub async fn send_once(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        body: Option<&Value>,
    ) -> Result<Reply, String> {
        let _one = self.requests.acquire().await.map_err(|error| error.to_string())?;
        let (at, door) = self.door();
        let url = format!("{}/api/v1{path}", door.url);
        let mut request = self.http.request(method.clone(), url);
        if let Some(access) = headers.access {
            request = request.bearer_auth(access);
        }
        if let Some(admission) = headers.admission {
            request = request.header("Onsale-Admission", admission);
        }
        if let Some(key) = headers.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| {
            self.next_door(at);
            format!("{method} {path}: {error}")
        })?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| format!("{method} {path}: {error}"))?;
        Ok(Reply { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
    }

    /// A form post to a hosted page.
    pub async fn post_form(&self, url: &str, form: &'static str) -> Result<StatusCode, String> {
        let _one = self.requests.acquire().await.map_err(|error| error.to_string())?;
        let request = self.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
        request.send().await.map(|response| response.status()).map_err(|error| format!("POST {url}: {error}"))
    }

    pub async fn open_queue(&self, event: EventId, pass: &Pass) -> Result<Socket, String> {
        self.reopen_queue(event, pass, None).await
    }

    /// With the queue ticket that the fan was told last.
    pub async fn reopen_queue(&self, event: EventId, pass: &Pass, ticket: Option<&str>) -> Result<Socket, String> {
        let (at, door) = self.door();
        let opened = door.open_queue(event, pass, ticket).await.inspect_err(|_| self.next_door(at))?;
        Ok(Socket { socket: opened, at })
    }

    /// The node of this socket wants it to move.
    pub fn turn_from(&self, socket: &Socket) {
        self.next_door(socket.at);
    }
}

impl Door {
    fn parse(url: &str) -> Result<Self, String> {
        let url = url.trim_end_matches('/').to_owned();
        let authority = url.strip_prefix("http://").ok_or("the demonstration speaks http:// only")?.to_owned();
        Ok(Self { url, authority })
    }

    async fn open_queue(&self, event: EventId, pass: &Pass, ticket: Option<&str>) -> Result<Frames, String> {
        let stream = TcpStream::connect(&self.authority).await.map_err(|error| format!("connect: {error}"))?;
        let mut request = Request::get(format!("{}/api/v1/events/{event}/queue/socket", self.url));
        if let Some(ticket) = ticket {
            request = request.header("Onsale-Queue-Ticket", ticket);
        }
        let request = request
            .header("Host", &self.authority)
            .header("Connection", "upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", fastwebsockets::handshake::generate_key())
            .header(pass.header().0, pass.header().1)
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let executor = TokioExecutor::new();
        let shake = fastwebsockets::handshake::client(&executor, request, stream);
        let (socket, _) = tokio::time::timeout(DEADLINE, shake)
            .await
            .map_err(|_| "handshake: no answer".to_owned())?
            .map_err(|error| format!("handshake: {error}"))?;
        Ok(FragmentCollector::new(socket))
    }
}

/// By what a socket is opened.
#[derive(Debug, Clone)]
pub enum Pass {
    Access(String),
    /// From a node that said goodbye.
    Resume(String),
}

impl Pass {
    fn header(&self) -> (&'static str, String) {
        match self {
            Self::Access(token) => ("Authorization", format!("Bearer {token}")),
            Self::Resume(ticket) => ("Sec-WebSocket-Protocol", format!("onsale.v1, resume.{ticket}")),
        }
    }
}

fn wants_retry(reply: &Reply) -> bool {
    matches!(reply.status.as_u16(), 429 | 502..=504) || reply.code() == "request_running"
}

type Frames = FragmentCollector<TokioIo<Upgraded>>;

/// The queue's socket of one fan.
pub struct Socket {
    socket: Frames,
    /// The door's number.
    at: usize,
}

impl Socket {
    /// The next JSON message; `None` when the server has closed.
    pub async fn next(&mut self) -> Result<Option<Value>, String> {
        loop {
            let frame = self.socket.read_frame().await.map_err(|error| format!("socket: {error}"))?;
            match frame.opcode {
                OpCode::Text => {
                    return serde_json::from_slice(&frame.payload)
                        .map(Some)
                        .map_err(|error| format!("socket: {error}"));
                }
                OpCode::Close => return Ok(None),
                _ => {}
            }
        }
    }

    pub async fn say(&mut self, message: &Value) -> Result<(), String> {
        let text = message.to_string();
        self.socket
            .write_frame(Frame::text(Payload::Owned(text.into_bytes())))
            .await
            .map_err(|error| format!("socket: {error}"))
    }

    pub async fn close(mut self) {
        // The other end may be gone already; then there is nothing to close.
        let _ = self.socket.write_frame(Frame::close(1000, b"")).await;
    }
}
