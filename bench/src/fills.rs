//! What a change of slots costs under load: how long the order takes, how long its slots wait.
//!
//! Keyway runs alone over two Redis servers. Without load and with the load of GETs at several
//! depths of pipelining, slots move back and forth between the servers by orders to the admin API:
//! first one slot per order, an order every few milliseconds, then all slots in each order.
//!
//! An order's time is measured here, from its first byte to the last one of its answer. How long
//! the slots were held is what the proxy logs. The keys stay where they are: a GET that does not
//! find its key costs the proxy the same.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::client::AdminClient;
use crate::machine::Machine;
use crate::processes::{Process, Processes};
use crate::programs::Programs;
use crate::targets::{Rig, TargetKind};
use crate::workloads::{WORKLOADS, Workload};

/// All of Codis' slots.
const SLOTS: u32 = 1024;

/// The workloads that are the load.
const LOADS: [&str; 3] = ["get64-p1", "get64-p16", "get64-p128"];

/// The pause between two orders.
const PAUSE: Duration = Duration::from_millis(5);

/// Orders that move all slots.
const FULL_FILLS: u32 = 100;

/// The load runs this long before the first order.
const WARM_UP: Duration = Duration::from_secs(1);

/// More requests than a run can have: the load is ended, it does not end.
const REQUESTS_ENDLESS: u32 = 2_000_000_000;

/// The proxy writes its log behind its back: how often and how long it is waited for.
const LOG_ATTEMPTS: u32 = 100;
const LOG_INTERVAL: Duration = Duration::from_millis(50);

/// The times of the orders of one kind under one load.
struct Times {
    load: &'static str,
    slots: u32,
    answers: Vec<Duration>,
    held: Vec<Duration>,
}

/// Measures everything; gives the report as Markdown.
pub(crate) fn measure(processes: &Processes, programs: &Programs, seconds: u32) -> Result<String> {
    let machine = Machine::look()?;
    let rig = Rig::start_for_fills(processes, programs)?;
    let mut all = Vec::new();
    let loads = LOADS.map(|name| WORKLOADS.iter().find(|workload| workload.name == name));
    for workload in std::iter::once(None).chain(loads) {
        // Held for its drop, which ends the load.
        let load = workload.map(|workload| start_load(processes, programs, &rig, workload));
        let _load = load.transpose()?;
        processes.pause(WARM_UP)?;
        let title = workload.map_or("none", |workload| workload.title);
        let fills = seconds * 1000 / u32::try_from(PAUSE.as_millis()).unwrap_or(u32::MAX);
        all.push(measure_fills(processes, &rig, title, 1, fills)?);
        all.push(measure_fills(processes, &rig, title, SLOTS, FULL_FILLS)?);
    }
    Ok(report(&machine, &all))
}

fn start_load(
    processes: &Processes,
    programs: &Programs,
    rig: &Rig,
    workload: &Workload,
) -> Result<Process> {
    let mut command = Command::new(&programs.redis_benchmark.path);
    command.args(["-q", "-h", "127.0.0.1"]);
    for (flag, value) in [
        ("-p", rig.target(TargetKind::Keyway)?.addr.port().into()),
        ("-c", workload.connections),
        ("-P", workload.pipeline),
        ("-r", workload.key_set.keys),
        ("-n", REQUESTS_ENDLESS),
    ] {
        command.args([flag, &value.to_string()]);
    }
    command.args(workload.command());
    processes.spawn("redis-benchmark", &mut command, &rig.dir().join("redis-benchmark.log"))
}

/// Moves as many slots with each order, in turn to either server.
fn measure_fills(
    processes: &Processes,
    rig: &Rig,
    load: &'static str,
    slots: u32,
    fills: u32,
) -> Result<Times> {
    let mut admin = AdminClient::connect(rig.admin()?)?;
    let held_before = held(rig)?.len();
    let mut answers = Vec::new();
    for number in 0..fills {
        // One slot after the other goes to the second server, then all of them back.
        let round = number * slots / SLOTS + 1;
        let backend = rig.backends.iter().cycle().nth((round % 2) as usize);
        let addr = backend.context("the rig has no backend")?.addr;
        let first = number * slots % SLOTS;
        let body: Vec<String> = (first..first + slots)
            .map(|slot| {
                format!(r#"{{"id":{slot},"backend_addr":"{addr}","backend_addr_group_id":1}}"#)
            })
            .collect();
        answers.push(admin.fill(&format!("[{}]", body.join(",")))?);
        processes.pause(PAUSE)?;
    }
    let wanted = held_before + answers.len();
    let mut times = held(rig)?;
    for _ in 0..LOG_ATTEMPTS {
        if times.len() >= wanted {
            break;
        }
        processes.pause(LOG_INTERVAL)?;
        times = held(rig)?;
    }
    ensure!(times.len() == wanted, "the proxy's log has not one line for each order");
    Ok(Times { load, slots, answers, held: times.split_off(held_before) })
}

/// How long the slots of every fill so far were held, from the log of the proxy.
fn held(rig: &Rig) -> Result<Vec<Duration>> {
    let path = rig.keyway_log();
    let log = fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
    Ok(log.lines().filter_map(parse_held).collect())
}

/// The time in a line of the log, in either of its forms.
pub(crate) fn parse_held(line: &str) -> Option<Duration> {
    let (_, rest) = line.split_once("held_us")?;
    let digits: String =
        rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().ok().map(Duration::from_micros)
}

/// Measures how long something takes.
#[expect(clippy::disallowed_methods, reason = "measuring time is what this program is for")]
pub(crate) fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let started = Instant::now();
    let result = work()?;
    Ok((result, started.elapsed()))
}

fn report(machine: &Machine, all: &[Times]) -> String {
    let mut text = format!(
        "{}, {} cores, Linux {}, {}\n\n\
         | load (50 connections) | slots per fill | fills | order p50 | p99 | max | held p50 | p99 | max |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        machine.cpu_model, machine.cores, machine.kernel, machine.date
    );
    for times in all {
        let (fills, slots) = (times.answers.len(), times.slots);
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "| {} | {slots} | {fills} | {} | {} |",
            times.load,
            columns(&times.answers),
            columns(&times.held)
        );
    }
    text.push_str("\nTimes in milliseconds.\n");
    text
}

/// The median, the 99th percentile and the largest.
pub(crate) fn columns(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = |percent: usize| {
        let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        let time = sorted.get(index).copied().unwrap_or_default();
        format!("{:.2}", time.as_secs_f64() * 1000.0)
    };
    format!("{} | {} | {}", at(50), at(99), at(100))
}
