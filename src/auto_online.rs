//! Has a dashboard bring this proxy online, as the command line asks: `--dashboard` names it,
//! `--filesystem`, `--zookeeper` and `--etcd` name the coordinator that knows it.
//!
//! Runs beside the proxy, whose admin server the dashboard calls while it answers. A try that fails
//! is logged and made again after `dashboard_retry_delay`; when all of them are used up, and at once
//! when the dashboard is that of another product, the proxy ends with status 1: whatever supervises
//! it then knows. A proxy that has come online by other means needs no further try.
//!
//! A coordinator is asked anew in every try, in a session of its own that ends with it: a dashboard
//! may have moved in between.
//!
//! Bounds: the tries below; each takes at most the time limits of `web`, and [`READ_TIMEOUT`] for a
//! file or [`STORE_TIMEOUTS`] for a coordinator.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actors::worker::Shared;
use anyhow::{Context as _, bail};
use config::Secret;
use coordinator::codis3::{Dashboard, Paths, Stored as _, filesystem_file};
use coordinator::{Kind, NodePath, Timeouts};
use slog::{Logger, info, warn};
use tokio::time::{sleep, timeout};
use web::{DashboardError, bring_online};

use crate::cli::ProxyArgs;
use crate::output::Failure;
use crate::settings::usage_error;

/// How often a dashboard is tried whose address is given.
const DASHBOARD_TRIES: u32 = 10;

/// How often a dashboard is tried that a coordinator knows: it may have to take over first.
const COORDINATOR_TRIES: u32 = 30;

/// How long reading a file may take; the folder may be on another machine.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a coordinator may take in one try.
const STORE_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    call: Duration::from_secs(5),
    session: Duration::from_secs(10),
};

/// More than any model of a dashboard has.
const MODEL_BYTES_MAX: u64 = 1 << 20;

/// Where the dashboard is found that brings this proxy online.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// At this address.
    Dashboard(String),
    /// Where the store of a filesystem coordinator in this folder says.
    Filesystem(PathBuf),
    /// Where a coordinator says.
    Coordinator {
        /// Its kind.
        kind: Kind,
        /// Its addresses.
        addrs: String,
        /// `user:password`, if it wants one.
        credentials: Option<Secret>,
    },
}

impl Source {
    /// What the command line names, if anything.
    pub(crate) fn of(args: &ProxyArgs) -> Result<Option<Self>, Failure> {
        if let Some(addr) = &args.dashboard {
            if let Err(error) = config::check_connectable(addr) {
                return Err(Failure::Usage(usage_error(&format!("--dashboard: {error}"))));
            }
            return Ok(Some(Self::Dashboard(addr.clone())));
        }
        let stored = &args.stored_dashboard;
        let coordinator = |kind, addrs: &Option<String>, auth: &Option<String>| {
            let credentials = auth.clone().map(Secret::new);
            addrs.clone().map(|addrs| Self::Coordinator { kind, addrs, credentials })
        };
        let filesystem = args.filesystem.clone().map(Self::Filesystem);
        let zookeeper = coordinator(Kind::ZooKeeper, &stored.zookeeper, &stored.zookeeper_auth);
        let etcd = coordinator(Kind::Etcd, &stored.etcd, &stored.etcd_auth);
        Ok(filesystem.or(zookeeper).or(etcd))
    }

    fn tries(&self) -> u32 {
        match self {
            Self::Dashboard(_) => DASHBOARD_TRIES,
            Self::Filesystem(_) | Self::Coordinator { .. } => COORDINATOR_TRIES,
        }
    }

    async fn addr(&self, product_name: &str) -> anyhow::Result<String> {
        let path = Paths::new(product_name)?.dashboard();
        match self {
            Self::Dashboard(addr) => Ok(addr.clone()),
            Self::Filesystem(folder) => {
                let file = filesystem_file(folder, &path);
                let text = read(&file).await;
                let text = text.with_context(|| {
                    format!("read `{}`: is the dashboard running?", file.display())
                })?;
                addr_in(&path, &text)
            }
            Self::Coordinator { kind, addrs, credentials } => {
                let credentials = credentials.as_ref().map(Secret::expose);
                let session = coordinator::connect(*kind, addrs, credentials, STORE_TIMEOUTS);
                let session = session.await?;
                let node = session.read(&path).await?.with_context(|| {
                    format!("{kind} at `{addrs}` has no `{path}`: is the dashboard running?")
                })?;
                addr_in(&path, &node.data)
            }
        }
    }
}

/// The address of the dashboard whose model is stored at a path.
fn addr_in(path: &NodePath, stored: &[u8]) -> anyhow::Result<String> {
    let Dashboard { admin_addr, .. } = Dashboard::decode(path, stored)?;
    let checked = config::check_connectable(&admin_addr);
    checked.with_context(|| format!("the dashboard's address in `{path}`"))?;
    Ok(admin_addr)
}

/// Tries until the proxy is online.
///
/// # Errors
/// When the dashboard is that of another product, and when no try is left.
pub(crate) async fn run(
    source: &Source,
    admin_addr: &str,
    shared: &Shared,
    log: &Logger,
) -> anyhow::Result<()> {
    let config = &shared.settings.config;
    let tries = source.tries();
    for number in 1..=tries {
        if shared.lifecycle.is_online() {
            return Ok(());
        }
        match one_try(source, admin_addr, shared).await {
            Ok(dashboard) => {
                info!(log, "a dashboard has brought the proxy online"; "dashboard" => dashboard);
                return Ok(());
            }
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => {
                let error = format!("{error:#}");
                warn!(log, "no dashboard has brought the proxy online yet"; "error" => error,
                    "try" => number, "tries" => tries);
            }
        }
        if number < tries {
            sleep(config.dashboard_retry_delay).await;
        }
    }
    bail!("no dashboard has brought the proxy online in {tries} tries, see the log")
}

/// Returns the address of the dashboard.
async fn one_try(source: &Source, admin_addr: &str, shared: &Shared) -> anyhow::Result<String> {
    let product_name = &shared.settings.config.product_name;
    let dashboard = source.addr(product_name).await?;
    bring_online(&dashboard, product_name, admin_addr).await?;
    // The dashboard has started whatever proxy it found at the address that it was told.
    anyhow::ensure!(
        shared.lifecycle.is_online(),
        "the dashboard at `{dashboard}` has started another proxy: `{admin_addr}` does not lead \
         to this one, see `host_admin`"
    );
    Ok(dashboard)
}

fn is_final(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(DashboardError::OtherProduct { .. }))
}

/// Reads a file without the store's lock: its writers replace files whole, and to hold the lock
/// would make them fail.
async fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let file = file.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = Vec::new();
        std::fs::File::open(file)?.take(MODEL_BYTES_MAX).read_to_end(&mut text)?;
        Ok(text)
    });
    let read: std::io::Result<Vec<u8>> = timeout(READ_TIMEOUT, reading)
        .await
        .with_context(|| format!("not done within {}", config::duration_text(READ_TIMEOUT)))??;
    Ok(read?)
}

#[cfg(test)]
mod tests;
