//! Which sockets an account has open on this node.
//!
//! Owns the cap per account: the newest stays, the oldest goes. Knows nothing of frames.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::domain::id::FanId;

pub struct Sockets(Arc<Inner>);

struct Inner {
    most: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    last: u64,
    by_account: HashMap<FanId, VecDeque<(u64, CancellationToken)>>,
}

/// One socket's place among its account's; given back when dropped.
pub struct Seat {
    sockets: Arc<Inner>,
    account: FanId,
    number: u64,
    /// Cancelled when newer sockets have taken all places.
    pub displaced: CancellationToken,
}

impl Sockets {
    pub fn new(most_per_account: usize) -> Self {
        Self(Arc::new(Inner { most: most_per_account.max(1), open: Mutex::default() }))
    }

    pub fn take_seat(&self, account: FanId) -> Seat {
        let displaced = CancellationToken::new();
        let mut open = self.0.lock();
        open.last += 1;
        let number = open.last;
        let seats = open.by_account.entry(account).or_default();
        seats.push_back((number, displaced.clone()));
        while seats.len() > self.0.most {
            if let Some((_, oldest)) = seats.pop_front() {
                oldest.cancel();
            }
        }
        Seat { sockets: self.0.clone(), account, number, displaced }
    }
}

impl Inner {
    /// Nothing that runs under the lock can panic half way.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.sockets.lock();
        if let Some(seats) = open.by_account.get_mut(&self.account) {
            seats.retain(|(number, _)| *number != self.number);
            if seats.is_empty() {
                open.by_account.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_cap_an_accounts_oldest_socket_goes() {
        let sockets = Sockets::new(2);
        let (a, b) = (FanId::from_u128(1), FanId::from_u128(2));
        let first = sockets.take_seat(a);
        let second = sockets.take_seat(a);
        let other = sockets.take_seat(b);
        assert!(!first.displaced.is_cancelled());
        let third = sockets.take_seat(a);
        assert!(first.displaced.is_cancelled() && !second.displaced.is_cancelled() && !other.displaced.is_cancelled());
        drop(third);
        let fourth = sockets.take_seat(a);
        assert!(!second.displaced.is_cancelled() && !fourth.displaced.is_cancelled());
        drop((first, second, fourth, other));
        assert!(sockets.0.lock().by_account.is_empty());
    }
}
