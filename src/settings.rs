//! Reads the configuration from where the command line says.

use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use config::{ConfigError, Loaded, Loader, Origin};

use crate::cli::{Cli, ProxyArgs};
use crate::output::{self, Failure};

/// Loads the settings of a proxy: defaults, file, environment, flags.
pub(crate) fn load(args: &ProxyArgs) -> Result<Loaded, Failure> {
    let mut loader = Loader::new();
    if let Some(path) = &args.config {
        loader.file(&path.display().to_string(), &read(path)?);
    }
    loader.environment(environment()?);
    for (flag, key, value) in args.settings.given() {
        loader.flag(flag, key, value);
    }
    for (flag, key, value) in args.earlier.given() {
        loader.earlier_flag(flag, key, value);
    }
    loader.finish().map_err(refused)
}

/// Loads the settings of a text alone; `name` is what messages call it.
pub(crate) fn load_text(name: &str, text: &str) -> Result<Loaded, Failure> {
    let mut loader = Loader::new();
    loader.file(name, text);
    loader.finish().map_err(refused)
}

/// Reads a text file.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read `{}`", path.display()))
}

fn environment() -> anyhow::Result<Vec<(String, String)>> {
    std::env::vars_os()
        .filter(|(name, _)| name.to_string_lossy().starts_with("KEYWAY_"))
        .map(|(name, value)| {
            let name = name.to_string_lossy().into_owned();
            let value = value.into_string().ok();
            let value = value.with_context(|| format!("environment variable {name}: not UTF-8"))?;
            Ok((name, value))
        })
        .collect()
}

/// Warnings are told before the errors, which end the program.
fn refused(error: ConfigError) -> Failure {
    for warning in &error.warnings {
        output::report("warning", &warning.to_string());
    }
    let by_flag =
        error.problems.iter().find(|problem| matches!(problem.origin, Origin::Flag { .. }));
    match by_flag {
        Some(problem) => Failure::Usage(usage_error(&problem.to_string())),
        None => error.into(),
    }
}

/// An error of the command line that the parser itself could not see.
pub(crate) fn usage_error(text: &str) -> clap::Error {
    let mut command = Cli::command();
    command.build();
    match command.find_subcommand_mut("proxy") {
        Some(proxy) => proxy.error(ErrorKind::ValueValidation, text),
        None => command.error(ErrorKind::ValueValidation, text),
    }
}
