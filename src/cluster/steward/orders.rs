//! Placement's answers, remembered while nothing that they depend on has changed: a node that gives a thousand events away asks
//! for all that are left each time that one has gone.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{cluster::placement::Placement, domain::id::EventId};

pub(super) struct Orders {
    placement: Placement,
    known: Mutex<HashMap<EventId, Vec<String>>>,
}

impl Orders {
    pub fn new(placement: Placement) -> Self {
        Self { placement, known: Mutex::default() }
    }

    /// To be called before a round of questions.
    pub fn refresh(&mut self) {
        if self.placement.has_changed() {
            self.known.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    pub fn of(&self, event: EventId) -> Vec<String> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(event)
            .or_insert_with(|| self.placement.order(event))
            .clone()
    }
}
