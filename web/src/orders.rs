//! What can be ordered. Each order needs the xauth, is logged, and is carried out whole or not at
//! all before its answer.
//!
//! Orders without a body come without a content type and with a length of 0; whatever body they
//! have is not looked at.
//!
//! Bounds: a body of [`BODY_BYTES_MAX`] that arrives within [`BODY_TIMEOUT`]; a change of slots is
//! answered within [`FILL_ANSWER_TIMEOUT`].

use std::time::Duration;

use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, web};
use actors::sentinel::{RewatchSentinels, SENTINELS_MAX, WatchSentinels};
use actors::topology::FillSlots;
use config::LogLevel;
use routing::{BackendAddr, RoutingError};
use serde::Deserialize;
use serde_json::{Map, Value};
use slog::info;
use tokio::time::timeout;

use crate::coordinator::check_source_of_slots;
use crate::meter::ResetStats;
use crate::pages::no_answer;
use crate::reply::{self, Answer, Refusal};
use crate::security::{caller, check_xauth};
use crate::slots;
use crate::{ACTOR_TIMEOUT, Admin};

/// The largest body: 1024 slots with a dozen replicas each are a fraction of it.
const BODY_BYTES_MAX: usize = 8 << 20;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the answer to a change of slots may take: a dashboard gives up after a minute.
pub(crate) const FILL_ANSWER_TIMEOUT: Duration = Duration::from_secs(55);

type AdminData = web::Data<Admin>;

/// `PUT start`: takes clients.
pub(crate) async fn start(request: HttpRequest, admin: AdminData) -> Answer {
    accept_for_slots(&request, &admin, "start")?;
    admin.shared.lifecycle.go_online();
    Ok(reply::ok())
}

/// `PUT stats/reset`: counts begin at zero.
pub(crate) async fn reset_stats(request: HttpRequest, admin: AdminData) -> Answer {
    accept(&request, &admin, "stats/reset")?;
    admin.meter.send(ResetStats).timeout(ACTOR_TIMEOUT).await.map_err(no_answer)?;
    Ok(reply::ok())
}

/// `PUT forcegc`: there is no garbage to collect.
pub(crate) async fn force_gc(request: HttpRequest, admin: AdminData) -> Answer {
    accept(&request, &admin, "forcegc")?;
    Ok(reply::ok())
}

/// `PUT shutdown`: finishes what is in flight and ends the process, after this answer.
pub(crate) async fn shut_down(request: HttpRequest, admin: AdminData) -> Answer {
    accept(&request, &admin, "shutdown")?;
    // The server is stopped last, and then finishes its answers, this one among them.
    admin.shared.lifecycle.stop();
    Ok(reply::ok())
}

/// `PUT loglevel`.
pub(crate) async fn set_log_level(request: HttpRequest, admin: AdminData) -> Answer {
    accept(&request, &admin, "loglevel")?;
    let level = request.match_info().get("level").unwrap_or_default();
    let level = level_of(level).ok_or_else(|| Refusal::new("invalid loglevel"))?;
    (admin.set_log_level)(level);
    Ok(reply::ok())
}

/// The level that a word of Codis stands for, in either case.
pub(crate) fn level_of(word: &str) -> Option<LogLevel> {
    Some(match word.to_ascii_uppercase().as_str() {
        "ERROR" => LogLevel::Error,
        "WARN" | "WARNING" => LogLevel::Warn,
        "INFO" => LogLevel::Info,
        "DEBUG" => LogLevel::Debug,
        "NONE" => LogLevel::None,
        _ => return None,
    })
}

/// `PUT fillslots`: assigns slots, as one change. Answered when no request of the old assignments
/// is in flight any more.
pub(crate) async fn fill_slots(request: HttpRequest, admin: AdminData, body: Payload) -> Answer {
    accept_for_slots(&request, &admin, "fillslots")?;
    let body = read(&request, body).await?;
    let changes = slots::parse(&body).map_err(refused)?;
    if changes.is_empty() {
        return Ok(reply::ok());
    }
    let filled = admin
        .topology
        .send(FillSlots { changes, cut_off_after: None })
        .timeout(FILL_ANSWER_TIMEOUT)
        .await;
    let filled = filled.map_err(|_| {
        Refusal::new("other changes of slots take too long, this one may still take effect")
    })?;
    filled.map(|_| reply::ok()).map_err(refused)
}

/// `PUT sentinels`: names the sentinels to follow.
pub(crate) async fn set_sentinels(request: HttpRequest, admin: AdminData, body: Payload) -> Answer {
    accept_for_slots(&request, &admin, "sentinels")?;
    let body = read(&request, body).await?;
    let order = WatchSentinels { servers: sentinels(&body)? };
    admin.sentinels.send(order).timeout(ACTOR_TIMEOUT).await.map_err(no_answer)?;
    Ok(reply::ok())
}

/// `PUT sentinels/{xauth}/rewatch`: begins the watch of the same sentinels again.
pub(crate) async fn rewatch_sentinels(request: HttpRequest, admin: AdminData) -> Answer {
    accept_for_slots(&request, &admin, "sentinels/rewatch")?;
    admin.sentinels.send(RewatchSentinels).timeout(ACTOR_TIMEOUT).await.map_err(no_answer)?;
    Ok(reply::ok())
}

/// Lets an order pass, with a line in the log that holds no part of its URL.
pub(crate) fn accept(
    request: &HttpRequest,
    admin: &Admin,
    order: &'static str,
) -> Result<(), Refusal> {
    noted(request, admin, order, check_xauth(request, admin))
}

/// The same for an order that changes slots or starts the proxy: a coordinator's slots are its own.
pub(crate) fn accept_for_slots(
    request: &HttpRequest,
    admin: &Admin,
    order: &'static str,
) -> Result<(), Refusal> {
    let checked = check_xauth(request, admin).and_then(|()| check_source_of_slots(admin));
    noted(request, admin, order, checked)
}

fn noted(
    request: &HttpRequest,
    admin: &Admin,
    order: &'static str,
    checked: Result<(), Refusal>,
) -> Result<(), Refusal> {
    let from = caller(request);
    match &checked {
        Ok(()) => info!(admin.log, "admin order"; "order" => order, "from" => from),
        Err(refusal) => info!(admin.log, "admin order refused"; "order" => order, "from" => from,
            "reason" => %refusal),
    }
    checked
}

/// The body of an order.
pub(crate) async fn read(request: &HttpRequest, body: Payload) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::new(format!("the body has more than {BODY_BYTES_MAX} bytes"));
    let length = request.headers().get("content-length").and_then(|value| value.to_str().ok());
    let length = length.and_then(|text| text.parse::<usize>().ok());
    if length.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    match timeout(BODY_TIMEOUT, body.to_bytes_limited(BODY_BYTES_MAX)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(_))) => Err(Refusal::new("the body cannot be read")),
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(Refusal::new(format!("the body did not arrive within {BODY_TIMEOUT:?}"))),
    }
}

/// What an order about sentinels has. What is not known, of a later version perhaps, is ignored.
#[derive(Deserialize)]
struct SentinelsForm {
    #[serde(default)]
    servers: Vec<String>,
    /// The dashboard's note to itself; only its type matters here.
    #[serde(default, rename = "out_of_sync")]
    _out_of_sync: bool,
}

/// The servers that an order names.
fn sentinels(body: &[u8]) -> Result<Vec<BackendAddr>, Refusal> {
    let wrong = |error: serde_json::Error| Refusal::new(format!("body: {error}"));
    // Keys count in either case, as Codis reads them. A map first: a struct may be an array.
    let order: Map<String, Value> = serde_json::from_slice(body).map_err(wrong)?;
    let order = order.into_iter().map(|(key, value)| (key.to_ascii_lowercase(), value)).collect();
    let form: SentinelsForm = serde_json::from_value(Value::Object(order)).map_err(wrong)?;
    if form.servers.len() > SENTINELS_MAX {
        return Err(Refusal::new(format!("body: more than {SENTINELS_MAX} sentinels")));
    }
    let parsed = form.servers.iter().map(|text| text.parse());
    parsed
        .collect::<Result<_, RoutingError>>()
        .map_err(|error| Refusal::new(format!("body: {error}")))
}

fn refused(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Option<&[&str]>) {
        let servers = sentinels(body.as_bytes()).ok();
        let servers: Option<Vec<&str>> =
            servers.as_ref().map(|servers| servers.iter().map(BackendAddr::as_str).collect());
        assert_eq!(servers.as_deref(), expected, "{body}");
    }

    #[test]
    fn an_order_of_sentinels_may_name_none() {
        check("{}", Some(&[]));
        check(r#"{"out_of_sync":false}"#, Some(&[]));
        check(r#"{"servers":[],"out_of_sync":true}"#, Some(&[]));
        check(r#"{"Servers":["h:1"]}"#, Some(&["h:1"]));
    }

    #[test]
    fn what_is_no_order_of_sentinels_is_refused() {
        for body in ["", "null", "[]", "{", r#"{"servers":"h:1"}"#, r#"{"servers":[1]}"#, "{} x"] {
            check(body, None);
        }
        for body in [r#"{"servers":["h"]}"#, r#"{"servers":null}"#, r#"{"out_of_sync":1}"#] {
            check(body, None);
        }
        let many = |count: usize| serde_json::json!({"servers": vec!["h:1"; count]}).to_string();
        assert!(sentinels(many(SENTINELS_MAX).as_bytes()).is_ok());
        assert!(sentinels(many(SENTINELS_MAX + 1).as_bytes()).is_err());
    }
}
