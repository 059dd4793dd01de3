//! The rules that a value must meet whatever source it comes from.
//!
//! Each finding names the setting to blame, from which the loader finds the place.

use std::net::IpAddr;
use std::time::Duration;

use crate::addr;
use crate::choices::ProtoType;
use crate::coordinated;
use crate::reports;
use crate::settings::Config;
use crate::units::{duration_text, size_text};

/// A worker is a thread with connections of its own to every backend; more than this is a slip.
const WORKERS_MAX: usize = 1024;

/// Redis itself accepts any number; this many already mean a connection each.
const DATABASES_MAX: usize = 65_536;

/// Lengths inside a request are kept in 32 bits.
const REQUEST_BYTES_END: u64 = 4 << 30;

/// The least room for requests and replies with which the proxy can work at all.
const ROOM_BYTES_MIN: usize = 1 << 20;

/// Every worker keeps as many slow requests; one takes up to some kilobytes.
const SLOW_REQUESTS_MAX: usize = 10_000;

/// A shorter period would be traffic rather than a sign of life.
const PING_PERIOD_MIN: Duration = Duration::from_secs(1);

/// What the rules found.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<Finding>,
    pub(crate) warnings: Vec<Finding>,
}

/// A rule that is not met.
pub(crate) struct Finding {
    /// The setting that the text is about.
    pub(crate) key: &'static str,
    /// The setting it was compared with. When the first one is a default, this one was given and
    /// is the place to look at.
    pub(crate) other: Option<&'static str>,
    /// What is wrong.
    pub(crate) text: String,
}

impl Findings {
    pub(crate) fn require(
        &mut self,
        is_met: bool,
        key: &'static str,
        rule: impl FnOnce() -> String,
    ) {
        if !is_met {
            self.errors.push(Finding { key, other: None, text: format!("`{key}` {}", rule()) });
        }
    }

    /// Requires that one setting is at most another, whose value is shown as `limit`.
    fn require_order(&mut self, is_met: bool, key: &'static str, other: &'static str, limit: &str) {
        if !is_met {
            self.errors.push(Finding {
                key,
                other: Some(other),
                text: format!("`{key}` must be at most `{other}`, which is {limit}"),
            });
        }
    }

    pub(crate) fn warn_if(
        &mut self,
        is_odd: bool,
        key: &'static str,
        what: impl FnOnce() -> String,
    ) {
        if is_odd {
            self.warnings.push(Finding { key, other: None, text: format!("`{key}` {}", what()) });
        }
    }
}

/// Applies every rule. A ping period below the least is raised to it, as Codis does, and `auto`
/// becomes what it stands for.
pub(crate) fn check(config: &mut Config) -> Findings {
    let mut findings = Findings::default();
    check_names(config, &mut findings);
    check_addresses(config, &mut findings);
    check_process(config, &mut findings);
    check_sessions(config, &mut findings);
    check_backends(config, &mut findings);
    reports::check(config, &mut findings);
    coordinated::check(config, &mut findings);
    config.compat = config.compat.resolved(config.topology);
    findings
}

fn check_names(config: &Config, findings: &mut Findings) {
    findings.require(!config.product_name.is_empty(), "product_name", || {
        "must not be empty".to_owned()
    });
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let is_clean =
        config.product_name.chars().all(is_name) && !config.product_name.starts_with(['.', '-']);
    findings.require(is_clean, "product_name", || {
        // It becomes a part of paths in the coordinator's store.
        "may have letters, digits, `_`, `.` and `-`, and begins with none of the last two"
            .to_owned()
    });
    for (user_key, user, password_key, password) in [
        ("product_user", &config.product_user, "product_auth", &config.product_auth),
        ("session_user", &config.session_user, "session_auth", &config.session_auth),
    ] {
        let is_useless = !user.is_empty() && password.is_empty();
        findings.require(!is_useless, user_key, || {
            format!("needs a password: set `{password_key}` or leave the user empty")
        });
    }
}

fn check_addresses(config: &Config, findings: &mut Findings) {
    for (key, text) in [("proxy_addr", &config.proxy_addr), ("admin_addr", &config.admin_addr)] {
        if let Err(error) = addr::check_bindable(text) {
            findings.require(false, key, || format!("cannot be used: {error}"));
        }
    }
    for (key, text) in [("host_proxy", &config.host_proxy), ("host_admin", &config.host_admin)] {
        if !text.is_empty()
            && let Err(error) = addr::check_connectable(text)
        {
            findings.require(false, key, || format!("cannot be used: {error}"));
        }
    }
    let is_same = config.proxy_addr == config.admin_addr && !config.proxy_addr.ends_with(":0");
    findings.require(!is_same, "admin_addr", || {
        "is the same as `proxy_addr`, give each its own port".to_owned()
    });
    let is_other_family = match addr::host(&config.proxy_addr).parse() {
        Ok(IpAddr::V4(_)) => config.proto_type == ProtoType::Tcp6,
        Ok(IpAddr::V6(_)) => config.proto_type == ProtoType::Tcp4,
        Err(_) => false,
    };
    if is_other_family {
        findings.errors.push(Finding {
            key: "proxy_addr",
            other: Some("proto_type"),
            text: format!(
                "`proxy_addr` is not of the family that `proto_type` names, which is {}: \
                 set `proto_type` to `tcp` (KEYWAY_PROTO_TYPE=tcp)",
                config.proto_type
            ),
        });
    }
}

fn check_process(config: &Config, findings: &mut Findings) {
    findings.require(config.workers <= WORKERS_MAX, "workers", || {
        format!("must be at most {WORKERS_MAX}")
    });
    findings.require(config.slowlog_log_slower_than >= -1, "slowlog_log_slower_than", || {
        "must be at least -1, which means none".to_owned()
    });
    findings.require(config.slowlog_max_len <= SLOW_REQUESTS_MAX, "slowlog_max_len", || {
        format!("must be at most {SLOW_REQUESTS_MAX}")
    });
    let delay = config.dashboard_retry_delay;
    findings.require(delay >= Duration::from_millis(1), "dashboard_retry_delay", || {
        "must be at least 1ms".to_owned()
    });
    let room = config.proxy_max_offheap_size;
    findings.require(room >= ROOM_BYTES_MIN, "proxy_max_offheap_size", || {
        format!("must be at least {}", size_text(ROOM_BYTES_MIN))
    });
    // A request that can never fit would only ever be waited for.
    if config.session_request_bytes_max > room {
        findings.warnings.push(Finding {
            key: "proxy_max_offheap_size",
            other: Some("session_request_bytes_max"),
            text: format!(
                "`proxy_max_offheap_size` is below `session_request_bytes_max` ({}): \
                 requests larger than {} find no room",
                size_text(config.session_request_bytes_max),
                size_text(room),
            ),
        });
    }
}

fn check_sessions(config: &Config, findings: &mut Findings) {
    for (key, number) in [
        ("session_max_pipeline", config.session_max_pipeline),
        ("session_window_bytes_max", config.session_window_bytes_max),
        ("session_request_bytes_max", config.session_request_bytes_max),
        ("session_bulk_bytes_max", config.session_bulk_bytes_max),
        ("session_elements_max", config.session_elements_max),
        ("session_inline_bytes_max", config.session_inline_bytes_max),
        ("session_output_pause_bytes", config.session_output_pause_bytes),
        ("session_output_bytes_max", config.session_output_bytes_max),
    ] {
        findings.require(number > 0, key, || "must be at least 1".to_owned());
    }
    let request_max = config.session_request_bytes_max;
    let is_addressable = u64::try_from(request_max).is_ok_and(|max| max < REQUEST_BYTES_END);
    findings
        .require(is_addressable, "session_request_bytes_max", || "must be below 4gb".to_owned());
    findings.require_order(
        config.session_inline_bytes_max <= request_max,
        "session_inline_bytes_max",
        "session_request_bytes_max",
        &size_text(request_max),
    );
    findings.require_order(
        config.session_output_pause_bytes <= config.session_output_bytes_max,
        "session_output_pause_bytes",
        "session_output_bytes_max",
        &size_text(config.session_output_bytes_max),
    );
}

fn check_backends(config: &mut Config, findings: &mut Findings) {
    for (key, number) in [
        ("backend_max_pipeline", config.backend_max_pipeline),
        ("backend_waiting_max", config.backend_waiting_max),
        ("backend_waiting_bytes_max", config.backend_waiting_bytes_max),
        ("backend_number_databases", config.backend_number_databases),
    ] {
        findings.require(number > 0, key, || "must be at least 1".to_owned());
    }
    let is_sane = config.backend_number_databases <= DATABASES_MAX;
    findings.require(is_sane, "backend_number_databases", || {
        format!("must be at most {DATABASES_MAX}")
    });
    for (key, time) in [
        ("backend_connect_timeout", config.backend_connect_timeout),
        ("backend_retry_delay_min", config.backend_retry_delay_min),
        ("backend_retry_delay_max", config.backend_retry_delay_max),
    ] {
        findings
            .require(time >= Duration::from_millis(1), key, || "must be at least 1ms".to_owned());
    }
    findings.require_order(
        config.backend_retry_delay_min <= config.backend_retry_delay_max,
        "backend_retry_delay_min",
        "backend_retry_delay_max",
        &duration_text(config.backend_retry_delay_max),
    );
    for (key, number) in [
        ("backend_primary_parallel", config.backend_primary_parallel),
        ("backend_replica_parallel", config.backend_replica_parallel),
    ] {
        findings.warn_if(number > 1, key, || {
            "has no effect: there is one connection per worker, server and database, \
             set `workers` instead"
                .to_owned()
        });
    }
    let period = config.backend_ping_period;
    let is_too_short = !period.is_zero() && period < PING_PERIOD_MIN;
    findings.warn_if(is_too_short, "backend_ping_period", || {
        format!("is raised to {}, the least there is", duration_text(PING_PERIOD_MIN))
    });
    if is_too_short {
        config.backend_ping_period = PING_PERIOD_MIN;
    }
}
