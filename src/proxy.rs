//! The run of a proxy, from its settings to its end.
//!
//! Order of the start: look at the backends, bind both sockets, start the actors, say so. Nothing
//! is accepted before everything is in place. SIGTERM or SIGINT stops it in order; a second one at
//! once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::System;
use actors::probe::{ProbeReport, probe};
use actors::worker::{Credentials, Settings, Shared};
use anyhow::{Context as _, bail};
use command::CommandTable;
use config::{Config, LogFormat};
use routing::{BackendAddr, SlotTable};
use slog::{Logger, crit, info, warn};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use web::Identity;

use crate::auto_online::{self, Source};
use crate::banner;
use crate::logging::LevelHandle;
use crate::slots::Slots;
use crate::state::State;
use crate::wiring::{AdminParts, Proxy};

/// How long a backend may take to introduce itself at start.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// What the proxy reports when no backend could be asked: the version of its command table.
const REDIS_VERSION_UNKNOWN: &str = "7.0.0";

/// A backend and what was found there.
pub(crate) type Found = (BackendAddr, Result<ProbeReport, String>);

/// Runs the proxy until it is told to stop.
pub(crate) fn run(
    config: Config,
    slots: Slots,
    dashboard: Option<Source>,
    log: Logger,
    level: LevelHandle,
) -> anyhow::Result<()> {
    end_on_panic(log.clone());
    System::new().block_on(serve(config, slots, dashboard, log, level))
}

async fn serve(
    config: Config,
    slots: Slots,
    dashboard: Option<Source>,
    log: Logger,
    level: LevelHandle,
) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Without slots the proxy waits for a dashboard to fill them and to start it.
    let is_managed = matches!(slots, Slots::Offline);
    let (mut settings, table) = slots.apply(config)?;
    let state = State::open(&settings.config)?;
    let kept = kept_slots(state.as_ref(), &log)?;
    let (table, is_kept) = kept.map_or((table, false), |kept| (kept, true));
    let found = look_at_backends(&settings, &table, &log).await;
    settings.redis_version = lowest_version(&found);

    let config = settings.config.clone();
    let clients = bind("clients", &config.proxy_addr).await?;
    let admin = bind("the admin API", &config.admin_addr).await?;
    let listen = clients.local_addr()?;
    let admin_addr = admin.local_addr()?;
    let workers = worker_count(&config);
    let commands = CommandTable::load().context("load the command table")?;
    let shared = Arc::new(Shared::new(settings, commands, workers, listen));
    if !is_managed {
        shared.lifecycle.go_online();
    }
    let identity = Identity::of(&config, listen, admin_addr).await?;
    let token = identity.model.token.clone();
    let told_addr = identity.model.admin_addr.clone();
    warn_of_open_admin(&config, admin_addr, &log);
    let admin = AdminParts { listener: admin.into_std()?, identity, level };
    let proxy = Proxy::start(Arc::clone(&shared), &table, clients, admin, state, &log).await?;

    if config.log_format == LogFormat::Term {
        banner::print(listen, admin_addr, workers, &table, &found, is_kept);
    }
    tell_of_start(&shared, admin_addr, &token, &log);

    let failed = async {
        tokio::select! {
            error = never_online(dashboard, &told_addr, &shared, &log) => error,
            error = proxy.failed() => anyhow::anyhow!(error),
        }
    };
    let (cause, failure) = tokio::select! {
        name = next_signal(&mut terminate, &mut interrupt) => (name, None),
        () = shared.lifecycle.stopped() => ("an order", None),
        error = failed => ("a failure", Some(error)),
    };
    if let Some(error) = &failure {
        crit!(log, "not online, the proxy ends"; "error" => format!("{error:#}"));
    }
    shared.lifecycle.stop();
    info!(log, "stopping: no more clients, finishing what is in flight"; "cause" => cause);
    tokio::select! {
        () = proxy.stop(config.shutdown_timeout) => {
            info!(log, "stopped");
            failure.map_or(Ok(()), Err)
        }
        _ = next_signal(&mut terminate, &mut interrupt) => {
            warn!(log, "a second signal: stopping at once");
            bail!("stopped by a second signal")
        }
    }
}

/// Says where the proxy can be reached, and what it waits for.
fn tell_of_start(shared: &Shared, admin_addr: SocketAddr, token: &str, log: &Logger) {
    info!(log, "admin api is listening"; "admin" => %admin_addr);
    info!(log, "proxy is listening"; "listen" => %shared.listen, "admin" => %admin_addr,
        "workers" => shared.counters.len(), "version" => env!("CARGO_PKG_VERSION"));
    if shared.settings.config.topology.is_in_coordinator() {
        info!(log, "not online: waiting for the dashboard to put the proxy online in the coordinator";
            "coordinator" => &shared.settings.config.coordinator_addr);
    } else if !shared.lifecycle.is_online() {
        info!(log, "not online: waiting for a dashboard to fill the slots and to start the proxy";
            "token" => token);
    }
}

/// The slots that the proxy had before its last end, if it keeps them.
fn kept_slots(state: Option<&State>, log: &Logger) -> anyhow::Result<Option<SlotTable>> {
    let Some(state) = state else { return Ok(None) };
    let kept = state.slots()?;
    if kept.is_some() {
        info!(log, "slots are those that were kept, not those of the command line";
            "file" => %state.slots_file().display());
    }
    Ok(kept)
}

/// Why no dashboard has brought the proxy online; never ends when one has, or none is asked.
async fn never_online(
    dashboard: Option<Source>,
    admin_addr: &str,
    shared: &Shared,
    log: &Logger,
) -> anyhow::Error {
    if let Some(source) = dashboard
        && let Err(error) = auto_online::run(&source, admin_addr, shared, log).await
    {
        return error;
    }
    std::future::pending().await
}

async fn next_signal(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

async fn bind(what: &str, addr: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr)
        .await
        .with_context(|| format!("listen for {what} on `{addr}`: is another proxy running there?"))
}

/// Without a password the xauth is known to whoever can read the model.
fn warn_of_open_admin(config: &Config, admin_addr: SocketAddr, log: &Logger) {
    if config.product_auth.is_empty() && !admin_addr.ip().is_loopback() {
        warn!(log, "whoever reaches the admin api controls the proxy: set `product_auth`, or keep \
            the address behind a firewall"; "admin" => %admin_addr);
    }
}

fn worker_count(config: &Config) -> usize {
    match config.workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        workers => workers,
    }
}

/// Asks every primary what it is, all at the same time.
async fn look_at_backends(settings: &Settings, table: &SlotTable, log: &Logger) -> Vec<Found> {
    let mut addrs: Vec<BackendAddr> = Vec::new();
    for (_, assignment) in table.assignments() {
        if let Some(primary) = assignment.primary.as_ref().filter(|addr| !addrs.contains(addr)) {
            addrs.push(primary.clone());
        }
    }
    let asked: Vec<_> = addrs
        .into_iter()
        .map(|addr| {
            let credentials: Credentials = settings.credentials_of(&addr).clone();
            actix_rt::spawn(async move {
                let report = probe(&addr, &credentials, PROBE_TIMEOUT).await;
                (addr, report)
            })
        })
        .collect();
    let mut found = Vec::new();
    for report in asked {
        if let Ok((addr, report)) = report.await {
            log_found(&addr, &report, log);
            found.push((addr, report));
        }
    }
    found
}

fn log_found(addr: &BackendAddr, report: &Result<ProbeReport, String>, log: &Logger) {
    match report {
        Ok(report) => {
            info!(log, "backend found"; "backend" => %addr, "server" => &report.server,
                "version" => &report.version, "role" => &report.role,
                "replicas" => report.replicas);
            if report.role == "slave" {
                warn!(log, "backend is a replica: writes to its slots will be refused by it";
                    "backend" => %addr);
            }
            if report.is_cluster {
                warn!(log, "backend is a node of a Redis Cluster: it refuses keys of slots that \
                    are not its own"; "backend" => %addr);
            }
        }
        Err(error) => {
            warn!(log, "backend does not answer: its slots are refused until it does";
                "backend" => %addr, "error" => error);
        }
    }
}

/// The lowest redis version found: a client may rely on what every backend has.
fn lowest_version(found: &[Found]) -> String {
    let reports = found.iter().filter_map(|(_, report)| report.as_ref().ok());
    let versions = reports.map(|report| report.redis_version.as_str()).filter(|v| !v.is_empty());
    let parts = |version: &&str| -> Vec<u32> {
        version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
    };
    versions.min_by_key(parts).unwrap_or(REDIS_VERSION_UNKNOWN).to_owned()
}

/// A panic is a defect that may have left a worker's state half changed: it is logged, and the
/// process ends, since the release build aborts after the hook.
fn end_on_panic(log: Logger) {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        crit!(log, "panic, the process ends"; "panic" => %panic);
        // The log's own thread may not come to write it; standard error surely has it.
        default(panic);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(versions: &[&str], expected: &str) {
        let found: Vec<Found> = versions
            .iter()
            .map(|version| {
                let report =
                    ProbeReport { redis_version: (*version).to_owned(), ..ProbeReport::default() };
                ("h:1".parse().unwrap(), Ok(report))
            })
            .collect();
        assert_eq!(lowest_version(&found), expected, "{versions:?}");
    }

    #[test]
    fn clients_hear_of_the_lowest_version() {
        check(&["7.0.15", "6.2.14", "7.2.4"], "6.2.14");
        check(&["7.0.9", "7.0.15"], "7.0.9");
        check(&[], "7.0.0");
    }
}
