//! The longest queue there may be, in the state machine alone: no actor, no store, no journal.

use std::time::{Duration, Instant};

use super::{
    crowd::{self, check_exact},
    figures::Figures,
};
use crate::{
    actors::waiting_room::Position,
    bench::{memory, stage},
    domain::{
        id::FanId,
        inventory::{configuration::QueueSettings, request::Admission},
        queue::{Effect, Hours, Input, Outcome, Place, Queue, Room, Shares, Tickets, WaitingRoom},
        time::{EventTime, Millis},
    },
    failure::Failure,
};

const PART: &str = "simulated";
/// Asked between two answers of the store.
const JOINS: usize = 4_096;
/// Ticks and publications that are measured.
const MEASURED: u64 = 100;
const LEAVES: u32 = 5;
const PROMOTED: u32 = 1_000_000;

struct Simulated {
    room: WaitingRoom<()>,
    now: EventTime,
    settings: QueueSettings,
    effects: Vec<Effect<()>>,
}

pub fn run(waiting: u32, figures: &mut Figures) -> Result<(), Failure> {
    let fans = crowd::fans(waiting);
    let mut live = vec![Place::default(); waiting as usize];
    let (me, began) = (std::process::id(), Instant::now());
    let before = memory::resident_mb(me)?;
    let mut simulated = Simulated::new();
    for (fans, places) in fans.chunks(JOINS).zip(live.chunks_mut(JOINS)) {
        simulated.join(fans, places)?;
    }
    let took = began.elapsed();
    let resident = memory::resident_mb(me)? - before;
    figures.add(PART, "fans", "", f64::from(waiting));
    figures.add(PART, "joins", "/s", f64::from(waiting) / took.as_secs_f64());
    figures.add(PART, "resident memory", "MB", resident);
    figures.add(PART, "of it, for each fan", "bytes", resident * 1e6 / f64::from(waiting));
    simulated.measure(figures, ["a tick", "a publication", "what another node is told of it"], &[]);
    simulated.check(&live, figures)?;

    let leavers = crowd::some(&fans, LEAVES);
    let began = Instant::now();
    simulated.leave(&leavers);
    let each = began.elapsed() / leavers.len().max(1) as u32;
    figures.add(PART, "one who leaves, anywhere", "us", each.as_secs_f64() * 1e6);
    live.retain(|&place| simulated.is_live(place));
    if live.len() != waiting as usize - leavers.len() {
        return Err(format!("{} wait after {} of {waiting} have left", live.len(), leavers.len()).into());
    }
    simulated.check(&live, figures)?;
    let stay: Vec<FanId> = live.iter().step_by(10_000).filter_map(|&place| simulated.fan(place)).collect();
    let names = ["a tick, somebody leaving between", "a publication after it", "what another node is told of that"];
    simulated.measure(figures, names, &stay);

    let promoted = PROMOTED.min(waiting / 2);
    let began = Instant::now();
    let told = simulated.promote(promoted)?;
    figures.add(PART, "promotions", "/s", f64::from(told) / began.elapsed().as_secs_f64());
    Ok(())
}

impl Simulated {
    fn new() -> Self {
        let now = EventTime(1_000_000);
        let settings = QueueSettings { paused: true, ..stage::configuration().queue };
        let room = WaitingRoom::new(now, 1, Vec::new(), Vec::new(), room(settings));
        Self { room, now, settings, effects: Vec::new() }
    }

    fn step(&mut self, input: Input<()>) {
        self.room.step(self.now, input, &mut self.effects);
    }

    fn tick(&mut self) {
        self.now = self.now + Millis(200);
        self.step(Input::Tick { room: room(self.settings) });
    }

    /// The store takes each batch at once.
    fn join(&mut self, fans: &[FanId], places: &mut [Place]) -> Result<(), Failure> {
        fans.iter().for_each(|&fan| self.step(Input::Join { fan, reply: () }));
        let mut places = places.iter_mut();
        loop {
            let effects = std::mem::take(&mut self.effects);
            let mut storing = false;
            for effect in effects {
                match effect {
                    Effect::Store { .. } => storing = true,
                    Effect::Reply { outcome: Outcome::Waiting { place }, .. } => {
                        *places.next().ok_or("one place a fan")? = place;
                    }
                    other => return Err(format!("a join has led to {other:?}").into()),
                }
            }
            if !storing {
                return Ok(());
            }
            self.step(Input::Stored);
        }
    }

    fn leave(&mut self, fans: &[FanId]) {
        for &fan in fans {
            self.step(Input::Leave { fan, reply: () });
            self.effects.clear();
        }
    }

    fn fan(&self, place: Place) -> Option<FanId> {
        let before = Place(place.0.saturating_sub(1));
        self.room.members(Some(before), 1).first().filter(|(found, _)| *found == place).map(|(_, fan)| *fan)
    }

    fn is_live(&self, place: Place) -> bool {
        self.fan(place).is_some()
    }

    fn check(&mut self, live: &[Place], figures: &mut Figures) -> Result<(), Failure> {
        let queue = self.room.publish(self.now);
        let each = check_exact(live, |place| Position::of(place, &queue).ahead())?;
        figures.add(PART, "one position, exact for all of the sample", "us", each.as_secs_f64() * 1e6);
        Ok(())
    }

    /// One of `leaving` leaves before each tick, if there are any.
    fn measure(&mut self, figures: &mut Figures, [tick, publication, change]: [&'static str; 3], leaving: &[FanId]) {
        let mut before: Queue = self.room.publish(self.now);
        let mut took = [Duration::ZERO; 3];
        for n in 0..MEASURED {
            if let Some(&fan) = leaving.get(n as usize) {
                self.leave(&[fan]);
            }
            let times = [Instant::now(), {
                self.tick();
                Instant::now()
            }];
            let queue = self.room.publish(self.now);
            let published = Instant::now();
            let told = queue.change_since(&before);
            took[0] += times[1] - times[0];
            took[1] += published - times[1];
            took[2] += published.elapsed();
            drop(told);
            before = queue;
            self.effects.clear();
        }
        for (what, took) in [tick, publication, change].into_iter().zip(took) {
            figures.add(PART, what, "us", took.as_secs_f64() * 1e6 / MEASURED as f64);
        }
    }

    /// The inventory admits all that are proposed; gives how many that were.
    fn promote(&mut self, count: u32) -> Result<u32, Failure> {
        self.settings.paused = false;
        let (mut told, mut idle) = (0, 0);
        while told < count {
            let effects = std::mem::take(&mut self.effects);
            let mut proposed = false;
            for effect in effects {
                let Effect::Admit { admittees } = effect else { continue };
                proposed = true;
                let until = self.now + self.settings.session;
                let admissions: Vec<_> = admittees
                    .iter()
                    .map(|one| Admission { place: one.place, fan: one.fan, claim_by: None, until, extended: false })
                    .collect();
                told += admissions.len() as u32;
                self.step(Input::Admitted { admissions });
            }
            if !proposed {
                idle += 1;
                self.tick();
            }
            if idle > count {
                return Err("nobody is proposed any more".into());
            }
        }
        Ok(told)
    }
}

fn room(settings: QueueSettings) -> Room {
    let most = u32::MAX;
    Room {
        settings: QueueSettings { slots: most, rate_per_minute: 10_000_000, grace: Millis::minutes(600), ..settings },
        hours: Hours::default(),
        slots_free: most,
        slots_taken: 0,
        tickets: Tickets { free: u64::from(most), held: 0 },
        holds: 0,
        selling: true,
        open: true,
        upcoming: false,
        draw: crate::domain::inventory::draw::DrawStage::None,
        halted: false,
        dice: 7,
        shares: Shares::default(),
    }
}
