//! All samples of a run, the comparison with the floors, and the Markdown that shows both.
//!
//! A figure is the median over the rounds. A ratio is the median of the ratios within each
//! round: both targets of a round ran within seconds of each other, so that what disturbs the
//! machine for longer disturbs both.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::idle::{IDLE_CONNECTIONS, IdleSample};
use crate::load::Sample;
use crate::machine::Machine;
use crate::measure::Spread;
use crate::targets::TargetKind;
use crate::workloads::{IDLE_BYTES_MAX, Workload};

const MIB: f64 = 1024.0 * 1024.0;

/// The samples of each target, one for each round.
pub(crate) type Rounds<S> = BTreeMap<TargetKind, Vec<S>>;

/// Everything that a run has found.
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) versions: Vec<String>,
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
    pub(crate) loads: Vec<(Workload, Rounds<Sample>)>,
    /// Empty when the workload was left out.
    pub(crate) idle: Rounds<IdleSample>,
}

/// One figure of Keyway beside its floor.
struct Comparison {
    title: &'static str,
    figure: Spread,
    max: f64,
    decimals: usize,
}

impl Comparison {
    fn is_met(&self) -> bool {
        self.figure.median <= self.max
    }
}

impl Report {
    /// Whether at least one floor was compared, and every compared one was met.
    pub(crate) fn are_floors_met(&self) -> bool {
        let comparisons = self.comparisons();
        !comparisons.is_empty() && comparisons.iter().all(Comparison::is_met)
    }

    fn comparisons(&self) -> Vec<Comparison> {
        let mut comparisons = Vec::new();
        for (workload, rounds) in &self.loads {
            if let Some(figure) = cpu_ratio(rounds) {
                let (title, max) = (workload.title, workload.cpu_ratio_max);
                comparisons.push(Comparison { title, figure, max, decimals: 2 });
            }
        }
        let idle = self.idle.get(&TargetKind::Keyway).into_iter().flatten();
        if let Some(figure) = Spread::of(idle.map(IdleSample::bytes_per_connection)) {
            let (title, max) = ("bytes per idle connection", IDLE_BYTES_MAX);
            comparisons.push(Comparison { title, figure, max, decimals: 0 });
        }
        comparisons
    }

    fn write_machine(&self, out: &mut String) -> fmt::Result {
        let machine = &self.machine;
        writeln!(out, "# Benchmark of {}\n", machine.date)?;
        writeln!(out, "* CPU: {}, {} cores", machine.cpu_model, machine.cores)?;
        writeln!(out, "* Kernel: Linux {}", machine.kernel)?;
        for version in &self.versions {
            writeln!(out, "* {version}")?;
        }
        writeln!(
            out,
            "* Rounds: {}, each with runs of about {} s, targets interleaved; medians [min-max]\n",
            self.rounds, self.seconds
        )
    }

    fn write_loads(&self, out: &mut String) -> fmt::Result {
        if self.loads.is_empty() {
            return Ok(());
        }
        writeln!(out, "## Load\n")?;
        writeln!(
            out,
            "| workload | target | requests/s | proxy CPU µs/request | Redis CPU µs/request \
             | p50 ms | p99 ms | resident MiB |"
        )?;
        writeln!(out, "|---|---|--:|--:|--:|--:|--:|--:|")?;
        for (workload, rounds) in &self.loads {
            for (kind, samples) in rounds {
                let row = load_row(samples);
                writeln!(out, "| {} | {kind} | {row} |", workload.title)?;
            }
        }
        writeln!(out)
    }

    fn write_idle(&self, out: &mut String) -> fmt::Result {
        if self.idle.is_empty() {
            return Ok(());
        }
        writeln!(out, "## {IDLE_CONNECTIONS} idle connections, after one GET each\n")?;
        writeln!(out, "| target | before MiB | after MiB | bytes per connection |")?;
        writeln!(out, "|---|--:|--:|--:|")?;
        for (kind, samples) in &self.idle {
            let before = median(samples, |sample| sample.before_bytes as f64 / MIB);
            let after = median(samples, |sample| sample.after_bytes as f64 / MIB);
            let each = median(samples, IdleSample::bytes_per_connection);
            writeln!(out, "| {kind} | {before:.1} | {after:.1} | {each:.0} |")?;
        }
        writeln!(out)
    }

    fn write_floors(&self, out: &mut String) -> fmt::Result {
        let comparisons = self.comparisons();
        if comparisons.is_empty() {
            return Ok(());
        }
        writeln!(out, "## Floors: proxy CPU per request, keyway / nutcracker\n")?;
        writeln!(out, "| workload | ratio [min-max] | floor | |")?;
        writeln!(out, "|---|--:|--:|---|")?;
        for comparison in &comparisons {
            let Comparison { title, figure, max, decimals } = comparison;
            let Spread { median, min, max: greatest } = figure;
            let verdict = if comparison.is_met() { "ok" } else { "missed" };
            writeln!(
                out,
                "| {title} | {median:.decimals$} [{min:.decimals$}-{greatest:.decimals$}] \
                 | <= {max:.decimals$} | {verdict} |"
            )?;
        }
        writeln!(out)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write_machine(&mut text)?;
        self.write_loads(&mut text)?;
        self.write_idle(&mut text)?;
        self.write_floors(&mut text)?;
        writeln!(formatter, "{}", text.trim_end())
    }
}

/// The cells of one target under one load.
fn load_row(samples: &[Sample]) -> String {
    let rate = median(samples, |sample| sample.requests_per_second as f64);
    let p50 = median(samples, |sample| sample.p50_ms);
    let p99 = median(samples, |sample| sample.p99_ms);
    let resident = median(samples, |sample| sample.resident_bytes as f64 / MIB);
    let proxy = spread_cell(samples.iter().filter_map(|sample| sample.proxy_cpu_us));
    let backends = spread_cell(samples.iter().map(|sample| sample.backend_cpu_us));
    format!("{rate:.0} | {proxy} | {backends} | {p50:.2} | {p99:.2} | {resident:.1}")
}

/// The median of one figure; NaN, which is printed as such, when there are no samples.
fn median<S>(samples: &[S], figure: impl Fn(&S) -> f64) -> f64 {
    Spread::of(samples.iter().map(figure)).map_or(f64::NAN, |spread| spread.median)
}

/// A median with its range, or a dash where there is nothing to measure.
fn spread_cell(values: impl Iterator<Item = f64>) -> String {
    match Spread::of(values) {
        Some(Spread { median, min, max }) => {
            format!("{} [{}-{}]", significant(median), significant(min), significant(max))
        }
        None => "-".to_owned(),
    }
}

/// Three significant digits: the figures lie between 0.05 and 100, and none is exact to more.
pub(crate) fn significant(value: f64) -> String {
    let decimals = match value {
        _ if value >= 100.0 => 0,
        _ if value >= 10.0 => 1,
        _ if value >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// Keyway's CPU per request divided by nutcracker's of the same round, over the rounds.
fn cpu_ratio(rounds: &Rounds<Sample>) -> Option<Spread> {
    let ours = rounds.get(&TargetKind::Keyway)?;
    let theirs = rounds.get(&TargetKind::Nutcracker)?;
    let pairs = ours.iter().zip(theirs);
    Spread::of(pairs.filter_map(|(ours, theirs)| Some(ours.proxy_cpu_us? / theirs.proxy_cpu_us?)))
}
