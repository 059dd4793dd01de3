//! Who this proxy is: its model, as a dashboard stores it, and the xauth of its callers.

use std::net::SocketAddr;
use std::time::SystemTime;

use config::{Config, ProtoType, Secret};
use serde::Serialize;
use time::OffsetDateTime;

use crate::addresses::{self, AddressError};
use crate::auth;

/// The proxy as a dashboard knows it.
#[derive(Clone, Debug, Serialize)]
pub struct Model {
    /// Names the proxy in the coordinator's store; stable over restarts.
    pub token: String,
    /// For people; no program reads it.
    pub start_time: String,
    /// Where a dashboard sends its orders.
    pub admin_addr: String,
    /// The family of the clients' listener.
    pub proto_type: String,
    /// Where clients connect to.
    pub proxy_addr: String,
    /// Where clients find it in a coordinator; empty when it does not register.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub jodis_path: String,
    /// The name of the cluster.
    pub product_name: String,
    /// The process id.
    pub pid: u32,
    /// The working folder.
    pub pwd: String,
    /// The operating system, as `uname -a` tells it.
    pub sys: String,
    /// The name of the machine.
    pub hostname: String,
    /// A label.
    pub datacenter: String,
}

/// The model and the secret that goes with it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What everybody may know.
    pub model: Model,
    /// What a caller must show.
    pub xauth: Secret,
}

impl Identity {
    /// The identity of a proxy with these listeners.
    ///
    /// # Errors
    /// When `host_admin` or `host_proxy` leads nowhere.
    pub async fn of(
        config: &Config,
        data: SocketAddr,
        admin: SocketAddr,
    ) -> Result<Self, AddressError> {
        let token = auth::proxy_token(
            &auth::mac_addresses(),
            &config.product_name,
            &addresses::codis_spelling(data, config.proto_type),
            // The original's admin listener is of both families whatever `proto_type` says.
            &addresses::codis_spelling(admin, ProtoType::Tcp),
        );
        let system = rustix::system::uname();
        let hostname = system.nodename().to_string_lossy().into_owned();
        let sys = [system.sysname(), system.nodename(), system.release(), system.version()]
            .map(|part| part.to_string_lossy())
            .join(" ");
        let xauth = auth::proxy_xauth(&config.product_name, &config.product_auth, &token);
        let host = &config.host_admin;
        let admin_addr = addresses::advertised("host_admin", host, admin, &hostname).await?;
        let host = &config.host_proxy;
        let proxy_addr = addresses::advertised("host_proxy", host, data, &hostname).await?;
        // Settings that make no path are refused where the registration begins.
        let jodis_path = actors::jodis::node_path(config, &token).ok().flatten();
        let model = Model {
            token,
            start_time: now_text(),
            admin_addr,
            proto_type: config.proto_type.to_string(),
            proxy_addr,
            jodis_path: jodis_path.map(|path| path.to_string()).unwrap_or_default(),
            product_name: config.product_name.clone(),
            pid: std::process::id(),
            pwd: std::env::current_dir().unwrap_or_default().display().to_string(),
            sys: format!("{sys} {}", system.machine().to_string_lossy()),
            hostname,
            datacenter: config.proxy_datacenter.clone(),
        };
        Ok(Self { model, xauth })
    }
}

/// The time of now, as [`Model::start_time`] has it.
#[must_use]
pub fn now_text() -> String {
    time_text(OffsetDateTime::now_utc())
}

/// A moment in the form that Go gives it, which is what people see in Codis' tools.
pub(crate) fn time_text(at: OffsetDateTime) -> String {
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second, nanosecond) = at.to_hms_nano();
    let month = u8::from(month);
    format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{nanosecond:09} +0000 UTC"
    )
}

/// A moment in UTC as programs and people read it: `2026-11-20T07:24:06.878Z`.
pub(crate) fn rfc3339(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second, millisecond) = at.to_hms_milli();
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_read_as_in_codis() {
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_795_159_446_878_625_546).unwrap();
        assert_eq!(time_text(at), "2026-11-20 07:24:06.878625546 +0000 UTC");
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_159_446_878);
        assert_eq!(rfc3339(at), "2026-11-20T07:24:06.878Z");
    }

    fn identity(config: &Config) -> Identity {
        let (data, admin) = ("127.0.0.1:19000", "127.0.0.1:11080");
        let identity = Identity::of(config, data.parse().unwrap(), admin.parse().unwrap());
        actix_rt::System::new().block_on(identity).unwrap()
    }

    #[test]
    fn the_token_is_stable_and_the_model_names_what_others_reach() {
        let config = Config {
            host_admin: "127.0.0.9:1".to_owned(),
            product_auth: Secret::new("s3cret"),
            ..Config::default()
        };
        let (first, second) = (identity(&config), identity(&config));
        assert_eq!(first.model.token, second.model.token);
        assert_eq!(first.model.token.len(), 32);
        assert_eq!(first.model.admin_addr, "127.0.0.9:1");
        assert_eq!(first.model.proxy_addr, "127.0.0.1:19000");
        assert_ne!(first.xauth, identity(&Config::default()).xauth);
        assert!(!format!("{first:?}").contains("s3cret"));
        assert!(!format!("{first:?}").contains(first.xauth.expose()));
    }

    #[test]
    fn the_model_has_the_keys_that_codis_programs_read() {
        let model = serde_json::to_value(identity(&Config::default()).model).unwrap();
        let mut keys: Vec<_> = model.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        let expected = "admin_addr datacenter hostname pid product_name proto_type proxy_addr pwd \
                        start_time sys token";
        assert_eq!(keys.join(" "), expected);
        let config = Config { jodis_addr: "h:2181".to_owned(), ..Config::default() };
        let model = identity(&config).model;
        let path = format!("/jodis/codis-demo/proxy-{}", model.token);
        assert_eq!(serde_json::to_value(model).unwrap()["jodis_path"], path);
    }
}
