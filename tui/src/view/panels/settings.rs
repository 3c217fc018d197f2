//! What a person may change.

use potluck_common::control::{Limits, Settings};
use ratatui::text::{Line, Span};

use crate::view::{
    look::Look,
    table::{Column, Spec},
};

/// A setting, in the order in which they stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setting {
    /// Where new torrents go.
    Directory,
    /// The limit of what comes.
    DownLimit,
    /// The limit of what is sent.
    UpLimit,
    /// Whether the slow limits hold.
    Slow,
    /// The slow limit of what comes.
    SlowDownLimit,
    /// The slow limit of what is sent.
    SlowUpLimit,
    /// Upload slots.
    Slots,
    /// When torrents stop by themselves.
    RatioGoal,
    /// Whether new torrents wait.
    AddsPaused,
}

impl Setting {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Directory,
        Self::DownLimit,
        Self::UpLimit,
        Self::Slow,
        Self::SlowDownLimit,
        Self::SlowUpLimit,
        Self::Slots,
        Self::RatioGoal,
        Self::AddsPaused,
    ];

    /// What it is called.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Directory => "Folder of new torrents",
            Self::DownLimit => "Download limit",
            Self::UpLimit => "Upload limit",
            Self::Slow => "Slow mode (turtle)",
            Self::SlowDownLimit => "Download limit while slow",
            Self::SlowUpLimit => "Upload limit while slow",
            Self::Slots => "Upload slots",
            Self::RatioGoal => "Stop at ratio",
            Self::AddsPaused => "New torrents wait",
        }
    }

    /// What it does, in a few words.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Directory => "where the payload goes unless said otherwise",
            Self::UpLimit => "of all torrents together; what goes out earns what comes in",
            Self::Slow => "the limits below hold instead",
            Self::DownLimit | Self::SlowDownLimit | Self::SlowUpLimit => "of all torrents together",
            Self::Slots => "how many peers are served at once; automatic follows the uplink",
            Self::RatioGoal => "a torrent stops when it has sent so many times its size",
            Self::AddsPaused => "until they are started",
        }
    }

    /// What it is now.
    pub fn value(self, settings: &Settings, look: &Look<'_>) -> String {
        let limit = |limit: Option<u64>| limit.map_or_else(|| "none".to_string(), |bytes| look.rate(bytes));
        let switch = |is_on: bool| if is_on { "on" } else { "off" }.to_string();
        match self {
            Self::Directory => {
                potluck_common::Printable::new(&settings.directory.to_string_lossy()).to_string()
            }
            Self::DownLimit => limit(settings.limits.down),
            Self::UpLimit => limit(settings.limits.up),
            Self::Slow => switch(settings.is_slow),
            Self::SlowDownLimit => limit(settings.slow_limits.down),
            Self::SlowUpLimit => limit(settings.slow_limits.up),
            Self::Slots => settings.slots.map_or_else(|| "automatic".into(), |slots| slots.to_string()),
            Self::RatioGoal => {
                settings.ratio_goal.map_or_else(|| "never".into(), |ratio| format!("{ratio:.2}"))
            }
            Self::AddsPaused => switch(settings.adds_paused),
        }
    }
}

/// The limits that hold.
pub fn limits_now(settings: &Settings) -> Limits {
    if settings.is_slow { settings.slow_limits } else { settings.limits }
}

/// The columns of the list of settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SettingColumn {
    /// What it is called.
    Title,
    /// What it is now.
    Value,
    /// What it does.
    Help,
}

impl Column for SettingColumn {
    type Row<'a> = (Setting, &'a Settings);

    const SHOWN: &'static [Self] = &[Self::Title, Self::Value, Self::Help];

    fn spec(self) -> Spec {
        match self {
            Self::Title => Spec::text("Setting", 25, 26, 26, 0),
            Self::Value => Spec::text("Value", 14, 24, 50, 0),
            Self::Help => Spec::text("What it does", 30, 60, 70, 1),
        }
    }

    fn cell(self, (setting, settings): &(Setting, &Settings), look: &Look<'_>, _width: u16) -> Line<'static> {
        match self {
            Self::Title => Line::raw(setting.title()),
            Self::Value => Line::from(Span::styled(setting.value(settings, look), look.theme.strong())),
            Self::Help => Line::styled(setting.help(), look.theme.faint()),
        }
    }
}
