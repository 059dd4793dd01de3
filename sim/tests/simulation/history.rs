//! What clients did and heard, key by key: what the checker judges.

use std::cell::RefCell;

/// A key, by its place among those of the run.
pub(crate) type KeyIndex = usize;

/// What a client wanted of one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Read,
    Exists,
    Write(String),
    Delete,
    Push(String),
    List,
}

/// What it heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing, or an error that leaves open what happened: executed now, later or never.
    Unknown,
    /// An error that says that nothing happened, now or later.
    NotExecuted,
    /// Done.
    Done,
    /// The text that a read found.
    Text(Option<String>),
    /// Whether there was a key.
    Found(bool),
    /// The length of the list after a push.
    Len(usize),
    /// The list that a read found.
    Items(Vec<String>),
}

impl Outcome {
    /// Whether the operation is known to be over.
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown | Self::NotExecuted)
    }
}

/// One operation on one key. Moments are places in the order of all events.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) client: u64,
    pub(crate) action: Action,
    pub(crate) invoked: u64,
    pub(crate) ended: u64,
    pub(crate) outcome: Outcome,
}

impl Operation {
    /// Whether this one happened before the other, as its client could tell: it was over before the
    /// other began, or the same client sent it first and it was done.
    pub(crate) fn precedes(&self, other: &Self) -> bool {
        let is_sent_first = self.client == other.client && self.invoked < other.invoked;
        self.outcome.is_known() && (self.ended < other.invoked || is_sent_first)
    }
}

/// All operations of a run, by key.
#[derive(Debug)]
pub(crate) struct History {
    by_key: RefCell<Vec<Vec<Operation>>>,
}

/// Where an operation stands.
pub(crate) type OperationId = (KeyIndex, usize);

impl History {
    pub(crate) fn new(keys: usize) -> Self {
        Self { by_key: RefCell::new(vec![Vec::new(); keys]) }
    }

    /// An operation begins; until it ends its outcome is unknown.
    pub(crate) fn begin(
        &self,
        client: u64,
        key: KeyIndex,
        action: Action,
        moment: u64,
    ) -> OperationId {
        let mut by_key = self.by_key.borrow_mut();
        let operations = &mut by_key[key];
        operations.push(Operation {
            client,
            action,
            invoked: moment,
            ended: u64::MAX,
            outcome: Outcome::Unknown,
        });
        (key, operations.len() - 1)
    }

    pub(crate) fn end(&self, (key, place): OperationId, outcome: Outcome, moment: u64) {
        let operation = &mut self.by_key.borrow_mut()[key][place];
        operation.ended = moment;
        operation.outcome = outcome;
    }

    /// Everything so far.
    pub(crate) fn operations(&self) -> Vec<Vec<Operation>> {
        self.by_key.borrow().clone()
    }
}
