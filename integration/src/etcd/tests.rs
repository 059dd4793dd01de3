//! The server keeps its data, and the gateway is read rightly.

use super::*;

#[test]
fn texts_survive_base64() {
    for (text, coded) in
        [("", ""), ("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("abcd", "YWJjZA==")]
    {
        assert_eq!((base64(text).as_str(), unbase64(coded).as_str()), (coded, text));
    }
    let text = "{\n    \"addr\": \"127.0.0.1:1\", \"ß€\"}";
    assert_eq!(unbase64(&base64(text)), text);
}

#[test]
fn a_killed_server_comes_back_with_its_data() {
    let mut server = Etcd::start();
    server.put("/a/b", "one");
    server.restart();
    let node = server.get("/a/b").expect("it was stored");
    assert_eq!((node.data.as_str(), node.lease), ("one", None));
    server.delete("/a/b");
    assert_eq!(server.get("/a/b"), None);
}

#[test]
fn a_server_with_a_password_lets_the_fixture_in() {
    let mut server = Etcd::start();
    server.require_password("s3cret");
    server.put("/a", "one");
    assert_eq!(server.get("/a").expect("it was stored").data, "one");
}
