//! Takes what benchmarks have written out of an etcd again: left there, their journals would fill it run by run.

use etcd_client::{Client, DeleteOptions};

use crate::{domain::id::EventId, failure::Failure, stores::etcd::keys};

pub async fn remove(endpoints: &[String], events: &[EventId]) -> Result<(), Failure> {
    if endpoints.is_empty() || events.is_empty() {
        return Ok(());
    }
    let mut client = Client::connect(endpoints, None).await?;
    for &event in events {
        let ranges = [(keys::segment(event, 0), keys::segments_end(event)), keys::generations(event)];
        for (first, end) in ranges {
            client.delete(first, Some(DeleteOptions::new().with_range(end))).await?;
        }
        client.delete(keys::available(event, ""), Some(DeleteOptions::new().with_prefix())).await?;
        for key in [keys::active(event), keys::manifest(event), keys::published(event), keys::owner(event)] {
            client.delete(key, None).await?;
        }
    }
    Ok(())
}
