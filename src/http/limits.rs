//! How often: rates by address and by account, and the delay that slows down guessing.
//!
//! Owns the counters of this node and the headers that tell of them. Tables are bounded: when one is full, newcomers share
//! one counter, so that filling it up buys nothing.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    mem,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::response::{IntoResponseParts, ResponseParts};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    config::Config,
    problem::{Code, Problem},
    tokens::unix_now,
};
use crate::domain::id::FanId;

/// Keys in one table.
const MAX_KEYS: usize = 200_000;
/// Addresses that are told of as refused, at one time.
const MAX_REFUSED: usize = 100;
/// Wrong passwords of one account that cost nothing, within [`GUESSES_WINDOW`].
const FREE_GUESSES: u32 = 5;
/// Holds of one account that name a code.
const CODES_PER_MINUTE: u32 = 10;
const GUESSES_WINDOW: Duration = Duration::from_secs(15 * 60);
/// The longest delay of a login: with the wait for a password worker it must stay below the time a request may take.
const MAX_DELAY_S: u64 = 3;
/// For a demonstration on one machine all fans have one address.
const DEMO_FACTOR: u32 = 10_000;

/// An address as it is counted: IPv4 whole, IPv6 by its /64, which is what one customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(IpAddr::V4(address)),
            IpAddr::V6(address) => {
                let prefix = u128::from(address) >> 64 << 64;
                Self(IpAddr::V6(Ipv6Addr::from(prefix)))
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub struct Limits {
    pub login: Rate<Network>,
    pub register: Rate<Network>,
    pub refresh: Rate<Network>,
    /// Of codes and links that are asked for or tried.
    pub reset: Rate<Network>,
    pub join_address: Rate<Network>,
    pub join_account: Rate<FanId>,
    /// Holds that name a code: each may be a guess.
    pub codes: Rate<FanId>,
    /// Of those who begin to watch a stock.
    pub watch_address: Rate<Network>,
    /// Joins, since it was last asked.
    pub refused: Refused,
    guesses: moka::sync::Cache<String, Arc<AtomicU32>>,
}

/// How often which addresses were refused. Those that come when the table is full are not named.
#[derive(Default)]
pub struct Refused(Mutex<HashMap<Network, u32>>);

impl Refused {
    fn count(&self, network: Network) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() < MAX_REFUSED || table.contains_key(&network) {
            let count = table.entry(network).or_default();
            *count = count.saturating_add(1);
        }
    }

    pub fn take(&self) -> HashMap<Network, u32> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Limits {
    pub fn new(config: &Config) -> Self {
        let relax = |count: u32| if config.insecure_demo { count.saturating_mul(DEMO_FACTOR) } else { count };
        let minute = Duration::from_secs(60);
        let second = Duration::from_secs(1);
        let login = relax(config.login_per_minute);
        let join = relax(config.join_per_second);
        let burst = relax(config.join_burst);
        Self {
            login: Rate::new("login", login, login, minute),
            register: Rate::new("register", login, login, minute),
            // A page refreshes once in a quarter of an hour; an office has many pages behind one address.
            refresh: Rate::new("refresh", login.saturating_mul(10), login.saturating_mul(10), minute),
            reset: Rate::new("reset", login, login, minute),
            join_address: Rate::new("join", join, burst, second),
            join_account: Rate::new("join_account", join, burst, second),
            codes: Rate::new("codes", relax(CODES_PER_MINUTE), relax(CODES_PER_MINUTE), minute),
            watch_address: Rate::new("watch", join, burst, second),
            refused: Refused::default(),
            guesses: moka::sync::Cache::builder().max_capacity(MAX_KEYS as u64).time_to_live(GUESSES_WINDOW).build(),
        }
    }

    /// Whoever takes a place. Devices are had for nothing: only where they come from is counted.
    pub fn joining(&self, address: impl Into<Network>, fan: FanId) -> Result<Left, Problem> {
        let network = address.into();
        let left = self.join_address.check(network).inspect_err(|_| self.refused.count(network))?;
        if !fan.is_device() {
            self.join_account.check(fan)?;
        }
        Ok(left)
    }

    /// How long a login for this address waits before its password is looked at. It is never refused for others' guesses:
    /// that would lock the owner out.
    pub fn guessing_delay(&self, email: &str) -> Duration {
        let wrong = self.guesses.get(email).map_or(0, |count| count.load(Ordering::Relaxed));
        match wrong.checked_sub(FREE_GUESSES) {
            None => Duration::ZERO,
            Some(over) => Duration::from_secs((1u64 << over.min(8)).min(MAX_DELAY_S)),
        }
    }

    /// A wrong password, for an account that exists or not.
    pub fn guessed_wrong(&self, email: &str) {
        self.guesses.get_with(email.to_owned(), Arc::default).fetch_add(1, Ordering::Relaxed);
    }

    pub fn guessed_right(&self, email: &str) {
        self.guesses.invalidate(email);
    }
}

/// So many in a window, counted per key.
pub struct Rate<K: Hash + Eq + Clone> {
    name: &'static str,
    limit: u32,
    window: Duration,
    limiter: RateLimiter<K, DashMapStateStore<K>, MonotonicClock, StateInformationMiddleware>,
    /// For keys that find the table full.
    shared: RateLimiter<(), DashMapStateStore<()>, MonotonicClock, StateInformationMiddleware>,
    /// When the table was last swept, in seconds since 1970.
    swept: AtomicU64,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    fn new(name: &'static str, count: u32, burst: u32, window: Duration) -> Self {
        let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let period = (window / count.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(period).expect("a period above zero").allow_burst(burst);
        Self {
            name,
            limit: burst.get(),
            window: period.saturating_mul(burst.get()),
            limiter: RateLimiter::dashmap(quota).with_middleware(),
            shared: RateLimiter::dashmap(quota).with_middleware(),
            swept: AtomicU64::new(0),
        }
    }

    /// Counts one. The answer goes with the response; a refusal carries it too.
    pub fn check(&self, key: impl Into<K>) -> Result<Left, Problem> {
        let key = key.into();
        let outcome = if self.has_room() { self.limiter.check_key(&key) } else { self.shared.check_key(&()) };
        match outcome {
            Ok(state) => Ok(self.left(state.remaining_burst_capacity(), 0)),
            Err(until) => {
                let wait = until.wait_time_from(self.limiter.clock().now());
                let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                let problem = Problem::new(Code::RateLimited).retry_after(seconds);
                Err(problem.rate(self.left(0, seconds)))
            }
        }
    }

    /// Sweeps a full table at most once a second: it costs a walk over all keys.
    fn has_room(&self) -> bool {
        if self.limiter.len() < MAX_KEYS {
            return true;
        }
        let now = unix_now();
        if self.swept.swap(now, Ordering::Relaxed) != now {
            self.limiter.retain_recent();
        }
        self.limiter.len() < MAX_KEYS
    }

    fn left(&self, remaining: u32, reset_s: u32) -> Left {
        Left { name: self.name, limit: self.limit, window_s: self.window.as_secs().max(1), remaining, reset_s }
    }
}

/// What is left of a rate, as `RateLimit` headers.
#[derive(Debug, Clone, Copy)]
pub struct Left {
    name: &'static str,
    limit: u32,
    window_s: u64,
    remaining: u32,
    reset_s: u32,
}

impl Left {
    pub fn write(&self, headers: &mut HeaderMap) {
        let Self { name, limit, window_s, remaining, reset_s } = self;
        let reset_s = if *reset_s == 0 { *window_s } else { u64::from(*reset_s) };
        let pairs = [
            ("ratelimit-policy", format!("\"{name}\";q={limit};w={window_s}")),
            ("ratelimit", format!("\"{name}\";r={remaining};t={reset_s}")),
        ];
        for (header, text) in pairs {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(HeaderName::from_static(header), value);
            }
        }
    }
}

impl IntoResponseParts for Left {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        self.write(parts.headers_mut());
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse::<IpAddr>().expect("address").into()
    }

    #[test]
    fn s_24_an_address_is_counted_by_what_one_customer_has() {
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.1"));
    }

    #[test]
    fn s_24_beyond_the_burst_a_request_is_told_when_to_come_back() {
        let rate = Rate::<Network>::new("login", 3, 3, Duration::from_secs(60));
        for left in [2, 1, 0] {
            assert_eq!(rate.check(network("192.0.2.1")).expect("within").remaining, left);
        }
        let problem = rate.check(network("192.0.2.1")).expect_err("beyond");
        assert_eq!(problem.code(), Code::RateLimited);
        assert!(rate.check(network("192.0.2.2")).is_ok(), "others are not counted along");
    }

    #[test]
    fn s_12_guessing_one_account_gets_slower_and_never_locks_it() {
        let limits = Limits::new(&Config::default());
        let delays: Vec<_> = (0..9)
            .map(|_| {
                let delay = limits.guessing_delay("a@example.org").as_secs();
                limits.guessed_wrong("a@example.org");
                delay
            })
            .collect();
        assert_eq!(delays, [0, 0, 0, 0, 0, 1, 2, 3, 3]);
        assert_eq!(limits.guessing_delay("b@example.org"), Duration::ZERO);
        limits.guessed_right("a@example.org");
        assert_eq!(limits.guessing_delay("a@example.org"), Duration::ZERO);
    }
}
