//! What may be changed on the screen of settings: what the engine does, and how the dashboard looks.

use potluck_common::{
    Printable,
    control::{Limits, Settings, SettingsChange},
};

use crate::{
    keymap::{Action, Context, Keymap},
    theme::ThemeName,
    units::{PerSecond, parse_rate},
};

/// Most upload slots that an engine takes.
const SLOTS_MAX: u32 = 200;

/// How the dashboard looks; the engine is not concerned.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Taste {
    /// The colours.
    pub theme: ThemeName,
    /// ASCII characters only.
    pub ascii: bool,
    /// Rates are shown in bits per second.
    pub bits: bool,
    /// Graphs have a logarithmic scale.
    pub log: bool,
}

/// One line of the screen of settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setting {
    /// Where the payload of new torrents goes.
    Directory,
    /// The download limit of all torrents together.
    Down,
    /// The upload limit of all torrents together.
    Up,
    /// Whether the slow limits hold.
    Slow,
    /// The slow download limit.
    SlowDown,
    /// The slow upload limit.
    SlowUp,
    /// Upload slots.
    Slots,
    /// When torrents stop by themselves.
    Ratio,
    /// How many torrents download at a time.
    Downloads,
    /// How many complete torrents seed at a time.
    Seeds,
    /// Whether new torrents wait.
    AddsPaused,
    /// The colours.
    Theme,
    /// Which characters are drawn.
    Ascii,
    /// Bytes or bits.
    Bits,
    /// The scale of graphs.
    Scale,
}

/// How a setting is changed.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    /// By typing.
    Typed,
    /// The engine is asked.
    Asked(SettingsChange),
    /// The dashboard does it itself.
    Own(Taste),
}

impl Setting {
    /// All of them, in the order in which they stand.
    pub const ALL: [Self; 15] = [
        Self::Directory,
        Self::Down,
        Self::Up,
        Self::Slow,
        Self::SlowDown,
        Self::SlowUp,
        Self::Slots,
        Self::Ratio,
        Self::Downloads,
        Self::Seeds,
        Self::AddsPaused,
        Self::Theme,
        Self::Ascii,
        Self::Bits,
        Self::Scale,
    ];

    /// Its name.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Directory => "Download folder",
            Self::Down => "Download limit",
            Self::Up => "Upload limit",
            Self::Slow => "Turtle",
            Self::SlowDown => "Turtle download limit",
            Self::SlowUp => "Turtle upload limit",
            Self::Slots => "Upload slots",
            Self::Ratio => "Stop at ratio",
            Self::Downloads => "Downloads at a time",
            Self::Seeds => "Seeds at a time",
            Self::AddsPaused => "Add paused",
            Self::Theme => "Theme",
            Self::Ascii => "Characters",
            Self::Bits => "Rates",
            Self::Scale => "Graphs",
        }
    }

    /// What it is for, in one sentence.
    pub fn words(self, keymap: &Keymap) -> String {
        let anywhere = |action| keymap.hint(Context::Torrents, action, "; ", " anywhere");
        let words = match self {
            Self::Directory => "where the payload of new torrents goes",
            Self::Down | Self::Up => "of all torrents together: 500k, 2M, none",
            Self::Slow => {
                return format!("whether the turtle's limits hold instead{}", anywhere(Action::Turtle));
            }
            Self::SlowDown | Self::SlowUp => "while the turtle is on",
            Self::Slots => "peers served at a time; auto follows what the uplink carries",
            Self::Ratio => "torrents stop by themselves after so many copies; none never",
            Self::Downloads => {
                let key = |action| keymap.key(Context::Torrents, action);
                let keys = key(Action::QueueUp).zip(key(Action::QueueDown));
                let moves =
                    keys.map_or(String::new(), |(up, down)| format!(" {up} and {down} move them in it,"));
                return format!("the others wait in the queue;{moves} none is no limit");
            }
            Self::Seeds => "of the torrents that are complete; none is no limit",
            Self::AddsPaused => "new torrents wait until somebody starts them",
            Self::Theme => "colours of this dashboard",
            Self::Ascii => "what this dashboard draws with",
            Self::Bits => return format!("bytes or bits{}", anywhere(Action::BitsOrBytes)),
            Self::Scale => return format!("their scale{}", anywhere(Action::GraphScale)),
        };
        words.to_owned()
    }

    /// What it is at the moment.
    pub fn value(self, settings: &Settings, taste: &Taste) -> Printable {
        let on = |on: bool, yes: &str, no: &str| Printable::new(if on { yes } else { no });
        match self {
            Self::Directory => Printable::new(&settings.directory.to_string_lossy()),
            Self::Down => rate(settings.limits.down),
            Self::Up => rate(settings.limits.up),
            Self::Slow => on(settings.is_slow, "on", "off"),
            Self::SlowDown => rate(settings.slow_limits.down),
            Self::SlowUp => rate(settings.slow_limits.up),
            Self::Slots => settings.slots.map_or("auto".into(), |slots| Printable::new(&slots.to_string())),
            Self::Ratio => {
                settings.ratio_goal.map_or("none".into(), |goal| Printable::new(&goal.to_string()))
            }
            Self::Downloads => number(settings.downloads_max),
            Self::Seeds => number(settings.seeds_max),
            Self::AddsPaused => on(settings.adds_paused, "yes", "no"),
            Self::Theme => Printable::new(taste.theme.name()),
            Self::Ascii => on(taste.ascii, "ASCII", "Unicode"),
            Self::Bits => on(taste.bits, "bits", "bytes"),
            Self::Scale => on(taste.log, "logarithmic", "linear"),
        }
    }

    /// The text that an editor begins with: what would be typed to have it as it is.
    pub fn typed(self, settings: &Settings) -> String {
        let rate = |limit: Option<u64>| limit.map_or("none".to_owned(), typed_rate);
        match self {
            Self::Down => rate(settings.limits.down),
            Self::Up => rate(settings.limits.up),
            Self::SlowDown => rate(settings.slow_limits.down),
            Self::SlowUp => rate(settings.slow_limits.up),
            _ => self.value(settings, &Taste::default()).to_string(),
        }
    }

    /// What Enter does to it.
    pub fn enter(self, settings: &Settings, taste: &Taste) -> Change {
        match self {
            Self::Slow => Change::Asked(SettingsChange::Slow(!settings.is_slow)),
            Self::AddsPaused => Change::Asked(SettingsChange::AddsPaused(!settings.adds_paused)),
            Self::Theme => Change::Own(Taste { theme: taste.theme.next(), ..*taste }),
            Self::Ascii => Change::Own(Taste { ascii: !taste.ascii, ..*taste }),
            Self::Bits => Change::Own(Taste { bits: !taste.bits, ..*taste }),
            Self::Scale => Change::Own(Taste { log: !taste.log, ..*taste }),
            _ => Change::Typed,
        }
    }

    /// What a typed text asks for, or why it asks for nothing.
    pub fn read(self, text: &str, settings: &Settings) -> Result<SettingsChange, String> {
        let text = text.trim();
        let limit = |text: &str| parse_rate(text).map(|rate| rate.0);
        Ok(match self {
            Self::Directory if text.is_empty() => return Err("name a folder".to_owned()),
            Self::Directory => SettingsChange::Directory(text.into()),
            Self::Down => SettingsChange::Limits(Limits { down: limit(text)?, ..settings.limits }),
            Self::Up => SettingsChange::Limits(Limits { up: limit(text)?, ..settings.limits }),
            Self::SlowDown => {
                SettingsChange::SlowLimits(Limits { down: limit(text)?, ..settings.slow_limits })
            }
            Self::SlowUp => SettingsChange::SlowLimits(Limits { up: limit(text)?, ..settings.slow_limits }),
            Self::Slots => SettingsChange::Slots(match text {
                "auto" | "" => None,
                _ => Some((text.parse().ok().filter(|slots| (1..=SLOTS_MAX).contains(slots))).ok_or_else(
                    || format!("{text:?} is not a number from 1 to {SLOTS_MAX}; or write auto"),
                )?),
            }),
            Self::Ratio => SettingsChange::RatioGoal(match text {
                "none" | "" => None,
                _ => Some(
                    (text.parse().ok())
                        .filter(|goal: &f32| goal.is_finite() && *goal >= 0.0)
                        .ok_or_else(|| format!("{text:?} is not a ratio; write one such as 1.5, or none"))?,
                ),
            }),
            Self::Downloads => SettingsChange::DownloadsMax(read_number(text)?),
            Self::Seeds => SettingsChange::SeedsMax(read_number(text)?),
            Self::Slow | Self::AddsPaused | Self::Theme | Self::Ascii | Self::Bits | Self::Scale => {
                return Err("it is changed, not typed".to_owned());
            }
        })
    }
}

fn number(max: Option<u32>) -> Printable {
    max.map_or("none".into(), |max| Printable::new(&max.to_string()))
}

fn read_number(text: &str) -> Result<Option<u32>, String> {
    if matches!(text, "none" | "") {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|number| *number > 0);
    number.map(Some).ok_or_else(|| format!("{text:?} is not a number above 0; or write none"))
}

fn rate(limit: Option<u64>) -> Printable {
    limit.map_or("none".into(), |limit| Printable::new(&PerSecond(limit).to_string()))
}

/// A rate as it would be typed, without a loss.
pub fn typed_rate(bytes: u64) -> String {
    match bytes {
        bytes if bytes > 0 && bytes.is_multiple_of(1 << 20) => format!("{}M", bytes >> 20),
        bytes if bytes > 0 && bytes.is_multiple_of(1 << 10) => format!("{}k", bytes >> 10),
        bytes => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_what_was_meant() {
        let mut settings = Settings { directory: "/media/iso".into(), ..Settings::default() };
        settings.limits = Limits { down: Some(2 << 20), up: Some(1234) };
        settings.downloads_max = Some(3);
        for setting in Setting::ALL {
            let Change::Typed = setting.enter(&settings, &Taste::default()) else { continue };
            let typed = setting.typed(&settings);
            let change = setting.read(&typed, &settings).expect("what it is can be typed");
            let same = match change {
                SettingsChange::Directory(directory) => directory == settings.directory,
                SettingsChange::Limits(limits) => limits == settings.limits,
                SettingsChange::SlowLimits(limits) => limits == settings.slow_limits,
                SettingsChange::Slots(slots) => slots == settings.slots,
                SettingsChange::RatioGoal(goal) => goal == settings.ratio_goal,
                SettingsChange::DownloadsMax(max) => max == settings.downloads_max,
                SettingsChange::SeedsMax(max) => max == settings.seeds_max,
                SettingsChange::Slow(_) | SettingsChange::AddsPaused(_) => false,
            };
            assert!(same, "{setting:?} {typed}");
        }
        for (setting, text) in [
            (Setting::Down, "fast"),
            (Setting::Slots, "0"),
            (Setting::Ratio, "nan"),
            (Setting::Downloads, "0"),
            (Setting::Seeds, "-1"),
            (Setting::Directory, " "),
        ] {
            assert!(setting.read(text, &settings).is_err(), "{setting:?} {text}");
        }
    }
}
