//! A config file as it was written, with its overrides: knows for every key where it came from.

use toml::{Table, Value};

use super::error::{ConfigError, Violation, allowed};
use super::overrides::{Origin, Overrides};
use super::schema::{self, TableSchema};
use super::table::{Choice, Single, build, schema_of};

/// Parsed TOML, not yet understood.
pub(super) struct Document {
    origin: Origin,
    root: Table,
}

impl Document {
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        let root = text.parse::<Table>().map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let before = &text.as_bytes()[..start];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            ConfigError::line(format!("{name}: line {line}: not valid TOML: {}", error.message()))
        })?;
        Ok(Self { origin: Origin::new(name, &Overrides::none()), root })
    }

    /// Puts every override in its place. In the tables of `choices`, given with their default kinds, another `kind`
    /// than the file's starts the table anew, for the keys of one kind mean nothing to another.
    pub fn apply(&mut self, overrides: &Overrides, choices: &[(&str, Option<&str>)]) -> Result<(), ConfigError> {
        let (kinds, others): (Vec<_>, Vec<_>) = overrides.entries().iter().partition(|entry| entry.key == "kind");
        for entry in kinds.into_iter().chain(others) {
            let slot = self.root.entry(&entry.table).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(table) = slot else {
                return Err(ConfigError::line(format!(
                    "{}: {} must be a table: [{}]",
                    self.origin.name(),
                    entry.table,
                    entry.table
                )));
            };
            if entry.key == "kind"
                && let Some((_, default)) = choices.iter().find(|(choice, _)| *choice == entry.table)
            {
                let default = default.map(|kind| Value::String(kind.to_owned()));
                let kind = table.get("kind").or(default.as_ref());
                if kind.is_some_and(|kind| *kind != entry.value) {
                    table.clear();
                }
            }
            table.insert(entry.key.clone(), entry.value.clone());
        }
        self.origin = Origin::new(self.origin.name(), overrides);
        Ok(())
    }

    /// Refuses tables that are not in the list, and values where a table should be.
    pub fn expect_tables(&self, tables: &[&str]) -> Result<(), ConfigError> {
        for (key, value) in &self.root {
            if !tables.contains(&key.as_str()) {
                let what = if value.is_table() { "unknown table" } else { "unknown key outside of any table" };
                let shown = if value.is_table() { format!("[{key}]") } else { key.clone() };
                return Err(self.complain(key, &format!("{shown}: {what}; {}", allowed(key, tables))));
            }
            if !value.is_table() {
                return Err(self.complain(key, &format!("{key} must be a table: [{key}]")));
            }
        }
        Ok(())
    }

    /// A table that has to name its kind.
    pub fn choice<T: Choice>(&self) -> Result<T, ConfigError> {
        let kinds = T::kinds();
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
        let mut table = match (self.table(T::TABLE), T::DEFAULT_KIND) {
            (Some(table), _) => table,
            (None, Some(_)) => Table::new(),
            (None, None) => {
                let line = format!("missing table [{}] with the key kind; {}", T::TABLE, allowed("", &names));
                return Err(ConfigError::file(self.origin.name(), &line));
            }
        };
        let key = format!("{}.kind", T::TABLE);
        let named = match (table.remove("kind"), T::DEFAULT_KIND) {
            (Some(Value::String(name)), _) => name,
            (Some(_), _) => {
                return Err(self.violated(
                    T::TABLE,
                    Violation::new("kind", &format!("must be a string; {}", allowed("", &names))),
                ));
            }
            (None, Some(name)) => name.to_string(),
            (None, None) => return Err(self.complain(&key, &format!("{key}: missing key; {}", allowed("", &names)))),
        };
        let Some(kind) = kinds.iter().find(|kind| kind.name == named) else {
            return Err(
                self.violated(T::TABLE, Violation::new("kind", &format!("unknown kind; {}", allowed(&named, &names))))
            );
        };
        self.check_keys(T::TABLE, Some(kind.name), &table, &kind.schema)?;
        (kind.build)(table).map_err(|violation| self.violated(T::TABLE, violation))
    }

    /// Puts a number in the place of a word that stands for it.
    ///
    /// # Errors
    /// What `number` says is wrong with the word here.
    pub fn resolve(
        &mut self,
        (table, key): (&str, &str),
        word: &str,
        number: impl FnOnce() -> Result<f64, String>,
    ) -> Result<(), ConfigError> {
        if self.value(&format!("{table}.{key}")).and_then(Value::as_str) != Some(word) {
            return Ok(());
        }
        let number = number().map_err(|wanted| self.violated(table, Violation::new(key, &wanted)))?;
        if let Some(Value::Table(keys)) = self.root.get_mut(table) {
            keys.insert(key.to_owned(), Value::Float(number));
        }
        Ok(())
    }

    /// The kind that a table names.
    pub fn kind(&self, table: &str) -> Option<&str> {
        self.value(&format!("{table}.kind"))?.as_str()
    }

    /// Where `table.key` is a word that stands for a table, puts the keys that it has, and the file has not, into the
    /// file's. A word that stands for none is left to the schema.
    pub fn fill(&mut self, (table, key): (&str, &str), defaults: impl FnOnce(&str) -> Option<Table>) {
        let word = self.value(&format!("{table}.{key}")).and_then(Value::as_str);
        if let (Some(defaults), Some(Value::Table(keys))) = (word.and_then(defaults), self.root.get_mut(table)) {
            defaults.into_iter().for_each(|(name, value)| {
                keys.entry(name).or_insert(value);
            });
        }
    }

    /// A table without kinds; it may be absent.
    pub fn single<T: Single>(&self) -> Result<T, ConfigError> {
        let table = self.table(T::TABLE).unwrap_or_default();
        self.check_keys(T::TABLE, None, &table, &schema_of::<T>())?;
        build(table).map_err(|violation| self.violated(T::TABLE, violation))
    }

    /// Adds file, value and flag to a violation in `table` (or, where `table` is empty, in its full key).
    pub fn violated(&self, table: &str, violation: Violation) -> ConfigError {
        let key = if table.is_empty() { violation.key } else { format!("{table}.{}", violation.key) };
        let shown = match self.value(&key) {
            Some(value) => format!("{key} = {}", shorten(&value.to_string())),
            None => key.clone(),
        };
        self.complain(&key, &format!("{shown}: {}", violation.wanted))
    }

    fn check_keys(
        &self,
        table: &str,
        kind: Option<&str>,
        keys: &Table,
        schema: &TableSchema,
    ) -> Result<(), ConfigError> {
        let names: Vec<&str> =
            kind.iter().map(|_| "kind").chain(schema.keys.iter().map(|key| key.name.as_str())).collect();
        for (name, value) in keys {
            let Some(key) = schema.keys.iter().find(|key| key.name == *name) else {
                let of = kind.map(|kind| format!(" for kind = \"{kind}\"")).unwrap_or_default();
                return Err(
                    self.violated(table, Violation::new(name, &format!("unknown key{of}; {}", allowed(name, &names))))
                );
            };
            schema::check(&key.schema, value, name).map_err(|violation| self.violated(table, violation))?;
        }
        match schema.keys.iter().find(|key| key.required && !keys.contains_key(&key.name)) {
            Some(key) => {
                let line = format!("{table}.{}: missing key; it must be {}", key.name, schema::describe(&key.schema));
                Err(self.complain(&format!("{table}.{}", key.name), &line))
            }
            None => Ok(()),
        }
    }

    fn table(&self, name: &str) -> Option<Table> {
        self.root.get(name)?.as_table().cloned()
    }

    /// The value of `table.key`, `table.key[1]`, `table.key[1][0]`.
    fn value(&self, key: &str) -> Option<&Value> {
        let (table, rest) = key.split_once('.')?;
        let mut parts = rest.split('[');
        let mut value = self.root.get(table)?.get(parts.next()?)?;
        for index in parts {
            value = value.get(index.strip_suffix(']')?.parse::<usize>().ok()?)?;
        }
        Some(value)
    }

    fn complain(&self, key: &str, what: &str) -> ConfigError {
        ConfigError::line(self.origin.line(key, what))
    }
}

/// A value as it may stand in an error's one line.
fn shorten(value: &str) -> String {
    const LONGEST: usize = 60;
    if value.chars().count() <= LONGEST {
        return value.to_string();
    }
    value.chars().take(LONGEST).chain("…".chars()).collect()
}
