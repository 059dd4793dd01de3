//! The rules for the targets of reports (`metrics_report_*`).
//!
//! Targets are spoken to without TLS, so a URL is `http://`. One that holds a user or a password is
//! refused: the admin API shows the settings, and messages name a report's target.

use std::time::Duration;

use crate::addr;
use crate::settings::Config;
use crate::units::duration_text;
use crate::validate::Findings;

/// The least period: figures such as the rate of requests are those of the last second.
const PERIOD_MIN: Duration = Duration::from_secs(1);

/// Applies every rule. A period below the least is raised to it, as Codis does.
pub(crate) fn check(config: &mut Config, findings: &mut Findings) {
    for (key, url) in [
        ("metrics_report_server", &config.metrics_report_server),
        ("metrics_report_influxdb_server", &config.metrics_report_influxdb_server),
    ] {
        if !url.is_empty()
            && let Err(wrong) = check_url(url)
        {
            findings.require(false, key, || wrong.to_owned());
        }
    }
    let has_database = !config.metrics_report_influxdb_database.is_empty();
    let needs_database = !config.metrics_report_influxdb_server.is_empty();
    findings.require(has_database || !needs_database, "metrics_report_influxdb_database", || {
        "is needed with `metrics_report_influxdb_server`".to_owned()
    });
    // The header of the user would end the name there.
    let has_colon = config.metrics_report_influxdb_username.contains(':');
    findings.require(!has_colon, "metrics_report_influxdb_username", || {
        "must not hold a colon".to_owned()
    });
    let statsd = &config.metrics_report_statsd_server;
    if !statsd.is_empty()
        && let Err(error) = addr::check_connectable(statsd)
    {
        findings
            .require(false, "metrics_report_statsd_server", || format!("cannot be used: {error}"));
    }
    let prefix = &config.metrics_report_statsd_prefix;
    let is_name = prefix.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    findings.require(is_name, "metrics_report_statsd_prefix", || {
        "may have letters, digits, `.`, `_`, `-` and `/`".to_owned()
    });
    raise_periods(config, findings);
}

fn raise_periods(config: &mut Config, findings: &mut Findings) {
    for (key, period) in [
        ("metrics_report_period", &mut config.metrics_report_period),
        ("metrics_report_influxdb_period", &mut config.metrics_report_influxdb_period),
        ("metrics_report_statsd_period", &mut config.metrics_report_statsd_period),
    ] {
        findings.warn_if(*period < PERIOD_MIN, key, || {
            format!("is raised to {}, the least there is", duration_text(PERIOD_MIN))
        });
        *period = PERIOD_MIN.max(*period);
    }
}

/// Accepts `http://host[:port][/path][?query]`. The refusal does not repeat the text.
fn check_url(url: &str) -> Result<(), &'static str> {
    let form = "is no URL: write `http://host:port/path`";
    let rest = url.strip_prefix("http://").ok_or(match url.starts_with("https://") {
        true => "must begin with `http://`: reports are sent without TLS",
        false => form,
    })?;
    let is_plain = rest.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '#' | '<' | '>'));
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("must not hold a user or a password");
    }
    match addr::with_default_port(authority, 80) {
        Ok(_) if is_plain => Ok(()),
        _ => Err(form),
    }
}

#[cfg(test)]
mod tests;
