//! The rooms of ARCHITECTURE.md: its table says which folders of `src` each of them imports, all of them above it.
//! Among the parts of `src/train` and the files of a few folders, dependencies point one way as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Whom each part names in its code, with a file that does.
type Imports = BTreeMap<String, BTreeMap<String, String>>;

/// Files of `src` that are no rooms: what any room may import.
const SHARED: [&str; 3] = ["number", "violation", "word"];

/// The part that a folder's own `mod.rs` (or the crate's `lib.rs`) is.
const OWN: &str = "mod";

/// The imports among the parts of a folder of `src` (`[]` is `src` itself): its files and its folders.
fn imports(folder: &[&str]) -> Imports {
    let mut named = Imports::new();
    let root = folder.iter().fold(Path::new("src").to_path_buf(), |path, name| path.join(name));
    read(&root, folder, &mut named);
    let origins = fs::read_to_string(root.join("mod.rs")).map(|text| origins(&code(&text))).unwrap_or_default();
    let parts: BTreeSet<String> = named.keys().cloned().collect();
    let mut imports = Imports::new();
    for (part, named) in named {
        let own = imports.entry(part.clone()).or_default();
        for (name, file) in named {
            // What is no part is an item of the folder's own file, or of the part that this file has it from.
            let name = if parts.contains(&name) { name } else { origins.get(&name).cloned().unwrap_or(OWN.to_owned()) };
            if name != part && parts.contains(&name) {
                own.entry(name).or_insert(file);
            }
        }
    }
    imports
}

/// From which of its parts a folder's own file has the items that it names: `pub use part::Item;`.
fn origins(text: &str) -> BTreeMap<String, String> {
    let mut origins = BTreeMap::new();
    for (start, _) in text.match_indices("use ") {
        let is_statement = text[..start].ends_with(['\n', ' ', ')']) || start == 0;
        let mut trees = Vec::new();
        if is_statement {
            tree(&text[start + "use ".len()..], Vec::new(), &mut trees);
        }
        for path in trees.iter().filter(|path| path.len() > 1 && !["crate", "super"].contains(&path[0].as_str())) {
            origins.insert(path[path.len() - 1].clone(), path[0].clone());
        }
    }
    origins
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

/// The rooms of `src` in the table of ARCHITECTURE.md, from the top, with the column `imports`.
fn rooms(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let rows = text.lines().filter_map(|line| {
        let room = line.strip_prefix("| `src/")?.split_once("/` |")?.0;
        let imports = line.strip_suffix('|')?.rsplit_once('|')?.1;
        let imports = imports.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        Some((room.to_owned(), imports.collect()))
    });
    rows.collect()
}

#[test]
fn each_room_imports_what_its_row_says_and_only_rooms_above_it() {
    let mut imports = imports(&[]);
    assert!(imports["lower"].contains_key("kernels"), "the search finds what is there: {imports:?}");
    imports.retain(|room, _| room != OWN && !SHARED.contains(&room.as_str()));
    let rooms = rooms(&fs::read_to_string("ARCHITECTURE.md").unwrap());
    let named: BTreeSet<&String> = rooms.iter().map(|(room, _)| room).collect();
    assert_eq!(named, imports.keys().collect(), "the table has a row for every room");
    let mut above = BTreeSet::new();
    for (room, row) in &rooms {
        let files = &imports[room];
        let code: BTreeSet<String> = files.keys().filter(|name| !SHARED.contains(&name.as_str())).cloned().collect();
        assert_eq!(row, &code, "imports of {room}, by files: {files:?}");
        let below: Vec<&String> = row.difference(&above).collect();
        assert!(below.is_empty(), "{room} imports {below:?}, which should be above it");
        above.insert(room.clone());
    }
}

#[test]
fn rows_are_read() {
    let rows = rooms(
        "| path | x | imports |\n|---|---|---|\n| `shaders/` | x | |\n| `src/a/` | x | |\n| `src/b/` | x, | a, c |\n",
    );
    assert_eq!(rows.iter().map(|(room, _)| room.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(rows[0].1.is_empty());
    assert_eq!(rows[1].1, ["a", "c"].map(str::to_owned).into());
}

#[test]
fn no_part_of_these_folders_imports_one_that_imports_it() {
    let folders: [(&[&str], [&str; 2]); 6] = [
        (&["config"], ["unet", "network"]),
        (&["loss"], ["denoising", "loss_value"]),
        (&["train"], ["draw", "experiment"]),
        (&["train", "run"], ["run_folder", "checkpoint"]),
        (&["train", "draw"], ["sampling", "particles"]),
        (&["cli"], ["sample", "drawing_bar"]),
    ];
    // What these folders' own files define, their parts use.
    let around_their_own: [(&[&str], [&str; 2]); 2] =
        [(&["lower"], ["reduction", "lowering"]), (&["train", "experiment"], ["store", "model"])];
    let mut found = Vec::new();
    for (folder, [one, other]) in folders.into_iter().chain(around_their_own) {
        let mut imports = imports(folder);
        assert!(imports[one].contains_key(other), "the search finds what is there: {imports:?}");
        if around_their_own.iter().any(|(around, _)| *around == folder) {
            imports.remove(OWN);
            imports.values_mut().for_each(|named| named.retain(|name, _| name != OWN));
        }
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
fn items_are_traced_to_the_part_that_has_them() {
    let found =
        origins("pub mod a;\nmod b;\npub use a::A;\npub(crate) use b::{B, c::D as E};\nuse crate::f::F;\nstruct G;\n");
    let found: Vec<(&str, &str)> = found.iter().map(|(item, part)| (item.as_str(), part.as_str())).collect();
    assert_eq!(found, [("A", "a"), ("B", "b"), ("D", "b")]);
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
