//! What is measured: the table of workloads, their keys, and the floors they have to reach.
//!
//! The ratios are against nutcracker in the same round, so that they mean the same on any
//! machine. Adding a workload is adding a row here; options, report and checks follow.

#[cfg(test)]
mod tests;

/// The name of the idle connections in the options; they are measured without load.
pub(crate) const IDLE: &str = "idle";

/// What the values are filled with.
const FILLER: &str = "x";

/// The placeholder that redis-benchmark replaces by a random number of twelve digits.
const RANDOM: &str = "__rand_int__";

/// A set of keys whose values have one size. All targets share the names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySet {
    prefix: &'static str,
    pub(crate) keys: u32,
    value_bytes: usize,
}

/// Small values: some megabytes in all, filled within a second.
pub(crate) const SMALL: KeySet = KeySet { prefix: "small", keys: 50_000, value_bytes: 64 };

/// Large values: 13 MB in all.
pub(crate) const LARGE: KeySet = KeySet { prefix: "large", keys: 200, value_bytes: 64 * 1024 };

/// The command of a workload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verb {
    Get,
    Set,
    /// With this many keys.
    Mget(u32),
}

/// One kind of load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) verb: Verb,
    pub(crate) key_set: KeySet,
    pub(crate) connections: u32,
    pub(crate) pipeline: u32,
    /// Enough requests to warm up and to estimate the rate.
    pub(crate) warmup_requests: u64,
    /// The floor: the proxy's CPU per request, divided by nutcracker's, is at most this.
    pub(crate) cpu_ratio_max: f64,
}

/// The floor for memory per idle connection.
pub(crate) const IDLE_BYTES_MAX: f64 = 3.0 * 1024.0;

const fn small(
    name: &'static str,
    title: &'static str,
    verb: Verb,
    pipeline: u32,
    warmup_requests: u64,
    cpu_ratio_max: f64,
) -> Workload {
    let (key_set, connections) = (SMALL, 50);
    Workload { name, title, verb, key_set, connections, pipeline, warmup_requests, cpu_ratio_max }
}

const fn large(name: &'static str, title: &'static str, verb: Verb) -> Workload {
    let base = small(name, title, verb, 1, 4_000, 0.9);
    Workload { key_set: LARGE, ..base }
}

/// All kinds of load, in the order in which they are run and reported.
pub(crate) const WORKLOADS: [Workload; 11] = [
    small("get64-p1", "GET 64 B, pipeline 1", Verb::Get, 1, 20_000, 0.95),
    small("get64-p16", "GET 64 B, pipeline 16", Verb::Get, 16, 160_000, 0.45),
    small("get64-p128", "GET 64 B, pipeline 128", Verb::Get, 128, 320_000, 0.12),
    small("set64-p1", "SET 64 B, pipeline 1", Verb::Set, 1, 20_000, 0.95),
    small("set64-p16", "SET 64 B, pipeline 16", Verb::Set, 16, 160_000, 0.45),
    small("set64-p128", "SET 64 B, pipeline 128", Verb::Set, 128, 320_000, 0.12),
    Workload {
        connections: 1000,
        ..small("get64-c1000", "GET 64 B, pipeline 1, 1000 connections", Verb::Get, 1, 20_000, 0.95)
    },
    large("get64k", "GET 64 KB, pipeline 1", Verb::Get),
    large("set64k", "SET 64 KB, pipeline 1", Verb::Set),
    small("mget10-p1", "MGET of 10 keys, pipeline 1", Verb::Mget(10), 1, 10_000, 0.95),
    small("mget10-p16", "MGET of 10 keys, pipeline 16", Verb::Mget(10), 16, 40_000, 0.6),
];

/// All names that the option `--only` knows.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    WORKLOADS.iter().map(|workload| workload.name).chain([IDLE])
}

impl KeySet {
    /// The names of all keys, as redis-benchmark makes them from its random numbers.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        let prefix = self.prefix;
        (0..self.keys).map(move |number| format!("{prefix}:{number:012}"))
    }

    /// The value that every key has.
    pub(crate) fn value(&self) -> String {
        FILLER.repeat(self.value_bytes)
    }
}

impl Workload {
    /// The command in the form that redis-benchmark takes as its last arguments.
    pub(crate) fn command(&self) -> Vec<String> {
        let key = format!("{}:{RANDOM}", self.key_set.prefix);
        match self.verb {
            Verb::Get => vec!["GET".to_owned(), key],
            Verb::Set => vec!["SET".to_owned(), key, self.key_set.value()],
            Verb::Mget(keys) => {
                let mut command = vec!["MGET".to_owned()];
                command.extend((0..keys).map(|_| key.clone()));
                command
            }
        }
    }

    /// How many keys one request reads; none for a write.
    pub(crate) fn keys_read_per_request(&self) -> u64 {
        match self.verb {
            Verb::Get => 1,
            Verb::Set => 0,
            Verb::Mget(keys) => u64::from(keys),
        }
    }

    /// The least number of requests, not below `wanted`, that fills every connection's pipeline
    /// the same number of times: only then does redis-benchmark send exactly what it is told.
    pub(crate) fn whole_requests(&self, wanted: u64) -> u64 {
        let turn = u64::from(self.connections) * u64::from(self.pipeline);
        wanted.div_ceil(turn).max(1) * turn
    }
}
