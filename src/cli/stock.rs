//! `onsale stock`: a client of the admin API.

use reqwest::Method;
use serde_json::{Value, json};

use super::admin::{Admin, AdminOptions};
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
    #[command(flatten)]
    pub admin: AdminOptions,
}

pub async fn run(options: Options) -> Result<(), Failure> {
    let path = format!("/events/{}/stock", options.event);
    let (method, body) = match (&options.ticket_type, options.stock) {
        (Some(ticket_type), Some(stock)) => {
            (Method::PUT, Some(json!({"ticket_type": ticket_type, "stock": stock, "reason": options.reason})))
        }
        _ => (Method::GET, None),
    };
    let body: Value = Admin::new(options.admin)?.ask(method, &path, body).await?;
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
