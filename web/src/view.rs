//! The proxy at one moment, as the live page and the metrics read it.

use std::collections::HashSet;

use actors::coordination::CoordinatorReport;
use actors::latency::{RequestClass, Snapshot};
use actors::slow_log::Event;
use actors::stats::{Overview, QueryOverview};
use actors::topology::{QueryFills, QuerySlots};
use mover::{MoverReport, QueryMoves};
use routing::{SlotAssignment, SlotId, SlotTable};

use crate::backends::{self, Backend};
use crate::meter::CommandCounts;
use crate::pages::no_answer;
use crate::reply::Refusal;
use crate::usage::Usage;
use crate::{ACTOR_TIMEOUT, Admin, coordinator, slots};

/// Everything that can be told. Totals count from the start of the process.
pub(crate) struct View {
    pub(crate) overview: Overview,
    pub(crate) is_online: bool,
    pub(crate) uptime_ms: u64,
    pub(crate) buffered_bytes_max: usize,
    pub(crate) processor_ns: u64,
    /// Commands that were called.
    pub(crate) commands: Vec<Command>,
    pub(crate) backends: Vec<Backend>,
    /// From the read that brought a request to the write of its reply.
    pub(crate) latency: Vec<(RequestClass, Snapshot)>,
    /// Slow requests by the part of their time that was longest.
    pub(crate) slow: Vec<(&'static str, u64)>,
    pub(crate) table: SlotTable,
    /// Changes of slots that are under way or wait.
    pub(crate) fills: usize,
    /// The slots that the change under way holds.
    pub(crate) held: HashSet<SlotId>,
    /// Moves of slots.
    pub(crate) mover: MoverReport,
    /// How the proxy stands with its coordinator, if it has one.
    pub(crate) coordinator: Option<CoordinatorReport>,
}

/// One command, summed over all workers.
pub(crate) struct Command {
    /// Its full name in lower case.
    pub(crate) name: String,
    pub(crate) counts: CommandCounts,
}

impl View {
    /// Asks for it. A worker that is too busy to answer within a second is left out of `backends`.
    pub(crate) async fn now(admin: &Admin) -> Result<Self, Refusal> {
        let asked = admin.stats.send(QueryOverview).timeout(ACTOR_TIMEOUT * 3);
        let overview = asked.await.map_err(no_answer)?;
        let table = admin.topology.send(QuerySlots).timeout(ACTOR_TIMEOUT);
        let table = table.await.map_err(no_answer)?;
        let fills = admin.topology.send(QueryFills).timeout(ACTOR_TIMEOUT);
        let fills = fills.await.map_err(no_answer)?;
        let mover = moves(admin).await?;
        let coordinator = coordinator::report(admin).await?;
        let shared = &admin.shared;
        let uptime_ms = shared.started.elapsed().as_millis();
        Ok(Self {
            is_online: shared.lifecycle.is_online(),
            uptime_ms: u64::try_from(uptime_ms).unwrap_or(u64::MAX),
            buffered_bytes_max: shared.settings.config.proxy_max_offheap_size,
            processor_ns: Usage::now().unwrap_or_default().processor_ns(),
            commands: commands(admin),
            backends: backends::by_addr(&overview.backends, &table),
            latency: RequestClass::ALL.map(|class| (class, latency(admin, class))).into(),
            slow: Event::PARTS.map(|part| (part.name(), slow(admin, part))).into(),
            overview,
            table,
            fills: fills.count,
            mover,
            coordinator,
            held: fills.held.iter().copied().collect(),
        })
    }

    /// Every slot, its assignment and its state in one word.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (SlotId, &SlotAssignment, &'static str)> {
        self.table.assignments().map(|(slot, assignment)| {
            (slot, assignment, slots::state(assignment, self.held.contains(&slot)))
        })
    }

    /// The latency of requests that went to a backend, whole: what the proxy answers itself would
    /// only hide it.
    pub(crate) fn forwarded_latency(&self) -> Snapshot {
        let classes = self.latency.iter().filter(|(class, _)| *class != RequestClass::Local);
        sum(classes.map(|(_, snapshot)| snapshot))
    }

    /// What backends took of it, all of them together.
    pub(crate) fn backend_latency(&self) -> Snapshot {
        sum(self.backends.iter().map(|backend| &backend.latency))
    }
}

/// The moves of this proxy.
pub(crate) async fn moves(admin: &Admin) -> Result<MoverReport, Refusal> {
    match &admin.mover {
        Some(mover) => mover.send(QueryMoves).timeout(ACTOR_TIMEOUT).await.map_err(no_answer),
        None => Ok(MoverReport::nothing()),
    }
}

pub(crate) fn sum<'a>(snapshots: impl Iterator<Item = &'a Snapshot>) -> Snapshot {
    snapshots.fold(Snapshot::default(), |mut sum, snapshot| {
        sum.add(snapshot);
        sum
    })
}

pub(crate) fn latency(admin: &Admin, class: RequestClass) -> Snapshot {
    let workers = admin.shared.counters.iter();
    let of_class = |counters: &actors::worker::WorkerCounters| {
        counters.latency.get(class as usize).map(actors::latency::Histogram::snapshot)
    };
    let snapshots: Vec<_> = workers.filter_map(|counters| of_class(counters)).collect();
    sum(snapshots.iter())
}

fn slow(admin: &Admin, part: Event) -> u64 {
    admin.shared.sum(|counters| counters.slow.longest_in(part))
}

pub(crate) fn commands(admin: &Admin) -> Vec<Command> {
    let known = admin.shared.commands.commands().map(|command| Command {
        name: command.name().to_ascii_lowercase(),
        counts: CommandCounts::sum(&admin.shared, command.id().index()),
    });
    known.filter(|command| command.counts.calls > 0).collect()
}
