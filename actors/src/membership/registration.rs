//! The nodes that tell the product of this proxy: its own, which goes away with the session, and
//! its fence, which stays when the proxy dies without taking leave.
//!
//! While the fence is there, no dashboard changes a route behind the back of this proxy, so it is
//! put up before the proxy serves anybody and taken away when it has stopped. It is named after the
//! proxy's address, the node after its id; neither may belong to another proxy that lives:
//!
//! ```text
//! proxy/<id> exists, or another proxy has the address:
//!     its process ran here and is gone      ─► it was our predecessor: its node is deleted
//!     else it may live                      ─► wait until it is gone, or give up at a deadline
//! ```
//!
//! Invariants: G-1 the node of a proxy that may live is never touched. G-2 whoever finds another
//! proxy at its address goes before it has touched that fence.

use std::path::Path;
use std::time::Duration;

use coordinator::codis1::{Proxy, ProxyState, Stored as _};
use coordinator::{Access, CoordinatorError, Lifetime, Node, NodePath};
use slog::{debug, info, warn};
use tokio::time::{Instant, timeout, timeout_at};

use super::book::Subject;
use super::life::{End, Life};
use super::link::{Link, RETRY_PAUSE};

/// How much longer than a session a node may stay that belongs to nobody any more.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);

/// How long taking leave may take.
pub(super) const SIGN_OFF_TIMEOUT: Duration = Duration::from_secs(6);

/// Somebody else's node in the way.
struct Rival {
    path: NodePath,
    node: Node,
    proxy: Proxy,
}

impl Life {
    /// Registers: the node, then the fence.
    pub(super) async fn register(&mut self, link: &Link, me: &Proxy) -> Result<(), End> {
        let own = self.own.clone();
        link.insist(async |c| c.create_directory(&self.paths.proxies()).await).await;
        let session = link.coordinator.session().timeout();
        let deadline = Instant::now() + session * 2 + EXPIRY_MARGIN;
        loop {
            if let Some(rival) = self.rival(link, me, None).await {
                self.wait_for(link, me, rival, deadline).await?;
                continue;
            }
            let created =
                link.coordinator.create(&own, me.encode(), Lifetime::Session, Access::File);
            match created.await {
                // An earlier try may have succeeded without an answer; `rival` has seen that.
                Ok(()) | Err(CoordinatorError::NodeExists { .. }) => {}
                Err(error) => {
                    link.failed(&error).await;
                    continue;
                }
            }
            let Some(node) = link.insist(async |c| c.read(&own).await).await else { continue };
            if !node.stat.is_ours {
                continue;
            }
            // Two that came at the same time see each other here, and the later one goes (G-2).
            let Some(rival) = self.rival(link, me, Some(node.stat.created)).await else { break };
            let _ = link.coordinator.delete(&own, None).await;
            self.wait_for(link, me, rival, deadline).await?;
        }
        link.book.all_clear(Subject::Registration);
        self.put_up_fence(link, me).await;
        link.book.set_node(Some(own.to_string()));
        info!(self.around.log, "registered with the product"; "node" => %own, "addr" => &me.addr,
            "start_at" => &me.start_at);
        Ok(())
    }

    /// Sees to it that the fence is there.
    pub(super) async fn put_up_fence(&mut self, link: &Link, me: &Proxy) {
        let fence = self.fence.clone();
        link.insist(async |c| c.create_directory(&self.paths.fences()).await).await;
        // From here on it may be there, whatever becomes of the call.
        let was_there = std::mem::replace(&mut self.has_fence, true);
        link.insist(async |c| {
            match c.create(&fence, "", Lifetime::Persistent, Access::File).await {
                Ok(()) => Ok(()),
                Err(CoordinatorError::NodeExists { .. }) => {
                    if !was_there {
                        info!(self.around.log, "a fence of an earlier run is there, it is ours now";
                            "fence" => &me.addr);
                    }
                    Ok(())
                }
                Err(error) => Err(error),
            }
        })
        .await;
    }

    /// Somebody else who has our id or our address; with a time, only who came before it.
    async fn rival(&self, link: &Link, me: &Proxy, before: Option<i64>) -> Option<Rival> {
        let names = link.insist(async |c| c.list(&self.paths.proxies()).await).await;
        for name in names.unwrap_or_default() {
            let Ok(path) = self.paths.proxy(&name) else { continue };
            let node = link.insist(async |c| c.read(&path).await).await;
            let Some(node) = node.filter(|node| !node.stat.is_ours) else { continue };
            let proxy = Proxy::decode(&path, &node.data).unwrap_or_default();
            let is_in_the_way = name == me.id || proxy.addr == me.addr;
            if is_in_the_way && before.is_none_or(|created| node.stat.created < created) {
                return Some(Rival { path, node, proxy });
            }
        }
        None
    }

    /// Waits until a rival is gone, or makes it go if it is dead.
    async fn wait_for(
        &mut self,
        link: &Link,
        me: &Proxy,
        rival: Rival,
        deadline: Instant,
    ) -> Result<(), End> {
        let Rival { path, node, proxy } = rival;
        if self.is_predecessor(me, &proxy) {
            warn!(self.around.log, "the node of an earlier run is deleted"; "node" => %path,
                "pid" => proxy.pid, "start_at" => &proxy.start_at);
            // Changed or gone in between: looked at again.
            let _ = link.coordinator.delete(&path, Some(node.stat.version)).await;
            return Ok(());
        }
        let text = format!(
            "`{path}` is another proxy with the id or the address of this one (address {}, process \
             {}, started {}): if it runs, give this one another `proxy_id` and address",
            proxy.addr, proxy.pid, proxy.start_at
        );
        link.book.alarm(Subject::Registration, format!("{text}; waiting until it is gone"));
        let (now, watch) = link.insist(async |c| c.watch(&path).await).await;
        if now.is_none_or(|now| now.stat.created != node.stat.created) {
            return Ok(());
        }
        match timeout_at(deadline, watch.changed()).await {
            Ok(Ok(())) => Ok(()),
            // The session's end is everybody's end.
            Ok(Err(_)) => std::future::pending().await,
            Err(_) => Err(End::Failed { text, is_fence_theirs: proxy.addr == me.addr }),
        }
    }

    /// Whether a proxy was the one that ran here before (G-1): it had our address, whose port is
    /// ours now, on this machine, where its process is no more. Only the first registration of a
    /// process may conclude that: two machines of one name would chase each other otherwise.
    fn is_predecessor(&self, me: &Proxy, other: &Proxy) -> bool {
        let is_first = self.starts.len() <= 1;
        let has_run_here = self.around.is_own_host && other.addr == me.addr;
        is_first && has_run_here && has_ended(other.pid)
    }

    /// Deletes the node of our last incarnation, whose session the coordinator has not ended yet
    /// (after a restart it gives every session its whole time again). What a dashboard has written
    /// there meanwhile was meant for us.
    pub(super) async fn forget_last_incarnation(&mut self, link: &Link) {
        let node = link.insist(async |c| c.read(&self.own).await).await;
        let Some(node) = node else { return };
        let Ok(proxy) = Proxy::decode(&self.own, &node.data) else { return };
        if !self.is_incarnation(&proxy) {
            return;
        }
        match proxy.state {
            ProxyState::Online => {}
            ProxyState::Offline => self.is_coming_back = false,
            ProxyState::MarkOffline => {
                info!(self.around.log, "marked offline by the dashboard: the proxy ends");
                self.is_coming_back = false;
                self.around.shared.lifecycle.stop();
            }
        }
        // Changed or gone in between: `register` looks at what is there then.
        let _ = link.coordinator.delete(&self.own, Some(node.stat.version)).await;
    }

    /// Whether a proxy is this process: then its node is ours, whichever session it belongs to.
    fn is_incarnation(&self, proxy: &Proxy) -> bool {
        proxy.pid == i64::from(std::process::id()) && self.starts.contains(&proxy.start_at)
    }

    /// Takes leave: first the fence, then the node. `has_fence` tells afterwards whether it has been
    /// possible; what cannot be done in time is told.
    pub(super) async fn sign_off(&mut self, link: &Link) {
        let log = self.around.log.clone();
        let (own, fence) = (self.own.clone(), self.fence.clone());
        let signing_off = async {
            if self.has_fence {
                delete(link, &fence).await?;
                self.has_fence = false;
            }
            if let Some(node) = link.coordinator.read(&own).await? {
                let proxy = Proxy::decode(&own, &node.data).unwrap_or_default();
                if node.stat.is_ours || self.is_incarnation(&proxy) {
                    delete(link, &own).await?;
                }
            }
            link.coordinator.close().await
        };
        match timeout(SIGN_OFF_TIMEOUT, signing_off).await {
            Ok(Ok(())) => info!(log, "signed off from the product"; "node" => %own),
            // The node goes with the session, if it has not gone yet; and the fence is next.
            Ok(Err(error)) => debug!(log, "not signed off in order"; "error" => %error),
            Err(_) => warn_of_fence(&log, &fence),
        }
    }
}

/// Says what to do about a fence that stays behind.
pub(super) fn warn_of_fence(log: &slog::Logger, fence: &NodePath) {
    warn!(log, "the coordinator does not answer, the fence stays: while it is there dashboards \
        refuse changes; it goes with the next run of this proxy, or remove it by hand";
        "fence" => %fence);
}

/// Deletes a node, however often that has to be tried within the session.
async fn delete(link: &Link, path: &NodePath) -> Result<(), CoordinatorError> {
    loop {
        match link.coordinator.delete(path, None).await {
            Ok(()) | Err(CoordinatorError::NoNode { .. }) => return Ok(()),
            Err(CoordinatorError::SessionOver) => return Err(CoordinatorError::SessionOver),
            Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
        }
    }
}

/// Whether a process of this machine is surely no more. One that is dead and whose parent has not
/// noticed yet is no more, either.
fn has_ended(pid: i64) -> bool {
    let processes = Path::new("/proc");
    // Without such a folder nothing is known.
    if !processes.join("self/stat").exists() {
        return false;
    }
    match std::fs::read_to_string(processes.join(pid.to_string()).join("stat")) {
        // `pid (name) state ...`; the name may hold anything.
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}
