//! What is known of the registration, and what an operator has to look at.

use std::sync::Arc;
use std::time::SystemTime;

use config::Topology;
use coordinator::{Coordinator, CoordinatorError, Kind, NodePath, SessionState};

use crate::coordination::{Alarm, Contact, CoordinatorReport, MembershipState};

/// What keeps the proxy from being registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There is no coordinator at the addresses.
    Unreachable,
    /// It refuses the user or the password.
    Refused,
    /// The nodes belong to another user.
    Denied,
    /// It is there, and does not do what it is asked.
    Failing,
    /// Another proxy has the same token and is registered.
    TokenTaken,
}

impl Trouble {
    pub(super) fn of(error: &CoordinatorError) -> Self {
        match error {
            CoordinatorError::Unreachable { .. } => Self::Unreachable,
            CoordinatorError::Refused { .. } => Self::Refused,
            CoordinatorError::Denied { .. } => Self::Denied,
            _ => Self::Failing,
        }
    }

    /// What to do about it.
    fn hint(self) -> &'static str {
        match self {
            Self::Unreachable => "check `jodis_addr` and the coordinator",
            Self::Refused => "check `jodis_auth`",
            Self::Denied => "check `jodis_auth`, and whose the nodes are",
            Self::Failing => "check the coordinator",
            Self::TokenTaken => {
                "only one of them is told to clients; the token comes from the product, the \
                 listeners' addresses and the machine's network interfaces: one of these must \
                 differ"
            }
        }
    }
}

/// See the module.
pub(super) struct Standing {
    kind: Kind,
    addrs: String,
    path: NodePath,
    session: Option<Arc<dyn Coordinator>>,
    session_since: Option<SystemTime>,
    sessions: u64,
    membership: MembershipState,
    trouble: Option<(Trouble, Alarm)>,
    /// What is wrong with the address that clients are told, if anything.
    addr_alarm: Option<Alarm>,
}

impl Standing {
    pub(super) fn new(kind: Kind, addrs: String, path: NodePath, addr: &str) -> Self {
        let text = || {
            format!(
                "Jodis clients cannot use the address `{addr}`: they split it at its first colon; \
                 set `host_proxy` to a name or an IPv4 address"
            )
        };
        let is_ipv6 = addr.matches(':').count() > 1;
        Self {
            kind,
            addrs,
            path,
            session: None,
            session_since: None,
            sessions: 0,
            membership: MembershipState::Unregistered,
            trouble: None,
            addr_alarm: is_ipv6.then(|| Alarm { text: text(), since: SystemTime::now() }),
        }
    }

    pub(super) fn session_began(&mut self, session: Arc<dyn Coordinator>) {
        self.session = Some(session);
        self.session_since = Some(SystemTime::now());
        self.sessions += 1;
        if self.trouble.as_ref().is_some_and(|(trouble, _)| *trouble == Trouble::Unreachable) {
            self.trouble = None;
        }
    }

    /// The session is over, and with it what belonged to it. Returns it, unless there was none.
    pub(super) fn session_ended(&mut self) -> Option<Arc<dyn Coordinator>> {
        self.lost();
        self.session_since = None;
        self.session.take()
    }

    /// The node is not as it should be any more.
    pub(super) fn lost(&mut self) {
        if self.membership == MembershipState::Online {
            self.membership = MembershipState::Unregistered;
        }
    }

    /// The node is there and ours. Returns whether it was not before.
    pub(super) fn registered(&mut self) -> bool {
        let is_new = self.membership != MembershipState::Online;
        self.membership = MembershipState::Online;
        self.trouble = None;
        is_new
    }

    pub(super) fn leave(&mut self) -> Option<Arc<dyn Coordinator>> {
        let session = self.session_ended();
        self.membership = MembershipState::Leaving;
        self.trouble = None;
        session
    }

    pub(super) fn has_left(&self) -> bool {
        self.membership == MembershipState::Leaving
    }

    /// Notes what is wrong. Returns the whole text when it was something else before.
    pub(super) fn trouble(&mut self, trouble: Trouble, what: &str) -> Option<String> {
        let text = format!("{what}: {}", trouble.hint());
        match &mut self.trouble {
            Some((known, alarm)) if *known == trouble => {
                alarm.text = text;
                None
            }
            other => {
                *other = Some((trouble, Alarm { text: text.clone(), since: SystemTime::now() }));
                Some(text)
            }
        }
    }

    /// What is wrong with the address that clients are told.
    pub(super) fn addr_alarm(&self) -> Option<&str> {
        self.addr_alarm.as_ref().map(|alarm| alarm.text.as_str())
    }

    pub(super) fn report(&self, has_started: bool) -> CoordinatorReport {
        let contact = match self.session.as_ref().map(|session| session.session().state()) {
            Some(SessionState::Connected) => Contact::Connected,
            Some(SessionState::Disconnected) => Contact::Disconnected,
            Some(SessionState::Expired | SessionState::Refused | SessionState::Closed) | None => {
                Contact::Connecting
            }
        };
        let membership = match self.membership {
            MembershipState::Unregistered if !has_started => MembershipState::Waiting,
            membership => membership,
        };
        let is_online = self.membership == MembershipState::Online;
        let trouble = self.trouble.as_ref().map(|(_, alarm)| alarm);
        let alarms: Vec<Alarm> = trouble.into_iter().chain(&self.addr_alarm).cloned().collect();
        CoordinatorReport {
            topology: Topology::Codis3,
            kind: self.kind,
            addrs: self.addrs.clone(),
            contact,
            session_since: self.session_since,
            sessions: self.sessions,
            membership,
            node: is_online.then(|| self.path.to_string()),
            last_action: None,
            actions_answered: 0,
            actions_waiting: 0,
            alarm_count: alarms.len(),
            alarms,
        }
    }
}
