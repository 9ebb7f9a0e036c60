//! The clients' ends of very many connections to one server: just enough of HTTP for what comes then.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::failure::Failure;

/// Handshakes under way.
pub const AT_ONCE: usize = 512;
/// Sockets with one address: ports run short beyond.
const PER_ADDRESS: usize = 10_000;
/// An unasked-for pong, masked: a sign of life, which a server may wait for.
pub const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];
pub const ALIVE: Duration = Duration::from_secs(15);
/// The head of a request that opens a WebSocket has these fields.
pub const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The `number`th connection; `fields` of the head end with a line break each. Returns behind the head of an answer of this status.
pub async fn open(
    address: SocketAddr,
    number: usize,
    path: &str,
    fields: &str,
    status: u16,
) -> Result<TcpStream, Failure> {
    let socket = TcpSocket::new_v4()?;
    if address.ip().is_loopback() {
        let last = u8::try_from(2 + number / PER_ADDRESS).unwrap_or(u8::MAX);
        // Addresses of its own for each server: several crowds run at once.
        let [high, low] = address.port().to_be_bytes();
        socket.bind((Ipv4Addr::new(127, high, low, last), 0).into())?;
    }
    let mut stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{fields}\r\n").as_bytes()).await?;
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    if !answer.starts_with(format!("HTTP/1.1 {status}").as_bytes()) {
        return Err(String::from_utf8_lossy(&answer).into_owned().into());
    }
    Ok(stream)
}
