//! A slot as a dashboard writes it: JSON in the manner of Go.
//!
//! Go finds a key in either case and ignores those it does not know, so that a newer dashboard can
//! say more than an older proxy understands. What is known must be right: an `id` that is missing
//! or a text would be slot 0 in Codis, which loses that slot.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::{Element, SlotForm, check_forward_method};

/// The keys that are known, each with a bit of its place here.
const KEYS: [&str; 9] = [
    "id",
    "locked",
    "backend_addr",
    "backend_addr_group_id",
    "migrate_from",
    "migrate_from_group_id",
    "migrate_keeps_target",
    "forward_method",
    "replica_groups",
];

/// A slot of an order.
pub(super) struct OrderedSlot(SlotForm);

impl From<OrderedSlot> for SlotForm {
    fn from(slot: OrderedSlot) -> Self {
        slot.0
    }
}

impl Element<'_> for OrderedSlot {
    const MAY_REPEAT: bool = true;

    fn check(slot: &SlotForm) -> Result<(), String> {
        check_forward_method(slot)
    }
}

impl<'de> Deserialize<'de> for OrderedSlot {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(Keys).map(Self)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = SlotForm;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a slot, like {\"id\": 0}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SlotForm, A::Error> {
        let mut slot = SlotForm::default();
        let mut id = None;
        let mut seen = [false; KEYS.len()];
        while let Some(name) = map.next_key::<String>()? {
            let known = KEYS.iter().zip(&mut seen).find(|(key, _)| key.eq_ignore_ascii_case(&name));
            let Some((key, seen)) = known else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(seen, true) {
                return Err(A::Error::custom(format!("`{key}` is given twice")));
            }
            match *key {
                "id" => id = Some(map.next_value::<i64>()?),
                "locked" => slot.locked = map.next_value()?,
                "backend_addr" => slot.backend_addr = map.next_value()?,
                "backend_addr_group_id" => slot.backend_addr_group_id = map.next_value()?,
                "migrate_from" => slot.migrate_from = map.next_value()?,
                "migrate_from_group_id" => slot.migrate_from_group_id = map.next_value()?,
                "migrate_keeps_target" => slot.migrate_keeps_target = map.next_value()?,
                "forward_method" => slot.forward_method = map.next_value()?,
                _ => slot.replica_groups = map.next_value()?,
            }
        }
        let id = id.ok_or_else(|| A::Error::missing_field("id"))?;
        let no_slot =
            |_| A::Error::custom(format!("slot `{id}` does not exist, slots are 0 to 1023"));
        slot.id = u16::try_from(id).map_err(no_slot)?;
        Ok(slot)
    }
}

#[cfg(test)]
mod tests {
    use crate::SlotForm;
    use crate::fill_slots::parse_order;

    fn order(body: &str) -> Result<Vec<SlotForm>, String> {
        parse_order("body", body.as_bytes()).map_err(|error| error.to_string())
    }

    fn check_refused(body: &str, reason: &str) {
        let error = order(body).unwrap_err();
        assert!(error.contains(reason), "{body}: {error}");
    }

    #[test]
    fn keys_are_found_in_either_case_and_unknown_ones_ignored() {
        let body = r#"[{"Id":3,"Backend_Addr":"h:1","NEWER":{"a":[1,{}]},"locked":true}]"#;
        let expected =
            SlotForm { id: 3, locked: true, backend_addr: "h:1".to_owned(), ..SlotForm::default() };
        assert_eq!(order(body).unwrap(), [expected]);
        assert_eq!(order("[]").unwrap(), []);
    }

    #[test]
    fn a_slot_may_be_named_again() {
        let slots = order(r#"[{"id":1,"locked":true},{"id":1}]"#).unwrap();
        assert_eq!(slots.iter().map(|slot| slot.locked).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn what_is_no_array_of_slots_is_refused() {
        check_refused("", "EOF while parsing");
        check_refused("null", "expected an array of slots");
        check_refused("{}", "expected an array of slots");
        check_refused("xx", "expected value");
        check_refused(r#"[{"id":1}"#, "EOF while parsing");
        check_refused(r#"[{"id":1}] x"#, "trailing characters");
        check_refused("[null]", "element 0: invalid type: null");
        check_refused(r#"[{"id":1},[]]"#, "element 1: invalid type: sequence");
    }

    #[test]
    fn values_of_wrong_types_are_refused() {
        check_refused(r#"[{"id":"3"}]"#, "element 0: invalid type: string");
        check_refused(r#"[{"id":1.5}]"#, "invalid type: floating point");
        check_refused(r#"[{"id":1,"locked":1}]"#, "invalid type: integer");
        check_refused(r#"[{"id":1,"backend_addr":7}]"#, "invalid type: integer");
        check_refused(r#"[{"id":1,"backend_addr":null}]"#, "invalid type: null");
        check_refused(r#"[{"id":1,"replica_groups":["a:1"]}]"#, "invalid type: string");
    }

    #[test]
    fn values_that_cannot_be_are_refused() {
        check_refused("[{}]", "missing field `id`");
        check_refused(r#"[{"id":1024}]"#, "slot `1024` does not exist");
        check_refused(r#"[{"id":-1}]"#, "slot `-1` does not exist");
        check_refused(r#"[{"id":70000}]"#, "slot `70000` does not exist");
        check_refused(r#"[{"id":1,"ID":2}]"#, "`id` is given twice");
        check_refused(r#"[{"id":1,"forward_method":2}]"#, "`forward_method` is 0 (sync) or 1");
    }
}
