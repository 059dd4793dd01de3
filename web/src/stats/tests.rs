use super::*;

fn stats() -> Stats {
    Stats {
        online: true,
        closed: false,
        sentinels: Sentinels::default(),
        ops: Ops { total: 197, fails: 1, redis: RedisErrors { errors: 71 }, qps: 0, cmd: vec![] },
        sessions: Sessions { total: 204, alive: 0 },
        rusage: ResourceUsage {
            now: "2026-11-20 07:40:33.681788009 +0000 UTC".to_owned(),
            cpu: 0.5,
            mem: 34_127_872,
            raw: Some(Usage { utime: 1_090_000_000, ..Usage::default() }),
        },
        backend: BackendPolicy { primary_only: false },
        runtime: None,
    }
}

#[test]
fn stats_are_what_a_dashboard_decodes() {
    let expected = concat!(
        r#"{"online":true,"closed":false,"sentinels":{},"#,
        r#""ops":{"total":197,"fails":1,"redis":{"errors":71},"qps":0},"#,
        r#""sessions":{"total":204,"alive":0},"#,
        r#""rusage":{"now":"2026-11-20 07:40:33.681788009 +0000 UTC","cpu":0.5,"mem":34127872,"#,
        r#""raw":{"utime":1090000000,"stime":0,"cutime":0,"cstime":0,"#,
        r#""num_threads":0,"vm_size":0,"vm_rss":0}},"#,
        r#""backend":{"primary_only":false}}"#
    );
    assert_eq!(serde_json::to_string(&stats()).unwrap(), expected);
}

#[test]
fn a_usage_that_the_system_does_not_tell_is_left_out() {
    let usage = ResourceUsage::default();
    assert_eq!(serde_json::to_string(&usage).unwrap(), r#"{"now":"","cpu":0.0,"mem":0}"#);
}

#[test]
fn numbers_per_command_have_the_names_of_codis() {
    let ops = CommandOps { opstr: "GET".to_owned(), calls: 6, ..CommandOps::default() };
    let expected = concat!(
        r#"{"opstr":"GET","calls":6,"usecs":0,"usecs_percall":0,"#,
        r#""fails":0,"redis_errtype":0}"#
    );
    assert_eq!(serde_json::to_string(&ops).unwrap(), expected);
}

#[test]
fn all_numbers_of_the_runtime_but_one_are_integers() {
    let usage = Usage { vm_rss: 7, vm_size: 9, num_threads: 4, ..Usage::default() };
    let runtime = serde_json::to_value(Runtime::of(&usage, 2, 5)).unwrap();
    let mut fractions = Vec::new();
    for (group, numbers) in runtime.as_object().unwrap() {
        match numbers.as_object() {
            None => assert!(numbers.is_u64(), "{group}"),
            Some(numbers) => fractions.extend(
                numbers.iter().filter(|(_, number)| !number.is_u64()).map(|(name, _)| name.clone()),
            ),
        }
    }
    assert_eq!(fractions, ["cpu_fraction"]);
    assert_eq!(runtime["num_goroutines"], 4);
}

#[test]
fn flags_are_bits() {
    let parts = |flags: i64| (Flags(flags).has_commands(), Flags(flags).has_runtime());
    assert_eq!(parts(0), (false, false));
    assert_eq!(parts(2), (false, false));
    assert_eq!(parts(5), (true, true));
    assert_eq!(parts(-1), (true, true));
    assert_eq!(parts(Flags::FULL.0), (true, true));
}

#[test]
fn sentinels_are_told_as_far_as_there_are_any() {
    let addr = |text: &str| text.parse().unwrap();
    let check = |report: &SentinelReport, expected: &str| {
        let text = serde_json::to_string(&Sentinels::of(report)).unwrap();
        assert_eq!(text, expected);
    };
    let mut report = SentinelReport::default();
    check(&report, "{}");
    report.servers.push(addr("127.0.0.1:26479"));
    check(&report, r#"{"servers":["127.0.0.1:26479"]}"#);
    report.primaries.insert(2, addr("127.0.0.1:16382"));
    report.primaries.insert(1, addr("127.0.0.1:16383"));
    report.is_switched = true;
    check(
        &report,
        concat!(
            r#"{"servers":["127.0.0.1:26479"],"#,
            r#""masters":{"1":"127.0.0.1:16383","2":"127.0.0.1:16382"},"switched":true}"#
        ),
    );
}
