//! How a step is done under the script: transactions, messages and calls, acknowledgements, and a node's death.

use crate::{
    orders::Transaction,
    saga::{Harm, Step},
    world::{Event, World},
};

const LATE_MS: u64 = 4_000;
const RESTART_MS: u64 = 1_000;
/// What is kept back comes after so long, if nothing overtakes it.
const KEPT_BACK_MS: u64 = 15_000;

/// A message or a call on its way.
#[derive(Debug, Clone)]
pub struct Carried {
    /// How much later than usual it arrives, each time that it does.
    pub arrivals: Vec<u64>,
    /// Whether its sender learns that it has.
    pub heard: bool,
    /// It waits for another one to overtake it.
    pub kept_back: bool,
    pub crashed: bool,
}

impl World {
    pub fn carry(&mut self, step: Step) -> Carried {
        let harm = self.harm(step);
        let arrivals = match harm {
            Some(Harm::CrashBefore | Harm::Lost) => vec![],
            Some(Harm::Twice) => vec![0, 0],
            Some(Harm::Duplicated) => vec![0, LATE_MS],
            Some(Harm::Delayed) => vec![LATE_MS],
            Some(Harm::Reordered) => vec![KEPT_BACK_MS],
            None | Some(Harm::CrashAfter | Harm::Unheard) => vec![0],
        };
        let crashed = matches!(harm, Some(Harm::CrashBefore | Harm::CrashAfter));
        if crashed {
            self.later(0, Event::Crash);
        }
        // An answer does not come before what was asked, and nobody waits for it so long.
        let is_late = harm == Some(Harm::Delayed) && step.is_call();
        let heard = !crashed && !is_late && !matches!(harm, Some(Harm::Lost | Harm::Unheard));
        Carried { arrivals, heard, kept_back: harm == Some(Harm::Reordered), crashed }
    }

    /// Whatever the database does of its own accord, `work` is done as often as the script has it.
    pub fn transact(&mut self, step: Step, database: Transaction, mut work: impl FnMut(&mut Self)) -> Transaction {
        if !database.done {
            return database;
        }
        let harm = self.harm(step);
        let crashed = matches!(harm, Some(Harm::CrashBefore | Harm::CrashAfter));
        if crashed {
            self.later(0, Event::Crash);
        }
        if matches!(harm, Some(Harm::CrashBefore | Harm::Lost)) {
            return Transaction { done: false, heard: false, crashed };
        }
        work(self);
        if harm == Some(Harm::Twice) {
            work(self);
        }
        let heard = database.heard && !crashed && harm != Some(Harm::Unheard);
        Transaction { done: true, heard, crashed }
    }

    pub fn acknowledge(&mut self, message: u64, step: Step) {
        let harm = self.harm(step);
        if matches!(harm, Some(Harm::CrashBefore | Harm::CrashAfter)) {
            self.later(0, Event::Crash);
        }
        match harm {
            Some(Harm::CrashBefore) => {}
            Some(Harm::Lost) => self.again(message),
            _ => drop(self.broker.messages.remove(&message)),
        }
    }

    /// The process that has the event dies, and with it all that was under way in it. What nobody acknowledged comes again.
    pub fn crash(&mut self) {
        let owner = self.lease.0;
        self.trace.note(self.now, "the node dies", &[owner.into()]);
        if self.nodes.remove(&owner).is_some() {
            self.restart_at = self.now + RESTART_MS;
        }
        self.settling.clear();
        self.forget(|event| {
            matches!(
                event,
                Event::ReduceAnswered { .. } | Event::MoveAnswered { .. } | Event::Kept { .. } | Event::TakersFound(_)
            )
        });
        let unanswered: Vec<u64> = self.broker.messages.keys().copied().collect();
        for message in unanswered {
            let delay = RESTART_MS + self.short_delay();
            self.later(delay, Event::Deliver(message));
        }
    }

    /// Something was taken in: whatever waited for that comes now.
    pub fn overtakes(&mut self) {
        if let Some(event) = self.kept_back.take() {
            if let Some(script) = &mut self.script {
                script.struck = true;
            }
            self.later(1, event);
        }
    }
}
