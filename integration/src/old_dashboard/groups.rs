//! Groups, their servers, and which slots they have.

use std::net::SocketAddr;

use routing::SLOTS;

use super::actions::Told;
use super::forms::{ServerForm, SlotForm, group_json, range_json};
use super::{Failure, OldDashboard};
use crate::raw_client::RawClient;

impl OldDashboard {
    /// All slots as they are stored; those that are not are left out.
    ///
    /// # Panics
    /// When one cannot be understood.
    #[must_use]
    pub fn slots(&self) -> Vec<SlotForm> {
        let paths = (0..SLOTS).map(|slot| self.slot_path(slot));
        let parsed = |text: String| SlotForm::parse(&text).unwrap_or_else(|why| panic!("{why}"));
        self.client.data_of_many(paths).into_iter().flatten().map(parsed).collect()
    }

    /// Creates all slots, each with an action of its own. Nobody has them.
    ///
    /// # Errors
    /// An action fails.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn init_slots(&self) -> Result<(), Failure> {
        for slot in 0..SLOTS {
            let form = SlotForm::offline(slot);
            self.write_slot(&form);
            self.confirmed("slot_changed", &form.json())?;
        }
        Ok(())
    }

    /// Gives a range of slots, both ends included, to a group.
    ///
    /// # Errors
    /// The action fails; the slots are written.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn set_range(&self, first: usize, last: usize, group: i32) -> Result<Told, Failure> {
        for slot in first..=last {
            self.write_slot(&SlotForm::online(slot, group));
        }
        let number = |slot| i32::try_from(slot).unwrap_or(-1);
        let range = range_json(number(first), number(last), "online", group);
        self.confirmed("multi_slot_changed", &range)
    }

    /// Takes a range of slots, both ends included, offline.
    ///
    /// # Errors
    /// The action fails; the slots are written.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn drop_range(&self, first: usize, last: usize) -> Result<Told, Failure> {
        for slot in first..=last {
            self.write_slot(&SlotForm::offline(slot));
        }
        let number = |slot| i32::try_from(slot).unwrap_or(-1);
        let range = range_json(number(first), number(last), "offline", -1);
        self.confirmed("multi_slot_changed", &range)
    }

    /// Creates an empty group, and tells of it without waiting.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn create_group(&self, group: i32) -> Told {
        self.client.create_directory(&self.group_path(group));
        self.tell("group_changed", &group_json(group, &[]))
    }

    /// Deletes a group, and tells of it without waiting.
    ///
    /// # Errors
    /// A slot uses it.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn remove_group(&self, group: i32) -> Result<Told, Failure> {
        let used = self.slots().into_iter().find(|slot| slot.group_id == group);
        if let Some(slot) = used {
            let text = format!("group {group} is using by slot {} already exists", slot.id);
            return Err(Failure::Refused(text));
        }
        let servers = self.servers(group);
        self.client.delete_directory(&self.group_path(group));
        Ok(self.tell("group_remove", &group_json(group, &servers)))
    }

    /// The servers of a group.
    ///
    /// # Panics
    /// When one cannot be understood.
    #[must_use]
    pub fn servers(&self, group: i32) -> Vec<ServerForm> {
        let addrs = self.client.children(&self.group_path(group));
        let stored =
            addrs.iter().filter_map(|addr| self.client.get(&self.server_path(group, addr)));
        let parsed = |text: &str| ServerForm::parse(text).unwrap_or_else(|why| panic!("{why}"));
        stored.map(|node| parsed(&node.data)).collect()
    }

    /// Tells of a group as it is, and waits.
    ///
    /// # Errors
    /// The action fails.
    pub fn tell_group(&self, group: i32) -> Result<Told, Failure> {
        self.confirmed("group_changed", &group_json(group, &self.servers(group)))
    }

    /// Adds a server to a group, as `master` or as `slave`. A primary is told of, and waited for; a
    /// replica is told whom to follow.
    ///
    /// # Errors
    /// The group has another primary, or the action fails; then the server is written.
    ///
    /// # Panics
    /// When ZooKeeper or the server refuses.
    pub fn add_server(&self, group: i32, addr: SocketAddr, kind: &str) -> Result<(), Failure> {
        let servers = self.servers(group);
        let addr_text = addr.to_string();
        let primary = servers.iter().find(|server| server.kind == "master");
        let kind = if servers.is_empty() { "master" } else { kind };
        if kind == "master" && primary.is_some_and(|primary| primary.addr != addr_text) {
            return Err(Failure::Refused("node already exists".to_owned()));
        }
        self.client.create_directory(&self.group_path(group));
        self.write_server(&ServerForm::new(kind, group, &addr_text));
        match (kind, primary) {
            ("master", _) => self.tell_group(group).map(drop),
            ("slave", Some(primary)) => {
                let followed: SocketAddr = primary.addr.parse().unwrap_or(addr);
                let (host, port) = (followed.ip().to_string(), followed.port().to_string());
                order(addr, &["SLAVEOF", &host, &port]);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Removes a replica from a group, and tells of it without waiting.
    ///
    /// # Errors
    /// It is the primary.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn remove_server(&self, group: i32, addr: SocketAddr) -> Result<Told, Failure> {
        let addr = addr.to_string();
        let servers = self.servers(group);
        if servers.iter().any(|server| server.addr == addr && server.kind == "master") {
            let text = "cannot remove master, use promote first";
            return Err(Failure::Refused(text.to_owned()));
        }
        self.client.delete(&self.server_path(group, &addr));
        Ok(self.tell("group_changed", &group_json(group, &self.servers(group))))
    }

    /// Makes a replica the primary of its group.
    ///
    /// # Errors
    /// As [`Self::promote_with`].
    ///
    /// # Panics
    /// When ZooKeeper or the server refuses.
    pub fn promote(&self, group: i32, addr: SocketAddr) -> Result<(), Failure> {
        self.promote_with(group, addr, || ())
    }

    /// The same; `between` happens at the moment at which the group has no primary.
    ///
    /// # Errors
    /// The server is not in the group; or the action fails, with everything written and nobody
    /// told.
    ///
    /// # Panics
    /// When ZooKeeper or the server refuses.
    pub fn promote_with(
        &self,
        group: i32,
        addr: SocketAddr,
        between: impl FnOnce(),
    ) -> Result<(), Failure> {
        let servers = self.servers(group);
        if servers.iter().all(|server| server.addr != addr.to_string()) {
            return Err(Failure::Refused(format!("no server {addr} in group {group}")));
        }
        order(addr, &["SLAVEOF", "NO", "ONE"]);
        for server in servers.iter().filter(|server| server.kind == "master") {
            self.write_server(&ServerForm { kind: "offline".to_owned(), ..server.clone() });
        }
        between();
        self.add_server(group, addr, "master")
    }
}

/// Gives a server an order.
fn order(addr: SocketAddr, arguments: &[&str]) {
    let reply = RawClient::connect(addr).text(arguments);
    assert!(reply.starts_with("+OK"), "{arguments:?} to {addr}: {reply}");
}
