//! Torrents made by our `create` against an encoder that shares no line with it.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::support::payload::{Case, Pantry, Payload};
use crate::support::room;

const PATIENCE: Duration = Duration::from_secs(60);

/// The trials of this file.
pub(crate) fn trials(pantry: &Arc<Pantry>) -> Vec<Trial> {
    let v1 = Case::ALL.into_iter().filter(|case| !case.version().has_v2());
    let trial = |case: Case| {
        let pantry = Arc::clone(pantry);
        let runner = move || {
            room::run(PATIENCE, |_| {
                // Equal lengths and seeds make equal contents.
                let expected = Payload::make(&case.plan())?;
                if pantry.payload(case).torrent() != expected.torrent() {
                    return Err("the two torrents differ".into());
                }
                Ok(())
            })
        };
        Trial::test(format!("create::agrees_with_an_independent_encoder::{}", case.name()), runner)
    };
    v1.map(trial).collect()
}
