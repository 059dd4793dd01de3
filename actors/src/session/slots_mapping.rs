//! SLOTSMAPPING: which servers serve the slots, in the form of a Codis 3.2 proxy.
//!
//! ```text
//! SLOTSMAPPING 579   ->  *4  +579  +10.0.0.1:6379  +  *-1
//!                            slot  primary     migrating from  replica groups
//! SLOTSMAPPING       ->  *1024 of these
//! ```

use command::{Args, named_slot};
use resp::encode;
use routing::{SLOTS, SlotAssignment, SlotId, SlotTable};

use super::SessionActor;
use crate::router::QueryTable;
use crate::session::window::Ticket;

const WRONG_ARITY: &str = "ERR wrong number of arguments for 'SLOTSMAPPING' command";

impl SessionActor {
    pub(super) fn slots_mapping(&mut self, ticket: Ticket, args: &Args<'_>) {
        let slot = match (args.get(1), args.len()) {
            (None, _) => None,
            (Some(text), 2) => match named_slot(text) {
                Ok(slot) => Some(slot),
                Err(error) => return self.settle_with(ticket, |out| error.encode(out)),
            },
            (Some(_), _) => return self.settle_error(ticket, WRONG_ARITY),
        };
        let router = self.links.router.clone();
        self.ask(ticket, async move {
            let table = router.send(QueryTable).await.ok()?;
            Some(encode_table(&table, slot))
        });
    }
}

fn encode_table(table: &SlotTable, slot: Option<SlotId>) -> Vec<u8> {
    let mut reply = Vec::new();
    match slot {
        Some(slot) => encode_slot(&mut reply, slot, table.assignment(slot)),
        None => {
            encode::array_header(&mut reply, SLOTS);
            for (slot, assignment) in table.assignments() {
                encode_slot(&mut reply, slot, assignment);
            }
        }
    }
    reply
}

fn encode_slot(out: &mut Vec<u8>, slot: SlotId, assignment: &SlotAssignment) {
    encode::array_header(out, 4);
    encode::simple_string(out, &slot.to_string());
    encode::simple_string(out, assignment.primary.as_ref().map_or("", |addr| addr.as_str()));
    encode::simple_string(
        out,
        assignment.source.as_ref().map_or("", |source| source.addr.as_str()),
    );
    if assignment.replica_groups.is_empty() {
        encode::null_array(out);
        return;
    }
    encode::array_header(out, assignment.replica_groups.len());
    for group in &assignment.replica_groups {
        encode::array_header(out, group.len());
        for addr in group {
            encode::simple_string(out, addr.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_told_in_the_form_of_codis() {
        let mut table = SlotTable::offline();
        let slot = SlotId::new(5).unwrap();
        let assignment = SlotAssignment {
            replica_groups: vec![vec!["h:2".parse().unwrap()]],
            ..SlotAssignment::primary_only("h:1".parse().unwrap(), 1)
        };
        table.fill(1, [(slot, assignment)]).unwrap();
        assert_eq!(
            encode_table(&table, Some(slot)),
            b"*4\r\n+5\r\n+h:1\r\n+\r\n*1\r\n*1\r\n+h:2\r\n"
        );
        let offline = encode_table(&table, SlotId::new(6));
        assert_eq!(offline, b"*4\r\n+6\r\n+\r\n+\r\n*-1\r\n");
        assert!(encode_table(&table, None).starts_with(b"*1024\r\n*4\r\n+0\r\n"));
    }
}
