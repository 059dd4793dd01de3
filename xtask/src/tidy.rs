//! `xtask tidy`: the rules of the repository that no other tool checks.
//!
//! | module      | rules about                                                             |
//! |-------------|-------------------------------------------------------------------------|
//! | `files`     | head comments, sizes, white space, unfinished work                      |
//! | `code`      | what may be used where: io, HTTP, `start`, `unwrap`, sleeps              |
//! | `messages`  | the grammar of log lines and error texts                                |
//! | `words`     | names: the glossary's forbidden words                                   |
//! | `manifests` | who may import whom, lints, licences                                    |
//! | `documents` | settings, routes, figures and commands that their document must name    |
//!
//! A rule is one function over one file (or over the tree), with a test that shows it a bad
//! example. What breaks a rule for a good reason stands in `tidy-allow.txt` (`allow`), which may
//! only shrink.

mod allow;
mod code;
mod documents;
mod files;
mod manifests;
mod messages;
mod source;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;

use source::Tree;

/// A place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    what: String,
    /// How much of the allowance in `tidy-allow.txt` it takes: 1, or a size in lines.
    weight: usize,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, what, .. } = self;
        write!(f, "{path}:{line}: {rule}: {what}")
    }
}

/// Prints every finding; fails when there is one.
#[expect(clippy::print_stdout, reason = "the findings are its output")]
pub(crate) fn run() -> Result<()> {
    let findings = check(&root())?;
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => bail!("{count} findings"),
    }
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn check(root: &Path) -> Result<Vec<Finding>> {
    let tree = Tree::read(root)?;
    let glossary = tree.text("docs/glossary.md").context("read the glossary")?;
    let forbidden = words::forbidden(glossary);
    let mut findings = Vec::new();
    for source in tree.sources() {
        findings.extend(files::check(source));
        findings.extend(code::check(source));
        findings.extend(messages::check(source));
        findings.extend(words::check(source, &forbidden));
    }
    for (path, text) in tree.texts() {
        findings.extend(files::check_text(path, text));
    }
    findings.extend(manifests::check(&tree)?);
    findings.extend(documents::check(&tree)?);
    let allowed = tree.text(allow::PATH).context("read the allow list")?;
    Ok(allow::apply(allowed, findings))
}

#[cfg(test)]
mod tests;
