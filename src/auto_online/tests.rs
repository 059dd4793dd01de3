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
fn a_dashboard_is_named_by_its_address_or_by_a_folder() {
    let dashboard = Source::Dashboard("h:18080".to_owned());
    assert_eq!(source(&["--dashboard", "h:18080"]), Ok(Some(dashboard)));
    let filesystem = Source::Filesystem("/store".into());
    assert_eq!(source(&["--filesystem=/store"]), Ok(Some(filesystem)));
    assert_eq!(source(&["h:6379"]), Ok(None));
    for wrong in ["h", "h:0", "http://h:1", "h:1/x"] {
        assert!(source(&["--dashboard", wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn the_ways_to_get_slots_exclude_each_other() {
    let ways: [&[&str]; 4] =
        [&["--dashboard=h:1"], &["--filesystem=/s"], &["--fillslots=f"], &["h:6379"]];
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
    for flag in ["--dashboard=", "--filesystem=", "--fillslots="] {
        assert!(source(&[flag]).is_err(), "{flag}");
    }
}

#[test]
fn the_store_of_a_coordinator_has_the_layout_of_codis() {
    let file = dashboard_file(Path::new("/store"), "lab");
    assert_eq!(file, Path::new("/store/data/codis3/lab/topom"));
}
