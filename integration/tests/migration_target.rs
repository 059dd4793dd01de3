//! A slot that migrates to a target whose keys count, as Keyway's own mover orders it.
//!
//! A source that comes back with old data has keys again that clients have written, or deleted,
//! at the target since.

use integration::proxy::ProxyOptions;
use integration::{KeywayProxy, RedisServer};
use routing::slot_of;
use serde_json::{Value, json};

struct Scene {
    // Dropped first, while its servers are there.
    proxy: KeywayProxy,
    source: RedisServer,
    target: RedisServer,
}

/// All slots migrate.
fn scene(options: ProxyOptions, keeps_target: bool) -> Scene {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let (from, to) = (source.addr().to_string(), target.addr().to_string());
    let slot = |id: u16| {
        json!({"id": id, "backend_addr": to, "migrate_from": from,
               "migrate_keeps_target": keeps_target})
    };
    let slots: Vec<Value> = (0..1024).map(slot).collect();
    Scene { proxy: options.fill_slots(slots.into()).start(), source, target }
}

#[test]
fn an_old_key_of_the_source_does_not_replace_the_targets() {
    let scene = scene(KeywayProxy::options().workers(1), true);
    let mut source = scene.source.client();
    for key in ["{a}one", "{a}two", "other"] {
        source.command(&["SET", key, "old"]);
        scene.target.client().command(&["SET", key, "new"]);
    }
    source.command(&["SET", "{a}three", "only here"]);
    let mut client = scene.proxy.client();
    // Several keys in one question: one that the target has is no fault of the others.
    let reply = client.text(&["MGET", "{a}one", "{a}two", "{a}three", "other"]);
    assert_eq!(reply, "*4\r\n$3\r\nnew\r\n$3\r\nnew\r\n$9\r\nonly here\r\n$3\r\nnew\r\n");
    assert_eq!(source.text(&["DBSIZE"]), ":0\r\n");
}

#[test]
fn a_key_that_a_client_deletes_does_not_come_back_from_the_source() {
    let scene = scene(KeywayProxy::options(), true);
    scene.source.client().command(&["SET", "key", "old"]);
    scene.target.client().command(&["SET", "key", "new"]);
    let mut clients = [scene.proxy.client(), scene.proxy.client()];
    assert_eq!(clients[0].text(&["DEL", "key"]), ":1\r\n");
    // Of both workers, one of which has not asked the source yet.
    for client in &mut clients {
        assert_eq!(client.text(&["GET", "key"]), "$-1\r\n");
    }
    assert_eq!(scene.source.client().text(&["EXISTS", "key"]), ":0\r\n");
}

#[test]
fn without_the_word_the_sources_key_counts_until_it_is_let_go() {
    let scene = scene(KeywayProxy::options(), false);
    scene.source.client().command(&["SET", "key", "of the source"]);
    scene.target.client().command(&["SET", "key", "remains of an earlier time"]);
    assert_eq!(scene.proxy.client().text(&["GET", "key"]), "$13\r\nof the source\r\n");
    let slot = slot_of(b"key").index();
    let told = scene.proxy.admin().slots();
    assert_eq!(told[slot]["migrate_from"], scene.source.addr().to_string());
    assert_eq!(told[slot].get("migrate_keeps_target"), None);
}
