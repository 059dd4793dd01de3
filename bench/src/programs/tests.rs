//! Tests of the version line and of the advice for missing programs.

use super::*;

#[test]
fn the_version_is_the_first_line_that_says_anything() {
    let check = |text: &str, expected: Option<&str>| {
        assert_eq!(first_line(text).as_deref(), expected);
    };
    check("\nThis is nutcracker-0.5.0\nasync\n", Some("This is nutcracker-0.5.0"));
    check(
        "HAProxy version 2.6.12 2026/10/17 - https://haproxy.org/\n",
        Some("HAProxy version 2.6.12 2026/10/17"),
    );
    check("\n \n", None);
}

#[test]
fn a_missing_program_comes_with_its_install_line() {
    let error = installed("no-such-proxy", "the-package", "-V").err().unwrap();
    let expected = "`no-such-proxy` is not installed: run `apt-get install the-package`";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_missing_keyway_comes_with_its_build_line() {
    let error = built(Path::new("no/such/keyway")).err().unwrap();
    assert!(error.to_string().contains("cargo build --release"));
}
