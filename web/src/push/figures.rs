//! The figures that an InfluxDB and a StatsD get, with the names that they have in Codis.

use std::fmt;

use crate::stats::Stats;

/// A number, as it is written for a collector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Figure {
    /// A count, a size or a rate.
    Whole(u64),
    /// A part of something.
    Ratio(f64),
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => write!(f, "{number}"),
            // No collector knows a number that is none.
            Self::Ratio(number) if !number.is_finite() => f.write_str("0"),
            Self::Ratio(number) => write!(f, "{number}"),
        }
    }
}

/// All figures by name.
pub(super) fn figures(stats: &Stats) -> [(&'static str, Figure); 14] {
    let runtime = stats.runtime.unwrap_or_default();
    [
        ("ops_total", Figure::Whole(stats.ops.total)),
        ("ops_fails", Figure::Whole(stats.ops.fails)),
        ("ops_redis_errors", Figure::Whole(stats.ops.redis.errors)),
        ("ops_qps", Figure::Whole(stats.ops.qps)),
        ("sessions_total", Figure::Whole(stats.sessions.total)),
        ("sessions_alive", Figure::Whole(stats.sessions.alive)),
        ("rusage_mem", Figure::Whole(stats.rusage.mem)),
        ("rusage_cpu", Figure::Ratio(stats.rusage.cpu)),
        ("runtime_gc_num", Figure::Whole(runtime.gc.num)),
        ("runtime_gc_total_pausems", Figure::Whole(runtime.gc.total_pausems)),
        ("runtime_num_procs", Figure::Whole(runtime.num_procs)),
        ("runtime_num_goroutines", Figure::Whole(runtime.num_goroutines)),
        ("runtime_num_cgo_call", Figure::Whole(runtime.num_cgo_call)),
        ("runtime_num_mem_offheap", Figure::Whole(runtime.mem_offheap)),
    ]
}

/// Stats and a model for the tests of the formats.
#[cfg(test)]
pub(super) mod samples {
    use crate::model::Model;
    use crate::stats::{
        BackendPolicy, Ops, RedisErrors, ResourceUsage, Runtime, Sentinels, Sessions, Stats,
    };
    use crate::usage::Usage;

    pub(in crate::push) fn stats() -> Stats {
        let usage = Usage { num_threads: 9, ..Usage::default() };
        Stats {
            online: true,
            closed: false,
            sentinels: Sentinels::default(),
            ops: Ops {
                total: 197,
                fails: 1,
                redis: RedisErrors { errors: 71 },
                qps: 5,
                cmd: Vec::new(),
            },
            sessions: Sessions { total: 204, alive: 3 },
            rusage: ResourceUsage { cpu: 0.25, mem: 34_127_872, ..ResourceUsage::default() },
            backend: BackendPolicy::default(),
            runtime: Some(Runtime::of(&usage, 2, 77)),
        }
    }

    pub(in crate::push) fn model() -> Model {
        let text = |text: &str| text.to_owned();
        Model {
            token: text("65d26f90a00076a88f002a630a459483"),
            start_time: String::new(),
            admin_addr: text("127.0.0.1:21081"),
            proto_type: text("tcp4"),
            proxy_addr: text("127.0.0.1:29000"),
            jodis_path: String::new(),
            product_name: text("lab"),
            pid: 1,
            pwd: String::new(),
            sys: String::new(),
            hostname: text("vm"),
            datacenter: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_collectors_read_them() {
        for (figure, expected) in [
            (Figure::Whole(u64::MAX), "18446744073709551615"),
            (Figure::Ratio(0.0), "0"),
            (Figure::Ratio(1.5), "1.5"),
            (Figure::Ratio(f64::NAN), "0"),
        ] {
            assert_eq!(figure.to_string(), expected);
        }
    }
}
