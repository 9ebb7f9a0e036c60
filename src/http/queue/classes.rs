//! The classes of a queue, and how many were moved by hand: for anybody.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::{
        id::EventId,
        inventory::classes::{Classes, RESERVED},
        queue::{Class, Queue},
    },
    http::{
        app::App,
        availability::public_event,
        events::body::{ClassesBody, PrecedenceBody},
        extract::{Json, Path},
        problem::Problem,
    },
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClassesAnswer {
    pub precedence: PrecedenceBody,
    /// Every line of the queue; under strict precedence in the order of their turns.
    pub classes: Vec<ClassAnswer>,
    /// How many fans were moved by hand to another class or to the front, ever: each for a reason that is in the audit log.
    pub manual_moves: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClassAnswer {
    pub code: String,
    pub name: String,
    /// Of the admissions during which somebody of it waits the class gets at least this by the sum of all weights, less one.
    /// `front` has none: it is called first.
    pub weight: Option<u8>,
    pub waiting: usize,
}

impl ClassesAnswer {
    fn of(classes: &Classes, queue: &Queue) -> Self {
        let [default, front] = RESERVED.map(str::to_owned);
        let waiting = |class| queue.ranks.total_of(class);
        let listed = classes.list.iter().map(|class| ClassAnswer {
            code: class.code.to_string(),
            name: class.name.clone(),
            weight: Some(class.weight),
            waiting: classes.by_code(&class.code).map_or(0, waiting),
        });
        let first = ClassAnswer {
            code: front,
            name: "Moved to the front".into(),
            weight: None,
            waiting: waiting(Class::FRONT),
        };
        let last = ClassAnswer {
            code: default,
            name: "Everybody else".into(),
            weight: Some(classes.default_weight),
            waiting: waiting(Class::DEFAULT),
        };
        Self {
            precedence: ClassesBody::of(classes).precedence,
            classes: [first].into_iter().chain(listed).chain([last]).collect(),
            manual_moves: queue.manual_moves,
        }
    }
}

/// The lines of the queue, how they share admissions, and how many fans were moved by hand.
#[utoipa::path(get, path = "/events/{event}/queue/classes", tag = "queue", params(("event" = String, Path)), responses(
    (status = 200, body = ClassesAnswer),
    (status = 404, description = "not_found"),
    (status = 503, description = "event_unavailable"),
))]
pub async fn read(State(app): State<Arc<App>>, Path(event): Path<EventId>) -> Result<Json<ClassesAnswer>, Problem> {
    let handles = public_event(&app, event).await?;
    let queue = handles.waiting_room.queue().borrow().clone();
    Ok(Json(ClassesAnswer::of(&queue.classes, &queue)))
}
