//! The admin HTTP server of a proxy: the only crate that knows HTTP.
//!
//! It speaks the admin protocol of Codis 3.2, so that `codis-dashboard`, `codis-admin`, `codis-fe`
//! and `codis-ha` work with this proxy as with one of Codis, and has a few pages of its own.
//!
//! | file           | what it owns                                                             |
//! |----------------|--------------------------------------------------------------------------|
//! | `pages.rs`     | what can be asked                                                        |
//! | `orders.rs`    | what can be ordered                                                      |
//! | `auth.rs`      | token and xauth                                                          |
//! | `addresses.rs` | what the proxy's addresses are called                                    |
//! | `model.rs`     | who this proxy is                                                        |
//! | `stats.rs`     | the forms of its numbers                                                 |
//! | `meter.rs`     | the actor that counts them                                               |
//! | `slots.rs`     | the form of slots, both ways                                             |
//! | `reply.rs`     | the forms of answers                                                     |
//! | `security.rs`  | who may do what                                                          |
//!
//! Questions are answered from counters and from the TopologyActor's table: no answer waits for a
//! change of slots, a backend or a client. Every wait for an actor has a limit.
//!
//! Bounds: one thread; [`CONNECTIONS_MAX`] connections; a client that does not send its request's
//! head within [`HEAD_TIMEOUT`], or its body within a limit of `orders.rs`, is refused.

mod addresses;
mod auth;
mod meter;
mod model;
mod orders;
mod pages;
mod reply;
mod security;
mod slots;
mod stats;
mod usage;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor as _, Addr};
use actix_web::dev::Server;
use actix_web::middleware::{Compress, NormalizePath};
use actix_web::{App, HttpServer, guard, web};
use actors::stats::StatsActor;
use actors::topology::TopologyActor;
use actors::worker::Shared;
use config::LogLevel;
use slog::Logger;

use crate::meter::MeterActor;

pub use actix_web::dev::ServerHandle;
pub use addresses::AddressError;
pub use model::{Identity, Model};
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

/// What the handlers ask.
#[derive(Clone)]
pub struct Admin {
    shared: Arc<Shared>,
    stats: Addr<StatsActor>,
    topology: Addr<TopologyActor>,
    meter: Addr<MeterActor>,
    identity: Arc<Identity>,
    set_log_level: SetLogLevel,
    log: Logger,
}

impl Admin {
    /// The admin server's view of a proxy: its settings and counters, the actors that answer for
    /// all workers and for the slots, who it is, and its log. Must be called on an arbiter.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        stats: Addr<StatsActor>,
        topology: Addr<TopologyActor>,
        identity: Identity,
        set_log_level: SetLogLevel,
        log: &Logger,
    ) -> Self {
        let meter = MeterActor::new(Arc::clone(&shared)).start();
        let (identity, log) = (Arc::new(identity), log.clone());
        Self {
            shared,
            stats,
            topology,
            meter,
            identity,
            set_log_level,
            log,
        }
    }
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
fn routes(app: &mut web::ServiceConfig) {
    // `route` takes the guard into the resource, so that a path may have one handler per method.
    let get = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    app.route("/", get().to(pages::root))
        .route("/healthz", get().to(pages::healthz))
        .route("/readyz", get().to(pages::readyz))
        .route("/keyway/stats", get().to(pages::keyway_stats))
        .route("/proxy", get().to(pages::overview))
        .route("/proxy/model", get().to(pages::model_page))
        .route("/proxy/stats", get().to(pages::stats_page))
        .route("/proxy/slots", get().to(pages::slots_page));
    let api = web::scope("/api/proxy")
        .route("/model", get().to(pages::model))
        .route("/xping/{xauth}", get().to(pages::xping))
        .route("/stats/{xauth}", get().to(pages::stats))
        .route("/stats/{xauth}/{flags}", get().to(pages::stats))
        .route("/slots/{xauth}", get().to(pages::slots))
        .route("/start/{xauth}", web::put().to(orders::start))
        .route("/stats/reset/{xauth}", web::put().to(orders::reset_stats))
        .route("/forcegc/{xauth}", web::put().to(orders::force_gc))
        .route("/shutdown/{xauth}", web::put().to(orders::shut_down))
        .route(
            "/loglevel/{xauth}/{level}",
            web::put().to(orders::set_log_level),
        )
        .route("/fillslots/{xauth}", web::put().to(orders::fill_slots))
        .route("/sentinels/{xauth}", web::put().to(orders::set_sentinels))
        .route(
            "/sentinels/{xauth}/rewatch",
            web::put().to(orders::rewatch_sentinels),
        );
    app.service(api).default_service(web::to(pages::not_found));
}
