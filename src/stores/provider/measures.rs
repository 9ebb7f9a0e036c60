//! What is counted about payment providers: names, units and meanings in one place.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::domain::breaker::State;

const CALLS_TOTAL: &str = "onsale_provider_calls_total";
const CALL_SECONDS: &str = "onsale_provider_call_seconds";
const BREAKER: &str = "onsale_provider_breaker";

/// Says what each means; once, when the recorder is installed.
pub fn describe() {
    describe_counter!(CALLS_TOTAL, Unit::Count, "Calls of payment providers, by outcome: answered, failed or refused");
    describe_histogram!(CALL_SECONDS, Unit::Seconds, "From asking a payment provider to its answer or failure");
    describe_gauge!(BREAKER, "Circuit breaker of a payment provider: 0 closed, 1 half open, 2 open");
}

pub(super) fn call(provider: &'static str, what: &'static str, outcome: &'static str, took: Duration) {
    counter!(CALLS_TOTAL, "provider" => provider, "call" => what, "outcome" => outcome).increment(1);
    if outcome != "refused" {
        histogram!(CALL_SECONDS, "provider" => provider, "call" => what).record(took.as_secs_f64());
    }
}

pub(super) fn breaker(provider: &'static str, state: State) {
    let value = match state {
        State::Closed => 0.0,
        State::HalfOpen => 1.0,
        State::Open => 2.0,
    };
    gauge!(BREAKER, "provider" => provider).set(value);
}
