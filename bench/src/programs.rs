//! The programs that are run: where they are, and which version.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::targets::TargetKind;

/// Debian puts servers here, and ordinary users do not have it in their `PATH`.
const SERVER_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// An installed program.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) version: String,
}

/// All programs that a run needs.
pub(crate) struct Programs {
    pub(crate) redis_server: Program,
    pub(crate) redis_benchmark: Program,
    pub(crate) proxies: BTreeMap<TargetKind, Program>,
}

impl Programs {
    /// Finds the programs for these targets; a missing one is an error that says how to get it.
    pub(crate) fn find(kinds: &[TargetKind], keyway: &Path) -> Result<Self> {
        let mut proxies = BTreeMap::new();
        for kind in kinds {
            let program = match kind {
                TargetKind::Keyway => built(keyway)?,
                TargetKind::Nutcracker => installed("nutcracker", "nutcracker", "-V")?,
                TargetKind::Haproxy => installed("haproxy", "haproxy", "-v")?,
                TargetKind::Direct => continue,
            };
            proxies.insert(*kind, program);
        }
        Ok(Self {
            redis_server: installed("redis-server", "redis-server", "--version")?,
            redis_benchmark: installed("redis-benchmark", "redis-tools", "--version")?,
            proxies,
        })
    }

    /// The version lines of all programs.
    pub(crate) fn versions(&self) -> Vec<&str> {
        [&self.redis_server, &self.redis_benchmark]
            .into_iter()
            .chain(self.proxies.values())
            .map(|program| program.version.as_str())
            .collect()
    }

    /// The program of a proxy.
    pub(crate) fn proxy(&self, kind: TargetKind) -> Result<&Program> {
        self.proxies.get(&kind).with_context(|| format!("no program was found for `{kind}`"))
    }
}

fn installed(name: &str, package: &str, version_flag: &str) -> Result<Program> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(SERVER_FOLDERS.map(PathBuf::from));
    match folders.map(|folder| folder.join(name)).find(|file| file.is_file()) {
        Some(path) => Program::new(path, version_flag),
        None => bail!("`{name}` is not installed: run `apt-get install {package}`"),
    }
}

fn built(path: &Path) -> Result<Program> {
    if !path.is_file() {
        bail!(
            "there is no keyway at `{}`: run `cargo build --release` in the workspace, \
             or name the binary with --keyway",
            path.display()
        );
    }
    // Absolute, so that it is never looked up in `PATH`.
    let path = path.canonicalize().with_context(|| format!("resolve `{}`", path.display()))?;
    Program::new(path, "--version")
}

impl Program {
    fn new(path: PathBuf, version_flag: &str) -> Result<Self> {
        let output = Command::new(&path)
            .arg(version_flag)
            .output()
            .with_context(|| format!("ask `{}` for its version", path.display()))?;
        // nutcracker prints its version on the error output.
        let text = [output.stdout, output.stderr].concat();
        let version = first_line(&String::from_utf8_lossy(&text));
        let version =
            version.with_context(|| format!("`{}` does not tell its version", path.display()))?;
        Ok(Self { path, version })
    }
}

/// The first line that says anything, without the address that haproxy adds.
fn first_line(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let words = line.split_whitespace().filter(|word| !word.starts_with("http"));
    let words: Vec<&str> = words.collect();
    Some(words.join(" ").trim_end_matches([' ', '-']).to_owned())
}
