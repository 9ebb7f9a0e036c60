//! The queue in Redis: a sorted set per event and class (member: fan, score: arrival) and the term that may write them.
//!
//! Owns the keys and the scripts. Decides nothing: a script compares terms and writes, all or nothing. Redis may lose what
//! it has acknowledged; whoever needs more keeps more (the fan's signed ticket, the journal).

use std::sync::Arc;

use async_trait::async_trait;
use redis::{FromRedisValue, Script, ScriptInvocation};

use super::{OLD_TERM, QueueStore};
use crate::{
    domain::{
        id::{EventId, FanId},
        queue::{Class, Move, Place, Tie},
    },
    stores::{error::StoreError, redis::Redis},
};

/// Members that one reply gives back.
const PAGE: usize = 10_000;
/// Places that one script forgets: Redis does nothing else meanwhile.
const FORGET_AT_ONCE: usize = 2_000;
/// Joins in one call: they are one script, so that they are all or nothing.
const MAX_JOINS: usize = 100_000;

/// Begins each script: refuses an older term, remembers a newer one. A newer one may come with any verb, for Redis may
/// have lost the term together with the queue.
const FENCE: &str = "
local seen = tonumber(redis.call('GET', KEYS[2]) or '0')
local term = tonumber(ARGV[1])
if term < seen then return redis.error_reply('OLDTERM the queue has a newer owner') end
if term > seen then redis.call('SET', KEYS[2], ARGV[1]) end
";
/// One page. Each page checks the term again, so no later owner's changes can come between.
const OPEN: &str = "return redis.call('ZRANGE', KEYS[tonumber(ARGV[2])], ARGV[3], ARGV[4], 'WITHSCORES')";
/// Class by class: its key, how many values follow, and these. Lua's stack bounds `unpack`; an even chunk keeps score and
/// member together.
const JOIN: &str = "
local i = 2
while i < #ARGV do
  local key, last = KEYS[tonumber(ARGV[i])], i + 1 + tonumber(ARGV[i + 1])
  for j = i + 2, last, 2000 do
    redis.call('ZADD', key, unpack(ARGV, j, math.min(j + 1999, last)))
  end
  i = last + 1
end
return 0
";
/// By place: a fan who has joined again since keeps the newer one.
const FORGET: &str = "
for i = 2, #ARGV, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 1])
end
return 0
";

const TIE: &str = "
for i = 2, #ARGV, 3 do
  redis.call('ZREM', KEYS[1], ARGV[i])
  redis.call('ZADD', KEYS[1], ARGV[i + 1], ARGV[i + 2])
end
return 0
";

const RELOCATE: &str = "
for i = 2, #ARGV, 4 do
  redis.call('ZREM', KEYS[tonumber(ARGV[i])], ARGV[i + 3])
  redis.call('ZADD', KEYS[tonumber(ARGV[i + 1])], ARGV[i + 2], ARGV[i + 3])
end
return 0
";

const COUNT: &str = "
local count = redis.call('ZCARD', KEYS[1])
for i = 3, #KEYS do count = count + redis.call('ZCARD', KEYS[i]) end
return count
";

pub struct RedisQueue {
    redis: Arc<Redis>,
    open: Script,
    join: Script,
    tie: Script,
    relocate: Script,
    forget: Script,
    count: Script,
}

impl RedisQueue {
    /// On a connection of its own.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        Ok(Self::new(Arc::new(Redis::open(url)?)))
    }

    pub fn new(redis: Arc<Redis>) -> Self {
        let script = |body: &str| Script::new(&format!("{FENCE}{body}"));
        Self {
            redis,
            open: script(OPEN),
            join: script(JOIN),
            tie: script(TIE),
            relocate: script(RELOCATE),
            forget: script(FORGET),
            count: script(COUNT),
        }
    }

    async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        self.redis.run(script, |code| (code == "OLDTERM").then_some(StoreError::Conflict(OLD_TERM))).await
    }
}

#[async_trait]
impl QueueStore for RedisQueue {
    async fn open(&self, event: EventId, term: u32) -> Result<Vec<(Place, FanId)>, StoreError> {
        let mut found = Vec::new();
        for class in Class::all() {
            let before = found.len();
            loop {
                let from = found.len() - before;
                let mut script = invoke(&self.open, event, term);
                script.arg(key(class)).arg(from).arg(from + PAGE - 1);
                let page: Vec<(String, u64)> = self.run(&script).await?;
                let is_last = page.len() < PAGE;
                for (fan, score) in page {
                    let fan =
                        fan.parse().map_err(|_| StoreError::Corrupt(format!("queue of {event}: member {fan:?}")))?;
                    found.push((Place(score).in_class(class), fan));
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(found)
    }

    async fn join(&self, event: EventId, term: u32, joins: &[(Place, FanId)]) -> Result<(), StoreError> {
        if joins.len() > MAX_JOINS {
            return Err(StoreError::Invalid(format!("more than {MAX_JOINS} joins in one call").into()));
        }
        let mut script = invoke(&self.join, event, term);
        for class in Class::all() {
            let of_class = joins.iter().filter(|(place, _)| place.class() == class);
            let count = of_class.clone().count();
            if count > 0 {
                script.arg(key(class)).arg(2 * count);
            }
            for (place, fan) in of_class {
                script.arg(score(*place)).arg(fan.to_string());
            }
        }
        self.run(&script).await
    }

    async fn tie(&self, event: EventId, term: u32, ties: &[Tie]) -> Result<(), StoreError> {
        let mut script = invoke(&self.tie, event, term);
        for Tie { place, device, account } in ties {
            script.arg(device.to_string()).arg(score(*place)).arg(account.to_string());
        }
        self.run(&script).await
    }

    async fn relocate(&self, event: EventId, term: u32, moves: &[Move]) -> Result<(), StoreError> {
        let mut script = invoke(&self.relocate, event, term);
        for Move { fan, from, to } in moves {
            script.arg(key(from.class())).arg(key(to.class())).arg(score(*to)).arg(fan.to_string());
        }
        self.run(&script).await
    }

    async fn forget(&self, event: EventId, term: u32, places: &[Place]) -> Result<(), StoreError> {
        for places in places.chunks(FORGET_AT_ONCE) {
            let mut script = invoke(&self.forget, event, term);
            for place in places {
                script.arg(key(place.class())).arg(score(*place));
            }
            self.run::<()>(&script).await?;
        }
        Ok(())
    }

    async fn count(&self, event: EventId, term: u32) -> Result<usize, StoreError> {
        self.run(&invoke(&self.count, event, term)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.redis.ping().await
    }
}

/// The class is in the key; what is left is exact as a double.
fn score(place: Place) -> u64 {
    place.arrival().0
}

/// Which of a script's keys, as Lua counts, has the class.
fn key(class: Class) -> usize {
    if class == Class::DEFAULT { 1 } else { class.index() + 2 }
}

/// All keys carry the event as hash tag: in a Redis cluster they lie in one slot, as a script needs.
fn invoke(script: &Script, event: EventId, term: u32) -> ScriptInvocation<'_> {
    let mut invocation = script.prepare_invoke();
    invocation.key(format!("onsale:{{{event}}}:queue")).key(format!("onsale:{{{event}}}:term"));
    for class in Class::all().filter(|&class| class != Class::DEFAULT) {
        invocation.key(format!("onsale:{{{event}}}:queue:{}", class.0));
    }
    invocation.arg(term);
    invocation
}
