//! What the demonstration shows: bars while it runs, a summary, how to go on by hand. All on standard error but the summary.

use std::{
    io::IsTerminal,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{
    Said, Summary, Verdict,
    audit::Audit,
    fans::{Outcome, Step},
    setting::Setting,
};
use crate::domain::id::EventId;

pub struct Display {
    all: MultiProgress,
    waiting: ProgressBar,
    admitted: ProgressBar,
    held: ProgressBar,
    paid: ProgressBar,
    ticketed: ProgressBar,
    done: ProgressBar,
    /// Without a terminal: a line now and then.
    last_line: Option<Mutex<Instant>>,
}

const LINE_EVERY: Duration = Duration::from_secs(2);

impl Display {
    pub fn new(fans: u32, stock: u32) -> Self {
        let all = MultiProgress::new();
        let style =
            ProgressStyle::with_template("{prefix:>16} {bar:40.cyan/blue} {pos:>7}/{len}").expect("a fixed template");
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
            last_line: (!std::io::stderr().is_terminal()).then(|| Mutex::new(Instant::now())),
            all,
        }
    }

    pub fn show(&self, step: &Step) {
        let down = |bar: &ProgressBar| bar.set_position(bar.position().saturating_sub(1));
        match step {
            Step::Joined => self.waiting.inc(1),
            Step::Admitted => {
                down(&self.waiting);
                self.admitted.inc(1);
            }
            Step::Held { quantity, .. } => self.held.inc(u64::from(*quantity)),
            Step::Paid { .. } => self.paid.inc(1),
            Step::Done(outcome) => {
                self.done.inc(1);
                match outcome {
                    Outcome::Ticketed { tickets, .. } => self.ticketed.inc(u64::from(*tickets)),
                    Outcome::SoldOut | Outcome::Left => down(&self.waiting),
                    Outcome::Failed { why } => self.note(&format!("a fan failed: {why}")),
                    _ => {}
                }
            }
        }
        self.line();
    }

    pub fn note(&self, text: &str) {
        self.all.suspend(|| eprintln!("{text}"));
    }

    fn line(&self) {
        let Some(last) = &self.last_line else { return };
        let Ok(mut last) = last.lock() else { return };
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
    }
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
    match &summary.audit {
        Verdict::Clean(_) => println!("  clean"),
        Verdict::Wrong(wrong) => wrong.iter().for_each(|what| println!("  WRONG: {what}")),
    }
}

pub fn how_to_join(setting: &Setting, event: EventId) {
    eprintln!("\nThe node stays up until Ctrl-C.");
    for line in setting.lines_to_try(event) {
        eprintln!("{line}");
    }
}
