//! Reads the proxy's counters for the admin API: rates over the last second, and counts since the
//! last reset.
//!
//! | message      | from         | what happens                                        |
//! |--------------|--------------|-----------------------------------------------------|
//! | `QueryStats` | admin server | the numbers of now                                  |
//! | `ResetStats` | admin server | counts begin at zero again                          |
//!
//! Counters have one writer, their worker, so a reset does not touch them: it remembers how far
//! they were. Nothing is asked of a worker or a backend; an answer waits for nobody.
//!
//! Supervision: started by wiring, lives as long as the process.
//!
//! Bounds: one number per command; one timer.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext as _, Context, Handler, Message, MessageResult};
use actors::latency::Histogram;
use actors::worker::{Counter, Shared, WorkerCounters};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::model::time_text;
use crate::stats::{
    BackendPolicy, CommandOps, Flags, Ops, RedisErrors, ResourceUsage, Runtime, Sentinels,
    Sessions, Stats,
};
use crate::usage::Usage;

/// Rates are over this time.
const SAMPLE_PERIOD: Duration = Duration::from_secs(1);

/// Asks what the proxy does. The sentinels are known elsewhere.
#[derive(Message)]
#[rtype(result = "Stats")]
pub(crate) struct QueryStats {
    /// Which parts.
    pub(crate) flags: Flags,
}

/// Begins to count from zero.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ResetStats;

/// Counts of the whole proxy.
#[derive(Clone, Debug, Default)]
struct Counts {
    requests: u64,
    fails: u64,
    errors: u64,
    sessions: u64,
    /// By `CommandId`.
    commands: Vec<CommandCounts>,
}

/// Counts of one command.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CommandCounts {
    pub(crate) calls: u64,
    pub(crate) latency_us: u64,
    pub(crate) errors: u64,
}

impl CommandCounts {
    /// What all workers have counted for the command with this index, since the start.
    pub(crate) fn sum(shared: &Shared, index: usize) -> Self {
        let mut sum = Self::default();
        let workers = shared.counters.iter().filter_map(|worker| worker.commands.get(index));
        for command in workers {
            sum.calls += command.calls.value();
            sum.latency_us += command.latency().map_or(0, Histogram::sum_us);
            sum.errors += command.errors.value();
        }
        sum
    }

    /// Adds what another command has counted.
    pub(crate) fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.latency_us += other.latency_us;
        self.errors += other.errors;
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(earlier.calls),
            latency_us: self.latency_us.saturating_sub(earlier.latency_us),
            errors: self.errors.saturating_sub(earlier.errors),
        }
    }
}

impl Counts {
    fn read(shared: &Shared) -> Self {
        let sum = |of: fn(&WorkerCounters) -> &Counter| shared.sum(|counters| of(counters).value());
        let failures = sum(|counters| &counters.failures_total);
        let errors = sum(|counters| &counters.backend_errors_total)
            + sum(|counters| &counters.rejected_total);
        Self {
            // Read before the commands: a request that comes in between then is missing in the
            // total, not in the number of unnamed ones, which is the difference.
            requests: sum(|counters| &counters.requests_total),
            fails: failures + sum(|counters| &counters.limit_closes_total),
            errors: failures + errors,
            sessions: sum(|counters| &counters.clients_total),
            commands: (0..shared.commands.len())
                .map(|index| CommandCounts::sum(shared, index))
                .collect(),
        }
    }
}

/// What was seen at the end of the last period.
struct Sample {
    at: Instant,
    requests: u64,
    processor_ns: u64,
}

impl Sample {
    fn now(shared: &Shared) -> Self {
        Self {
            at: Instant::now(),
            requests: shared.sum(|counters| counters.requests_total.value()),
            processor_ns: Usage::now().unwrap_or_default().processor_ns(),
        }
    }
}

/// See the module.
pub struct MeterActor {
    shared: Arc<Shared>,
    /// Where the counters were at the last reset.
    baseline: Counts,
    last: Sample,
    qps: u64,
    cpu: f64,
}

impl MeterActor {
    /// A meter of a proxy's counters.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        let last = Sample::now(&shared);
        Self { shared, baseline: Counts::default(), last, qps: 0, cpu: 0.0 }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "rates of one second, never negative and far below 2^52"
    )]
    fn sample(&mut self) {
        let sample = Sample::now(&self.shared);
        let seconds = (sample.at - self.last.at).as_secs_f64();
        if seconds > 0.0 {
            let requests = sample.requests.saturating_sub(self.last.requests);
            let processor_ns = sample.processor_ns.saturating_sub(self.last.processor_ns);
            self.qps = (requests as f64 / seconds).round() as u64;
            self.cpu = processor_ns as f64 / 1e9 / seconds;
        }
        self.last = sample;
    }

    fn stats(&self, flags: Flags) -> Stats {
        let lifecycle = &self.shared.lifecycle;
        let usage = Usage::now();
        let alive = self.shared.clients() as u64;
        let counts = Counts::read(&self.shared);
        let since = |now: u64, then: u64| now.saturating_sub(then);
        let workers = self.shared.counters.len() as u64;
        let buffered = self.shared.buffered.bytes() as u64;
        let runtime = || Runtime::of(&usage.unwrap_or_default(), workers, buffered);
        Stats {
            online: lifecycle.is_online(),
            closed: lifecycle.is_closed(),
            sentinels: Sentinels::default(),
            ops: Ops {
                total: since(counts.requests, self.baseline.requests),
                fails: since(counts.fails, self.baseline.fails),
                redis: RedisErrors { errors: since(counts.errors, self.baseline.errors) },
                qps: self.qps,
                cmd: if flags.has_commands() { self.commands(&counts) } else { Vec::new() },
            },
            // A client is alive before it is counted: never fewer in all than now.
            sessions: Sessions {
                total: since(counts.sessions, self.baseline.sessions).max(alive),
                alive,
            },
            rusage: ResourceUsage {
                now: time_text(OffsetDateTime::now_utc()),
                cpu: self.cpu,
                mem: usage.unwrap_or_default().vm_rss,
                raw: usage,
            },
            backend: BackendPolicy { primary_only: self.shared.settings.is_primary_only },
            runtime: flags.has_runtime().then(runtime),
        }
    }

    /// The commands that were called since the reset, by name; first those without a known one.
    fn commands(&self, counts: &Counts) -> Vec<CommandOps> {
        let named = self.shared.commands.commands().filter_map(|command| {
            let index = command.id().index();
            let of = |counts: &Counts| counts.commands.get(index).copied().unwrap_or_default();
            let CommandCounts { calls, latency_us, errors } = of(counts).since(of(&self.baseline));
            (calls > 0).then(|| CommandOps {
                opstr: command.name().to_ascii_uppercase(),
                calls,
                usecs: latency_us,
                usecs_percall: latency_us / calls,
                redis_errtype: errors,
                ..CommandOps::default()
            })
        });
        let mut ops: Vec<CommandOps> = named.collect();
        let unnamed = |counts: &Counts| {
            let named: u64 = counts.commands.iter().map(|command| command.calls).sum();
            counts.requests.saturating_sub(named)
        };
        let calls = unnamed(counts).saturating_sub(unnamed(&self.baseline));
        if calls > 0 {
            ops.push(CommandOps { calls, ..CommandOps::default() });
        }
        ops.sort_unstable_by(|a, b| a.opstr.cmp(&b.opstr));
        ops
    }
}

impl Actor for MeterActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(SAMPLE_PERIOD, |meter, _| meter.sample());
    }
}

impl Handler<QueryStats> for MeterActor {
    type Result = MessageResult<QueryStats>;

    fn handle(&mut self, question: QueryStats, _ctx: &mut Self::Context) -> Self::Result {
        MessageResult(self.stats(question.flags))
    }
}

impl Handler<ResetStats> for MeterActor {
    type Result = ();

    fn handle(&mut self, _: ResetStats, _ctx: &mut Self::Context) {
        self.baseline = Counts::read(&self.shared);
        // Those who are connected count as sessions of the new count.
        let alive = self.shared.clients() as u64;
        self.baseline.sessions = self.baseline.sessions.saturating_sub(alive);
    }
}
