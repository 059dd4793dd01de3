//! The plain use of the proxy: what one Redis would answer, over two servers.
//!
//! Where it can be, the expected reply is not written down but asked of a single real server with
//! the same bytes.

use integration::groups::Group;
use integration::raw_client::encode;
use integration::{RedisServer, TwoGroups};

/// Runs the commands on a single server and through the proxy, one by one; the replies are equal.
fn check_same_replies(commands: &[&[&str]]) {
    let single = RedisServer::start();
    let groups = TwoGroups::start();
    let (mut expected, mut seen) = (single.client(), groups.client());
    for command in commands {
        assert_eq!(seen.text(command), expected.text(command), "{command:?}");
    }
}

#[test]
fn values_are_written_read_and_deleted_on_both_servers() {
    let groups = TwoGroups::start();
    let mut client = groups.client();
    for group in Group::BOTH {
        let key = group.key("key");
        assert_eq!(client.text(&["SET", &key, "value"]), "+OK\r\n");
        assert_eq!(client.text(&["GET", &key]), "$5\r\nvalue\r\n");
        assert_eq!(client.text(&["DEL", &key]), ":1\r\n");
        assert_eq!(client.text(&["GET", &key]), "$-1\r\n");
    }
}

#[test]
fn each_key_lands_on_the_server_of_its_slot_and_nowhere_else() {
    let groups = TwoGroups::start();
    let mut client = groups.client();
    for number in 0..20 {
        for group in Group::BOTH {
            let key = group.key(&format!("key{number}"));
            client.command(&["SET", &key, "value"]);
            for server in Group::BOTH {
                let expected = format!(":{}\r\n", u8::from(server == group));
                let exists = groups.primary(server).client().text(&["EXISTS", &key]);
                assert_eq!(exists, expected, "{key} on {server:?}");
            }
        }
    }
}

#[test]
fn keys_with_one_hash_tag_land_on_one_server() {
    let groups = TwoGroups::start();
    let mut client = groups.client();
    for number in 0..50 {
        client.command(&["SET", &format!("{{user:1000}}:{number}"), "value"]);
    }
    let mut sizes = Group::BOTH.map(|group| groups.primary(group).client().text(&["DBSIZE"]));
    sizes.sort();
    assert_eq!(sizes, [":0\r\n", ":50\r\n"]);
}

#[test]
fn a_pipeline_of_1000_mixed_commands_is_answered_in_order() {
    // Goal: replies of two servers and of the proxy itself leave in the order of the requests.
    // Method: every reply of the run is unlike its neighbours; a single server gives the same run.
    let mut pipeline = Vec::new();
    for number in 0..1000 {
        let (key, value) = (format!("key:{}", number % 97), format!("value {number}"));
        let command: Vec<&str> = match number % 8 {
            0 => vec!["SET", &key, &value, "GET"],
            1 => vec!["GET", &key],
            2 => vec!["ECHO", &value],
            3 => vec!["MGET", &key, "key:1", "key:2", "absent"],
            4 => vec!["APPEND", &key, &value],
            5 => vec!["NOSUCHCOMMAND", &value],
            6 => vec!["EXISTS", &key, "key:3", "absent"],
            _ => vec!["INCR", "counter"],
        };
        pipeline.extend(encode(&command));
    }
    let single = RedisServer::start();
    let mut expected = single.client();
    expected.send(&pipeline);
    let groups = TwoGroups::start();
    let mut seen = groups.client();
    seen.send(&pipeline);
    for number in 0..1000 {
        let (seen, expected) = (seen.read_reply(), expected.read_reply());
        assert_eq!(
            seen.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "reply {number}"
        );
    }
}

#[test]
fn multi_key_commands_over_both_servers_equal_a_single_server() {
    let (a, b) = (Group::One.key("a"), Group::Two.key("b"));
    let (c, d) = (Group::One.key("c"), Group::Two.key("d"));
    let (a, b, c, d) = (a.as_str(), b.as_str(), c.as_str(), d.as_str());
    check_same_replies(&[
        &["MSET", a, "1", b, "2", c, "3"],
        &["MGET", a, b, c, d],
        &["MGET", d, c, b, a],
        &["MGET", a],
        &["EXISTS", a, b, c, d],
        &["DEL", a, d],
        &["MGET", a, b, c, d],
        &["UNLINK", b, c],
        &["MSET", a, "", b, "with\r\nline ends"],
        &["MGET", b, a],
        &["TOUCH", a, b, c],
        &["DEL", a, b, c, d],
        &["EXISTS", a, b, c, d],
    ]);
}

#[test]
fn repeated_keys_of_multi_key_commands_count_as_on_a_single_server() {
    let (a, b) = (Group::One.key("a"), Group::Two.key("b"));
    let (a, b) = (a.as_str(), b.as_str());
    check_same_replies(&[
        // The last value of a repeated key wins.
        &["MSET", a, "first", b, "1", a, "second", b, "2", a, "third"],
        &["MGET", a, b, a, a, b],
        &["EXISTS", a, b, a, a, b],
        &["DEL", a, b, a, a, b],
        &["EXISTS", a, a, b, b],
    ]);
}

#[test]
fn a_wrong_type_among_the_keys_of_mget_is_a_null_as_on_a_single_server() {
    let (a, b) = (Group::One.key("a"), Group::Two.key("b"));
    let (a, b) = (a.as_str(), b.as_str());
    check_same_replies(&[
        &["RPUSH", a, "element"],
        &["SET", b, "value"],
        &["MGET", a, b],
        &["GET", a],
    ]);
}

#[test]
fn multi_key_commands_of_wrong_arity_are_refused_as_by_a_single_server() {
    check_same_replies(&[
        &["MGET"],
        &["MSET"],
        &["MSET", "a"],
        &["MSET", "a", "1", "b"],
        &["DEL"],
        &["EXISTS"],
        // None of them wrote anything.
        &["MGET", "a", "b"],
    ]);
}

#[test]
fn big_values_pass_unchanged() {
    let groups = TwoGroups::start();
    let mut client = groups.client();
    let keys = Group::BOTH.map(|group| group.key("big"));
    for len in [16 * 1024 - 1, 16 * 1024, 64 * 1024 + 1, 8 * 1024 * 1024] {
        let value: Vec<u8> = (0..=255_u8).cycle().take(len).collect();
        for key in &keys {
            let set: [&[u8]; 3] = [b"SET", key.as_bytes(), &value];
            assert_eq!(client.command(&set), b"+OK\r\n");
        }
        let mut expected = b"*2\r\n".to_vec();
        for _ in &keys {
            expected.extend(format!("${len}\r\n").bytes());
            expected.extend(&value);
            expected.extend(b"\r\n");
        }
        let seen = client.command(&["MGET", &keys[0], &keys[1]]);
        assert!(seen == expected, "two values of {len} bytes");
    }
}
