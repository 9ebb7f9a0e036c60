//! Used tickets in Redis, one key each for two minutes: `onsale:used:{id}`.
//!
//! A Redis that loses its last second, or fails over to a replica that lags, forgets what was used then.

use std::sync::Arc;

use async_trait::async_trait;
use redis::Script;

use super::{KEPT, UsedTickets};
use crate::stores::{error::StoreError, redis::Redis};

/// By whom it was used is kept, so that the same call, made again because its reply was lost, finds itself.
const USE: &str = "
local by = redis.call('GET', KEYS[1])
if by then return by == ARGV[1] and 1 or 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
";

pub struct RedisTickets {
    redis: Arc<Redis>,
    script: Script,
}

impl RedisTickets {
    pub fn new(redis: Arc<Redis>) -> Self {
        Self { redis, script: Script::new(USE) }
    }
}

#[async_trait]
impl UsedTickets for RedisTickets {
    async fn use_once(&self, id: &str) -> Result<bool, StoreError> {
        let mut call = self.script.prepare_invoke();
        call.key(format!("onsale:used:{id}")).arg(format!("{:032x}", rand::random::<u128>())).arg(KEPT.as_secs());
        self.redis.run(&call, |_| None).await
    }
}
