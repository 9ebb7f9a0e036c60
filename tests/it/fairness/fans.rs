//! Fans at sockets of the public API who write down all that they are told. Each waits, shops a moment, and goes.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use onsale::{
    demo::fans::{Client, Headers, Pass, Socket},
    domain::id::{EventId, FanId},
    http::now,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::history::{Fan, Seen, What};
use crate::{
    crowd::claims,
    harness::{PASSWORD, in_time, until},
};

/// Before a socket that is not there is opened again.
const AGAIN: Duration = Duration::from_millis(20);
/// The server speaks more often than that, if only by pings.
const SILENCE: Duration = Duration::from_secs(60);
/// Ask together; the next ones ask when these have their places.
const TOGETHER: usize = 6;

/// What all of them have written down.
#[derive(Clone, Default)]
pub struct Diary(Arc<Mutex<Vec<Seen>>>);

impl Diary {
    fn write(&self, fan: Fan, what: What) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Seen { at: now().0, fan, what });
    }

    pub fn all(&self) -> Vec<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn count_admitted(&self) -> usize {
        self.all().iter().filter(|seen| matches!(seen.what, What::Admitted { .. })).count()
    }

    pub async fn admitted(&self, count: usize) {
        until("more are let in", async || self.count_admitted() >= count).await;
    }
}

pub struct Waiters {
    pub diary: Diary,
    event: EventId,
    /// Not come yet.
    fans: Vec<Waiter>,
    there: Vec<JoinHandle<()>>,
}

struct Waiter {
    client: Arc<Client>,
    event: EventId,
    access: String,
    /// Of somebody else.
    others_access: String,
    id: Fan,
    random: StdRng,
    /// Has enough after so many updates.
    patience: Option<u32>,
    diary: Diary,
    connection: u32,
    place: Option<u64>,
    ticket: Option<String>,
    /// By a ticket on this connection, which is told one only once.
    told_here: Option<u64>,
    /// Closes the socket now and then, without a reason.
    flaps: bool,
}

impl Waiters {
    /// They have accounts, and do not wait yet.
    pub async fn register(
        clients: &[Arc<Client>],
        event: EventId,
        count: usize,
        flap: bool,
        random: &mut StdRng,
    ) -> Self {
        let accounts = join_all(clients.iter().cycle().take(count).map(|client| register(client))).await;
        let others = accounts.iter().cycle().skip(1).cloned();
        let diary = Diary::default();
        let waiter = |((client, access), others_access): ((&Arc<Client>, &String), String)| Waiter {
            client: Arc::clone(client),
            event,
            id: claims(access)["sub"].as_str().and_then(|sub| sub.parse::<FanId>().ok()).expect("an id").as_u128(),
            access: access.clone(),
            others_access,
            random: StdRng::seed_from_u64(random.random()),
            // One in ten.
            patience: random.random_bool(0.1).then(|| random.random_range(1..6)),
            diary: diary.clone(),
            connection: 0,
            place: None,
            ticket: None,
            told_here: None,
            flaps: flap,
        };
        let fans = clients.iter().cycle().zip(&accounts).zip(others).map(waiter).collect();
        Self { diary, event, fans, there: Vec::new() }
    }

    /// Of those who have not come yet, in the order in which they will.
    pub fn ids(&self) -> Vec<Fan> {
        self.fans.iter().map(|fan| fan.id).collect()
    }

    /// Those of them who wait until it is their turn.
    pub fn patient(&self) -> Vec<Fan> {
        self.fans.iter().filter(|fan| fan.patience.is_none()).map(|fan| fan.id).collect()
    }

    pub fn event(&self) -> EventId {
        self.event
    }

    /// So many more come.
    pub async fn come(&mut self, count: usize) {
        let mut coming: Vec<_> = self.fans.drain(..count.min(self.fans.len())).collect();
        while !coming.is_empty() {
            let mut placed = Vec::new();
            for waiter in coming.drain(..TOGETHER.min(coming.len())) {
                let (has_place, told) = oneshot::channel();
                self.there.push(tokio::spawn(waiter.live(has_place)));
                placed.push(told);
            }
            for told in in_time(join_all(placed)).await {
                told.expect("everybody gets a place");
            }
        }
    }

    /// Everybody has been let in, or has left.
    pub async fn end(&mut self) {
        for ended in in_time(join_all(self.there.drain(..))).await {
            ended.expect("no fan finds anything wrong");
        }
    }
}

/// Whoever waits for it may have gone.
fn tell(has_place: &mut Option<oneshot::Sender<()>>) {
    if let Some(told) = has_place.take() {
        let _ = told.send(());
    }
}

async fn register(client: &Client) -> String {
    let email = format!("fan-{}@example.com", Uuid::new_v4().simple());
    let body = json!({"email": email, "password": PASSWORD, "name": "Ann", "language": "en"});
    let reply = client.send(Method::POST, "/auth/register", Headers::default(), Some(&body)).await;
    reply.expect("an answer").text("access_token").expect("registered")
}

impl Waiter {
    fn write(&self, what: What) {
        self.diary.write(self.id, what);
    }

    async fn live(mut self, has_place: oneshot::Sender<()>) {
        let mut has_place = Some(has_place);
        self.write(What::Asked);
        let mut pass = Pass::Access(self.access.clone());
        loop {
            let Ok(mut socket) = self.client.reopen_queue(self.event, &pass, self.ticket.as_deref()).await else {
                // A resume ticket is good once; the account is good always.
                pass = Pass::Access(self.access.clone());
                sleep(AGAIN).await;
                continue;
            };
            self.connection += 1;
            self.told_here = None;
            while let Ok(Ok(Some(message))) = timeout(SILENCE, socket.next()).await {
                match message["type"].as_str() {
                    Some("goaway") => {
                        let ticket = message["resumeTicket"].as_str().expect("a ticket").to_owned();
                        pass = Pass::Resume(ticket);
                        self.client.turn_from(&socket);
                    }
                    Some("queue.update") => {
                        if let Some(token) = self.told(&message, &mut socket).await {
                            tell(&mut has_place);
                            return self.shop(&token).await;
                        }
                        if self.place.is_some() {
                            tell(&mut has_place);
                        }
                        self.patience = self.patience.map(|updates| updates.saturating_sub(1));
                        if self.patience == Some(0) {
                            // First the socket: while it is open, it joins wherever the event goes.
                            socket.close().await;
                            return self.leave().await;
                        }
                        if self.flaps && self.random.random_bool(0.4) {
                            break;
                        }
                    }
                    _ => {}
                }
            }
            socket.close().await;
        }
    }

    /// The admission token, if it says so.
    async fn told(&mut self, update: &Value, socket: &mut Socket) -> Option<String> {
        let token = |field: &str| update[field].as_str().filter(|token| !token.is_empty());
        if let Some(token) = token("acceptedTokenId") {
            let claims = claims(token);
            let until = claims["exp"].as_u64().expect("an end") * 1000;
            self.write(What::Admitted { place: claims["plc"].as_u64().expect("a place"), until });
            return Some(token.to_owned());
        }
        if let Some(ticket) = token("queueTicket") {
            self.ticket = Some(ticket.to_owned());
            let place = claims(ticket)["plc"].as_u64().expect("a place");
            self.told_here = Some(place);
            if self.place.replace(place) != Some(place) {
                self.write(What::Told { place });
            }
        }
        if update["state"] == "none" {
            assert!(self.place.is_none(), "{:x} has no place any more: {update}", self.id);
            return None;
        }
        let Some(place) = self.told_here else {
            unreachable!("{:x} is told no ticket first: {update}", self.id);
        };
        if update["state"] == "called" {
            // If it is not heard, the next connection claims.
            let _ = socket.say(&json!({"type": "claim"})).await;
            return None;
        }
        if update["rebuilding"] == true {
            self.write(What::Rebuilding { connection: self.connection });
            return None;
        }
        let number = |field: &str| update[field].as_u64().expect("a number");
        let (ahead, seq) = (number("peopleAheadInQueue"), number("seq"));
        self.write(What::Position { place, ahead, connection: self.connection, seq });
        None
    }

    async fn shop(mut self, token: &str) {
        let path = format!("/events/{}/holds", self.event);
        let want = json!({"items": [{"ticket_type": "STANDING", "quantity": 1}]});
        let key = Uuid::new_v4().to_string();
        let headers = Headers { access: Some(&self.access), admission: Some(token), key: Some(&key) };
        if self.random.random_bool(0.3) {
            let others = Headers { access: Some(&self.others_access), ..headers };
            let reply = self.client.send(Method::POST, &path, others, Some(&want)).await.expect("an answer");
            self.write(What::TriedAnothers { allowed: reply.status.is_success() });
        }
        if self.random.random_bool(0.5) {
            let key = Uuid::new_v4().to_string();
            let headers = Headers { key: Some(&key), ..headers };
            let reply = self.client.send(Method::POST, &path, headers, Some(&want)).await.expect("an answer");
            let hold = reply.text("reference").unwrap_or_else(|_| unreachable!("{:x} may hold: {reply:?}", self.id));
            let key = Uuid::new_v4().to_string();
            let headers = Headers { access: Some(&self.access), key: Some(&key), admission: None };
            let reply = self.client.send(Method::DELETE, &format!("/holds/{hold}"), headers, None).await;
            assert!(reply.expect("an answer").status.is_success());
        }
        sleep(Duration::from_millis(self.random.random_range(20..120))).await;
        self.leave().await;
    }

    async fn leave(self) {
        let headers = Headers { access: Some(&self.access), ..Headers::default() };
        self.write(What::Left);
        let reply = self.client.send(Method::DELETE, &format!("/events/{}/queue", self.event), headers, None).await;
        let reply = reply.expect("an answer");
        assert!(reply.status.is_success(), "{reply:?}");
    }
}
