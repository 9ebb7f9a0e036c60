//! Signals by which somebody wants the process to end.

use std::{future::poll_fn, task::Poll};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

const ENDING: [(&str, SignalKind); 2] = [("TERM", SignalKind::terminate()), ("INT", SignalKind::interrupt())];
const HANGUP: (&str, SignalKind) = ("HUP", SignalKind::hangup());

pub struct Signals(Vec<(&'static str, Signal)>);

impl Signals {
    /// SIGTERM and SIGINT, which from now on do not end the process by themselves.
    pub fn listen() -> Result<Self, Failure> {
        Self::of(&ENDING)
    }

    /// Also SIGHUP: for what shall not outlive its terminal.
    pub fn listen_with_hangup() -> Result<Self, Failure> {
        let mut signals = Self::of(&ENDING)?;
        signals.0.extend(Self::of(&[HANGUP])?.0);
        Ok(signals)
    }

    fn of(kinds: &[(&'static str, SignalKind)]) -> Result<Self, Failure> {
        let listen = |&(name, kind)| signal(kind).map(|signal| (name, signal));
        let signals: Result<_, _> = kinds.iter().map(listen).collect();
        Ok(Self(signals.map_err(|error| format!("signals: {error}"))?))
    }

    pub async fn next(&mut self) -> &'static str {
        poll_fn(|context| {
            let come =
                self.0.iter_mut().find_map(|(name, signal)| signal.poll_recv(context).is_ready().then_some(*name));
            come.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
