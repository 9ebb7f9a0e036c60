//! Passes for telephones, as foreign programs read them.

use std::{
    io::{Cursor, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use onsale::stores::wallets::{Wallets, config::Config};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{papers::foreign, shop::Shop};
use crate::served::{Served, SignedIn, config};

/// An authority, a certificate of it with its key, and a service account's key.
struct Papers(TempDir);

impl Papers {
    fn made() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let openssl = |arguments: &str| {
            let mut command = Command::new("openssl");
            let done = command.args(arguments.split(' ')).current_dir(folder.path()).output().expect("openssl");
            assert!(done.status.success(), "{arguments}: {done:?}");
        };
        openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=Authority -days 30");
        openssl("req -newkey rsa:2048 -nodes -keyout pass.key -out pass.csr -subj /CN=pass.example.tickets");
        openssl("x509 -req -in pass.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out pass.crt -days 30");
        openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out google.key");
        openssl("pkey -in google.key -pubout -out google.pub");
        let papers = Self(folder);
        let chain = [papers.read("pass.crt"), papers.read("ca.pem")].concat();
        std::fs::write(papers.path("pass.pem"), chain).expect("written");
        let key = String::from_utf8(papers.read("google.key")).expect("PEM");
        let account = json!({"type": "service_account", "client_email": "shop@example.org", "private_key": key});
        std::fs::write(papers.path("google.json"), account.to_string()).expect("written");
        for secret in ["pass.key", "google.json"] {
            let private = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(papers.path(secret), private).expect("set");
        }
        papers
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("there")
    }

    fn config(&self) -> Config {
        Config {
            organization: "Shop".into(),
            apple_pass_type: "pass.example.tickets".into(),
            apple_team: "A1B2C3D4E5".into(),
            apple_certificate_file: Some(self.path("pass.pem")),
            apple_key_file: Some(self.path("pass.key")),
            google_issuer: "3388".into(),
            google_account_file: Some(self.path("google.json")),
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

async fn bought(shop: &Shop, concert: Value) -> (SignedIn, Value) {
    let event = shop.draft(concert).await;
    shop.steer(&event, "publish").await.expect(StatusCode::OK);
    let fan = shop.served.register_as("ann@example.org", "김민수", "ko").await;
    shop.bought(&event, &fan, &json!({"seats": ["A-1-1"]})).await;
    let ticket = shop.tickets(&fan).await[0].clone();
    (fan, ticket)
}

fn path_of(ticket: &Value, what: &str) -> String {
    format!("/api/v1/tickets/{}/{what}", ticket["id"].as_str().expect("an id"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_for_apples_wallet_is_complete_and_its_signature_holds() {
    let (shop, papers) = (Shop::open().await, Papers::made());
    let (fan, ticket) = bought(&shop, Shop::concert()).await;
    let wallets = Wallets::open(&papers.config()).expect("a good configuration");
    let node: Served = shop.served.beside_with_wallets(config(), wallets).await;
    let url = format!("{}{}", node.public, path_of(&ticket, "apple.pkpass"));
    let answer = node.client.get(url).bearer_auth(&fan.access).send().await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "application/vnd.apple.pkpass");
    let packed = answer.bytes().await.expect("a pass").to_vec();
    let mut archive = zip::ZipArchive::new(Cursor::new(packed)).expect("a ZIP");
    let mut file = |name: &str| {
        let mut bytes = Vec::new();
        archive.by_name(name).expect(name).read_to_end(&mut bytes).expect("read");
        bytes
    };
    let manifest: Value = serde_json::from_slice(&file("manifest.json")).expect("JSON");
    for name in ["pass.json", "icon.png", "icon@2x.png"] {
        let hash = foreign("sha1sum", &[], &file(name));
        assert_eq!(manifest[name].as_str().expect("a hash"), &String::from_utf8_lossy(&hash)[..40], "{name}");
    }
    let pass: Value = serde_json::from_slice(&file("pass.json")).expect("JSON");
    assert_eq!(pass["barcodes"][0]["message"], ticket["code"]);
    assert_eq!(pass["eventTicket"]["auxiliaryFields"][2]["value"], "김민수");
    let (signature, content) = (papers.path("signature"), papers.path("manifest.json"));
    std::fs::write(&signature, file("signature")).expect("written");
    std::fs::write(&content, file("manifest.json")).expect("written");
    let authority = papers.path("ca.pem");
    let verify =
        ["smime", "-verify", "-inform", "DER", "-purpose", "any", "-binary", "-CAfile", text(&authority), "-in"];
    let verified = foreign("openssl", &[&verify[..], &[text(&signature), "-content", text(&content)]].concat(), b"");
    assert_eq!(verified, file("manifest.json"));
    std::fs::write(&content, "{}").expect("written");
    let altered = Command::new("openssl").args(verify).args([text(&signature), "-content", text(&content)]).output();
    assert!(!altered.expect("openssl").status.success(), "of other files it says nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_for_googles_wallet_is_signed_by_the_service_account() {
    let (shop, papers) = (Shop::open().await, Papers::made());
    let (fan, ticket) = bought(&shop, Shop::concert()).await;
    let wallets = Wallets::open(&papers.config()).expect("a good configuration");
    let node = shop.served.beside_with_wallets(config(), wallets).await;
    let link = node.get(&path_of(&ticket, "google-wallet"), Some(&fan.access)).await.expect(StatusCode::OK);
    let token =
        link["url"].as_str().expect("a URL").strip_prefix("https://pay.google.com/gp/v/save/").expect("Google's");
    let (signed, signature) = token.rsplit_once('.').expect("a JWT");
    let (header, claims) = signed.split_once('.').expect("a JWT");
    let read = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
    };
    assert_eq!(read(header)["alg"], "RS256");
    let claims = read(claims);
    assert_eq!([&claims["iss"], &claims["aud"], &claims["typ"]], ["shop@example.org", "google", "savetowallet"]);
    assert_eq!(claims["payload"]["eventTicketObjects"][0]["barcode"]["value"], ticket["code"]);
    let file = papers.path("signature");
    std::fs::write(&file, URL_SAFE_NO_PAD.decode(signature).expect("base64url")).expect("written");
    let key = papers.path("google.pub");
    let arguments = ["dgst", "-sha256", "-verify", text(&key), "-signature", text(&file)];
    assert_eq!(foreign("openssl", &arguments, signed.as_bytes()), b"Verified OK\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_are_no_certificates_or_codes_change_there_is_no_pass() {
    let (shop, papers) = (Shop::open().await, Papers::made());
    let mut concert = Shop::concert();
    concert["ticket_rules"] = json!({"rotating_codes": true});
    let (fan, ticket) = bought(&shop, concert).await;
    let wallets = Wallets::open(&papers.config()).expect("a good configuration");
    let node = shop.served.beside_with_wallets(config(), wallets).await;
    for served in [&shop.served, &node] {
        for wallet in ["apple.pkpass", "google-wallet"] {
            let answer = served.get(&path_of(&ticket, wallet), Some(&fan.access)).await;
            assert_eq!(answer.problem(), (409, "no_wallet".into()), "{wallet}");
        }
    }
}

#[test]
fn half_a_configuration_is_refused_with_the_key_that_is_wrong() {
    let papers = Papers::made();
    let wrong = |change: fn(&mut Config)| {
        let mut config = papers.config();
        change(&mut config);
        Wallets::open(&config).err().expect("wrong").key
    };
    for (key, change) in [
        ("apple_key_file", (|config| config.apple_key_file = None) as fn(&mut Config)),
        ("apple_certificate_file", |config| config.apple_certificate_file = None),
        ("apple_team", |config| config.apple_team.clear()),
        ("apple_key_file", |config| config.apple_key_file.clone_from(&config.apple_certificate_file)),
        ("apple_certificate_file", |config| config.apple_certificate_file.clone_from(&config.google_account_file)),
        ("google_account_file", |config| config.google_account_file = None),
        ("google_account_file", |config| config.google_account_file.clone_from(&config.apple_key_file)),
    ] {
        assert_eq!(wrong(change), key);
    }
    Wallets::open(&Config::default()).expect("none at all");
}
