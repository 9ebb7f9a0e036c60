//! `onsale queue`: steering an event's waiting room, as a client of the admin API.

mod gates;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use self::gates::{Switch, each_once, in_language};
use super::admin::{Admin, AdminOptions};
use crate::{
    domain::id::{EventId, FanId, InviteId},
    failure::Failure,
    http::admin_queue::body::QueueReport,
};

/// Between two looks of `watch`.
const LOOK: Duration = Duration::from_secs(1);
const BAR: usize = 30;

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Show how many wait, shop and come through.
    Show {
        #[command(flatten)]
        of: Of,
        /// What the admin API answers.
        #[arg(long)]
        json: bool,
    },
    /// Show it again each second, until interrupted.
    Watch {
        #[command(flatten)]
        of: Of,
    },
    /// List who waits, first in line first: a place and a fan a line.
    Members {
        #[command(flatten)]
        of: Of,
        /// Those behind this place.
        #[arg(long)]
        after: Option<u64>,
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
    },
    /// Let the first so many in now, whatever the rate, within free slots.
    Admit {
        #[command(flatten)]
        act: Act,
        count: u32,
    },
    /// Take places away: of these fans, or of the first so many.
    Remove {
        #[command(flatten)]
        act: Act,
        #[arg(required_unless_present = "first", conflicts_with = "first")]
        fans: Vec<FanId>,
        #[arg(long, value_name = "COUNT")]
        first: Option<u32>,
    },
    /// End the admissions of these fans.
    Revoke {
        #[command(flatten)]
        act: Act,
        #[arg(required = true)]
        fans: Vec<FanId>,
    },
    /// Take everybody's place away.
    Clear {
        #[command(flatten)]
        act: Act,
    },
    /// Let nobody in; places are kept.
    Pause {
        #[command(flatten)]
        act: Act,
    },
    /// Let fans in again.
    Resume {
        #[command(flatten)]
        act: Act,
    },
    /// Set how many are let in a minute at most.
    Rate {
        #[command(flatten)]
        act: Act,
        per_minute: u32,
    },
    /// Set how many may shop at once.
    Slots {
        #[command(flatten)]
        act: Act,
        slots: u32,
    },
    /// Set how fans are let in, and when there is a queue at all. What is left out stays.
    Mode {
        #[command(flatten)]
        act: Act,
        #[arg(value_parser = ["draw", "fifo", "random", "passthrough", "reject"], required_unless_present_any = ["engage_above", "release_below"])]
        mode: Option<String>,
        /// The queue forms when so many shop; 0: it is always there.
        #[arg(long, value_name = "SHOPPERS")]
        engage_above: Option<u32>,
        /// It lets go when fewer than these shop and nobody waits.
        #[arg(long, value_name = "SHOPPERS")]
        release_below: Option<u32>,
    },
    /// Tell all who wait something, in each language; instead of what they were told before.
    Notice {
        #[command(flatten)]
        act: Act,
        /// Once for each language.
        #[arg(long = "text", value_name = "LANGUAGE=TEXT", value_parser = in_language, required_unless_present = "clear", conflicts_with = "clear")]
        texts: Vec<(String, String)>,
        /// Take the notice away.
        #[arg(long)]
        clear: bool,
    },
    /// Move a waiting fan to another class, behind everybody who is there, or before everybody else. Counted in public.
    Move {
        #[command(flatten)]
        of: Of,
        #[arg(long)]
        fan: FanId,
        /// Code of a class of the event, or "default".
        #[arg(long, required_unless_present = "front", conflicts_with = "front")]
        class: Option<String>,
        #[arg(long)]
        front: bool,
        /// For the audit.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// These fans are in a class whenever they join from now on.
    Classify {
        #[command(flatten)]
        act: Act,
        /// Code of a class of the event; "default": of none.
        #[arg(long)]
        class: String,
        #[arg(required = true)]
        fans: Vec<FanId>,
    },
    /// Print the whole draw, as `onsale verify-draw` takes it.
    Draw {
        #[command(flatten)]
        of: Of,
    },
    /// Tell the value of the draw's beacon.
    Beacon {
        #[command(flatten)]
        act: Act,
        value: String,
    },
    /// Make invites to a queue that is for invited ones only, and print them: a token a line, with whom it is for.
    Invite {
        #[command(flatten)]
        act: Act,
        #[arg(long, required_unless_present = "people", conflicts_with = "people", value_parser = clap::value_parser!(u32).range(1..=1_000))]
        count: Option<u32>,
        /// Once for each person, in any words: it is told back beside the token, and kept nowhere.
        #[arg(long = "for", value_name = "NAME")]
        people: Vec<String>,
        /// Until when they can be used, such as 2030-05-31T20:00:00Z; a year from now at most.
        #[arg(long, value_name = "TIME")]
        expires: String,
    },
    /// Withdraw invites, by their ids: nobody gets in by them any more.
    Withdraw {
        #[command(flatten)]
        act: Act,
        #[arg(required = true)]
        invites: Vec<InviteId>,
    },
    /// Kill switch: nobody gets a place, an admission or a hold, of this event or of all, until it is lifted. Places, holds and
    /// orders that exist are kept.
    Halt {
        #[command(flatten)]
        switch: Switch,
        /// What all who wait are told, once for each language; of one event only.
        #[arg(long = "text", value_name = "LANGUAGE=TEXT", value_parser = in_language, conflicts_with = "all")]
        texts: Vec<(String, String)>,
    },
    /// Lift the halt of this event, or the one of all.
    Lift {
        #[command(flatten)]
        switch: Switch,
    },
    /// Make so many fans up: only on an installation for trials.
    Synthetic {
        #[command(flatten)]
        act: Act,
        count: u32,
    },
}

#[derive(Debug, Clone, clap::Args)]
pub struct Of {
    pub event: EventId,
    #[command(flatten)]
    pub admin: AdminOptions,
}

#[derive(Debug, Clone, clap::Args)]
pub struct Act {
    #[command(flatten)]
    pub of: Of,
    /// For the audit.
    #[arg(long, default_value = "from the command line", value_name = "TEXT")]
    pub reason: String,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let steered = match command {
        Command::Show { of, json: true } => {
            // As it came: also what a later version tells.
            let told: Value = Admin::new(of.admin)?.ask(Method::GET, &path(of.event, "?limit=1"), None).await?;
            println!("{}", serde_json::to_string_pretty(&told)?);
            return Ok(());
        }
        Command::Show { of, json: false } => {
            print!("{}", table(&Admin::new(of.admin)?.ask(Method::GET, &path(of.event, "?limit=1"), None).await?));
            return Ok(());
        }
        Command::Watch { of } => return watch(of).await,
        Command::Members { of, after, limit } => return members(of, after, limit).await,
        Command::Admit { act, count } => act.ask(Method::POST, "admit", json!({"count": count})).await?,
        Command::Remove { act, first: Some(count), .. } => {
            act.ask(Method::POST, "remove", json!({"count": count})).await?
        }
        Command::Remove { act, fans, first: None } => act.ask(Method::POST, "remove", json!({"fans": fans})).await?,
        Command::Revoke { act, fans } => act.ask(Method::POST, "revoke", json!({"fans": fans})).await?,
        Command::Clear { act } => act.ask(Method::POST, "clear", json!({})).await?,
        Command::Pause { act } => act.ask(Method::POST, "pause", json!({})).await?,
        Command::Resume { act } => act.ask(Method::POST, "resume", json!({})).await?,
        Command::Rate { act, per_minute } => act.ask(Method::PUT, "rate", json!({"per_minute": per_minute})).await?,
        Command::Mode { act, mode, engage_above, release_below } => {
            let body = json!({"mode": mode, "engage_above": engage_above, "release_below": release_below});
            act.ask(Method::PUT, "mode", body).await?
        }
        Command::Notice { act, texts, clear: _ } => {
            act.ask(Method::PUT, "notice", json!({"texts": each_once(texts)?})).await?
        }
        Command::Move { of, fan, class, front, reason } => {
            let act = Act { of, reason };
            let moved = act.ask(Method::POST, "move", json!({"fan": fan, "class": class, "front": front})).await?;
            println!("{fan} waits in {}", moved["moved_to"].as_str().unwrap_or_default());
            return Ok(());
        }
        Command::Classify { act, class, fans } => {
            act.ask(Method::PUT, "classes/members", json!({"class": class, "fans": fans})).await?
        }
        Command::Draw { of } => {
            let draw: Value = Admin::new(of.admin)?.ask(Method::GET, &path(of.event, "/draw"), None).await?;
            println!("{}", serde_json::to_string_pretty(&draw)?);
            return Ok(());
        }
        Command::Beacon { act, value } => {
            let draw = act.ask(Method::POST, "draw/beacon", json!({"value": value})).await?;
            println!("{}", serde_json::to_string_pretty(&draw)?);
            return Ok(());
        }
        Command::Synthetic { act, count } => act.ask(Method::POST, "synthetic", json!({"count": count})).await?,
        Command::Invite { act, count, people, expires } => return gates::invite(act, count, people, expires).await,
        Command::Withdraw { act, invites } => {
            act.ask(Method::POST, "invites/withdraw", json!({"invites": invites})).await?
        }
        Command::Halt { switch, texts } => switch.set(true, texts).await?,
        Command::Lift { switch } => switch.set(false, Vec::new()).await?,
        Command::Slots { act, slots } => act.ask(Method::PUT, "slots", json!({"slots": slots})).await?,
    };
    if gates::is_told(&steered) {
        return Ok(());
    }
    for (field, what) in [
        ("removed", "lost their places"),
        ("revoked", "are admitted no more"),
        ("added", "wait who are nobody"),
        ("classified", "join in that class from now on"),
    ] {
        if let Some(count) = steered[field].as_u64() {
            println!("{count} fans {what}");
            return Ok(());
        }
    }
    print!("{}", table(&serde_json::from_value(steered)?));
    Ok(())
}

impl Act {
    async fn ask(self, method: Method, verb: &str, mut body: Value) -> Result<Value, Failure> {
        body["reason"] = json!(self.reason);
        Admin::new(self.of.admin)?.ask(method, &path(self.of.event, &format!("/{verb}")), Some(body)).await
    }
}

fn path(event: EventId, rest: &str) -> String {
    format!("/events/{event}/queue{rest}")
}

async fn watch(of: Of) -> Result<(), Failure> {
    let (admin, path) = (Admin::new(of.admin)?, path(of.event, "?limit=1"));
    loop {
        println!("{}", line(&admin.ask(Method::GET, &path, None).await?));
        sleep(LOOK).await;
    }
}

async fn members(of: Of, after: Option<u64>, limit: u32) -> Result<(), Failure> {
    let after = after.map_or(String::new(), |after| format!("&after={after}"));
    let path = path(of.event, &format!("?limit={limit}{after}"));
    let report: QueueReport = Admin::new(of.admin)?.ask(Method::GET, &path, None).await?;
    for member in &report.members {
        println!("{:>20}  {}  {}", member.place.0, member.fan, member.class);
    }
    if let Some(next) = report.next_after {
        eprintln!("more: --after {next}");
    }
    Ok(())
}

fn table(report: &QueueReport) -> String {
    let pace = match (standstill(report), report.outflow_per_minute) {
        (Some(why), _) => why.to_owned(),
        (None, None) => "nobody came through yet".to_owned(),
        (None, Some(outflow)) => format!("{outflow} come through a minute"),
    };
    let net = match (report.engage_above, report.engaged) {
        (0, _) => String::new(),
        (_, true) => format!("; engaged, until fewer than {} shop", report.release_below),
        (above, false) => format!("; everybody comes through until {above} shop"),
    };
    let notice = report.notice.as_ref().map_or(String::new(), |notice| {
        let texts = notice.texts.iter().map(|(language, text)| format!("notice      {language}: {text}\n"));
        texts.collect()
    });
    format!(
        "waiting     {} ({} here)\nadmitted    {}\nslots       {} {} of {}\nrate        {} a minute at {} %; {pace}\n\
         mode        {}{net}\n{notice}",
        report.waiting,
        report.present,
        report.admissions,
        bar(report.slots_taken, report.slots),
        report.slots_taken,
        report.slots,
        report.rate_per_minute,
        report.pace_percent,
        report.mode.name(),
    )
}

fn standstill(report: &QueueReport) -> Option<&'static str> {
    match report {
        QueueReport { all_halted: true, .. } => Some("all events are halted"),
        QueueReport { halted: true, .. } => Some("halted"),
        QueueReport { paused: true, .. } => Some("paused"),
        _ => None,
    }
}

fn line(report: &QueueReport) -> String {
    let slots = bar(report.slots_taken, report.slots);
    let outflow = report.outflow_per_minute.map_or("-".to_owned(), |outflow| outflow.to_string());
    let paused = standstill(report).map_or(String::new(), |why| format!("  {why}"));
    format!(
        "{:>9} waiting {:>9} here  {slots} {:>6}/{:<6} {outflow:>6}/min{paused}",
        report.waiting, report.present, report.slots_taken, report.slots
    )
}

fn bar(part: u32, whole: u32) -> String {
    let full = (BAR as u64 * u64::from(part)).checked_div(u64::from(whole)).unwrap_or(0).min(BAR as u64) as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(BAR - full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::time::EventTime,
        http::{events::body::ModeBody, queue::notice::NoticeBody},
    };

    fn report() -> QueueReport {
        QueueReport {
            waiting: 1_234,
            present: 1_100,
            admissions: 40,
            slots_taken: 50,
            slots: 100,
            rate_per_minute: 600,
            paused: false,
            mode: ModeBody::Fifo,
            engaged: true,
            engage_above: 0,
            release_below: 0,
            pace_percent: 100,
            outflow_per_minute: Some(598),
            notice: None,
            manual_moves: 0,
            halted: false,
            all_halted: false,
            members: Vec::new(),
            next_after: None,
        }
    }

    #[test]
    fn slots_are_drawn_and_never_beyond_the_bar() {
        for (part, whole, full) in [(0, 9, 0), (50, 100, 15), (9, 9, 30), (12, 9, 30), (0, 0, 0), (3, 0, 0)] {
            let drawn = bar(part, whole);
            assert_eq!((drawn.matches('█').count(), drawn.chars().count()), (full, BAR), "{part} of {whole}");
        }
    }

    #[test]
    fn the_mode_is_told_and_whether_there_is_a_queue() {
        let with_net = |engaged| QueueReport { engage_above: 90, release_below: 40, engaged, ..report() };
        for (report, told) in [
            (report(), "mode        fifo\n"),
            (with_net(true), "mode        fifo; engaged, until fewer than 40 shop\n"),
            (with_net(false), "mode        fifo; everybody comes through until 90 shop\n"),
        ] {
            assert!(table(&report).ends_with(told), "{}", table(&report));
        }
    }

    #[test]
    fn the_notice_is_shown_in_each_language() {
        let texts = [("en".to_owned(), "Later.".to_owned()), ("hr".to_owned(), "Kasnije.".to_owned())].into();
        let notice = Some(NoticeBody { texts, at: EventTime(1_000).into() });
        let told = table(&QueueReport { notice, ..report() });
        assert!(told.ends_with("mode        fifo\nnotice      en: Later.\nnotice      hr: Kasnije.\n"), "{told}");
        assert_eq!(in_language("en=1=1").expect("good"), ("en".to_owned(), "1=1".to_owned()));
        assert!(in_language("en").is_err());
    }

    #[test]
    fn a_paused_queue_says_so() {
        let running = report();
        let paused = QueueReport { paused: true, ..report() };
        assert!(table(&running).contains("600 a minute at 100 %; 598 come through"));
        assert!(table(&paused).contains("paused") && line(&paused).contains("paused"));
        assert!(!line(&running).contains("paused"));
    }
}
