//! The user units of the packages: those of `systemd/user`, which start a program in a person's home, with the program where a
//! package puts it. A drop-in would also change a unit of the same name that a person keeps in their home.

use std::fs;
use std::path::Path;

use super::Files;

/// What is different where a package installed it.
const CHANGES: &[(&str, &str)] = &[
    ("# A package puts the program into /usr/bin and says so here.\n", ""),
    ("ExecStart=%h/.local/bin/proxyd\n", "ExecStart=/usr/bin/proxyd\n"),
    ("BindReadOnlyPaths=-%h/.local/bin ", "BindReadOnlyPaths="),
];

fn packaged(unit: &str) -> String {
    CHANGES.iter().fold(unit.to_owned(), |unit, (own, packaged)| unit.replace(own, packaged))
}

pub(super) fn of_packages(folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let unit = packaged(&fs::read_to_string(&path).unwrap());
        assert!(
            !unit.contains(".local/bin"),
            "{} names ~/.local/bin in a way that generated/units.rs does not know",
            path.display()
        );
        files.insert(Path::new("systemd/user").join(path.file_name().unwrap()), unit.into_bytes());
    }
}

#[test]
fn the_user_unit_of_a_package_differs_in_where_the_program_is_and_in_nothing_else() {
    let own = fs::read_to_string(super::packaging().join("../systemd/user/proxyd.service")).unwrap();
    for (line, _) in CHANGES {
        assert!(own.contains(line), "nothing to change: {line}");
    }
    let packaged = packaged(&own);
    let new: Vec<_> = packaged.lines().filter(|line| !own.lines().any(|other| other == *line)).collect();
    assert_eq!(new, ["ExecStart=/usr/bin/proxyd", "BindReadOnlyPaths=%t/systemd/notify"]);
}
