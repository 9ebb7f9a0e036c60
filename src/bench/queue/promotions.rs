//! From the front of the queue to a token: proposed, admitted in the journal, told to the fan's tie, signed.
//!
//! Everybody is present, so nobody has to claim. What follows, a frame on a socket, is not part of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::timeout,
};

use super::{
    crowd::{self, PATIENCE, paused},
    figures::Figures,
};
use crate::{
    actors::{
        connection::Update,
        waiting_room::{Attachment, Ear},
    },
    bench::stage::Stage,
    domain::{
        inventory::{
            configuration::{Configuration, MAX_QUANTITY, QueueSettings},
            request::{Command, Request},
        },
        queue::{News, Standing},
    },
    failure::Failure,
    http::queue::state::Teller,
};

/// For the last admission, from the one before.
const NEXT: Duration = Duration::from_secs(20);

pub async fn run(stage: &Stage, promoted: u32, figures: &mut Figures) -> Result<(), Failure> {
    let paused = paused();
    let queue = QueueSettings { slots: MAX_QUANTITY, rate_per_minute: MAX_QUANTITY, ..paused.queue };
    let configuration = Configuration { queue, ..paused };
    let (event, handles) = stage.open_with(configuration.clone()).await?;
    let room = handles.waiting_room;
    let fans = crowd::fans(promoted);
    crowd::join(&room, &fans).await?;
    let (signed, all_signed) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
    let mut listeners = JoinSet::new();
    for &fan in &fans {
        let (heard, news) = mpsc::unbounded_channel();
        let attachment = room.attach(fan, Box::new(Listener(heard))).await?;
        let teller = Teller::new(stage.node().app().tokens.clone(), event, fan);
        let (signed, all_signed) = (Arc::clone(&signed), Arc::clone(&all_signed));
        listeners.spawn(async move {
            let token = listen(attachment, news, teller).await;
            if signed.fetch_add(1, Ordering::Relaxed) + 1 == promoted {
                all_signed.notify_one();
            }
            token
        });
    }
    let began = Instant::now();
    let queue = QueueSettings { paused: false, ..configuration.queue };
    let on = Configuration { version: 2, queue, ..configuration };
    handles.inventory.ask(Request { identity: None, command: Command::Configure(Box::new(on)) }).await?;
    while timeout(NEXT, all_signed.notified()).await.is_err() {
        let count = signed.load(Ordering::Relaxed);
        if began.elapsed() > PATIENCE {
            return Err(format!("{count} of {promoted} were let in within {PATIENCE:?}").into());
        }
    }
    let took = began.elapsed();
    let mut tokens = listeners.join_all().await;
    let last = tokens.pop().flatten().ok_or("an admission without a token")?;
    let claims = stage.node().app().tokens.verify_admission(&last).await?;
    let journalled = handles.inventory.view().slots_taken;
    if claims.about.evt != event || tokens.iter().any(Option::is_none) || journalled != promoted {
        return Err(format!("{promoted} tokens were signed, the journal has {journalled} admissions").into());
    }
    figures.add("promotions", "admitted in the journal, tokens signed", "/s", f64::from(promoted) / took.as_secs_f64());
    Ok(())
}

/// As a socket's actor hears it: a message, which wakes the fan's own task.
struct Listener(mpsc::UnboundedSender<News>);

impl Ear for Listener {
    fn hear(&self, news: News) {
        // Who has heard of the admission listens no more.
        let _ = self.0.send(news);
    }
}

async fn listen(
    attachment: Attachment,
    mut news: mpsc::UnboundedReceiver<News>,
    mut teller: Teller,
) -> Option<Arc<str>> {
    loop {
        if let News::Admitted(admission) = news.recv().await? {
            let queue = attachment.lanes.queue();
            let told = Update::of(Standing::Admitted(admission), None, &queue, queue.at);
            return Some(teller.tell(told).accepted_token_id).filter(|token| !token.is_empty());
        }
    }
}
