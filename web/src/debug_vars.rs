//! What the tools of Codis 1.9, Codis 2.0 and RebornDB ask of a proxy's second address: its figures,
//! and another level of the log.
//!
//! The dashboards read `router.ops` every second and add it up; where it is no number, that of
//! Codis ends. So every figure is one, by its type. There are two forms of `router`:
//!
//! ```text
//! codis1, reborn   {"ops": 9, "connections": 1, "GET": 4, "FillSlot": 1, "Migrate": 0, "0-5ms": 9, ...}
//! codis2           {"ops": 9, "cmds": [{"cmd": "GET", ...}], "info": {...}, "build": {...}}
//! ```
//!
//! With `topology = "codis3"` there is none of it, as in Codis 3. The tools know no token; with
//! `admin_read_token` set they get nothing here, and people who have it do.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use actors::coordination::MembershipState;
use actors::latency::{RequestClass, Snapshot};
use actors::membership::advertised;
use actors::topology::QuerySlots;
use config::Topology;
use serde::Serialize;
use slog::info;

use crate::meter::CommandCounts;
use crate::orders::level_of;
use crate::pages::{COMPILED, VERSION, no_answer};
use crate::reply::{self, Answer, Refusal};
use crate::security::{caller, may_read, unauthorized};
use crate::usage::Usage;
use crate::view::{self, Command};
use crate::{ACTOR_TIMEOUT, Admin, coordinator};

/// Ranges of latencies: their names, and their upper bounds in microseconds.
const LATENCY_RANGES: [(&str, u64); 8] = [
    ("0-5ms", 5_000),
    ("5-10ms", 10_000),
    ("10-50ms", 50_000),
    ("50-200ms", 200_000),
    ("200-1000ms", 1_000_000),
    ("1000-5000ms", 5_000_000),
    ("5000-10000ms", 10_000_000),
    ("10000ms+", u64::MAX),
];

/// The answer of `/debug/vars`.
#[derive(Serialize)]
struct Vars {
    /// The name of the program alone: its arguments may hold passwords.
    cmdline: Vec<String>,
    memstats: Memory,
    /// Events that wait to be dealt with, of which this proxy keeps none. A text, as it always was.
    evtbus: &'static str,
    #[serde(rename = "startAt")]
    start_at: String,
    router: Router,
}

/// The process' memory. Nothing else of what Go tells has a counterpart here.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Memory {
    alloc: u64,
    sys: u64,
    heap_alloc: u64,
    heap_sys: u64,
    heap_inuse: u64,
}

impl Memory {
    fn of(usage: &Usage) -> Self {
        let (alloc, sys) = (usage.vm_rss, usage.vm_size);
        Self { alloc, sys, heap_alloc: alloc, heap_sys: sys, heap_inuse: alloc }
    }
}

/// The figures of requests.
#[derive(Serialize)]
#[serde(untagged)]
enum Router {
    Counters(BTreeMap<String, u64>),
    Commands { ops: u64, cmds: Vec<CommandForm>, info: Box<ProxyForm>, build: Build },
}

#[derive(Serialize)]
struct CommandForm {
    cmd: String,
    calls: u64,
    usecs: u64,
    usecs_percall: u64,
}

#[derive(Serialize)]
struct Build {
    version: &'static str,
    compile: &'static str,
}

/// The proxy as its node tells of it.
#[derive(Serialize)]
struct ProxyForm {
    id: String,
    addr: String,
    last_event: &'static str,
    last_event_ts: i64,
    state: &'static str,
    description: &'static str,
    debug_var_addr: String,
    pid: u32,
    start_at: String,
}

/// What is counted, for Codis 1.9 and RebornDB.
struct Counted {
    ops: u64,
    connections: u64,
    commands: BTreeMap<String, CommandCounts>,
    fills: u64,
    key_moves: u64,
    latency: Snapshot,
}

impl Counted {
    fn counters(self) -> BTreeMap<String, u64> {
        let ranges = ranges(&self.latency);
        let calls = self.commands.into_iter().map(|(name, counts)| (name, counts.calls));
        let own = [
            ("ops", self.ops),
            ("connections", self.connections),
            ("FillSlot", self.fills),
            ("Migrate", self.key_moves),
        ];
        let own = own.into_iter().chain(ranges).map(|(name, count)| (name.to_owned(), count));
        calls.chain(own).collect()
    }
}

/// `/debug/vars`.
pub(crate) async fn page(request: HttpRequest, admin: web::Data<Admin>) -> Answer {
    let topology = coordinator::topology(&admin);
    if !topology.is_in_coordinator() {
        return Ok(reply::not_found());
    }
    if !may_read(&request, &admin) {
        return Ok(unauthorized());
    }
    let router = match topology {
        Topology::Codis2 => router_of_commands(&request, &admin).await?,
        Topology::Codis1 | Topology::Codis3 | Topology::Reborn => {
            Router::Counters(counted(&admin).await?.counters())
        }
    };
    let program = std::env::args_os().next().unwrap_or_default();
    Ok(reply::json(&Vars {
        cmdline: vec![program.to_string_lossy().into_owned()],
        memstats: Memory::of(&Usage::now().unwrap_or_default()),
        evtbus: "0",
        start_at: admin.identity.model.start_time.clone(),
        router,
    }))
}

/// `/setloglevel?level=debug`, whatever the method.
pub(crate) async fn set_log_level(
    request: HttpRequest,
    admin: web::Data<Admin>,
    query: web::Query<BTreeMap<String, String>>,
) -> HttpResponse {
    if !coordinator::topology(&admin).is_in_coordinator() {
        return reply::not_found();
    }
    if !may_read(&request, &admin) {
        return unauthorized();
    }
    let Some(level) = query.get("level").and_then(|word| level_of(word)) else {
        let text = "the level is one of `debug`, `info`, `warn`, `error` and `none`: \
                    /setloglevel?level=info\n";
        return reply::text(StatusCode::BAD_REQUEST, text);
    };
    info!(admin.log, "admin order"; "order" => "setloglevel", "from" => caller(&request));
    (admin.set_log_level)(level);
    HttpResponse::Ok().finish()
}

async fn counted(admin: &Admin) -> Result<Counted, Refusal> {
    let table = admin.topology.send(QuerySlots).timeout(ACTOR_TIMEOUT).await.map_err(no_answer)?;
    let shared = &admin.shared;
    let by_class = RequestClass::ALL.map(|class| view::latency(admin, class));
    Ok(Counted {
        ops: shared.sum(|counters| counters.requests_total.value()),
        connections: shared.clients() as u64,
        commands: by_first_word(view::commands(admin)),
        fills: table.epoch(),
        key_moves: shared.sum(|counters| counters.key_moves_total.value()),
        latency: view::sum(by_class.iter()),
    })
}

async fn router_of_commands(request: &HttpRequest, admin: &Admin) -> Result<Router, Refusal> {
    let commands = by_first_word(view::commands(admin));
    let cmds = commands.into_iter().map(|(cmd, counts)| CommandForm {
        cmd,
        calls: counts.calls,
        usecs: counts.latency_us,
        usecs_percall: counts.latency_us.checked_div(counts.calls).unwrap_or(0),
    });
    Ok(Router::Commands {
        ops: admin.shared.sum(|counters| counters.requests_total.value()),
        cmds: cmds.collect(),
        info: Box::new(info_of(request, admin).await?),
        build: Build { version: VERSION, compile: COMPILED },
    })
}

async fn info_of(request: &HttpRequest, admin: &Admin) -> Result<ProxyForm, Refusal> {
    let report = coordinator::report(admin).await?;
    let is_online = report.is_some_and(|report| report.membership == MembershipState::Online);
    let (config, model) = (&admin.shared.settings.config, &admin.identity.model);
    let told = |given: &str, configured: &str, port: u16| {
        advertised(config.topology, given, configured, port, &model.hostname)
    };
    let admin_port = request.app_config().local_addr().port();
    Ok(ProxyForm {
        id: config.proxy_id.clone(),
        addr: told(&config.host_proxy, &config.proxy_addr, admin.shared.listen.port()),
        last_event: "",
        last_event_ts: 0,
        state: if is_online { "online" } else { "offline" },
        description: "",
        debug_var_addr: told(&config.host_admin, &config.admin_addr, admin_port),
        pid: model.pid,
        start_at: model.start_time.clone(),
    })
}

/// Commands by their first word in upper case, as these tools know them.
fn by_first_word(commands: Vec<Command>) -> BTreeMap<String, CommandCounts> {
    let mut sums = BTreeMap::<String, CommandCounts>::new();
    for Command { name, counts } in commands {
        let word = name.split('|').next().unwrap_or_default().to_ascii_uppercase();
        sums.entry(word).or_default().add(counts);
    }
    sums
}

/// How many requests were in each range. One at a bound may be a quarter off, as bins of latencies are.
fn ranges(latency: &Snapshot) -> Vec<(&'static str, u64)> {
    let up_to = |bound_us: u64| {
        let within = latency.cumulative().take_while(|(upper_us, _)| *upper_us <= bound_us);
        within.last().map_or(0, |(_, count)| count)
    };
    let mut before = 0;
    let counts = LATENCY_RANGES.map(|(name, bound_us)| {
        let seen = if bound_us == u64::MAX { latency.count() } else { up_to(bound_us) };
        (name, seen - std::mem::replace(&mut before, seen))
    });
    counts.into()
}

#[cfg(test)]
mod tests;
