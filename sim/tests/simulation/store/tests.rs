use super::*;

fn execute(store: &mut Store, line: &str) -> Reply {
    let request: Vec<_> = line.split(' ').map(str::to_owned).collect();
    store.execute(0, &request).unwrap()
}

#[test]
fn commands_do_what_redis_does() {
    let store = &mut Store::default();
    let mut check = |line: &str, expected: Reply| {
        assert_eq!(execute(store, line), expected, "{line}");
    };
    let items = |items: &[&str]| Reply::Array(Some(items.iter().map(|i| Reply::bulk(i)).collect()));
    check("GET a", Reply::Bulk(None));
    check("SET a 1", Reply::ok());
    check("GET a", Reply::bulk("1"));
    check("RPUSH a 2", Reply::error(WRONG_TYPE));
    check("LRANGE l 0 -1", items(&[]));
    check("RPUSH l 1", Reply::Integer(1));
    check("RPUSH l 2", Reply::Integer(2));
    check("LRANGE l 0 -1", items(&["1", "2"]));
    check("GET l", Reply::error(WRONG_TYPE));
    check("MSET b 2 c 3", Reply::ok());
    check(
        "MGET a l x c",
        Reply::Array(Some(vec![
            Reply::bulk("1"),
            Reply::Bulk(None),
            Reply::Bulk(None),
            Reply::bulk("3"),
        ])),
    );
    check("EXISTS a b x", Reply::Integer(2));
    check("DEL a x", Reply::Integer(1));
    check("EXISTS a", Reply::Integer(0));
}

#[test]
fn databases_are_apart() {
    let mut store = Store::default();
    execute(&mut store, "SET a 1");
    assert_eq!(store.execute(1, &["GET".to_owned(), "a".to_owned()]), Some(Reply::Bulk(None)));
}

#[test]
fn keys_of_one_tag_go_together_and_a_key_without_tag_goes_alone() {
    let mut store = Store::default();
    for key in ["{t}a", "{t}b", "t", "x"] {
        execute(&mut store, &format!("SET {key} 1"));
    }
    let with_tag_of = |key: &str| {
        let places = store.places_with_tag_of(&(0, key.to_owned()));
        places.into_iter().map(|place| place.1).collect::<Vec<_>>()
    };
    assert_eq!(with_tag_of("{t}c"), ["{t}a", "{t}b"]);
    assert_eq!(with_tag_of("t"), ["t"]);
    assert!(with_tag_of("y").is_empty());
    let slots = [slot_of(b"t")].into();
    assert_eq!(store.places_of(&slots).len(), 3);
}
