//! S-55: what we build on.

use std::collections::HashMap;

/// The first versions without the known holes.
const AT_LEAST: [(&str, [u64; 3]); 6] = [
    ("bcrypt", [0, 19, 2]),
    ("h2", [0, 4, 16]),
    ("rustls-webpki", [0, 103, 13]),
    ("crossbeam-epoch", [0, 9, 20]),
    ("time", [0, 3, 47]),
    ("rand", [0, 8, 6]),
];

#[test]
fn s_55_no_dependency_is_older_than_its_last_known_hole() {
    let lock: toml::Table = include_str!("../../../Cargo.lock").parse().expect("a lock file");
    let packages = lock["package"].as_array().expect("packages");
    let least: HashMap<_, _> = AT_LEAST.into_iter().collect();
    for package in packages {
        let (name, version) = (package["name"].as_str().expect("name"), package["version"].as_str().expect("version"));
        let number = version.split(['-', '+']).next().expect("numbers");
        let number: Vec<u64> = number.split('.').map(|part| part.parse().expect("number")).collect();
        if let Some(least) = least.get(name) {
            assert!(number.as_slice() >= least.as_slice(), "{name} {version}");
        }
        // rand 0.9 has a hole of its own.
        assert!(name != "rand" || number < vec![0, 9] || number >= vec![0, 9, 3], "{name} {version}");
        // RUSTSEC-2023-0071 has no patch: RSA by the crate of this name must not come in.
        assert!(name != "rsa", "{name} {version}");
    }
}

#[test]
fn s_55_there_is_no_unsafe_code_of_ours() {
    assert!(include_str!("../../../src/lib.rs").contains("#![forbid(unsafe_code)]"));
    assert!(include_str!("../../../Cargo.toml").contains("unsafe_code = \"forbid\""));
}
