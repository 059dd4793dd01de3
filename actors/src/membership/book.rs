//! What the membership tells of itself: written by its life, read by whoever asks.
//!
//! Everything lives on one thread, so that a question never waits for the coordinator.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use config::Config;
use routing::SlotId;
use slog::{Logger, info, warn};

use super::routes::Fault;
use crate::coordination::{
    ALARMS_TOLD_MAX, ActionReport, Alarm, Contact, CoordinatorReport, MembershipState, kind_of,
};

/// What an alarm is about that is not about slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// There is no session.
    Session,
    /// A call fails again and again.
    Call,
    /// The node of this proxy, or its address, belongs to somebody else.
    Registration,
    /// The node of this proxy does not hold a proxy.
    OwnNode,
    /// An action is none that a proxy knows.
    Action,
    /// Slots could not be filled.
    Fill,
}

/// See the module.
pub(super) struct Book {
    report: RefCell<CoordinatorReport>,
    faults: RefCell<BTreeMap<SlotId, (Fault, SystemTime)>>,
    alarms: RefCell<BTreeMap<Subject, Alarm>>,
    log: Logger,
}

impl Book {
    pub(super) fn new(config: &Config, log: Logger) -> Self {
        let report = CoordinatorReport {
            topology: config.topology,
            kind: kind_of(config),
            addrs: config.coordinator_addr.clone(),
            contact: Contact::Connecting,
            session_since: None,
            sessions: 0,
            membership: MembershipState::Unregistered,
            node: None,
            last_action: None,
            actions_answered: 0,
            actions_waiting: 0,
            alarms: Vec::new(),
            alarm_count: 0,
        };
        let (faults, alarms) = (RefCell::default(), RefCell::default());
        Self { report: RefCell::new(report), faults, alarms, log }
    }

    /// Everything, with the alarms of now.
    pub(super) fn report(&self) -> CoordinatorReport {
        let mut report = self.report.borrow().clone();
        let mut alarms: Vec<Alarm> = self.alarms.borrow().values().cloned().collect();
        alarms.extend(slot_alarms(&self.faults.borrow()));
        report.alarm_count = alarms.len();
        alarms.truncate(ALARMS_TOLD_MAX);
        report.alarms = alarms;
        report
    }

    pub(super) fn begin_session(&self, timeout: Duration) {
        info!(self.log, "session with the coordinator"; "timeout" => config::duration_text(timeout));
        let mut report = self.report.borrow_mut();
        report.contact = Contact::Connected;
        report.session_since = Some(SystemTime::now());
        report.sessions += 1;
    }

    pub(super) fn end_session(&self) {
        let mut report = self.report.borrow_mut();
        report.contact = Contact::Connecting;
        report.session_since = None;
        report.node = None;
        report.actions_waiting = 0;
        if report.membership != MembershipState::Leaving {
            report.membership = MembershipState::Unregistered;
        }
    }

    pub(super) fn set_contact(&self, contact: Contact) {
        self.report.borrow_mut().contact = contact;
    }

    pub(super) fn set_node(&self, node: Option<String>) {
        self.report.borrow_mut().node = node;
    }

    pub(super) fn set_membership(&self, membership: MembershipState) {
        let before = std::mem::replace(&mut self.report.borrow_mut().membership, membership);
        if before != membership {
            info!(self.log, "membership of the product"; "is" => membership.word(),
                "was" => before.word());
        }
    }

    pub(super) fn set_action(&self, action: ActionReport, waiting: usize) {
        let mut report = self.report.borrow_mut();
        report.actions_answered += u64::from(action.answered_after.is_some());
        report.actions_waiting = waiting;
        report.last_action = Some(action);
    }

    pub(super) fn set_actions_waiting(&self, waiting: usize) {
        self.report.borrow_mut().actions_waiting = waiting;
    }

    /// Raises an alarm; one that is there already keeps its time.
    pub(super) fn alarm(&self, subject: Subject, text: String) {
        let mut alarms = self.alarms.borrow_mut();
        let before = alarms.get(&subject);
        if before.is_some_and(|alarm| alarm.text == text) {
            return;
        }
        warn!(self.log, "alarm"; "alarm" => &text);
        let since = before.map_or_else(SystemTime::now, |alarm| alarm.since);
        alarms.insert(subject, Alarm { text, since });
    }

    pub(super) fn all_clear(&self, subject: Subject) {
        if let Some(alarm) = self.alarms.borrow_mut().remove(&subject) {
            info!(self.log, "alarm is over"; "alarm" => alarm.text);
        }
    }

    /// Notes what is wrong with slots, or that nothing is any more.
    pub(super) fn set_faults(&self, found: impl IntoIterator<Item = (SlotId, Option<Fault>)>) {
        let mut faults = self.faults.borrow_mut();
        let (mut new, mut repaired) = (BTreeMap::new(), Vec::new());
        for (slot, fault) in found {
            let Some(fault) = fault else {
                if faults.remove(&slot).is_some() {
                    repaired.push(slot);
                }
                continue;
            };
            let before = faults.get(&slot);
            if before.is_none_or(|(known, _)| *known != fault) {
                let now = SystemTime::now();
                let since = before.map_or(now, |(_, since)| *since);
                new.insert(slot, (fault.clone(), now));
                faults.insert(slot, (fault, since));
            }
        }
        for alarm in slot_alarms(&new) {
            warn!(self.log, "alarm"; "alarm" => alarm.text);
        }
        if !repaired.is_empty() {
            info!(self.log, "alarm is over, nodes are in order again"; "slots" => ranges(&repaired));
        }
    }

    /// The slots of which something is wrong.
    pub(super) fn faulty(&self) -> Vec<SlotId> {
        self.faults.borrow().keys().copied().collect()
    }

    pub(super) fn is_faulty(&self, slot: SlotId) -> bool {
        self.faults.borrow().contains_key(&slot)
    }
}

/// One alarm for all slots of which the same is wrong.
fn slot_alarms(faults: &BTreeMap<SlotId, (Fault, SystemTime)>) -> Vec<Alarm> {
    let mut by_fault: BTreeMap<&Fault, (Vec<SlotId>, SystemTime)> = BTreeMap::new();
    for (slot, (fault, since)) in faults {
        let entry = by_fault.entry(fault).or_insert((Vec::new(), *since));
        entry.0.push(*slot);
        entry.1 = entry.1.min(*since);
    }
    let alarms = by_fault.into_iter().map(|(fault, (slots, since))| {
        let text = format!(
            "slots {}: {fault}; no route is changed, and actions about these slots get no answer",
            ranges(&slots)
        );
        Alarm { text, since }
    });
    alarms.collect()
}

/// Sorted slots as a person writes them: `0-511 600`.
fn ranges(slots: &[SlotId]) -> String {
    let neighbours = |a: &SlotId, b: &SlotId| a.number() + 1 == b.number();
    let ranges = slots.chunk_by(neighbours).map(|range| match range {
        [first, .., last] => format!("{first}-{last}"),
        [one] => one.to_string(),
        [] => String::new(),
    });
    ranges.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
