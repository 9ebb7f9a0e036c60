//! What the demonstration shows: bars while it runs, a summary, how to go on by hand. All on standard error but the summary.

use std::{
    collections::{HashMap, HashSet},
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{
    Said, Summary, Verdict,
    audit::Audit,
    drill,
    fans::{self, Outcome, Report, Shares, Step},
    setting::{self, Setting},
};
use crate::domain::id::{EventId, FanId};

pub struct Display {
    all: MultiProgress,
    waiting: ProgressBar,
    admitted: ProgressBar,
    held: ProgressBar,
    paid: ProgressBar,
    ticketed: ProgressBar,
    done: ProgressBar,
    /// Without a terminal: a line now and then.
    last_line: Option<Instant>,
    /// Admitted at least once.
    seen: HashSet<FanId>,
    /// Tickets that are held now.
    holds: HashMap<FanId, u32>,
}

const LINE_EVERY: Duration = Duration::from_secs(2);

impl Display {
    pub fn new(fans: u32, stock: u32) -> Self {
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("{prefix:>16} {wide_bar:.cyan/blue} {pos:>7}/{len}")
            .expect("a fixed template");
        let bar = |name: &'static str, length: u32| {
            all.add(ProgressBar::new(u64::from(length)).with_style(style.clone()).with_prefix(name))
        };
        Self {
            waiting: bar("waiting", fans),
            admitted: bar("admitted", fans),
            held: bar("held tickets", stock),
            paid: bar("paid orders", fans),
            ticketed: bar("tickets", stock),
            done: bar("fans done", fans),
            last_line: (!std::io::stderr().is_terminal()).then(Instant::now),
            all,
            seen: HashSet::new(),
            holds: HashMap::new(),
        }
    }

    pub fn show(&mut self, report: &Report) {
        let down = |bar: &ProgressBar, by: u32| bar.set_position(bar.position().saturating_sub(by.into()));
        match &report.step {
            Step::Joined => self.waiting.inc(1),
            Step::Admitted => {
                down(&self.waiting, 1);
                // Once for each fan: who finds nothing queues again.
                if self.seen.insert(report.fan) {
                    self.admitted.inc(1);
                }
            }
            Step::Held { quantity, .. } => {
                self.holds.insert(report.fan, *quantity);
                self.held.inc(u64::from(*quantity));
            }
            Step::Paid { .. } => self.paid.inc(1),
            Step::Done(outcome) => {
                self.done.inc(1);
                down(&self.held, self.holds.remove(&report.fan).unwrap_or(0));
                match outcome {
                    Outcome::Ticketed { tickets, .. } => self.ticketed.inc(u64::from(*tickets)),
                    Outcome::SoldOut | Outcome::Left => down(&self.waiting, 1),
                    Outcome::Failed { why } => self.note(&format!("a fan failed: {why}")),
                    Outcome::Lapsed { .. } | Outcome::Declined { .. } | Outcome::Refunded { .. } => {}
                }
            }
        }
        self.line();
    }

    pub fn note(&self, text: &str) {
        self.all.suspend(|| eprintln!("{text}"));
    }

    fn line(&mut self) {
        let Some(last) = &mut self.last_line else { return };
        if last.elapsed() < LINE_EVERY {
            return;
        }
        *last = Instant::now();
        eprintln!(
            "waiting {}  admitted {}  held {}  paid {}  tickets {}  done {}",
            self.waiting.position(),
            self.admitted.position(),
            self.held.position(),
            self.paid.position(),
            self.ticketed.position(),
            self.done.position()
        );
    }

    pub fn finish(&self) {
        for bar in [&self.waiting, &self.admitted, &self.held, &self.paid, &self.ticketed, &self.done] {
            bar.abandon();
        }
        eprintln!();
    }
}

/// What is unlike a real sale, and what the fans will do.
pub fn introduce() {
    eprintln!(
        "Times are shortened for the demonstration: a hold lasts {} s, and a place is\n\
         kept {} s after its socket closes. Of the fans {}% leave, {}% let their hold\n\
         lapse, {}% decline to pay; {}% reconnect, {}% send their hold twice with one key.\n\
         Their accounts are put into the database beforehand, with the cheapest password\n\
         hash (bcrypt cost {}), or hashing alone would take minutes; they sign in through\n\
         the API like anybody.",
        setting::HOLD_SECONDS,
        setting::GRACE_SECONDS,
        Shares::SHOW.leave,
        Shares::SHOW.lapse,
        Shares::SHOW.decline,
        fans::RECONNECT,
        fans::RETRY,
        setting::BCRYPT_COST
    );
}

/// What is to be seen, and what is unlike a real sale.
pub fn introduce_drill(fans: u32) {
    let Shares { decline, late, repeated, .. } = Shares::DRILL;
    eprintln!(
        "Every fan orders. {decline}% decline to pay, of {late}% the payment is told when their hold of {} s has lapsed, of\n\
         {repeated}% it is told repeatedly. RabbitMQ and PostgreSQL are killed, one after the other, and started again.",
        drill::hold_seconds(fans)
    );
}

pub fn summary(summary: &Summary, audit: &Audit, said: &Said) {
    let count = |wanted: fn(&Outcome) -> bool| said.outcomes.values().filter(|outcome| wanted(outcome)).count();
    println!();
    println!("{} fans in {:.1} s, seed {}", summary.fans, summary.seconds, summary.seed);
    println!("  ticketed {:>7}", count(|outcome| matches!(outcome, Outcome::Ticketed { .. })));
    println!("  sold out {:>7}  (were told so)", summary.sold_out_answers);
    println!("  left     {:>7}", count(|outcome| *outcome == Outcome::Left));
    println!("  lapsed   {:>7}", count(|outcome| matches!(outcome, Outcome::Lapsed { .. })));
    println!("  declined {:>7}", count(|outcome| matches!(outcome, Outcome::Declined { .. })));
    println!("  refunded {:>7}", count(|outcome| matches!(outcome, Outcome::Refunded { .. })));
    println!("Audit, from the stores:");
    println!(
        "  admissions {}, holds {}, journal segments {}, epochs {}",
        summary.admitted, summary.holds, audit.segments, audit.epochs
    );
    for row in &audit.stock {
        println!("  {row}");
    }
    println!(
        "  tickets {} = paid {}; oversold {}, overtaken {}",
        summary.tickets, summary.paid_tickets, summary.oversold, summary.overtaken
    );
    if let Some(drill) = &summary.drill {
        println!("{drill}");
    }
    match &summary.audit {
        Verdict::Clean(_) => println!("  clean"),
        Verdict::Wrong(wrong) => wrong.iter().for_each(|what| println!("  WRONG: {what}")),
    }
}

pub fn how_to_join(setting: &Setting, event: EventId, stock: u32) {
    eprintln!("\nThe node stays up until Ctrl-C. {}", setting.lines_to_try(event, stock));
}
