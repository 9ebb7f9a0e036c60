//! I-27: no class starves. What was called, and which classes waited then, is followed through each owner's time.

use std::collections::BTreeMap;

use onsale::domain::queue::{Class, Place, Precedence};

use crate::world::World;

#[derive(Default)]
pub struct Calls {
    /// Which classes waited when the place was proposed, one bit each.
    pub waited: BTreeMap<Place, u16>,
    /// Since the present owner began.
    calls: Vec<(Class, u16)>,
}

impl World {
    /// An owner proposes these, front first; `line` is who waits.
    pub fn proposed(&mut self, admittees: &[Place], line: &[Place]) {
        let mut waiting = [0_u32; Class::COUNT];
        line.iter().for_each(|place| waiting[place.class().index()] += 1);
        for place in admittees {
            let classes = waiting.iter().enumerate().map(|(class, &count)| u16::from(count > 0) << class).sum();
            self.calls.waited.insert(*place, classes);
            let class = &mut waiting[place.class().index()];
            *class = class.saturating_sub(1);
        }
    }

    /// The journal has admitted it.
    pub fn called(&mut self, place: Place) {
        let Some(waited) = self.calls.waited.get(&place) else { return };
        let classes = waited.count_ones();
        self.calls.calls.push((place.class(), *waited));
        if classes > 1 {
            self.saw("classes wait together, and one of them is called");
        }
    }

    /// A new owner's schedule begins anew, and at the end there is nothing more to come.
    pub fn check_shares(&mut self) {
        let calls = std::mem::take(&mut self.calls.calls);
        let shares = self.swarm.classes().shares();
        if shares.precedence == Precedence::Strict {
            let early = calls.iter().find(|(class, waited)| {
                let before = Class::all().take_while(|other| class.0 > 0 && other < class || class.0 == 0);
                before.filter(|other| other.0 > 0 && other != class).any(|other| waited & 1 << other.0 != 0)
            });
            return self.require(early.is_none(), || format!("I-27: called before its turn: {early:?}"));
        }
        let total: usize = shares.weights.iter().map(|&weight| usize::from(weight)).sum();
        for class in Class::all() {
            let weight = usize::from(shares.weights[class.index()]);
            for from in 0..calls.len() {
                let (mut n, mut got) = (0, 0);
                for (called, _) in calls[from..].iter().take_while(|(_, waited)| waited & 1 << class.0 != 0) {
                    (n, got) = (n + 1, got + usize::from(*called == class));
                    let owed = weight * n / total;
                    self.require(got + 1 >= owed, || format!("I-27: class {class:?} gets {got} of {n}, not {owed}"));
                }
            }
        }
    }
}
