//! Seats that are held and released at a steady rate, by the way of every hold.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::{MissedTickBehavior, interval};

use super::Options;
use crate::{
    actors::inventory::Handle,
    bench::stage::{self, Stage},
    domain::{
        id::{FanId, OrderId},
        inventory::request::{Answer, Command, Request, Want},
    },
    failure::Failure,
};

/// A seat that was held or released.
#[derive(Debug, Clone, Copy)]
pub struct Changed {
    pub seat: u32,
    pub asked_ms: u64,
}

/// Seats come in an order that spreads them over the hall.
const STRIDE: u64 = 7_919;
/// Seconds until what is held is released again: each seat's changes are told apart by that.
const HELD_S: u32 = 3;

pub struct Changes {
    inventory: Handle,
    fans: Vec<FanId>,
    seats: u32,
    per_second: u32,
    seconds: u32,
    held: VecDeque<(u32, usize, OrderId)>,
    done: Vec<Changed>,
}

impl Changes {
    pub async fn new(stage: &Stage, inventory: Handle, options: &Options) -> Result<Self, Failure> {
        let Options { seats, changes: per_second, seconds, .. } = *options;
        // Nobody holds two seats at a time.
        let fans: Vec<FanId> = stage.fans().iter().take((per_second * (HELD_S + 1)) as usize).copied().collect();
        stage.admit(&inventory, &fans).await?;
        Ok(Self { inventory, fans, seats, per_second, seconds, held: VecDeque::new(), done: Vec::new() })
    }

    pub async fn run(&mut self) -> Result<(), Failure> {
        let mut each = interval(Duration::from_secs(1) / self.per_second);
        each.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for next in 0..u64::from(self.per_second) * u64::from(self.seconds) {
            each.tick().await;
            if self.held.len() < (self.per_second * HELD_S / 2) as usize || next % 2 == 0 {
                self.hold(next).await?;
            } else {
                self.release().await?;
            }
        }
        Ok(())
    }

    pub fn done(&self) -> &[Changed] {
        &self.done
    }

    async fn hold(&mut self, number: u64) -> Result<(), Failure> {
        let seat = u32::try_from(number * STRIDE % u64::from(self.seats))?;
        let by = usize::try_from(number)? % self.fans.len();
        let fan = *self.fans.get(by).ok_or("no fans")?;
        let seats = Want::Seats(vec![format!("S{seat}").parse()?]);
        self.done.push(Changed { seat, asked_ms: now_ms() });
        match self.inventory.ask(stage::hold(fan, u32::try_from(by)? + 1, seats)).await? {
            Answer::Held(held) => self.held.push_back((seat, by, held.order)),
            _ => return Err("a hold was answered with something else".into()),
        }
        Ok(())
    }

    async fn release(&mut self) -> Result<(), Failure> {
        let (seat, by, order) = self.held.pop_front().ok_or("nothing is held")?;
        let fan = *self.fans.get(by).ok_or("no fans")?;
        self.done.push(Changed { seat, asked_ms: now_ms() });
        self.inventory.ask(Request { identity: None, command: Command::Release { fan, order } }).await?;
        Ok(())
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
