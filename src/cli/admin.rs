//! What commands that are clients of the admin API share: where it is, who asks, and what it says.

use std::time::Duration;

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::Failure;

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, clap::Args)]
pub struct AdminOptions {
    /// The admin listener.
    #[arg(long, default_value = "http://127.0.0.1:9090", value_name = "URL")]
    pub admin_url: String,
    /// Access token of an account that may do this.
    #[arg(long, env = "ONSALE_TOKEN", hide_env_values = true)]
    pub token: String,
}

pub struct Admin {
    client: reqwest::Client,
    options: AdminOptions,
}

impl Admin {
    pub fn new(options: AdminOptions) -> Result<Self, Failure> {
        Ok(Self { client: reqwest::Client::builder().timeout(PATIENCE).build()?, options })
    }

    /// `path` begins below `/api/v1/admin`. A refusal is told as the API words it.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, Failure> {
        let url = format!("{}/api/v1/admin{path}", self.options.admin_url.trim_end_matches('/'));
        let mut request = self.client.request(method, url).bearer_auth(&self.options.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status();
        let body: Value = response.json().await.map_err(|error| format!("{status}: {error}"))?;
        if !status.is_success() {
            let said = body["detail"].as_str().or(body["title"].as_str()).unwrap_or("refused");
            return Err(format!("{status}: {said} ({})", body["code"].as_str().unwrap_or("no code")).into());
        }
        Ok(serde_json::from_value(body).map_err(|error| format!("{path} answers in another form: {error}"))?)
    }
}
