//! The command line of `keyway admin`.

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, Subcommand};
use mover::{Comparison, MethodChoice, MoveOptions, SlotSet};
use routing::BackendAddr;

const EXAMPLES: &str = "\
Examples:
  keyway admin --proxy 10.0.0.7:11080 slots
  keyway admin --config proxy.toml fill slots.json
  keyway admin --proxy 10.0.0.7:11080 --json stats | jq .ops.qps
  keyway admin --proxy 10.0.0.7:11080 --proxy 10.0.0.8:11080 \\
      slots move --slots 0-99,200 --to 10.0.0.3:6379 --wait";

/// Ask a running proxy, or give it orders
///
/// Speaks to the admin API of one proxy, of Keyway or of Codis 3.2. Exits with 0 when the proxy did
/// what it was asked, with 1 when it refused or could not be reached. `slots move --wait` exits with 3
/// when keys were left on purpose and with 4 when the move was cancelled.
#[derive(Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct AdminArgs {
    /// Address of the proxy's admin API [default: that of the configuration file, or
    /// 127.0.0.1:11080]
    ///
    /// `slots move` takes several: the first one runs the move, the others take part in it.
    #[arg(long, value_name = "ADDR", env = "KEYWAY_ADMIN", value_delimiter = ',', global = true)]
    pub(crate) proxy: Vec<BackendAddr>,
    /// Configuration file of the proxy, for its address, product and password
    #[arg(short, long, value_name = "FILE", env = "KEYWAY_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Name of the cluster [default: that of the configuration file, or the proxy's own]
    #[arg(
        long, alias = "product_name", value_name = "NAME", env = "KEYWAY_PRODUCT_NAME",
        global = true, value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) product_name: Option<String>,
    /// Password of the cluster; safer in the file or the variable, where other users do not see it
    #[arg(
        long,
        alias = "product_auth",
        value_name = "PASSWORD",
        env = "KEYWAY_PRODUCT_AUTH",
        global = true,
        hide_env_values = true
    )]
    pub(crate) product_auth: Option<String>,
    /// Print what the proxy answers, unchanged
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) order: Order,
}

/// What to ask or to order.
#[derive(Subcommand)]
pub(crate) enum Order {
    /// Check that the proxy answers and knows the password
    Ping,
    /// Show who the proxy is; needs no password
    Model,
    /// Show what the proxy does, as a whole and per command
    Stats,
    /// Show which servers have which slots, or move slots to another server
    Slots {
        #[command(subcommand)]
        order: Option<SlotsOrder>,
    },
    /// Assign slots, all of the file or none
    ///
    /// Answered when no request is under way to a server that a slot has left. Slots that the file
    /// does not name stay as they are.
    Fill {
        /// A JSON array in the slot form of Codis; `-` reads standard input
        file: PathBuf,
    },
    /// Let the proxy serve clients
    Start,
    /// Let the proxy finish what is under way, and end
    Shutdown,
    /// Change what the proxy logs
    Loglevel {
        /// The least level that is logged
        #[arg(
            ignore_case = true,
            value_parser = PossibleValuesParser::new(["error", "warn", "info", "debug", "none"])
        )]
        level: String,
    },
    /// Let the stats begin at zero
    Reset,
}

/// What to do with slots.
#[derive(Subcommand)]
pub(crate) enum SlotsOrder {
    Move(Box<MoveArgs>),
    /// Show the moves of the proxy
    Status {
        /// The number of a move; without it, all of them
        id: Option<u64>,
    },
    /// Let a move rest: no more keys are moved; clients are served all the same
    Pause {
        /// Its number; may be left out when there is one
        id: Option<u64>,
    },
    /// Let a move that rests go on
    Resume {
        /// Its number; may be left out when there is one
        id: Option<u64>,
    },
    /// Undo a move: slots that have begun go back, those that have arrived stay
    Cancel {
        /// Its number; may be left out when there is one
        id: Option<u64>,
    },
}

/// Move slots with all their keys to another server, while clients use them
///
/// The first proxy runs the move and keeps it on its disk; it goes on by itself, also after a
/// restart. Every proxy that serves the slots must be named. See docs/moving-slots.md.
#[derive(Args)]
pub(crate) struct MoveArgs {
    /// Slots and ranges of slots, like `0-99,200`
    #[arg(long, value_name = "SLOTS")]
    pub(crate) slots: SlotSet,
    /// The primary that gets them
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) to: BackendAddr,
    /// The id of its group [default: that of other slots there]
    #[arg(long, value_name = "ID")]
    pub(crate) group: Option<u32>,
    /// Wait for the end, and show how far it has come
    #[arg(long)]
    pub(crate) wait: bool,
    /// Slots that migrate at the same time
    #[arg(long, value_name = "N", default_value_t = MoveOptions::default().slots_at_once)]
    pub(crate) slots_at_once: usize,
    /// Sources that are worked on at the same time
    #[arg(long, value_name = "N", default_value_t = MoveOptions::default().concurrency)]
    pub(crate) concurrency: usize,
    /// Limit in keys per second; 0: none
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) keys_per_second: u64,
    /// Limit in bytes per second, like `20mb`; 0: none
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = bytes)]
    pub(crate) bytes_per_second: u64,
    /// Time that one MIGRATE should take at most, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = MoveOptions::default().batch_time_ms)]
    pub(crate) batch_time: u64,
    /// Most keys of one MIGRATE
    #[arg(long, value_name = "N", default_value_t = MoveOptions::default().batch_keys_max)]
    pub(crate) batch_keys: usize,
    /// Most bytes of one MIGRATE
    #[arg(long, value_name = "BYTES", default_value = "1mb", value_parser = bytes)]
    pub(crate) batch_bytes: u64,
    /// Larger keys are reported, and moved last, one at a time
    #[arg(long, value_name = "BYTES", default_value = "1mb", value_parser = bytes)]
    pub(crate) big_key_bytes: u64,
    /// Larger keys are not moved, but listed; their slots stay migrating. 0: no limit
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = bytes)]
    pub(crate) max_key_bytes: u64,
    /// Which keys are compared on both servers: none, sample (one of 64) or all
    #[arg(long, default_value = "sample", value_parser = word::<Comparison>)]
    pub(crate) verify: Comparison,
    /// How keys are moved: auto, migrate, codis-sync or codis-async
    #[arg(long, default_value = "auto", value_parser = word::<MethodChoice>)]
    pub(crate) method: MethodChoice,
}

/// A size such as `20mb`.
fn bytes(text: &str) -> Result<u64, String> {
    let bytes = config::parse_size(text)?;
    u64::try_from(bytes).map_err(|error| error.to_string())
}

/// A word of an order, as its JSON has it.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}
