//! Carries out what a majority of the sentinels says.

use std::sync::Arc;

use routing::BackendAddr;
use slog::{info, warn};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::core::Primaries;
use super::watch::WatchContext;
use super::{asking, core};
use crate::topology::{PrimarySwitch, QuerySlots, SwitchPrimaries};
use crate::worker::Settings;

/// How long a server may take to tell its run id. A dead one takes no time, a hung one this.
const RUN_ID_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(100);

/// Gives the slots of every group the primary of the sentinels. False when that failed and should
/// be tried again.
pub(super) async fn apply(context: &WatchContext, primaries: &Primaries) -> bool {
    let Ok(table) = context.topology.send(QuerySlots).await else {
        return false;
    };
    let switches = without_aliases(context, core::switches(&table, primaries)).await;
    if switches.is_empty() {
        return true;
    }
    for PrimarySwitch { group, old, new } in &switches {
        info!(context.log, "sentinels replaced a primary"; "group" => group, "old" => %old,
            "new" => %new);
    }
    match context.topology.send(SwitchPrimaries(switches)).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            warn!(context.log, "primary not replaced yet"; "error" => %error);
            false
        }
        Err(_) => false,
    }
}

/// Those whose two addresses are not known to be of one server.
async fn without_aliases(
    context: &WatchContext,
    switches: Vec<PrimarySwitch>,
) -> Vec<PrimarySwitch> {
    let mut checks = JoinSet::new();
    for switch in switches {
        let settings = Arc::clone(&context.settings);
        checks.spawn(async move {
            let (old, new) =
                tokio::join!(run_id(&settings, &switch.old), run_id(&settings, &switch.new));
            let is_alias = old.is_some() && old == new;
            (!is_alias).then_some(switch)
        });
    }
    checks.join_all().await.into_iter().flatten().collect()
}

async fn run_id(settings: &Settings, server: &BackendAddr) -> Option<String> {
    let asked = asking::run_id(server, settings.credentials_of(server));
    timeout(RUN_ID_TIMEOUT, asked).await.ok()?.ok().filter(|id| !id.is_empty())
}
