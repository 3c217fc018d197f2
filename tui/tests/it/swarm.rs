//! Transfers between processes: through `--peer` and through a tracker, whole and in part.

use std::{fs, net::SocketAddr};

use libtest_mimic::Trial;
use potluck_tracker::{TrackerConfig, TrackerServer};

use crate::{
    sandbox::{Sandbox, assert_same},
    test,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("seed_and_get_through_a_named_peer", seed_and_get_through_a_named_peer),
        test("json_tells_each_decision_with_what_it_was_made_by", json_tells_each_decision),
        test(
            "a_super_seed_serves_a_sole_leecher_and_ends_with_a_second_seed",
            a_super_seed_serves_a_sole_leecher,
        ),
        test("seed_a_folder_and_get_through_a_tracker", seed_a_folder_and_get_through_a_tracker),
        test("get_only_some_files", get_only_some_files),
        test("get_by_url", get_by_url),
        test("get_seeds_up_to_its_goal_and_runs_a_program", get_seeds_up_to_its_goal_and_runs_a_program),
        test("damaged_payload_is_fetched_again", damaged_payload_is_fetched_again),
        test("wrong_payload_is_not_kept", wrong_payload_is_not_kept),
    ]
}

fn seed_and_get_through_a_named_peer() {
    let sandbox = Sandbox::new();
    sandbox.file("src/album/a.bin", 3_000_000, 1);
    sandbox.file("src/album/ü/one", 1, 2);
    sandbox.file("src/album/empty", 0, 0);
    sandbox.create("src/album");
    let (_seed, addr) = sandbox.seed("album.torrent -o src");
    let ip = sandbox.ip();
    // The folder is made, and the command needs no name.
    let done = sandbox.potluck(&format!("album.torrent -o new/dst --bind {ip} --port 0 --peer {addr}"));
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("album: complete, 2.86 MiB in"), "{done:?}");
    assert_same(&sandbox.path("src/album"), &sandbox.path("new/dst/album"));
    // Once more: everything is there.
    let done = sandbox.potluck(&format!("get album.torrent -o new/dst --bind {ip} --port 0"));
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("already complete"), "{done:?}");
}

fn json_tells_each_decision() {
    let sandbox = Sandbox::new();
    sandbox.file("src/one.bin", 400_000, 1);
    sandbox.create("src/one.bin");
    let (mut seed, addr) = sandbox.seed("one.bin.torrent -o src");
    let ip = sandbox.ip();
    let done =
        sandbox.potluck(&format!("get --json one.bin.torrent -o dst --bind {ip} --port 0 --peer {addr}"));
    assert_eq!(done.code, Some(0), "{done:?}");
    let decision = seed.wait_for(|event| event["event"] == "decision");
    assert_eq!((&decision["schema"], &decision["action"]), (&1.into(), &"unchoke".into()), "{decision}");
    assert!(decision["peer"].as_str().is_some_and(|peer| peer.starts_with(&format!("{ip}:"))), "{decision}");
    assert!(decision["why"].as_str().is_some_and(|why| why.starts_with("seeding: ")), "{decision}");
    // The only source of a piece grants none while it chokes (BEP 6): nothing came before this.
    assert!(decision["rank"].is_null() && decision["rate"] == 0 && decision["debt"] == 0, "{decision}");
    for key in ["at", "age_seconds"] {
        assert!(decision[key].as_f64().is_some_and(|seconds| (0.0..60.0).contains(&seconds)), "{decision}");
    }
    let added = done.events().into_iter().find(|event| event["event"] == "progress").expect("some progress");
    assert_eq!(decision["info_hash"], added["info_hash"], "{decision}");
}

fn a_super_seed_serves_a_sole_leecher() {
    let sandbox = Sandbox::new();
    sandbox.file("src/one.bin", 3_000_000, 1);
    sandbox.create("src/one.bin");
    let (mut seed, addr) = sandbox.seed("one.bin.torrent -o src --super-seed");
    let ip = sandbox.ip();
    let done = sandbox.potluck(&format!("get one.bin.torrent -o dst --bind {ip} --port 0 --peer {addr}"));
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_same(&sandbox.path("src/one.bin"), &sandbox.path("dst/one.bin"));
    let (_second, _) = sandbox.seed(&format!("one.bin.torrent -o dst --peer {addr}"));
    let end = seed.wait_for(|event| event["event"] == "super_seed_ended");
    assert_eq!(
        (&end["why"], &end["uploaded"]),
        (&"there is another seed".into(), &3_000_000.into()),
        "{end}"
    );
}

fn seed_a_folder_and_get_through_a_tracker() {
    let sandbox = Sandbox::new();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    let address: SocketAddr = format!("{}:0", sandbox.ip()).parse().expect("an address");
    let config = TrackerConfig { http: vec![address], udp: vec![address], ..TrackerConfig::default() };
    let tracker = TrackerServer::bind(&config).expect("a tracker");
    let urls = tracker.announce_urls();
    assert_eq!(urls.len(), 2, "{urls:?}");
    sandbox.file("folder/a", 700_000, 3);
    sandbox.file("folder/b", 500_000, 4);
    for (number, url) in urls.iter().enumerate() {
        let torrent = format!("t{number}.torrent");
        let (mut seed, _) = sandbox.seed(&format!("folder --torrent {torrent} --tracker {url}"));
        // It may have answered before the payload was known to be there.
        seed.wait_until_seen(|event| event["event"] == "tracker_replied");
        let target = format!("dst{number}");
        let done = sandbox.potluck(&format!("get {torrent} -o {target} --bind {} --port 0", sandbox.ip()));
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_same(&sandbox.path("folder"), &sandbox.path(&target).join("folder"));
    }
}

fn get_only_some_files() {
    let sandbox = Sandbox::new();
    sandbox.file("d/1.flac", 200_000, 5);
    sandbox.file("d/2.flac", 200_000, 6);
    sandbox.file("d/cover.jpg", 200_000, 7);
    sandbox.create("d --piece 16k");
    let list = sandbox.potluck("get d.torrent --list -f 3");
    assert_eq!(list.code, Some(0), "{list:?}");
    let marked: Vec<_> = list.stdout.lines().filter(|line| line.starts_with('*')).collect();
    assert!(marked.len() == 1 && marked[0].ends_with("3    195 KiB  d/cover.jpg"), "{list:?}");

    let (_seed, addr) = sandbox.seed("d.torrent");
    let done = sandbox.run(
        ["get", "d.torrent", "-o", "dst", "-f", "2.*", "-f", "3", "--sequential", "--port", "0"]
            .map(String::from)
            .into_iter()
            .chain(["--bind".into(), sandbox.ip(), "--peer".into(), addr.to_string()]),
    );
    assert_eq!(done.code, Some(0), "{done:?}");
    for name in ["2.flac", "cover.jpg"] {
        assert_same(&sandbox.path("d").join(name), &sandbox.path("dst/d").join(name));
    }
    let other = fs::read(sandbox.path("dst/d/1.flac")).unwrap_or_default();
    assert_ne!(other, fs::read(sandbox.path("d/1.flac")).expect("there"), "it was not asked for");
}

fn get_by_url() {
    use std::io::{Read as _, Write as _};
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 400_000, 8);
    sandbox.create("one.bin");
    let torrent = fs::read(sandbox.path("one.bin.torrent")).expect("there");
    let listener = std::net::TcpListener::bind(format!("{}:0", sandbox.ip())).expect("a port");
    let server = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            let found = request[..length].starts_with(b"GET /one.torrent ");
            let head = if found { "200 OK" } else { "404 Not Found" };
            let body: &[u8] = if found { &torrent } else { b"" };
            let head =
                format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // A client that has gone away is not our concern.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    let (_seed, addr) = sandbox.seed("one.bin.torrent");
    let line = format!("http://{server}/one.torrent -o dst --port 0 --bind {} --peer {addr}", sandbox.ip());
    let done = sandbox.potluck(&line);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_same(&sandbox.path("one.bin"), &sandbox.path("dst/one.bin"));
    assert_eq!(
        sandbox.potluck(&format!("info --json http://{server}/one.torrent")).json()["total_size"],
        400_000
    );
    sandbox.potluck(&format!("info http://{server}/other.torrent")).fails(3, &["404", "check the address"]);
}

fn get_seeds_up_to_its_goal_and_runs_a_program() {
    let sandbox = Sandbox::new();
    sandbox.file("one file", 300_000, 9);
    let done = sandbox.run(["create", "one file", "-o", "x.torrent"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let (_seed, addr) = sandbox.seed("x.torrent");
    let mut command = sandbox.command();
    command.args(["get", "x.torrent", "--seed=1s", "--port", "0", "--json", "-o", "dst"]);
    command.args(["--bind", &sandbox.ip(), "--peer", &addr.to_string()]);
    command
        .args(["--on-done", "sh -c 'echo \"$0 $POTLUCK_NAME $POTLUCK_SIZE\" > \"$POTLUCK_PATH.done\"' told"]);
    let done = crate::sandbox::Running::start(command).finish();
    assert_eq!(done.code, Some(0), "{done:?}");
    let told = fs::read_to_string(sandbox.path("dst/one file.done")).expect("the program ran");
    assert_eq!(told, "told one file 300000\n");
    let last = done.events().pop().expect("a result");
    assert_eq!((&last["event"], &last["exit"]), (&"result".into(), &0.into()), "{done:?}");
    assert!(last["seconds"].as_f64().is_some_and(|seconds| seconds >= 1.0), "{last}");

    let line = format!("get x.torrent -o dst --port 0 --bind {} --on-done false", sandbox.ip());
    sandbox.potluck(&line).fails(1, &["false", "--on-done"]);
}

fn damaged_payload_is_fetched_again() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 600_000, 10);
    sandbox.create("one.bin --piece 32k");
    let (_seed, addr) = sandbox.seed("one.bin.torrent");
    let mut bytes = fs::read(sandbox.path("one.bin")).expect("there");
    bytes[100_000] ^= 1;
    fs::create_dir(sandbox.path("dst")).expect("a folder");
    fs::write(sandbox.path("dst/one.bin"), &bytes[..500_000]).expect("written");
    let line = format!("get one.bin.torrent -o dst --json --port 0 --bind {} --peer {addr}", sandbox.ip());
    let done = sandbox.potluck(&line);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_same(&sandbox.path("one.bin"), &sandbox.path("dst/one.bin"));
    let last = done.events().pop().expect("a result");
    let downloaded = last["downloaded"].as_u64().expect("a number");
    // The damaged piece and the missing end: one and four pieces.
    assert!((100_000..300_000).contains(&downloaded), "{last}");
}

fn wrong_payload_is_not_kept() {
    let sandbox = Sandbox::new();
    sandbox.file("good/one.bin", 2_000_000, 11);
    sandbox.file("bad/one.bin", 2_000_000, 11);
    sandbox.create("good/one.bin --piece 32k");
    let (_bad, bad) = sandbox.seed("one.bin.torrent -o bad");
    // It seeds, and then its disk rots.
    sandbox.file("bad/one.bin", 2_000_000, 12);
    let line = format!("get one.bin.torrent -o dst --json --port 0 --bind {} --peer {bad}", sandbox.ip());
    let alone = sandbox.potluck(&format!("{line} --stall-timeout 3s"));
    assert_eq!(alone.code, Some(6), "{alone:?}");
    assert!(alone.events().iter().any(|event| event["event"] == "hash_failed"), "{alone:?}");

    let (_good, good) = sandbox.seed("one.bin.torrent -o good --up 2M");
    let done = sandbox.potluck(&format!("{line} --peer {good}"));
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_same(&sandbox.path("good/one.bin"), &sandbox.path("dst/one.bin"));
}
