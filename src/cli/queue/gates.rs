//! `onsale queue`: who gets in at all: the kill switch, invites.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::Act;
use crate::{
    cli::admin::{Admin, AdminOptions},
    domain::id::EventId,
    failure::Failure,
    http::admin_queue::invites::{Invite, Invites},
};

#[derive(Debug, Clone, clap::Args)]
pub struct Switch {
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub event: Option<EventId>,
    /// All events of the installation, on all nodes.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub admin: AdminOptions,
    /// For the audit.
    #[arg(long, default_value = "from the command line", value_name = "TEXT")]
    pub reason: String,
}

impl Switch {
    pub(super) async fn set(self, halted: bool, texts: Vec<(String, String)>) -> Result<Value, Failure> {
        let mut body = json!({"halted": halted, "reason": self.reason});
        if !texts.is_empty() {
            body["texts"] = json!(each_once(texts)?);
        }
        let path = self.event.map_or_else(|| "/halt".to_owned(), |event| format!("/events/{event}/halt"));
        Admin::new(self.admin)?.ask(Method::PUT, &path, Some(body)).await
    }
}

/// Makes invites and prints them.
pub(super) async fn invite(act: Act, count: Option<u32>, people: Vec<String>, expires: String) -> Result<(), Failure> {
    let mut body = json!({"expires_at": expires});
    match count {
        Some(count) => body["count"] = json!(count),
        None => body["for"] = json!(people),
    }
    let made: Invites = serde_json::from_value(act.ask(Method::POST, "invites", body).await?)?;
    for Invite { invite, token, r#for, .. } in made.invites {
        println!("{token}  {invite}  {}", r#for.unwrap_or_default());
    }
    Ok(())
}

/// Prints what withdrawing invites, and halting all events, is answered.
pub(super) fn is_told(answer: &Value) -> bool {
    if let Some(count) = answer["withdrawn"].as_u64() {
        println!("{count} invites are withdrawn");
        return true;
    }
    // An event's own switch is answered with its whole queue.
    match answer["halted"].as_bool().filter(|_| answer.get("waiting").is_none()) {
        Some(halted) => println!("all events: {}", if halted { "halted" } else { "not halted" }),
        None => return false,
    }
    true
}

pub(super) fn each_once(texts: Vec<(String, String)>) -> Result<BTreeMap<String, String>, Failure> {
    let named = texts.len();
    let texts: BTreeMap<String, String> = texts.into_iter().collect();
    if texts.len() < named { Err("a language is named twice".into()) } else { Ok(texts) }
}

pub(super) fn in_language(argument: &str) -> Result<(String, String), String> {
    let (language, text) =
        argument.split_once('=').ok_or("LANGUAGE=TEXT is expected, such as \"en=The hall opens late.\"")?;
    Ok((language.to_owned(), text.to_owned()))
}
