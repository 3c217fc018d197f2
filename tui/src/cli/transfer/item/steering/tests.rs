//! A link that rests.

use std::{net::Ipv4Addr, time::Duration};

use potluck_common::magnet::Magnet;
use potluck_peer::engine::{EngineConfig, MagnetParams};

use super::*;
use crate::cli::{
    args::OutputArgs,
    transfer::{item::Task, origin::Origin},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_rests_has_nothing_to_verify_and_asks_nobody() {
    let output = Output::new(&OutputArgs { quiet: true, json: true, ..OutputArgs::default() });
    let bind = Some(Ipv4Addr::LOCALHOST.into());
    let engine = Engine::start(EngineConfig { bind, ..EngineConfig::default() }).await.expect("an engine");
    let folder = tempfile::tempdir().expect("a folder");
    let link = format!("magnet:?xt=urn:btih:{}", "ab".repeat(20));
    let magnet = Magnet::parse(&link).expect("a link");
    let params = MagnetParams::new(magnet, folder.path().to_owned());
    let handle = engine.add_magnet(params.clone()).expect("it is added");
    let resolved = Arc::new(|_| Err(Failure::new(Exit::Other, "it", "is not resolved here", "")));
    let origin = Origin::Magnet(Box::new(params), resolved);
    let task = Task::Get { seed: None, hook: None, stall_timeout: Duration::ZERO };
    let directory = folder.path().to_owned();
    let mut item = Item::new(link, "one", directory, (&handle, origin), task, &output);

    let stop = item.wish(Wish::Pause, oneshot::channel().0).expect("it is stopped");
    let stopped = item.errand(stop, &engine).run().await;
    item.stepped(stopped, 0, &output).expect("written");
    assert!(item.course.is_at_rest() && item.snapshot.state == TorrentState::Stopped);
    assert_eq!(item.place(), "without the metadata");

    let (asker, mut answer) = oneshot::channel();
    assert_eq!(item.wish(Wish::Verify, asker), None);
    let why = answer.try_recv().expect("an answer").expect_err("refused");
    assert!(why.contains("nothing to verify yet"), "{why}");
    // Nor does it by another way.
    let start = Step::Start { check: true, is_unheard: true };
    let started = item.errand(start, &engine).run().await;
    assert!(matches!(started, Stepped::Started(Err(_))));
    engine.shutdown(Duration::from_secs(1)).await;
}
