//! The proxy's dealings with a coordinator: as one that Jodis clients find (Codis 3), or as the member
//! of a product that lives there (Codis 1.9, Codis 2.0, RebornDB).
//!
//! The actors do the work; here is what they need of this machine and of the process, and the request
//! that Codis 2.0 makes of its dashboard.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Recipient};
use actors::coordination::{MembershipState, QueryCoordinator};
use actors::jodis::{JodisActor, LeaveJodis};
use actors::membership::{
    LeaveProduct, MembershipActor, Surroundings, advertised, connect_to_product,
};
use actors::topology::TopologyActor;
use actors::worker::Shared;
use anyhow::Context as _;
use config::Topology;
use coordinator::codis1::{Proxy, ProxyState, Stored as _};
use coordinator::codis3::Jodis;
use slog::{Logger, info, warn};
use tokio::sync::watch;
use tokio::time::sleep;
use web::Identity;

/// How long after its registration a proxy asks its dashboard to put it online.
const ASK_DELAY: Duration = Duration::from_secs(1);

/// The actor that has a session with the coordinator, if the proxy has to do with one.
pub(crate) struct Coordination {
    jodis: Option<Addr<JodisActor>>,
    member: Option<Addr<MembershipActor>>,
    /// Why the proxy cannot go on.
    failure: watch::Receiver<Option<String>>,
}

impl Coordination {
    /// Starts it. `admin` is the admin server's address.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        topology: &Addr<TopologyActor>,
        admin: SocketAddr,
        identity: &Identity,
        log: &Logger,
    ) -> anyhow::Result<Self> {
        let (fail, failure) = watch::channel(None);
        let jodis = jodis(shared, identity, log)?.map(Actor::start);
        let member = member(shared, topology, admin, identity, fail, log)?.map(Actor::start);
        if let Some(member) = member.clone() {
            actix_rt::spawn(ask_for_online(member, Arc::clone(shared), log.clone()));
        }
        Ok(Self { jodis, member, failure })
    }

    /// Who tells how it stands.
    pub(crate) fn reporter(&self) -> Option<Recipient<QueryCoordinator>> {
        let jodis = self.jodis.clone().map(Addr::recipient);
        jodis.or_else(|| self.member.clone().map(Addr::recipient))
    }

    /// Waits for a reason for which the proxy cannot go on; for ever when there is none.
    pub(crate) fn failed(&self) -> impl Future<Output = String> + use<> {
        let mut failure = self.failure.clone();
        async move {
            let failed = failure.wait_for(Option::is_some).await.ok().and_then(|text| text.clone());
            match failed {
                Some(text) => text,
                None => std::future::pending().await,
            }
        }
    }

    /// Lets clients choose other proxies, before this one refuses them.
    pub(crate) async fn withdraw(&self) {
        if let Some(jodis) = &self.jodis {
            let _ = jodis.send(LeaveJodis).await;
        }
    }

    /// Leaves the product, when nobody is served any more: dashboards count on this proxy until
    /// then.
    pub(crate) async fn leave(&self) {
        if let Some(member) = &self.member {
            let _ = member.send(LeaveProduct).await;
        }
    }
}

/// What keeps the proxy known to Jodis clients, if the settings ask for it.
fn jodis(
    shared: &Arc<Shared>,
    identity: &Identity,
    log: &Logger,
) -> anyhow::Result<Option<JodisActor>> {
    let model = &identity.model;
    let told = Jodis {
        addr: model.proxy_addr.clone(),
        admin: model.admin_addr.clone(),
        start: model.start_time.clone(),
        state: "online".to_owned(),
        token: model.token.clone(),
    };
    JodisActor::new(shared, &told, log).context("register with a coordinator")
}

/// The member of the product, where there is one to be a member of.
fn member(
    shared: &Arc<Shared>,
    topology: &Addr<TopologyActor>,
    admin: SocketAddr,
    identity: &Identity,
    failure: watch::Sender<Option<String>>,
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
        connect: connect_to_product(config),
        addr: told(&config.host_proxy, &config.proxy_addr, shared.listen.port()),
        debug_var_addr: told(&config.host_admin, &config.admin_addr, admin.port()),
        // Every machine is called that.
        is_own_host: config.host_proxy.is_empty() && !hostname.starts_with("localhost"),
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
async fn ask_for_online(member: Addr<MembershipActor>, shared: Arc<Shared>, log: Logger) {
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
