//! What a script hears of our port: whether others can connect to it, and what the router said.

use potluck_common::control::{PortSummary, SCHEMA};
use serde_json::{Value, json};

use super::reporter::json_line;
use crate::cli::{exit::Outcome, output::Output};

/// Remembers what was told, so that nothing is told twice.
#[derive(Default)]
pub(super) struct PortReporter {
    told: Option<PortSummary>,
}

impl PortReporter {
    /// Tells the JSON event `port` when it has news.
    pub(super) fn tell(&mut self, port: &PortSummary, output: &Output) -> Outcome {
        if self.told.as_ref() == Some(port) {
            return Ok(());
        }
        self.told = Some(port.clone());
        json_line(&event(port), output)
    }
}

fn event(port: &PortSummary) -> Value {
    json!({
        "schema": SCHEMA,
        "event": "port",
        "port": port.port,
        "reach": port.reach,
        "message": port.message,
    })
}
