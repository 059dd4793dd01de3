//! The log: structured lines, for people or for machines, to standard error or a file.
//!
//! Lines are formatted and written by a thread of their own, so that no worker ever waits for a
//! terminal or a disk. Whoever ends the process drops the [`AsyncGuard`] first, which waits until
//! the last line is written. The least important level that is logged can be changed at any time.
//!
//! Bounds: [`LINES_WAITING_MAX`] lines wait for the thread. Beyond it lines are dropped and
//! counted, and the next line that finds room says how many: a flood of lines must not slow the
//! clients down. A line that cannot be written, to a full disk say, is lost for the same reason.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use config::{Config, LogFormat, LogLevel};
use slog::{Drain, Level, Logger, OwnedKVList, Record, o};
use slog_async::{Async, AsyncGuard, OverflowStrategy};
use slog_json::Json;
use slog_term::{FullFormat, PlainDecorator, TermDecorator};

/// Lines on their way to the thread that writes them; at some 500 bytes each, 2 MB.
const LINES_WAITING_MAX: usize = 4096;

/// A running log.
pub(crate) struct Log {
    /// Where lines go.
    pub(crate) logger: Logger,
    /// What of them is written.
    pub(crate) level: LevelHandle,
    /// Writes the last lines when it is dropped.
    pub(crate) _guard: AsyncGuard,
}

/// Starts the log that the settings ask for.
pub(crate) fn start(config: &Config) -> anyhow::Result<Log> {
    let file = config.log_file.as_deref().map(open).transpose()?;
    let level = LevelHandle::new(config.log_level);
    Ok(match (file, config.log_format) {
        (None, LogFormat::Json) => start_with(json(io::stderr()), level),
        (Some(file), LogFormat::Json) => start_with(json(file), level),
        (None, LogFormat::Term) => start_with(terminal(), level),
        (Some(file), LogFormat::Term) => {
            let drain = FullFormat::new(PlainDecorator::new(file)).build();
            start_with(drain.ignore_res(), level)
        }
    })
}

/// The least important level that is logged. Clones are one and the same.
#[derive(Clone, Debug)]
pub(crate) struct LevelHandle(Arc<AtomicUsize>);

impl LevelHandle {
    fn new(level: LogLevel) -> Self {
        let handle = Self(Arc::default());
        handle.set(level);
        handle
    }

    /// Logs from this level on.
    pub(crate) fn set(&self, level: LogLevel) {
        let number = match level {
            LogLevel::None => 0,
            LogLevel::Error => Level::Error.as_usize(),
            LogLevel::Warn => Level::Warning.as_usize(),
            LogLevel::Info => Level::Info.as_usize(),
            LogLevel::Debug => Level::Debug.as_usize(),
        };
        self.0.store(number, Ordering::Relaxed);
    }

    fn admits(&self, level: Level) -> bool {
        level.as_usize() <= self.0.load(Ordering::Relaxed)
    }
}

/// Lets lines pass that the level admits.
struct LevelGate<D> {
    drain: D,
    level: LevelHandle,
}

impl<D: Drain> Drain for LevelGate<D> {
    type Ok = Option<D::Ok>;
    type Err = D::Err;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<Self::Ok, D::Err> {
        if self.level.admits(record.level()) {
            self.drain.log(record, values).map(Some)
        } else {
            Ok(None)
        }
    }

    fn is_enabled(&self, level: Level) -> bool {
        self.level.admits(level) && self.drain.is_enabled(level)
    }
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
    let decorator = if is_plain { decorator.force_plain() } else { decorator };
    FullFormat::new(decorator.build()).build().ignore_res()
}

/// One object per line: `ts` (RFC 3339, UTC), `level`, `msg` and the fields of the line.
fn json<W: io::Write + Send>(io: W) -> impl Drain<Ok = (), Err = slog::Never> + Send {
    Json::new(io).add_default_keys().build().ignore_res()
}

fn start_with<D>(drain: D, level: LevelHandle) -> Log
where
    D: Drain<Ok = (), Err = slog::Never> + Send + 'static,
{
    let (drain, guard) = Async::new(drain)
        .chan_size(LINES_WAITING_MAX)
        .overflow_strategy(OverflowStrategy::DropAndReport)
        .thread_name("log".to_owned())
        .build_with_guard();
    let gate = LevelGate { drain, level: level.clone() };
    Log { logger: Logger::root(gate.ignore_res(), o!()), level, _guard: guard }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_can_be_changed_at_any_time() {
        let level = LevelHandle::new(LogLevel::None);
        assert!(!level.admits(Level::Critical));
        let other = level.clone();
        other.set(LogLevel::Warn);
        assert!(level.admits(Level::Error) && level.admits(Level::Warning));
        assert!(!level.admits(Level::Info));
        other.set(LogLevel::Debug);
        assert!(level.admits(Level::Debug) && !level.admits(Level::Trace));
    }
}
