//! A file that holds the process id while the proxy runs.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The file; it is removed when this value is dropped.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    pid: String,
}

impl PidFile {
    /// Writes the process id, without a newline, over what is there: a file left behind by a
    /// killed proxy must not keep the next one from starting.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let pid = std::process::id().to_string();
        std::fs::write(path, &pid)
            .with_context(|| format!("write pidfile `{}`", path.display()))?;
        // The proxy may be somewhere else when the file is to be removed.
        let path = std::path::absolute(path)
            .with_context(|| format!("resolve pidfile `{}`", path.display()))?;
        Ok(Self { path, pid })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // A proxy that was started after this one may have put its own id there.
        if std::fs::read_to_string(&self.path).is_ok_and(|pid| pid == self.pid) {
            // Gone already is as good as removed, and there is nobody left to tell otherwise.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests;
