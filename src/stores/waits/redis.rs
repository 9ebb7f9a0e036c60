//! Where fans wait, in Redis: `onsale:waits:{organizer}:{fan}`, a text each, for a week.
//!
//! A Redis that loses its last second, or is emptied, forgets notes: then a fan may wait twice.

use std::sync::Arc;

use async_trait::async_trait;
use redis::Script;

use super::{KEPT_S, Wait, Waits, parsed};
use crate::{
    domain::id::FanId,
    stores::{error::StoreError, redis::Redis},
};

/// The same again finds itself, so it may be repeated when its reply was lost.
const NOTE: &str = "
local noted = redis.call('GET', KEYS[1])
if noted and string.sub(noted, 1, 32) ~= string.sub(ARGV[1], 1, 32) and noted ~= ARGV[2] then return noted end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return ARGV[1]
";

pub struct RedisWaits {
    redis: Arc<Redis>,
    script: Script,
}

impl RedisWaits {
    pub fn new(redis: Arc<Redis>) -> Self {
        Self { redis, script: Script::new(NOTE) }
    }
}

#[async_trait]
impl Waits for RedisWaits {
    async fn note(
        &self,
        organizer: FanId,
        fan: FanId,
        wait: Wait,
        instead_of: Option<Wait>,
    ) -> Result<Wait, StoreError> {
        let instead_of = instead_of.map_or_else(String::new, |wait| wait.to_string());
        let mut call = self.script.prepare_invoke();
        call.key(format!("onsale:waits:{organizer}:{fan}")).arg(wait.to_string()).arg(instead_of).arg(KEPT_S);
        let noted: String = self.redis.run(&call, |_| None).await?;
        parsed(&noted)
    }
}
