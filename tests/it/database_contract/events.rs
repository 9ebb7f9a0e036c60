//! Events: their lists, and the copy of the configuration that follows the journal's.

use std::collections::HashSet;

use futures_util::future::join_all;
use onsale::{
    domain::{
        event::{Phase, Status},
        id::EventId,
        time::EventTime,
    },
    stores::{
        database::{
            Database,
            events::{self, Event, Filter, Sort},
            page::Cursor,
        },
        error::StoreError,
    },
};

use super::{
    Home,
    sample::{add_account, add_event, add_order, at, configuration, details, event, fan, reference, two},
};

fn id(n: u128) -> EventId {
    EventId::from_u128(n)
}

async fn found(database: &Database, filter: &Filter) -> Vec<EventId> {
    let page = events::list(database, filter, None, 100).await.expect("list");
    assert_eq!(page.next, None);
    page.items.iter().map(|event| event.id).collect()
}

#[tokio::test]
async fn an_event_comes_back_as_it_went_in() {
    for home in Home::all().await {
        let database = home.open().await;
        let organizer = add_account(&database, 1).await;
        let full = event(id(1), organizer, "Robert'); DROP TABLE events; --");
        let mut bare = event(id(2), organizer, "");
        bare.details.doors_at = None;
        bare.details.age_limit = None;
        bare.configuration.sale_ends_at = None;
        for event in [full, bare] {
            add_event(&database, &event).await;
            assert_eq!(events::by_id(&database, event.id).await.expect("read"), Some(event));
        }
        assert_eq!(events::by_id(&database, id(3)).await.expect("read"), None);
        let mut write = database.begin().await.expect("begin");
        let twice = events::insert(&mut write, &event(id(1), organizer, "again")).await;
        assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
    }
}

#[tokio::test]
async fn a_list_shows_what_its_filter_says() {
    for home in Home::all().await {
        let database = home.open().await;
        let (one, two) = (add_account(&database, 1).await, add_account(&database, 2).await);
        let edited = |n, organizer, title: &str, edit: &dyn Fn(&mut Event)| {
            let mut event = event(id(n), organizer, title);
            edit(&mut event);
            event
        };
        for event in [
            edited(1, one, "Beethoven: 100% Fidelio", &|_| {}),
            edited(2, one, "Ärzte_live", &|event| event.details.city = "Berlin".into()),
            edited(3, two, "ÄrzteXlive", &|event| event.details.category = "rock".into()),
            edited(4, two, "A draft", &|event| event.configuration.phase = Phase::Draft),
            edited(5, two, "Paused", &|event| event.configuration.phase = Phase::Paused),
            edited(6, two, "Endless", &|event| {
                event.configuration.sale_ends_at = None;
                event.details.starts_at = at(300_000);
            }),
            edited(7, two, "Over", &|event| event.configuration.phase = Phase::Ended),
            edited(8, two, "Called off!", &|event| event.configuration.phase = Phase::Cancelled),
        ] {
            add_event(&database, &event).await;
        }
        let q = |q: &str| Filter { q: Some(q.into()), ..Filter::default() };
        let status = |status, now| Filter { status: Some(status), now, ..Filter::default() };
        let text = |text: &str| Some(text.to_owned());
        for (filter, expected) in [
            (Filter::default(), vec![1, 2, 3, 5, 7, 8, 6]),
            (Filter { viewer: Some(two), ..Filter::default() }, vec![1, 2, 3, 4, 5, 7, 8, 6]),
            (Filter { viewer: Some(one), ..Filter::default() }, vec![1, 2, 3, 5, 7, 8, 6]),
            (q("fidelio"), vec![1]),
            (q("FIDELIO köln concert"), vec![1]),
            (q("fidelio berlin"), vec![]),
            (q("ärzte"), vec![2, 3]),
            (q("%"), vec![1]),
            (q("e_l"), vec![2]),
            (q("!"), vec![8]),
            (q("' OR 1=1 --"), vec![]),
            (q("a draft"), vec![]),
            (q(&"zz ".repeat(100)), vec![]),
            (Filter { category: text("rock"), ..Filter::default() }, vec![3]),
            (Filter { city: text("BERLIN"), ..Filter::default() }, vec![2]),
            (Filter { city: text("%"), ..Filter::default() }, vec![]),
            (Filter { organizer: Some(one), ..Filter::default() }, vec![1, 2]),
            (Filter { from: Some(at(100_001)), ..Filter::default() }, vec![6]),
            (Filter { from: Some(at(300_000)), to: Some(at(300_000)), ..Filter::default() }, vec![]),
            (Filter { to: Some(at(300_000)), ..q("köln") }, vec![1, 3, 5, 7, 8]),
            (status(Status::Scheduled, at(999)), vec![1, 2, 3, 6]),
            (status(Status::OnSale, at(1_000)), vec![1, 2, 3, 6]),
            (status(Status::OnSale, at(2_000)), vec![6]),
            (status(Status::SoldOut, at(2_000)), vec![6]),
            (status(Status::Ended, at(2_000)), vec![1, 2, 3, 7]),
            (status(Status::Ended, at(0)), vec![7]),
            (status(Status::Paused, at(0)), vec![5]),
            (status(Status::Cancelled, at(0)), vec![8]),
            (status(Status::Draft, at(0)), vec![]),
            (Filter { viewer: Some(two), ..status(Status::Draft, at(0)) }, vec![4]),
            (Filter { sort: Sort::Created, organizer: Some(one), ..Filter::default() }, vec![2, 1]),
        ] {
            assert_eq!(found(&database, &filter).await, expected.into_iter().map(id).collect::<Vec<_>>(), "{filter:?}");
        }
        let running = events::running(&database, Some(id(1)), 3).await.expect("running");
        assert_eq!(running, [id(2), id(3), id(5)]);
    }
}

#[tokio::test]
async fn pages_give_each_event_once_in_either_order_also_while_others_are_added() {
    for home in Home::all().await {
        let database = home.open().await;
        let organizer = add_account(&database, 1).await;
        let add = async |n: u128, moment: EventTime| {
            let mut event = event(id(n), organizer, "A title");
            event.details.starts_at = moment;
            event.created_at = moment;
            add_event(&database, &event).await;
        };
        for n in 1..=25 {
            add(n, at(n as u64 / 5)).await;
        }
        let mut newcomer = 1_000;
        for sort in [Sort::Start, Sort::Created] {
            let filter = Filter { sort, ..Filter::default() };
            let mut seen = Vec::new();
            let mut cursor: Option<Cursor> = None;
            loop {
                let page = events::list(&database, &filter, cursor.as_ref(), 4).await.expect("list");
                seen.extend(page.items.iter().map(|event| event.id).filter(|event| *event <= id(25)));
                newcomer += 1;
                add(newcomer, at(newcomer as u64 % 5)).await;
                let Some(next) = page.next else { break };
                cursor = Some(next);
            }
            assert_eq!(seen.len(), 25, "{sort:?}");
            assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 25, "{sort:?}");
        }
    }
}

#[tokio::test]
async fn of_many_that_change_the_version_they_read_one_does() {
    for home in Home::all().await {
        let database = home.open().await;
        let organizer = add_account(&database, 1).await;
        add_event(&database, &event(id(1), organizer, "Old")).await;
        let tasks = (0..10).map(|n| {
            let database = database.clone();
            tokio::spawn(async move {
                let mut write = database.begin().await?;
                // Different next versions: nobody is taken for the copy of another's.
                let configuration = configuration(2 + n, Phase::Published);
                let details = details(&format!("New {n}"));
                events::update(&mut write, id(1), 1, &details, &configuration, at(5)).await?;
                write.commit().await
            })
        });
        let outcomes: Vec<_> = join_all(tasks).await.into_iter().map(|task| task.expect("task")).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        for outcome in &outcomes {
            assert!(matches!(outcome, Ok(()) | Err(StoreError::Conflict(_))), "{outcome:?}");
        }
        let stored = events::by_id(&database, id(1)).await.expect("read").expect("there");
        assert_eq!(stored.details.title, format!("New {}", stored.configuration.version - 2));
        assert_eq!(stored.updated_at, at(5));
        let by_new_title = found(&database, &Filter { q: Some(stored.details.title), ..Filter::default() }).await;
        assert_eq!(by_new_title, [id(1)], "what is searched follows");
    }
}

#[tokio::test]
async fn the_copy_follows_the_journal_and_never_goes_back() {
    for home in Home::all().await {
        let database = home.open().await;
        let organizer = add_account(&database, 1).await;
        add_event(&database, &event(id(1), organizer, "A title")).await;
        let sync = async |version, phase| {
            events::sync_configuration(&database, id(1), &configuration(version, phase), at(9)).await.expect("sync")
        };
        assert!(sync(3, Phase::Paused).await);
        assert!(!sync(3, Phase::Paused).await);
        assert!(!sync(2, Phase::Published).await);
        let stored = events::by_id(&database, id(1)).await.expect("read").expect("there");
        assert_eq!(stored.configuration, configuration(3, Phase::Paused));
        assert_eq!(stored.details, details("A title"));

        // The journal took version 4, the copy was repaired with it, and only then its details are written.
        assert!(sync(4, Phase::Paused).await);
        let update = async |seen, version| {
            let mut write = database.begin().await?;
            let configuration = configuration(version, Phase::Paused);
            events::update(&mut write, id(1), seen, &details("Newer"), &configuration, at(9)).await?;
            write.commit().await
        };
        update(3, 4).await.expect("its own copy");
        let stale = update(2, 3).await;
        assert!(matches!(stale, Err(StoreError::Conflict(_))), "{stale:?}");
        assert!(
            !events::sync_configuration(&database, id(2), &configuration(9, Phase::Draft), at(9)).await.expect("sync")
        );
    }
}

#[tokio::test]
async fn only_a_draft_without_orders_can_be_deleted() {
    for home in Home::all().await {
        let database = home.open().await;
        let organizer = add_account(&database, 1).await;
        for (n, phase) in [(1, Phase::Draft), (2, Phase::Published), (3, Phase::Draft)] {
            let mut event = event(id(n), organizer, "A title");
            event.configuration.phase = phase;
            add_event(&database, &event).await;
        }
        add_order(&database, reference(id(3), 1), two()).await;
        for (n, may) in [(1, true), (1, false), (2, false), (3, false), (4, false)] {
            let mut write = database.begin().await.expect("begin");
            let outcome = events::delete_draft(&mut write, id(n)).await;
            assert!(
                matches!((&outcome, may), (Ok(()), true) | (Err(StoreError::Conflict(_)), false)),
                "{n}: {outcome:?}"
            );
            if may {
                write.commit().await.expect("commit");
            }
        }
        assert_eq!(found(&database, &Filter { viewer: Some(fan(1)), ..Filter::default() }).await, [id(2), id(3)]);
    }
}
