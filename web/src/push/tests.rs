use super::*;

#[test]
fn a_target_is_called_by_its_host_alone() {
    assert_eq!(authority("http://h:8086/write?token=secret"), "h:8086");
    assert_eq!(authority("http://h?token=secret"), "h");
    assert_eq!(authority("http://[::1]:80/"), "[::1]:80");
}

#[test]
fn a_report_takes_less_than_its_period() {
    assert_eq!(send_timeout(Duration::from_secs(1)), Duration::from_millis(900));
    assert_eq!(send_timeout(Duration::from_secs(10)), Duration::from_secs(9));
    assert_eq!(send_timeout(Duration::from_secs(3600)), SEND_TIMEOUT_MAX);
}

#[test]
fn only_what_is_configured_is_a_target() {
    let run = |config: Config| {
        let targets = async move {
            let targets = Target::all(&config);
            targets.iter().map(|(target, _)| target.name(&config)).collect::<Vec<_>>()
        };
        actix_rt::System::new().block_on(targets)
    };
    assert_eq!(run(Config::default()), vec![]);
    let config = Config {
        metrics_report_server: "http://a:1/x".to_owned(),
        metrics_report_influxdb_server: "http://b:2".to_owned(),
        metrics_report_statsd_server: "c:3".to_owned(),
        ..Config::default()
    };
    let expected = [("url", "a:1"), ("influxdb", "b:2"), ("statsd", "c:3")];
    assert_eq!(run(config), expected.map(|(kind, name)| (kind, name.to_owned())));
}
