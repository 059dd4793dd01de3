//! The command line of `keyway admin`.

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, Subcommand};
use routing::BackendAddr;

const EXAMPLES: &str = "\
Examples:
  keyway admin --proxy 10.0.0.7:11080 slots
  keyway admin --config proxy.toml fill slots.json
  keyway admin --proxy 10.0.0.7:11080 --json stats | jq .ops.qps";

/// Ask a running proxy, or give it orders
///
/// Speaks to the admin API of one proxy, of Keyway or of Codis 3.2. Exits with 0 when the proxy did
/// what it was asked, with 1 when it refused or could not be reached.
#[derive(Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct AdminArgs {
    /// Address of the proxy's admin API [default: that of the configuration file, or
    /// 127.0.0.1:11080]
    #[arg(long, value_name = "ADDR", env = "KEYWAY_ADMIN", global = true)]
    pub(crate) proxy: Option<BackendAddr>,
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
    /// Show which servers have which slots
    Slots,
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
