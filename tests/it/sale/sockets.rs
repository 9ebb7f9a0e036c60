//! The queue's socket: who may open one, and which frames are not taken.

use futures_util::SinkExt;
use onsale::domain::claims::{Kind, SocketClaim};
use reqwest::StatusCode;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        http::HeaderValue,
        protocol::{
            CloseFrame,
            frame::{
                Frame,
                coding::CloseCode,
                coding::{Data, OpCode},
            },
        },
    },
};

use super::shop::{Shop, Socket, closed_with, heard, next, say};
use crate::served::SignedIn;

struct Scene {
    shop: Shop,
    event: String,
    fan: SignedIn,
}

impl Scene {
    async fn set() -> Self {
        let shop = Shop::open().await;
        let event = shop.published().await;
        let fan = shop.fan("ann").await;
        Self { shop, event, fan }
    }

    async fn socket(&self) -> Socket {
        let mut socket = self.shop.socket(&self.event, &self.fan).await;
        assert_eq!(heard(&mut socket).await["type"], "queue.update");
        socket
    }

    /// The status of the handshake's answer, and the socket if there is one.
    async fn open(&self, headers: &[(&'static str, &str)]) -> (u16, Option<Socket>) {
        let mut request = self.shop.socket_url(&self.event).into_client_request().expect("a URL");
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        match connect_async(request).await {
            Ok((socket, response)) => (response.status().as_u16(), Some(socket)),
            Err(Error::Http(response)) => (response.status().as_u16(), None),
            // The server has taken the offer; the client misses the protocol in the answer.
            Err(other) => unreachable!("{other}"),
        }
    }

    async fn ticket(&self, origin: Option<&str>) -> String {
        let url = format!("{}/api/v1/auth/socket-ticket", self.shop.served.public);
        let request = self.shop.served.client.post(url).bearer_auth(&self.fan.access);
        let request = match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        };
        let answer = crate::served::Answer::of(request.send().await.expect("an answer")).await;
        answer.expect(StatusCode::OK)["ticket"].as_str().expect("a ticket").to_owned()
    }

    /// A socket as bytes, after the handshake, for frames that no client library makes.
    async fn raw(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.shop.served.authority()).await.expect("connects");
        let head = format!(
            "GET /api/v1/events/{}/queue/socket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nauthorization: Bearer {}\r\n\r\n",
            self.event, self.fan.access
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            seen.push(stream.read_u8().await.expect("a head"));
        }
        assert!(seen.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&seen));
        stream
    }
}

/// Reads frames to the close and gives its code.
async fn close_code(stream: &mut TcpStream) -> u16 {
    loop {
        let (opcode, length) =
            (stream.read_u8().await.expect("a frame") & 0x0f, stream.read_u8().await.expect("a length"));
        let length = match length {
            126 => usize::from(stream.read_u16().await.expect("a length")),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.expect("a payload");
        if opcode == 8 {
            return u16::from_be_bytes([payload[0], payload[1]]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_08_unmasked_frames_are_a_protocol_error() {
    let scene = Scene::set().await;
    let text = br#"{"type": "leave"}"#;
    let mut frame = vec![0x81, text.len() as u8];
    frame.extend(text);
    // Whole, byte by byte, and after a good frame.
    let good_ping = [0x89, 0x80, 1, 2, 3, 4];
    for (bytes, slowly) in [(frame.clone(), false), (frame.clone(), true), ([&good_ping[..], &frame].concat(), false)] {
        let mut stream = scene.raw().await;
        if slowly {
            for byte in &bytes {
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                stream.flush().await.expect("flushed");
            }
        } else {
            stream.write_all(&bytes).await.expect("sent");
        }
        assert_eq!(close_code(&mut stream).await, 1002);
    }
    let path = format!("/api/v1/events/{}/queue", scene.event);
    let state = scene.shop.served.get(&path, Some(&scene.fan.access)).await.expect(StatusCode::OK);
    assert_ne!(state["state"], "none", "the unmasked leave was not obeyed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_08_frames_that_are_not_taken_close_the_socket_each_with_its_code() {
    let scene = Scene::set().await;
    let fragment = Frame::message("{\"type\":", OpCode::Data(Data::Text), false);
    let continuation = Frame::message("x", OpCode::Data(Data::Continue), true);
    let text = |bytes: &'static [u8]| Message::Frame(Frame::message(bytes, OpCode::Data(Data::Text), true));
    let reserved = {
        let mut frame = Frame::message("x", OpCode::Data(Data::Text), true);
        frame.header_mut().rsv1 = true;
        frame
    };
    for (message, code) in [
        (Message::binary(vec![1, 2, 3]), 1003),
        (Message::Frame(fragment), 1003),
        (Message::Frame(continuation), 1003),
        (text(b"\xff\xfe"), 1007),
        (Message::text("x".repeat(16 * 1024 + 1)), 1009),
        (Message::text("x".repeat(1024 * 1024)), 1009),
        (Message::Frame(reserved), 1002),
    ] {
        let mut socket = scene.socket().await;
        let shown = format!("{message:?}").chars().take(80).collect::<String>();
        // The server may have closed before a large message is through.
        let _ = socket.send(message).await;
        assert_eq!(closed_with(&mut socket).await, code, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_08_more_than_twenty_messages_a_second_close_the_socket() {
    let scene = Scene::set().await;
    let mut socket = scene.socket().await;
    for _ in 0..60 {
        if socket.send(Message::text(r#"{"type": "ping"}"#)).await.is_err() {
            break;
        }
    }
    assert_eq!(closed_with(&mut socket).await, 4429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_means_nothing_is_said_to_and_the_socket_lives() {
    let scene = Scene::set().await;
    let mut socket = scene.socket().await;
    let until_type = async |socket: &mut Socket, kind: &str| loop {
        let message = heard(socket).await;
        if message["type"] == kind {
            return message;
        }
    };
    for wrong in ["", "{", "[]", r#"{"type": "admit"}"#, r#"{"type": "leave", "fan": "x"}"#, &"x".repeat(16 * 1024)] {
        say(&mut socket, wrong).await;
        assert_eq!(until_type(&mut socket, "error").await["code"], "invalid_message");
    }
    say(&mut socket, r#"{"type": "ping"}"#).await;
    until_type(&mut socket, "pong").await;
    socket.send(Message::Ping(vec![7].into())).await.expect("sent");
    loop {
        match next(&mut socket).await {
            Some(Message::Pong(bytes)) => break assert_eq!(&bytes[..], [7]),
            Some(_) => {}
            None => unreachable!("the socket lives"),
        }
    }
    let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    socket.send(Message::Close(Some(goodbye))).await.expect("sent");
    assert_eq!(closed_with(&mut socket).await, 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_08_a_socket_is_opened_by_access_token_or_by_a_ticket_of_the_same_page_once() {
    let scene = Scene::set().await;
    let here = scene.shop.served.public.clone();
    let (here, bearer) = (here.as_str(), format!("Bearer {}", scene.fan.access));
    assert_eq!(scene.open(&[]).await.0, 401);
    assert_eq!(scene.open(&[("authorization", "Bearer x")]).await.0, 401);
    assert_eq!(scene.open(&[("authorization", &bearer), ("origin", "https://evil.example")]).await.0, 403);
    assert_eq!(scene.open(&[("authorization", &bearer)]).await.0, 101);
    let offer = |ticket: &str| format!("onsale.v1, ticket.{ticket}");

    let ticket = offer(&scene.ticket(Some(here)).await);
    for origin in [Some("https://evil.example"), Some("null"), None] {
        let headers: Vec<_> =
            [("sec-websocket-protocol", ticket.as_str())].into_iter().chain(origin.map(|o| ("origin", o))).collect();
        let refused = scene.open(&headers).await.0;
        assert!(matches!(refused, 401 | 403), "{origin:?}: {refused}");
    }
    let (status, socket) = scene.open(&[("sec-websocket-protocol", &ticket), ("origin", here)]).await;
    assert_eq!(status, 101);
    assert_eq!(heard(&mut socket.expect("open")).await["type"], "queue.update");
    assert_eq!(scene.open(&[("sec-websocket-protocol", &ticket), ("origin", here)]).await.0, 401, "used");

    let tokens = &scene.shop.served.app.tokens;
    let claim = || SocketClaim { org: None, end: u64::MAX };
    let expired = offer(&tokens.sign_until(Kind::Socket, scene.fan.id, 1_000, 1_030, claim()));
    let other_kind = offer(&tokens.sign(Kind::Resume, scene.fan.id, 60, claim()));
    for wrong in [&expired, &other_kind, "onsale.v1", "onsale.v1, ticket.x"] {
        assert_eq!(scene.open(&[("sec-websocket-protocol", wrong)]).await.0, 401, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_08_a_sixth_socket_takes_the_place_of_the_first() {
    let scene = Scene::set().await;
    let mut first = scene.socket().await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(scene.socket().await);
    }
    assert_eq!(closed_with(&mut first).await, 4409);
    let newest = others.last_mut().expect("five");
    say(newest, r#"{"type": "ping"}"#).await;
    while heard(newest).await["type"] != "pong" {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_08_a_socket_ends_with_the_access_token_that_opened_it() {
    let scene = Scene::set().await;
    let end = onsale::http::tokens::unix_now() + 2;
    let ticket = scene.shop.served.app.tokens.sign(Kind::Socket, scene.fan.id, 30, SocketClaim { org: None, end });
    let (_, socket) = scene.open(&[("sec-websocket-protocol", &format!("onsale.v1, ticket.{ticket}"))]).await;
    assert_eq!(closed_with(&mut socket.expect("open")).await, 4401);
    assert!(onsale::http::tokens::unix_now() >= end - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_request_and_an_unknown_event_are_told_so() {
    let scene = Scene::set().await;
    let path = format!("/api/v1/events/{}/queue/socket", scene.event);
    let plain = scene.shop.served.get(&path, Some(&scene.fan.access)).await;
    assert_eq!(plain.problem(), (426, "websocket_expected".into()));
    assert_eq!((plain.header("upgrade"), plain.header("sec-websocket-version")), ("websocket", "13"));
    let scene = Scene { event: "0190b5c2a0007000800000000000002a".into(), ..scene };
    let bearer = format!("Bearer {}", scene.fan.access);
    assert_eq!(scene.open(&[("authorization", &bearer)]).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_down_says_so_to_its_sockets() {
    let scene = Scene::set().await;
    let mut socket = scene.socket().await;
    scene.shop.served.shutdown.cancel();
    loop {
        let message = heard(&mut socket).await;
        if message == json!({"type": "goaway"}) {
            break;
        }
    }
    assert_eq!(closed_with(&mut socket).await, 1001);
}
