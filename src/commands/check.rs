//! `keyway check`: says what is wrong with a configuration file.

use std::io::{self, Read as _};
use std::path::Path;

use anyhow::Context as _;

use crate::output::{self, Failure};
use crate::settings;

/// Prints warnings and errors to standard error, and one line to standard output when the file
/// can be used.
pub(crate) fn run(file: &Path) -> Result<(), Failure> {
    let (name, text) = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("read standard input")?;
        ("<stdin>".to_owned(), text)
    } else {
        (file.display().to_string(), settings::read(file)?)
    };
    let loaded = settings::load_text(&name, &text)?;
    for warning in &loaded.warnings {
        output::report("warning", &warning.to_string());
    }
    let verdict = match loaded.warnings.len() {
        0 => "ok".to_owned(),
        1 => "ok, with 1 warning".to_owned(),
        count => format!("ok, with {count} warnings"),
    };
    let line = format!("{name}: {verdict}\n");
    Ok(output::print(line.as_bytes())?)
}
