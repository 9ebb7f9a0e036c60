//! Which class is called next: deterministic, and no class that waits starves.
//!
//! Worst-case fair weighted queueing (WF²Q+) with admissions as packets of one size. A class that waits during any `n`
//! admissions in a row gets at least `⌊w·n⌋ − 1` of them, where `w` is its weight by the sum of all weights. What it knows
//! begins anew with each owner, and with each change of weights: an `n` across such a moment can cost one admission more.

use serde::{Deserialize, Serialize};

use super::Class;

/// The largest weight of a class.
pub const MAX_WEIGHT: u8 = 100;

/// Which of these wait, by their number.
pub(super) type Waits = [bool; Class::COUNT];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Precedence {
    /// Each class by its weight.
    #[default]
    Weighted,
    /// Nobody while anybody of an earlier class waits; the default class is the last.
    Strict,
}

/// How an event's classes share admissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    pub precedence: Precedence,
    /// By class; 0: there is no such class. At most [`MAX_WEIGHT`] each.
    pub weights: [u8; Class::COUNT],
}

impl Default for Shares {
    /// No classes.
    fn default() -> Self {
        let mut weights = [0; Class::COUNT];
        weights[Class::DEFAULT.index()] = 1;
        Self { precedence: Precedence::default(), weights }
    }
}

impl Shares {
    /// A class without one counts as the least.
    pub fn weight(&self, class: Class) -> u8 {
        self.weights.get(class.index()).copied().unwrap_or_default().max(1)
    }

    /// About how many go in before whoever has `ahead` before them in their class, when so many wait in each: if nobody came
    /// any more.
    pub fn before(&self, class: Class, ahead: usize, waiting: impl Fn(Class) -> usize) -> usize {
        let others = Class::all().filter(|&other| other != class).map(|other| {
            let all = waiting(other);
            let rank = |class: Class| if class == Class::DEFAULT { Class::FRONT.0 } else { class.0 };
            match (other, class) {
                (Class::FRONT, _) => all,
                (_, Class::FRONT) => 0,
                _ if self.precedence == Precedence::Strict => all * usize::from(rank(other) < rank(class)),
                _ => {
                    let turns = ahead as u64 * u64::from(self.weight(other)) / u64::from(self.weight(class));
                    all.min(usize::try_from(turns).unwrap_or(usize::MAX))
                }
            }
        });
        others.fold(ahead, usize::saturating_add)
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    pub shares: Shares,
    /// A class of weight `w` has a turn each `unit / w`; all weights divide it, and their sum.
    unit: u128,
    total: u128,
    now: u128,
    /// By class.
    turns: [Turn; Class::COUNT],
}

#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    /// The next admission is not due before.
    start: u128,
    waits: bool,
}

impl Schedule {
    pub(super) fn new(shares: Shares) -> Self {
        let weights = shares.weights.iter().map(|&weight| u128::from(weight.max(1)));
        let total = shares.weights.iter().map(|&weight| u128::from(weight)).sum::<u128>().max(1);
        let unit = weights.fold(1, lcm) * total;
        Self { shares, unit, total, now: 0, turns: [Turn::default(); Class::COUNT] }
    }

    /// The class to call from now, when these wait; nothing is remembered but who waits.
    pub(super) fn next(&mut self, waits: &Waits) -> Option<Class> {
        let mut waiting = Class::all().filter(|class| waits.get(class.index()).is_some_and(|waits| *waits));
        if waits.get(Class::FRONT.index()).is_some_and(|waits| *waits) {
            return Some(Class::FRONT);
        }
        if self.shares.precedence == Precedence::Strict {
            return waiting.clone().find(|&class| class != Class::DEFAULT).or_else(|| waiting.next());
        }
        self.look(waits);
        let due = |class: &Class| (self.finish(*class), *class);
        waiting.filter(|&class| self.turn(class).start <= self.now).min_by_key(due)
    }

    /// One of the class goes in, when these wait.
    pub(super) fn took(&mut self, class: Class, waits: &Waits) {
        if class == Class::FRONT || self.shares.precedence == Precedence::Strict {
            return;
        }
        self.look(waits);
        let finish = self.finish(class);
        if let Some(turn) = self.turns.get_mut(class.index()) {
            turn.start = finish;
        }
        self.now += self.unit / self.total;
    }

    /// Who waits anew has missed nothing, and time does not stand still while somebody waits.
    fn look(&mut self, waits: &Waits) {
        let mut earliest = None;
        for (turn, &waits) in self.turns.iter_mut().zip(waits).take(Class::FRONT.index()) {
            if waits && !turn.waits {
                turn.start = turn.start.max(self.now);
            }
            turn.waits = waits;
            if waits {
                earliest = Some(earliest.map_or(turn.start, |other: u128| other.min(turn.start)));
            }
        }
        self.now = self.now.max(earliest.unwrap_or_default());
    }

    fn turn(&self, class: Class) -> Turn {
        self.turns.get(class.index()).copied().unwrap_or_default()
    }

    fn finish(&self, class: Class) -> u128 {
        self.turn(class).start + self.unit / u128::from(self.shares.weight(class))
    }
}

fn lcm(a: u128, b: u128) -> u128 {
    let (mut x, mut y) = (a, b);
    while y > 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(precedence: Precedence, weights: &[u8]) -> Shares {
        let mut all = [0; Class::COUNT];
        all[..weights.len()].copy_from_slice(weights);
        Shares { precedence, weights: all }
    }

    /// Who was called at each step, and who waited then.
    fn run(shares: Shares, steps: &[Waits]) -> Vec<(Class, Waits)> {
        let mut schedule = Schedule::new(shares);
        let call = |waits: &Waits| {
            let class = schedule.next(waits)?;
            schedule.took(class, waits);
            Some((class, *waits))
        };
        steps.iter().filter_map(call).collect()
    }

    /// I-27, over every run of admissions during which the class waits.
    fn starved(shares: Shares, calls: &[(Class, Waits)]) -> Option<(Class, usize, usize, usize)> {
        let total: usize = shares.weights.iter().map(|&weight| usize::from(weight)).sum();
        for class in Class::all().take(Class::FRONT.index()) {
            let weight = usize::from(shares.weights[class.index()]);
            for from in 0..calls.len() {
                let (mut n, mut got) = (0, 0);
                for (called, waits) in &calls[from..] {
                    if !waits[class.index()] {
                        break;
                    }
                    n += 1;
                    got += usize::from(*called == class);
                    if got + 1 < weight * n / total {
                        return Some((class, from, n, got));
                    }
                }
            }
        }
        None
    }

    #[test]
    fn classes_that_all_wait_take_turns_by_weight() {
        let mut all = [false; Class::COUNT];
        all[..3].fill(true);
        let calls = run(shares(Precedence::Weighted, &[2, 1, 1]), &[all; 8]);
        let classes: Vec<u8> = calls.iter().map(|(class, _)| class.0).collect();
        assert_eq!(classes, [0, 1, 0, 2, 0, 1, 0, 2]);
        let calls = run(shares(Precedence::Strict, &[2, 1, 1]), &[all; 3]);
        assert!(calls.iter().all(|(class, _)| class.0 == 1), "the default class is the last");
        all[Class::FRONT.index()] = true;
        for precedence in [Precedence::Strict, Precedence::Weighted] {
            assert_eq!(run(shares(precedence, &[2, 1, 1]), &[all])[0].0, Class::FRONT);
        }
    }

    #[test]
    fn nobody_is_called_when_nobody_waits() {
        for precedence in [Precedence::Strict, Precedence::Weighted] {
            assert_eq!(Schedule::new(shares(precedence, &[1])).next(&[false; Class::COUNT]), None);
        }
    }

    #[test]
    fn it_goes_on_for_a_billion_admissions() {
        let mut schedule = Schedule::new(shares(Precedence::Weighted, &[97, 89, 83, 79, 73, 71, 67, 61, 59]));
        let step = schedule.unit / schedule.total;
        assert!(step.checked_mul(1_000_000_000_000).is_some_and(|now| now < u128::MAX / 4));
        schedule.took(Class(1), &[true; Class::COUNT]);
    }

    #[test]
    fn how_many_go_before_is_about_what_the_schedule_does() {
        let weighted = shares(Precedence::Weighted, &[1, 3]);
        let waiting = |class: Class| [100, 30].get(class.index()).copied().unwrap_or_default();
        assert_eq!(weighted.before(Class(1), 9, waiting), 12);
        assert_eq!(weighted.before(Class::DEFAULT, 5, waiting), 20);
        assert_eq!(weighted.before(Class::DEFAULT, 50, waiting), 80, "then they are all in");
        let strict = shares(Precedence::Strict, &[1, 3]);
        assert_eq!((strict.before(Class(1), 9, waiting), strict.before(Class::DEFAULT, 5, waiting)), (9, 35));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn whoever_waits_gets_a_share_less_one(
            weights in prop::collection::vec(1u8..=MAX_WEIGHT, 2..=9),
            toggles in prop::collection::vec((0usize..9, 0usize..12), 1..40),
        ) {
            let shares = shares(Precedence::Weighted, &weights);
            let (mut waits, mut steps) = ([false; Class::COUNT], Vec::new());
            for (class, times) in toggles {
                waits[class % weights.len()] ^= true;
                steps.extend(std::iter::repeat_n(waits, times));
            }
            let calls = run(shares, &steps);
            prop_assert!(calls.iter().all(|(class, waits)| waits[class.index()]), "who is called waits");
            let some = steps.iter().filter(|waits| waits.contains(&true)).count();
            prop_assert_eq!(calls.len(), some, "somebody is called whenever somebody waits");
            prop_assert_eq!(starved(shares, &calls), None);
        }
    }
}
