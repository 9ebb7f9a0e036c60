//! How often: rates by address and by account, with the headers that tell.

use super::config::Config;

pub struct Limits {}

impl Limits {
    pub fn new(_config: &Config) -> Self {
        Self {}
    }
}
