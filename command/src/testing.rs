//! Requests for the unit tests.

use std::sync::LazyLock;

use resp::encode;
use resp::request::Span;

use crate::Args;
use crate::CommandTable;
use crate::Plan;

/// A request as a client would send it, with the places of its arguments.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) frame: Vec<u8>,
    spans: Vec<Span>,
}

impl Request {
    pub(crate) fn new<A: AsRef<[u8]>>(args: &[A]) -> Self {
        let mut frame = Vec::new();
        let mut spans = Vec::new();
        encode::array_header(&mut frame, args.len());
        for arg in args {
            encode::bulk(&mut frame, arg.as_ref());
            let end = frame.len() - 2;
            let place = |position: usize| u32::try_from(position).expect("a small request");
            spans.push(Span { start: place(end - arg.as_ref().len()), end: place(end) });
        }
        Self { frame, spans }
    }

    /// The request that a line of words makes.
    pub(crate) fn words(line: &str) -> Self {
        Self::new(&line.split(' ').collect::<Vec<_>>())
    }

    pub(crate) fn args(&self) -> Args<'_> {
        Args::new(&self.frame, &self.spans)
    }
}

/// The table, built once for all tests.
pub(crate) fn table() -> &'static CommandTable {
    static TABLE: LazyLock<CommandTable> =
        LazyLock::new(|| CommandTable::load().expect("the embedded data makes a table"));
    &TABLE
}

/// The plan of a line of words.
pub(crate) fn plan(line: &str) -> Plan {
    table().plan(&Request::words(line).args()).plan
}

/// The error that a line of words gets.
pub(crate) fn rejection(line: &str) -> String {
    match plan(line) {
        Plan::Reject(rejection) => String::from_utf8_lossy(&rejection.to_client()).into_owned(),
        other => panic!("`{line}` is not rejected but {other:?}"),
    }
}
