//! Settings: a built-in default, then a TOML file, then a `.env`, then the environment; the later wins.
//!
//! All of them are listed in [`CATALOGUE`], for all services at once: one file or one `.env` may serve several
//! processes, and a key that none of them knows is a mistake that should be named.

/// Every setting: name, default, meaning.
pub mod catalogue;
mod sources;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

pub use catalogue::{CATALOGUE, Setting, sample};
pub use sources::Sources;

/// A setting that cannot be used: which, where it was set, to what, and why not.
#[derive(Debug, thiserror::Error)]
pub enum BadSetting {
    /// Its value is out of range or of the wrong form.
    #[error("{name} = {value:?} ({origin}): {reason}")]
    Value {
        /// The name of the setting.
        name: &'static str,
        /// The value as given, or stars for a secret.
        value: String,
        /// Where it was set.
        origin: String,
        /// What is wrong, and what is allowed.
        reason: String,
    },
    /// The file has a key that no service knows.
    #[error("{file}: there is no setting {key:?}; deploy/settings.sample.toml lists all of them")]
    Unknown {
        /// The file.
        file: String,
        /// The key.
        key: String,
    },
    /// The file cannot be read as settings.
    #[error("{file}: {reason}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// One value with its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    text: String,
    origin: String,
}

/// All settings as text, ready to be read into the types of a service.
#[derive(Debug, Default)]
pub struct Settings {
    values: BTreeMap<&'static str, Value>,
}

impl Settings {
    /// Reads the value of `setting`; `None` where it is empty, which means "not set".
    pub fn optional<T>(&self, setting: &'static Setting) -> Result<Option<T>, BadSetting>
    where
        T: FromStr<Err: Display>,
    {
        let (text, origin) = match self.values.get(setting.name) {
            Some(value) => (value.text.trim(), value.origin.as_str()),
            None => (setting.default, "default"),
        };
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|reason: T::Err| BadSetting::Value {
            name: setting.name,
            value: if setting.secret { "***".to_owned() } else { text.to_owned() },
            origin: origin.to_owned(),
            reason: reason.to_string(),
        })
    }

    /// Reads the value of `setting`, which has one: an empty value means its default.
    pub fn required<T>(&self, setting: &'static Setting) -> Result<T, BadSetting>
    where
        T: FromStr<Err: Display>,
    {
        if let Some(value) = self.optional(setting)? {
            return Ok(value);
        }
        setting.default.parse().map_err(|reason: T::Err| BadSetting::Value {
            name: setting.name,
            value: setting.default.to_owned(),
            origin: "default".to_owned(),
            reason: reason.to_string(),
        })
    }

    /// Reads a whole number between two bounds.
    pub fn number(&self, setting: &'static Setting, least: u64, most: u64) -> Result<u64, BadSetting> {
        // What is no number at all hears the same: a parser says what it met and not what is allowed.
        let number = self.required(setting).ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| self.refuse(setting, format!("a whole number from {least} to {most}")))
    }

    /// Whether nobody set it, so that its default rules.
    pub fn is_default(&self, setting: &'static Setting) -> bool {
        self.values.get(setting.name).is_none_or(|value| value.text.trim().is_empty())
    }

    /// The refusal of a value that has the right form but cannot be used.
    pub fn refuse(&self, setting: &'static Setting, reason: impl Into<String>) -> BadSetting {
        let value = self.values.get(setting.name);
        let text = value.map_or(setting.default, |value| value.text.as_str());
        BadSetting::Value {
            name: setting.name,
            value: if setting.secret { "***".to_owned() } else { text.to_owned() },
            origin: value.map_or("default", |value| value.origin.as_str()).to_owned(),
            reason: reason.into(),
        }
    }
}
