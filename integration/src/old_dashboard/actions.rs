//! What proxies are told, and their answers.
//!
//! An action takes two numbers: a node with a number of the server's is created below
//! `ActionResponse`, deleted, and created anew as a directory for the answers; the action has the
//! same name. So the next one has a number that is greater by two.

use std::time::SystemTime;

use super::forms::{ProxyForm, action_json};
use super::{Failure, Flavour, OldDashboard};
use crate::zookeeper::{Access, Lifetime};

/// An action that the proxies were told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The name of its node.
    pub sequence: String,
    /// Who was online.
    pub receivers: Vec<ProxyForm>,
}

impl OldDashboard {
    /// Tells the proxies that are online, and waits until all of them have answered.
    ///
    /// # Errors
    /// There are fences of others, and nobody was told; or somebody does not answer, and was
    /// marked offline.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn confirmed(&self, kind: &str, target: &str) -> Result<Told, Failure> {
        self.check_fences()?;
        let told = self.tell(kind, target);
        self.wait_answers(&told)?;
        Ok(told)
    }

    /// Checks that the dashboard can change something, which it can only when all fences are those
    /// of proxies that are online and answer.
    ///
    /// # Panics
    /// When it cannot.
    pub fn check_confirms(&self) {
        if let Err(failure) = self.confirmed("slot_changed", &self.slot(0).json()) {
            panic!("the dashboard cannot change a slot: {failure}");
        }
    }

    /// Tells the proxies that are online, and does not wait.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn tell(&self, kind: &str, target: &str) -> Told {
        let receivers = self.online_proxies();
        let texts: Vec<String> = receivers.iter().map(ProxyForm::json).collect();
        Told { sequence: self.tell_these(kind, target, &texts), receivers }
    }

    /// Tells these receivers, and returns the name of the action.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn tell_these(&self, kind: &str, target: &str, receivers: &[String]) -> String {
        let action = action_json(kind, target, receivers, now_seconds());
        let responses = self.path("ActionResponse/");
        let numbered = self.client.create(&responses, &action, Lifetime::Sequential, Access::File);
        self.client.delete(&numbered);
        self.client.create(&numbered, &action, Lifetime::Persistent, Access::Directory);
        let sequence = numbered.rsplit('/').next().unwrap_or_default().to_owned();
        let path = self.path(&format!("actions/{sequence}"));
        self.client.create(&path, &action, Lifetime::Persistent, Access::File);
        sequence
    }

    /// Who has answered, in order.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    #[must_use]
    pub fn answers(&self, sequence: &str) -> Vec<String> {
        self.client.children(&self.path(&format!("ActionResponse/{sequence}")))
    }

    /// Waits until all receivers have answered.
    ///
    /// # Errors
    /// Somebody has not in time. The flavour's culprits are marked offline by then.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn wait_answers(&self, told: &Told) -> Result<(), Failure> {
        let mut wanted: Vec<String> = told.receivers.iter().map(|proxy| proxy.id.clone()).collect();
        wanted.sort_unstable();
        let is_enough = |answers: &[String]| {
            if self.flavour.wants_exact_answers() {
                answers == wanted
            } else {
                wanted.iter().all(|id| answers.contains(id))
            }
        };
        let path = self.path(&format!("ActionResponse/{}", told.sequence));
        let waited = self.client.wait_children(&path, self.confirm_limit, is_enough);
        let Err(answers) = waited else {
            return Ok(());
        };
        let culprits = self.culprits(&wanted, &answers);
        for id in &culprits {
            // Gone already, or refused for another reason: the call has failed anyway.
            let _ = self.mark_offline(id);
        }
        Err(Failure::Silent(culprits))
    }

    /// Whom the flavour blames, of those whose answers it wanted.
    fn culprits(&self, wanted: &[String], answers: &[String]) -> Vec<String> {
        match self.flavour {
            // It counts the answers and blames the rest of its list, whoever that is.
            Flavour::Codis192 => wanted.get(answers.len()..).unwrap_or_default().to_vec(),
            // It makes the list when it sees an answer.
            Flavour::Reborn if answers.is_empty() => Vec::new(),
            Flavour::Codis198 | Flavour::Codis20 | Flavour::Reborn => {
                wanted.iter().filter(|id| !answers.contains(id)).cloned().collect()
            }
        }
    }

    /// Deletes all but the newest actions and their answers: five hundred more than asked for are
    /// kept.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn collect_garbage(&self, keep: usize) {
        self.collect_all_but(keep + 500);
    }

    /// The same without the five hundred, as the collection by age may do.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn collect_all_but(&self, keep: usize) {
        let names = self.client.children(&self.path("actions"));
        let old = names.len().saturating_sub(keep);
        for name in names.iter().take(old) {
            self.client.delete(&self.path(&format!("actions/{name}")));
            let response = self.path(&format!("ActionResponse/{name}"));
            if !self.client.children(&response).is_empty() {
                // From here on nobody can answer.
                self.client.close(&response);
            }
            self.client.delete_directory(&response);
        }
    }

    /// Creates so many actions of the past, which nobody has answered, with these receivers.
    ///
    /// # Panics
    /// When ZooKeeper refuses.
    pub fn create_history(&self, count: usize, receivers: &[String]) {
        let action = action_json("slot_changed", "{\"id\":0}", receivers, now_seconds());
        let nodes = |directory: &'static str| {
            let action = action.clone();
            (0..count).map(move |number| (format!("{directory}/{number:010}"), action.clone()))
        };
        let placed = |(name, data): (String, String)| (self.path(&name), data);
        self.client.create_many(nodes("ActionResponse").map(placed));
        self.client.create_many(nodes("actions").map(placed));
    }
}

/// The time as actions have it.
fn now_seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
