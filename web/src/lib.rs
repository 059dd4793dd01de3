//! The admin HTTP server of a proxy: the only crate that knows HTTP.
//!
//! It speaks the admin protocol of Codis 3.2, so that `codis-dashboard`, `codis-admin`, `codis-fe`
//! and `codis-ha` work with this proxy as with one of Codis, and has a few pages of its own.
//!
//! | file             | what it owns                                                             |
//! |------------------|--------------------------------------------------------------------------|
//! | `pages.rs`       | what can be asked                                                        |
//! | `orders.rs`      | what can be ordered                                                      |
//! | `auth.rs`        | token and xauth                                                          |
//! | `addresses.rs`   | what the proxy's addresses are called                                    |
//! | `model.rs`       | who this proxy is                                                        |
//! | `stats.rs`       | the forms of its numbers in Codis' terms                                 |
//! | `view.rs`        | the proxy at one moment; `backends.rs` its backends                      |
//! | `page.rs`        | the live page for people, `live.rs` its numbers                          |
//! | `slow.rs`        | the slowest recent requests, for that page                               |
//! | `metrics.rs`     | the numbers for Prometheus                                               |
//! | `meter.rs`       | the actor that counts them                                               |
//! | `slots.rs`       | the form of slots, both ways                                             |
//! | `push.rs`        | the reports that the proxy sends                                         |
//! | `moves.rs`       | orders and questions about moves of slots                                |
//! | `fleet.rs`       | other proxies, as the mover reaches them                                 |
//! | `dashboard.rs`   | how a dashboard is asked to bring the proxy online                       |
//! | `coordinator.rs` | how the proxy stands with its coordinator                                |
//! | `debug_vars.rs`  | what the tools of Codis 1.9, Codis 2.0 and RebornDB ask                  |
//! | `http.rs`        | the client for these                                                     |
//! | `reply.rs`       | the forms of answers                                                     |
//! | `security.rs`    | who may do what                                                          |
//!
//! Questions are answered from counters and from the TopologyActor's table: no answer waits for a
//! change of slots, a backend or a client. Every wait for an actor has a limit.
//!
//! Bounds: one thread; [`CONNECTIONS_MAX`] connections; a client that does not send its request's
//! head within [`HEAD_TIMEOUT`], or its body within a limit of `orders.rs`, is refused.

mod addresses;
mod auth;
mod backends;
mod coordinator;
mod dashboard;
mod debug_vars;
mod fleet;
mod http;
mod live;
mod meter;
mod metrics;
mod model;
mod moves;
mod orders;
mod page;
mod pages;
mod push;
mod reply;
mod security;
mod slots;
mod slow;
mod stats;
mod usage;
mod view;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Recipient};
use actix_web::dev::Server;
use actix_web::middleware::{Compress, NormalizePath};
use actix_web::{App, HttpServer, guard, web};
use actors::coordination::QueryCoordinator;
use actors::sentinel::SentinelActor;
use actors::stats::StatsActor;
use actors::topology::TopologyActor;
use actors::worker::Shared;
use config::LogLevel;
use mover::MoverActor;
use slog::Logger;

pub use actix_web::dev::ServerHandle;
pub use addresses::AddressError;
pub use auth::proxy_xauth as xauth;
pub use dashboard::{DashboardError, ask_for_online, bring_online};
pub use fleet::AdminFleet;
pub use meter::MeterActor;
pub use metrics::describe as describe_metrics;
pub use model::{Identity, Model, now_text};
pub use push::Reports;
pub use slots::{SlotsError, changes as slot_changes};

/// The most connections at a time; further ones wait in the backlog.
pub const CONNECTIONS_MAX: usize = 512;

/// How long a client may take to send the head of its request.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may stay without a request. Dashboards ask every second and drop their
/// idle connections after a minute.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// How long answers that have begun may take when the server stops, in seconds.
const STOP_TIMEOUT_SECONDS: u64 = 1;

/// How long an actor may take to answer. A dashboard waits for a second.
const ACTOR_TIMEOUT: Duration = Duration::from_millis(800);

/// Changes the level of the log.
pub type SetLogLevel = Arc<dyn Fn(LogLevel) + Send + Sync>;

/// What the handlers ask: a proxy as its admin server sees it.
#[derive(Clone)]
pub struct Admin {
    /// Settings, counters and the state of the proxy.
    pub shared: Arc<Shared>,
    /// Answers questions about all workers.
    pub stats: Addr<StatsActor>,
    /// Owns the slot table.
    pub topology: Addr<TopologyActor>,
    /// Follows the sentinels.
    pub sentinels: Addr<SentinelActor>,
    /// Moves slots; none without a `state_dir`.
    pub mover: Option<Addr<MoverActor>>,
    /// Has the session with the coordinator, if there is one.
    pub coordinator: Option<Recipient<QueryCoordinator>>,
    /// Counts since the last reset.
    pub meter: Addr<MeterActor>,
    /// Who this proxy is, and what its callers must show.
    pub identity: Arc<Identity>,
    /// Changes what is logged.
    pub set_log_level: SetLogLevel,
    /// Where orders are noted.
    pub log: Logger,
}

/// Starts the server on a bound socket. It ends with its handle's `stop`.
///
/// # Errors
/// When the socket cannot be used.
pub fn serve(listener: TcpListener, admin: Admin) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            // A slash at the end does not count. Compressed for those who accept it.
            .wrap(NormalizePath::trim())
            .wrap(Compress::default())
            .app_data(web::Data::new(admin.clone()))
            .configure(routes)
    });
    let server = server
        .workers(1)
        .max_connections(CONNECTIONS_MAX)
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(IDLE_TIMEOUT)
        .shutdown_timeout(STOP_TIMEOUT_SECONDS)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

/// Every route. What is not here, or comes with another method, is a 404.
///
/// `route` takes the method into the resource, so that a path may have a handler for each.
fn routes(app: &mut web::ServiceConfig) {
    let get = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    app.route("/", get().to(page::root))
        .route("/page/{file}", get().to(page::file))
        .route("/metrics", get().to(metrics::page))
        .route("/keyway/live", get().to(pages::live))
        .route("/keyway/config", get().to(pages::public_config))
        .route("/keyway/coordinator", get().to(coordinator::page))
        .route("/debug/vars", get().to(debug_vars::page))
        .route("/setloglevel", get().to(debug_vars::set_log_level))
        .route("/setloglevel", web::put().to(debug_vars::set_log_level))
        .route("/healthz", get().to(pages::healthz))
        .route("/readyz", get().to(pages::readyz))
        .route("/keyway/stats", get().to(pages::keyway_stats))
        .route("/proxy", get().to(pages::overview))
        .route("/proxy/model", get().to(pages::model_page))
        .route("/proxy/stats", get().to(pages::stats_page))
        .route("/proxy/slots", get().to(pages::slots_page));
    let put = web::put;
    app.route("/api/proxy/model", get().to(pages::model))
        .route("/api/proxy/xping/{xauth}", get().to(pages::xping))
        .route("/api/proxy/stats/{xauth}", get().to(pages::stats))
        .route("/api/proxy/stats/{xauth}/{flags}", get().to(pages::stats))
        .route("/api/proxy/slots/{xauth}", get().to(pages::slots))
        .route("/api/proxy/start/{xauth}", put().to(orders::start))
        .route("/api/proxy/stats/reset/{xauth}", put().to(orders::reset_stats))
        .route("/api/proxy/forcegc/{xauth}", put().to(orders::force_gc))
        .route("/api/proxy/shutdown/{xauth}", put().to(orders::shut_down))
        .route("/api/proxy/loglevel/{xauth}/{level}", put().to(orders::set_log_level))
        .route("/api/proxy/fillslots/{xauth}", put().to(orders::fill_slots))
        .route("/api/proxy/slots/move/{xauth}", web::post().to(moves::start))
        .route("/api/proxy/slots/moves/{xauth}", get().to(moves::list))
        .route("/api/proxy/slots/move/{id}/{wish}/{xauth}", put().to(moves::steer))
        .route("/api/proxy/sentinels/{xauth}", put().to(orders::set_sentinels))
        .route("/api/proxy/sentinels/{xauth}/rewatch", put().to(orders::rewatch_sentinels))
        .default_service(web::to(pages::not_found));
}
