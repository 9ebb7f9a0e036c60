//! The mail with the tickets: sent to a real SMTP server of other people's making, read by a foreign reader.

use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use onsale::{
    domain::account::Role,
    stores::post::config::{Config, Tls},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    papers::{codes_on, foreign, text_of},
    shop::Shop,
    strangers::Stranger,
};
use crate::{harness::until, served::SignedIn};

/// An SMTP server, and where its mails lie.
pub struct Smtpd {
    server: Stranger,
    pub port: u16,
    pub(super) folder: TempDir,
}

impl Smtpd {
    pub async fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().to_str().expect("UTF-8").to_owned();
        let arguments: Vec<_> = [path.as_str()].into_iter().chain(options.iter().copied()).collect();
        let mut server = Stranger::start("smtpd.py", &arguments);
        let port = server.says("listening").await[0].parse().expect("a port");
        Self { server, port, folder }
    }

    pub(super) fn config(&self) -> Config {
        Config {
            smtp_host: "127.0.0.1".into(),
            smtp_port: self.port,
            smtp_tls: Tls::Off,
            smtp_timeout: 20,
            retry_after: 1,
            ..Config::default()
        }
    }

    /// The next mail: from, to, bytes.
    pub async fn took(&mut self) -> (String, String, Vec<u8>) {
        let said = self.server.says("took").await;
        (said[0].clone(), said[1].clone(), std::fs::read(&said[2]).expect("written"))
    }
}

pub struct Read {
    pub said: Value,
    attachments: TempDir,
}

impl Read {
    pub fn of(mail: &[u8]) -> Self {
        let attachments = tempfile::tempdir().expect("temporary folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/read_mail.py");
        let folder = attachments.path().to_str().expect("UTF-8");
        let said = foreign("/usr/bin/python3", &[script.to_str().expect("UTF-8"), folder], mail);
        let said: Value = serde_json::from_slice(&said).expect("JSON");
        assert_eq!(said["defects"], json!([]), "{said}");
        Self { said, attachments }
    }

    pub(super) fn attached(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.attachments.path().join(name)).expect("attached")
    }
}

struct Sold {
    shop: Shop,
    fan: SignedIn,
    admin: SignedIn,
}

impl Sold {
    /// Two seats.
    async fn to(name: &str, language: &str, title: &str) -> Self {
        let shop = Shop::open().await;
        let mut concert = Shop::concert();
        concert["title"] = json!(title);
        let event = shop.draft(concert).await;
        shop.steer(&event, "publish").await.expect(StatusCode::OK);
        let fan = shop.served.register_as("ann@example.org", name, language).await;
        let admin = shop.served.with_roles("admin@example.org", &[Role::Admin]).await;
        let two = json!({"best_available": {"ticket_type": "VIP", "quantity": 2, "together": true}});
        shop.bought(&event, &fan, &two).await;
        Self { shop, fan, admin }
    }

    async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let path = format!("/api/v1/admin/mails{path}");
        let answer = self.shop.served.call(method, &path, Some(&self.admin.access), body).await;
        assert!(answer.status.is_success(), "{answer:?}");
        answer.json()
    }

    /// The only one.
    async fn mail(&self) -> Value {
        let list = self.admin(Method::GET, "", None).await;
        assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
        list["items"][0].clone()
    }

    async fn mail_becomes(&self, state: &str) -> Value {
        until(state, async || self.mail().await["state"] == state).await;
        let id = self.mail().await["id"].as_str().expect("id").to_owned();
        self.admin(Method::GET, &format!("/{id}"), None).await
    }

    async fn send_again(&self) {
        let path = format!("/{}/send", self.mail().await["id"].as_str().expect("id"));
        self.admin(Method::POST, &path, Some(json!({"reason": "she lost it"}))).await;
    }

    async fn codes(&self) -> Vec<String> {
        let tickets = self.shop.served.get("/api/v1/tickets", Some(&self.fan.access)).await.expect(StatusCode::OK);
        let mut tickets = tickets["items"].as_array().expect("tickets").clone();
        tickets.sort_by_key(|ticket| ticket["position"].as_u64());
        tickets.iter().map(|ticket| ticket["code"].as_str().expect("code").to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tickets_come_by_mail_with_attachments_intact_and_once() {
    let mut smtpd = Smtpd::start(&[]).await;
    let sold = Sold::to("김민수", "ko", "서울 콘서트, Noć").await;
    let _mailer = sold.shop.served.mailer(&smtpd.config(), smtpd.folder.path());
    let (from, to, mail) = smtpd.took().await;
    assert_eq!((from.as_str(), to.as_str()), ("tickets@shop.example", "ann@example.org"));
    let read = Read::of(&mail);
    assert_eq!(read.said["subject"], "예매하신 입장권: 서울 콘서트, Noć");
    assert_eq!(read.said["to"], json!([{"name": "김민수", "address": "ann@example.org"}]));
    assert_eq!(read.said["attachments"], json!({"tickets.pdf": "application/pdf", "event.ics": "text/calendar"}));
    for body in ["text", "html"] {
        let body = read.said[body].as_str().expect("a body");
        assert!(
            body.contains("서울 콘서트, Noć") && body.contains("90.00 EUR") && body.contains("2035년 6월 1일"),
            "{body}"
        );
    }
    let pdf = read.attached("tickets.pdf");
    assert_eq!([codes_on(&pdf, 1), codes_on(&pdf, 2)].concat(), sold.codes().await);
    assert!(text_of("pdftotext", &["-", "-"], &pdf).contains("김민수"));
    // Lines of a text end as the reader likes.
    let calendar = String::from_utf8(read.attached("event.ics")).expect("UTF-8");
    let lines = [calendar.lines().next(), calendar.lines().last()];
    assert_eq!(lines, [Some("BEGIN:VCALENDAR"), Some("END:VCALENDAR")]);

    let row = sold.mail_becomes("sent").await;
    assert_eq!((row["attempts"].as_u64(), &row["log"][0]["outcome"]), (Some(1), &json!("taken by the SMTP server")));
    let id = row["id"].as_str().expect("id");
    assert_eq!(read.said["message_id"], format!("<{id}@shop.example>"));

    // What an admin reads is what went out, and leaves a trace; once asked for, it goes out again.
    let path = format!("/api/v1/admin/mails/{id}/message");
    let shown = sold.shop.served.get(&path, Some(&sold.admin.access)).await;
    assert_eq!((shown.status, shown.header("content-type")), (StatusCode::OK, "message/rfc822"));
    assert_eq!(
        shown.text.replace("\r\n", "\n").trim_end(),
        String::from_utf8_lossy(&mail).replace("\r\n", "\n").trim_end()
    );
    sold.send_again().await;
    let (_, _, again) = smtpd.took().await;
    assert_eq!(again, mail, "the same Message-ID: a reader that has it shows it once");
    let audit = sold.shop.served.get("/api/v1/admin/audit", Some(&sold.admin.access)).await.expect(StatusCode::OK);
    let actions: Vec<_> = audit["items"].as_array().expect("rows").iter().map(|row| row["action"].clone()).collect();
    assert!(actions.contains(&json!("mail.read")) && actions.contains(&json!("mail.send")), "{actions:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_later_gets_the_mail_later() {
    let mut smtpd = Smtpd::start(&["--later", "2"]).await;
    let sold = Sold::to("Ann", "en", "Concert").await;
    let _mailer = sold.shop.served.mailer(&smtpd.config(), smtpd.folder.path());
    let row = sold.mail_becomes("sent").await;
    let outcomes: Vec<_> = row["log"].as_array().expect("a log").iter().map(|one| one["outcome"].clone()).collect();
    let later = json!("the SMTP server replied 451");
    assert_eq!(outcomes, [later.clone(), later, json!("taken by the SMTP server")]);
    let mails = [smtpd.took().await.2, smtpd.took().await.2, smtpd.took().await.2];
    assert!(mails[0] == mails[1] && mails[1] == mails[2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_delays_a_mail_and_one_that_refuses_it_ends_it() {
    let sold = Sold::to("Ann", "en", "Concert").await;
    let refusing = Smtpd::start(&["--refuse"]).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let down = Config { smtp_port: nobody, ..refusing.config() };
    let mailer = sold.shop.served.mailer(&down, refusing.folder.path());
    until("it was tried", async || sold.mail().await["attempts"].as_u64() > Some(1)).await;
    let row = sold.mail().await;
    assert_eq!((&row["state"], &row["last_outcome"]), (&json!("waiting"), &json!("the SMTP server cannot be reached")));
    mailer.stop(Duration::from_secs(5)).await;

    let _mailer = sold.shop.served.mailer(&refusing.config(), refusing.folder.path());
    let row = sold.mail_becomes("failed").await;
    assert_eq!(row["last_outcome"], "the SMTP server replied 550", "S-52: the address that it named is not kept");
    assert!(!row.to_string().contains("ann@"), "{row}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_dies_before_it_has_noted_the_sending_sends_the_same_mail_again() {
    let mut smtpd = Smtpd::start(&["--ask"]).await;
    let sold = Sold::to("Ann", "en", "Concert").await;
    let mailer = sold.shop.served.mailer(&smtpd.config(), smtpd.folder.path());
    let (_, _, first) = smtpd.took().await;
    // The server has it and has not answered yet.
    mailer.stop(Duration::ZERO).await;
    smtpd.server.hears("").await;
    let row = sold.mail().await;
    assert_eq!((&row["state"], &row["attempts"]), (&json!("waiting"), &json!(1)));
    // Until five minutes have passed, or somebody says so.
    sold.send_again().await;
    let _mailer = sold.shop.served.mailer(&smtpd.config(), smtpd.folder.path());
    let (_, _, second) = smtpd.took().await;
    smtpd.server.hears("").await;
    assert_eq!(first, second);
    assert_eq!(sold.mail_becomes("sent").await["attempts"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_starttls_a_password_goes_encrypted_to_a_server_that_is_known_and_to_no_other() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path).expect("made");
        file.write_all(text.as_bytes()).expect("written");
        path
    };
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (write("cert.pem", &made.cert.pem()), write("key.pem", &made.signing_key.serialize_pem()));
    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let options =
        ["--user", "shop", "--password", "s3cret", "--certificate", &path(&certificate), "--key", &path(&key)];
    let mut smtpd = Smtpd::start(&options).await;
    let password = write("password", "s3cret\n");
    let unknown = Config {
        smtp_host: "localhost".into(),
        smtp_tls: Tls::Starttls,
        smtp_user: "shop".into(),
        smtp_password_file: Some(password),
        ..smtpd.config()
    };
    let sold = Sold::to("Ann", "en", "Concert").await;
    let mailer = sold.shop.served.mailer(&unknown, folder.path());
    until("it was tried", async || sold.mail().await["attempts"].as_u64() > Some(0)).await;
    until("it was refused", async || sold.mail().await["last_outcome"] != "").await;
    assert_eq!(sold.mail().await["state"], "waiting");
    mailer.stop(Duration::from_secs(5)).await;

    let known = Config { smtp_ca_file: Some(certificate), ..unknown };
    let _mailer = sold.shop.served.mailer(&known, folder.path());
    smtpd.took().await;
    sold.mail_becomes("sent").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_mails_lie_in_the_data_directory() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let sold = Sold::to("Željka", "hr", "Noć").await;
    let _mailer = sold.shop.served.mailer(&Config::default(), folder.path());
    let row = sold.mail_becomes("sent").await;
    assert_eq!(row["last_outcome"], "written to the data directory");
    let file = folder.path().join(format!("mails/{}.eml", row["id"].as_str().expect("id")));
    let read = Read::of(&std::fs::read(file).expect("written"));
    assert_eq!(read.said["subject"], "Vaše ulaznice: Noć");
    assert_eq!(codes_on(&read.attached("tickets.pdf"), 1), sold.codes().await[..1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_50_names_and_titles_add_nothing_to_a_mail() {
    let mut smtpd = Smtpd::start(&[]).await;
    let name = "\"Ann\" <eve@example.org>, Bcc: all@example.org =?utf-8?q?x=0D=0ABcc:_eve@example.org?=";
    let title = "x\u{2028}Bcc: eve@example.org\u{2028}\u{2028}<img src=x onerror=alert(1)>";
    let sold = Sold::to(name, "en", title).await;
    let _mailer = sold.shop.served.mailer(&smtpd.config(), smtpd.folder.path());
    let (_, to, mail) = smtpd.took().await;
    assert_eq!(to, "ann@example.org");
    let read = Read::of(&mail);
    assert_eq!(read.said["to"].as_array().map(Vec::len), Some(1), "{}", read.said);
    assert_eq!(read.said["to"][0]["address"], "ann@example.org");
    assert!(!read.said["names"].as_array().expect("names").contains(&json!("bcc")), "{}", read.said);
    assert!(!read.said["html"].as_str().expect("html").contains("<img"), "{}", read.said);
}
