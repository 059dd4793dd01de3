//! The log: structured lines, for people or for machines, to standard error or a file.
//!
//! Lines are formatted and written by a thread of their own, so that no worker ever waits for a
//! terminal or a disk. Whoever ends the process drops the [`AsyncGuard`] first, which waits until
//! the last line is written.
//!
//! Bounds: [`LINES_WAITING_MAX`] lines wait for the thread. Beyond it lines are dropped and
//! counted, and the next line that finds room says how many: a flood of lines must not slow the
//! clients down. A line that cannot be written, to a full disk say, is lost for the same reason.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use anyhow::Context as _;
use config::{Config, LogFormat, LogLevel};
use slog::{Discard, Drain, Level, LevelFilter, Logger, o};
use slog_async::{Async, AsyncGuard, OverflowStrategy};
use slog_json::Json;
use slog_term::{FullFormat, PlainDecorator, TermDecorator};

/// Lines on their way to the thread that writes them; at some 500 bytes each, 2 MB.
const LINES_WAITING_MAX: usize = 4096;

/// Starts the log that the settings ask for.
pub(crate) fn start(config: &Config) -> anyhow::Result<(Logger, AsyncGuard)> {
    let file = config.log_file.as_deref().map(open).transpose()?;
    Ok(match (file, config.log_format) {
        (None, LogFormat::Json) => start_with(json(io::stderr()), config.log_level),
        (Some(file), LogFormat::Json) => start_with(json(file), config.log_level),
        (None, LogFormat::Term) => start_with(terminal(), config.log_level),
        (Some(file), LogFormat::Term) => {
            let drain = FullFormat::new(PlainDecorator::new(file)).build();
            start_with(drain.ignore_res(), config.log_level)
        }
    })
}

fn open(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("open log file `{}`", path.display()))
}

/// Lines for people: coloured on a terminal, unless `NO_COLOR` is set.
fn terminal() -> impl Drain<Ok = (), Err = slog::Never> + Send {
    let decorator = TermDecorator::new().stderr();
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let decorator = if is_plain {
        decorator.force_plain()
    } else {
        decorator
    };
    FullFormat::new(decorator.build()).build().ignore_res()
}

/// One object per line: `ts` (RFC 3339, UTC), `level`, `msg` and the fields of the line.
fn json<W: io::Write + Send>(io: W) -> impl Drain<Ok = (), Err = slog::Never> + Send {
    Json::new(io).add_default_keys().build().ignore_res()
}

fn start_with<D>(drain: D, level: LogLevel) -> (Logger, AsyncGuard)
where
    D: Drain<Ok = (), Err = slog::Never> + Send + 'static,
{
    let (drain, guard) = Async::new(drain)
        .chan_size(LINES_WAITING_MAX)
        .overflow_strategy(OverflowStrategy::DropAndReport)
        .thread_name("log".to_owned())
        .build_with_guard();
    let level = match level {
        LogLevel::None => return (Logger::root(Discard, o!()), guard),
        LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warning,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
    };
    let drain = LevelFilter::new(drain, level).ignore_res();
    (Logger::root(drain, o!()), guard)
}
