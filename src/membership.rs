//! What the MembershipActor needs of this machine and of the process: addresses, the time, the way
//! to a failure; and the request that Codis 2.0 makes of its dashboard.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actors::coordination::{MembershipState, QueryCoordinator};
use actors::membership::{MembershipActor, Surroundings, advertised, connect_by};
use actors::topology::TopologyActor;
use actors::worker::Shared;
use anyhow::Context as _;
use config::Topology;
use coordinator::codis1::{Proxy, ProxyState, Stored as _};
use slog::{Logger, info, warn};
use tokio::sync::watch;
use tokio::time::sleep;
use web::Identity;

/// How long after its registration a proxy asks its dashboard to put it online.
const ASK_DELAY: Duration = Duration::from_secs(1);

/// Why the proxy cannot be a member of its product; none as long as it can.
pub(crate) type Failure = watch::Sender<Option<String>>;

/// The member of the product, where there is one to be a member of.
pub(crate) fn member(
    shared: &Arc<Shared>,
    topology: &Addr<TopologyActor>,
    admin: SocketAddr,
    identity: &Identity,
    failure: Failure,
    log: &Logger,
) -> anyhow::Result<Option<MembershipActor>> {
    let config = &shared.settings.config;
    if !config.topology.is_in_coordinator() {
        return Ok(None);
    }
    let hostname = &identity.model.hostname;
    let told = |given: &str, configured: &str, port: u16| {
        advertised(config.topology, given, configured, port, hostname)
    };
    let around = Surroundings {
        shared: Arc::clone(shared),
        topology: topology.clone(),
        connect: connect_by(Arc::clone(&shared.settings)),
        addr: told(&config.host_proxy, &config.proxy_addr, shared.listen.port()),
        debug_var_addr: told(&config.host_admin, &config.admin_addr, admin.port()),
        is_own_host: config.host_proxy.is_empty(),
        start_at: Rc::new(web::now_text),
        fail: Rc::new(move |text| {
            failure.send_replace(Some(text));
        }),
        log: log.clone(),
    };
    let member = MembershipActor::new(around);
    member.map(Some).context("cannot be a member of the product, see `proxy_id` and `product_name`")
}

/// Asks the dashboard of Codis 2.0 to put this proxy online, until it is.
pub(crate) async fn ask_for_online(
    member: Addr<MembershipActor>,
    shared: Arc<Shared>,
    log: Logger,
) {
    let config = &shared.settings.config;
    if config.topology != Topology::Codis2 || config.dashboard_addr.is_empty() {
        return;
    }
    let wish = Proxy { id: config.proxy_id.clone(), state: ProxyState::Online, ..Proxy::default() };
    let mut told = String::new();
    sleep(ASK_DELAY).await;
    while !shared.lifecycle.is_online() && !shared.lifecycle.is_closed() {
        let Ok(report) = member.send(QueryCoordinator).await else { return };
        if report.membership == MembershipState::Waiting {
            match web::ask_for_online(&config.dashboard_addr, wish.encode()).await {
                Ok(()) => {
                    info!(log, "the dashboard was asked to put the proxy online";
                        "dashboard" => &config.dashboard_addr);
                }
                Err(error) => {
                    let error = error.to_string();
                    if error != told {
                        warn!(log, "the dashboard does not put the proxy online yet";
                            "error" => &error);
                    }
                    told = error;
                }
            }
        }
        sleep(config.dashboard_retry_delay).await;
    }
}
