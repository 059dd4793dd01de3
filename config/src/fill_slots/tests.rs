use super::*;

fn check_refused(text: &str, expected: &str) {
    let error = parse("slots.json", text).expect_err(text);
    assert_eq!(error.to_string(), expected, "{text}");
}

#[test]
fn a_slot_has_what_its_element_says_and_zero_values_for_the_rest() {
    let slots = parse(
        "slots.json",
        r#"[{"id":579,"backend_addr":"redis-1:6379","backend_addr_group_id":2,"forward_method":1,
             "replica_groups":[["10.0.0.1:6379"],["10.0.1.1:6379","10.0.1.2:6379"]]},
            {"id":0},{"id":1023,"locked":false,"migrate_from":""}]"#,
    )
    .unwrap();
    let expected = SlotForm {
        id: 579,
        backend_addr: "redis-1:6379".to_owned(),
        backend_addr_group_id: 2,
        forward_method: 1,
        replica_groups: vec![
            vec!["10.0.0.1:6379".to_owned()],
            vec!["10.0.1.1:6379".to_owned(), "10.0.1.2:6379".to_owned()],
        ],
        ..SlotForm::default()
    };
    assert_eq!(slots[0], expected);
    assert_eq!(slots[1], SlotForm::default());
    assert_eq!(slots[2].id, 1023);
    assert_eq!(slots.len(), 3);
    assert_eq!(parse("slots.json", " [] "), Ok(Vec::new()));
}

#[test]
fn elements_that_cannot_be_used_are_named_with_their_place() {
    check_refused(
        "[{\"id\":0},\n {\"id\":1024}]",
        "slots.json:2:13: element 1: slot `1024` does not exist, slots are 0 to 1023",
    );
    check_refused(
        "[{\"id\":7},{\"id\":7}]",
        "slots.json:1:19: element 1: slot `7` is already in an earlier element",
    );
    check_refused(
        "[\n{\"id\":\"7\"}]",
        "slots.json:2:9: element 0: invalid type: string \"7\", expected u16",
    );
    check_refused(
        "[{\"id\":0,\"group_id\":1}]",
        "slots.json:1:19: element 0: unknown field `group_id`, expected one of `id`, `locked`, \
         `backend_addr`, `backend_addr_group_id`, `migrate_from`, `migrate_from_group_id`, \
         `migrate_keeps_target`, `forward_method`, `replica_groups`",
    );
    check_refused("[{}]", "slots.json:1:3: element 0: missing field `id`");
    check_refused(
        "[{\"id\":0,\"backend_addr\":\"nowhere\"}]",
        "slots.json:1:35: element 0: `nowhere` is not an address, write host:port: \
         `127.0.0.1:6379`, `[::1]:6379`",
    );
}

#[test]
fn a_slot_may_be_locked_and_may_migrate() {
    let text = r#"[{"id":5,"locked":true,"backend_addr":"a:1","migrate_from":"b:1",
        "migrate_from_group_id":2}]"#;
    let slots = parse("slots.json", text).unwrap();
    assert!(slots[0].locked);
    assert_eq!((slots[0].migrate_from.as_str(), slots[0].migrate_from_group_id), ("b:1", 2));
    check_refused(
        "[{\"id\":5,\"migrate_from\":\"b:1\"}]",
        "slots.json:1:31: element 0: slot `5` has a `migrate_from` but no `backend_addr`",
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    for element in [
        r#"{"id":-1}"#,
        r#"{"id":1.0}"#,
        r#"{"id":null}"#,
        r#"{"id":1,"id":1}"#,
        r#"{"id":1,"forward_method":2}"#,
        r#"{"id":1,"locked":"false"}"#,
        r#"{"id":1,"replica_groups":[["a:1"]]}"#,
        r#"{"id":1,"backend_addr":"a:1","replica_groups":["a:1"]}"#,
        r#"{"id":1,"backend_addr":"a:1","replica_groups":[["a"]]}"#,
        "7",
    ] {
        let error = parse("slots.json", &format!("[{element}]")).expect_err(element);
        assert_eq!(error.element, Some(0), "{element}");
        assert!(error.line == 1 && error.column > 0, "{element}: {error}");
    }
}

#[test]
fn what_is_no_array_is_refused() {
    for text in ["", "{}", "null", "[", "[] x", "[{\"id\":0}"] {
        assert!(parse("slots.json", text).is_err(), "`{text}`");
    }
    check_refused("{\"id\":0}", "slots.json:1:0: invalid type: map, expected an array of slots");
}
