use super::*;
use crate::settings::keys;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
const BEGIN: &str = "<!-- settings: written by the tests of `config` -->\n";
const END: &str = "<!-- end of settings -->\n";

// The tables of the document come from the settings' own documentation. With UPDATE_DOCS=1 in the
// environment this test writes them instead of comparing.
#[test]
fn the_document_describes_every_setting() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let (head, rest) = document.split_once(BEGIN).unwrap();
    let (tables, tail) = rest.split_once(END).unwrap();
    let expected = format!("\n{}", reference());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(DOCUMENT, format!("{head}{BEGIN}{expected}{END}{tail}")).unwrap();
    } else {
        assert!(
            tables == expected,
            "docs/configuration.md is out of date, run: UPDATE_DOCS=1 cargo test -p config"
        );
    }
}

#[test]
fn the_default_file_names_every_setting_with_its_meaning() {
    let file = default_file();
    for key in keys() {
        assert!(file.contains(&format!("\n{} = ", key.name)), "{}", key.name);
        assert!(!meaning(key).is_empty(), "{}", key.name);
    }
    for line in file.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn every_name_is_given_once() {
    let mut names: Vec<&str> = keys().map(|key| key.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn the_public_form_has_texts_for_times_and_sizes_and_no_secret() {
    let json = Config::default().to_public_json();
    let value = |name: &str| json.get(name).cloned().unwrap_or_default();
    assert_eq!(value("session_recv_timeout"), "30m");
    assert_eq!(value("backend_keepalive_period"), "75s");
    assert_eq!(value("backend_recv_bufsize"), "128kb");
    assert_eq!(value("proxy_max_offheap_size"), "1gb");
    assert_eq!(value("proxy_max_clients"), 1000);
    assert_eq!(value("backend_primary_only"), false);
    assert_eq!(value("proto_type"), "tcp4");
    for secret in ["product_auth", "session_auth", "metrics_report_influxdb_password"] {
        assert!(!json.contains_key(secret), "{secret}");
    }
}

// The admin API shows every key of a Codis file, also those that do nothing here.
#[test]
fn keys_of_codis_without_effect_are_kept() {
    let silent = SECTIONS.last().into_iter();
    let json = Config::default().to_public_json();
    for key in silent.flat_map(|section| section.keys) {
        assert!(json.contains_key(key.name), "{}", key.name);
    }
}
