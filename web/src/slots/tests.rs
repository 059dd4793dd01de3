use super::*;

fn filled(body: &str) -> SlotTable {
    let mut table = SlotTable::offline();
    table.fill(1, parse(body.as_bytes()).unwrap()).unwrap();
    table
}

fn reported(table: &SlotTable, is_primary_only: bool, id: usize) -> String {
    serde_json::to_string(&report(table, is_primary_only)[id]).unwrap()
}

fn check_read_back(slot: &str) {
    let table = filled(&format!("[{slot}]"));
    let id: serde_json::Value = serde_json::from_str(slot).unwrap();
    let id = usize::try_from(id["id"].as_u64().unwrap()).unwrap();
    assert_eq!(reported(&table, false, id), slot);
}

fn check_refused(body: &str, reason: &str) {
    let error = parse(body.as_bytes()).unwrap_err().to_string();
    assert!(error.contains(reason), "{body}: {error}");
}

#[test]
fn slots_are_read_back_as_they_were_filled() {
    check_read_back(r#"{"id":7}"#);
    check_read_back(r#"{"id":7,"forward_method":1}"#);
    check_read_back(r#"{"id":0,"locked":true}"#);
    check_read_back(r#"{"id":1023,"backend_addr":"redis-1:6379","backend_addr_group_id":9999}"#);
    check_read_back(concat!(
        r#"{"id":579,"locked":true,"backend_addr":"127.0.0.1:16382","backend_addr_group_id":2,"#,
        r#""forward_method":1,"#,
        r#""replica_groups":[["10.0.0.1:6379"],["10.0.1.1:6379","10.0.1.2:6379"]]}"#
    ));
}

#[test]
fn all_slots_are_told_in_the_order_of_their_ids() {
    let slots = report(&SlotTable::offline(), false);
    let json = serde_json::to_string(&slots).unwrap();
    assert_eq!(slots.len(), 1024);
    assert!(json.starts_with(r#"[{"id":0},{"id":1},"#) && json.ends_with(r#",{"id":1023}]"#));
}

#[test]
fn a_group_without_a_primary_is_not_kept() {
    let table = filled(r#"[{"id":3,"backend_addr_group_id":2}]"#);
    assert_eq!(reported(&table, false, 3), r#"{"id":3}"#);
}

#[test]
fn replicas_are_not_told_of_when_they_are_not_used() {
    let table = filled(r#"[{"id":3,"backend_addr":"h:1","replica_groups":[["h:2"]]}]"#);
    assert_eq!(reported(&table, true, 3), r#"{"id":3,"backend_addr":"h:1"}"#);
}

#[test]
fn a_migrating_slot_is_told_with_its_source() {
    let order = r#"{"id":3,"locked":true,"backend_addr":"h:2","backend_addr_group_id":2,"migrate_from":"h:1","migrate_from_group_id":1,"migrate_keeps_target":true,"forward_method":1}"#;
    assert_eq!(reported(&filled(&format!("[{order}]")), false, 3), order);
}

#[test]
fn an_element_replaces_its_slot_completely() {
    let table = filled(
        r#"[{"id":3,"locked":true,"backend_addr":"h:1","backend_addr_group_id":1},
            {"id":3,"backend_addr":"h:2"}]"#,
    );
    assert_eq!(reported(&table, false, 3), r#"{"id":3,"backend_addr":"h:2"}"#);
}

#[test]
fn orders_that_cannot_be_carried_out_are_refused() {
    check_refused("null", "body:1:4: invalid type: null, expected an array of slots");
    check_refused(
        r#"[{"id":1},{"id":2,"migrate_from":"h:1"}]"#,
        "slot 2: `migrate_from` needs a `backend_addr`, which is another one",
    );
    check_refused(
        r#"[{"id":2,"backend_addr":"h:1","migrate_from":"h:1"}]"#,
        "slot 2: `migrate_from` needs a `backend_addr`, which is another one",
    );
    check_refused(r#"[{"id":1,"backend_addr":"h"}]"#, "slot 1: `h` is not an address");
    check_refused(r#"[{"id":1,"replica_groups":[["h:0"]]}]"#, "slot 1: `h:0` is not an address");
    let group =
        |id: &str| format!(r#"[{{"id":1,"backend_addr":"h:1","backend_addr_group_id":{id}}}]"#);
    check_refused(&group("-1"), "slot 1: `-1` is no id of a group");
    check_refused(&group("4294967296"), "slot 1: `4294967296` is no id of a group");
}
