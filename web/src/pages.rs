//! What can be asked. Nothing here changes anything.

use std::time::SystemTime;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use actors::coordination::CoordinatorReport;
use actors::sentinel::QuerySentinels;
use actors::stats::QueryOverview;
use actors::topology::QuerySlots;
use routing::SlotTable;
use serde::Serialize;

use crate::live::Live;
use crate::meter::QueryStats;
use crate::reply::{self, Answer, Refusal};
use crate::security::{check_xauth, may_read, unauthorized};
use crate::stats::{Flags, Overview, Sentinels, Stats};
use crate::view::View;
use crate::{ACTOR_TIMEOUT, Admin, coordinator, slots as forms, slow};

/// The proxy's version as Codis' programs show it.
pub(crate) const VERSION: &str = concat!("keyway ", env!("CARGO_PKG_VERSION"));

/// What the program was built for.
pub(crate) const COMPILED: &str = concat!("keyway ", env!("CARGO_PKG_VERSION"), ", rust");

type AdminData = web::Data<Admin>;

pub(crate) async fn not_found() -> HttpResponse {
    reply::not_found()
}

/// `/healthz`: the process is alive.
pub(crate) async fn healthz() -> HttpResponse {
    reply::text(StatusCode::OK, "ok\n")
}

/// Whether clients can be served.
#[derive(Serialize)]
struct Readiness {
    online: bool,
    slots_offline: usize,
    slots_locked: usize,
    /// With slots of a coordinator only.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    member: Option<Member>,
}

/// The proxy as a member of a product in a coordinator.
#[derive(Serialize)]
struct Member {
    membership: &'static str,
    contact: &'static str,
    /// Why it cannot serve; none when it can.
    reason: Option<&'static str>,
}

impl Member {
    fn of(report: &CoordinatorReport, has_served: bool) -> Self {
        Self {
            membership: report.membership.word(),
            contact: report.contact.word(),
            reason: coordinator::why_not_serving(report, has_served),
        }
    }
}

/// `/readyz`: clients are taken, and no slot is without a backend or locked. A member of a product
/// in a coordinator has to be online there; lost contact alone does not matter, since requests are
/// served until the session is over. Jodis clients are served without any coordinator.
pub(crate) async fn readyz(admin: AdminData) -> Answer {
    let table = slot_table(&admin).await?;
    let count = |of: fn(&routing::SlotAssignment) -> bool| {
        table.assignments().filter(|(_, assignment)| of(assignment)).count()
    };
    let lifecycle = &admin.shared.lifecycle;
    let member = match coordinator::topology(&admin).is_in_coordinator() {
        true => coordinator::report(&admin).await?,
        false => None,
    };
    let readiness = Readiness {
        online: lifecycle.is_online(),
        slots_offline: count(|assignment| assignment.is_offline()),
        slots_locked: count(|assignment| assignment.is_locked && !assignment.is_offline()),
        member: member.map(|report| Member::of(&report, lifecycle.has_started())),
    };
    let is_hindered = readiness.member.as_ref().is_some_and(|member| member.reason.is_some());
    let is_served = readiness.slots_offline == 0 && readiness.slots_locked == 0;
    let is_ready = readiness.online && is_served && !is_hindered;
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(reply::json_with(status, &readiness))
}

/// `/keyway/stats`: what Codis has no form for, every backend connection among it.
pub(crate) async fn keyway_stats(request: HttpRequest, admin: AdminData) -> Answer {
    if !may_read(&request, &admin) {
        return Ok(unauthorized());
    }
    // A busy worker is left out after a second, hence longer than other questions.
    let answer = admin.stats.send(QueryOverview).timeout(ACTOR_TIMEOUT * 3).await;
    answer.map(|overview| reply::json(&overview)).map_err(no_answer)
}

/// `/keyway/live`: what the live page shows.
pub(crate) async fn live(request: HttpRequest, admin: AdminData) -> Answer {
    if !may_read(&request, &admin) {
        return Ok(unauthorized());
    }
    let slowest = slow::slowest(&admin).await?;
    Ok(reply::compact_json(&Live::of(View::now(&admin).await?, slowest, SystemTime::now())))
}

/// `/keyway/config`: every setting but the secrets.
pub(crate) async fn public_config(request: HttpRequest, admin: AdminData) -> HttpResponse {
    if !may_read(&request, &admin) {
        return unauthorized();
    }
    reply::json(&admin.shared.settings.config.to_public_json())
}

/// `/proxy`: everything in one.
pub(crate) async fn overview(request: HttpRequest, admin: AdminData) -> Answer {
    if !may_read(&request, &admin) {
        return Ok(unauthorized());
    }
    let table = slot_table(&admin).await?;
    Ok(reply::json(&Overview {
        version: VERSION,
        compile: COMPILED,
        config: admin.shared.settings.config.to_public_json(),
        model: &admin.identity.model,
        stats: current_stats(&admin, Flags::FULL).await?,
        slots: Some(forms::report(&table, admin.shared.settings.is_primary_only)),
    }))
}

/// `/proxy/model`.
pub(crate) async fn model_page(admin: AdminData) -> HttpResponse {
    reply::json(&admin.identity.model)
}

/// `/proxy/stats`.
pub(crate) async fn stats_page(request: HttpRequest, admin: AdminData) -> Answer {
    if !may_read(&request, &admin) {
        return Ok(unauthorized());
    }
    Ok(reply::json(&current_stats(&admin, Flags::FULL).await?))
}

/// `/proxy/slots`.
pub(crate) async fn slots_page(request: HttpRequest, admin: AdminData) -> Answer {
    if !may_read(&request, &admin) {
        return Ok(unauthorized());
    }
    slots_json(&admin).await
}

/// `/api/proxy/model`: where a dashboard begins; it needs the token to know the xauth.
pub(crate) async fn model(admin: AdminData) -> HttpResponse {
    reply::json(&admin.identity.model)
}

/// `/api/proxy/xping/{xauth}`: the caller's credentials are right.
pub(crate) async fn xping(request: HttpRequest, admin: AdminData) -> Answer {
    check_xauth(&request, &admin).map(|()| reply::ok())
}

/// `/api/proxy/stats/{xauth}` and `/api/proxy/stats/{xauth}/{flags}`.
pub(crate) async fn stats(request: HttpRequest, admin: AdminData) -> Answer {
    check_xauth(&request, &admin)?;
    let flags = match request.match_info().get("flags") {
        Some(text) => parse_flags(text)?,
        None => Flags::default(),
    };
    Ok(reply::json(&current_stats(&admin, flags).await?))
}

/// `/api/proxy/slots/{xauth}`.
pub(crate) async fn slots(request: HttpRequest, admin: AdminData) -> Answer {
    check_xauth(&request, &admin)?;
    slots_json(&admin).await
}

fn parse_flags(text: &str) -> Result<Flags, Refusal> {
    let wrong = |_| Refusal::new(format!("strconv.Atoi: parsing {text:?}: invalid syntax"));
    text.parse().map(Flags).map_err(wrong)
}

async fn slots_json(admin: &Admin) -> Answer {
    let table = slot_table(admin).await?;
    Ok(reply::json(&forms::report(&table, admin.shared.settings.is_primary_only)))
}

async fn slot_table(admin: &Admin) -> Result<SlotTable, Refusal> {
    admin.topology.send(QuerySlots).timeout(ACTOR_TIMEOUT).await.map_err(no_answer)
}

/// What the proxy does, as far as the flags ask for it.
pub(crate) async fn current_stats(admin: &Admin, flags: Flags) -> Result<Stats, Refusal> {
    let (stats, report) = tokio::join!(
        admin.meter.send(QueryStats { flags }).timeout(ACTOR_TIMEOUT),
        admin.sentinels.send(QuerySentinels).timeout(ACTOR_TIMEOUT),
    );
    let sentinels = Sentinels::of(&report.map_err(no_answer)?);
    Ok(Stats { sentinels, ..stats.map_err(no_answer)? })
}

/// The actor did not answer in time.
pub(crate) fn no_answer(_: actix::MailboxError) -> Refusal {
    Refusal::new("the proxy did not answer in time, it is starting, stopping or overloaded")
}
