//! How the proxy stands with its coordinator: the form of it, and what it means for orders and for
//! `/readyz`.
//!
//! With `topology = "codis3"` there is a coordinator when the proxy tells Jodis clients of itself;
//! with the other topologies it says which server has which slot, and nobody else may.

use std::time::SystemTime;

use actix_web::{HttpRequest, web};
use actors::coordination::{
    ActionReport, Alarm, Contact, CoordinatorReport, MembershipState, QueryCoordinator,
};
use config::Topology;
use serde::Serialize;

use crate::model::rfc3339;
use crate::pages::no_answer;
use crate::reply::{self, Answer, Refusal};
use crate::security::{may_read, unauthorized};
use crate::{ACTOR_TIMEOUT, Admin};

/// The answer of `/keyway/coordinator`.
#[derive(Serialize)]
struct Page {
    topology: String,
    coordinator: Option<CoordinatorForm>,
}

/// A report as JSON. Totals count from the start of the process.
#[derive(Debug, Serialize)]
pub(crate) struct CoordinatorForm {
    kind: String,
    addrs: String,
    contact: &'static str,
    session_since: Option<String>,
    session_age_seconds: Option<u64>,
    sessions_total: u64,
    membership: &'static str,
    node: Option<String>,
    last_action: Option<ActionForm>,
    actions_answered_total: u64,
    actions_waiting: usize,
    alarms: Vec<AlarmForm>,
    alarm_count: usize,
}

#[derive(Debug, Serialize)]
struct ActionForm {
    sequence: String,
    #[serde(rename = "type")]
    kind: &'static str,
    seen: String,
    answered_after_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct AlarmForm {
    text: String,
    since: String,
}

impl CoordinatorForm {
    pub(crate) fn of(report: CoordinatorReport, now: SystemTime) -> Self {
        Self {
            session_age_seconds: session_age_seconds(&report, now),
            kind: report.kind.to_string(),
            addrs: report.addrs,
            contact: report.contact.word(),
            session_since: report.session_since.map(rfc3339),
            sessions_total: report.sessions,
            membership: report.membership.word(),
            node: report.node,
            last_action: report.last_action.map(ActionForm::of),
            actions_answered_total: report.actions_answered,
            actions_waiting: report.actions_waiting,
            alarms: report.alarms.into_iter().map(AlarmForm::of).collect(),
            alarm_count: report.alarm_count,
        }
    }
}

impl ActionForm {
    fn of(action: ActionReport) -> Self {
        let answered_after = action.answered_after;
        Self {
            sequence: action.sequence,
            kind: action.kind,
            seen: rfc3339(action.seen),
            answered_after_ms: answered_after
                .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

impl AlarmForm {
    fn of(alarm: Alarm) -> Self {
        Self { text: alarm.text, since: rfc3339(alarm.since) }
    }
}

/// How old the session is; 0 when the clock was set back meanwhile.
pub(crate) fn session_age_seconds(report: &CoordinatorReport, now: SystemTime) -> Option<u64> {
    let since = report.session_since?;
    Some(now.duration_since(since).unwrap_or_default().as_secs())
}

/// `/keyway/coordinator`.
pub(crate) async fn page(request: HttpRequest, admin: web::Data<Admin>) -> Answer {
    if !may_read(&request, &admin) {
        return Ok(unauthorized());
    }
    let report = report(&admin).await?;
    let coordinator = report.map(|report| CoordinatorForm::of(report, SystemTime::now()));
    Ok(reply::json(&Page { topology: topology(&admin).to_string(), coordinator }))
}

/// How the proxy stands with its coordinator; `None` when it has none.
pub(crate) async fn report(admin: &Admin) -> Result<Option<CoordinatorReport>, Refusal> {
    match &admin.coordinator {
        Some(actor) => {
            let asked = actor.send(QueryCoordinator).timeout(ACTOR_TIMEOUT);
            asked.await.map(Some).map_err(no_answer)
        }
        None => Ok(None),
    }
}

/// Who says which server has which slot.
pub(crate) fn topology(admin: &Admin) -> Topology {
    admin.shared.settings.config.topology
}

/// Refuses what only the dashboard of a product in a coordinator may do: nodes and proxy would
/// contradict each other, and other proxies would use other servers.
pub(crate) fn check_source_of_slots(admin: &Admin) -> Result<(), Refusal> {
    let topology = topology(admin);
    if !topology.is_in_coordinator() {
        return Ok(());
    }
    let text = format!(
        "the slots of this proxy come from its coordinator (topology = `{topology}`): order it from the \
         dashboard of the product"
    );
    Err(Refusal::new(text))
}

/// Why a member of a product in a coordinator cannot serve clients; `None` when it can, as far as
/// its membership goes.
pub(crate) fn why_not_serving(
    report: &CoordinatorReport,
    has_served: bool,
) -> Option<&'static str> {
    match (report.membership, has_served) {
        (MembershipState::Online, _) => None,
        (MembershipState::Leaving, _) => Some("the proxy takes leave of the product"),
        (MembershipState::Waiting, false) => Some("the dashboard has not put the proxy online yet"),
        (MembershipState::Waiting, true) => {
            Some("the dashboard has put the proxy offline: requests wait")
        }
        (MembershipState::Unregistered, false) => Some("the proxy is not registered yet"),
        (MembershipState::Unregistered, true) => Some(
            "the session with the coordinator is over: requests wait until the proxy has \
             registered again",
        ),
    }
}

/// Whether there is contact.
pub(crate) fn is_connected(report: &CoordinatorReport) -> bool {
    report.contact == Contact::Connected
}

#[cfg(test)]
pub(crate) mod tests;
