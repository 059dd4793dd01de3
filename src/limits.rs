//! How many files the process may have open: each client and each backend connection is one.
//!
//! A soft limit of 1024 is a default for shells, not a wish of the operator: the process raises
//! it to the hard limit, which only an administrator can raise.

use anyhow::{Context as _, bail};
use config::Config;
use slog::{Logger, info, warn};

/// Open files beside the clients: backend connections, listeners, log, the runtime's own.
const FILES_BESIDE_CLIENTS: u64 = 256;

/// Raises the limit of open files as far as it goes and says what came of it.
///
/// Fails when that is less than `open_files_min`.
pub(crate) fn raise_open_files(config: &Config, log: &Logger) -> anyhow::Result<()> {
    let open_files =
        rlimit::increase_nofile_limit(u64::MAX).context("raise the open files limit")?;
    if open_files < config.open_files_min as u64 {
        bail!(
            "the system allows {open_files} open files, `open_files_min` (--ulimit) demands {}: \
             raise the hard limit (`ulimit -Hn`, `LimitNOFILE=` of systemd) or lower the demand",
            config.open_files_min
        );
    }
    info!(log, "open files"; "limit" => open_files);
    let wanted = (config.proxy_max_clients as u64).saturating_add(FILES_BESIDE_CLIENTS);
    if open_files < wanted {
        warn!(log, "too few open files for `proxy_max_clients`, raise the hard limit";
            "limit" => open_files, "wanted" => wanted);
    }
    Ok(())
}
