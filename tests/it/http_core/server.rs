//! The listeners: TLS, HTTP/2, health, metrics, the API's description, and going down.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use onsale::http::config::Config;
use reqwest::{Method, StatusCode, Version};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    harness::until,
    served::{Answer, Served, config},
};

#[tokio::test]
async fn health_tells_of_each_dependency() {
    let served = Served::start(config()).await;
    served.get("/health/live", None).await.expect(StatusCode::OK);
    let report = served.get("/api/v1/health/ready", None).await.expect(StatusCode::OK);
    assert_eq!(report["status"], "ready");
    let dependencies = report["dependencies"].as_array().expect("list");
    let names: Vec<_> = dependencies.iter().map(|one| one["name"].as_str().expect("name")).collect();
    assert_eq!(names, ["database", "queue", "order_bus", "journal"]);
    assert!(dependencies.iter().all(|one| one["status"] == "up" && one["latency_ms"].is_number()));
    served.below.database.close().await;
    until("the database is gone", async || {
        let answer = served.get("/health/ready", None).await;
        answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.json()["dependencies"][0]["status"] == "down"
    })
    .await;
    served.get("/health/live", None).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn metrics_are_on_the_admin_listener_only_and_well_formed() {
    let served = Served::start(config()).await;
    served.get("/api/v1/ticket-keys", None).await.expect(StatusCode::OK);
    served.get("/no/such/path", None).await;
    let public = served.client.get(format!("{}/metrics", served.public)).send().await.expect("answer");
    assert_eq!(public.status(), StatusCode::NOT_FOUND);
    let text = served.get("/metrics", None).await.text;
    for line in [
        "onsale_http_requests_total{method=\"GET\",route=\"/api/v1/ticket-keys\",status=\"200\"}",
        "onsale_http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"}",
        "onsale_http_request_duration_seconds_bucket{method=\"GET\",route=\"/api/v1/ticket-keys\",le=",
        "onsale_http_connections{listener=\"public\"}",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of the package prometheus");
    check.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
    let output = check.wait_with_output().expect("ended");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_api_describes_itself_and_has_a_page_to_browse() {
    let served = Served::start(config()).await;
    let document = served.get("/api/v1/openapi.json", None).await.expect(StatusCode::OK);
    assert!(document["openapi"].as_str().expect("version").starts_with("3.1"));
    assert!(document["paths"]["/api/v1/auth/login"]["post"].is_object());
    let mut names = std::collections::HashSet::new();
    let paths = document["paths"].as_object().expect("paths").values();
    for operation in paths.flat_map(|item| item.as_object().expect("operations").values()) {
        let name = operation["operationId"].as_str().expect("a name");
        assert!(names.insert(name), "{name} twice");
        for (status, response) in operation["responses"].as_object().expect("responses") {
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{name} {status}");
        }
    }
    assert!(document["paths"]["/api/v1/admin/accounts/{account}/roles"]["put"].is_object());
    let page = served.get("/api/v1/docs/", None).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("swagger-ui"), "{}", page.text);
    assert!(!page.text.contains("https://"), "the page needs no network: {}", page.text);
    let script = served.get("/api/v1/docs/swagger-ui-bundle.js", None).await;
    assert_eq!(script.status, StatusCode::OK);
    assert_eq!(served.get("/api/v1/docs/nothing.js", None).await.problem(), (404, "not_found".into()));
}

#[tokio::test]
async fn s_22_every_body_refuses_unknown_fields() {
    let document = serde_json::to_value(onsale::http::openapi::document()).expect("document");
    let mut bodies = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let Some(reference) = operation["requestBody"]["content"]["application/json"]["schema"].get("$ref") else {
                continue;
            };
            let name = reference.as_str().expect("reference").rsplit('/').next().expect("name");
            let schema = &document["components"]["schemas"][name];
            let variants = schema["oneOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
            for variant in variants {
                assert_eq!(variant["additionalProperties"], Value::Bool(false), "{method} {path}: {name}");
            }
            bodies += 1;
        }
    }
    assert!(bodies >= 6, "{bodies} bodies");
}

#[tokio::test]
async fn s_26_every_answer_names_its_request_and_forbids_what_it_does_not_need() {
    let served = Served::start(config()).await;
    let given = served.client.get(format!("{}/nowhere", served.public)).header("x-request-id", "trace-1");
    let answer = Answer::of(given.send().await.expect("answer")).await;
    assert_eq!(answer.problem(), (404, "not_found".into()));
    assert_eq!(answer.header("x-request-id"), "trace-1");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
    let wrong = served.call(Method::DELETE, "/api/v1/auth/login", None, None).await;
    assert_eq!(wrong.problem(), (405, "method_not_allowed".into()));
}

#[tokio::test]
async fn http_2_is_spoken_with_and_without_tls() {
    let plain = Served::start(config()).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().expect("client");
    let answer = client.get(format!("{}/health/live", plain.public)).send().await.expect("answer");
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));
    let tls = Served::start(Config { tls_self_signed: true, ..config() }).await;
    let answer = tls.client.get(format!("{}/health/live", tls.public)).send().await.expect("answer");
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));
    assert!(answer.headers().contains_key("strict-transport-security"));
}

#[tokio::test]
async fn a_changed_certificate_is_taken_up_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().expect("folder");
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let write = |name: &str| {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("certificate");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("key");
        std::fs::write(&cert, made.cert.pem()).expect("certificate");
        made.cert.der().to_vec()
    };
    let first = write("one.example");
    let served = Served::start(Config { tls_cert: Some(cert.clone()), tls_key: Some(key.clone()), ..config() }).await;
    let shown = async || certificate_of(served.authority()).await;
    assert_eq!(shown().await, first);
    let second = write("two.example");
    until("the new certificate is shown", async || shown().await == second).await;
    // Half a change: neither rubbish nor a key that does not fit may stop the second from being shown.
    std::fs::write(&cert, "rubbish").expect("written");
    let third = rcgen::generate_simple_self_signed(["three.example".to_owned()]).expect("certificate");
    std::fs::write(&key, third.signing_key.serialize_pem()).expect("key");
    let broken = tokio::time::Instant::now();
    while broken.elapsed() < Duration::from_secs(3) {
        assert_eq!(shown().await, second);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    std::fs::write(&cert, third.cert.pem()).expect("certificate");
    until("the third certificate is shown", async || shown().await == third.cert.der().to_vec()).await;
}

pub async fn certificate_of(address: &str) -> Vec<u8> {
    use std::sync::Arc;

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.expect("connects");
    let name = "localhost".try_into().expect("name");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("handshake");
    stream.get_ref().1.peer_certificates().expect("certificates")[0].to_vec()
}

/// This test looks at the certificate itself.
#[derive(Debug)]
struct AnyCertificate;

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test]
async fn going_down_lets_a_request_finish_and_takes_no_new_ones() {
    let served = Served::start(config()).await;
    let address = served.authority().to_owned();
    let mut stream = TcpStream::connect(&address).await.expect("connects");
    let body = r#"{"email": "ann@example.org", "password": "wrong password"}"#;
    let head = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    // The server has seen it when it counts it.
    let connected = "onsale_http_connections";
    until("the request is under way", async || served.get("/metrics", None).await.text.contains(connected)).await;
    stream.write_all(&body.as_bytes()[..10]).await.expect("sent");
    served.shutdown.cancel();
    until("nobody listens", async || TcpStream::connect(&address).await.is_err()).await;
    stream.write_all(&body.as_bytes()[10..]).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered and closed");
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    tokio::time::timeout(Duration::from_secs(10), served.stop()).await.expect("ends in time");
}

/// Whoever keeps connections would otherwise send the next request into a closed one.
#[tokio::test]
async fn an_answer_before_the_body_was_read_says_that_the_connection_closes() {
    let served = Served::start(config()).await;
    let url = format!("{}/api/v1/auth/login", served.public);
    let post = async |size: usize| {
        let request = served.client.post(&url).header("content-type", "application/json").body("x".repeat(size));
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.headers().get("connection").map(|value| value.as_bytes().to_vec()))
    };
    for _ in 0..20 {
        assert_eq!(post(100_000).await, (413, Some(b"close".to_vec())));
        assert_eq!(post(10).await, (400, None));
    }
}
