use super::*;

fn check_refused(change: impl FnOnce(&mut Config), expected: &str) {
    let mut config = Config::default();
    change(&mut config);
    let mut findings = Findings::default();
    check(&mut config, &mut findings);
    let errors: Vec<&str> = findings.errors.iter().map(|error| error.text.as_str()).collect();
    let expected: Vec<&str> = if expected.is_empty() { vec![] } else { vec![expected] };
    assert_eq!(errors, expected);
}

#[test]
fn a_report_goes_to_a_plain_url() {
    for url in ["http://h", "http://h:8086", "http://h:8086/", "http://[::1]:1/a?b=c", ""] {
        check_refused(|config| config.metrics_report_server = url.to_owned(), "");
    }
    for url in ["h:8086", "http://", "http:///path", "http://h:0", "http://h/a b", "ftp://h"] {
        check_refused(
            |config| config.metrics_report_server = url.to_owned(),
            "`metrics_report_server` is no URL: write `http://host:port/path`",
        );
    }
}

#[test]
fn a_url_with_tls_or_a_password_is_refused_with_the_reason() {
    check_refused(
        |config| config.metrics_report_server = "https://h".to_owned(),
        "`metrics_report_server` must begin with `http://`: reports are sent without TLS",
    );
    check_refused(
        |config| config.metrics_report_server = "http://user:word@h/".to_owned(),
        "`metrics_report_server` must not hold a user or a password",
    );
}

#[test]
fn an_influxdb_needs_a_database() {
    let server = |config: &mut Config| {
        config.metrics_report_influxdb_server = "http://h:8086".to_owned();
    };
    check_refused(
        server,
        "`metrics_report_influxdb_database` is needed with `metrics_report_influxdb_server`",
    );
    let complete = |config: &mut Config| {
        server(config);
        config.metrics_report_influxdb_database = "db".to_owned();
    };
    check_refused(complete, "");
}

#[test]
fn a_prefix_cannot_break_the_form_of_gauges() {
    for prefix in ["", "codis", "a.b", "a-b_c/d"] {
        check_refused(|config| config.metrics_report_statsd_prefix = prefix.to_owned(), "");
    }
    for prefix in ["a:b", "a|b", "a b", "a\nb"] {
        check_refused(
            |config| config.metrics_report_statsd_prefix = prefix.to_owned(),
            "`metrics_report_statsd_prefix` may have letters, digits, `.`, `_`, `-` and `/`",
        );
    }
}

#[test]
fn a_period_below_a_second_is_raised_with_a_warning() {
    let mut config =
        Config { metrics_report_period: Duration::from_millis(10), ..Config::default() };
    let mut findings = Findings::default();
    check(&mut config, &mut findings);
    assert_eq!(config.metrics_report_period, Duration::from_secs(1));
    let warnings: Vec<&str> = findings.warnings.iter().map(|w| w.text.as_str()).collect();
    assert_eq!(warnings, ["`metrics_report_period` is raised to 1s, the least there is"]);
}
