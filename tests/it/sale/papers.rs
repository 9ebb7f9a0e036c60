//! Tickets on paper, on a screen and in a calendar, read by programs that are not ours.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::shop::Shop;
use crate::served::SignedIn;

const BEST_TWO: &str = r#"{"best_available": {"ticket_type": "VIP", "quantity": 2, "together": true}}"#;

/// Runs it on `input`; what it prints. `scripts/packages test` installs it.
pub(super) fn foreign(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| unreachable!("{program}: {error}: scripts/packages test"));
    child.stdin.take().expect("a pipe").write_all(input).expect("taken");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    output.stdout
}

pub(super) fn text_of(program: &str, arguments: &[&str], input: &[u8]) -> String {
    String::from_utf8(foreign(program, arguments, input)).expect("UTF-8")
}

/// What the QR codes of a page say.
pub(super) fn codes_on(pdf: &[u8], page: usize) -> Vec<String> {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (file, prefix) = (folder.path().join("t.pdf"), folder.path().join("page"));
    std::fs::write(&file, pdf).expect("written");
    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let page = page.to_string();
    let arguments = ["-r", "150", "-png", "-f", &page, "-l", &page, "-singlefile", &path(&file), &path(&prefix)];
    foreign("pdftoppm", &arguments, b"");
    let image = path(&prefix.with_extension("png"));
    let read = text_of("zbarimg", &["--raw", "--quiet", "-Sdisable", "-Sqrcode.enable", &image], b"");
    read.lines().map(str::to_owned).collect()
}

struct Bought {
    shop: Shop,
    event: String,
    fan: SignedIn,
    reference: String,
    tickets: Vec<Value>,
}

impl Bought {
    async fn by(name: &str, language: &str, concert: Value, wanted: &str) -> Self {
        let shop = Shop::open().await;
        let event = shop.draft(concert).await;
        shop.steer(&event, "publish").await.expect(StatusCode::OK);
        let fan = shop.served.register_as("ann@example.org", name, language).await;
        let reference = shop.bought(&event, &fan, &serde_json::from_str(wanted).expect("JSON")).await;
        let tickets = shop.served.get("/api/v1/tickets", Some(&fan.access)).await.expect(StatusCode::OK);
        let mut tickets = tickets["items"].as_array().expect("tickets").clone();
        tickets.sort_by_key(|ticket| ticket["position"].as_u64());
        Self { shop, event, fan, reference, tickets }
    }

    async fn paper(&self, path: &str, kind: &str) -> Vec<u8> {
        let url = format!("{}/api/v1{path}", self.shop.served.public);
        let response = self.shop.served.client.get(url).bearer_auth(&self.fan.access).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()["content-type"], kind);
        assert_eq!(response.headers()["cache-control"], "no-store", "a code is worth a ticket");
        response.bytes().await.expect("a body").to_vec()
    }

    fn path(&self, ticket: usize, what: &str) -> String {
        format!("/tickets/{}/{what}", self.tickets[ticket]["id"].as_str().expect("id"))
    }

    /// As a door does it, with the published keys.
    async fn verifies(&self, code: &str) -> bool {
        let keys = self.shop.served.get("/api/v1/ticket-keys", None).await.expect(StatusCode::OK);
        let code = URL_SAFE_NO_PAD.decode(code).expect("base64url");
        let (message, signature) = code.split_at(code.len() - 64);
        keys["keys"].as_array().expect("keys").iter().any(|key| {
            let x = URL_SAFE_NO_PAD.decode(key["x"].as_str().expect("x")).expect("base64url");
            let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, x);
            key.verify(message, signature).is_ok()
        })
    }
}

fn concert(title: &str) -> Value {
    let mut concert = Shop::concert();
    concert["title"] = json!(title);
    concert
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_printed_ticket_is_read_by_a_foreign_reader_and_its_code_verified_offline() {
    let bought = Bought::by("Željka Đurić-Čačić", "hr", concert("Noć u Zagrebu"), BEST_TWO).await;
    let pdf = bought.paper(&format!("/orders/{}/tickets.pdf", bought.reference), "application/pdf").await;
    let info = text_of("pdfinfo", &["-"], &pdf);
    assert!(info.lines().any(|line| line.split_whitespace().eq(["Pages:", "2"])), "{info}");
    assert!(info.contains("Noć u Zagrebu") && info.contains("(A4)"), "{info}");
    for (page, ticket) in (1..).zip(&bought.tickets) {
        let code = ticket["code"].as_str().expect("a code");
        assert_eq!(codes_on(&pdf, page), [code]);
        assert!(bought.verifies(code).await);
    }
    let text = text_of("pdftotext", &["-layout", "-", "-"], &pdf);
    for said in [
        "Noć u Zagrebu",
        "petak, 1. lipnja 2035. u 20:00 (CEST)",
        "Otvaranje vrata 19:00",
        "Hall, Berlin",
        "Željka Đurić-Čačić",
        "Balcony",
        "Zona A, Red",
        "90.00 EUR",
        "Ulaznica 1/2",
        "Ulaznica 2/2",
    ] {
        assert!(text.contains(said), "{said} is not in {text}");
    }
    // One of them alone is the same page.
    let single = bought.paper(&bought.path(1, "pdf"), "application/pdf").await;
    assert_eq!(codes_on(&single, 1), [bought.tickets[1]["code"].as_str().expect("a code")]);
    assert!(text_of("pdftotext", &["-", "-"], &single).contains("Ulaznica 2/2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn korean_names_are_printed_with_embedded_fonts_that_are_cut_down() {
    let bought = Bought::by("김민수", "ko", concert("똠방각하 서울 콘서트"), BEST_TWO).await;
    let pdf = bought.paper(&bought.path(0, "pdf"), "application/pdf").await;
    let text = text_of("pdftotext", &["-layout", "-", "-"], &pdf);
    for said in ["똠방각하 서울 콘서트", "김민수", "2035년 6월 1일 금요일 20:00", "입장권 1/2"] {
        assert!(text.contains(said), "{said} is not in {text}");
    }
    let fonts = text_of("pdffonts", &["-"], &pdf);
    let rows: Vec<_> = fonts.lines().skip(2).collect();
    assert!(rows.len() >= 2, "{fonts}");
    for row in rows {
        // … emb sub uni, object
        let words: Vec<_> = row.split_whitespace().rev().skip(2).take(3).collect();
        assert_eq!(words, ["yes"; 3], "{fonts}");
    }
    assert!(pdf.len() < 60_000, "{} bytes", pdf.len());
    assert_eq!(codes_on(&pdf, 1), [bought.tickets[0]["code"].as_str().expect("a code")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_on_a_screen_and_an_entry_in_a_calendar_say_the_same_as_the_ticket() {
    let bought = Bought::by("Ann", "en", concert("Noć; u, \\ Zagrebu 서울"), BEST_TWO).await;
    let svg = bought.paper(&bought.path(0, "qr.svg"), "image/svg+xml").await;
    let folder = tempfile::tempdir().expect("temporary folder");
    let image = folder.path().join("code.png");
    let image = image.to_str().expect("UTF-8");
    foreign("rsvg-convert", &["--width", "600", "--output", image], &svg);
    let read = text_of("zbarimg", &["--raw", "--quiet", image], b"");
    assert_eq!(read.trim_end(), bought.tickets[0]["code"].as_str().expect("a code"));

    let ics = bought.paper(&bought.path(1, "event.ics"), "text/calendar; charset=utf-8").await;
    assert_eq!(bought.paper(&bought.path(0, "event.ics"), "text/calendar; charset=utf-8").await, ics);
    let read = calendar(&ics);
    assert_eq!(read["summary"], "Noć; u, \\ Zagrebu 서울");
    assert_eq!(read["location"], "Hall, Berlin");
    assert_eq!(
        (&read["start"], &read["end"]),
        (&json!("2035-06-01T20:00:00+02:00"), &json!("2035-06-02T00:00:00+02:00"))
    );
    assert_eq!((&read["zone"], &read["zones"]), (&json!("Europe/Berlin"), &json!(["Europe/Berlin"])));
    assert_eq!(read["status"], "CONFIRMED");
    assert_eq!(read["uid"], format!("{}@onsale", bought.event));
}

fn calendar(ics: &[u8]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/read_ics.py");
    let read = foreign("/usr/bin/python3", &[script.to_str().expect("UTF-8")], ics);
    serde_json::from_slice(&read).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_50_names_and_titles_do_no_harm_in_documents() {
    // What the edge lets through: no control characters, but all of markup.
    let name = "\u{202E}(x) >> /JS (app.alert(1)) <script>";
    let title = "</text> /URI (http://e.example) ;ATTACH:http://e.example\u{2028}END:VEVENT";
    let bought = Bought::by(name, "en", concert(title), BEST_TWO).await;
    let pdf = bought.paper(&bought.path(0, "pdf"), "application/pdf").await;
    assert_eq!(text_of("pdfinfo", &["-js", "-"], &pdf).trim(), "");
    assert!(!text_of("pdfinfo", &["-url", "-"], &pdf).contains("e.example"));
    let text = text_of("pdftotext", &["-raw", "-", "-"], &pdf);
    assert!(text.contains("(x) >> /JS (app.alert(1)) <script>"), "{text}");
    let ics = bought.paper(&bought.path(0, "event.ics"), "text/calendar; charset=utf-8").await;
    let read = calendar(&ics);
    assert_eq!(read["events"], 1);
    assert_eq!(read["summary"], "</text> /URI (http://e.example) ;ATTACH:http://e.example END:VEVENT");
    assert!(!read["names"].as_array().expect("names").contains(&json!("ATTACH")), "{read}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_without_tickets_has_no_paper() {
    let scene = super::shop::Scene::set().await;
    let held = scene.hold(&json!({"seats": ["A-1-1"]})).await.expect(StatusCode::CREATED);
    let path = format!("/api/v1/orders/{}/tickets.pdf", held["reference"].as_str().expect("reference"));
    let answer = scene.shop.served.get(&path, Some(&scene.fan.access)).await;
    assert_eq!(answer.problem(), (409, "order_state".into()));
}
