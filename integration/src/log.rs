//! What a process wrote to its error output, line by line, as JSON log lines.
//!
//! One thread reads the pipe up to its end, so that the process never waits for it. A line that
//! is no JSON object, such as the text of a panic, counts as an alarm.
//!
//! Bounds: the log of one test, in memory.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::wait::DEADLINE;

/// One line of a log.
#[derive(Clone, Debug)]
pub struct LogLine {
    text: String,
    // `Null` when the line is no JSON.
    fields: Value,
}

impl LogLine {
    fn parse(text: &str) -> Self {
        Self { text: text.to_owned(), fields: serde_json::from_str(text).unwrap_or_default() }
    }

    /// The whole line as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A field of the line that is text, such as `msg`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }

    /// True for a warning, an error, and a line that is no log line at all.
    #[must_use]
    pub fn is_alarm(&self) -> bool {
        self.field("level").is_none_or(|level| {
            ["WARN", "ERR", "CRIT"].iter().any(|alarm| level.starts_with(alarm))
        })
    }
}

/// The log of a running process.
#[derive(Debug)]
pub struct Log {
    lines: Arc<Mutex<Vec<LogLine>>>,
    // Nothing is ever sent: the reader drops its end when the pipe is at its end.
    end: Receiver<()>,
}

impl Log {
    /// Starts to collect the lines.
    #[must_use]
    pub fn collect(source: impl Read + Send + 'static) -> Self {
        let lines = Arc::default();
        let collected = Arc::clone(&lines);
        let (reading, end) = sync_channel(0);
        std::thread::spawn(move || {
            let _reading: SyncSender<()> = reading;
            // The pipe ends with the process: an error says no more than its end does.
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                let text = String::from_utf8_lossy(&line);
                lock(&collected).push(LogLine::parse(&text));
            }
        });
        Self { lines, end }
    }

    /// The lines up to now.
    #[must_use]
    pub fn lines(&self) -> Vec<LogLine> {
        lock(&self.lines).clone()
    }

    /// The lines up to now as one text.
    #[must_use]
    pub fn text(&self) -> String {
        let lines = self.lines();
        let texts: Vec<&str> = lines.iter().map(LogLine::text).collect();
        texts.join("\n")
    }

    /// A field of the first line with this message.
    #[must_use]
    pub fn field_of(&self, message: &str, field: &str) -> Option<String> {
        let lines = self.lines();
        let line = lines.iter().find(|line| line.field("msg") == Some(message))?;
        line.field(field).map(str::to_owned)
    }

    /// Waits until the pipe is at its end. To be called when the process has ended.
    pub fn finish(&self) {
        // A child of the process may hold the pipe open: what is here by then is the log.
        let _ = self.end.recv_timeout(DEADLINE);
    }
}

fn lock(lines: &Mutex<Vec<LogLine>>) -> MutexGuard<'_, Vec<LogLine>> {
    // Each change is one push, so the list is whole whoever panicked.
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
