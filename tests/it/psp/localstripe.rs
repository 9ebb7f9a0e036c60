//! PyPI's localstripe as a process: PaymentIntents, refunds and webhooks as Stripe has them, but no Checkout Sessions.

use std::process::Stdio;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::stripe::KEY;

pub struct LocalStripe {
    pub url: String,
    client: reqwest::Client,
    _process: Child,
}

impl LocalStripe {
    /// Installs it at the first start.
    pub async fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/localstripe");
        let mut command = Command::new(script);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("scripts/packages test installs what it needs");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let line = lines.next_line().await.expect("text").expect("it says where it listens");
        let port = line.strip_prefix("listening ").expect("a port");
        let client = reqwest::Client::builder().no_proxy().build().expect("client");
        Self { url: format!("http://127.0.0.1:{port}"), client, _process: process }
    }

    pub async fn ask(&self, method: Method, path: &str, fields: &[(&str, &str)]) -> Value {
        let mut form = reqwest::Url::parse("form:").expect("a URL");
        form.query_pairs_mut().extend_pairs(fields);
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(KEY);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let response = request.body(form.query().unwrap_or_default().to_owned()).send().await.expect("an answer");
        let (status, text) = (response.status(), response.text().await.expect("a body"));
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Its own webhooks go there from now on, signed with this.
    pub async fn tell(&self, url: &str, secret: &str) {
        self.ask(Method::POST, "/_config/webhooks/shop", &[("url", url), ("secret", secret)]).await;
    }

    /// A card that is good, charged at once.
    pub async fn charge(&self, amount: i64, currency: &str, metadata: &[(String, String)]) -> String {
        let card = [
            ("type", "card"),
            ("card[number]", "4242424242424242"),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2040"),
            ("card[cvc]", "123"),
        ];
        let method = self.ask(Method::POST, "/v1/payment_methods", &card).await;
        let amount = amount.to_string();
        let mut fields = vec![
            ("amount", amount.as_str()),
            ("currency", currency),
            ("payment_method", method["id"].as_str().expect("an id")),
            ("confirm", "true"),
        ];
        fields.extend(metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let intent = self.ask(Method::POST, "/v1/payment_intents", &fields).await;
        assert_eq!(intent["status"], "succeeded", "{intent}");
        intent["id"].as_str().expect("an id").to_owned()
    }

    pub async fn refunds(&self, intent: &str) -> Vec<i64> {
        let path = format!("/v1/refunds?payment_intent={intent}&limit=100");
        let list = self.ask(Method::GET, &path, &[]).await;
        let refunds = list["data"].as_array().expect("a list");
        refunds.iter().map(|refund| refund["amount"].as_i64().expect("an amount")).collect()
    }
}
