//! The commands of the program, one file each.

mod admin;
mod check;
mod completions;
mod default_config;
mod man;
mod metrics;
mod proxy;
mod slots;

use crate::cli::{Cli, Command};
use crate::output::Failure;

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        None => default_config::run(),
        Some(Command::Proxy(args)) if args.default_config => default_config::run(),
        Some(Command::Proxy(args)) => proxy::run(&args),
        Some(Command::Admin(args)) => admin::run(&args),
        Some(Command::Check { file }) => check::run(&file),
        Some(Command::Completions { shell }) => completions::run(shell),
        Some(Command::Metrics { .. }) => metrics::run(),
        Some(Command::Man { command }) => man::run(command),
    }
}
