use clap::Parser as _;

use super::*;
use crate::cli::{Cli, Command};

fn source(args: &[&str]) -> Result<Option<Source>, String> {
    let cli = Cli::try_parse_from(["keyway", "proxy"].iter().chain(args));
    let cli = cli.map_err(|error| error.kind().to_string())?;
    let Some(Command::Proxy(args)) = cli.command else { panic!("not a proxy") };
    Source::of(&args).map_err(|failure| match failure {
        Failure::Usage(error) => error.kind().to_string(),
        Failure::Other(error) => format!("{error:#}"),
        Failure::Status(status) => status.to_string(),
    })
}

#[test]
fn a_dashboard_is_named_by_its_address_or_by_a_coordinator() {
    let dashboard = Source::Dashboard("h:18080".to_owned());
    assert_eq!(source(&["--dashboard", "h:18080"]), Ok(Some(dashboard)));
    let filesystem = Source::Filesystem("/store".into());
    assert_eq!(source(&["--filesystem=/store"]), Ok(Some(filesystem)));
    let coordinator = |kind, credentials: Option<&str>| Source::Coordinator {
        kind,
        addrs: "h:1,i:2".to_owned(),
        credentials: credentials.map(Secret::new),
    };
    let zookeeper = coordinator(Kind::ZooKeeper, None);
    assert_eq!(source(&["--zookeeper=h:1,i:2"]), Ok(Some(zookeeper)));
    let zookeeper = coordinator(Kind::ZooKeeper, Some("u:p"));
    let args = ["--zookeeper", "h:1,i:2", "--zookeeper-auth", "u:p"];
    assert_eq!(source(&args), Ok(Some(zookeeper)));
    let etcd = coordinator(Kind::Etcd, Some("u:p"));
    assert_eq!(source(&["--etcd=h:1,i:2", "--etcd-auth=u:p"]), Ok(Some(etcd)));
    assert_eq!(source(&["h:6379"]), Ok(None));
    for (other, alone) in [
        ("h:6379", "--zookeeper-auth=u:p"),
        ("--etcd=h:1", "--zookeeper-auth=u:p"),
        ("--config=f", "--etcd-auth=u:p"),
        ("--zookeeper=h:1", "--etcd-auth=u:p"),
    ] {
        assert!(source(&[other, alone]).is_err(), "{other} {alone}");
    }
    for wrong in ["h", "h:0", "http://h:1", "h:1/x"] {
        assert!(source(&["--dashboard", wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn the_ways_to_get_slots_exclude_each_other() {
    let ways: [&[&str]; 6] = [
        &["--dashboard=h:1"],
        &["--filesystem=/s"],
        &["--zookeeper=h:1"],
        &["--etcd=h:1"],
        &["--fillslots=f"],
        &["h:6379"],
    ];
    for (index, way) in ways.iter().enumerate() {
        for other in ways.iter().skip(index + 1) {
            let both = [*way, *other].concat();
            let refused = source(&both).unwrap_err();
            assert!(refused.contains("cannot be used with"), "{both:?}: {refused}");
        }
    }
}

#[test]
fn an_option_without_a_value_is_refused() {
    for flag in ["--dashboard=", "--filesystem=", "--zookeeper=", "--etcd=", "--fillslots="] {
        assert!(source(&[flag]).is_err(), "{flag}");
    }
    assert!(source(&["--zookeeper=h:1", "--zookeeper-auth="]).is_err());
    assert!(source(&["--etcd=h:1", "--etcd-auth="]).is_err());
}

#[test]
fn the_address_of_a_dashboard_is_in_its_stored_model() {
    let path = Paths::new("lab").unwrap().dashboard();
    let stored = br#"{"token": "59", "admin_addr": "127.0.0.1:28080", "product_name": "lab"}"#;
    assert_eq!(addr_in(&path, stored).unwrap(), "127.0.0.1:28080");
    for text in ["", "{}", "[]", r#"{"admin_addr":""}"#, r#"{"admin_addr":"h/../x"}"#] {
        let error = format!("{:#}", addr_in(&path, text.as_bytes()).unwrap_err());
        assert!(error.contains("`/codis3/lab/topom`"), "{text}: {error}");
    }
}
