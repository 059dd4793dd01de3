//! The `redis` crate as its users use it: typed commands, pipelines and scripts over both servers.

use std::collections::{BTreeMap, HashMap};

use integration::groups::Group;
use integration::{KeywayProxy, RedisServer, TwoGroups};
use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use redis::{Commands, ErrorKind, RedisResult};

/// Opens a connection, with `user:password@` and the database in their places of the URL.
fn connect(proxy: &KeywayProxy, user: &str, database: &str) -> RedisResult<redis::Connection> {
    let url = format!("redis://{user}{}/{database}", proxy.addr());
    redis::Client::open(url)?.get_connection()
}

fn library(groups: &TwoGroups) -> redis::Connection {
    connect(&groups.proxy, "", "").expect("connect")
}

#[test]
fn strings_and_counters_live_on_both_servers() {
    let groups = TwoGroups::start();
    let mut library = library(&groups);
    let keys = Group::BOTH.map(|group| group.key("counter"));
    let _: () = library.mset(&[(&keys[0], 1), (&keys[1], 2)]).expect("mset");
    let values: Vec<i64> = library.mget(&keys).expect("mget");
    assert_eq!(values, [1, 2]);
    for key in &keys {
        let _: () = library.set_ex(key, 7, 100).expect("set_ex");
        let left: i64 = library.ttl(key).expect("ttl");
        assert!((1..=100).contains(&left), "{left}");
        assert!(library.persist::<_, bool>(key).expect("persist"));
        assert_eq!(library.incr::<_, _, i64>(key, 3).expect("incr"), 10);
        let nothing: Option<String> = library.get(format!("{key}:absent")).expect("get");
        assert_eq!(nothing, None);
    }
    assert_eq!(library.exists::<_, usize>(&keys).expect("exists"), 2);
    assert_eq!(library.del::<_, usize>(&keys).expect("del"), 2);
}

#[test]
fn a_pipeline_over_both_servers_gives_its_replies_in_order() {
    let groups = TwoGroups::start();
    let mut library = library(&groups);
    let keys = Group::BOTH.map(|group| group.key("piped"));
    for round in 1..=20_i64 {
        let piped: (i64, i64, Vec<i64>, bool) = redis::pipe()
            .set(&keys[0], round)
            .ignore()
            .set(&keys[1], round * 100)
            .ignore()
            .incr(&keys[0], 10)
            .incr(&keys[1], 10)
            .mget(&keys)
            .exists("absent")
            .query(&mut library)
            .expect("pipeline");
        let (one, two) = (round + 10, round * 100 + 10);
        assert_eq!(piped, (one, two, vec![one, two], false), "round {round}");
    }
    let mut long = redis::pipe();
    for number in 0..2000 {
        long.set(format!("long:{number}"), number).ignore();
        long.get(format!("long:{number}"));
    }
    let values: Vec<usize> = long.query(&mut library).expect("pipeline");
    assert!(values.into_iter().eq(0..2000));
}

#[test]
fn hashes_lists_and_sets_live_on_both_servers() {
    let groups = TwoGroups::start();
    let mut library = library(&groups);
    for group in Group::BOTH {
        let (hash, list, set) = (group.key("hash"), group.key("list"), group.key("set"));
        let fields = [("name", "keyway"), ("slots", "1024")];
        let _: () = library.hset_multiple(&hash, &fields).expect("hset");
        let all: BTreeMap<String, String> = library.hgetall(&hash).expect("hgetall");
        assert!(all.iter().map(|(field, value)| (&**field, &**value)).eq(fields));
        assert_eq!(library.hincr::<_, _, _, i64>(&hash, "slots", -24).expect("hincrby"), 1000);

        let len: usize = library.rpush(&list, &["a", "b", "c"]).expect("rpush");
        assert_eq!(len, 3);
        let middle: Vec<String> = library.lrange(&list, 1, -1).expect("lrange");
        assert_eq!(middle, ["b", "c"]);
        let popped: Option<String> = library.lpop(&list, None).expect("lpop");
        assert_eq!(popped.as_deref(), Some("a"));

        assert_eq!(library.sadd::<_, _, usize>(&set, &[1, 2, 3, 3]).expect("sadd"), 3);
        assert!(library.sismember::<_, _, bool>(&set, 2).expect("sismember"));
        let mut members: Vec<i64> = library.smembers(&set).expect("smembers");
        members.sort_unstable();
        assert_eq!(members, [1, 2, 3]);
    }
}

#[test]
fn sorted_sets_and_streams_live_on_both_servers() {
    let groups = TwoGroups::start();
    let mut library = library(&groups);
    for group in Group::BOTH {
        let (ranks, stream) = (group.key("ranks"), group.key("stream"));
        let scores = [(3.5, "third"), (1.0, "first"), (2.0, "second")];
        assert_eq!(library.zadd_multiple::<_, _, _, usize>(&ranks, &scores).expect("zadd"), 3);
        let ranked: Vec<(String, f64)> = library.zrange_withscores(&ranks, 0, -1).expect("zrange");
        let ranked: Vec<(&str, f64)> = ranked.iter().map(|(name, at)| (&**name, *at)).collect();
        assert_eq!(ranked, [("first", 1.0), ("second", 2.0), ("third", 3.5)]);
        let rank: Option<usize> = library.zrank(&ranks, "second").expect("zrank");
        assert_eq!(rank, Some(1));

        for number in 0..5 {
            let id: String = library.xadd(&stream, "*", &[("number", number)]).expect("xadd");
            assert!(id.contains('-'), "{id}");
        }
        let number = |entry: &StreamId| entry.get::<i64>("number");
        let all: StreamRangeReply = library.xrange_all(&stream).expect("xrange");
        assert!(all.ids.iter().filter_map(number).eq(0..5));
        let read: StreamReadReply = library.xread(&[&stream], &["0"]).expect("xread");
        let read: Vec<i64> = read.keys.iter().flat_map(|key| &key.ids).filter_map(number).collect();
        assert_eq!(read, [0, 1, 2, 3, 4]);
    }
}

#[test]
fn scripts_run_where_their_keys_are() {
    let groups = TwoGroups::start();
    let mut library = library(&groups);
    for group in Group::BOTH {
        let key = group.key("script");
        let _: () = library.set(&key, 20).expect("set");
        let sum: i64 = redis::cmd("EVAL")
            .arg("return redis.call('INCRBY', KEYS[1], ARGV[1])")
            .arg(1)
            .arg(&key)
            .arg(22)
            .query(&mut library)
            .expect("eval");
        assert_eq!(sum, 42);
        assert_eq!(library.get::<_, i64>(&key).expect("get"), 42);
    }
    let keys = Group::BOTH.map(|group| group.key("script"));
    let refused: RedisResult<i64> =
        redis::cmd("EVAL").arg("return 1").arg(2).arg(&keys[0]).arg(&keys[1]).query(&mut library);
    let refused = refused.expect_err("keys of two servers");
    assert_eq!(refused.code(), Some("CROSSSLOT"), "{refused}");
}

#[test]
fn errors_arrive_as_the_library_knows_them() {
    let groups = TwoGroups::start();
    let mut library = library(&groups);
    let key = Group::Two.key("text");
    let _: () = library.set(&key, "no number").expect("set");
    let refused = library.incr::<_, _, i64>(&key, 1).expect_err("no number");
    assert!(refused.to_string().contains("not an integer"), "{refused}");
    let refused = library.lpush::<_, _, i64>(&key, 1).expect_err("no list");
    assert_eq!(refused.code(), Some("WRONGTYPE"), "{refused}");
    let refused: RedisResult<()> = redis::cmd("NOSUCHCOMMAND").query(&mut library);
    let refused = refused.expect_err("no such command");
    assert!(refused.to_string().contains("unknown command"), "{refused}");
    // None of them broke the connection.
    assert_eq!(library.get::<_, String>(&key).expect("get"), "no number");
}

#[test]
fn a_database_and_a_password_of_the_url_are_used() {
    let server = RedisServer::start();
    let proxy = KeywayProxy::options()
        .config("session_user = \"app\"")
        .config("session_auth = \"secret\"")
        .over([&server])
        .start();
    let mut five = connect(&proxy, "app:secret@", "5").expect("connect");
    let _: () = five.set("key", "five").expect("set");
    let mut zero = connect(&proxy, "app:secret@", "").expect("connect");
    assert_eq!(zero.get::<_, Option<String>>("key").expect("get"), None);
    let mut direct = server.client();
    direct.command(&["SELECT", "5"]);
    assert_eq!(direct.text(&["GET", "key"]), "$4\r\nfive\r\n");
    for wrong in ["app:wrong@", "other:secret@"] {
        let Err(refused) = connect(&proxy, wrong, "") else {
            panic!("{wrong} was let in");
        };
        assert_eq!(refused.kind(), ErrorKind::AuthenticationFailed, "{refused}");
    }
}

#[test]
fn a_library_that_insists_on_resp3_is_told_that_it_cannot_have_it() {
    let groups = TwoGroups::start();
    let Err(refused) = connect(&groups.proxy, "", "?protocol=resp3") else {
        panic!("RESP3 was agreed on");
    };
    assert_eq!(refused.code(), Some("NOPROTO"), "{refused}");
}

#[test]
fn many_threads_share_the_servers_through_the_proxy() {
    let groups = TwoGroups::start();
    let keys = Group::BOTH.map(|group| group.key("shared"));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (mut library, keys) = (library(&groups), &keys);
            scope.spawn(move || {
                for round in 0..50 {
                    let own = format!("own:{thread}:{round}");
                    let fields: HashMap<String, i64> = [("round".to_owned(), round)].into();
                    let (read, ..): (HashMap<String, i64>, i64, i64) = redis::pipe()
                        .hset(&own, "round", round)
                        .ignore()
                        .hgetall(&own)
                        .incr(&keys[0], 1)
                        .incr(&keys[1], 1)
                        .query(&mut library)
                        .expect("pipeline");
                    assert_eq!(read, fields);
                }
            });
        }
    });
    let counts: Vec<i64> = library(&groups).mget(&keys).expect("mget");
    assert_eq!(counts, [400, 400]);
}
