//! The whole way of a fan over TLS, with clients that trust the one certificate and nothing else.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use onsale::http::config::Config;
use reqwest::StatusCode;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{shop::Shop, strangers::a_stranger_gets_through_at};
use crate::{
    harness::in_time,
    http_core::server::certificate_of,
    served::{Answer, config},
};

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// A shop over TLS, and its certificate.
async fn open() -> (Shop, CertificateDer<'static>) {
    let shop = Shop::open_with(Config { tls_self_signed: true, ..config() }).await;
    let certificate = CertificateDer::from(certificate_of(shop.served.authority()).await);
    (shop, certificate)
}

fn client(certificate: &CertificateDer<'static>) -> reqwest::Client {
    let trusted = reqwest::Certificate::from_der(certificate).expect("a certificate");
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]);
    builder.build().expect("a client")
}

/// A socket of a client that trusts these alone.
async fn socket(
    shop: &Shop,
    event: &str,
    headers: &[(&'static str, &str)],
    trusted: &[CertificateDer<'static>],
) -> std::io::Result<Socket> {
    let mut roots = rustls::RootCertStore::empty();
    trusted.iter().for_each(|certificate| roots.add(certificate.clone()).expect("an anchor"));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let authority = shop.served.authority();
    let stream = TcpStream::connect(authority).await?;
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let url = format!("wss://{authority}/api/v1/events/{event}/queue/socket");
    let mut request = url.into_client_request().expect("a URL");
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::try_from(*value).expect("a value"));
    }
    Ok(client_async(request, stream).await.expect("a socket").0)
}

async fn next(socket: &mut Socket) -> Message {
    in_time(socket.next()).await.expect("before the end").expect("a frame")
}

async fn told(socket: &mut Socket, is_it: impl Fn(&Value) -> bool) -> Value {
    loop {
        if let Message::Text(text) = next(socket).await {
            let message = serde_json::from_str(&text).expect("JSON");
            if is_it(&message) {
                return message;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_goes_through_the_queue_over_wss_with_a_certificate_that_is_checked() {
    let (shop, certificate) = open().await;
    let event = shop.published().await;
    shop.control(&event, "pause", json!({})).await;
    let (base, client) = (&shop.served.public, client(&certificate));
    let body =
        json!({"email": "ann@example.org", "password": crate::harness::PASSWORD, "name": "Ann", "language": "en"});
    let post = async |path: &str, access: Option<&str>, headers: &[(&str, &str)], body: &Value| {
        let mut request = client.post(format!("{base}/api/v1{path}")).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(access) = access {
            request = request.bearer_auth(access);
        }
        Answer::of(request.send().await.expect("an answer")).await
    };
    let account = post("/auth/register", None, &[], &body).await.expect(StatusCode::CREATED);
    let access = account["access_token"].as_str().expect("a token");
    let bearer = format!("Bearer {access}");
    let trusted = [certificate];

    // Who does not know the certificate goes no further.
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    for unknown in [vec![], vec![other.cert.der().clone()]] {
        assert!(socket(&shop, &event, &[("authorization", bearer.as_str())], &unknown).await.is_err());
    }

    // As a page does it: by a ticket.
    let ticket =
        post("/auth/socket-ticket", Some(access), &[("origin", base)], &json!({})).await.expect(StatusCode::OK);
    let offered = format!("onsale.v1, ticket.{}", ticket["ticket"].as_str().expect("a ticket"));
    let page = [("origin", base.as_str()), ("sec-websocket-protocol", offered.as_str())];
    let mut fan = socket(&shop, &event, &page, &trusted).await.expect("a socket");
    let waiting = told(&mut fan, |message| message["type"] == "queue.update").await;
    assert_eq!((&waiting["state"], &waiting["positionInQueue"]), (&json!("waiting"), &json!(1)));
    fan.send(Message::text(r#"{"type": "ping"}"#)).await.expect("sent");
    told(&mut fan, |message| message["type"] == "pong").await;
    // Another one is behind; for longer than a frame of TLS the same stream goes on.
    let rival = shop.fan("bob").await;
    shop.served
        .post(&format!("/api/v1/events/{event}/queue"), Some(&rival.access), json!({}))
        .await
        .expect(StatusCode::OK);
    told(&mut fan, |message| message["totalPeopleInQueue"] == 2).await;

    shop.control(&event, "resume", json!({})).await;
    let admitted = told(&mut fan, |message| message["state"] == "admitted").await;
    fan.send(Message::text(r#"{"type": "extend"}"#)).await.expect("sent");
    let extended = told(&mut fan, |message| message["admissionExtended"] == true).await;
    assert_ne!(extended["admissionExpiresAt"], admitted["admissionExpiresAt"]);
    let key = shop.key();
    let headers = [
        ("onsale-admission", extended["acceptedTokenId"].as_str().expect("a token")),
        ("idempotency-key", key.as_str()),
    ];
    let hold = json!({"items": [{"ticket_type": "GA", "quantity": 2}]});
    post(&format!("/events/{event}/holds"), Some(access), &headers, &hold).await.expect(StatusCode::CREATED);
    fan.send(Message::text(r#"{"type": "leave"}"#)).await.expect("sent");
    loop {
        if let Message::Close(Some(frame)) = next(&mut fan).await {
            assert_eq!(u16::from(frame.code), 1000);
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_events_goes_over_tls_too() {
    let (shop, certificate) = open().await;
    let event = shop.published().await;
    shop.control(&event, "pause", json!({})).await;
    let (fan, client) = (shop.fan("ann").await, client(&certificate));
    let url = format!("{}/api/v1/events/{event}/queue/stream", shop.served.public);
    let mut response = client.get(url).bearer_auth(&fan.access).send().await.expect("an answer");
    assert_eq!((response.status(), response.version()), (StatusCode::OK, reqwest::Version::HTTP_2));
    let mut text = String::new();
    let mut heard = async |what: &str| {
        while !text.contains(what) {
            let bytes = in_time(response.chunk()).await.expect("open").expect("before the end");
            text.push_str(std::str::from_utf8(&bytes).expect("UTF-8"));
        }
    };
    heard(r#""state":"waiting""#).await;
    shop.control(&event, "resume", json!({})).await;
    heard(r#""state":"admitted""#).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_client_goes_through_the_queue_over_wss() {
    let (shop, certificate) = open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trusted.pem");
    let encoded = {
        use base64::{Engine, engine::general_purpose::STANDARD};
        STANDARD.encode(&certificate)
    };
    let lines: Vec<_> = encoded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
    std::fs::write(&file, pem).expect("written");
    a_stranger_gets_through_at(&shop, "fan.py", "python@example.org", Some(&file)).await;
}
