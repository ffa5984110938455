//! `docs/configuration.md`, made from the types.

use std::fmt::Write;

use super::schema::{Key, TableSchema};
use super::table::{Choice, Single, schema_of};
use super::{Data, Loss, Model, Sample, Sde, Train, schema};

const INTRODUCTION: &str = "\
# Configuration

<!-- Made from the code's own types. To write it anew: cargo run -- docs > docs/configuration.md -->

An experiment is one TOML file with the tables below. `[data]`, `[model]` and `[sde]` have to be there, each with
the key `kind` that says which of its choices is meant; all other tables and keys have the defaults given here.
A run's folder holds the file with every default written out, as `config.toml`.

`--set table.key=value` overrides any key from the command line. The value is TOML; a bare word is a string. Where it
names another `kind` than the file does, the table starts anew: the file's other keys in it are left out. Not so in
`[sample]`, whose keys are the same for every kind.
`--steps N` and `--seed N` are short for `--set train.steps=N` and `--set train.seed=N` in `tweedie train`.

A resumed run may change `train.steps`, `train.checkpoint_every`, `train.evaluate_every`, `train.log_every`,
`train.keep` and the table `[sample]`, and nothing else.

Numbers are finite; a whole number may stand where a number is asked for.
";

/// The text of `docs/configuration.md`.
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_string();
    choice::<Data>(&mut page);
    choice::<Model>(&mut page);
    choice::<Sde>(&mut page);
    choice::<Loss>(&mut page);
    single::<Train>(&mut page);
    single::<Sample>(&mut page);
    page
}

fn choice<T: Choice>(page: &mut String) {
    let names: Vec<String> = T::kinds().iter().map(|kind| format!("`{}`", kind.name)).collect();
    let default = T::DEFAULT_KIND.map(|kind| format!(" (default `{kind}`)")).unwrap_or_default();
    let about = flat(T::ABOUT);
    heading(page, &format!("## `[{}]`\n\n{about}\n\n`kind` is one of {}{default}.", T::TABLE, names.join(", ")));
    for kind in T::kinds() {
        heading(page, &format!("### `{}.kind = \"{}\"`\n\n{}", T::TABLE, kind.name, flat(&kind.schema.about)));
        keys(page, &kind.schema);
    }
}

fn single<T: Single>(page: &mut String) {
    let schema = schema_of::<T>();
    heading(page, &format!("## `[{}]`\n\n{}", T::TABLE, flat(&schema.about)));
    keys(page, &schema);
}

fn heading(page: &mut String, text: &str) {
    writeln!(page, "\n{text}").expect("a String takes all text");
}

fn keys(page: &mut String, table: &TableSchema) {
    if table.keys.is_empty() {
        return;
    }
    let mut lines = vec!["| key | default | value | meaning |".to_string(), "|---|---|---|---|".to_string()];
    for Key { name, required, schema } in &table.keys {
        let default = match &schema["default"] {
            _ if *required => "required".to_string(),
            serde_json::Value::Null => "none".to_string(),
            default => format!("`{default}`"),
        };
        let words = schema::words(schema);
        let value = if words.is_empty() { schema::describe(schema) } else { "a word".to_string() };
        let about = flat(schema["description"].as_str().unwrap_or_default());
        let meaning =
            words.iter().fold(about, |all, (word, meaning)| format!("{all}<br>`\"{word}\"`: {}", flat(meaning)));
        lines.push(format!("| `{name}` | {default} | {value} | {meaning} |"));
    }
    heading(page, &lines.join("\n"));
}

/// Doc comments are wrapped for the source; tables want one line.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
