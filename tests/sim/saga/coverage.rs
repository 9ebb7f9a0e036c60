//! Every walk, every step of it, every harm to that step: run one by one, counted, and checked to the end of each.

use std::{collections::BTreeMap, env, fmt::Write as _, thread};

use crate::{
    bug::Bug,
    saga::{Harm, Script, Step, Strike, Walk},
    world::World,
};

/// What is repeated without end, such as asking again, is struck so often.
const MOST_TIMES: u32 = 6;

/// Bugs of the saga. Each must be found by some cell of such a walk.
const BUGS: [(Bug, Walk); 12] = [
    (Bug::AcknowledgeBeforeCommit, Walk::InTime),
    (Bug::AnswerWebhookBeforeCommit, Walk::InTime),
    (Bug::ConfirmUnderAnotherPayment, Walk::InTime),
    (Bug::ConsumerWithoutDeduplication, Walk::InTime),
    (Bug::CountCardOnceTicketed, Walk::Limited),
    (Bug::ForgetTakenMail, Walk::InTime),
    (Bug::FreeTheSeatTaken, Walk::Moved),
    (Bug::LeaveBothSeats, Walk::Moved),
    (Bug::MarkPublishedBeforeConfirm, Walk::InTime),
    (Bug::RecordMailBeforeSending, Walk::InTime),
    (Bug::RefundUnderNewKey, Walk::LateStockGone),
    (Bug::TakeReturnTwice, Walk::Returned),
];

/// How one run ended.
struct Run {
    walk: Walk,
    strike: Strike,
    struck: bool,
    violation: Option<String>,
}

fn run(walk: Walk, strike: Option<Strike>, bug: Option<Bug>, print: bool) -> World {
    let mut world = World::scripted(Script::new(walk, strike), bug, print);
    world.run();
    world
}

/// How often a walk comes to each step when nothing happens to it.
fn steps_of(walk: Walk) -> BTreeMap<Step, u32> {
    run(walk, None, None, false).script.map(|script| script.met).unwrap_or_default()
}

fn strikes() -> Vec<(Walk, Strike)> {
    let mut strikes = Vec::new();
    for (walk, ..) in Walk::ALL {
        for (step, times) in steps_of(walk) {
            for nth in 1..=times.min(MOST_TIMES) {
                let harms = Harm::ALL.into_iter().filter(|(harm, _)| step.can(*harm));
                strikes.extend(harms.map(|(harm, _)| (walk, Strike { step, nth, harm })));
            }
        }
    }
    strikes
}

fn run_all(bug: Option<Bug>) -> Vec<Run> {
    let strikes = strikes();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let work = |worker| {
            let own: Vec<_> = strikes.iter().skip(worker).step_by(workers).copied().collect();
            scope.spawn(move || own.into_iter().map(|(walk, strike)| run_one(walk, strike, bug)).collect::<Vec<_>>())
        };
        let workers: Vec<_> = (0..workers).map(work).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("the machines do not panic")).collect()
    })
}

fn run_one(walk: Walk, strike: Strike, bug: Option<Bug>) -> Run {
    let world = run(walk, Some(strike), bug, false);
    let struck = world.script.is_some_and(|script| script.struck);
    Run { walk, strike, struck, violation: world.violation }
}

fn name_of(walk: Walk) -> &'static str {
    Walk::ALL.iter().find(|(other, ..)| *other == walk).map_or("", |(_, name, _)| name)
}

/// Runs in which it happened, of each step and harm; `-` for what cannot be.
fn table(runs: &[Run]) -> String {
    let mut text = format!("{:30}", "step");
    for (_, harm) in Harm::ALL {
        let _ = write!(text, "{harm:>13}");
    }
    for (step, name, _) in Step::ALL {
        let _ = write!(text, "\n{name:30}");
        for (harm, _) in Harm::ALL {
            let cell = if step.can(harm) { struck(runs, step, harm).to_string() } else { "-".to_owned() };
            let _ = write!(text, "{cell:>13}");
        }
    }
    text
}

fn struck(runs: &[Run], step: Step, harm: Harm) -> usize {
    runs.iter().filter(|run| run.struck && run.strike.step == step && run.strike.harm == harm).count()
}

/// `ONSALE_SIM_STRIKE="WALK/STEP/NTH/HARM"`, as they are named in the table, prints one run.
fn asked_for() -> Option<(Walk, Strike)> {
    let text = env::var("ONSALE_SIM_STRIKE").ok()?;
    let parts: Vec<&str> = text.split('/').collect();
    let [walk, step, nth, harm] = parts[..] else { unreachable!("WALK/STEP/NTH/HARM, not {text}") };
    let (walk, ..) = *Walk::ALL.iter().find(|(_, name, _)| *name == walk).expect("a walk");
    let (step, ..) = *Step::ALL.iter().find(|(_, name, _)| *name == step).expect("a step");
    let (harm, _) = *Harm::ALL.iter().find(|(_, name)| *name == harm).expect("a harm");
    Some((walk, Strike { step, nth: nth.parse().expect("a number"), harm }))
}

#[test]
fn each_walk_ends_as_it_must_when_nothing_happens() {
    for (walk, name, state) in Walk::ALL {
        let world = run(walk, None, None, false);
        assert_eq!(world.violation, None, "{name}");
        let first = world.database.orders.values().find(|row| row.fan.as_u128() == 1).expect("an order");
        assert_eq!(first.known.state(), state, "{name}");
    }
}

#[test]
fn y5_whatever_happens_to_any_step_of_any_walk_the_money_ends_as_tickets_or_goes_back() {
    if let Some((walk, strike)) = asked_for() {
        assert_eq!(run(walk, Some(strike), None, true).violation, None);
        return;
    }
    let runs = run_all(None);
    println!("{} runs of {} walks; runs in which it happened:\n{}", runs.len(), Walk::ALL.len(), table(&runs));
    let of = |run: &Run| {
        let Strike { step, nth, harm } = run.strike;
        let (_, step, _) = Step::ALL.iter().find(|(other, ..)| *other == step).expect("all are there");
        let (_, harm) = Harm::ALL.iter().find(|(other, _)| *other == harm).expect("all are there");
        format!("{}/{step}/{nth}/{harm}", name_of(run.walk))
    };
    let broken: Vec<String> =
        runs.iter().filter_map(|run| Some(format!("{}: {}", of(run), run.violation.as_ref()?))).collect();
    assert!(broken.is_empty(), "{} of {} runs:\n{}", broken.len(), runs.len(), broken.join("\n"));
    // Nothing may have been sent after what waits to be overtaken.
    let missed: Vec<String> =
        runs.iter().filter(|run| !run.struck && run.strike.harm != Harm::Reordered).map(of).collect();
    assert!(missed.is_empty(), "planned, and did not happen: {missed:#?}");
    for (step, name, _) in Step::ALL {
        for (harm, what) in Harm::ALL.into_iter().filter(|(harm, _)| step.can(*harm)) {
            assert!(struck(&runs, step, harm) > 0, "no walk has {name}, {what}");
        }
    }
}

#[test]
fn every_bug_planted_in_the_saga_is_found_by_the_table() {
    let strikes = strikes();
    thread::scope(|scope| {
        let search = |(bug, walk)| {
            let mut of_walk = strikes.iter().filter(move |(other, _)| *other == walk);
            let violated = move |&(walk, strike): &(Walk, Strike)| {
                let violation = run_one(walk, strike, Some(bug)).violation?;
                Some((name_of(walk), strike, violation))
            };
            (bug, scope.spawn(move || of_walk.find_map(violated)))
        };
        for (bug, search) in BUGS.map(search) {
            match search.join().expect("the machines do not panic") {
                Some((walk, strike, violation)) => println!("{bug:?} is found by {walk}, {strike:?}: {violation}"),
                None => unreachable!("{bug:?} is not found"),
            }
        }
    });
}
