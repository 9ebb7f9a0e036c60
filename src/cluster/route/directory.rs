//! The directory of a node among others.

use async_trait::async_trait;

use super::{NotFound, Router};
use crate::{
    actors::directory::{Directory, DirectoryError, EventHandles},
    domain::id::EventId,
};

#[async_trait]
impl Directory for Router {
    async fn event(&self, event: EventId) -> Result<EventHandles, DirectoryError> {
        if let Some(handles) = self.local.here(event) {
            return Ok(handles);
        }
        let node = self.locate(event).await.map_err(|error| match error {
            NotFound::UnknownEvent => DirectoryError::UnknownEvent,
            NotFound::Unavailable => DirectoryError::Unavailable,
        })?;
        let found =
            if node == self.me.node { self.local.event(event).await } else { self.mirrors().event(event).await };
        // Whoever asks next begins with what etcd says.
        if found.is_err() {
            self.owners.forget(event, &node);
        }
        found
    }
}
