//! A draw among very many, in the running actor with its journal; and the steps of it that are only arithmetic.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::{
    crowd::{self, PATIENCE},
    figures::Figures,
};
use crate::{
    actors::{directory::EventHandles, waiting_room::Handle},
    bench::stage::{self, Stage},
    domain::{
        draw::{Book, DrawFile, DrawFormat, Lots, ProofFile, ProofFormat, Tree, in_order},
        id::{EventId, FanId},
        inventory::{
            configuration::{Configuration, Mode, QueueSettings},
            draw::Draw,
            request::{Command, Request},
        },
        queue::{Entries, Place, Standing},
        time::Millis,
    },
    failure::Failure,
    http::now,
};

const PART: &str = "draw";
/// Until the sale opens; brought forward when all have joined.
const LATER: Millis = Millis::minutes(60);
const PREQUEUE: Millis = Millis::minutes(120);

pub async fn run(stage: &Stage, entries: u32, figures: &mut Figures) -> Result<(), Failure> {
    let usual = stage::configuration();
    let queue = QueueSettings { mode: Mode::Draw, prequeue: PREQUEUE, paused: true, ..usual.queue };
    let configuration = Configuration { on_sale_at: now() + LATER, queue, ..usual };
    let (event, handles) = stage.open_with(configuration.clone()).await?;
    until(&handles, |draw| draw.is_some()).await?;
    let fans = crowd::fans(entries);
    crowd::join(&handles.waiting_room, &fans).await?;
    figures.add(PART, "entries", "", f64::from(entries));

    let began = Instant::now();
    let mut seconds = |what: &'static str, took: Duration| figures.add(PART, what, "s", took.as_secs_f64());
    let open = Configuration { version: 2, on_sale_at: now(), ..configuration };
    handles.inventory.ask(Request { identity: None, command: Command::Configure(Box::new(open)) }).await?;
    until(&handles, |draw| draw.is_some_and(|draw| draw.closed.is_some())).await?;
    seconds("from the opening: entries sorted, root journalled", began.elapsed());
    until(&handles, |draw| draw.is_some_and(|draw| draw.seed.is_some())).await?;
    seconds("seed revealed", began.elapsed());
    let mut queue = handles.waiting_room.queue();
    let drawn = queue.wait_for(|queue| matches!(queue.conditions.entries, Entries::Drawn(_)));
    drop(timeout(PATIENCE, drawn).await.map_err(|_| "the order is not worked out")??);
    seconds("everybody has the drawn place", began.elapsed());
    let proof = check(&handles.waiting_room, &handles, event, &fans).await?;
    figures.add(PART, "one proof, asked of the actor", "us", proof.as_secs_f64() * 1e6);
    alone(&handles, event, fans, figures).await
}

async fn until(handles: &EventHandles, is_so: impl Fn(Option<&Draw>) -> bool) -> Result<(), Failure> {
    let mut view = handles.inventory.watch();
    let seen = view.wait_for(|view| is_so(view.draw.as_ref()));
    drop(timeout(PATIENCE, seen).await.map_err(|_| "a step of the draw is not done")??);
    Ok(())
}

/// Proofs of a sample hold by themselves, and their ranks are the places that the queue goes by.
async fn check(room: &Handle, handles: &EventHandles, event: EventId, fans: &[FanId]) -> Result<Duration, Failure> {
    let draw = handles.inventory.view().draw.clone().ok_or("no draw")?;
    let (closed, seed) = (draw.closed.ok_or("not closed")?, draw.seed.ok_or("not revealed")?);
    let sample = crowd::some(fans, (fans.len() / crowd::SAMPLE).max(1) as u32);
    let began = Instant::now();
    let mut proofs = Vec::with_capacity(sample.len());
    for &fan in &sample {
        proofs.push(room.proof(fan).await?.ok_or("an entry without a proof")?);
    }
    let each = began.elapsed() / sample.len().max(1) as u32;
    for (fan, proof) in sample.into_iter().zip(proofs) {
        let place = Place::new(closed.term, proof.rank);
        let standing = room.standing(fan).await?;
        if standing != Standing::Waiting(place) {
            return Err(format!("rank {} and {standing:?}", proof.rank).into());
        }
        let file = ProofFile {
            format: ProofFormat::V1,
            event,
            fan,
            commitment: draw.commitment,
            beacon: None,
            root: closed.root,
            count: closed.count,
            index: proof.index,
            entry: proof.entry,
            path: proof.path,
            seed,
            rank: proof.rank,
        };
        file.check(None)?;
    }
    Ok(each)
}

/// The arithmetic of each step, on one core, and the check of the published file.
async fn alone(handles: &EventHandles, event: EventId, fans: Vec<FanId>, figures: &mut Figures) -> Result<(), Failure> {
    let draw = handles.inventory.view().draw.clone().ok_or("no draw")?;
    let (closed, seed) = (draw.closed.ok_or("not closed")?, draw.seed.ok_or("not revealed")?);
    let mut began = Instant::now();
    let mut lap = |what: &'static str| {
        figures.add(PART, what, "s", began.elapsed().as_secs_f64());
        began = Instant::now();
    };
    let ordered = in_order(event, fans);
    lap("alone: entries hashed and sorted");
    let (entries, fans): (Vec<_>, Vec<_>) = ordered.into_iter().unzip();
    let root = Tree::new(&entries).root();
    lap("alone: root");
    let lots = Lots { seed, root, beacon: "" };
    let book = Book::new(event, &lots, std::sync::Arc::new(fans));
    lap("alone: the book: entries, tree, order");
    let (entries, ranks) = book.into_ranks();
    let file = DrawFile {
        format: DrawFormat::V1,
        event,
        commitment: draw.commitment,
        beacon: None,
        root: closed.root,
        seed,
        entries,
        ranks,
    };
    let text = serde_json::to_vec(&file)?;
    lap("alone: the file written");
    file.check()?;
    lap("alone: the file checked, as verify-draw does");
    figures.add(PART, "the file", "MB", text.len() as f64 / 1e6);
    Ok(())
}
