//! S-52: who somebody is, and what proves it, is in no log, whatever goes wrong on the way.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    harness::{PASSWORD, eventually},
    node::Site,
    rush::{event_body, seat_plan},
    sale::mails::{Read, Smtpd},
};

const ADDRESS: &str = "canary-7f3a91@example.org";
const NAME: &str = "Quetzalcoatl Canary";

struct Walk {
    client: Client,
    url: String,
    access: String,
}

impl Walk {
    async fn ask(&self, method: Method, path: &str, admission: &str, body: Option<Value>) -> Value {
        let key = format!("{:x}", rand::random::<u128>());
        let request = self.client.request(method, format!("{}/api/v1{path}", self.url)).header("idempotency-key", key);
        let request = request.header("onsale-admission", admission).bearer_auth(&self.access);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let response = request.send().await.expect("an answer");
        assert!(response.status().is_success(), "{path}: {response:?}");
        response.json().await.unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_52_no_address_name_password_token_or_code_is_in_a_log() {
    // The first attempts fail, and the server names the address while it says so.
    let mut smtpd = Smtpd::start(&["--later", "1"]).await;
    let site = Site::embedded()
        .set("log.filter", "debug")
        .set("mail.smtp_host", "127.0.0.1")
        .set("mail.smtp_port", &smtpd.port.to_string())
        .set("mail.smtp_tls", "off")
        .set("mail.retry_after", "1");
    let node = site.start().await;
    let event = site.event(event_body(), Some(seat_plan())).await;
    let mut secrets = vec![ADDRESS.to_owned(), NAME.to_owned(), PASSWORD.to_owned()];

    let client = Client::builder().no_proxy().build().expect("client");
    let walk = Walk { client, url: site.url().to_owned(), access: "nobody's.token.00canary00".into() };
    let account = json!({"email": ADDRESS, "password": PASSWORD, "name": NAME, "language": "hr"});
    let signed_in = walk.ask(Method::POST, "/auth/register", "", Some(account)).await;
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    secrets.extend([text(&signed_in["access_token"]), text(&signed_in["refresh_token"])]);
    let walk = Walk { access: text(&signed_in["access_token"]), ..walk };
    // What is refused is told of, too.
    let wrong = json!({"email": ADDRESS, "password": "wrong-canary-password"});
    let refused = walk.client.post(format!("{}/api/v1/auth/login", walk.url)).json(&wrong).send().await;
    assert_eq!(refused.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    secrets.push("wrong-canary-password".into());

    let queue = format!("/events/{event}/queue");
    walk.ask(Method::POST, &queue, "", Some(json!({}))).await;
    let admission = eventually("admitted", async || {
        let state = walk.ask(Method::GET, &queue, "", None).await;
        if state["state"] == "called" {
            walk.ask(Method::POST, &format!("{queue}/claim"), "", Some(json!({}))).await;
        }
        state["acceptedTokenId"].as_str().filter(|token| !token.is_empty()).map(str::to_owned)
    })
    .await;
    let wanted = json!({"best_available": {"ticket_type": "STALLS", "quantity": 1}});
    let hold = walk.ask(Method::POST, &format!("/events/{event}/holds"), &admission, Some(wanted)).await;
    secrets.push(admission);
    let order = format!("/orders/{}", text(&hold["reference"]));
    let opened = walk.ask(Method::POST, &format!("{order}/checkout"), "", Some(json!({"provider": "sandbox"}))).await;
    let page =
        walk.client.post(text(&opened["payment_url"])).header("content-type", "application/x-www-form-urlencoded");
    assert!(page.body("outcome=pay").send().await.expect("an answer").status().is_success());
    let code = eventually("ticketed", async || {
        let tickets = walk.ask(Method::GET, "/tickets", "", None).await;
        tickets["items"][0]["code"].as_str().map(str::to_owned)
    })
    .await;
    secrets.push(code);
    let pdf = walk.client.get(format!("{}/api/v1{order}/tickets.pdf", walk.url)).bearer_auth(&walk.access).send().await;
    assert_eq!(pdf.expect("an answer").status(), StatusCode::OK);
    // Once in vain, once for good.
    assert_eq!((smtpd.took().await.1, smtpd.took().await.1), (ADDRESS.to_owned(), ADDRESS.to_owned()));

    // What opens the account, and its address.
    walk.ask(Method::POST, "/auth/verify", "", Some(json!({}))).await;
    walk.ask(Method::POST, "/auth/reset", "", Some(json!({"email": ADDRESS}))).await;
    let (mut code, mut link) = (String::new(), String::new());
    while code.is_empty() || link.is_empty() {
        let said = Read::of(&smtpd.took().await.2).said;
        for word in said["text"].as_str().expect("a text").split_whitespace() {
            if word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit()) {
                code = word.to_owned();
            } else if word.contains("/verify/") {
                link = word.to_owned();
            }
        }
    }
    let pressed = walk.client.post(&link).send().await.expect("an answer");
    assert_eq!(pressed.status(), StatusCode::OK);
    let confirm = json!({"email": ADDRESS, "code": code, "new_password": "new-canary-password"});
    walk.ask(Method::POST, "/auth/reset/confirm", "", Some(confirm)).await;
    let (_, token) = link.rsplit_once('/').expect("a token");
    secrets.extend([token.to_owned(), "new-canary-password".into()]);

    node.signal("TERM").await;
    let (status, log) = node.ended(Duration::from_secs(30)).await;
    assert!(status.success(), "{status}: {log}");
    assert!(log.contains("a mail has to wait") && log.contains("DEBUG"), "it says nothing: {log}");
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "{secret} is in the log: {log}");
    }
    assert!(!log.contains("canary"), "{log}");
    // As a part of an id its digits may be anywhere.
    assert!(!log.split(|c: char| !c.is_alphanumeric()).any(|word| word == code), "{code} is in the log: {log}");
}
