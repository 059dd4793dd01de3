use super::*;
use crate::world::simulate;

const MOVED: [&str; 8] = ["MIGRATE", "10.0.0.2", "6379", "", "0", "200", "REPLACE", "KEYS"];

/// Two servers, and conversations with both.
fn with_servers(kind: Kind, test: impl AsyncFnOnce(&Network, Talk, Talk)) {
    simulate(1, async |world| {
        let network = Network::start(&world, 2, kind);
        let [source, target] = &network.servers[..] else { panic!("two servers") };
        let source = Talk::with(source).await.unwrap();
        let target = Talk::with(target).await.unwrap();
        test(&network, source, target).await;
    });
}

async fn ask(talk: &mut Talk, line: &str) -> Reply {
    let args: Vec<_> = line.split(' ').collect();
    talk.ask(&args).await.unwrap()
}

async fn migrate(talk: &mut Talk, keys: &[&str]) -> Reply {
    let args: Vec<_> = MOVED.iter().chain(keys).collect();
    talk.ask(&args).await.unwrap()
}

fn is_error(reply: &Reply, word: &str) -> bool {
    matches!(reply, Reply::Error(text) if text.contains(word))
}

#[test]
fn a_migrated_key_is_at_its_target_and_no_more_at_its_source() {
    with_servers(Kind::Stock, async |_, mut source, mut target| {
        ask(&mut source, "MSET a 1 b 2").await;
        ask(&mut target, "SET a old").await;
        assert_eq!(migrate(&mut source, &["a", "b", "c"]).await, Reply::ok());
        assert_eq!(ask(&mut source, "EXISTS a b").await, Reply::Integer(0));
        let both = vec![Reply::bulk("1"), Reply::bulk("2")];
        assert_eq!(ask(&mut target, "MGET a b").await, Reply::Array(Some(both)));
        assert_eq!(migrate(&mut source, &["a"]).await, Reply::Status("NOKEY".to_owned()));
    });
}

#[test]
fn without_replace_a_key_of_the_target_stays() {
    with_servers(Kind::Stock, async |_, mut source, mut target| {
        ask(&mut source, "SET a 1").await;
        ask(&mut target, "SET a newer").await;
        let reply = ask(&mut source, "MIGRATE 10.0.0.2 6379 a 0 200").await;
        assert!(is_error(&reply, "BUSYKEY"), "{reply:?}");
        assert_eq!(ask(&mut target, "GET a").await, Reply::bulk("newer"));
        assert_eq!(ask(&mut source, "EXISTS a").await, Reply::Integer(1));
    });
}

#[test]
fn a_key_that_may_not_have_come_stays_and_a_frozen_target_takes_it_later() {
    with_servers(Kind::Stock, async |network, mut source, mut target| {
        ask(&mut source, "SET a 1").await;
        network.servers[1].become_frozen(true);
        let reply = migrate(&mut source, &["a"]).await;
        assert!(is_error(&reply, "IOERR"), "{reply:?}");
        assert_eq!(ask(&mut source, "GET a").await, Reply::bulk("1"));
        network.servers[1].become_frozen(false);
        assert_eq!(ask(&mut target, "GET a").await, Reply::bulk("1"));
        network.servers[1].become_unreachable(true);
        assert!(is_error(&migrate(&mut source, &["a"]).await, "IOERR"));
    });
}

#[test]
fn codis_servers_move_all_keys_of_a_tag() {
    with_servers(Kind::Codis, async |_, mut source, mut target| {
        ask(&mut source, "MSET {t}a 1 {t}b 2 x 3").await;
        let reply = ask(&mut source, "SLOTSMGRTTAGONE 10.0.0.2 6379 200 {t}a").await;
        assert_eq!(reply, Reply::Integer(2));
        assert_eq!(ask(&mut source, "EXISTS {t}a {t}b x").await, Reply::Integer(1));
        assert_eq!(ask(&mut target, "EXISTS {t}a {t}b x").await, Reply::Integer(2));
        let reply = ask(&mut source, "SLOTSMGRTTAGONE 10.0.0.2 6379 200 {t}a").await;
        assert_eq!(reply, Reply::Integer(0));
    });
}

#[test]
fn the_wrapper_runs_a_command_where_the_key_is_unless_it_is_under_way() {
    with_servers(Kind::Codis, async |network, mut source, mut other| {
        let wrapped = |number, reply| Reply::Array(Some(vec![Reply::Integer(number), reply]));
        let set = "SLOTSMGRT-EXEC-WRAPPER a SET a 2";
        let absent = ask(&mut source, set).await;
        assert_eq!(absent, wrapped(0, Reply::error("ERR the specified key doesn't exist")));
        ask(&mut source, "SET a 1").await;
        assert_eq!(ask(&mut source, set).await, wrapped(2, Reply::ok()));
        network.servers[1].become_frozen(true);
        let slot = routing::slot_of(b"a").index();
        let order = format!("SLOTSMGRTTAGSLOT-ASYNC 10.0.0.2 6379 300 200 9999 {slot} 2");
        let mut mover = Talk::with(&network.servers[0]).await.unwrap();
        mover.say(&order.split(' ').collect::<Vec<_>>()).await;
        pause(50).await;
        let busy = wrapped(1, Reply::error("ERR the specified key is being migrated"));
        assert_eq!(ask(&mut source, set).await, busy);
        let read = ask(&mut source, "SLOTSMGRT-EXEC-WRAPPER a GET a").await;
        assert_eq!(read, wrapped(2, Reply::bulk("2")));
        network.servers[1].become_frozen(false);
        assert_eq!(ask(&mut other, "GET a").await, Reply::bulk("2"));
    });
}

#[test]
fn servers_know_the_commands_of_their_kind() {
    let question = "COMMAND INFO MIGRATE SLOTSMGRTTAGONE SLOTSMGRT-EXEC-WRAPPER";
    for (kind, nils) in [(Kind::Stock, 2), (Kind::Codis, 0)] {
        with_servers(kind, async |_, mut source, _| {
            let Reply::Array(Some(known)) = ask(&mut source, question).await else {
                panic!("an array");
            };
            assert_eq!(known.iter().filter(|entry| **entry == Reply::Array(None)).count(), nils);
            let reply = ask(&mut source, "SLOTSMGRT-EXEC-WRAPPER a GET a").await;
            assert_eq!(is_error(&reply, "unknown command"), kind == Kind::Stock);
        });
    }
}
