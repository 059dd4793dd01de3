//! Settings that take one word out of a few.
//!
//! Words are read in either case, since Codis spells log levels in capitals.

use std::fmt;

/// A setting with a fixed set of words.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// Every word, with what it stands for.
    const WORDS: &'static [(&'static str, Self)];

    /// The value a word stands for.
    fn of_word(word: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(word))
            .map(|(_, value)| *value)
    }

    /// The word for a value.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }

    /// The words, as an error names them.
    fn words() -> String {
        let words: Vec<String> = Self::WORDS.iter().map(|(w, _)| format!("`{w}`")).collect();
        words.join(", ")
    }
}

/// The address family of the clients' listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtoType {
    /// IPv4 or IPv6, as the address says.
    Tcp,
    /// IPv4 only.
    Tcp4,
    /// IPv6 only.
    Tcp6,
}

impl Choice for ProtoType {
    const WORDS: &'static [(&'static str, Self)] =
        &[("tcp", Self::Tcp), ("tcp4", Self::Tcp4), ("tcp6", Self::Tcp6)];
}

/// The least important line to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Nothing.
    None,
    /// What a human must look at.
    Error,
    /// What went wrong without stopping the work.
    Warn,
    /// What happens.
    Info,
    /// What helps to find a defect.
    Debug,
}

impl Choice for LogLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
    ];
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Term,
    /// One JSON object per line.
    Json,
}

impl Choice for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("term", Self::Term), ("json", Self::Json)];
}

macro_rules! display_as_word {
    ($($choice:ty),+) => {
        $(impl fmt::Display for $choice {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        })+
    };
}

/// Which proxy clients are made to believe they speak to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compat {
    /// The one whose topology this is. Never the setting of a loaded configuration: validation puts
    /// the proxy in its place.
    #[default]
    Auto,
    /// None: a Redis.
    Redis,
    /// Codis 3.2.
    Codis,
    /// Codis 1.9.
    Codis1,
    /// Codis 2.0.
    Codis2,
    /// RebornDB.
    Reborn,
}

impl Compat {
    /// What `auto` stands for with a topology.
    pub(crate) fn resolved(self, topology: Topology) -> Self {
        match (self, topology) {
            (Self::Auto, Topology::Codis3) => Self::Redis,
            (Self::Auto, Topology::Codis1) => Self::Codis1,
            (Self::Auto, Topology::Codis2) => Self::Codis2,
            (Self::Auto, Topology::Reborn) => Self::Reborn,
            (chosen, _) => chosen,
        }
    }
}

impl Choice for Compat {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("redis", Self::Redis),
        ("codis", Self::Codis),
        ("codis1", Self::Codis1),
        ("codis2", Self::Codis2),
        ("reborn", Self::Reborn),
    ];
}

/// Who says which server has which slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Topology {
    /// A dashboard that calls the admin API, a file, or the command line.
    #[default]
    Codis3,
    /// Nodes in a coordinator, as Codis 1.9 has them.
    Codis1,
    /// Nodes in a coordinator, as Codis 2.0 has them.
    Codis2,
    /// Nodes in a coordinator, as RebornDB has them.
    Reborn,
}

impl Topology {
    /// Whether slots come from nodes in a coordinator.
    #[must_use]
    pub fn is_in_coordinator(self) -> bool {
        match self {
            Self::Codis3 => false,
            Self::Codis1 | Self::Codis2 | Self::Reborn => true,
        }
    }
}

impl Choice for Topology {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("codis3", Self::Codis3),
        ("codis1", Self::Codis1),
        ("codis2", Self::Codis2),
        ("reborn", Self::Reborn),
    ];
}

/// The kind of a coordinator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CoordinatorName {
    /// ZooKeeper.
    #[default]
    ZooKeeper,
    /// etcd, version 3 of its API.
    Etcd,
}

impl Choice for CoordinatorName {
    const WORDS: &'static [(&'static str, Self)] =
        &[("zookeeper", Self::ZooKeeper), ("zk", Self::ZooKeeper), ("etcd", Self::Etcd)];
}

/// How keys of migrating slots are moved on demand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MigrationMethod {
    /// As their source can: it is asked.
    #[default]
    Auto,
    /// `MIGRATE`.
    Migrate,
    /// `SLOTSMGRTTAGONE`.
    Sync,
    /// `SLOTSMGRT-EXEC-WRAPPER`.
    SemiAsync,
}

impl Choice for MigrationMethod {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("migrate", Self::Migrate),
        ("sync", Self::Sync),
        ("semi-async", Self::SemiAsync),
    ];
}

display_as_word!(
    ProtoType,
    LogLevel,
    LogFormat,
    Compat,
    Topology,
    CoordinatorName,
    MigrationMethod
);
