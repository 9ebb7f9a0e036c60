//! What viewers are shown of an event's stock: one feed of changes for each activation, where the event runs.
//!
//! Owns the [`Feed`], and how often it looks. It looks when it is asked, so an event that nobody watches costs nothing; nobody is told
//! more than was committed. On other nodes the handle asks the owner's.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use super::{
    inventory::{self, AskError, StockNow},
    mirror::Reflection,
};
use crate::{
    domain::{
        inventory::View,
        stock::{Feed, Layout, Mark, Update},
    },
    stores::journal::Epoch,
};

/// Between two looks at the least, however many nodes ask.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    way: Way,
}

#[derive(Clone)]
enum Way {
    Here(Arc<Here>),
    There(Arc<Reflection>),
}

struct Here {
    inventory: inventory::Handle,
    epoch: Epoch,
    /// `None`: nobody has asked yet.
    seen: Mutex<Option<Seen>>,
}

struct Seen {
    feed: Feed,
    layout: Layout,
    /// What was shown before the last look.
    view: Arc<View>,
    looked: Instant,
}

impl Handle {
    pub(super) fn here(inventory: inventory::Handle, epoch: Epoch) -> Self {
        Self { way: Way::Here(Arc::new(Here { inventory, epoch, seen: Mutex::default() })) }
    }

    pub(super) fn there(reflection: Arc<Reflection>) -> Self {
        Self { way: Way::There(reflection) }
    }

    /// What is new to who has seen so much; all of it where that cannot be said otherwise. Up to a tenth of a second old.
    pub async fn since(&self, mark: Option<Mark>) -> Result<Update, AskError> {
        match &self.way {
            Way::Here(here) => here.since(mark).await,
            Way::There(there) => there.stock(mark).await,
        }
    }

    /// Waits until there may be something new since the view, as long as that can be seen from here.
    pub async fn stirred(&self, seen: &Arc<View>) {
        let Way::Here(here) = &self.way else { return };
        let mut shown = here.inventory.watch();
        // One that has ended has nothing new to show: whoever asks next asks another.
        let _ = shown.wait_for(|shown| !Arc::ptr_eq(shown, seen)).await;
    }
}

impl Here {
    async fn since(&self, mark: Option<Mark>) -> Result<Update, AskError> {
        let mut seen = self.seen.lock().await;
        match &mut *seen {
            None => {
                // Seen before the look: what comes between is looked for once more.
                let view = self.inventory.view();
                let now = self.inventory.stock().await?;
                let layout = layout(&now);
                let feed = Feed::new(self.epoch.0, layout.map(now.free, now.counts));
                *seen = Some(Seen { feed, layout, view, looked: Instant::now() });
            }
            Some(seen) => seen.look(&self.inventory).await?,
        }
        seen.as_ref().map(|seen| seen.feed.since(mark)).ok_or(AskError::Unavailable)
    }
}

impl Seen {
    async fn look(&mut self, inventory: &inventory::Handle) -> Result<(), AskError> {
        if !self.differs(&inventory.view()) {
            return Ok(());
        }
        sleep_until(self.looked + LOOK_EVERY).await;
        let view = inventory.view();
        let now = inventory.stock().await?;
        if now.configuration.as_ref().map_or(0, |configuration| configuration.version) != self.layout.version() {
            self.layout = layout(&now);
        }
        self.feed.take(self.layout.map(now.free, now.counts));
        (self.view, self.looked) = (view, Instant::now());
        Ok(())
    }

    fn differs(&self, view: &Arc<View>) -> bool {
        if Arc::ptr_eq(&self.view, view) {
            return false;
        }
        let counts = |view: &View| view.ticket_types.iter().map(|each| each.available).collect::<Vec<_>>();
        (self.view.version, self.view.seats_revision) != (view.version, view.seats_revision)
            || counts(&self.view) != counts(view)
    }
}

fn layout(now: &StockNow) -> Layout {
    now.configuration
        .as_ref()
        .map_or_else(Layout::default, |configuration| Layout::of(configuration.version, &configuration.seats))
}
