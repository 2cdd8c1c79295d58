//! Names of months and weekdays in some languages, as Java writes them.

use jiff::civil::Date;

use super::{MONTHS, WEEKDAYS};
use crate::error::Fault;

/// Names in one language.
#[derive(Debug)]
pub(crate) struct Language {
    code: &'static str,
    months: [&'static str; 12],
    short_months: [&'static str; 12],
    /// From Monday, as all lists of weekdays here.
    weekdays: [&'static str; 7],
    short_weekdays: [&'static str; 7],
    first_letters_of_weekdays: [&'static str; 7],
    halves_of_day: [&'static str; 2],
}

/// What names are in if no language is asked for, and what dates are read in.
pub(crate) const ENGLISH: &Language = &LANGUAGES[0];

const LANGUAGES: [Language; 7] = [
    Language {
        code: "en",
        months: MONTHS,
        short_months: ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
        weekdays: WEEKDAYS,
        short_weekdays: ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
        first_letters_of_weekdays: ["M", "T", "W", "T", "F", "S", "S"],
        halves_of_day: ["AM", "PM"],
    },
    Language {
        code: "de",
        months: [
            "Januar",
            "Februar",
            "März",
            "April",
            "Mai",
            "Juni",
            "Juli",
            "August",
            "September",
            "Oktober",
            "November",
            "Dezember",
        ],
        short_months: [
            "Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez.",
        ],
        weekdays: ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
        short_weekdays: ["Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa.", "So."],
        first_letters_of_weekdays: ["M", "D", "M", "D", "F", "S", "S"],
        halves_of_day: ["AM", "PM"],
    },
    Language {
        code: "es",
        months: [
            "enero",
            "febrero",
            "marzo",
            "abril",
            "mayo",
            "junio",
            "julio",
            "agosto",
            "septiembre",
            "octubre",
            "noviembre",
            "diciembre",
        ],
        short_months: ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sept", "oct", "nov", "dic"],
        weekdays: ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
        short_weekdays: ["lun", "mar", "mié", "jue", "vie", "sáb", "dom"],
        first_letters_of_weekdays: ["L", "M", "X", "J", "V", "S", "D"],
        halves_of_day: ["a.\u{a0}m.", "p.\u{a0}m."],
    },
    Language {
        code: "fr",
        months: [
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        ],
        short_months: [
            "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc.",
        ],
        weekdays: ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
        short_weekdays: ["lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."],
        first_letters_of_weekdays: ["L", "M", "M", "J", "V", "S", "D"],
        halves_of_day: ["AM", "PM"],
    },
    Language {
        code: "it",
        months: [
            "gennaio",
            "febbraio",
            "marzo",
            "aprile",
            "maggio",
            "giugno",
            "luglio",
            "agosto",
            "settembre",
            "ottobre",
            "novembre",
            "dicembre",
        ],
        short_months: ["gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic"],
        weekdays: ["lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"],
        short_weekdays: ["lun", "mar", "mer", "gio", "ven", "sab", "dom"],
        first_letters_of_weekdays: ["L", "M", "M", "G", "V", "S", "D"],
        halves_of_day: ["AM", "PM"],
    },
    Language {
        code: "nl",
        months: [
            "januari",
            "februari",
            "maart",
            "april",
            "mei",
            "juni",
            "juli",
            "augustus",
            "september",
            "oktober",
            "november",
            "december",
        ],
        short_months: ["jan", "feb", "mrt", "apr", "mei", "jun", "jul", "aug", "sep", "okt", "nov", "dec"],
        weekdays: ["maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag"],
        short_weekdays: ["ma", "di", "wo", "do", "vr", "za", "zo"],
        first_letters_of_weekdays: ["M", "D", "W", "D", "V", "Z", "Z"],
        halves_of_day: ["a.m.", "p.m."],
    },
    Language {
        code: "pt",
        months: [
            "janeiro",
            "fevereiro",
            "março",
            "abril",
            "maio",
            "junho",
            "julho",
            "agosto",
            "setembro",
            "outubro",
            "novembro",
            "dezembro",
        ],
        short_months: [
            "jan.", "fev.", "mar.", "abr.", "mai.", "jun.", "jul.", "ago.", "set.", "out.", "nov.", "dez.",
        ],
        weekdays: [
            "segunda-feira",
            "terça-feira",
            "quarta-feira",
            "quinta-feira",
            "sexta-feira",
            "sábado",
            "domingo",
        ],
        short_weekdays: ["seg.", "ter.", "qua.", "qui.", "sex.", "sáb.", "dom."],
        first_letters_of_weekdays: ["S", "T", "Q", "Q", "S", "S", "D"],
        halves_of_day: ["AM", "PM"],
    },
];

impl Language {
    /// The language of a locale as `fr`, `fr-FR` or `fr_FR`.
    pub fn of(locale: &str) -> Result<&'static Self, Fault> {
        let code = locale.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        LANGUAGES.iter().find(|language| language.code == code).ok_or_else(|| {
            let codes: Vec<_> = LANGUAGES.iter().map(|language| format!("`{}`", language.code)).collect();
            Fault::new(format!("dates are not available in the language `{locale}`"))
                .with_hint(format!("use one of {}, or digits only", codes.join(", ")))
        })
    }

    /// Whether it is the language that formats with a name of their own are in.
    pub fn is_english(&self) -> bool {
        self.code == ENGLISH.code
    }

    /// A month in full (`MMMM`), by its first letter (`MMMMM`) or abbreviated.
    pub fn month(&self, date: Date, letters: usize) -> String {
        let index = usize::from(date.month().unsigned_abs().saturating_sub(1)).min(11);
        match letters {
            4 => self.months[index].to_string(),
            5 => self.months[index].chars().take(1).flat_map(char::to_uppercase).collect(),
            _ => self.short_months[index].to_string(),
        }
    }

    /// A weekday in full (`EEEE`), by its first letter (`EEEEE`) or abbreviated.
    pub fn weekday(&self, date: Date, letters: usize) -> &'static str {
        let index = usize::from(date.weekday().to_monday_zero_offset().unsigned_abs()).min(6);
        match letters {
            4 => self.weekdays[index],
            5 => self.first_letters_of_weekdays[index],
            _ => self.short_weekdays[index],
        }
    }

    /// Before or after noon.
    pub fn half_of_day(&self, hour: i64) -> &'static str {
        self.halves_of_day[usize::from(hour >= 12)]
    }
}
