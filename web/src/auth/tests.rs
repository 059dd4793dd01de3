use super::*;

fn check_xauth(product: &str, auth: &str, token: &str, expected: &str) {
    let xauth = proxy_xauth(product, &Secret::new(auth), token);
    assert_eq!(xauth.expose(), expected, "{product}");
}

#[test]
fn an_xauth_is_the_one_that_codis_programs_compute() {
    let lab = "65d26f90a00076a88f002a630a459483";
    check_xauth("lab", "s3cret", lab, "ebae4750390ad35d15b4e8651b41ae59");
    let labe = "af6f5a8353c8d106d8527f7063a9bf92";
    check_xauth("labe", "s3cret", labe, "09bbaa48b5ec8f2eac1ff2481622d227");
}

#[test]
fn an_empty_password_still_counts_as_a_segment_of_the_xauth() {
    let token = "5e71c47229de1482bbd255dfbfe1ba44";
    check_xauth("codis-demo", "", token, "d33ae1d17d1b895b116b52ffa0b4f297");
}

#[test]
fn a_dashboard_knows_its_callers_by_the_product_alone() {
    assert_eq!(dashboard_xauth("lab").expose(), "416e95f74eaf1a2459c1185514dc8425");
    assert_eq!(dashboard_xauth("codis-demo").expose(), "95b62887719520f17e312eaa76d28f2b");
}

#[test]
fn a_token_is_the_one_that_a_codis_proxy_has_on_the_same_addresses() {
    // In another order than the one they are hashed in.
    let macs = ["8e:6c:fd:59:a0:d2", "02:fc:00:00:00:01", "5a:63:26:81:77:50"].map(str::to_owned);
    assert_eq!(
        proxy_token(&macs, "lab", "127.0.0.1:29000", "127.0.0.1:21080"),
        "65d26f90a00076a88f002a630a459483"
    );
    assert_eq!(
        proxy_token(&macs, "codis-demo", "0.0.0.0:49000", "[::]:41080"),
        "5e71c47229de1482bbd255dfbfe1ba44"
    );
}

#[test]
fn interfaces_without_a_hardware_address_do_not_count() {
    let folder = std::env::temp_dir().join(format!("keyway-macs-{}", std::process::id()));
    for (name, address) in [("lo", "00:00:00:00:00:00\n"), ("eth0", "02:FC:00:00:00:01\n")] {
        fs::create_dir_all(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("address"), address).unwrap();
    }
    fs::create_dir_all(folder.join("tun0")).unwrap();
    let macs = mac_addresses_in(&folder);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(macs, ["02:fc:00:00:00:01"]);
    assert_eq!(mac_addresses_in(&folder), [""; 0]);
}

#[test]
fn only_the_whole_secret_is_the_same() {
    let secret = Secret::new("abc");
    assert!(is_same(&secret, "abc"));
    for wrong in ["", "a", "ab", "abd", "abcd", "ABC"] {
        assert!(!is_same(&secret, wrong), "{wrong}");
    }
}
