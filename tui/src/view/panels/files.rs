//! The files of a torrent.

use potluck_common::control::{FilePriority, FileSnapshot};
use ratatui::text::{Line, Span};

use super::bar_spans;
use crate::{
    model::columns::FileColumn,
    units::{Bytes, Short, percent},
    view::{
        look::Look,
        table::{Column, Spec},
        text,
    },
};

impl Column for FileColumn {
    type Row<'a> = &'a FileSnapshot;

    const SHOWN: &'static [Self] = &[Self::Path, Self::Size, Self::Done, Self::Priority];

    fn spec(self) -> Spec {
        let title = self.title();
        match self {
            Self::Path => Spec::text(title, 20, 40, 120, 0),
            Self::Size => Spec::number(title, 5, 10, 3),
            Self::Done => Spec::text(title, 5, 18, 26, 1),
            Self::Priority => Spec::text(title, 8, 9, 9, 2),
        }
    }

    fn cell(self, file: &&FileSnapshot, look: &Look<'_>, width: u16) -> Line<'static> {
        let theme = look.theme;
        match self {
            Self::Path => path(file, look, usize::from(width)),
            Self::Size if width >= 10 => Line::raw(Bytes(file.length).to_string()),
            Self::Size => Line::raw(Short(file.length).to_string()),
            Self::Done => {
                let done = format!("{:>3}% ", percent(file.have, file.length));
                let style = if file.have == file.length { theme.giving() } else { theme.getting() };
                let mut line = Line::from(Span::raw(done));
                let bar = usize::from(width).saturating_sub(5);
                if bar >= 4 {
                    line.spans.extend(bar_spans(file.have, file.length, bar, style, theme));
                }
                line
            }
            Self::Priority => match file.priority {
                FilePriority::Skip => Line::styled(format!("{} skip", theme.symbols.closed), theme.faint()),
                FilePriority::Low => Line::styled("- low", theme.faint()),
                FilePriority::Normal => Line::raw("  normal"),
                FilePriority::High => Line::styled("+ high", theme.accent()),
            },
        }
    }
}

/// Folders faintly, then the name. Of what is too long the folders are cut first.
fn path(file: &FileSnapshot, look: &Look<'_>, width: usize) -> Line<'static> {
    let (theme, path) = (look.theme, file.path.as_str());
    let cut = path.rfind('/').map_or(0, |slash| slash + 1);
    let (folders, name) = path.split_at(cut);
    let name = text::fitted(name, width, theme.symbols.ellipsis);
    let room = width - Span::raw(name.as_str()).width();
    let folders = match room {
        0..4 if !folders.is_empty() => String::new(),
        room if Span::raw(folders).width() <= room => folders.to_string(),
        room => format!("{}/", text::fitted(folders, room - 1, theme.symbols.ellipsis)),
    };
    let style =
        if file.priority == FilePriority::Skip { theme.faint() } else { ratatui::style::Style::new() };
    Line::from(vec![Span::styled(folders, theme.faint()), Span::styled(name, style)])
}
