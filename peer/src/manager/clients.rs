//! The user interfaces that are attached: what each asks for, and when it is told something.

use std::{collections::VecDeque, time::Duration};

use potluck_common::{
    InfoHash, Printable,
    control::{
        DetailView, Event, Feed, HistoryRange, Level, Reply, Request, RequestBody, Update, UpdateBody,
        VERSION, View,
    },
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::Instant,
};

use super::{
    list::{EVENTS_MAX, List, Message},
    tickets::{Answer, Asker},
};

/// What changed is told at most this often.
const TOLD_EVERY: Duration = Duration::from_millis(250);
/// What is new to see is told sooner: somebody turned a page.
const LOOKED_EVERY: Duration = Duration::from_millis(50);
/// After a new view a torrent may have to make its lists.
const LOOK_WAIT: Duration = Duration::from_millis(10);
/// What the disk does fades without anything happening.
const DISK_EVERY: Duration = Duration::from_secs(1);
/// A mean rate is told so long after its interval, when all is in that belongs to it.
pub(super) const RATES_LAG: Duration = Duration::from_millis(300);
/// Answers that may wait for a reader. Whoever asks more without reading is cut off.
const ANSWERS_MAX: usize = 4_096;

/// Which user interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct ClientId(pub(super) u64);

/// A user interface that is attached.
#[derive(Debug)]
pub(super) struct Client {
    feed: Feed,
    updates: mpsc::Sender<Update>,
    /// Updates that were sent, and the number of the last one that was no answer.
    sent: u64,
    last_told: u64,
    answers: VecDeque<Reply>,
    /// When it is looked at whether there is room for answers that wait; `None` if none does.
    answers_due: Option<Instant>,
    /// What happened and was not told yet.
    events: VecDeque<Event>,
    /// When it is looked at whether there is something to tell; `None` if nothing changed.
    due: Option<Instant>,
    /// When something changes by itself that it sees: a graph, the time.
    turns_at: Option<Instant>,
    told_at: Option<Instant>,
    is_gone: bool,
    /// It asked for more than it read: nothing is done for it any more.
    is_cut_off: bool,
}

impl List {
    pub(super) fn connect(
        &mut self,
        mut requests: mpsc::UnboundedReceiver<Request>,
        updates: mpsc::Sender<Update>,
    ) {
        self.clients_ever += 1;
        let id = ClientId(self.clients_ever);
        let sender = self.sender.clone();
        tokio::spawn(async move {
            while let Some(request) = requests.recv().await {
                if sender.send(Message::Request(id, request)).is_err() {
                    return;
                }
            }
            let _ = sender.send(Message::Left(id));
        });
        let mut client = Client::new(updates);
        client.send(UpdateBody::Hello { version: VERSION });
        self.clients.insert(id, client);
    }

    pub(super) fn leave(&mut self, client: ClientId) {
        self.cut_off.remove(&client);
        self.forget(client);
    }

    fn forget(&mut self, client: ClientId) {
        if let Some(client) = self.clients.remove(&client) {
            self.looks_changed(client.feed.view().cloned(), None);
        }
    }

    pub(super) fn answer_request(&mut self, client: ClientId, Request { number, body }: Request) {
        if self.cut_off.contains(&client) {
            return;
        }
        let asker = Asker { client, number };
        match body {
            RequestBody::View(view) => {
                self.look(client, view);
                self.answer(asker, Ok(Printable::default()));
            }
            RequestBody::Command(command) => self.carry_out(asker, command),
        }
    }

    fn look(&mut self, id: ClientId, view: View) {
        let now = Instant::now();
        let Some(client) = self.clients.get_mut(&id) else { return };
        let before = client.feed.view().cloned();
        if before.is_none() {
            let is_shown = |event: &&Event| view.events.is_some_and(|level| event.kind.level() >= level);
            client.events = self.events.iter().filter(is_shown).cloned().collect();
        }
        client.feed.look(view.clone());
        let soonest = client.told_at.map_or(now, |told_at| (told_at + LOOKED_EVERY).max(now + LOOK_WAIT));
        client.due = Some(client.due.map_or(soonest, |due| due.min(soonest)));
        client.turns_at = None;
        self.looks_changed(before, Some(view));
    }

    /// When there is something to tell somebody.
    pub(super) fn next_telling(&self) -> Option<Instant> {
        self.clients.values().filter_map(Client::next_wake).min()
    }

    /// Tells whoever it is time for.
    pub(super) fn tell_clients(&mut self) {
        if self.clients.is_empty() {
            return;
        }
        let now = Instant::now();
        let is_stirred = std::mem::take(&mut self.is_stirred);
        let mut clients = std::mem::take(&mut self.clients);
        let mut session = None;
        for client in clients.values_mut() {
            client.send_answers();
            if client.feed.view().is_none() {
                continue;
            }
            let has_turned = client.turns_at.is_some_and(|turns_at| turns_at <= now);
            if is_stirred || has_turned {
                client
                    .due
                    .get_or_insert(client.told_at.map_or(now, |told_at| (told_at + TOLD_EVERY).max(now)));
            }
            if has_turned {
                client.turns_at = None;
            }
            if client.due.is_some_and(|due| due <= now) {
                let session = session.get_or_insert_with(|| self.session());
                self.tell(client, session, now);
            }
            if client.turns_at.is_none() {
                client.turns_at = self.next_turn(client);
            }
        }
        self.clients = clients;
        let is_over = |client: &Client| client.is_gone || client.is_cut_off;
        let over: Vec<ClientId> =
            self.clients.iter().filter(|(_, client)| is_over(client)).map(|(id, _)| *id).collect();
        for id in over {
            self.forget(id);
        }
    }

    fn tell(&self, client: &mut Client, session: &potluck_common::control::SessionSnapshot, now: Instant) {
        if !client.has_room() {
            client.due = Some(now + TOLD_EVERY);
            return;
        }
        client.due = None;
        let events = client.events.drain(..).collect();
        let Some(view) = client.feed.view().cloned() else { return };
        let scene = self.scene(&view, session, events);
        if let Some(body) = client.feed.next(scene) {
            client.send(body);
            client.last_told = client.sent;
            client.told_at = Some(now);
        }
        // What it was told now may fade by itself sooner than what it saw before.
        client.turns_at = None;
    }

    /// When something that a client sees changes without anything happening.
    fn next_turn(&self, client: &Client) -> Option<Instant> {
        let view = client.feed.view()?;
        let now_ms = self.clock.unix_ms();
        let lag = RATES_LAG.as_millis() as u64;
        let turn = |range: HistoryRange| {
            let interval = u64::from(range.interval_seconds()) * 1_000;
            self.clock.at_unix_ms((now_ms.saturating_sub(lag) / interval + 1) * interval + lag)
        };
        let session = view.history.filter(|_| !self.rates.is_empty()).map(turn);
        let detail = view.detail.and_then(|DetailView { info_hash, history, .. }| {
            let has_rates = self.entries.get(&info_hash).is_some_and(|entry| !entry.rates.is_empty());
            history.filter(|_| has_rates).map(turn)
        });
        let minute = Duration::from_secs((self.clock.elapsed().as_secs() / 60 + 1) * 60);
        let minute = self.clock.at_elapsed(minute);
        let disk = client.feed.has_busy_disk().then(|| Instant::now() + DISK_EVERY);
        [session, detail, disk, Some(minute)].into_iter().flatten().min()
    }

    /// What somebody wants to see is another than before.
    fn looks_changed(&mut self, before: Option<View>, after: Option<View>) {
        let wants_all = |view: &Option<View>| view.as_ref().is_some_and(|view| view.peers || view.fairness);
        let is_level = |client: &Client| client.wants(Level::Debug);
        let is_curious = self.clients.values().any(is_level);
        self.curiosity.store(is_curious, std::sync::atomic::Ordering::Relaxed);
        if wants_all(&before) || wants_all(&after) {
            let all: Vec<InfoHash> = self.entries.keys().copied().collect();
            for info_hash in all {
                self.show_lists(info_hash);
            }
        }
        for view in [before, after].into_iter().flatten() {
            if let Some(DetailView { info_hash, .. }) = view.detail {
                self.show_lists(info_hash);
                self.look_at_rest(info_hash);
            }
        }
    }

    /// What the attached user interfaces want to see.
    pub(super) fn views(&self) -> impl Iterator<Item = &View> {
        self.clients.values().filter_map(|client| client.feed.view())
    }
}

impl Client {
    fn new(updates: mpsc::Sender<Update>) -> Self {
        Self {
            feed: Feed::default(),
            updates,
            sent: 0,
            last_told: 0,
            answers: VecDeque::new(),
            answers_due: None,
            events: VecDeque::new(),
            due: None,
            turns_at: None,
            told_at: None,
            is_gone: false,
            is_cut_off: false,
        }
    }

    /// When there may be something to tell it.
    fn next_wake(&self) -> Option<Instant> {
        [self.due, self.turns_at, self.answers_due].into_iter().flatten().min()
    }

    fn wants(&self, level: Level) -> bool {
        self.feed.view().and_then(|view| view.events).is_some_and(|lowest| level >= lowest)
    }

    /// Keeps an event until it can be told; of many the newest.
    pub(super) fn note(&mut self, event: &Event) {
        if self.wants(event.kind.level()) {
            self.events.push_back(event.clone());
            if self.events.len() > 2 * EVENTS_MAX {
                Event::keep_newest(&mut self.events, EVENTS_MAX / 2);
            }
        }
    }

    pub(super) fn answer(&mut self, number: u64, result: Answer) {
        self.answers.push_back(Reply { number, result });
        self.is_cut_off |= self.answers.len() > ANSWERS_MAX;
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// Nothing is made for whoever has not read what was made before.
    fn has_room(&self) -> bool {
        let waiting = self.updates.max_capacity() - self.updates.capacity();
        self.updates.capacity() > 0 && self.sent - waiting as u64 >= self.last_told
    }

    /// Answers do not wait for anything but room.
    fn send_answers(&mut self) {
        // The last place is for what is told.
        while self.updates.capacity() > 1
            && let Some(reply) = self.answers.pop_front()
        {
            self.send(UpdateBody::Reply(reply));
        }
        self.answers_due = (!self.answers.is_empty()).then(|| Instant::now() + TOLD_EVERY);
    }

    fn send(&mut self, body: UpdateBody) {
        self.sent += 1;
        let sent = self.updates.try_send(Update { number: self.sent, body });
        // Room was seen before, and nobody else sends.
        self.is_gone |= matches!(sent, Err(TrySendError::Closed(_)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_keep_nobody_waiting_and_what_was_not_read_keeps_the_next_back() {
        let (updates, mut reader) = mpsc::channel(4);
        let mut client = Client::new(updates);
        let tell = |client: &mut Client| {
            client.send(UpdateBody::Delta(Box::default()));
            client.last_told = client.sent;
        };
        (0..9).for_each(|number| client.answer(number, Ok(Printable::default())));
        client.send_answers();
        assert!(client.has_room(), "answers wait");
        tell(&mut client);
        assert!(!client.has_room(), "it is full");
        for _ in 0..3 {
            reader.try_recv().expect("an answer");
            assert!(!client.has_room(), "what was told was not read");
        }
        reader.try_recv().expect("what was told");
        assert!(client.has_room());
        client.send_answers();
        tell(&mut client);
        client.send_answers();
        let numbers: Vec<u64> =
            std::iter::from_fn(|| reader.try_recv().ok()).map(|update| update.number).collect();
        assert_eq!(numbers, [5, 6, 7, 8]);
        assert_eq!(client.answers.len(), 3);
    }

    #[test]
    fn answers_that_find_no_room_are_no_reason_to_wake_once_they_are_told() {
        let (updates, mut reader) = mpsc::channel(3);
        // It looks at nothing yet.
        let mut client = Client::new(updates);
        (0..4).for_each(|number| client.answer(number, Ok(Printable::default())));
        client.send_answers();
        let wake = client.next_wake().expect("two wait");
        assert!(wake > Instant::now());
        while reader.try_recv().is_ok() {}
        client.send_answers();
        assert_eq!(client.next_wake(), None, "all are told");
    }

    #[test]
    fn who_asks_without_reading_is_cut_off() {
        let (updates, _reader) = mpsc::channel(2);
        let mut client = Client::new(updates);
        for number in 0..=ANSWERS_MAX as u64 {
            assert!(!client.is_cut_off);
            client.answer(number, Ok(Printable::default()));
        }
        assert!(client.is_cut_off);
    }
}
