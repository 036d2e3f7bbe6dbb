use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use config::{Config, Environment, File, FileFormat, Source as _, ValueKind};

use super::{BadSetting, CATALOGUE, Setting, Settings, Value};

/// Where settings come from besides the built-in defaults.
#[derive(Debug, Default)]
pub struct Sources {
    /// A TOML file, which must exist when named.
    pub file: Option<PathBuf>,
    /// Variables of a `.env` file, and then of the environment; of a name that occurs twice the later counts.
    pub variables: Vec<(String, String)>,
}

impl Sources {
    /// The file named on the command line, the `.env` of the current folder and the process's environment.
    ///
    /// The `.env` is read, not put into the environment: nothing that this process starts sees it.
    pub fn of_this_process(file: Option<PathBuf>) -> Result<Self, BadSetting> {
        let mut variables = Vec::new();
        match dotenvy::from_path_iter(".env") {
            Ok(lines) => {
                for line in lines {
                    variables.push(line.map_err(|error| bad_dotenv(&error))?);
                }
            }
            Err(error) if error.not_found() => {}
            Err(error) => return Err(bad_dotenv(&error)),
        }
        let known = |name: &str| CATALOGUE.iter().any(|setting| setting.name == name);
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| known(name)) else { continue };
            let Some(value) = value.to_str() else {
                return Err(BadSetting::File {
                    file: format!("environment variable {name}"),
                    reason: "is not UTF-8".to_owned(),
                });
            };
            variables.push((name.to_owned(), value.to_owned()));
        }
        Ok(Self { file, variables })
    }

    /// Puts them together, the later over the earlier.
    pub fn load(self) -> Result<Settings, BadSetting> {
        let mut values = BTreeMap::new();
        if let Some(path) = &self.file {
            values = from_file(path)?;
        }
        let variables: HashMap<String, String> = self.variables.into_iter().collect();
        let environment = Environment::default().source(Some(variables)).collect().map_err(|error| {
            BadSetting::File { file: "environment".to_owned(), reason: error.to_string() }
        })?;
        for setting in CATALOGUE {
            if let Some(value) = environment.get(&setting.name.to_lowercase()) {
                let text = value.clone().into_string().unwrap_or_default();
                values.insert(setting.name, Value { text, origin: "environment".to_owned() });
            }
        }
        Ok(Settings { values })
    }
}

fn from_file(path: &std::path::Path) -> Result<BTreeMap<&'static str, Value>, BadSetting> {
    let file = path.display().to_string();
    let bad = |reason: String| BadSetting::File { file: file.clone(), reason };
    let source = File::from(path).format(FileFormat::Toml);
    let table = Config::builder()
        .add_source(source)
        .build()
        .and_then(|config| config.collect())
        .map_err(|error| bad(error.to_string()))?;
    let mut values = BTreeMap::new();
    for (key, value) in table {
        let Some(setting) = known_in_file(&key) else {
            return Err(BadSetting::Unknown { file, key });
        };
        let text = text_of(value)
            .ok_or_else(|| bad(format!("{key} is neither a text, a number nor a list of these")))?;
        values.insert(setting.name, Value { text, origin: file.clone() });
    }
    Ok(values)
}

fn known_in_file(key: &str) -> Option<&'static Setting> {
    CATALOGUE.iter().copied().find(|setting| setting.name.eq_ignore_ascii_case(key))
}

/// A list in TOML means the same as its items separated by commas.
fn text_of(value: config::Value) -> Option<String> {
    match value.kind {
        ValueKind::Array(items) => {
            items.into_iter().map(text_of).collect::<Option<Vec<_>>>().map(|items| items.join(","))
        }
        ValueKind::Table(_) => None,
        _ => value.into_string().ok(),
    }
}

fn bad_dotenv(error: &dotenvy::Error) -> BadSetting {
    BadSetting::File { file: ".env".to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use std::io::Write as _;

    use super::*;
    use crate::settings::catalogue::{LOG_FORMAT, PEER_TTL_SECS, REDIS_URL, TRUSTED_PROXIES};
    use crate::settings::sample;

    fn load(toml: &str, variables: &[(&str, &str)]) -> Result<Settings, BadSetting> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(toml.as_bytes()).unwrap();
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Sources { file: Some(file.path().to_owned()), variables }.load()
    }

    #[test]
    fn the_later_source_wins() {
        let settings = load("peer_ttl_secs = 5\nlog_format = \"json\"", &[("PEER_TTL_SECS", "7")]).unwrap();
        assert_eq!(settings.number(&PEER_TTL_SECS, 0, 100).unwrap(), 7);
        assert_eq!(settings.required::<String>(&LOG_FORMAT).unwrap(), "json");
        assert_eq!(settings.required::<String>(&TRUSTED_PROXIES).unwrap(), "loopback,private");
        assert!(settings.is_default(&TRUSTED_PROXIES) && !settings.is_default(&LOG_FORMAT));
    }

    #[test]
    fn an_empty_value_means_not_set() {
        let settings = load("", &[("REDIS_URL", ""), ("PEER_TTL_SECS", " ")]).unwrap();
        assert_eq!(settings.optional::<String>(&REDIS_URL).unwrap(), None);
        assert_eq!(settings.number(&PEER_TTL_SECS, 0, 100_000).unwrap(), 86_400);
    }

    #[test]
    fn a_list_in_toml_is_its_items_separated_by_commas() {
        let settings = load("trusted_proxies = [\"loopback\", \"10.0.0.0/8\"]", &[]).unwrap();
        assert_eq!(settings.required::<String>(&TRUSTED_PROXIES).unwrap(), "loopback,10.0.0.0/8");
    }

    #[test]
    fn a_bad_setting_names_itself_its_origin_and_what_is_allowed() {
        let settings = load("", &[("PEER_TTL_SECS", "soon"), ("REDIS_URL", "redis://:secret@h")]).unwrap();
        let error = settings.number(&PEER_TTL_SECS, 0, 100).unwrap_err().to_string();
        assert_eq!(error, "PEER_TTL_SECS = \"soon\" (environment): a whole number from 0 to 100");
        let error = settings.refuse(&REDIS_URL, "no such scheme").to_string();
        assert_eq!(error, "REDIS_URL = \"***\" (environment): no such scheme");
        let settings = load("", &[("PEER_TTL_SECS", "101")]).unwrap();
        let error = settings.number(&PEER_TTL_SECS, 0, 100).unwrap_err().to_string();
        assert!(error.ends_with("a whole number from 0 to 100"), "{error}");
    }

    #[test]
    fn a_file_with_an_unknown_key_or_no_toml_is_refused() {
        assert!(
            matches!(load("peer_tll_secs = 5", &[]), Err(BadSetting::Unknown { key, .. }) if key == "peer_tll_secs")
        );
        assert!(matches!(load("peer_ttl_secs = ", &[]), Err(BadSetting::File { .. })));
        assert!(matches!(load("[peer_ttl_secs]\na = 1", &[]), Err(BadSetting::File { .. })));
        let missing = Sources { file: Some("/no/such/file.toml".into()), variables: Vec::new() };
        assert!(matches!(missing.load(), Err(BadSetting::File { .. })));
    }

    #[test]
    fn the_sample_file_is_the_catalogue_and_can_be_loaded() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/settings.sample.toml");
        if std::env::var_os("UPDATE_SAMPLE").is_some() {
            std::fs::write(path, sample()).unwrap();
        }
        let file = std::fs::read_to_string(path).unwrap();
        assert_eq!(file, sample(), "run the tests with UPDATE_SAMPLE=1 to write it anew");
        let uncommented: String = file
            .lines()
            .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(""))
            .fold(String::new(), |text, line| text + line + "\n");
        let settings = load(&uncommented, &[]).unwrap();
        assert_eq!(settings.number(&PEER_TTL_SECS, 0, 100_000).unwrap(), 86_400);
    }
}
