//! Who is online; what keeps a proxy whose end nobody saw from being passed by.

use std::time::Duration;

use super::forms::ProxyForm;
use super::{Failure, Flavour, OldDashboard, PRODUCT};
use crate::proxy::{KeywayProxy, ProxyOptions};
use crate::wait::{DEADLINE, wait_until};

/// How long the dashboard waits for a proxy to go, which the originals do for ever. A dead one goes
/// with its session.
pub const GONE_DEADLINE: Duration = Duration::from_secs(30);

impl OldDashboard {
    /// What a proxy of the product is started with. Its session ends after four seconds without
    /// contact.
    #[must_use]
    pub fn proxy_options(&self, id: &str, coordinator_addr: &str) -> ProxyOptions {
        self.options_with_session(id, coordinator_addr, "4s")
    }

    /// The same with another time for its session.
    #[must_use]
    pub fn options_with_session(
        &self,
        id: &str,
        coordinator_addr: &str,
        session: &str,
    ) -> ProxyOptions {
        let topology = self.flavour.topology();
        KeywayProxy::options()
            .config(&format!("topology = \"{topology}\""))
            .config(&format!("product_name = \"{PRODUCT}\""))
            .config(&format!("proxy_id = \"{id}\""))
            .config(&format!("coordinator_addr = \"{coordinator_addr}\""))
            .config(&format!("coordinator_session_timeout = \"{session}\""))
    }

    /// The path of a proxy.
    #[must_use]
    pub fn proxy_path(&self, id: &str) -> String {
        self.path(&format!("proxy/{id}"))
    }

    /// A proxy as it is stored.
    ///
    /// # Panics
    /// When what is stored cannot be understood.
    #[must_use]
    pub fn proxy(&self, id: &str) -> Option<ProxyForm> {
        let node = self.client.get(&self.proxy_path(id))?;
        let form = ProxyForm::parse(&node.data);
        Some(form.unwrap_or_else(|why| panic!("the node of proxy {id}: {why}")))
    }

    /// All proxies.
    ///
    /// # Panics
    /// When what is stored cannot be understood.
    #[must_use]
    pub fn proxies(&self) -> Vec<ProxyForm> {
        // One that goes while they are read is none.
        self.client.children(&self.path("proxy")).iter().filter_map(|id| self.proxy(id)).collect()
    }

    /// The proxies that are online.
    #[must_use]
    pub fn online_proxies(&self) -> Vec<ProxyForm> {
        self.proxies().into_iter().filter(|proxy| proxy.state == "online").collect()
    }

    /// Waits until a proxy is registered, with its fence, and waits to be put online.
    ///
    /// # Panics
    /// When it is not in time.
    pub fn wait_registered(&self, id: &str) -> ProxyForm {
        let what = format!("proxy {id} is registered as offline");
        wait_until(&what, GONE_DEADLINE, || match self.proxy(id) {
            Some(proxy) if proxy.state == "offline" && self.fences().contains(&proxy.addr) => {
                Ok(proxy)
            }
            other => Err(other.map(|proxy| proxy.json())),
        })
    }

    /// Puts a proxy online.
    ///
    /// # Errors
    /// A slot is not online; Codis 2.0 lets it migrate.
    ///
    /// # Panics
    /// When there is no such proxy.
    pub fn put_online(&self, id: &str) -> Result<(), Failure> {
        for slot in self.slots() {
            let migrates = slot.status == "migrate" && self.flavour == Flavour::Codis20;
            if (slot.status != "online" && !migrates) || slot.group_id < 0 {
                return Err(Failure::Refused(format!("slot {} is not online", slot.json())));
            }
        }
        self.write_state(id, "online").map(drop)
    }

    /// Tells a proxy to go, and waits until it is gone.
    ///
    /// # Errors
    /// There is no such proxy. Reborn takes that for done.
    ///
    /// # Panics
    /// When it does not go in time.
    pub fn mark_offline(&self, id: &str) -> Result<(), Failure> {
        let marked = self.write_state(id, "mark_offline");
        if marked.is_err() && self.flavour == Flavour::Reborn {
            return Ok(());
        }
        marked?;
        wait_until(&format!("proxy {id} goes"), GONE_DEADLINE, || match self.proxy(id) {
            None => Ok(()),
            Some(proxy) if proxy.state == "offline" => Ok(()),
            Some(proxy) => Err(proxy.json()),
        });
        Ok(())
    }

    /// Writes a proxy's node anew, with another state.
    fn write_state(&self, id: &str, state: &str) -> Result<(), Failure> {
        let absent = || Failure::Refused(format!("there is no proxy {id}"));
        let proxy = self.proxy(id).ok_or_else(absent)?;
        let form = ProxyForm { state: state.to_owned(), ..proxy };
        self.client.try_set(&self.proxy_path(id), &form.json()).map_err(|_| absent())
    }

    /// The fences, by the addresses of their proxies.
    #[must_use]
    pub fn fences(&self) -> Vec<String> {
        self.client.children(&self.path("fence"))
    }

    /// Fails when there is a fence of a proxy that is not online.
    ///
    /// # Errors
    /// The addresses.
    pub fn check_fences(&self) -> Result<(), Failure> {
        let left = self.stale_fences();
        if left.is_empty() { Ok(()) } else { Err(Failure::Fenced(left)) }
    }

    /// Deletes all fences of proxies that are not online; Codis 1.9 cannot.
    ///
    /// # Panics
    /// When the flavour cannot.
    pub fn remove_fences(&self) {
        assert!(
            matches!(self.flavour, Flavour::Codis20 | Flavour::Reborn),
            "{:?} has no remove_fence",
            self.flavour
        );
        for addr in self.stale_fences() {
            self.client.delete(&self.path(&format!("fence/{addr}")));
        }
    }

    fn stale_fences(&self) -> Vec<String> {
        let online = self.online_proxies();
        let is_stale = |addr: &String| online.iter().all(|proxy| proxy.addr != *addr);
        self.fences().into_iter().filter(is_stale).collect()
    }

    /// Starts a proxy, puts it online, and waits until it serves clients.
    ///
    /// # Panics
    /// When that does not happen in time.
    #[must_use]
    pub fn start_online(&self, id: &str, options: ProxyOptions) -> KeywayProxy {
        let proxy = options.start();
        self.wait_registered(id);
        self.put_online(id).unwrap_or_else(|failure| panic!("put {id} online: {failure}"));
        wait_serves(&proxy, DEADLINE);
        proxy
    }
}

/// Waits until a proxy answers a request for a key without an error.
///
/// # Panics
/// When it does not in time.
pub fn wait_serves(proxy: &KeywayProxy, deadline: Duration) {
    wait_until("the proxy serves", deadline, || {
        let mut client = proxy.client().with_deadline(deadline);
        match client.try_command(&["EXISTS", "absent"]) {
            Ok(reply) if reply == b":0\r\n" => Ok(()),
            Ok(reply) => Err(String::from_utf8_lossy(&reply).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    });
}
