//! Actions: their effect, their answers, and what gets none.

use std::time::Duration;

use config::Topology;
use coordinator::codis1::{Event, Proxy, ServerType, SlotRange, SlotStatus, Stored as _};

use super::world::{World, group, run, slot_node};

const RETRIES: Duration = Duration::from_secs(10);

#[test]
fn an_action_is_answered_when_its_slots_are_filled() {
    run(Topology::Codis1, async |world: World| {
        world.go_online().await;
        world.set_slot(7, SlotStatus::Online, 2, -1).await;
        // The nodes say how slots are, not the action.
        world.order(Event::SlotChanged(slot_node(7, SlotStatus::Offline, -1, -1))).await;
        assert_eq!(world.primary(7).await, "b:1");
        world.set_slot(7, SlotStatus::Migrate, 1, 2).await;
        world.order(Event::SlotMigrate(slot_node(7, SlotStatus::Migrate, 1, 2))).await;
        assert_eq!(world.slot(7).await.source.unwrap().addr.to_string(), "b:1");
        for slot in 100..=110 {
            world.set_slot(slot, SlotStatus::Offline, -1, -1).await;
        }
        let range = SlotRange { from: 100, to: 110, ..SlotRange::default() };
        world.order(Event::MultiSlotChanged(range)).await;
        assert_eq!(world.primary(110).await, "");
        let report = world.report().await;
        assert_eq!((report.actions_answered, report.actions_waiting), (3, 0));
        let last = report.last_action.unwrap();
        assert_eq!((last.sequence.as_str(), last.kind), ("0000000104", "multi_slot_changed"));
        assert!(last.answered_after.is_some());
    });
}

#[test]
fn an_action_without_anything_to_do_is_answered() {
    run(Topology::Codis1, async |world: World| {
        world.go_online().await;
        world.order(Event::GroupRemove(group(9))).await;
        world.order(Event::GroupChanged(group(9))).await;
        world.order(Event::MultiSlotChanged(SlotRange::default())).await;
        let beyond = SlotRange { from: 2000, to: 3000, ..SlotRange::default() };
        world.order(Event::MultiSlotChanged(beyond)).await;
    });
}

#[test]
fn an_action_for_somebody_else_is_not_answered() {
    run(Topology::Codis1, async |world: World| {
        world.go_online().await;
        let me = world.own().await.unwrap();
        let text = |proxy: Proxy| String::from_utf8(proxy.encode()).unwrap();
        let others = [
            vec![],
            vec!["p2".to_owned()],
            vec![text(Proxy { pid: me.pid + 1, ..me.clone() })],
            vec![text(Proxy { start_at: "start 9".to_owned(), ..me.clone() })],
            vec![text(Proxy { id: "p2".to_owned(), ..me.clone() })],
        ];
        let mut foreign = Vec::new();
        for receivers in others {
            foreign.push(world.publish(Event::GroupRemove(group(1)), receivers).await);
        }
        let legacy = vec!["p2".to_owned(), "p1".to_owned()];
        let legacy = world.publish(Event::GroupRemove(group(1)), legacy).await;
        world.until("answer", async || world.is_answered(&legacy).await).await;
        world.pass(RETRIES).await;
        for action in foreign {
            assert!(!world.is_answered(&action).await, "{action}");
        }
    });
}

#[test]
fn a_late_action_with_a_lower_number_is_answered() {
    run(Topology::Codis1, async |world: World| {
        world.go_online().await;
        let me = world.me().await;
        world.order(Event::GroupRemove(group(1))).await;
        world.publish_as("0000000050", Event::GroupRemove(group(1)), me).await;
        world.until("answer", async || world.is_answered("0000000050").await).await;
    });
}

#[test]
fn a_promotion_is_answered_when_the_group_has_its_primary() {
    run(Topology::Codis1, async |world: World| {
        world.set_slot(3, SlotStatus::Migrate, 2, 1).await;
        world.go_online().await;
        world.set_server(1, "a:1", ServerType::Offline).await;
        let action = world.publish(Event::GroupChanged(group(1)), world.me().await).await;
        let is_told = async || world.report().await.alarm_count > 0;
        world.until("alarm", is_told).await;
        world.pass(RETRIES).await;
        assert!(!world.is_answered(&action).await);
        assert_eq!(world.primary(0).await, "a:1", "the last good route stays");
        assert_eq!(world.report().await.actions_waiting, 1);
        // Other groups are none the worse for it.
        world.set_slot(20, SlotStatus::Online, 2, -1).await;
        world.order(Event::SlotChanged(slot_node(20, SlotStatus::Online, 2, -1))).await;
        world.set_server(1, "c:1", ServerType::Primary).await;
        world.until("answer", async || world.is_answered(&action).await).await;
        assert_eq!(world.primary(0).await, "c:1");
        let migrating = world.slot(3).await;
        assert_eq!(migrating.source.unwrap().addr.to_string(), "c:1", "also where slots come from");
        assert_eq!(world.report().await.alarm_count, 0);
    });
}

#[test]
fn nodes_that_are_repaired_without_an_action_are_noticed() {
    run(Topology::Codis1, async |world: World| {
        let path = world.paths.slot(routing::SlotId::new(9).unwrap());
        world.until("registered", async || world.own().await.is_some()).await;
        world.put(&path, b"{broken".to_vec()).await;
        world.go_online().await;
        assert_eq!(world.primary(9).await, "");
        assert_eq!(world.primary(8).await, "a:1");
        world.set_slot(9, SlotStatus::Online, 2, -1).await;
        world.until("repaired", async || world.primary(9).await == "b:1").await;
        assert_eq!(world.report().await.alarm_count, 0);
    });
}

#[test]
fn an_action_that_is_withdrawn_is_forgotten() {
    run(Topology::Codis1, async |world: World| {
        world.go_online().await;
        world.set_server(1, "a:1", ServerType::Offline).await;
        let action = world.publish(Event::GroupChanged(group(1)), world.me().await).await;
        world.until("seen", async || world.report().await.actions_waiting == 1).await;
        world.dashboard.delete(&world.paths.action(&action).unwrap(), None).await.unwrap();
        world.until("forgotten", async || world.report().await.actions_waiting == 0).await;
        assert!(!world.is_answered(&action).await);
    });
}

#[test]
fn an_action_that_nobody_knows_gets_no_answer_and_is_told() {
    run(Topology::Codis1, async |world: World| {
        world.go_online().await;
        let path = world.paths.action("0000000090").unwrap();
        let data = format!(
            r#"{{"type":"slot_dance","desc":"","target":{{}},"ts":"1","receivers":[{:?}]}}"#,
            world.me().await[0]
        );
        world.put(&path, data.into_bytes()).await;
        let is_told = async || {
            let alarms = world.report().await.alarms;
            alarms.iter().any(|alarm| alarm.text.contains("slot_dance"))
        };
        world.until("alarm", is_told).await;
        world.order(Event::GroupRemove(group(1))).await;
    });
}

#[test]
fn requests_wait_while_the_node_says_so_also_when_it_is_taken_back_silently() {
    run(Topology::Codis2, async |world: World| {
        world.go_online().await;
        world.set_slot(7, SlotStatus::PreMigrate, 1, -1).await;
        world.order(Event::SlotPreMigrate(slot_node(7, SlotStatus::PreMigrate, 1, -1))).await;
        assert!(world.slot(7).await.is_locked);
        world.pass(RETRIES * 3).await;
        assert!(world.slot(7).await.is_locked, "for as long as the node says so");
        world.set_slot(7, SlotStatus::Online, 1, -1).await;
        world.until("unlocked", async || !world.slot(7).await.is_locked).await;
    });
}

#[test]
fn a_migration_that_is_announced_only_makes_requests_wait_for_some_time() {
    for topology in [Topology::Codis1, Topology::Reborn] {
        run(topology, async |world: World| {
            world.go_online().await;
            let announced = Event::SlotPreMigrate(slot_node(7, SlotStatus::Online, 1, -1));
            world.order(announced.clone()).await;
            assert!(world.slot(7).await.is_locked);
            // The next word about the slot.
            world.set_slot(7, SlotStatus::Migrate, 2, 1).await;
            world.order(Event::SlotMigrate(slot_node(7, SlotStatus::Migrate, 2, 1))).await;
            let slot = world.slot(7).await;
            assert!(slot.is_migrating() && !slot.is_locked);
            // Or none at all.
            world.set_slot(8, SlotStatus::Online, 1, -1).await;
            world.order(Event::SlotPreMigrate(slot_node(8, SlotStatus::Online, 1, -1))).await;
            assert!(world.slot(8).await.is_locked);
            world.until("unlocked", async || !world.slot(8).await.is_locked).await;
        });
    }
    run(Topology::Codis2, async |world: World| {
        world.go_online().await;
        world.order(Event::SlotPreMigrate(slot_node(7, SlotStatus::Online, 1, -1))).await;
        assert!(!world.slot(7).await.is_locked, "there the node is the truth");
    });
}

#[test]
fn many_actions_at_once_are_all_answered() {
    run(Topology::Codis1, async |world: World| {
        world.go_online().await;
        let me = world.me().await;
        let mut actions = Vec::new();
        for slot in 0..300 {
            world.set_slot(slot, SlotStatus::Online, 2, -1).await;
            let event = Event::SlotChanged(slot_node(slot, SlotStatus::Online, 2, -1));
            actions.push(world.publish(event, me.clone()).await);
        }
        for action in actions {
            world.until("answer", async || world.is_answered(&action).await).await;
        }
        assert_eq!(world.primary(299).await, "b:1");
        assert_eq!(world.report().await.actions_answered, 300);
    });
}
