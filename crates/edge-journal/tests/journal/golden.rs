//! Files of every version of the format that was ever released stay readable: these are version 1.

use std::fs;
use std::path::{Path, PathBuf};

use edge_journal::{FORMAT_VERSION, FileName, encode_file};

use crate::samples::{files, read};

/// Version 1 as it is written today, and as it was when fewer characters of a path and a query stood without an escape.
const FORMS: [&str; 2] = ["v1", "v1-older-form"];

fn golden(form: &str, file: &FileName) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/{form}/{file}"))
}

#[test]
fn files_of_version_1_are_read_as_they_were_written() {
    for (form, (file, records)) in
        FORMS.into_iter().flat_map(|form| files().into_iter().map(move |of| (form, of)))
    {
        let bytes = fs::read(golden(form, &file)).unwrap();
        let (read, offset, end) = read(&file, &bytes);
        assert_eq!(read, records, "{form}/{file}");
        assert_eq!((offset, end.unwrap()), (bytes.len() as u64, 0), "{form}/{file}");
    }
}

/// Version 1 as it is written today. When there is a version 2, this goes; the test above stays for ever. While the
/// version is not released, `EDGE_WRITE_GOLDEN=1` makes the files anew.
#[test]
fn version_1_is_written_as_it_was() {
    assert_eq!(FORMAT_VERSION, 1);
    for (file, records) in files() {
        let (path, bytes) = (golden(FORMS[0], &file), encode_file(file.kind(), &records).unwrap());
        if std::env::var_os("EDGE_WRITE_GOLDEN").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "{file}");
    }
}

#[test]
fn every_golden_file_is_held_to_its_contents() {
    let mut found = Vec::new();
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { found.push(path) }
        }
    }
    let mut known: Vec<_> =
        FORMS.iter().flat_map(|form| files().into_iter().map(|(file, _)| golden(form, &file))).collect();
    known.sort();
    found.sort();
    assert_eq!(found, known);
}
