//! The whole API on one screen. OpenAPI is made from this, so what is not here is neither reachable nor documented.

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, routing::get};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use super::{
    accounts, admin_cluster, admin_codes, admin_providers, admin_queue, admin_stock, admin_tickets, admin_waitlist,
    app::App,
    attention, audit, auth, availability, broadcasts, checkout, dead_letters, devices, door, draw, events,
    first_version, health, holds, keys, mails, messages, metrics, openapi, orders, pass, payments,
    problem::{Code, Problem},
    queue, refunds, sandbox, seat_plan, stock, templates, ticket_keys, tickets, waitlist, webhooks, websocket,
};

pub const API: &str = "/api/v1";
pub const ADMIN: &str = "/api/v1/admin";

/// Routes whose paths begin alike. Axum's `nest` would cut the beginning off the path of each request, behind two layers more.
struct Under {
    prefix: &'static str,
    routes: OpenApiRouter<Arc<App>>,
}

impl Under {
    fn new(prefix: &'static str) -> Self {
        Self { prefix, routes: OpenApiRouter::new() }
    }

    fn routes(mut self, (schemas, mut paths, methods): UtoipaMethodRouter<Arc<App>>) -> Self {
        let below = paths.paths.into_iter();
        paths.paths = below.map(|(path, item)| (format!("{}{path}", self.prefix), item)).collect();
        self.routes = self.routes.routes((schemas, paths, methods));
        self
    }
}

/// Public listener, under [`API`].
pub fn public() -> OpenApiRouter<Arc<App>> {
    Under::new(API)
        // accounts
        .routes(routes!(auth::register))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::me))
        .routes(routes!(auth::profile, auth::set_profile))
        .routes(routes!(auth::change_password))
        .routes(routes!(auth::step_up))
        .routes(routes!(auth::socket_ticket))
        .routes(routes!(auth::forgotten))
        .routes(routes!(auth::reset))
        .routes(routes!(auth::verify::send))
        // messages
        .routes(routes!(messages::list))
        .routes(routes!(messages::count))
        .routes(routes!(messages::mark_read))
        .routes(routes!(messages::delete_some))
        .routes(routes!(messages::read, messages::delete))
        .routes(routes!(messages::settings, messages::set))
        .routes(routes!(templates::list))
        .routes(routes!(templates::set, templates::remove))
        // events
        .routes(routes!(events::list, events::create))
        .routes(routes!(events::read, events::update, events::delete))
        .routes(routes!(seat_plan::replace))
        .routes(routes!(events::step::publish))
        .routes(routes!(events::step::pause))
        .routes(routes!(events::step::resume))
        .routes(routes!(events::step::end))
        .routes(routes!(events::step::cancel))
        // queue
        .routes(routes!(queue::join, queue::read, queue::leave))
        .routes(routes!(devices::create))
        .routes(routes!(devices::tie))
        .routes(routes!(queue::claim))
        .routes(routes!(queue::extend))
        .routes(routes!(pass::read))
        .routes(routes!(pass::introspect))
        .routes(routes!(draw::read))
        .routes(routes!(draw::proof))
        .routes(routes!(websocket::open))
        .routes(routes!(queue::stream::open))
        .routes(routes!(queue::classes::read))
        // sale
        .routes(routes!(availability::read))
        .routes(routes!(availability::seats))
        .routes(routes!(stock::stream::open))
        .routes(routes!(websocket::watcher::open))
        .routes(routes!(holds::create))
        .routes(routes!(holds::read, holds::release))
        .routes(routes!(holds::extend))
        .routes(routes!(waitlist::join, waitlist::read, waitlist::leave))
        // orders
        .routes(routes!(orders::list))
        .routes(routes!(orders::read))
        .routes(routes!(orders::cancel))
        .routes(routes!(checkout::create, checkout::read))
        .routes(routes!(payments::sandbox_webhook))
        .routes(routes!(payments::stripe::webhook))
        .routes(routes!(payments::toss::webhook))
        .routes(routes!(refunds::mine))
        // tickets
        .routes(routes!(tickets::list))
        .routes(routes!(tickets::read))
        .routes(routes!(tickets::returning::put_up, tickets::returning::withdraw))
        .routes(routes!(tickets::papers::pdf))
        .routes(routes!(tickets::papers::of_order))
        .routes(routes!(tickets::papers::qr))
        .routes(routes!(tickets::papers::event))
        .routes(routes!(tickets::rename))
        .routes(routes!(tickets::rotation::of_ticket))
        .routes(routes!(tickets::wallets::apple))
        .routes(routes!(tickets::wallets::google))
        .routes(routes!(tickets::transfers::begin))
        .routes(routes!(tickets::transfers::list))
        .routes(routes!(tickets::transfers::withdraw))
        .routes(routes!(tickets::transfers::look))
        .routes(routes!(tickets::transfers::accept))
        .routes(routes!(ticket_keys::get))
        // door
        .routes(routes!(door::list, door::scan))
        .routes(routes!(door::read))
        .routes(routes!(door::tickets))
        .routes(routes!(tickets::rotation::of_door))
        // webhooks
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::read, webhooks::change, webhooks::delete))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::ping))
        .routes(routes!(webhooks::deliveries::list))
        .routes(routes!(webhooks::deliveries::read))
        .routes(routes!(webhooks::deliveries::redeliver))
        // health
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes
}

/// Admin listener, under [`ADMIN`].
pub fn admin() -> OpenApiRouter<Arc<App>> {
    Under::new(ADMIN)
        .routes(routes!(admin_queue::read))
        .routes(routes!(admin_queue::live::watch))
        .routes(routes!(admin_queue::admit))
        .routes(routes!(admin_queue::remove))
        .routes(routes!(admin_queue::revoke))
        .routes(routes!(admin_queue::clear))
        .routes(routes!(admin_queue::pause))
        .routes(routes!(admin_queue::resume))
        .routes(routes!(admin_queue::rate))
        .routes(routes!(admin_queue::slots))
        .routes(routes!(admin_queue::mode))
        .routes(routes!(admin_queue::notice::set_notice))
        .routes(routes!(admin_queue::synthetic::add))
        .routes(routes!(admin_queue::classes::set_members))
        .routes(routes!(admin_queue::classes::move_fan))
        .routes(routes!(admin_queue::invites::mint))
        .routes(routes!(admin_queue::invites::withdraw))
        .routes(routes!(admin_queue::halt::halt_event))
        .routes(routes!(admin_queue::halt::read, admin_queue::halt::halt_all))
        .routes(routes!(draw::export))
        .routes(routes!(draw::beacon))
        .routes(routes!(admin_stock::read, admin_stock::set))
        .routes(routes!(admin_waitlist::read, admin_waitlist::set))
        .routes(routes!(admin_codes::list, admin_codes::make))
        .routes(routes!(admin_codes::withdraw))
        .routes(routes!(refunds::create, refunds::of_order))
        .routes(routes!(refunds::batch::begin, refunds::batch::progress))
        .routes(routes!(refunds::batch::list))
        .routes(routes!(refunds::list))
        .routes(routes!(refunds::retry))
        .routes(routes!(admin_tickets::of_order))
        .routes(routes!(admin_tickets::reissue))
        .routes(routes!(admin_tickets::move_to))
        .routes(routes!(broadcasts::create, broadcasts::list))
        .routes(routes!(broadcasts::read))
        .routes(routes!(templates::list_shops))
        .routes(routes!(templates::set_shops, templates::remove_shops))
        .routes(routes!(admin_providers::read))
        .routes(routes!(attention::read))
        .routes(routes!(admin_cluster::read))
        .routes(routes!(admin_cluster::drain))
        .routes(routes!(admin_cluster::undrain))
        .routes(routes!(admin_cluster::move_event))
        .routes(routes!(accounts::list))
        .routes(routes!(accounts::get))
        .routes(routes!(accounts::set_roles))
        .routes(routes!(accounts::set_status))
        .routes(routes!(audit::list))
        .routes(routes!(mails::list))
        .routes(routes!(mails::read))
        .routes(routes!(mails::message))
        .routes(routes!(mails::send))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::read))
        .routes(routes!(dead_letters::redrive))
        .routes(routes!(dead_letters::drop))
        .routes(routes!(keys::read))
        .routes(routes!(keys::rotate))
        .routes
}

/// Public listener, where RFC 8615 has it looked for.
pub fn well_known() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(pass::keys))
}

/// Public listener, where clients of the first version look.
pub fn first_public() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(websocket::first_version::open))
}

/// Admin listener, likewise.
pub fn first_admin() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(first_version::state))
        .routes(routes!(first_version::add))
        .routes(routes!(first_version::remove))
        .routes(routes!(first_version::clear))
}

/// What the public listener serves, and its paths as the router names them.
pub fn public_service(app: &Arc<App>, more: Router<Arc<App>>) -> (Router, Vec<String>) {
    let (api, described) = public().merge(well_known()).merge(first_public()).split_for_parts();
    let router = api.merge(more).merge(health_at_the_root()).merge(sandbox::pages());
    let router = router.merge(payments::toss::pages()).merge(auth::verify::pages()).merge(openapi::pages());
    (finish(router, app), described.paths.paths.into_keys().collect())
}

/// What the admin listener serves, and its paths.
pub fn admin_service(app: &Arc<App>) -> (Router, Vec<String>) {
    let (api, described) = admin().merge(first_admin()).split_for_parts();
    let router = api.merge(health_at_the_root()).route("/metrics", get(metrics::render));
    (finish(router, app), described.paths.paths.into_keys().collect())
}

/// Where load balancers look.
fn health_at_the_root() -> Router<Arc<App>> {
    Router::new().route("/health/live", get(health::live)).route("/health/ready", get(health::ready))
}

fn finish(router: Router<Arc<App>>, app: &Arc<App>) -> Router {
    router
        .fallback(|| async { Problem::new(Code::NotFound) })
        .method_not_allowed_fallback(|| async { Problem::new(Code::MethodNotAllowed) })
        .layer(DefaultBodyLimit::max(app.config.body_limit))
        .with_state(app.clone())
}
