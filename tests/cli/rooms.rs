//! The rooms of ARCHITECTURE.md: dependencies among the folders of `src` point one way, and so they do among the parts of
//! `src/train` and among the files of a few folders.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Whom each part names in its code, with a file that does.
type Imports = BTreeMap<String, BTreeMap<String, String>>;

/// The part that a folder's own `mod.rs` (or the crate's `lib.rs`) is.
const OWN: &str = "mod";

/// The imports among the parts of a folder of `src` (`[]` is `src` itself): its files and its folders.
fn imports(folder: &[&str]) -> Imports {
    let mut imports = Imports::new();
    let root = folder.iter().fold(Path::new("src").to_path_buf(), |path, name| path.join(name));
    read(&root, folder, &mut imports);
    let parts: BTreeSet<String> = imports.keys().cloned().collect();
    for (part, named) in &mut imports {
        // What is no part is an item of the folder's own file.
        if let Some(file) = named.iter().find(|(other, _)| !parts.contains(*other)).map(|(_, file)| file.clone()) {
            named.entry(OWN.to_owned()).or_insert(file);
        }
        named.retain(|other, _| other != part && parts.contains(other));
    }
    imports
}

fn read(path: &Path, folder: &[&str], imports: &mut Imports) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            read(&entry.unwrap().path(), folder, imports);
        }
        return;
    }
    let module = module_of(path);
    if path == Path::new("src/main.rs") {
        return;
    }
    let part = module.get(folder.len()).cloned().unwrap_or_else(|| OWN.to_owned());
    let named = imports.entry(part.clone()).or_default();
    let text = code(&fs::read_to_string(path).unwrap());
    let mut add = |name: &str| {
        named.entry(name.to_owned()).or_insert_with(|| path.display().to_string());
    };
    for path in paths(&text, &module) {
        if path.len() > folder.len() && path.iter().zip(folder).all(|(a, b)| a == b) {
            add(&path[folder.len()]);
        }
    }
    // A folder's own file knows those that it declares.
    if part == OWN {
        let declared = text.lines().filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';'));
        declared.for_each(&mut add);
    }
}

/// `src/a/b.rs` is the module `a::b`, and `src/a/mod.rs` is `a`.
fn module_of(path: &Path) -> Vec<String> {
    let path = path.strip_prefix("src").unwrap().with_extension("");
    let names = path.iter().map(|name| name.to_str().unwrap().to_owned());
    names.filter(|name| !["mod", "lib"].contains(&name.as_str())).collect()
}

/// Without comments, whose links may point anywhere, and without tests.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end].lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// The paths from `crate::` or `super::` in a module's code, from the crate's root on.
fn paths(text: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("crate::").chain(text.match_indices("super::")) {
        let before = &text[..start];
        // A part of a longer name, of a longer path, or of a visibility.
        let is_inner = before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        if is_inner || before.ends_with("(in ") {
            continue;
        }
        let mut trees = Vec::new();
        tree(&text[start..], Vec::new(), &mut trees);
        for names in trees {
            let ups = names.iter().take_while(|name| *name == "super").count();
            let from = if ups == 0 { 0 } else { module.len() - ups };
            found.push([&module[..from], &names[ups.max(1)..]].concat());
        }
    }
    found
}

/// Adds the paths of a `use` tree, each from `prefix` on. Gives what follows it.
fn tree<'a>(text: &'a str, mut prefix: Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let mut text = text.trim_start();
    if let Some(list) = text.strip_prefix('{') {
        text = list;
        loop {
            text = tree(text, prefix.clone(), found).trim_start();
            let next = text.chars().next();
            text = text.get(1..).unwrap_or_default();
            if next != Some(',') || text.trim_start().starts_with('}') {
                return text.trim_start().strip_prefix('}').unwrap_or(text);
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if !name.is_empty() && name != "self" {
        prefix.push(name.to_owned());
    }
    match rest.strip_prefix("::") {
        Some(rest) if !name.is_empty() => tree(rest, prefix, found),
        _ => {
            found.push(prefix);
            // Past `*` and `as name`.
            rest.find([',', '}', ';', ')']).map_or("", |end| &rest[end..])
        }
    }
}

/// Every circle of parts, as the way around it.
fn circles(imports: &Imports) -> Vec<String> {
    let mut found = Vec::new();
    for start in imports.keys() {
        let mut ways = vec![vec![start.clone()]];
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop() {
            for (next, file) in &imports[&way[way.len() - 1]] {
                if next == start {
                    found.push(format!("{} -> {start} (in {file})", way.join(" -> ")));
                } else if seen.insert(next.clone()) {
                    let mut longer = way.clone();
                    longer.push(next.clone());
                    ways.push(longer);
                }
            }
        }
    }
    found
}

#[test]
fn no_room_imports_one_that_imports_it() {
    let imports = imports(&[]);
    assert!(imports["lower"].contains_key("kernels"), "the search finds what is there: {imports:?}");
    assert_eq!(circles(&imports), Vec::<String>::new());
}

#[test]
fn no_part_of_these_folders_imports_one_that_imports_it() {
    let folders: [(&[&str], [&str; 2]); 4] = [
        (&["train"], ["draw", "experiment"]),
        (&["train", "run"], ["run_folder", "checkpoint"]),
        (&["train", "draw"], ["sampling", "particles"]),
        (&["cli"], ["sample", "drawing_bar"]),
    ];
    let mut found = Vec::new();
    for (folder, [one, other]) in folders {
        let imports = imports(folder);
        assert!(imports[one].contains_key(other), "the search finds what is there: {imports:?}");
        found.extend(circles(&imports));
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_circle_is_found() {
    let to = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "file.rs".to_owned())).collect();
    let imports: Imports = [("a", to(&["b"])), ("b", to(&["c"])), ("c", to(&["a"])), ("d", to(&["a"]))]
        .map(|(k, v)| (k.to_owned(), v))
        .into();
    assert_eq!(circles(&imports).len(), 3, "one from each of its rooms");
}

#[test]
fn paths_are_found_in_all_their_forms() {
    let text = code(
        "// crate::comment::X\nuse crate::a::{self, b::{C, d::*}, e::F as G,\n    h};\npub(in crate::room) fn f(x: super::i::J) {\n    \
         super::super::k::<u8>(crate::l::M::n(x), my_crate::o);\n}\n#[cfg(test)]\nmod tests {\n    use super::p;\n}\n",
    );
    let found = paths(&text, &["room".to_owned(), "file".to_owned()]);
    let found: Vec<String> = found.iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["a", "a::b::C", "a::b::d", "a::e::F", "a::h", "l::M::n", "room::i::J", "k"]);
}
