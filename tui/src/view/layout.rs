//! Where the panels of each screen stand, by the terminal's size alone: nothing jumps when data change.
//!
//! From 60x16 there is one list and one panel of details; from 100 columns a side panel beside the details; from 160x45
//! everything at once.

use ratatui::layout::{Constraint, Layout, Rect};

/// The smallest terminal that the screens fit on.
pub const SIZE_MIN: (u16, u16) = (60, 16);
/// From so many columns there is a side panel.
const WIDTH_SIDE: u16 = 100;
/// From this size everything is on one screen.
const SIZE_ALL: (u16, u16) = (160, 45);
/// From so many columns the disk is among all that is on it.
const WIDTH_DISK: u16 = 190;
/// From so many lines it is below the settings, which are all seen then.
const HEIGHT_DISK: u16 = 30;
/// From so many lines there is a strip of small panels below a large one.
const HEIGHT_STRIP: u16 = 24;
/// Lines of that strip, with its frame.
const STRIP: u16 = 7;

/// A part of a screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Panel {
    /// The first line: the session in a few numbers.
    Header,
    /// The list of torrents.
    Torrents,
    /// A torrent in a few numbers, and why it does what it does.
    Overview,
    /// Its pieces.
    Pieces,
    /// Its files.
    Files,
    /// Its peers: the tit-for-tat ledger.
    Peers,
    /// Its trackers.
    Trackers,
    /// What happened to it.
    Log,
    /// The peers of all torrents.
    AllPeers,
    /// How uploads are shared.
    Fairness,
    /// What the disk does.
    Disk,
    /// Rates over time.
    Speed,
    /// What happened to all torrents.
    Events,
    /// What may be changed.
    Settings,
    /// One sentence: why nothing moves, or what was just done.
    Status,
    /// The last line: what keys do.
    Footer,
}

impl Panel {
    /// The panels that show a torrent from near, in their order.
    pub const DETAILS: [Self; 6] =
        [Self::Overview, Self::Pieces, Self::Files, Self::Peers, Self::Trackers, Self::Log];

    /// What it is called.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Header => "Session",
            Self::Torrents => "Torrents",
            Self::Overview => "Overview",
            Self::Pieces => "Pieces",
            Self::Files => "Files",
            Self::Peers | Self::AllPeers => "Peers",
            Self::Trackers => "Trackers",
            Self::Log => "Log",
            Self::Fairness => "Fairness",
            Self::Disk => "Disk",
            Self::Speed => "Speed",
            Self::Events => "Events",
            Self::Settings => "Settings",
            Self::Status => "Status",
            Self::Footer => "Keys",
        }
    }
}

/// A screen: what the number keys choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Screen {
    /// The list, with one panel of the selected torrent, or all that fits.
    Torrents,
    /// One panel of a torrent, large.
    Detail,
    /// The peers of all torrents.
    Peers,
    /// Trackers, and how peers are found.
    Discovery,
    /// How uploads are shared.
    Fairness,
    /// What happened.
    Events,
    /// What may be changed.
    Settings,
}

/// Where the panels of a screen stand; they do not overlap.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Areas(Vec<(Panel, Rect)>);

impl Areas {
    /// The panels of `screen` on a terminal whose cells are `area`. `tab` is the panel of details that was chosen. Header,
    /// status and footer are always there, and everything else is between them.
    pub fn of(screen: Screen, tab: Panel, area: Rect) -> Self {
        let mut areas = Self::default();
        let [header, body, status, footer] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Fill(1),
            Constraint::Length(1),
            Constraint::Length(1),
        ])
        .areas(area);
        areas.add(Panel::Header, header);
        areas.body(screen, tab, body, area);
        areas.add(Panel::Status, status);
        areas.add(Panel::Footer, footer);
        areas
    }

    /// All of them, in reading order.
    pub fn iter(&self) -> impl Iterator<Item = (Panel, Rect)> + Clone {
        self.0.iter().copied()
    }

    fn add(&mut self, panel: Panel, area: Rect) {
        if !area.is_empty() {
            self.0.push((panel, area));
        }
    }

    fn body(&mut self, screen: Screen, tab: Panel, body: Rect, all: Rect) {
        let has_strip = all.height >= HEIGHT_STRIP;
        match screen {
            Screen::Torrents if all.width >= SIZE_ALL.0 && all.height >= SIZE_ALL.1 => {
                self.everything(tab, body);
            }
            Screen::Torrents if all.width >= WIDTH_SIDE && has_strip => self.with_side(tab, body),
            Screen::Torrents => self.stacked(tab, body, has_strip),
            Screen::Detail if has_strip => {
                let strip = match tab {
                    Panel::Peers => [Panel::Fairness, Panel::Speed],
                    Panel::Overview => [Panel::Speed, Panel::Fairness],
                    _ => [Panel::Overview, Panel::Speed],
                };
                self.with_strip(tab, strip, body);
            }
            Screen::Detail => self.add(tab, body),
            Screen::Peers if has_strip => {
                self.with_strip(Panel::AllPeers, [Panel::Fairness, Panel::Events], body);
            }
            Screen::Peers => self.add(Panel::AllPeers, body),
            Screen::Discovery if has_strip => {
                self.with_strip(Panel::Trackers, [Panel::Overview, Panel::Events], body);
            }
            Screen::Discovery => self.add(Panel::Trackers, body),
            Screen::Fairness if has_strip => {
                let [fairness, peers] = rows(body, [Constraint::Length(14), Constraint::Fill(1)]);
                self.add(Panel::Fairness, fairness);
                self.add(Panel::AllPeers, peers);
            }
            Screen::Fairness => self.add(Panel::Fairness, body),
            Screen::Events => self.add(Panel::Events, body),
            Screen::Settings if all.height >= HEIGHT_DISK => {
                self.with_strip(Panel::Settings, [Panel::Disk, Panel::Events], body);
            }
            Screen::Settings => self.add(Panel::Settings, body),
        }
    }

    /// The list above one panel, and from 24 lines speed and events below.
    fn stacked(&mut self, tab: Panel, body: Rect, has_strip: bool) {
        let strip = if has_strip { 4 + (body.height - 21) / 4 } else { 0 };
        let left = body.height.saturating_sub(strip);
        let [list, detail, strip] = rows(
            body,
            [Constraint::Length(left - left / 2), Constraint::Length(left / 2), Constraint::Length(strip)],
        );
        self.add(Panel::Torrents, list);
        self.add(tab, detail);
        let [speed, events] = columns(strip, [Constraint::Percentage(40), Constraint::Fill(1)]);
        self.add(Panel::Speed, speed);
        self.add(Panel::Events, events);
    }

    /// The list above; below one panel, and beside it speed, fairness and events.
    fn with_side(&mut self, tab: Panel, body: Rect) {
        let [list, below] = rows(body, [Constraint::Percentage(42), Constraint::Fill(1)]);
        self.add(Panel::Torrents, list);
        let [detail, side] = columns(below, [Constraint::Percentage(58), Constraint::Fill(1)]);
        self.add(tab, detail);
        let has_fairness = side.height >= 20;
        let fairness = if has_fairness { STRIP } else { 0 };
        let speed = (side.height - fairness).clamp(0, if has_fairness { 9 } else { 8 });
        let [speed, fairness, events] =
            rows(side, [Constraint::Length(speed), Constraint::Length(fairness), Constraint::Fill(1)]);
        self.add(Panel::Speed, speed);
        self.add(Panel::Fairness, fairness);
        self.add(Panel::Events, events);
    }

    /// All panels that say something of how it goes.
    fn everything(&mut self, tab: Panel, body: Rect) {
        let [list, map, ledger, strip, events] = rows(
            body,
            [
                Constraint::Fill(5),
                Constraint::Fill(6),
                Constraint::Fill(6),
                Constraint::Length(9),
                Constraint::Fill(3),
            ],
        );
        self.add(Panel::Torrents, list);
        let [pieces, trackers] = columns(map, [Constraint::Percentage(60), Constraint::Fill(1)]);
        self.add(Panel::Pieces, pieces);
        self.add(Panel::Trackers, trackers);
        let has_own_place = matches!(tab, Panel::Pieces | Panel::Trackers | Panel::Overview);
        self.add(if has_own_place { Panel::Peers } else { tab }, ledger);
        let disk = if body.width < WIDTH_DISK { Constraint::Length(0) } else { Constraint::Percentage(22) };
        let share = if body.width < WIDTH_DISK { 36 } else { 27 };
        let [speed, fairness] = [Constraint::Percentage(share); 2];
        let [speed, fairness, disk, overview] = columns(strip, [speed, fairness, disk, Constraint::Fill(1)]);
        self.add(Panel::Speed, speed);
        self.add(Panel::Fairness, fairness);
        self.add(Panel::Disk, disk);
        self.add(Panel::Overview, overview);
        self.add(Panel::Events, events);
    }

    /// One large panel above two small ones.
    fn with_strip(&mut self, large: Panel, small: [Panel; 2], body: Rect) {
        let height = STRIP + body.height.saturating_sub(40) / 8;
        let [above, strip] = rows(body, [Constraint::Fill(1), Constraint::Length(height)]);
        self.add(large, above);
        for (panel, area) in
            small.into_iter().zip(columns(strip, [Constraint::Percentage(50), Constraint::Fill(1)]))
        {
            self.add(panel, area);
        }
    }
}

fn rows<const N: usize>(area: Rect, heights: [Constraint; N]) -> [Rect; N] {
    Layout::vertical(heights).areas(area)
}

fn columns<const N: usize>(area: Rect, widths: [Constraint; N]) -> [Rect; N] {
    Layout::horizontal(widths).areas(area)
}

/// An area of at most this size in the middle of another.
pub fn centered(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

#[cfg(test)]
mod tests;
