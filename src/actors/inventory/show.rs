//! What is shown of an inventory without a message: only ever the committed state.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwap;

use crate::domain::{
    event::Phase,
    inventory::{
        Inventory,
        configuration::{Configuration, Limits, Mode, OrphanRule, QueueSettings},
    },
    money::Currency,
    price::Charges,
    time::{EventTime, Millis},
};

/// Shared by the actor, which writes, and its handles.
pub(super) struct Shown {
    pub configuration: ArcSwap<Configuration>,
    active: AtomicBool,
}

impl Shown {
    pub fn new(recovered: &Inventory) -> Self {
        let configuration = recovered.configuration().map_or_else(|| Arc::new(unconfigured()), Arc::clone);
        Self { configuration: ArcSwap::new(configuration), active: AtomicBool::new(recovered.is_active()) }
    }

    pub fn show_configuration(&self, configuration: &Arc<Configuration>) {
        if !Arc::ptr_eq(&self.configuration.load(), configuration) {
            self.configuration.store(Arc::clone(configuration));
        }
    }

    pub fn set_active(&self, active: bool) {
        self.active.store(active, Ordering::Relaxed);
    }

    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }
}

/// What stands in for the configuration until the first one is committed; nothing can be bought under it.
pub(in crate::actors) fn unconfigured() -> Configuration {
    Configuration {
        version: 0,
        phase: Phase::Draft,
        currency: Currency::EUR,
        on_sale_at: EventTime::default(),
        sale_ends_at: None,
        ticket_types: Vec::new(),
        quotas: Vec::new(),
        seats: Vec::new(),
        limits: Limits {
            per_order: 1,
            per_fan: 1,
            per_instrument: None,
            hold_ttl: Millis::minutes(1),
            hold_extension: Millis(0),
        },
        orphan_rule: OrphanRule::Off,
        beacon: None,
        notice: None,
        classes: Arc::default(),
        halted: false,
        waitlist: Default::default(),
        charges: Charges::default(),
        queue: QueueSettings {
            mode: Mode::Fifo,
            prequeue: Millis::minutes(30),
            engage_above: 0,
            release_below: 0,
            slots: 0,
            rate_per_minute: 0,
            paused: true,
            session: Millis::minutes(1),
            extension: Millis(0),
            claim_window: Millis::minutes(1),
            grace: Millis::minutes(1),
            invite_only: false,
            exclusive: false,
        },
    }
}
