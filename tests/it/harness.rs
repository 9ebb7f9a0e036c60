//! Which adapters a test runs on, and names that no other test uses.

use onsale::domain::id::EventId;

/// The address of a real server, from the environment; `scripts/test` starts one and sets it.
///
/// `None` only under `ONSALE_TEST_EMBEDDED_ONLY=1`, for a quick run without servers: a missing address is a failure
/// otherwise, so that nothing is skipped in silence.
pub fn address(variable: &str) -> Option<String> {
    if std::env::var("ONSALE_TEST_EMBEDDED_ONLY").is_ok_and(|value| value == "1") {
        println!("ONSALE_TEST_EMBEDDED_ONLY=1: not run on the server of {variable}");
        return None;
    }
    let address = std::env::var(variable).unwrap_or_default();
    assert!(!address.is_empty(), "{variable} is not set: run scripts/test, or set ONSALE_TEST_EMBEDDED_ONLY=1");
    Some(address)
}

/// An event of this test alone: servers are shared by all tests.
pub fn new_event() -> EventId {
    EventId::from_u128(rand::random())
}
