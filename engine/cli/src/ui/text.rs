//! How numbers, times, states and tables look (STYLE.md).

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use weft_model::{Level, State};

use super::printable::inline;

/// Not the point.
pub const DIM: Style = Style::new().dimmed();
/// Names.
pub const BOLD: Style = Style::new().bold();
/// Went wrong.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Went well.
pub const SUCCESS: Style = AnsiColor::Green.on_default();
/// May be wrong.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// What to do.
pub const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// The two largest units: `1h 02m`, `3m 07s`, `4.2s`, `12ms`.
pub fn duration(duration: SignedDuration) -> String {
    let millis = duration.as_millis().max(0);
    let seconds = millis / 1_000;
    match seconds {
        0 => format!("{millis}ms"),
        1..60 => format!("{}.{}s", seconds, millis % 1_000 / 100),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Powers of 1024: `812 B`, `12.3 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// `1 execution`, `2 executions`.
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A moment in the user's time zone, to the second.
pub fn moment(timestamp: Timestamp) -> String {
    timestamp.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A time of day in the user's time zone, to the millisecond.
pub fn time_of_day(timestamp: Timestamp, zone: &TimeZone) -> String {
    timestamp.to_zoned(zone.clone()).strftime("%H:%M:%S%.3f").to_string()
}

/// The colour of a state.
pub fn state_style(state: State) -> Style {
    use State::*;
    match state {
        Success => AnsiColor::Green.on_default(),
        Failed | Killed | Killing => AnsiColor::Red.on_default(),
        Warning | Paused | Retrying | Retried | Queued => AnsiColor::Yellow.on_default(),
        Running | Restarted => AnsiColor::Blue.on_default(),
        Created | Cancelled | Skipped => DIM,
    }
}

/// The sign of a state, for narrow places.
pub fn state_sign(state: State) -> &'static str {
    use State::*;
    match state {
        Success => "✓",
        Failed | Killed => "✗",
        Warning => "!",
        Skipped | Cancelled => "-",
        Paused => "‖",
        Running | Killing | Restarted => "▸",
        Retrying | Retried => "↻",
        Created | Queued => "·",
    }
}

/// The colour of a log level.
pub fn level_style(level: Level) -> Style {
    match level {
        Level::Error => AnsiColor::Red.on_default(),
        Level::Warn => AnsiColor::Yellow.on_default(),
        Level::Info => AnsiColor::Green.on_default(),
        Level::Debug | Level::Trace => DIM,
    }
}

/// `text` in `style`, if colour is on.
pub fn styled(text: &str, style: Style, color: bool) -> String {
    if color { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// Rows in columns that are as wide as their widest cell; the last column is not padded.
pub fn table(header: &[&str], rows: &[Vec<Cell>], color: bool) -> String {
    let mut widths: Vec<usize> = header.iter().map(|title| title.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.chars().count());
        }
    }
    let mut text = String::new();
    let titles: Vec<Cell> = header.iter().map(|title| Cell::styled(*title, BOLD)).collect();
    for row in std::iter::once(&titles).chain(rows) {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(&styled(&cell.text, cell.style, color));
            if column + 1 < row.len() {
                let padding = widths[column].saturating_sub(cell.text.chars().count()) + 2;
                let _ = write!(text, "{:padding$}", "");
            }
        }
        text.push('\n');
    }
    text
}

/// A cell of a [`table`].
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text as it is; it stays in its line.
    pub fn plain(text: impl AsRef<str>) -> Self {
        Self::styled(text, Style::new())
    }

    /// Text in a style.
    pub fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: inline(text.as_ref()).into_owned(), style }
    }

    /// A state in its colour.
    pub fn state(state: State) -> Self {
        Self::styled(state.as_str(), state_style(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_two_largest_units() {
        for (millis, expected) in [
            (-5, "0ms"),
            (12, "12ms"),
            (4_250, "4.2s"),
            (59_999, "59.9s"),
            (187_000, "3m 07s"),
            (3_720_000, "1h 02m"),
            (90_000_000, "1d 01h"),
        ] {
            assert_eq!(duration(SignedDuration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (bytes, expected) in [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (12_897_485, "12.3 MiB")]
        {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn tables_align_and_do_not_pad_the_end() {
        let rows = vec![
            vec![Cell::plain("a"), Cell::state(State::Success)],
            vec![Cell::plain("long name"), Cell::plain("x")],
        ];
        assert_eq!(
            table(&["NAME", "STATE"], &rows, false),
            "NAME       STATE\na          SUCCESS\nlong name  x\n"
        );
        assert!(table(&["NAME", "STATE"], &rows, true).contains("\u{1b}[32mSUCCESS\u{1b}[0m"));
    }
}
