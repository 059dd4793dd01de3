//! Compares Keyway with other proxies and with Redis itself, on this machine and in one run.
//!
//! ```text
//!   for each round:  for each workload:  for each target, in rotated order:
//!       warm up -> measure one run            (load.rs, with redis-benchmark)
//!       or: hold thousands of idle connections (idle.rs)
//!   then: medians, ratios, floors              (report.rs)
//! ```
//!
//! `--fills` measures something else: what changes of slots cost under load (fills.rs). So do
//! `--migration`: what moving slots with their keys costs (migration.rs), and `--bulk-move`: how fast
//! whole slots move (bulk_move.rs).
//!
//! The figure to look at is the proxy's processor time per request: requests per second are
//! bounded by the machine, which the load generator, the proxy and the servers share.
//!
//! Every started process ends with this one, also on errors and signals (processes.rs). See
//! README.md for how to run it and how to read the result.

mod bulk_move;
mod client;
mod fills;
mod idle;
mod load;
mod machine;
mod measure;
mod migration;
mod processes;
mod programs;
mod report;
mod targets;
mod workloads;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::builder::PossibleValuesParser;
use clap::{Parser, value_parser};

use crate::load::Load;
use crate::machine::Machine;
use crate::processes::Processes;
use crate::programs::Programs;
use crate::report::{Report, Rounds, significant};
use crate::targets::{Rig, TargetKind};
use crate::workloads::{IDLE, WORKLOADS};

/// The exit status of shells for a program ended by an interrupt.
const EXIT_INTERRUPTED: u8 = 130;

/// Compares Keyway with nutcracker, haproxy and direct Redis, interleaved in one run.
#[derive(Debug, Parser)]
struct Options {
    /// Rounds; every figure is the median over them.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=100))]
    rounds: u32,

    /// About how many seconds each measured run lasts.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=600))]
    seconds: u32,

    /// Run only these workloads.
    #[arg(long, value_delimiter = ',', value_name = "WORKLOAD",
          value_parser = PossibleValuesParser::new(workloads::names()))]
    only: Vec<String>,

    /// Run only these targets.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "TARGET",
        value_enum,
        default_value = "keyway,nutcracker,haproxy,direct"
    )]
    targets: Vec<TargetKind>,

    /// The keyway binary; it should be a release build.
    #[arg(long, value_name = "PATH", default_value = "target/release/keyway")]
    keyway: PathBuf,

    /// Exit with status 1 when a floor is missed.
    #[arg(long)]
    floors: bool,

    /// Measure changes of slots under load instead: Keyway alone.
    #[arg(long, conflicts_with_all = ["rounds", "only", "targets", "floors"])]
    fills: bool,

    /// Measure what moving slots and their keys costs instead: Keyway alone.
    #[arg(long, conflicts_with_all = ["rounds", "only", "targets", "floors", "fills"])]
    migration: bool,

    /// Measure moves of whole slots instead: Keyway beside a loop of MIGRATE.
    #[arg(long, conflicts_with_all = ["rounds", "seconds", "only", "targets", "floors", "fills", "migration"])]
    bulk_move: bool,

    /// Write the report to this file as well.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

impl Options {
    fn has_workload(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// The targets, each once.
    fn kinds(&self) -> Vec<TargetKind> {
        let kinds: BTreeSet<TargetKind> = self.targets.iter().copied().collect();
        kinds.into_iter().collect()
    }

    fn check(&self) -> Result<()> {
        let has = |kind| self.targets.contains(&kind);
        ensure!(
            !self.floors || (has(TargetKind::Keyway) && has(TargetKind::Nutcracker)),
            "--floors compares keyway with nutcracker: --targets must have both"
        );
        Ok(())
    }
}

fn main() -> ExitCode {
    let processes = Processes::default();
    match run(&Options::parse(), &processes) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(_) if processes.is_interrupted() => {
            tell("interrupted");
            ExitCode::from(EXIT_INTERRUPTED)
        }
        Err(error) => {
            tell(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs everything; returns whether the floors, if asked for, are met.
fn run(options: &Options, processes: &Processes) -> Result<bool> {
    options.check()?;
    processes.kill_on_signals()?;
    if options.bulk_move {
        let programs = Programs::find(&[TargetKind::Keyway], &options.keyway)?;
        publish(options, &bulk_move::measure(processes, &programs)?)?;
        return Ok(true);
    }
    if !options.fills && !options.migration && options.has_workload(IDLE) {
        idle::raise_open_files()?;
    }
    if options.fills {
        let programs = Programs::find(&[TargetKind::Keyway], &options.keyway)?;
        publish(options, &fills::measure(processes, &programs, options.seconds)?)?;
        return Ok(true);
    }
    if options.migration {
        let programs = Programs::find(&[TargetKind::Keyway], &options.keyway)?;
        publish(options, &migration::measure(processes, &programs, options.seconds)?)?;
        return Ok(true);
    }
    let programs = Programs::find(&options.kinds(), &options.keyway)?;
    let report = measure(options, processes, &programs)?;
    publish(options, &report.to_string())?;
    if options.floors && !report.are_floors_met() {
        tell("a floor is missed");
        return Ok(false);
    }
    Ok(true)
}

/// Prints a report, and writes it where it is wanted.
fn publish(options: &Options, text: &str) -> Result<()> {
    io::stdout().write_all(text.as_bytes()).context("print the report")?;
    if let Some(path) = &options.markdown {
        fs::write(path, text).with_context(|| format!("write `{}`", path.display()))?;
    }
    Ok(())
}

/// Measures all rounds.
fn measure(options: &Options, processes: &Processes, programs: &Programs) -> Result<Report> {
    let mut kinds = options.kinds();
    let chosen = WORKLOADS.iter().filter(|workload| options.has_workload(workload.name));
    let mut report = Report {
        machine: Machine::look()?,
        versions: programs.versions().into_iter().map(str::to_owned).collect(),
        rounds: options.rounds,
        seconds: options.seconds,
        loads: chosen.map(|workload| (*workload, Rounds::new())).collect(),
        idle: Rounds::new(),
    };
    let rig = Rig::start(processes, programs, &kinds)?;
    for target in &rig.targets {
        load::fill(target).with_context(|| format!("fill the keys through `{}`", target.kind))?;
    }
    let load = Load { processes, programs, rig: &rig, seconds: options.seconds };
    for round in 1..=options.rounds {
        measure_loads(&load, &kinds, round, &mut report)?;
        if options.has_workload(IDLE) {
            measure_idle(processes, programs, &kinds, round, &mut report)?;
        }
        // Whoever was first is last in the next round: no target always runs after the same one
        // or on a machine in the same state.
        kinds.rotate_left(1);
    }
    Ok(report)
}

fn measure_loads(
    load: &Load<'_>,
    kinds: &[TargetKind],
    round: u32,
    report: &mut Report,
) -> Result<()> {
    for (workload, rounds) in &mut report.loads {
        for kind in kinds {
            load.processes.check_interrupt()?;
            let target = load.rig.target(*kind)?;
            let sample = load
                .measure(target, workload)
                .with_context(|| format!("measure `{}` through `{kind}`", workload.name))?;
            let cpu = sample.proxy_cpu_us.unwrap_or(sample.backend_cpu_us);
            tell(&format!(
                "round {round}: {} {kind}: {} requests/s, {} µs",
                workload.name,
                sample.requests_per_second,
                significant(cpu)
            ));
            rounds.entry(*kind).or_default().push(sample);
        }
    }
    Ok(())
}

fn measure_idle(
    processes: &Processes,
    programs: &Programs,
    kinds: &[TargetKind],
    round: u32,
    report: &mut Report,
) -> Result<()> {
    for kind in kinds {
        let sample = idle::measure(processes, programs, *kind)
            .with_context(|| format!("measure `{IDLE}` through `{kind}`"))?;
        let bytes = sample.bytes_per_connection();
        tell(&format!("round {round}: {IDLE} {kind}: {bytes:.0} bytes per connection"));
        report.idle.entry(*kind).or_default().push(sample);
    }
    Ok(())
}

/// Tells the person at the terminal; the report alone goes to the standard output.
fn tell(text: &str) {
    // When even this fails there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests;
