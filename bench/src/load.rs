//! One measured run of redis-benchmark against one target.
//!
//! Order: a warm-up run, whose rate says how many requests fill the wanted time; the processor
//! times of the proxy and of the servers; the measured run; the processor times again. The
//! difference is divided by the number of requests, which is exact: redis-benchmark is told a
//! number that fills its pipelines evenly, it fails at the first error reply, and afterwards
//! the servers' own counters must have grown by just that number. A proxy that answered without
//! asking a server would be found out.

#[cfg(test)]
mod tests;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::client::Client;
use crate::measure::{cpu_time, resident_bytes};
use crate::processes::Processes;
use crate::programs::Programs;
use crate::targets::{Rig, Target};
use crate::workloads::{LARGE, SMALL, Verb, Workload};

/// A run may take this much longer than planned before it counts as hung.
const RUN_LIMIT_FACTOR: u32 = 10;
const RUN_LIMIT_MIN: Duration = Duration::from_secs(60);

/// What one measured run found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) requests_per_second: u64,
    /// Of the proxy; `None` for the direct target.
    pub(crate) proxy_cpu_us: Option<f64>,
    /// Of all servers together.
    pub(crate) backend_cpu_us: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) resident_bytes: u64,
}

/// What redis-benchmark says about a run.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Summary {
    requests_per_second: u64,
    p50_ms: f64,
    p99_ms: f64,
}

/// What the servers have done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counters {
    keys_read: u64,
    sets: u64,
}

/// Gives every key its value, through the target, so that each lies where the target looks.
pub(crate) fn fill(target: &Target) -> Result<()> {
    let mut client = Client::connect(target.addr)?;
    for key_set in [SMALL, LARGE] {
        client.fill(key_set.names(), &key_set.value())?;
    }
    Ok(())
}

/// The means to run load.
pub(crate) struct Load<'a> {
    pub(crate) processes: &'a Processes,
    pub(crate) programs: &'a Programs,
    pub(crate) rig: &'a Rig,
    /// About how many seconds a measured run lasts.
    pub(crate) seconds: u32,
}

impl Load<'_> {
    /// Warms up, then measures one run.
    pub(crate) fn measure(&self, target: &Target, workload: &Workload) -> Result<Sample> {
        let warmup =
            self.run(target, workload, workload.whole_requests(workload.warmup_requests))?;
        let wanted = warmup.requests_per_second * u64::from(self.seconds);
        let requests = workload.whole_requests(wanted);
        let counters = self.counters()?;
        let (proxy, backends) = self.cpu_times(target)?;
        let summary = self.run(target, workload, requests)?;
        let (proxy_after, backends_after) = self.cpu_times(target)?;
        check_counters(workload, requests, counters, self.counters()?)?;

        let proxy_used = proxy_after.zip(proxy).map(|(after, before)| after.saturating_sub(before));
        let backends_used = backends_after.saturating_sub(backends);
        Ok(Sample {
            requests_per_second: summary.requests_per_second,
            proxy_cpu_us: proxy_used.map(|used| us_per_request(used, requests)),
            backend_cpu_us: us_per_request(backends_used, requests),
            p50_ms: summary.p50_ms,
            p99_ms: summary.p99_ms,
            resident_bytes: resident_bytes(self.rig.served_by(target)?.pid())?,
        })
    }

    fn run(&self, target: &Target, workload: &Workload, requests: u64) -> Result<Summary> {
        let mut command = Command::new(&self.programs.redis_benchmark.path);
        command.args(["--csv", "-h", "127.0.0.1"]);
        for (flag, value) in [
            ("-p", u64::from(target.addr.port())),
            ("-c", u64::from(workload.connections)),
            ("-P", u64::from(workload.pipeline)),
            ("-r", u64::from(workload.key_set.keys)),
            ("-n", requests),
        ] {
            command.args([flag, &value.to_string()]);
        }
        command.args(workload.command());
        let log = self.rig.dir().join("redis-benchmark.log");
        let limit = RUN_LIMIT_MIN + Duration::from_secs(self.seconds.into()) * RUN_LIMIT_FACTOR;
        let outcome = self.processes.run("redis-benchmark", &mut command, &log, limit);
        // When a server has died, that is the better message.
        self.rig.served_by(target)?.check_running()?;
        let text = outcome?;
        parse_csv(&text).with_context(|| format!("understand redis-benchmark's output `{text}`"))
    }

    fn cpu_times(&self, target: &Target) -> Result<(Option<Duration>, Duration)> {
        let proxy = target.proxy().map(|process| cpu_time(process.pid())).transpose()?;
        let mut backends = Duration::ZERO;
        for backend in &self.rig.backends {
            backends += cpu_time(backend.process.pid())?;
        }
        Ok((proxy, backends))
    }

    fn counters(&self) -> Result<Counters> {
        let mut sum = Counters::default();
        for backend in &self.rig.backends {
            let info = Client::connect(backend.addr)?.call(&["INFO", "all"])?;
            let counters = parse_info(&info).context("find the counters in INFO")?;
            sum.keys_read += counters.keys_read;
            sum.sets += counters.sets;
        }
        Ok(sum)
    }
}

fn us_per_request(used: Duration, requests: u64) -> f64 {
    used.as_secs_f64() * 1e6 / requests as f64
}

/// Returns an error unless the servers have done exactly what was asked for.
fn check_counters(
    workload: &Workload,
    requests: u64,
    before: Counters,
    after: Counters,
) -> Result<()> {
    let (what, expected, done) = match workload.verb {
        Verb::Get | Verb::Mget(_) => {
            let expected = requests * workload.keys_read_per_request();
            ("keys found", expected, after.keys_read.saturating_sub(before.keys_read))
        }
        Verb::Set => ("SET commands", requests, after.sets.saturating_sub(before.sets)),
    };
    ensure!(done == expected, "the servers counted {done} {what} instead of {expected}");
    Ok(())
}

/// Reads the last line: the command in quotes, then rps, avg, min, p50, p95, p99, max.
fn parse_csv(text: &str) -> Option<Summary> {
    // Only the command can hold a comma, so the fields are counted from the end.
    let mut fields = text.lines().last()?.rsplit(',').map(|field| field.trim_matches('"'));
    let p99_ms = fields.nth(1)?.parse().ok()?;
    let p50_ms = fields.nth(1)?.parse().ok()?;
    let rate = fields.nth(2)?;
    // Whole requests are exact enough, and a rate of `inf` is refused.
    let requests_per_second = rate.split('.').next()?.parse().ok()?;
    Some(Summary { requests_per_second, p50_ms, p99_ms })
}

/// Finds the keys read and the SET commands in the text of `INFO all`.
fn parse_info(info: &str) -> Option<Counters> {
    let keys_read = info.lines().find_map(|line| line.strip_prefix("keyspace_hits:"))?;
    // A server that has seen no SET has no such line.
    let sets = match info.lines().find_map(|line| line.strip_prefix("cmdstat_set:calls=")) {
        Some(fields) => fields.split(',').next()?.parse().ok()?,
        None => 0,
    };
    Some(Counters { keys_read: keys_read.trim().parse().ok()?, sets })
}
