//! `onsale stock`: a client of the admin API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    domain::{code::Code, id::EventId},
    failure::Failure,
};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    pub event: EventId,
    /// Ticket type to set; without it, all are shown.
    #[arg(requires = "stock")]
    pub ticket_type: Option<Code>,
    /// How many there shall be in all, never fewer than are held or sold.
    pub stock: Option<u32>,
    #[arg(long, default_value = "")]
    pub reason: String,
    /// The admin listener.
    #[arg(long, default_value = "http://127.0.0.1:9090")]
    pub admin_url: String,
    /// Access token of an operator, an admin, or the event's organizer.
    #[arg(long, env = "ONSALE_TOKEN", hide_env_values = true)]
    pub token: String,
}

pub async fn run(options: Options) -> Result<(), Failure> {
    let url = format!("{}/api/v1/admin/events/{}/stock", options.admin_url.trim_end_matches('/'), options.event);
    let (method, body) = match (&options.ticket_type, options.stock) {
        (Some(ticket_type), Some(stock)) => {
            (Method::PUT, Some(json!({"ticket_type": ticket_type, "stock": stock, "reason": options.reason})))
        }
        _ => (Method::GET, None),
    };
    let mut request = reqwest::Client::new()
        .request(method, url)
        .bearer_auth(&options.token)
        .timeout(std::time::Duration::from_secs(10));
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
    println!("{:<32} {:>10} {:>10} {:>10} {:>10} {:>10}", "ticket type", "capacity", "free", "held", "sold", "blocked");
    for row in body["ticket_types"].as_array().into_iter().flatten() {
        let number = |field: &str| row[field].as_u64().unwrap_or(0);
        println!(
            "{:<32} {:>10} {:>10} {:>10} {:>10} {:>10}",
            row["code"].as_str().unwrap_or(""),
            number("capacity"),
            number("free"),
            number("held"),
            number("sold"),
            number("blocked")
        );
    }
    Ok(())
}
