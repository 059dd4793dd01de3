//! Three ZooKeeper servers that elect a leader; two of them suffice to go on.
//!
//! A member that is killed is started again by [`Ensemble::restart`]; the two others elect a leader
//! without it, which takes a second or so.
//!
//! Bounds: three Java machines; elections are waited for with a deadline.

use super::{
    ATTEMPTS, START_DEADLINE, ZooKeeper, ZooKeeperClient, folder, launch, write, write_config,
};
use crate::ports::free_port;
use crate::wait::wait_until;

/// How many servers there are.
const MEMBERS: usize = 3;

/// See the module.
#[derive(Debug)]
pub struct Ensemble {
    members: Vec<ZooKeeper>,
}

impl Ensemble {
    /// Starts the servers and waits until all of them serve.
    ///
    /// # Panics
    /// When they do not come up.
    #[must_use]
    pub fn start() -> Self {
        for _ in 0..ATTEMPTS {
            let mut ensemble = Self { members: launch_members() };
            // All are asked, so that none is left behind in its start.
            let started: Vec<bool> = ensemble.members.iter_mut().map(ZooKeeper::comes_up).collect();
            if started.iter().all(|is_up| *is_up) {
                return ensemble;
            }
        }
        panic!("{ATTEMPTS} times free ports were taken before ZooKeeper had them");
    }

    /// The addresses of all servers, separated by commas.
    #[must_use]
    pub fn addrs(&self) -> String {
        let addrs: Vec<String> =
            self.members.iter().map(|member| member.addr().to_string()).collect();
        addrs.join(",")
    }

    /// A session that any of the servers may serve.
    ///
    /// # Panics
    /// When none answers.
    #[must_use]
    pub fn client(&self) -> ZooKeeperClient {
        ZooKeeperClient::connect(&self.addrs())
    }

    /// The servers.
    pub fn members(&mut self) -> &mut [ZooKeeper] {
        &mut self.members
    }

    /// Which server leads now.
    ///
    /// # Panics
    /// When none does for a long time.
    #[must_use]
    pub fn leader(&self) -> usize {
        wait_until("the ensemble has a leader", START_DEADLINE, || {
            let modes: Vec<Option<String>> = self.members.iter().map(ZooKeeper::mode).collect();
            let leader = modes.iter().position(|mode| mode.as_deref() == Some("leader"));
            leader.ok_or(modes)
        })
    }

    /// Ends the leader with SIGKILL and returns which server that was. The others elect another.
    ///
    /// # Panics
    /// When there is no leader.
    pub fn kill_leader(&mut self) -> usize {
        let leader = self.leader();
        self.member(leader).kill();
        leader
    }

    /// Starts a killed server again and waits until it serves.
    ///
    /// # Panics
    /// When it does not come up, or there is no such server.
    pub fn restart(&mut self, member: usize) {
        self.member(member).restart();
    }

    fn member(&mut self, number: usize) -> &mut ZooKeeper {
        self.members.get_mut(number).unwrap_or_else(|| panic!("no server {number}"))
    }
}

fn launch_members() -> Vec<ZooKeeper> {
    let ports: [[u16; 3]; MEMBERS] = std::array::from_fn(|_| std::array::from_fn(|_| free_port()));
    // Ticks of 200 ms: 20 s to join, 2 s without a word from the leader before another is elected.
    let mut members = "initLimit=100\nsyncLimit=10\n".to_owned();
    for (id, [_, peer, election]) in (1..).zip(ports) {
        members += &format!("server.{id}=127.0.0.1:{peer}:{election}\n");
    }
    let start = |(id, [port, ..]): (usize, [u16; 3])| {
        let dir = folder();
        write(dir.path(), "myid", &id.to_string());
        write_config(dir.path(), port, &members);
        ZooKeeper { port, process: launch(dir.path()), dir }
    };
    (1..).zip(ports).map(start).collect()
}
