//! The queue's socket: who may open one, and which frames are not taken.

use futures_util::SinkExt;
use onsale::{
    domain::claims::{Kind, ResumeClaim, SocketClaim},
    http::config::Config,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        handshake::client::Request,
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
use crate::{
    harness::until,
    served::{Served, SignedIn, config},
};

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
        self.open_at(&self.shop.socket_url(&self.event), headers).await
    }

    async fn open_at(&self, url: &str, headers: &[(&'static str, &str)]) -> (u16, Option<Socket>) {
        let mut request = url.into_client_request().expect("a URL");
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        opened(request).await
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

async fn opened(request: Request) -> (u16, Option<Socket>) {
    match connect_async(request).await {
        Ok((socket, response)) => (response.status().as_u16(), Some(socket)),
        Err(Error::Http(response)) => (response.status().as_u16(), None),
        // The server has taken the offer; the client misses the protocol in the answer.
        Err(other) => unreachable!("{other}"),
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
    opened_by_whom_it_should(&scene, &scene.shop.socket_url(&scene.event)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_08_a_socket_of_the_first_version_is_opened_in_no_other_way() {
    let scene = Scene::set().await;
    let root = format!("ws://{}/ws", scene.shop.served.authority());
    let url = format!("{root}?eventId={}", scene.event);
    opened_by_whom_it_should(&scene, &url).await;
    let (bearer, access) = (format!("Bearer {}", scene.fan.access), &scene.fan.access);
    for (url, status) in [
        (root.clone(), 400),
        (format!("{root}?eventId="), 400),
        (format!("{root}?event_id={}", scene.event), 400),
        (format!("{url}&token={access}"), 400),
        (format!("{root}?eventId={:032x}", 1), 404),
    ] {
        assert_eq!(scene.open_at(&url, &[("authorization", &bearer)]).await.0, status, "{url}");
    }
    let cookie = format!("auth_token={access}");
    assert_eq!(scene.open_at(&url, &[("cookie", &cookie)]).await.0, 401, "any page could send it");
}

async fn opened_by_whom_it_should(scene: &Scene, url: &str) {
    let open = async |headers: &[(&'static str, &str)]| scene.open_at(url, headers).await;
    let here = scene.shop.served.public.clone();
    let (here, bearer) = (here.as_str(), format!("Bearer {}", scene.fan.access));
    assert_eq!(open(&[]).await.0, 401);
    assert_eq!(open(&[("authorization", "Bearer x")]).await.0, 401);
    assert_eq!(open(&[("authorization", &bearer), ("origin", "https://evil.example")]).await.0, 403);
    assert_eq!(open(&[("authorization", &bearer)]).await.0, 101);
    let offer = |ticket: &str| format!("onsale.v1, ticket.{ticket}");

    let ticket = offer(&scene.ticket(Some(here)).await);
    for origin in [Some("https://evil.example"), Some("null"), None] {
        let headers: Vec<_> =
            [("sec-websocket-protocol", ticket.as_str())].into_iter().chain(origin.map(|o| ("origin", o))).collect();
        let refused = open(&headers).await.0;
        assert!(matches!(refused, 401 | 403), "{origin:?}: {refused}");
    }
    let (status, socket) = open(&[("sec-websocket-protocol", &ticket), ("origin", here)]).await;
    assert_eq!(status, 101);
    assert_eq!(heard(&mut socket.expect("open")).await["type"], "queue.update");
    assert_eq!(open(&[("sec-websocket-protocol", &ticket), ("origin", here)]).await.0, 401, "used");

    let tokens = &scene.shop.served.app.tokens;
    let claim = || SocketClaim { org: None, end: u64::MAX, sv: 1, cnf: None };
    let expired = offer(&tokens.sign_until(Kind::Socket, scene.fan.id, 1_000, 1_030, claim()));
    let other_kind = offer(&tokens.sign(Kind::Resume, scene.fan.id, 60, claim()));
    for wrong in [&expired, &other_kind, "onsale.v1", "onsale.v1, ticket.x"] {
        assert_eq!(open(&[("sec-websocket-protocol", wrong)]).await.0, 401, "{wrong}");
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
    let ticket = scene.shop.served.app.tokens.sign(
        Kind::Socket,
        scene.fan.id,
        30,
        SocketClaim { org: None, end, sv: 1, cnf: None },
    );
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
    let message = goaway(&mut socket).await;
    assert!(message["resumeTicket"].is_string(), "{message}");
    assert_eq!(message["expiresIn"], 60);
    assert_eq!(closed_with(&mut socket).await, 1001);
}

async fn goaway(socket: &mut Socket) -> Value {
    loop {
        let message = heard(socket).await;
        if message["type"] == "goaway" {
            return message;
        }
    }
}

/// The place, as the queue ticket proves it.
async fn place(node: &Served, state: &Value) -> u64 {
    let ticket = state["queueTicket"].as_str().expect("a queue ticket");
    node.app.tokens.verify_queue_ticket(ticket).await.expect("ours").about.plc.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_08_a_fan_goes_on_at_another_node_by_a_ticket_that_the_first_one_gave_once() {
    let shop = Shop::open().await;
    let slow = json!({"slots": 1, "rate_per_minute": 1, "paused": true});
    let event = shop.draft(with_queue(slow)).await;
    shop.steer(&event, "publish").await.expect(StatusCode::OK);
    let fan = shop.fan("ann").await;
    let page = "https://fans.example";
    let allowed = || Config { allowed_origins: vec![page.into()], ..config() };
    let (first, second) = (shop.served.beside(allowed()).await, shop.served.beside(allowed()).await);
    let ticket = {
        let url = format!("{}/api/v1/auth/socket-ticket", first.public);
        let request = first.client.post(url).bearer_auth(&fan.access).header("origin", page);
        let answer = crate::served::Answer::of(request.send().await.expect("an answer")).await;
        format!("ticket.{}", answer.expect(StatusCode::OK)["ticket"].as_str().expect("a ticket"))
    };
    let open = async |node: &Served, event: &str, protocol: &str, origin: Option<&str>| {
        let url = format!("ws://{}/api/v1/events/{event}/queue/socket", node.authority());
        let mut request = url.into_client_request().expect("a URL");
        let offered = HeaderValue::try_from(format!("onsale.v1, {protocol}")).expect("a value");
        request.headers_mut().insert("sec-websocket-protocol", offered);
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", HeaderValue::from_str(origin).expect("a value"));
        }
        opened(request).await
    };
    let mut socket = open(&first, &event, &ticket, Some(page)).await.1.expect("open");
    let before = heard(&mut socket).await;
    assert_eq!(before["state"], "waiting");
    let used = open(&second, &event, &ticket, Some(page)).await.0;
    assert_eq!(used, 401, "used at the other node");

    first.shutdown.cancel();
    let resume = goaway(&mut socket).await["resumeTicket"].as_str().expect("a ticket").to_owned();
    assert_eq!(closed_with(&mut socket).await, 1001);
    let (as_resume, as_socket) = (format!("resume.{resume}"), format!("ticket.{resume}"));
    let other_event = shop.published().await;
    for (event, protocol, origin) in [
        (&other_event, &as_resume, Some(page)),
        (&event, &as_resume, None),
        (&event, &as_resume, Some(second.public.as_str())),
        (&event, &as_socket, Some(page)),
        (&event, &ticket.replace("ticket.", "resume."), Some(page)),
    ] {
        assert_eq!(open(&second, event, protocol, origin).await.0, 401, "{protocol} from {origin:?}");
    }
    assert_eq!(second.get("/api/v1/auth/me", Some(&resume)).await.status, StatusCode::UNAUTHORIZED);
    // None of these has used it up.
    let (status, socket) = open(&second, &event, &as_resume, Some(page)).await;
    assert_eq!(status, 101);
    let after = heard(&mut socket.expect("open")).await;
    assert_eq!(place(&second, &after).await, place(&first, &before).await);
    assert_eq!(open(&second, &event, &as_resume, Some(page)).await.0, 401, "used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_who_goes_on_elsewhere_is_told_only_what_has_changed() {
    let shop = Shop::open().await;
    let event = shop.draft(with_queue(json!({"slots": 1, "rate_per_minute": 1, "paused": true}))).await;
    shop.steer(&event, "publish").await.expect(StatusCode::OK);
    shop.control(&event, "notice", json!({"texts": {"en": "Soon."}})).await;
    let (fan, rival) = (shop.fan("ann").await, shop.fan("bob").await);
    until("the notice is told", async || {
        let path = format!("/api/v1/events/{event}/queue");
        let state = shop.served.get(&path, Some(&fan.access)).await.expect(StatusCode::OK);
        state["notice"].is_object()
    })
    .await;
    let mut node = shop.served.beside(config()).await;
    let open = async |node: &Served, protocol: &str| {
        let url = format!("ws://{}/api/v1/events/{event}/queue/socket", node.authority());
        let mut request = url.into_client_request().expect("a URL");
        let (name, value) = match protocol {
            "" => ("authorization", format!("Bearer {}", fan.access)),
            offered => ("sec-websocket-protocol", format!("onsale.v1, {offered}")),
        };
        request.headers_mut().insert(name, HeaderValue::try_from(value).expect("a value"));
        opened(request).await.1.expect("open")
    };
    let mut socket = open(&node, "").await;
    let first = heard(&mut socket).await;
    assert_eq!((&first["seq"], &first["notice"]["texts"]["en"]), (&json!(1), &json!("Soon.")));
    let mut last = 1;
    // What the client says that it was told last, by how much it is wrong; and whether something changes meanwhile.
    for (wrong, changes) in [(0, false), (0, true), (1, false), (0, false)] {
        let next = shop.served.beside(config()).await;
        node.shutdown.cancel();
        let resume = goaway(&mut socket).await["resumeTicket"].as_str().expect("a ticket").to_owned();
        if changes {
            let path = format!("/api/v1/events/{event}/queue");
            shop.served.post(&path, Some(&rival.access), json!({})).await.expect(StatusCode::OK);
            until("published", async || shop.queue(&event).await["waiting"] == 2).await;
        }
        socket = open(&next, &format!("resume.{resume}, last.{}", last - wrong)).await;
        let told = heard(&mut socket).await;
        assert_eq!(told["seq"], last + 1, "counted on");
        match (wrong, changes) {
            (0, false) => assert_eq!((&told["type"], told.get("state")), (&json!("resumed"), None)),
            (0, true) => {
                assert_eq!((&told["type"], &told["totalPeopleInQueue"]), (&json!("queue.update"), &json!(2)));
                assert_eq!((told.get("queueTicket"), told.get("notice")), (None, None), "as before");
            }
            _ => {
                assert_eq!((&told["type"], &told["notice"]["texts"]["en"]), (&json!("queue.update"), &json!("Soon.")));
                assert!(told["queueTicket"].is_string(), "the whole state");
            }
        }
        (last, node) = (last + 1, next);
    }
    // A change is told as always.
    shop.control(&event, "resume", json!({})).await;
    let admitted = loop {
        let message = heard(&mut socket).await;
        if message["state"] == "admitted" {
            break message;
        }
    };
    assert!(
        admitted["seq"].as_u64().expect("a number") > last
            && !admitted["acceptedTokenId"].as_str().expect("text").is_empty()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_08_a_resume_ticket_ends_with_the_session_and_with_the_access_token() {
    let scene = Scene::set().await;
    let served = &scene.shop.served;
    let now = onsale::http::tokens::unix_now();
    let offer = |from: u64, until: u64, end| {
        let socket = SocketClaim { org: None, end, sv: 1, cnf: None };
        let claim = ResumeClaim { evt: scene.event.parse().expect("id"), socket, seen: None };
        let ticket = served.app.tokens.sign_until(Kind::Resume, scene.fan.id, from, until, claim);
        format!("onsale.v1, resume.{ticket}")
    };
    let open = async |offer: &str| scene.open(&[("sec-websocket-protocol", offer)]).await;
    // Clocks may differ by five seconds.
    assert_eq!(open(&offer(now - 70, now - 10, u64::MAX)).await.0, 401, "expired");
    let (status, socket) = open(&offer(now - 1, now + 59, now + 2)).await;
    assert_eq!(status, 101);
    assert_eq!(closed_with(&mut socket.expect("open")).await, 4401);
    assert_eq!(open(&offer(now - 1, now + 59, u64::MAX)).await.0, 101);
    let logout = json!({"refresh_token": scene.fan.refresh});
    served.post("/api/v1/auth/logout", None, logout).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(open(&offer(now - 1, now + 59, u64::MAX)).await.0, 401, "the session has ended");
}

fn with_queue(queue: Value) -> Value {
    let mut concert = Shop::concert();
    concert["queue"] = queue;
    concert
}
