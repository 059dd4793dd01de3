//! The admin HTTP server of a proxy: the only crate that knows HTTP.
//!
//! | route      | answer                                                                     |
//! |------------|----------------------------------------------------------------------------|
//! | `/`        | what there is, as text                                                     |
//! | `/healthz` | 200 `ok` as long as the process answers                                    |
//! | `/stats`   | the proxy's numbers and every backend connection, as JSON (`Overview`)     |
//!
//! Answers come from the StatsActor, which waits for no backend and no client, within a deadline.
//! Errors are JSON: `{"code", "message", "hint"}`.
//!
//! Bounds: one thread, [`CONNECTIONS_MAX`] connections, no request bodies; a client that does not
//! finish its request within [`REQUEST_TIMEOUT`] is closed.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::{App, HttpResponse, HttpServer, web};
use actors::stats::{QueryOverview, StatsActor};
use actors::topology::TopologyActor;
use actors::worker::Shared;
use serde::Serialize;

/// The most connections at a time; further ones wait in the backlog.
const CONNECTIONS_MAX: usize = 256;

/// How long a client may take to send the head of its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the StatsActor may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

const INDEX: &str = concat!(
    "keyway ",
    env!("CARGO_PKG_VERSION"),
    "\n\n/healthz  alive\n/stats    numbers and backends, as JSON\n"
);

/// The body of every answer that is an error.
#[derive(Debug, Serialize)]
struct ErrorBody {
    /// Stable, for programs.
    code: &'static str,
    message: &'static str,
    hint: &'static str,
}

/// What the handlers ask.
#[derive(Clone)]
pub struct Admin {
    /// Settings, counters and the state of the proxy.
    pub shared: Arc<Shared>,
    /// Answers questions about the whole proxy.
    pub stats: Addr<StatsActor>,
    /// Owns the slot table.
    pub topology: Addr<TopologyActor>,
}

/// Starts the server on a bound socket. It ends with the process.
///
/// # Errors
/// When the socket cannot be used.
pub fn serve(listener: TcpListener, admin: Admin) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(admin.clone()))
            .route("/", web::get().to(index))
            .route("/healthz", web::get().to(healthz))
            .route("/stats", web::get().to(stats_json))
            .default_service(web::to(not_found))
    });
    let server = server
        .workers(1)
        .max_connections(CONNECTIONS_MAX)
        .client_request_timeout(REQUEST_TIMEOUT)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

async fn index() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body(INDEX)
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("ok\n")
}

async fn stats_json(admin: web::Data<Admin>) -> HttpResponse {
    match admin.stats.send(QueryOverview).timeout(ANSWER_TIMEOUT).await {
        Ok(overview) => HttpResponse::Ok().json(overview),
        Err(_) => error(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorBody {
                code: "no_answer",
                message: "the proxy did not answer in time",
                hint: "it is starting, stopping or overloaded: try again",
            },
        ),
    }
}

async fn not_found() -> HttpResponse {
    let body = ErrorBody {
        code: "not_found",
        message: "there is no such page",
        hint: "GET / lists what there is",
    };
    error(StatusCode::NOT_FOUND, body)
}

fn error(status: StatusCode, body: ErrorBody) -> HttpResponse {
    HttpResponse::build(status).json(body)
}
