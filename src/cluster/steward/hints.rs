//! What makes a steward look earlier: changes that etcd tells of. Hints only, for some are never told.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, time::sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::stores::wishes::{Change, WishStore};

/// After a watch ended.
const PAUSE: Duration = Duration::from_millis(500);

/// For as long as what is given back is kept.
pub(super) fn follow(store: &Arc<WishStore>, hint: &Arc<Notify>) -> [AbortOnDropHandle<()>; 3] {
    [Change::Drained, Change::Pinned, Change::Unowned].map(|change| {
        let (store, hint) = (Arc::clone(store), Arc::clone(hint));
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                if let Ok(mut stream) = store.watch(change).await {
                    while let Ok(Some(_)) = stream.message().await {
                        hint.notify_one();
                    }
                }
                sleep(PAUSE).await;
            }
        }))
    })
}
