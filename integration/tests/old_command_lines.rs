//! Proxies that are started as those of Codis 1.9, Codis 2.0 and RebornDB were: with their file, their
//! flags and nothing else but the generation, in their products, for their clients.

use integration::http_receiver::{HttpReceiver, HttpRequest};
use integration::old_dashboard::Flavour;
use integration::old_dashboard::proxies::wait_serves;
use integration::proxy::{KeywayProxy, ProxyOptions};
use integration::{DEADLINE, OldDashboard, Product, RedisServer, wait_until};

/// Starts the proxy, has it put online, and sees that it serves as the nodes say.
fn serve(product: &Product, id: &str, options: ProxyOptions) -> KeywayProxy {
    let proxy = options.start();
    product.dashboard.wait_registered(id);
    product.dashboard.put_online(id).expect("all slots are online");
    wait_serves(&proxy, DEADLINE);
    proxy
}

#[test]
fn a_proxy_of_codis_1_9_is_replaced_by_its_file_and_flags() {
    let product = Product::start(Flavour::Codis192);
    let zk = product.zookeeper.addr();
    let ini = format!("zk={zk}\nproduct=test\nproxy_id=proxy_1\nnet_timeout=5\nproto=tcp\n");
    let options = ProxyOptions::default().ini(&ini).argument("--topology=codis1");
    let proxy = serve(&product, "proxy_1", options);
    product.check_routes(&proxy);
    let mut client = proxy.client();
    assert_eq!(client.text(&["PING", "x"]), "+PONG\r\n");
    assert_eq!(client.text(&["AUTH", "whatever"]), "+OK\r\n");
    product.dashboard.set_range(0, 1023, 2).expect("the proxy answers");
}

#[test]
fn a_proxy_of_codis_2_is_replaced_by_its_file_and_flags_and_asks_for_being_online() {
    let product = Product::start(Flavour::Codis20);
    let asked = OldDashboard::new(product.zookeeper.client(), Flavour::Codis20);
    let rest = HttpReceiver::start(0, move |_: &HttpRequest| match asked.put_online("proxy_1") {
        Ok(()) => (200, "{\"msg\":\"OK\",\"ret\":0}".to_owned()),
        Err(failure) => (500, failure.to_string()),
    });
    let (zk, dashboard) = (product.zookeeper.addr(), rest.addr());
    let ini = format!(
        "zk={zk}\nproduct=test\nproxy_id=proxy_1\ndashboard_addr={dashboard}\nproto=tcp4\n\
         password=\nbackend_ping_period=5\nsession_max_timeout=1800\nsession_max_bufsize=131072\n\
         session_max_pipeline=1024\nzk_session_timeout=4000\ntopology=codis2\n"
    );
    let options = ProxyOptions::default().ini(&ini).argument("--log-filesize=1gb");
    let proxy = options.allow_log("is ignored").start();
    wait_serves(&proxy, DEADLINE);
    product.check_routes(&proxy);
    assert_eq!(
        proxy.client().text(&["SELECT", "1"]),
        "-ERR invalid DB index, only accept DB 0\r\n"
    );
}

#[test]
fn a_proxy_of_reborndb_is_replaced_by_its_file_and_flags() {
    let product = Product::start(Flavour::Reborn);
    let zk = product.zookeeper.addr();
    let ini = format!("coordinator=zookeeper\ncoordinator_addr={zk}\nproduct=test\nstore_auth=\n");
    let options = ["--topology=reborn", "--id=proxy_7", "--proxy-auth=secret", "--net-timeout=5"]
        .into_iter()
        .fold(ProxyOptions::default().ini(&ini), ProxyOptions::argument);
    let proxy = options.start();
    product.dashboard.wait_registered("proxy_7");
    product.dashboard.put_online("proxy_7").expect("all slots are online");
    let mut client = proxy.client();
    wait_until("a client that knows no password is told so", DEADLINE, || {
        client = proxy.client();
        match client.text(&["PING"]).as_str() {
            "-ERR NOAUTH Authentication required\r\n" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    wait_until("a client that knows the password is let in", DEADLINE, || {
        client = proxy.client();
        match client.text(&["AUTH", "secret"]).as_str() {
            "+OK\r\n" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    assert_eq!(client.text(&["SET", "key", "1"]), "+OK\r\n");
    assert_eq!(client.text(&["KEYS", "*"]), "-KEYS not allowed\r\n");
    let has_key = |server: &RedisServer| server.client().text(&["EXISTS", "key"]) == ":1\r\n";
    assert!(has_key(&product.one) || has_key(&product.two));
}
