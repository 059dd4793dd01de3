//! What the program prints and how it fails.

use std::io::{self, ErrorKind, Write as _};

/// Why a command could not do its work.
pub(crate) enum Failure {
    /// The command line is wrong: exit status 2.
    Usage(clap::Error),
    /// Anything else: exit status 1.
    Other(anyhow::Error),
    /// Everything was said already; this is the exit status.
    Status(u8),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Prints a text to standard output. A reader that has left, such as `head`, is no failure.
pub(crate) fn print(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Prints a text to standard error, each of its lines behind a word such as `warning`.
pub(crate) fn report(word: &str, text: &str) {
    let mut stderr = io::stderr().lock();
    for line in text.lines() {
        // There is nowhere left to tell of a failure to write to standard error.
        let _ = writeln!(stderr, "{word}: {line}");
    }
}
