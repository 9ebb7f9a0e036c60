//! The fans: holds, all the time, and when they were answered.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle, time::sleep};
use uuid::Uuid;

use super::stage::{self, PER_FAN, Stage};
use crate::{
    domain::{
        account::Role,
        claims::{Access, AdmissionClaim, Kind},
        id::EventId,
    },
    failure::Failure,
};

/// For the event to be somewhere else, and answer.
pub const BACK: Duration = Duration::from_secs(40);
/// After the event is back.
pub const CALM: Duration = Duration::from_millis(1_500);
/// Before a hold that was not answered is asked again.
const AGAIN: Duration = Duration::from_millis(5);
const TOKEN_SECONDS: u64 = 7_200;

/// Holds asked one after the other, each until it is answered.
pub struct Asking {
    pub client: reqwest::Client,
    pub told: watch::Receiver<Told>,
    stop: watch::Sender<bool>,
    work: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
pub struct Told {
    pub acknowledged: u64,
    pub refused: u64,
    /// When holds were answered: the last of them.
    pub at: Vec<Instant>,
}

impl Asking {
    /// By these fans, all admitted, with a pause after each hold.
    pub fn start(stage: &Stage, event: EventId, fans: Range<usize>, pace: Duration) -> Result<Self, Failure> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let tokens = &stage.node().app().tokens;
        let fans: Vec<(String, String)> = (1..)
            .zip(stage.fans())
            .take(fans.end)
            .skip(fans.start)
            .map(|(n, fan)| {
                let claim = AdmissionClaim::of(event, stage::place(n));
                let access = tokens.sign(Kind::Access, *fan, TOKEN_SECONDS, Access::of(1, vec![Role::Fan]));
                (access, tokens.sign(Kind::Admission, *fan, TOKEN_SECONDS, claim))
            })
            .collect();
        let (sender, told) = watch::channel(Told::default());
        let (stop, stopped) = watch::channel(false);
        let url = format!("http://{}/api/v1/events/{event}/holds", stage.node().address());
        let work = tokio::spawn(ask(client.clone(), url, fans, pace, sender, stopped));
        Ok(Self { client, told, stop, work })
    }

    /// The time between two answers, the longest that touches what came after `since`; waits until it is over.
    pub async fn longest_gap_since(&self, since: Instant) -> Result<Duration, Failure> {
        let calm = Instant::now() + CALM;
        let mut told = self.told.clone();
        let is_over = |told: &Told| told.at.last().is_some_and(|last| *last > calm);
        let told = tokio::time::timeout(BACK, told.wait_for(is_over)).await;
        let told = told.map_err(|_| "the event does not answer any more")??;
        let gaps = told.at.windows(2).filter(|pair| pair[1] > since);
        Ok(gaps.map(|pair| pair[1] - pair[0]).max().unwrap_or_default())
    }

    pub async fn stop(self) -> u64 {
        let _ = self.stop.send(true);
        let _ = self.work.await;
        self.told.borrow().acknowledged
    }
}

async fn ask(
    client: reqwest::Client,
    url: String,
    fans: Vec<(String, String)>,
    pace: Duration,
    told: watch::Sender<Told>,
    stopped: watch::Receiver<bool>,
) {
    let body = json!({"items": [{"ticket_type": stage::HOT, "quantity": 1}]});
    for (access, admission) in &fans {
        for _ in 0..PER_FAN {
            let key = Uuid::new_v4().to_string();
            loop {
                let request = client.post(&url).bearer_auth(access).header("Onsale-Admission", admission);
                let status = request.header("Idempotency-Key", &key).json(&body).send().await.map(|a| a.status());
                if status.as_ref().is_ok_and(|status| *status == StatusCode::CREATED) {
                    break;
                }
                told.send_modify(|told| told.refused += 1);
                if *stopped.borrow() {
                    return;
                }
                sleep(AGAIN).await;
            }
            told.send_modify(|told| {
                told.acknowledged += 1;
                told.at.push(Instant::now());
            });
            if *stopped.borrow() {
                return;
            }
            sleep(pace).await;
        }
    }
}
