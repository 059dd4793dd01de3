use super::*;

fn check(text: &str, addr: &str, user: Option<&str>, password: &str, database: u32) {
    let expected = BackendUrl {
        addr: addr.to_owned(),
        user: user.map(str::to_owned),
        password: Secret::new(password),
        database,
    };
    assert_eq!(text.parse(), Ok(expected), "`{text}`");
}

fn check_refused(text: &str, expected: &str) {
    let error = text.parse::<BackendUrl>().expect_err(text);
    assert!(error.to_string().contains(expected), "`{text}`: {error}");
}

#[test]
fn a_server_is_an_address_or_a_url() {
    check("127.0.0.1:6379", "127.0.0.1:6379", None, "", 0);
    check("[::1]:7000", "[::1]:7000", None, "", 0);
    check("redis://a", "a:6379", None, "", 0);
    check("REDIS://a:1/", "a:1", None, "", 0);
    check("redis://a:1/15", "a:1", None, "", 15);
    check("redis://[::1]/2", "[::1]:6379", None, "", 2);
    check("redis://:pw@a:1/2", "a:1", None, "pw", 2);
    check("redis://app:pw@a:1", "a:1", Some("app"), "pw", 0);
    check("redis://app:p%40s%3as%25@a", "a:6379", Some("app"), "p@s:s%", 0);
    check("redis://app:p@s/s?#:w@a:1/3", "a:1", Some("app"), "p@s/s?#:w", 3);
    check("redis://:gr%C3%BCn@a", "a:6379", None, "grün", 0);
}

#[test]
fn what_names_no_server_is_refused_with_advice() {
    check_refused("", "host:port");
    check_refused("a", "host:port");
    check_refused("a:0", "port 0");
    check_refused("redis://", "not a redis URL");
    check_refused("redis://a:x", "not a redis URL");
    check_refused("redis://a:1/x", "not a database");
    check_refused("redis://a:1/-1", "not a database");
    check_refused("redis://a:1/4294967296", "not a database");
    check_refused("redis://a:1/0?timeout=5", "options");
    check_refused("redis://app@a:1", "needs a password");
    check_refused("redis://app:@a:1", "needs a password");
    check_refused("redis://:p%4@a:1", "%XX");
    check_refused("redis://:p%zz@a:1", "%XX");
    check_refused("redis://:%ff@a:1", "%XX");
    check_refused("rediss://a:1", "TLS is not supported yet");
    check_refused("http://a:1", "`http://` is not supported");
    check_refused("app:pw@a:1", "need a URL");
}

#[test]
fn no_error_and_no_debug_output_shows_a_password() {
    for text in [
        "redis://:hunter2@",
        "redis://:hunter2",
        "redis://app:hunter2",
        "redis://app:hunter2@a:x",
        "redis://app:hunter2@a:1/x",
        "redis://app:hunter2@a:1?x",
        "redis://app:hunter2%@a",
        "rediss://app:hunter2@a",
        "app:hunter2@a:1",
        "hunter2@://a",
        "http://app:hunter2@a",
    ] {
        let error = text.parse::<BackendUrl>().expect_err(text);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let server: BackendUrl = "redis://app:hunter2@a".parse().unwrap();
    assert!(!format!("{server:?}").contains("hunter2"));
}

fn check_together(texts: &[&str], expected: Result<u32, &str>) {
    let servers: Vec<BackendUrl> = texts.iter().map(|text| text.parse().unwrap()).collect();
    let result = Config::default().check_backends(&servers).map_err(|error| error.to_string());
    assert_eq!(result, expected.map_err(str::to_owned), "{texts:?}");
}

#[test]
fn servers_of_one_proxy_name_one_database_and_differ() {
    check_together(&[], Ok(0));
    check_together(&["a:1", "b:1"], Ok(0));
    check_together(&["redis://a/3", "redis://b/3"], Ok(3));
    check_together(
        &["redis://a/3", "b:1"],
        Err("all servers must name the same database, `a:6379` names 3 and `b:1` names 0"),
    );
    check_together(&["a:6379", "redis://a"], Err("`a:6379` is given twice"));
    check_together(
        &["redis://a/16"],
        Err("database 16 does not exist, `backend_number_databases` is 16: \
             give a lower database or raise that key"),
    );
}
