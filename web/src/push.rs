//! Reports of the proxy's figures to those who collect them: a URL, an InfluxDB, a StatsD.
//!
//! | file         | what it owns                                   |
//! |--------------|------------------------------------------------|
//! | `figures.rs` | which numbers are reported, and their names    |
//! | `json.rs`    | the overview, posted to a URL                  |
//! | `influx.rs`  | a line for an InfluxDB                         |
//! | `statsd.rs`  | gauges for a StatsD                            |
//! | `health.rs`  | what the log says of a target, and the pauses  |
//!
//! One loop per target, on the thread of the admin server's actors: no worker takes part. A figure
//! that could not be sent in time is dropped, the next one tells what it is by then.
//!
//! ```text
//! tick ─► figures of now ─► send ─► ok: next tick
//!                             └──► failed: WARN once, a pause of 1, 2, 4, 8, then 15 s, next tick
//! ```
//!
//! Bounds: one report per target at a time; a report takes less than its period and at most
//! [`SEND_TIMEOUT_MAX`].

mod figures;
mod health;
mod influx;
mod json;
mod statsd;

use std::time::Duration;

use config::Config;
use slog::{Logger, info, o, warn};
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

use crate::Admin;
use crate::http::{HttpClient, no_answer_within};
use crate::pages::current_stats;
use crate::stats::{Flags, Stats};

use health::{Change, Health};

/// The longest time that a report may take, however long its period is.
const SEND_TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// The loops of all targets. They end when it is dropped.
pub struct Reports(Vec<JoinHandle<()>>);

impl Reports {
    /// Starts a loop for each target that is configured.
    #[must_use]
    pub fn start(admin: &Admin) -> Self {
        let config = &admin.shared.settings.config;
        let targets = Target::all(config);
        Self(
            targets
                .into_iter()
                .map(|(target, period)| actix_rt::spawn(run(target, period, admin.clone())))
                .collect(),
        )
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// Who gets reports.
enum Target {
    Json(json::Json),
    Influx(influx::Influx),
    Statsd(statsd::Statsd),
}

impl Target {
    /// The targets that are configured, with their periods.
    fn all(config: &Config) -> Vec<(Self, Duration)> {
        let mut targets = Vec::new();
        if !config.metrics_report_server.is_empty() {
            let target = json::Json::new(HttpClient::new(), &config.metrics_report_server);
            targets.push((Self::Json(target), config.metrics_report_period));
        }
        if !config.metrics_report_influxdb_server.is_empty() {
            let target = influx::Influx::new(HttpClient::new(), config);
            targets.push((Self::Influx(target), config.metrics_report_influxdb_period));
        }
        if !config.metrics_report_statsd_server.is_empty() {
            let target = statsd::Statsd::new(config);
            targets.push((Self::Statsd(target), config.metrics_report_statsd_period));
        }
        targets
    }

    /// What the log calls it: no path, no query, no user.
    fn name(&self, config: &Config) -> (&'static str, String) {
        match self {
            Self::Json(_) => ("url", authority(&config.metrics_report_server)),
            Self::Influx(_) => ("influxdb", authority(&config.metrics_report_influxdb_server)),
            Self::Statsd(_) => ("statsd", config.metrics_report_statsd_server.clone()),
        }
    }

    async fn send(&self, admin: &Admin, stats: Stats, limit: Duration) -> Result<(), String> {
        let model = &admin.identity.model;
        match self {
            Self::Json(target) => target.send(admin, stats, limit).await,
            Self::Influx(target) => {
                let line = influx::line(model, &stats, OffsetDateTime::now_utc());
                target.send(line, limit).await
            }
            Self::Statsd(target) => target.send(model, &stats).await,
        }
    }
}

async fn run(target: Target, period: Duration, admin: Admin) {
    let (kind, name) = target.name(&admin.shared.settings.config);
    let log = admin.log.new(o!("target" => name, "kind" => kind));
    let limit = send_timeout(period);
    let mut health = Health::default();
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let deadline = Instant::now() + limit;
        let sent = timeout_at(deadline, report(&target, &admin, limit)).await;
        let sent = sent.unwrap_or_else(|_| Err(no_answer_within(limit)));
        tell(health.note(sent.is_ok()), sent, &log);
        sleep(health.pause()).await;
    }
}

async fn report(target: &Target, admin: &Admin, limit: Duration) -> Result<(), String> {
    let stats = current_stats(admin, Flags::RUNTIME).await.map_err(|error| error.to_string())?;
    target.send(admin, stats, limit).await
}

fn tell(change: Option<Change>, sent: Result<(), String>, log: &Logger) {
    match (change, sent) {
        (Some(Change::Fails), Err(error)) => {
            warn!(log, "reports are lost until their target takes them again"; "error" => error);
        }
        (Some(Change::Works), _) => info!(log, "reports are taken again"),
        _ => {}
    }
}

/// Shorter than the period, so that a report never meets the next one.
fn send_timeout(period: Duration) -> Duration {
    SEND_TIMEOUT_MAX.min(period * 9 / 10)
}

/// The host and the port of a URL.
fn authority(url: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    rest.split(['/', '?']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
