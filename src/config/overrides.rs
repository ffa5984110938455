//! Overrides from the command line: `--set table.key=value` and its short forms.

use toml::Value;

use super::error::ConfigError;

/// Keys set on the command line, in order; later ones win.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    entries: Vec<Override>,
}

/// One key that is set from outside of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Override {
    /// `sde`
    pub table: String,
    /// `beta_min`
    pub key: String,
    /// The value as TOML.
    pub value: Value,
    /// Which flag set it, for errors: `--set`.
    pub flag: String,
}

/// Where a config comes from, for errors.
#[derive(Clone, Debug)]
pub struct Origin {
    name: String,
    overrides: Overrides,
}

impl Origin {
    /// A file, called `name`, with these overrides.
    pub fn new(name: impl Into<String>, overrides: &Overrides) -> Self {
        Self { name: name.into(), overrides: overrides.clone() }
    }

    /// What the file is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A line that says `what` is wrong with `key` (`table.key`, `table.key[1]` or `table`): the file, and the flag
    /// where one has set it.
    pub fn line(&self, key: &str, what: &str) -> String {
        match self.overrides.flag_behind(key.split('[').next().unwrap_or(key)) {
            Some(flag) => format!("{} with {flag}: {what}", self.name),
            None => format!("{}: {what}", self.name),
        }
    }
}

impl Overrides {
    /// No overrides.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds `table.key=value` as given to `--set`. The value is TOML; what is no TOML and does not try to be
    /// (a bare word, a path) is a string.
    ///
    /// # Errors
    /// The text has no `table.key=`, or its value begins like a TOML string, array or table and is none.
    pub fn set(&mut self, text: &str) -> Result<(), ConfigError> {
        let complain = |what: &str| ConfigError::line(format!("--set {text}: {what}"));
        let shape = || complain("must look like table.key=value, as in --set train.batch=64");
        let (path, value) = text.split_once('=').ok_or_else(shape)?;
        let (table, key) = path.trim().split_once('.').ok_or_else(shape)?;
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        if !is_name(table) || !is_name(key) {
            return Err(shape());
        }
        let value = value.trim();
        if value.parse::<Value>().is_err() && (value.is_empty() || value.starts_with(['"', '\'', '[', '{'])) {
            return Err(complain("the value is not valid TOML, such as 3, 0.5, true, word, [1, 2]"));
        }
        let value = value_of(value);
        self.entries.push(Override { table: table.into(), key: key.into(), value, flag: "--set".into() });
        Ok(())
    }

    /// Sets `table.key` on behalf of `flag` (`--steps`), which errors will name.
    pub fn insert(&mut self, flag: &str, table: &str, key: &str, value: impl Into<Value>) {
        self.entries.push(Override { table: table.into(), key: key.into(), value: value.into(), flag: flag.into() });
    }

    /// Sets `table.key` to the text that was given to `flag` (`--steps`), if it was: its type and range are the key's.
    pub fn insert_text(&mut self, flag: &str, table: &str, key: &str, text: Option<&String>) {
        if let Some(text) = text {
            self.insert(flag, table, key, value_of(text.trim()));
        }
    }

    /// The tables that are concerned.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.table.as_str())
    }

    /// The flag that sets `table.key`, if one does: `--set`, `--steps`.
    pub fn flag_of(&self, table: &str, key: &str) -> Option<&str> {
        let entry = self.entries.iter().rev().find(|entry| entry.table == table && entry.key == key);
        entry.map(|entry| entry.flag.as_str())
    }

    /// The flag that sets the key `table.key`, or anything in the table of that name.
    fn flag_behind(&self, key: &str) -> Option<&str> {
        let concerns = |entry: &&Override| {
            let rest = format!("{}.{}", entry.table, entry.key).strip_prefix(key).map(str::to_owned);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.entries.iter().rev().find(concerns).map(|entry| entry.flag.as_str())
    }

    pub(super) fn entries(&self) -> &[Override] {
        &self.entries
    }
}

/// TOML, or else a string.
fn value_of(text: &str) -> Value {
    text.parse().unwrap_or_else(|_| Value::String(text.to_owned()))
}
