//! The queue: keys that move torrents in it, and who is said to wait for what.

use potluck_common::control::{QueueStep, TorrentState};

use super::*;

/// Nine torrents of one queue, of which the first `running` run and the others wait; the last one is paused.
fn queued(running: u32, is_complete: bool) -> Dashboard {
    let mut state = samples::sized(1, 9, 3);
    state.detail = None;
    for row in state.torrents.values_mut() {
        let summary = &mut row.summary;
        summary.wanted_have = if is_complete { summary.wanted_size } else { 0 };
        summary.state = if is_complete { TorrentState::Seeding } else { TorrentState::Downloading };
        row.is_paused = row.number == 9;
        row.is_queued = row.number > running && !row.is_paused;
        if row.number > running {
            summary.state = TorrentState::Stopped;
        }
    }
    let settings = &mut state.session.as_mut().expect("a session").settings;
    if is_complete {
        settings.seeds_max = Some(running);
    } else {
        settings.downloads_max = Some(running);
    }
    let mut model = Dashboard::new(None, "/".into());
    update(&mut model, Message::Control(whole(&state)));
    model
}

#[test]
fn keys_move_what_is_selected_or_marked() {
    for (key, to) in
        [("K", QueueStep::Up), ("J", QueueStep::Down), ("[", QueueStep::First), ("]", QueueStep::Last)]
    {
        let mut model = board();
        let torrents = model.targets();
        assert_eq!(commands(&press(&mut model, key)), [Command::Queue { torrents, to }], "{key}");
        press(&mut model, "g m m");
        let torrents = model.order[..2].to_vec();
        assert_eq!(commands(&press(&mut model, key)), [Command::Queue { torrents, to }], "{key}");
    }
}

#[test]
fn a_sentence_says_whom_a_torrent_waits_for() {
    for (running, is_complete, keys, words) in [
        (3, false, "g j j j", "queued: 3 of 3 downloads run, this is the next"),
        (3, false, "g j j j j", "queued: 3 of 3 downloads run, next after 1 other"),
        (1, false, "g j j j", "queued: 1 of 1 download runs, next after 2 others"),
        (2, true, "g j j j j j j j", "queued: 2 of 2 seeds run, next after 5 others"),
        (2, true, "G", "paused; Space goes on"),
    ] {
        let mut model = queued(running, is_complete);
        press(&mut model, keys);
        press(&mut model, "Enter");
        assert_eq!(model.sentence().1, words, "{keys}");
    }
    let mut model = queued(3, false);
    model.state.session.as_mut().expect("a session").settings.downloads_max = None;
    press(&mut model, "g j j j Enter");
    assert_eq!(model.sentence().1, "queued; it starts in a moment");
}

#[test]
fn who_waits_is_paused_by_space_and_found_by_the_filter() {
    let mut model = queued(3, false);
    press(&mut model, "g j j j");
    let torrents = model.targets();
    assert_eq!(commands(&press(&mut model, "Space")), [Command::Pause(torrents)]);
    model.set_filter(List::Torrents, "state:queued");
    assert_eq!(model.order.len(), 5);
}

#[test]
fn the_list_stands_in_the_order_of_the_queue_until_it_is_asked_for_another() {
    let mut model = queued(3, false);
    for row in model.state.torrents.values_mut() {
        row.queue_place = -i64::from(row.number);
    }
    let numbers = |model: &Dashboard| {
        model.order.iter().map(|torrent| model.state.torrents[torrent].number).collect::<Vec<_>>()
    };
    press(&mut model, "o");
    assert_eq!(numbers(&model), (1..=9).rev().collect::<Vec<_>>());
    press(&mut model, "o");
    assert_eq!(numbers(&model), (1..=9).collect::<Vec<_>>());
}
