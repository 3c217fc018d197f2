//! The time zone of this machine.

use std::env;

use tz::TimeZone;

use crate::model::zone::Zone;

/// What `TZ` names, else what the machine is set to, else UTC.
pub fn of_this_machine() -> Zone {
    let named = env::var("TZ").ok().filter(|name| !name.is_empty());
    let rules = named.map_or_else(TimeZone::local, |name| TimeZone::from_posix_tz(&name));
    rules.map(Zone::new).unwrap_or_default()
}
