use super::*;

#[test]
fn a_client_counts_until_its_slot_is_dropped() {
    let counters = Arc::new(WorkerCounters::new(0));
    let clients = || counters.clients.load(Ordering::Relaxed);
    let first = ClientSlot::take(Arc::clone(&counters));
    let second = ClientSlot::take(Arc::clone(&counters));
    assert_eq!(clients(), 2);
    drop(first);
    assert_eq!(clients(), 1);
    drop(second);
    assert_eq!(clients(), 0);
}

#[test]
fn only_clients_with_at_least_their_share_pay_for_a_full_gauge() {
    let gauge = BufferGauge::new(100);
    gauge.change(0, 100);
    assert!(!gauge.is_over_because_of(100, 1), "full is not over");
    gauge.change(0, 20);
    assert!(gauge.is_over_because_of(50, 2) && !gauge.is_over_because_of(49, 2));
    assert!(gauge.is_over_because_of(usize::MAX, 2));
}

#[test]
fn the_buffer_gauge_is_over_only_above_its_ceiling() {
    let gauge = BufferGauge::new(100);
    gauge.change(0, 60);
    gauge.change(0, 40);
    assert!(!gauge.is_over());
    gauge.change(40, 41);
    assert!(gauge.is_over());
    gauge.change(60, 0);
    gauge.change(41, 0);
    assert_eq!((gauge.bytes(), gauge.is_over()), (0, false));
}

#[test]
fn a_counter_goes_up_and_down() {
    let counter = Counter::default();
    counter.add(5);
    counter.sub(2);
    assert_eq!(counter.value(), 3);
}

#[test]
fn the_clock_stands_until_somebody_looks() {
    let clock = Clock::since(Instant::now());
    assert_eq!((clock.now_us(), clock.now_ms()), (0, 0));
    clock.refresh();
    let seen = clock.now_us();
    assert_eq!((clock.now_us(), clock.now_ms()), (seen, seen / 1000));
    clock.refresh();
    assert!(clock.now_us() >= seen);
}

#[test]
fn a_backend_with_credentials_of_its_own_gets_those() {
    let addr = |text: &str| text.parse::<routing::BackendAddr>().unwrap();
    let credentials = |user: &str| Credentials { user: user.to_owned(), ..Credentials::default() };
    let settings = Settings {
        session_credentials: Credentials::default(),
        product_credentials: credentials("product"),
        backend_credentials: vec![(addr("10.0.0.1:6379"), credentials("own"))],
        database_initial: 0,
        redis_version: String::new(),
        is_primary_only: false,
        config: Config::default(),
    };
    assert_eq!(settings.credentials_of(&addr("10.0.0.1:6379")).user, "own");
    assert_eq!(settings.credentials_of(&addr("10.0.0.1:6380")).user, "product");
}

#[test]
fn a_run_id_has_forty_hex_digits() {
    let id = random_hex();
    assert!(id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "`{id}`");
    assert_ne!(id, random_hex());
}
