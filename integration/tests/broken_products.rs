//! Nodes of a product that are wrong: the routes stay as they were, actions about them get no
//! answer, an operator is told; when the nodes are right again, everything goes on by itself.

use integration::old_dashboard::Flavour;
use integration::old_dashboard::actions::Told;
use integration::old_dashboard::forms::{ServerForm, SlotForm, group_json};
use integration::old_dashboard::proxies::wait_serves;
use integration::product::{MOMENT, SLOTS_OF_GROUPS, alarms, key_in, wait_alarm};
use integration::{DEADLINE, KeywayProxy, OldDashboard, Product, RedisServer, wait_until};

/// What the proxies here warn of.
const ALARM: &str = "\"alarm\"";

/// A product with a proxy that is online.
struct Broken {
    // Dropped first: its end needs what follows.
    proxy: KeywayProxy,
    product: Product,
    /// Belongs to nobody yet.
    spare: RedisServer,
}

impl Broken {
    fn start(flavour: Flavour) -> Self {
        let (product, spare) = (Product::start(flavour), RedisServer::start());
        let options = product.options("proxy_1").allow_log(ALARM);
        let proxy = product.dashboard.start_online("proxy_1", options);
        Self { proxy, product, spare }
    }

    fn dashboard(&self) -> &OldDashboard {
        &self.product.dashboard
    }

    fn write_server(&self, kind: &str, group: i32, server: &RedisServer) {
        let form = ServerForm::new(kind, group, &server.addr().to_string());
        self.dashboard().write_server(&form);
    }

    fn tell_group(&self, group: i32) -> Told {
        let servers = self.dashboard().servers(group);
        self.dashboard().tell("group_changed", &group_json(group, &servers))
    }

    /// An action whose slots are wrong gets no answer, the proxy says what is wrong, and goes on as
    /// it was.
    fn check_broken(&self, told: &Told, alarm: &[&str]) {
        let path = self.dashboard().path(&format!("ActionResponse/{}", told.sequence));
        let client = self.dashboard().client();
        let answered = client.wait_children(&path, MOMENT, |names| !names.is_empty());
        assert_eq!(answered, Err(Vec::new()), "answered although the nodes are wrong");
        wait_alarm(&self.proxy, alarm);
        self.product.check_routes(&self.proxy);
        // What has nothing to do with it is dealt with.
        let other = self.dashboard().slot(SLOTS_OF_GROUPS[1]);
        let told = self.dashboard().tell("slot_changed", &other.json());
        let answered = self.dashboard().wait_answers(&told);
        assert_eq!(answered, Ok(()), "an action about another slot must be answered");
    }

    /// The action is answered without another word.
    fn check_mended(&self, told: &Told) {
        let answered = self.dashboard().wait_answers(told);
        assert_eq!(answered, Ok(()), "the nodes are right again, but the action gets no answer");
    }

    fn metric(&self, name: &str) -> Option<String> {
        let metrics = self.proxy.admin().get("/metrics").text();
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
        line.map(|(_, value)| value.to_owned())
    }

    /// Who serves the slot of group 1.
    fn check_serves(&self, server: &RedisServer) {
        let key = key_in(SLOTS_OF_GROUPS[0], "mended");
        assert_eq!(self.proxy.client().text(&["SET", &key, "1"]), "+OK\r\n");
        assert_eq!(server.client().text(&["GET", &key]), "$1\r\n1\r\n");
    }
}

#[test]
fn a_group_without_a_primary_keeps_its_route_until_it_has_one() {
    let broken = Broken::start(Flavour::Codis192);
    broken.write_server("offline", 1, &broken.product.one);
    let told = broken.tell_group(1);
    broken.check_broken(&told, &["slots 0-511"]);
    broken.write_server("master", 1, &broken.spare);
    broken.check_mended(&told);
    broken.check_serves(&broken.spare);
}

#[test]
fn a_group_with_two_primaries_keeps_its_route_until_it_has_one() {
    let broken = Broken::start(Flavour::Codis20);
    broken.write_server("master", 1, &broken.spare);
    let told = broken.tell_group(1);
    broken.check_broken(&told, &["slots 0-511"]);
    broken.write_server("offline", 1, &broken.product.one);
    broken.check_mended(&told);
    broken.check_serves(&broken.spare);
}

#[test]
fn slots_of_a_group_that_is_missing_keep_their_route_until_it_is_there() {
    let broken = Broken::start(Flavour::Reborn);
    let slot = SLOTS_OF_GROUPS[0];
    let form = SlotForm::online(slot, 3);
    broken.dashboard().write_slot(&form);
    let told = broken.dashboard().tell("slot_changed", &form.json());
    broken.check_broken(&told, &["slot", "7"]);
    // An empty group is no better.
    broken.dashboard().client().create_directory(&broken.dashboard().group_path(3));
    let again = broken.dashboard().tell("slot_changed", &form.json());
    broken.check_broken(&again, &["slot", "7"]);
    broken.write_server("master", 3, &broken.spare);
    broken.check_mended(&told);
    broken.check_mended(&again);
    broken.check_serves(&broken.spare);
}

#[test]
fn slots_of_a_group_that_loses_all_its_servers_keep_their_route() {
    let broken = Broken::start(Flavour::Codis198);
    let dashboard = broken.dashboard();
    let path = dashboard.server_path(1, &broken.product.one.addr().to_string());
    dashboard.client().delete(&path);
    let told = broken.tell_group(1);
    broken.check_broken(&told, &["slots 0-511"]);
    dashboard.client().delete(&dashboard.group_path(1));
    broken.check_broken(&told, &["slots 0-511"]);
    dashboard.client().create_directory(&dashboard.group_path(1));
    broken.write_server("master", 1, &broken.product.one);
    broken.check_mended(&told);
    broken.check_serves(&broken.product.one);
}

/// Writes what is no slot into a node whose slot group 1 has, and the right thing after that.
fn check_wrong_slots(wrong: &[&str]) {
    let broken = Broken::start(Flavour::Codis192);
    let dashboard = broken.dashboard();
    let slot = SLOTS_OF_GROUPS[0];
    for wrong in wrong {
        dashboard.client().set(&dashboard.slot_path(slot), wrong);
        let told = dashboard.tell("slot_changed", &SlotForm::online(slot, 1).json());
        broken.check_broken(&told, &["slot", "7"]);
        dashboard.write_slot(&SlotForm::online(slot, 1));
        broken.check_mended(&told);
    }
    let right = SlotForm::online(slot, 2);
    dashboard.client().delete(&dashboard.slot_path(slot));
    let told = dashboard.tell("slot_changed", &right.json());
    broken.check_broken(&told, &["slot", "7"]);
    dashboard.write_slot(&right);
    broken.check_mended(&told);
    broken.check_serves(&broken.product.two);
}

#[test]
fn a_slot_that_cannot_be_understood_keeps_its_route() {
    let right = SlotForm::online(SLOTS_OF_GROUPS[0], 2);
    let strange = SlotForm { status: "on its way".to_owned(), ..right.clone() }.json();
    let half = right.json().split_at(40).0.to_owned();
    let nowhere = SlotForm { source: 99, ..SlotForm::migrate(SLOTS_OF_GROUPS[0], 1, 2) }.json();
    check_wrong_slots(&["", "[]", "\u{0}\u{1}", &strange, &half, &nowhere]);
}

/// A slot without a status is not one that somebody took offline.
#[test]
fn a_slot_without_its_members_keeps_its_route() {
    check_wrong_slots(&["{}", "{\"product_name\":\"test\",\"id\":7}"]);
}

#[test]
fn a_server_that_cannot_be_understood_changes_no_route() {
    let broken = Broken::start(Flavour::Codis20);
    let dashboard = broken.dashboard();
    let addr = broken.product.one.addr().to_string();
    let wrong_kind = ServerForm::new("boss", 1, &addr).json();
    let wrong_addr = ServerForm::new("master", 1, "nowhere").json();
    for wrong in ["", "null", &wrong_kind, &wrong_addr] {
        dashboard.client().set(&dashboard.server_path(1, &addr), wrong);
        let told = dashboard.tell("group_changed", &group_json(1, &[]));
        broken.check_broken(&told, &["slots 0-511"]);
        broken.write_server("master", 1, &broken.product.one);
        broken.check_mended(&told);
    }
    broken.check_serves(&broken.product.one);
}

/// Goal: a proxy that starts in the moment of a promotion, or in a broken product, serves what it
/// can, and the rest as soon as it can.
#[test]
fn a_proxy_that_starts_in_a_broken_product_serves_what_is_whole() {
    let product = Product::start(Flavour::Codis198);
    let dashboard = &product.dashboard;
    let two = ServerForm::new("master", 2, &product.two.addr().to_string());
    dashboard.write_server(&ServerForm { kind: "offline".to_owned(), ..two.clone() });
    let proxy = product.options("proxy_1").allow_log(ALARM).start();
    dashboard.wait_registered("proxy_1");
    dashboard.put_online("proxy_1").expect("all slots are online");
    let [whole, broken] = SLOTS_OF_GROUPS.map(|slot| key_in(slot, "key"));
    wait_until("the whole group is served", DEADLINE, || {
        match proxy.client().text(&["SET", &whole, "1"]).as_str() {
            "+OK\r\n" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    let reply = proxy.client().text(&["SET", &broken, "1"]);
    assert!(reply.starts_with("-"), "nobody serves that: {reply}");
    wait_alarm(&proxy, &["slots 512-1023"]);
    dashboard.write_server(&two);
    wait_until("the other group is served", DEADLINE, || {
        match proxy.client().text(&["SET", &broken, "1"]).as_str() {
            "+OK\r\n" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    wait_serves(&proxy, DEADLINE);
    dashboard.check_confirms();
    product.check_routes(&proxy);
}

/// Goal: the answer to a promotion comes only with the new primary, also when the proxy has looked
/// in the moment without one.
#[test]
fn a_promotion_is_answered_when_the_group_has_its_new_primary() {
    let product = Product::start(Flavour::Reborn);
    let replica = RedisServer::options().replica_of(&product.one).start();
    let dashboard = &product.dashboard;
    dashboard.add_server(1, replica.addr(), "slave").expect("no action");
    let options = product.options("proxy_1").allow_log(ALARM);
    let proxy = dashboard.start_online("proxy_1", options);
    let key = key_in(SLOTS_OF_GROUPS[0], "promoted");
    let promoted = dashboard.promote_with(1, replica.addr(), || {
        // Somebody else makes the proxy look now.
        let told = dashboard.tell("slot_changed", &dashboard.slot(SLOTS_OF_GROUPS[0]).json());
        let path = dashboard.path(&format!("ActionResponse/{}", told.sequence));
        let client = dashboard.client();
        let answered = client.wait_children(&path, MOMENT, |names| !names.is_empty());
        assert_eq!(answered, Err(Vec::new()), "the group has no primary");
        assert_eq!(proxy.client().text(&["SET", &key, "1"]), "+OK\r\n", "the old route stays");
    });
    promoted.expect("the proxy answers");
    assert_eq!(proxy.client().text(&["SET", &key, "2"]), "+OK\r\n");
    assert_eq!(replica.client().text(&["GET", &key]), "$1\r\n2\r\n");
}

/// Goal: a promotion that fails for a fence leaves nodes that nobody was told of; the next word
/// about the group, whoever says it, brings the proxy up to date.
#[test]
fn what_a_failed_promotion_has_written_is_seen_with_the_next_action() {
    let product = Product::start(Flavour::Codis20);
    let replica = RedisServer::options().replica_of(&product.one).start();
    let dashboard = &product.dashboard;
    dashboard.add_server(1, replica.addr(), "slave").expect("no action");
    let proxy = product.start_online("proxy_1");
    dashboard.client().put(&dashboard.path("fence/gone:19000"), "");
    let failed = dashboard.promote(1, replica.addr());
    let stale = integration::old_dashboard::Failure::Fenced(vec!["gone:19000".to_owned()]);
    assert_eq!(failed, Err(stale));
    assert_eq!(dashboard.primary(1), replica.addr(), "everything is written");
    dashboard.remove_fences();
    dashboard.tell_group(1).expect("the proxy answers");
    let key = key_in(SLOTS_OF_GROUPS[0], "promoted");
    assert_eq!(proxy.client().text(&["SET", &key, "1"]), "+OK\r\n");
    assert_eq!(replica.client().text(&["GET", &key]), "$1\r\n1\r\n");
}

#[test]
fn alarms_are_shown_while_they_last() {
    let broken = Broken::start(Flavour::Codis192);
    assert_eq!(alarms(&broken.proxy), Vec::<String>::new());
    assert_eq!(broken.metric("keyway_coordinator_alarms").as_deref(), Some("0"));
    broken.write_server("offline", 1, &broken.product.one);
    let told = broken.tell_group(1);
    broken.check_broken(&told, &["slots 0-511"]);
    let shown = alarms(&broken.proxy);
    assert!(shown.iter().any(|text| text.contains("slots 0-511")), "{shown:?}");
    assert_ne!(broken.metric("keyway_coordinator_alarms").as_deref(), Some("0"));
    broken.write_server("master", 1, &broken.product.one);
    broken.check_mended(&told);
    wait_until("the alarms are over", DEADLINE, || match alarms(&broken.proxy) {
        none if none.is_empty() => Ok(()),
        some => Err(some),
    });
    assert_eq!(broken.metric("keyway_coordinator_alarms").as_deref(), Some("0"));
}
