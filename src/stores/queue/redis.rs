//! The queue in Redis: a sorted set per event and class (member: fan, score: arrival) and the term that may write them.
//!
//! Redis counts as whole while it is the same process that the owner has last found to have everything, by its `run_id`: one
//! that has started again, or took over, may have lost what was written last.
//!
//! Owns the keys and the scripts. Decides nothing: a script compares terms and writes, all or nothing. Redis may lose what
//! it has acknowledged; whoever needs more keeps more (the fan's signed ticket, the journal).

use std::sync::Arc;

use async_trait::async_trait;
use redis::{FromRedisValue, Script, ScriptInvocation};

use super::{Counted, Mark, OLD_TERM, QueueStore, Remains};
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
local lost = tonumber(redis.call('GET', KEYS[13]) or '0') * 4294967296
for i = 2, #ARGV, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 1])
  if tonumber(ARGV[i + 1]) < lost then redis.call('ZADD', KEYS[14], ARGV[i + 1], ARGV[i + 1]) end
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

/// Where a server does not say which process it is, only a loss of the key shows.
macro_rules! with_run {
    ($body:literal) => {
        concat!(
            "
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or 'unknown'
local whole = redis.call('GET', KEYS[12]) == run and 1 or 0
",
            $body
        )
    };
}

const COUNT: &str = with_run!(
    "
local count = redis.call('ZCARD', KEYS[1])
for i = 3, 11 do count = count + redis.call('ZCARD', KEYS[i]) end
return {count, whole}
"
);
const REMAINS: &str = with_run!("return {whole, tonumber(redis.call('GET', KEYS[13]) or '0')}");
const SPENT: &str = "return redis.call('ZRANGE', KEYS[14], ARGV[2], ARGV[3])";
const MARK: &str = with_run!(
    "
if tonumber(ARGV[2]) > tonumber(redis.call('GET', KEYS[13]) or '0') then redis.call('SET', KEYS[13], ARGV[2]) end
local filling = 'filling ' .. run
if ARGV[3] == 'filling' then redis.call('SET', KEYS[12], filling) end
if ARGV[3] == 'whole' and redis.call('GET', KEYS[12]) == filling then redis.call('SET', KEYS[12], run) end
return 0
"
);

pub struct RedisQueue {
    redis: Arc<Redis>,
    open: Script,
    join: Script,
    tie: Script,
    relocate: Script,
    forget: Script,
    count: Script,
    remains: Script,
    spent: Script,
    mark: Script,
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
            remains: script(REMAINS),
            spent: script(SPENT),
            mark: script(MARK),
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

    async fn count(&self, event: EventId, term: u32) -> Result<Counted, StoreError> {
        let (places, is_whole) = self.run(&invoke(&self.count, event, term)).await?;
        Ok(Counted { places, is_whole })
    }

    async fn remains(&self, event: EventId, term: u32) -> Result<Remains, StoreError> {
        let (is_whole, lost_before) = self.run(&invoke(&self.remains, event, term)).await?;
        let mut spent = Vec::new();
        loop {
            let from = spent.len();
            let mut script = invoke(&self.spent, event, term);
            script.arg(from).arg(from + PAGE - 1);
            let page: Vec<u64> = self.run(&script).await?;
            let is_last = page.len() < PAGE;
            spent.extend(page.into_iter().map(Place));
            if is_last {
                return Ok(Remains { is_whole, lost_before, spent });
            }
        }
    }

    async fn mark(&self, event: EventId, term: u32, mark: Mark) -> Result<(), StoreError> {
        let (lost_before, word) = match mark {
            Mark::Lost { before } => (before, ""),
            Mark::Filling => (0, "filling"),
            Mark::Whole => (0, "whole"),
        };
        let mut script = invoke(&self.mark, event, term);
        script.arg(lost_before).arg(word);
        self.run(&script).await
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
    for key in ["whole", "lost", "spent"] {
        invocation.key(format!("onsale:{{{event}}}:{key}"));
    }
    invocation.arg(term);
    invocation
}
