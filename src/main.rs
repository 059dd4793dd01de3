//! The `keyway` program: reads the command line and hands over to the command it names.
//!
//! Exit status: 0 when the command did its work, 1 when it could not, 2 when the command line
//! itself is wrong. Commands may have further ones, which their help tells.

mod admin;
mod auto_online;
mod banner;
mod cli;
mod commands;
mod coordination;
mod limits;
mod logging;
mod output;
mod pidfile;
mod proxy;
mod settings;
mod slots;
mod state;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;
use crate::output::Failure;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match commands::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // The same form as every other error of the command line, with usage and colours.
        Err(Failure::Usage(error)) => error.exit(),
        Err(Failure::Status(status)) => ExitCode::from(status),
        Err(Failure::Other(error)) => {
            output::report("error", &format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
