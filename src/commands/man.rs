//! `keyway man`: prints a manual page in roff.

use anyhow::Context as _;
use clap::{CommandFactory as _, ValueEnum as _};
use clap_mangen::Man;

use crate::cli::{Cli, Page};
use crate::output::{self, Failure};

/// Prints the page of a command, or of the program.
pub(crate) fn run(page: Option<Page>) -> Result<(), Failure> {
    let mut command = Cli::command();
    command.build();
    if let Some(page) = page.and_then(|page| page.to_possible_value()) {
        let name = page.get_name();
        let found = command.find_subcommand(name).context("find the command")?;
        // `keyway-proxy` is how a page of `keyway proxy` is called.
        command = found.clone().name(format!("keyway-{name}"));
    }
    let mut text = Vec::new();
    Man::new(command).render(&mut text)?;
    Ok(output::print(&text)?)
}
