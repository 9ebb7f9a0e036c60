//! What other nodes send: errands to events that run here, reports of errands sent from here, attendance and bulletins.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{Router, TAKE, post::Post};
use crate::{
    actors::{
        courier::{Attendance, Bulletin},
        directory::DirectoryError,
        errand::Errand,
        stand_in::StandIns,
    },
    cluster::{
        gateway::{Answer, Fate, Inbox, Notice, Parcel, Piece, Question, Remote, Reply, Taken},
        measures,
        wire::Opaque,
    },
    domain::id::EventId,
    stores::membership::Incarnation,
};

/// Bulletins that may wait for a link.
const BULLETINS: usize = 64;
/// For a link that another node already uses to be known to be up here.
const SOON: Duration = Duration::from_secs(2);
/// Between two attempts to take what another node is giving up.
const LOOK: Duration = Duration::from_millis(20);

/// Those of one node whose sockets are attached to events here, for as long as there is a link to it.
pub(super) struct Visitors {
    remote: Remote,
    stand_ins: StandIns,
    _work: AbortOnDropHandle<()>,
}

impl Inbox for Router {
    fn asked(&self, question: Question, reply: Reply) {
        let Some(router) = self.itself.upgrade() else { return };
        match question {
            Question::Take(event) => {
                drop(tokio::spawn(async move { reply.send(Answer::Taken(router.take(event).await)) }))
            }
            Question::Status => drop(tokio::spawn(async move {
                reply.send(router.portrait.get().map_or(Answer::Incompatible, |portrait| portrait.answer()));
            })),
        }
    }

    fn told(&self, notice: Notice) {
        match notice {
            Notice::Beat => {}
            Notice::Attendance { from, event, body } => self.attended(&from, event, &body),
            Notice::Bulletin { body, .. } => {
                if let Some(bulletin) = read::<Bulletin>(&body) {
                    self.mirrors().bulletin(bulletin);
                }
            }
            Notice::Errands { from, pieces } => self.errands(from, pieces),
            Notice::Reports { from, pieces } => {
                if let Some(post) = self.posts.to(&from.node).filter(|post| post.remote.peer == from) {
                    post.settle(pieces);
                }
            }
            Notice::NotHere { from, event } => {
                self.owners.forget(event, &from.node);
                self.mirrors().lost(event);
            }
        }
    }
}

impl Router {
    /// Where another node has the event still, it is about to give it up.
    async fn take(&self, event: EventId) -> Taken {
        // Whoever asks has not heard yet that this node takes nothing, perhaps what it has just given up.
        if !self.placement.order(event).contains(&self.me.node) {
            return Taken::NotNow;
        }
        let taking = async {
            loop {
                match self.local.activate(event).await {
                    Ok(_) => {
                        self.moved(event);
                        return Taken::Here;
                    }
                    Err(DirectoryError::UnknownEvent) => return Taken::UnknownEvent,
                    Err(DirectoryError::Elsewhere | DirectoryError::Unavailable) => sleep(LOOK).await,
                }
            }
        };
        timeout(TAKE, taking).await.unwrap_or(Taken::NotNow)
    }

    fn errands(&self, from: Incarnation, pieces: Vec<Piece>) {
        let Some(router) = self.itself.upgrade() else { return };
        match self.posts.to(&from.node).filter(|post| post.remote.peer == from) {
            Some(post) => router.run_all(&post, pieces),
            None => drop(tokio::spawn(async move {
                // Otherwise nobody could be told.
                if let Some(post) = router.posts.back_to(&from, Instant::now() + SOON).await {
                    router.run_all(&post, pieces);
                }
            })),
        }
    }

    fn run_all(self: &Arc<Self>, post: &Arc<Post>, pieces: Vec<Piece>) {
        for (id, parcel) in post.parcels(pieces) {
            let Parcel { event, left_ms, errand } = parcel;
            let Some(handles) = self.local.here(event) else {
                let hint = self.owners.known(event).filter(|node| *node != self.me.node);
                post.report(id, &Fate::NotOwner { hint });
                continue;
            };
            let Some(errand) = read::<Errand>(&errand) else {
                post.report(id, &Fate::Incompatible);
                continue;
            };
            let post = Arc::clone(post);
            tokio::spawn(async move {
                let report = handles.run(errand, Duration::from_millis(left_ms.into())).await;
                match postcard::to_allocvec(&report) {
                    Ok(bytes) => post.report(id, &Fate::Done(Opaque(bytes))),
                    Err(error) => tracing::error!(%error, "a report that cannot be encoded"),
                }
            });
        }
    }

    fn attended(&self, from: &Incarnation, event: EventId, body: &Opaque) {
        let Some(attendance) = read::<Attendance>(body) else { return };
        // Without a link nothing can be told; it is said again.
        let Some(post) = self.posts.to(&from.node).filter(|post| post.remote.peer == *from) else { return };
        let mut visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        visitors.retain(|visitor, here| visitor.node != from.node || here.remote.is_same_link(&post.remote));
        let here = visitors.entry(from.clone()).or_insert_with(|| Visitors::new(self.me.clone(), post.remote.clone()));
        if !here.stand_ins.attend(event, attendance, || self.local.here(event)) {
            post.remote.tell(Notice::NotHere { from: self.me.clone(), event });
        }
    }
}

impl Visitors {
    fn new(me: Incarnation, remote: Remote) -> Self {
        let (sender, mut bulletins) = mpsc::channel::<Bulletin>(BULLETINS);
        let to = remote.clone();
        let work = tokio::spawn(async move {
            while let Some(bulletin) = bulletins.recv().await {
                let Ok(body) = postcard::to_allocvec(&bulletin) else { continue };
                to.tell(Notice::Bulletin { from: me.clone(), event: bulletin.event, body: Opaque(body) });
            }
        });
        Self { remote, stand_ins: StandIns::new(sender), _work: AbortOnDropHandle::new(work) }
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &Opaque) -> Option<T> {
    let read = postcard::from_bytes(&body.0);
    let refused = |error: &postcard::Error| {
        measures::unreadable();
        tracing::warn!(%error, "what another node says cannot be read");
    };
    read.inspect_err(refused).ok()
}
