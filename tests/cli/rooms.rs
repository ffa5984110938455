//! The rooms of ARCHITECTURE.md: dependencies among the folders of `src` point one way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Whom each room names in its code, with a file that does.
fn imports(folder: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut of_rooms: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let room = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if room != "lib" && room != "main" {
            read(&path, of_rooms.entry(room).or_default());
        }
    }
    let rooms: BTreeSet<String> = of_rooms.keys().cloned().collect();
    for (room, imported) in &mut of_rooms {
        imported.retain(|other, _| other != room && rooms.contains(other));
    }
    of_rooms
}

fn read(path: &Path, imported: &mut BTreeMap<String, String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            read(&entry.unwrap().path(), imported);
        }
        return;
    }
    let text = fs::read_to_string(path).unwrap();
    // Links in documentation may point anywhere.
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for rest in line.split("crate::").skip(1) {
            let names: Vec<&str> = match rest.strip_prefix('{') {
                Some(list) => list.split(',').map(str::trim).collect(),
                None => vec![rest],
            };
            for name in names {
                let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
                imported.entry(name[..end].to_owned()).or_insert_with(|| path.display().to_string());
            }
        }
    }
}

/// Every circle of rooms, as the way around it.
fn circles(imports: &BTreeMap<String, BTreeMap<String, String>>) -> Vec<String> {
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
    let imports = imports(Path::new("src"));
    assert!(imports["lower"].contains_key("kernels"), "the search finds what is there: {imports:?}");
    assert_eq!(circles(&imports), Vec::<String>::new());
}

#[test]
fn a_circle_is_found() {
    let to = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "file.rs".to_owned())).collect();
    let imports: BTreeMap<String, BTreeMap<String, String>> =
        [("a", to(&["b"])), ("b", to(&["c"])), ("c", to(&["a"])), ("d", to(&["a"]))]
            .map(|(k, v)| (k.to_owned(), v))
            .into();
    assert_eq!(circles(&imports).len(), 3, "one from each of its rooms");
}
