//! One member of the demo from near, in the dashboard's views.

use std::collections::VecDeque;

use crossterm::event::{Event as Input, KeyCode};
use potluck_common::{
    Printable,
    control::{
        CommandError, CommandErrorKind, Delta, DetailDelta, DhtSummary, Event, HistoryRange, ListDelta,
        PortSummary, RateRecorder, Reply, RequestBody, SessionSnapshot, Settings, TorrentPeer, TorrentRow,
        TorrentSnapshot, Update, UpdateBody,
    },
};
use ratatui::Frame;

use crate::{
    io::{
        dashboard::{message_of, unix_seconds},
        zone,
    },
    keymap::Key,
    model::{
        dashboard::Dashboard,
        demo::Demo,
        hits::Hits,
        place::{Place, Tab},
    },
    theme::Theme,
    update::dashboard::{Effect, Message, update},
    view,
};

/// Events of a member that are kept.
const EVENTS_MAX: usize = 500;

/// What is known of each member beside its snapshots.
#[derive(Debug)]
pub(super) struct Books {
    started_at: f64,
    members: Vec<Book>,
}

#[derive(Default, Debug)]
struct Book {
    rates: RateRecorder,
    counted: [u64; 2],
    counted_at: u64,
    events: VecDeque<Event>,
    /// Events that were forgotten.
    forgotten: usize,
}

impl Books {
    pub(super) fn new() -> Self {
        Self { started_at: unix_seconds(), members: Vec::new() }
    }

    /// Something happened to a member.
    pub(super) fn happened(&mut self, member: usize, event: Event) {
        let book = self.book(member);
        book.events.push_back(event);
        if book.events.len() > EVENTS_MAX {
            book.events.pop_front();
            book.forgotten += 1;
        }
    }

    /// What came and was sent since the last look goes into the graphs.
    pub(super) fn count(&mut self, demo: &Demo) {
        let now = (unix_seconds() * 1_000.0) as u64;
        for (number, member) in demo.members.iter().enumerate() {
            let Some(snapshot) = &member.snapshot else { continue };
            let counted = [snapshot.downloaded, snapshot.uploaded];
            let book = self.book(number);
            let bytes = [0, 1].map(|way: usize| counted[way].saturating_sub(book.counted[way]));
            if book.counted_at > 0 {
                book.rates.add(book.counted_at, now, bytes);
            }
            (book.counted, book.counted_at) = (counted, now);
        }
    }

    fn book(&mut self, member: usize) -> &mut Book {
        if self.members.len() <= member {
            self.members.resize_with(member + 1, Book::default);
        }
        &mut self.members[member]
    }
}

/// What a person did in the views of a member.
pub(super) enum Step {
    /// They go on.
    Stay(Vec<Effect>),
    /// Back to the swarm.
    Back,
}

/// The dashboard of one member.
#[derive(Debug)]
pub(super) struct Near {
    member: usize,
    model: Dashboard,
    told: u64,
    /// Events of the member that the model was told of, and those that were forgotten before.
    heard: usize,
}

impl Near {
    /// Looks at a member; its peers first.
    pub(super) fn new(member: usize, demo: &Demo, ascii: bool) -> Self {
        let mut model = Dashboard::new(None, std::path::PathBuf::new());
        (model.place, model.tab) = (Place::Detail, Tab::Peers);
        model.range = HistoryRange::Minute;
        model.taste.ascii = ascii;
        // The members share one.
        model.toggles.disk = false;
        model.zone = zone::of_this_machine();
        update(&mut model, Message::Tick(unix_seconds()));
        let name = demo.members.get(member).map_or("", |member| member.name.as_str());
        model.say(format!("the {name} from near; Esc goes back to the swarm, q ends the demo"));
        Self { member, model, told: 0, heard: 0 }
    }

    /// Takes in what is known by now, and the size of the terminal.
    pub(super) fn learn(&mut self, demo: &Demo, books: &mut Books, size: (u16, u16)) {
        update(&mut self.model, Message::Resize(size.0, size.1));
        update(&mut self.model, Message::Tick(unix_seconds()));
        let started_at = books.started_at;
        let book = books.book(self.member);
        let Some(member) = demo.members.get(self.member) else { return };
        let Some(snapshot) = &member.snapshot else { return };
        let mut delta = delta(&member.name, snapshot, book, started_at, self.model.range);
        let fresh = book.events.iter().skip(self.heard.saturating_sub(book.forgotten));
        delta.events = fresh.cloned().collect();
        self.heard = book.forgotten + book.events.len();
        self.told += 1;
        let body = UpdateBody::Delta(Box::new(delta));
        update(&mut self.model, Message::Control(Update { number: self.told, body }));
    }

    /// Draws it.
    pub(super) fn draw(&self, frame: &mut Frame<'_>, theme: &Theme) -> Hits {
        let theme = Theme::named(self.model.taste.theme, theme.depth(), self.model.taste.ascii);
        view::screen::draw(frame, &self.model, &theme)
    }

    /// Where things were drawn.
    pub(super) fn drawn(&mut self, hits: Hits) {
        update(&mut self.model, Message::Drawn(hits));
    }

    /// Whether a key is one to go back to the swarm: Esc takes away first what was set last.
    fn leaves(&self, key: KeyCode) -> bool {
        let model = &self.model;
        let is_filtered = model.filtered_list().is_some_and(|list| !model.filter_text(list).is_empty());
        let is_plain = !model.zen && !is_filtered && model.marks.is_empty();
        match key {
            _ if !model.dialogs.is_empty() => false,
            KeyCode::Esc | KeyCode::Backspace => is_plain,
            KeyCode::Char('0') => true,
            _ => false,
        }
    }

    /// Something was pressed, pasted or clicked.
    pub(super) fn take(&mut self, input: Input) -> Step {
        let Some(message) = message_of(input) else { return Step::Stay(Vec::new()) };
        if let Message::Key(Key { code, .. }) = message
            && self.leaves(code)
        {
            return Step::Back;
        }
        let mut effects = update(&mut self.model, message);
        effects.retain(|effect| match effect {
            Effect::Send(request) => {
                if let RequestBody::Command(_) = request.body {
                    self.told += 1;
                    let message = Printable::new("the demo runs by itself: look, but do not touch");
                    let error = CommandError { kind: CommandErrorKind::Unsupported, message };
                    let reply = UpdateBody::Reply(Reply { number: request.number, result: Err(error) });
                    update(&mut self.model, Message::Control(Update { number: self.told, body: reply }));
                }
                false
            }
            Effect::Write { .. } => {
                self.model.complain("the demo runs by itself: look, but do not touch");
                false
            }
            Effect::Complete { .. } => false,
            Effect::Copy(_) | Effect::Suspend | Effect::Redraw | Effect::Quit => true,
        });
        Step::Stay(effects)
    }
}

/// All that is known of a member, but what happened.
fn delta(name: &str, snapshot: &TorrentSnapshot, book: &Book, started_at: f64, range: HistoryRange) -> Delta {
    let info_hash = snapshot.info_hash;
    let lists = &snapshot.detail;
    let history = Some(book.rates.history(range, book.counted_at));
    let near = DetailDelta {
        about: lists.about.clone(),
        peers: Some(ListDelta::Whole(lists.peers.clone())),
        trackers: Some(ListDelta::Whole(lists.trackers.clone())),
        discovery: Some(ListDelta::Whole(lists.discovery.clone())),
        files: Some(ListDelta::Whole(lists.files.clone())),
        pieces: Some(ListDelta::Whole(lists.pieces.clone())),
        fairness: lists.fairness.clone(),
        history: history.clone(),
        ..DetailDelta::none(info_hash)
    };
    let peers = lists.peers.iter().map(|peer| TorrentPeer { info_hash, peer: peer.clone() }).collect();
    let mut summary = snapshot.summary.clone();
    summary.name = Printable::new(&format!("{name}: {}", summary.name));
    let row = TorrentRow {
        number: 1,
        is_paused: false,
        is_queued: false,
        queue_place: 1,
        directory: std::path::PathBuf::new(),
        labels: Vec::new(),
        added_at: started_at as u64,
        completed_at: None,
        available_at: None,
        downloaded_ever: summary.downloaded,
        uploaded_ever: summary.uploaded,
        limits: potluck_common::control::Limits::default(),
        is_private: false,
        summary,
    };
    Delta {
        session: Some(session(name, snapshot, started_at)),
        torrents: vec![row],
        removed: Vec::new(),
        detail: Some(near),
        peers: Some(ListDelta::Whole(peers)),
        fairness: lists.fairness.clone(),
        disk: None,
        history,
        events: Vec::new(),
    }
}

fn session(name: &str, snapshot: &TorrentSnapshot, started_at: f64) -> SessionSnapshot {
    SessionSnapshot {
        version: Printable::new(&format!("potluck demo: {name}")),
        started_at,
        uptime_seconds: (unix_seconds() - started_at) as u64,
        listen: Vec::new(),
        down_rate: snapshot.down_rate,
        up_rate: snapshot.up_rate,
        downloaded: snapshot.downloaded,
        uploaded: snapshot.uploaded,
        downloaded_ever: snapshot.downloaded,
        uploaded_ever: snapshot.uploaded,
        connections: snapshot.seeds_connected + snapshot.leechers_connected,
        connections_max: snapshot.seeds_connected + snapshot.leechers_connected,
        dht: DhtSummary::default(),
        port: PortSummary::default(),
        free_space: None,
        slots: 0,
        settings: Settings::default(),
        trouble: None,
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyEvent, KeyModifiers};
    use potluck_common::control::EventKind;

    use super::*;
    use crate::model::place::List;

    fn press(near: &mut Near, code: KeyCode) -> bool {
        matches!(near.take(Input::Key(KeyEvent::new(code, KeyModifiers::NONE))), Step::Back)
    }

    #[test]
    fn the_log_stays_where_somebody_reads() {
        let demo = crate::model::fixture::midway();
        let (mut near, mut books) = (Near::new(0, &demo, true), Books::new());
        let info_hash = demo.members[0].snapshot.as_ref().expect("it is known").info_hash;
        let happen = |books: &mut Books, at: usize| {
            let kind = EventKind::Stalled { why: format!("reason {at}").as_str().into() };
            books.happened(0, Event { at: at as f64, info_hash, kind });
        };
        near.model.tab = Tab::Log;
        let before = EVENTS_MAX + 20;
        for at in 0..before {
            happen(&mut books, at);
        }
        near.learn(&demo, &mut books, (100, 30));
        assert_eq!(near.model.len(List::Log), EVENTS_MAX);
        near.model.cursor_mut(List::Log).selected = 3;
        for at in before..before + 4 {
            happen(&mut books, at);
            near.learn(&demo, &mut books, (100, 30));
            near.learn(&demo, &mut books, (100, 30));
            assert_eq!(near.model.cursor(List::Log).selected, 3);
        }
        assert_eq!(near.model.len(List::Log), EVENTS_MAX + 4, "each is told once");
    }

    #[test]
    fn escape_takes_away_what_was_set_before_it_leaves() {
        let demo = crate::model::fixture::midway();
        let mut near = Near::new(0, &demo, true);
        for key in ['/', 'x'] {
            assert!(!press(&mut near, KeyCode::Char(key)));
        }
        assert!(!press(&mut near, KeyCode::Enter));
        assert!(!press(&mut near, KeyCode::Esc), "the filter goes first");
        assert!(!press(&mut near, KeyCode::Char('z')));
        assert!(!press(&mut near, KeyCode::Esc), "then the totals");
        assert!(press(&mut near, KeyCode::Esc));
    }
}
