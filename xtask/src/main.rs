//! Self-checks and generators of the repository: `cargo run -p xtask -- <task>`.
//!
//! Each task is a module with one entry point; this file only tells them apart.

mod gen_commands;
mod gen_docs;
mod tidy;

use clap::Parser;
use clap::Subcommand;

/// Self-checks and generators of the repository.
#[derive(Parser)]
#[command(name = "xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Asks a redis-server for its commands and writes `command/data/redis-7.0.json`.
    GenCommands(gen_commands::Options),
    /// Writes `docs/commands.md` from the command table.
    GenDocs(gen_docs::Options),
    /// Checks the rules of the repository that no other tool checks.
    Tidy,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::GenCommands(options) => gen_commands::run(&options),
        Task::GenDocs(options) => gen_docs::run(&options),
        Task::Tidy => tidy::run(),
    }
}
