//! Which panel stands where. What is visible decides what the engine is asked to tell, so that this is part of the model.

use ratatui::layout::Rect;

use super::place::{Place, Tab};
use crate::view::layout::{Areas, Panel, SIZE_MIN};

/// A panel keeps so many lines when another takes of it: a frame, titles and an entry.
const SPLIT_HEIGHT_MIN: u16 = 4;

/// Which panels stand beside others, where there is room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Toggles {
    /// Those of the selected torrent.
    pub detail: bool,
    /// The graph.
    pub speed: bool,
    /// How uploads are shared.
    pub fairness: bool,
    /// What happened.
    pub events: bool,
    /// What the disk does.
    pub disk: bool,
}

impl Toggles {
    /// Each of them with its name in a file.
    pub fn named(&mut self) -> [(&'static str, &mut bool); 5] {
        [
            ("detail", &mut self.detail),
            ("speed", &mut self.speed),
            ("fairness", &mut self.fairness),
            ("events", &mut self.events),
            ("disk", &mut self.disk),
        ]
    }
}

impl Default for Toggles {
    fn default() -> Self {
        Self { detail: true, speed: true, fairness: true, events: true, disk: true }
    }
}

/// What stands where. Nothing does on a terminal that is too small.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Arrangement {
    /// The panels, header, status and footer among them.
    pub panels: Vec<(Panel, Rect)>,
}

impl Arrangement {
    /// Whether a panel is visible.
    pub fn has(&self, panel: Panel) -> bool {
        self.panels.iter().any(|(other, _)| *other == panel)
    }

    /// Takes a panel away; a neighbour of the same height or width grows into its place.
    fn hide(&mut self, hidden: Panel) {
        let Some(place) = self.panels.iter().position(|(panel, _)| *panel == hidden) else { return };
        let gone = self.panels[place].1;
        let lines = [Panel::Header, Panel::Status, Panel::Footer];
        let grown = self
            .panels
            .iter_mut()
            .find(|(panel, area)| *panel != hidden && !lines.contains(panel) && borders(*area, gone));
        if let Some((_, area)) = grown {
            *area = area.union(gone);
            self.panels.remove(place);
        }
    }
}

impl Arrangement {
    /// The last line of the list of torrents, where something stands below that could have it.
    pub fn split(&self) -> Option<Rect> {
        let list = self.area_of(Panel::Torrents)?;
        self.heights_below(list).next()?;
        Some(Rect { y: list.bottom() - 1, height: 1, ..list })
    }

    /// Gives the list of torrents so many lines of what stands below it, or the other way round; each keeps a few.
    pub fn move_split(&mut self, lines: i16) {
        let Some(list) = self.area_of(Panel::Torrents) else { return };
        let Some(below) = self.heights_below(list).min() else { return };
        let room = |height: u16| height.saturating_sub(SPLIT_HEIGHT_MIN).cast_signed();
        let lines = lines.clamp(-room(list.height), room(below));
        for (panel, area) in &mut self.panels {
            if *panel == Panel::Torrents {
                area.height = area.height.saturating_add_signed(lines);
            } else if is_split_from(list, *area) {
                area.y = area.y.saturating_add_signed(lines);
                area.height = area.height.saturating_add_signed(-lines);
            }
        }
    }

    fn area_of(&self, panel: Panel) -> Option<Rect> {
        self.panels.iter().find(|(other, _)| *other == panel).map(|(_, area)| *area)
    }

    fn heights_below(&self, list: Rect) -> impl Iterator<Item = u16> {
        self.panels.iter().filter(move |(_, area)| is_split_from(list, *area)).map(|(_, area)| area.height)
    }
}

/// It stands right below the list, and is no line of the screen.
fn is_split_from(list: Rect, area: Rect) -> bool {
    area.y == list.bottom() && area.height > 1
}

/// Both together are a rectangle.
fn borders(one: Rect, other: Rect) -> bool {
    let one_above = |above: Rect, below: Rect| {
        above.x == below.x && above.width == below.width && above.bottom() == below.y
    };
    let one_left =
        |left: Rect, right: Rect| left.y == right.y && left.height == right.height && left.right() == right.x;
    one_above(one, other) || one_above(other, one) || one_left(one, other) || one_left(other, one)
}

/// Says what stands where on a terminal of this size.
pub fn arrange(size: (u16, u16), place: Place, tab: Tab, toggles: Toggles, zen: bool) -> Arrangement {
    if size.0 < SIZE_MIN.0 || size.1 < SIZE_MIN.1 {
        return Arrangement::default();
    }
    let area = Rect::new(0, 0, size.0, size.1);
    let mut arrangement = Arrangement { panels: Areas::of(place, tab.panel(), area).iter().collect() };
    if zen {
        let lines = [Panel::Header, Panel::Status, Panel::Footer];
        arrangement.panels.retain(|(panel, _)| lines.contains(panel));
        arrangement.panels.push((Panel::Speed, Rect { y: 1, height: area.height - 3, ..area }));
        return arrangement;
    }
    let is_beside = |panel: Panel| match place {
        Place::Torrents => panel != Panel::Torrents,
        Place::Detail => panel != tab.panel(),
        Place::Peers | Place::Discovery => true,
        Place::Fairness => panel != Panel::Fairness,
        Place::Events => panel != Panel::Events,
        Place::Settings => panel != Panel::Settings,
    };
    let details = place != Place::Torrents || toggles.detail;
    let beside = [
        (toggles.speed, Panel::Speed),
        (toggles.fairness, Panel::Fairness),
        (toggles.events, Panel::Events),
        (toggles.disk, Panel::Disk),
    ];
    let hidden: Vec<Panel> = beside
        .into_iter()
        .chain(Panel::DETAILS.map(|panel| (details, panel)))
        .filter(|(is_shown, panel)| !is_shown && is_beside(*panel))
        .map(|(_, panel)| panel)
        .collect();
    // What nobody can grow into may be gone once another one is.
    let mut panels_before = usize::MAX;
    while arrangement.panels.len() < panels_before {
        panels_before = arrangement.panels.len();
        for panel in &hidden {
            arrangement.hide(*panel);
        }
    }
    arrangement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_fill_the_terminal_whatever_is_hidden() {
        for size in [(60, 16), (80, 24), (100, 30), (140, 40), (200, 60)] {
            for place in Place::ALL {
                for bits in 0..32_u8 {
                    let has = |bit: u8| bits & (1 << bit) != 0;
                    let toggles = Toggles {
                        detail: has(0),
                        speed: has(1),
                        fairness: has(2),
                        events: has(3),
                        disk: has(4),
                    };
                    for tab in Tab::ALL {
                        let arrangement = arrange(size, place, tab, toggles, false);
                        let cells: u32 = arrangement.panels.iter().map(|(_, area)| area.area()).sum();
                        let all = u32::from(size.0) * u32::from(size.1);
                        assert_eq!(cells, all, "{size:?} {place:?} {tab:?} {toggles:?}");
                    }
                }
            }
        }
        assert_eq!(arrange((59, 99), Place::Torrents, Tab::Files, Toggles::default(), false).panels, []);
    }

    #[test]
    fn a_split_moves_within_bounds_and_leaves_no_hole() {
        for size in [(60, 16), (80, 24), (100, 30), (140, 40), (200, 60)] {
            let usual = arrange(size, Place::Torrents, Tab::Files, Toggles::default(), false);
            let height = |arrangement: &Arrangement| arrangement.split().expect("there is a split").y;
            for lines in [i16::MIN, -3, -1, 0, 1, 2, i16::MAX] {
                let mut moved = usual.clone();
                moved.move_split(lines);
                let cells: u32 = moved.panels.iter().map(|(_, area)| area.area()).sum();
                assert_eq!(cells, u32::from(size.0) * u32::from(size.1), "{size:?} {lines}");
                let overlap = moved.panels.iter().enumerate().any(|(place, (_, one))| {
                    moved.panels[..place].iter().any(|(_, other)| one.intersects(*other))
                });
                assert!(!overlap, "{size:?} {lines}");
                let gained = i32::from(height(&moved)) - i32::from(height(&usual));
                let is_at_its_end = moved.panels.iter().any(|(_, area)| area.height == SPLIT_HEIGHT_MIN);
                assert!(gained == i32::from(lines) || is_at_its_end, "{size:?} {lines}: {gained}");
                assert!(gained.abs() <= i32::from(lines).abs() && gained * i32::from(lines) >= 0);
                assert!(moved.panels.iter().all(|(_, area)| area.height == 1 || area.height >= 4));
            }
        }
        let mut alone = arrange((80, 24), Place::Events, Tab::Files, Toggles::default(), false);
        let before = alone.clone();
        alone.move_split(3);
        assert_eq!((alone.split(), &alone), (None, &before));
    }

    #[test]
    fn what_was_hidden_is_gone() {
        let toggles = Toggles { detail: false, speed: false, fairness: false, events: false, disk: false };
        for size in [(60, 16), (80, 24), (140, 40), (200, 60)] {
            let arrangement = arrange(size, Place::Torrents, Tab::Files, toggles, false);
            let panels: Vec<Panel> = arrangement.panels.iter().map(|(panel, _)| *panel).collect();
            assert_eq!(panels, [Panel::Header, Panel::Torrents, Panel::Status, Panel::Footer], "{size:?}");
        }
    }
}
