//! Checks a TOML value against the JSON schema that `schemars` derives from a struct, and puts a schema into words.
//!
//! Only what our own structs use is understood: numbers with bounds, strings, booleans, enums of strings, arrays
//! and alternatives.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value as Json;
use toml::Value as Toml;

use super::error::{Violation, allowed};
use crate::number::short;

/// The keys of a table.
pub(super) struct TableSchema {
    /// The struct's doc comment.
    pub about: String,
    /// In the struct's order.
    pub keys: Vec<Key>,
}

/// A key of a table.
pub(super) struct Key {
    /// As in the file.
    pub name: String,
    /// Whether it has to be given.
    pub required: bool,
    /// Its JSON schema, the schemas of its parts inlined.
    pub schema: Json,
}

/// The keys of a struct.
pub(super) fn of<T: JsonSchema>() -> TableSchema {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    keys_of(&settings.into_generator().into_root_schema_for::<T>().to_value())
}

/// The keys in a struct's schema. Apart from [`of`], so that it is compiled once and not for every struct.
fn keys_of(root: &Json) -> TableSchema {
    let required =
        |name: &str| root["required"].as_array().is_some_and(|required| required.iter().any(|key| key == name));
    let key = |(name, schema): (&String, &Json)| Key {
        name: name.clone(),
        required: required(name),
        schema: present(schema),
    };
    TableSchema {
        about: root["description"].as_str().unwrap_or_default().to_string(),
        keys: root["properties"].as_object().into_iter().flatten().map(key).collect(),
    }
}

/// The schema of a key where it is given: of one that may be left out, schemars says that it may also be null.
fn present(schema: &Json) -> Json {
    let alternatives: Vec<&Json> = schema["anyOf"].as_array().into_iter().flatten().collect();
    match alternatives[..] {
        [there, left_out] if left_out["type"] == "null" => {
            let mut there = there.clone();
            there["description"] = schema["description"].clone();
            there
        }
        _ => schema.clone(),
    }
}

/// The words that an enum of strings allows, with what each means.
pub(super) fn words(schema: &Json) -> Vec<(&str, &str)> {
    let variants = schema["oneOf"].as_array().into_iter().flatten();
    variants.filter_map(|v| Some((v["const"].as_str()?, v["description"].as_str().unwrap_or_default()))).collect()
}

/// Checks the value of `key`: type, range, allowed words, entries of arrays; no number may be infinite or NaN.
pub(super) fn check(schema: &Json, value: &Toml, key: &str) -> Result<(), Violation> {
    let violation = || Err(Violation::new(key, &format!("must be {}", describe(schema))));
    if let Some(alternatives) = schema["anyOf"].as_array() {
        return if alternatives.iter().any(|schema| check(schema, value, key).is_ok()) { Ok(()) } else { violation() };
    }
    let words = words(schema);
    if !words.is_empty() {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        return match value {
            Toml::String(word) if words.contains(&word.as_str()) => Ok(()),
            Toml::String(word) => Err(Violation::new(key, &allowed(word, &words))),
            _ => violation(),
        };
    }
    let fits = match (type_of(schema), value) {
        (Some("string"), Toml::String(_)) | (Some("boolean"), Toml::Boolean(_)) => true,
        (Some("integer" | "number"), Toml::Integer(number)) => in_range(schema, *number as f64),
        (Some("number"), Toml::Float(number)) => number.is_finite() && in_range(schema, *number),
        (Some("array"), Toml::Array(entries)) => {
            for (index, entry) in entries.iter().enumerate() {
                check(&schema["items"], entry, &format!("{key}[{index}]"))?;
            }
            schema["minItems"].as_u64().is_none_or(|least| entries.len() as u64 >= least)
        }
        _ => false,
    };
    if fits { Ok(()) } else { violation() }
}

/// The type that a value has to have; of a key that may be left out, without the null that it then has.
fn type_of(schema: &Json) -> Option<&str> {
    schema["type"].as_str().or_else(|| schema["type"][0].as_str())
}

fn in_range(schema: &Json, number: f64) -> bool {
    let bound = |name: &str| schema[name].as_f64();
    bound("minimum").is_none_or(|least| number >= least)
        && bound("exclusiveMinimum").is_none_or(|limit| number > limit)
        && bound("maximum").is_none_or(|most| number <= most)
        && bound("exclusiveMaximum").is_none_or(|limit| number < limit)
}

/// What a schema allows, in words: `a whole number ≥ 1`, `one of "mean", "sum"`.
pub(super) fn describe(schema: &Json) -> String {
    if let Some(alternatives) = schema["anyOf"].as_array() {
        return alternatives.iter().map(describe).collect::<Vec<_>>().join(", or ");
    }
    let words = words(schema);
    if !words.is_empty() {
        return format!(
            "one of {}",
            words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
        );
    }
    match type_of(schema) {
        Some("integer") => format!("a whole number{}", range(schema)),
        Some("number") => format!("a number{}", range(schema)),
        Some("boolean") => "true or false".to_string(),
        Some("array") => match schema["minItems"].as_u64() {
            Some(least) if least > 0 => format!("an array, not empty, each entry {}", describe(&schema["items"])),
            _ => format!("an array, each entry {}", describe(&schema["items"])),
        },
        _ => "a string".to_string(),
    }
}

fn range(schema: &Json) -> String {
    let shown = |number: &Json| match number.as_i64() {
        Some(i64::MAX) => Some("2^63 - 1".to_string()),
        _ => Some(short(number.as_f64()?, 17)),
    };
    let bound = |name: &str, sign: &str| Some(format!("{sign} {}", shown(&schema[name])?));
    let below = bound("exclusiveMinimum", ">").or_else(|| bound("minimum", "≥"));
    let above = bound("exclusiveMaximum", "<").or_else(|| bound("maximum", "≤"));
    match (below, above) {
        (Some(below), Some(above)) => format!(" {below} and {above}"),
        (Some(one), None) | (None, Some(one)) => format!(" {one}"),
        (None, None) => String::new(),
    }
}
