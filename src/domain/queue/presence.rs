//! Which fans are here, and since when the others are gone.
//!
//! Counts sockets of every fan that has some, waiting or not: a socket may open before its fan joins. Grace runs for those
//! who wait and have none.

use std::collections::{BTreeMap, BTreeSet};

use super::Place;
use crate::domain::{
    id::FanId,
    time::{EventTime, Millis},
};

#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Everybody who waits or has a socket.
    fans: BTreeMap<FanId, Fan>,
    /// Exactly those who wait and have no socket, by when they were last here.
    gone: BTreeSet<(EventTime, Place)>,
    /// How many have a socket.
    here: usize,
}

#[derive(Debug, Clone, Copy)]
struct Fan {
    place: Option<Place>,
    sockets: u32,
    last_here: EventTime,
}

impl Presence {
    /// Everybody waits and is just gone.
    pub(super) fn restored(now: EventTime, waiting: &[(Place, FanId)]) -> Self {
        let fan = |place| Fan { place: Some(place), sockets: 0, last_here: now };
        Self {
            fans: waiting.iter().map(|&(place, id)| (id, fan(place))).collect(),
            gone: waiting.iter().map(|&(place, _)| (now, place)).collect(),
            here: 0,
        }
    }

    pub(super) fn place(&self, fan: FanId) -> Option<Place> {
        self.fans.get(&fan)?.place
    }

    pub(super) fn is_here(&self, fan: FanId) -> bool {
        self.fans.get(&fan).is_some_and(|fan| fan.sockets > 0)
    }

    /// Whether the fan is here or was, less than `within` ago.
    pub(super) fn is_near(&self, now: EventTime, fan: FanId, within: Millis) -> bool {
        self.fans.get(&fan).is_some_and(|fan| fan.sockets > 0 || now.since(fan.last_here) < within)
    }

    /// How many fans are here, whether they wait or not.
    pub(super) fn here(&self) -> usize {
        self.here
    }

    /// Gives the fan a place, or takes it away.
    pub(super) fn set_place(&mut self, now: EventTime, fan: FanId, place: Option<Place>) {
        self.change(now, fan, |fan| fan.place = place);
    }

    pub(super) fn arrive(&mut self, now: EventTime, fan: FanId) {
        self.change(now, fan, |fan| fan.sockets = fan.sockets.saturating_add(1));
    }

    pub(super) fn depart(&mut self, now: EventTime, fan: FanId) {
        self.change(now, fan, |fan| {
            fan.sockets = fan.sockets.saturating_sub(1);
            fan.last_here = now;
        });
    }

    /// A sign of life without a socket: grace begins anew.
    pub(super) fn heard(&mut self, now: EventTime, fan: FanId) {
        self.change(now, fan, |fan| fan.last_here = now);
    }

    /// Places whose fans have been gone for `grace`, longest first.
    pub(super) fn overdue(&self, now: EventTime, grace: Millis) -> impl Iterator<Item = Place> + '_ {
        self.gone.iter().take_while(move |&&(last_here, _)| last_here + grace <= now).map(|&(_, place)| place)
    }

    fn change(&mut self, now: EventTime, id: FanId, how: impl FnOnce(&mut Fan)) {
        let fan = self.fans.entry(id).or_insert(Fan { place: None, sockets: 0, last_here: now });
        if let Some(place) = fan.place {
            self.gone.remove(&(fan.last_here, place));
        }
        let was_here = fan.sockets > 0;
        how(fan);
        match (was_here, fan.sockets > 0) {
            (false, true) => self.here += 1,
            (true, false) => self.here -= 1,
            _ => {}
        }
        match *fan {
            Fan { place: Some(place), sockets: 0, last_here } => {
                self.gone.insert((last_here, place));
            }
            Fan { place: None, sockets: 0, .. } => {
                self.fans.remove(&id);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAN: FanId = FanId::from_u128(1);
    const GRACE: Millis = Millis(10);

    fn overdue(presence: &Presence, now: u64) -> Vec<Place> {
        presence.overdue(EventTime(now), GRACE).collect()
    }

    #[test]
    fn grace_begins_when_the_last_socket_closes() {
        let mut presence = Presence::default();
        presence.arrive(EventTime(0), FAN);
        presence.set_place(EventTime(1), FAN, Some(Place(7)));
        presence.arrive(EventTime(2), FAN);
        presence.depart(EventTime(3), FAN);
        assert!(presence.is_here(FAN));
        presence.depart(EventTime(4), FAN);
        assert_eq!(overdue(&presence, 13), []);
        assert_eq!(overdue(&presence, 14), [Place(7)]);
        presence.arrive(EventTime(14), FAN);
        assert_eq!(overdue(&presence, 1_000), []);
    }

    #[test]
    fn a_fan_with_several_sockets_is_here_once() {
        let mut presence = Presence::restored(EventTime(0), &[(Place(7), FAN)]);
        let other = FanId::from_u128(2);
        assert_eq!(presence.here(), 0);
        for (fan, here) in [(FAN, 1), (FAN, 1), (other, 2)] {
            presence.arrive(EventTime(1), fan);
            assert_eq!(presence.here(), here);
        }
        presence.set_place(EventTime(2), FAN, None);
        for (fan, here) in [(FAN, 2), (other, 1), (other, 1), (FAN, 0)] {
            presence.depart(EventTime(3), fan);
            assert_eq!(presence.here(), here);
        }
    }

    #[test]
    fn a_sign_of_life_begins_the_grace_anew() {
        let mut presence = Presence::restored(EventTime(0), &[(Place(7), FAN)]);
        presence.heard(EventTime(5), FAN);
        assert_eq!(overdue(&presence, 14), []);
        assert_eq!(overdue(&presence, 15), [Place(7)]);
    }

    #[test]
    fn nothing_is_kept_of_a_fan_who_neither_waits_nor_is_here() {
        let mut presence = Presence::default();
        presence.arrive(EventTime(0), FAN);
        presence.set_place(EventTime(0), FAN, Some(Place(7)));
        presence.depart(EventTime(0), FAN);
        presence.set_place(EventTime(0), FAN, None);
        presence.depart(EventTime(0), FAN);
        assert!(presence.fans.is_empty() && presence.gone.is_empty());
    }
}
