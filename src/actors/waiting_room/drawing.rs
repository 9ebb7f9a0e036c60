//! The steps of the draw that need hashing, the root secret or the journal: they run beside the actor.
//!
//! Owns how a step is done. When one is due the machine says; what became of it the journal says.

use std::sync::Arc;

use super::{inventory, message::Message, state::plain};
use crate::{
    actors::inventory::AskError,
    domain::{
        draw::{Book, Digest, Lots, Tree, commitment, in_order},
        id::EventId,
        inventory::{
            draw::{Closed, Draw},
            request::{Command, DrawCommand},
        },
        queue::DrawStep,
    },
};

/// Does the step, as far as that is possible now.
pub(super) async fn take(
    step: DrawStep,
    event: EventId,
    inventory: inventory::Handle,
    seeds: Arc<[Digest]>,
) -> Message {
    let done = match step {
        DrawStep::Commit => match seeds.first() {
            Some(seed) => ask(&inventory, DrawCommand::Commit { commitment: commitment(seed) }).await,
            None => Ok(false),
        },
        DrawStep::Close { fans, last } => {
            let ordered = beside(move || {
                let (entries, fans): (Vec<_>, Vec<_>) = in_order(event, fans).into_iter().unzip();
                (Tree::new(&entries).root(), fans)
            });
            match ordered.await {
                Some((root, fans)) => ask(&inventory, DrawCommand::Close { root, last, fans }).await,
                None => Ok(false),
            }
        }
        DrawStep::Reveal => {
            // The root secret may have been replaced since: whichever was committed to.
            let draw = inventory.view().draw.clone();
            let seed = draw.and_then(|draw| seeds.iter().find(|seed| commitment(seed) == draw.commitment).copied());
            match seed {
                Some(seed) => ask(&inventory, DrawCommand::Reveal { seed }).await,
                None => return Message::DrawStepped { is_done: false, lacks_secret: true },
            }
        }
        DrawStep::Order => match order(event, &inventory).await {
            Ok(Some(drawn)) => return drawn,
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        },
    };
    let is_done = done.unwrap_or_else(|error| {
        tracing::warn!(%event, %error, "a step of the draw was not done; it is tried again");
        false
    });
    Message::DrawStepped { is_done, lacks_secret: false }
}

async fn ask(inventory: &inventory::Handle, command: DrawCommand) -> Result<bool, AskError> {
    inventory.ask(plain(Command::Draw(command))).await.map(|_| true)
}

/// Works out the order from what the journal says, and leaves out whoever was admitted by it before.
async fn order(event: EventId, inventory: &inventory::Handle) -> Result<Option<Message>, AskError> {
    let Some(Draw { closed: Some(Closed { root, term, .. }), seed: Some(seed), beacon, .. }) =
        inventory.view().draw.clone()
    else {
        return Ok(None);
    };
    let fans = inventory.begin(Vec::new()).await?.entrants;
    let drawn = beside(move || {
        let lots = Lots { seed, root, beacon: beacon.as_deref().unwrap_or_default() };
        let book = Book::new(event, &lots, fans);
        let places = book.places(term);
        (Arc::new(book), places)
    });
    let Some((book, places)) = drawn.await else { return Ok(None) };
    let places = inventory.begin(places).await?.places;
    Ok(Some(Message::Drawn { places, book }))
}

/// Millions of hashes would hold up everything else on this thread. `None`: the process ends.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
