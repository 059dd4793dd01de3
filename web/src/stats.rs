//! The forms in which the admin API tells numbers: stats, and the overview around them.
//!
//! They are those of Codis, whose programs decode them into fixed types: an integer with a fraction
//! or a number where a text belongs makes a dashboard mark the proxy as faulty. Only `cpu` and
//! `cpu_fraction` are fractions. What Keyway has no counterpart of (a garbage collector) is 0.

use std::collections::BTreeMap;

use actors::sentinel::SentinelReport;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::Model;
use crate::slots::SlotReport;
use crate::usage::Usage;

/// Which parts of the stats are wanted, as a caller writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) i64);

impl Flags {
    /// Everything.
    pub(crate) const FULL: Self = Self(0xFFFF_FFFF);

    /// The numbers of memory and threads, beside those that are always there.
    pub(crate) const RUNTIME: Self = Self(4);

    /// Numbers per command.
    pub(crate) fn has_commands(self) -> bool {
        self.0 & 1 != 0
    }

    /// Numbers of the process' memory and threads.
    pub(crate) fn has_runtime(self) -> bool {
        self.0 & 4 != 0
    }
}

/// What a proxy does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Stats {
    pub(crate) online: bool,
    pub(crate) closed: bool,
    pub(crate) sentinels: Sentinels,
    pub(crate) ops: Ops,
    pub(crate) sessions: Sessions,
    pub(crate) rusage: ResourceUsage,
    pub(crate) backend: BackendPolicy,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) runtime: Option<Runtime>,
}

/// The sentinels that are watched: always an object, without content when there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sentinels {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    servers: Vec<String>,
    /// By the id of the group, as a text.
    #[serde(rename = "masters", skip_serializing_if = "BTreeMap::is_empty")]
    primaries: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    switched: bool,
}

impl Sentinels {
    /// A report in this form.
    pub(crate) fn of(report: &SentinelReport) -> Self {
        let primaries = report.primaries.iter();
        Self {
            servers: report.servers.iter().map(ToString::to_string).collect(),
            primaries: primaries
                .map(|(group, addr)| (group.to_string(), addr.to_string()))
                .collect(),
            switched: report.is_switched,
        }
    }
}

/// Requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Ops {
    pub(crate) total: u64,
    pub(crate) fails: u64,
    pub(crate) redis: RedisErrors,
    pub(crate) qps: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) cmd: Vec<CommandOps>,
}

/// Error replies that clients got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct RedisErrors {
    pub(crate) errors: u64,
}

/// Requests of one command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct CommandOps {
    pub(crate) opstr: String,
    pub(crate) calls: u64,
    pub(crate) usecs: u64,
    pub(crate) usecs_percall: u64,
    pub(crate) fails: u64,
    pub(crate) redis_errtype: u64,
}

/// Clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sessions {
    pub(crate) total: u64,
    pub(crate) alive: u64,
}

/// What the process uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct ResourceUsage {
    pub(crate) now: String,
    pub(crate) cpu: f64,
    pub(crate) mem: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) raw: Option<Usage>,
}

/// How backends are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct BackendPolicy {
    pub(crate) primary_only: bool,
}

/// The process' memory and threads, in the terms of a Go runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Runtime {
    general: RuntimeMemory,
    heap: RuntimeHeap,
    pub(crate) gc: RuntimeCollector,
    pub(crate) num_procs: u64,
    pub(crate) num_goroutines: u64,
    pub(crate) num_cgo_call: u64,
    pub(crate) mem_offheap: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct RuntimeMemory {
    alloc: u64,
    sys: u64,
    lookups: u64,
    mallocs: u64,
    frees: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct RuntimeHeap {
    alloc: u64,
    sys: u64,
    idle: u64,
    inuse: u64,
    objects: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct RuntimeCollector {
    pub(crate) num: u64,
    cpu_fraction: f64,
    pub(crate) total_pausems: u64,
}

impl Runtime {
    /// The numbers that a process without a Go runtime has: its memory, its workers in the place of
    /// processors, its threads in the place of goroutines.
    pub(crate) fn of(usage: &Usage, workers: u64, buffered_bytes: u64) -> Self {
        let (alloc, sys) = (usage.vm_rss, usage.vm_size);
        Self {
            general: RuntimeMemory { alloc, sys, ..RuntimeMemory::default() },
            heap: RuntimeHeap { alloc, sys, inuse: alloc, ..RuntimeHeap::default() },
            num_procs: workers,
            num_goroutines: usage.num_threads,
            mem_offheap: buffered_bytes,
            ..Self::default()
        }
    }
}

/// Everything at once.
#[derive(Debug, Serialize)]
pub(crate) struct Overview<'a> {
    pub(crate) version: &'static str,
    pub(crate) compile: &'static str,
    /// Every setting but the secrets.
    pub(crate) config: Map<String, Value>,
    pub(crate) model: &'a Model,
    pub(crate) stats: Stats,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slots: Option<Vec<SlotReport>>,
}

#[cfg(test)]
mod tests;
