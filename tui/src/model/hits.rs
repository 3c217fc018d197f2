//! Where things were drawn, so that a mouse finds them and a page is as long as what is visible.

use std::collections::BTreeMap;

use ratatui::layout::{Position, Rect};

use super::place::{List, Place, Tab};
use crate::keymap::Action;

/// Lines of a list that was never drawn.
const HEIGHT_UNSEEN: usize = 10;

/// Where things were drawn last.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Hits {
    targets: Vec<(Rect, Target)>,
    lists: BTreeMap<List, (Rect, usize)>,
    map: Option<(Rect, u32)>,
    shifts: BTreeMap<List, usize>,
    help: Option<usize>,
}

/// Something that can be clicked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The entry of a list.
    Entry(List, usize),
    /// The title of a column, by its number.
    Column(List, usize),
    /// The name of a tab.
    Tab(Tab),
    /// The name of a screen.
    Place(Place),
    /// What a key does.
    Action(Action),
    /// The border between the list of torrents and what stands below.
    Split,
    /// A piece of the map.
    Piece(u32),
    /// A choice of the topmost dialog, by its number.
    Choice(usize),
    /// The topmost dialog itself: nothing below it can be hit.
    Dialog,
}

impl Hits {
    /// Something can be clicked in `area`. What comes later lies above.
    pub fn add(&mut self, area: Rect, target: Target) {
        self.targets.push((area, target));
    }

    /// The entries of a list stand in `rows`, one a line, from entry `first` on.
    pub fn add_list(&mut self, list: List, rows: Rect, first: usize) {
        self.lists.insert(list, (rows, first));
    }

    /// The map of pieces stands in `area`, with so many pieces a cell.
    pub fn add_map(&mut self, area: Rect, per_cell: u32) {
        self.map = Some((area, per_cell.max(1)));
    }

    /// The columns of a list can be moved so often before nothing more comes in.
    pub fn add_shift(&mut self, list: List, most: usize) {
        self.shifts.insert(list, most);
    }

    /// How often the columns of a list can be moved.
    pub fn shift_most(&self, list: List) -> Option<usize> {
        self.shifts.get(&list).copied()
    }

    /// The help is at its end with so many lines left behind above.
    pub fn add_help(&mut self, most: usize) {
        self.help = Some(most);
    }

    /// How many lines of the help can be left behind above.
    pub fn help_most(&self) -> Option<usize> {
        self.help
    }

    /// How many entries of a list are visible.
    pub fn height(&self, list: List) -> usize {
        self.lists.get(&list).map_or(HEIGHT_UNSEEN, |(rows, _)| usize::from(rows.height))
    }

    /// Pieces that a line of the map holds, and a cell.
    pub fn map_steps(&self) -> (u32, u32) {
        self.map.map_or((1, 1), |(area, per_cell)| {
            (per_cell.saturating_mul(u32::from(area.width.max(1))), per_cell)
        })
    }

    /// The list that lies at a place, for the wheel.
    pub fn list_at(&self, column: u16, row: u16) -> Option<List> {
        let at = Position::new(column, row);
        if self.has_dialog() {
            return None;
        }
        self.lists.iter().find(|(_, (rows, _))| rows.contains(at)).map(|(list, _)| *list)
    }

    /// What lies at a place.
    pub fn at(&self, column: u16, row: u16) -> Option<Target> {
        let at = Position::new(column, row);
        let target = self.targets.iter().rev().find(|(area, _)| area.contains(at)).map(|(_, target)| *target);
        if target.is_some() || self.has_dialog() {
            return target;
        }
        let of_list = self.lists.iter().find(|(_, (rows, _))| rows.contains(at));
        if let Some((list, (rows, first))) = of_list {
            return Some(Target::Entry(*list, first + usize::from(row - rows.y)));
        }
        let (area, per_cell) = self.map.filter(|(area, _)| area.contains(at))?;
        let cell = u32::from(row - area.y) * u32::from(area.width) + u32::from(column - area.x);
        Some(Target::Piece(cell.saturating_mul(per_cell)))
    }

    fn has_dialog(&self) -> bool {
        self.targets.iter().any(|(_, target)| *target == Target::Dialog)
    }
}
