use std::fs;

use super::*;
use crate::report::Cell;

const VALUES: [f32; 6] = [1.0, -0.5, 0.1, 1e-30, 3.0, 0.0];

fn shape() -> Shape {
    Shape { names: "item", model: "mf".into(), n_rows: 3, width: 2 }
}

/// Three vectors in two blocks.
fn written(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join(format!("items.{name}"));
    let mut file = VectorFile::create(&place, of_file(&place).unwrap(), shape()).unwrap();
    let names = ["a", "b, \"c\"", "Zoë"].map(String::from);
    file.write(&names[..2], &VALUES[..4]).unwrap();
    file.write(&names[2..], &VALUES[4..]).unwrap();
    assert!(!place.exists());
    file.finish().unwrap();
    (folder, place)
}

#[test]
fn vectors_as_text_have_their_names_and_the_shortest_digits() {
    let (_folder, place) = written("csv");
    let expected = format!("item,v0,v1\na,1,-0.5\n\"b, \"\"c\"\"\",0.1,{}\nZoë,3,0\n", 1e-30f32);
    assert_eq!(fs::read_to_string(place).unwrap(), expected);
    let (_folder, place) = written("jsonl");
    let expected = "{\"item\":\"a\",\"vector\":[1.0,-0.5]}\n{\"item\":\"b, \\\"c\\\"\",\"vector\":[0.1,1e-30]}\n\
                    {\"item\":\"Zoë\",\"vector\":[3.0,0.0]}\n";
    assert_eq!(fs::read_to_string(place).unwrap(), expected);
}

#[test]
fn npy_is_what_numpy_writes() {
    let (_folder, place) = written("npy");
    let bytes = fs::read(&place).unwrap();
    // numpy.save of a 3 x 2 array of float32: a header of 118 bytes (0x76) after the first ten.
    assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }";
    assert_eq!(std::str::from_utf8(&bytes[10..128]).unwrap(), format!("{header:<117}\n"));
    assert_eq!(&bytes[128..136], [0, 0, 0x80, 0x3f, 0, 0, 0, 0xbf], "1 and -.5 in IEEE 754");
    assert_eq!(bytes.len(), 128 + 6 * 4);
    assert_eq!(fs::read_to_string(VectorFile::names_beside(&place)).unwrap(), "a\nb, \"c\"\nZoë\n");
}

#[test]
fn safetensors_are_read_by_their_own_library() {
    let (_folder, place) = written("safetensors");
    let bytes = fs::read(&place).unwrap();
    let tensors = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = tensors.tensor("vectors").unwrap();
    assert_eq!((tensor.dtype(), tensor.shape()), (::safetensors::Dtype::F32, &[3, 2][..]));
    assert_eq!(tensor.data(), little_endian(&VALUES));
    let (_, head) = ::safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(head.metadata().as_ref().unwrap()["model"], "mf");
    assert!(VectorFile::names_beside(&place).is_file());
}

#[test]
fn a_name_with_a_line_end_has_no_line_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("items.npy");
    let mut file = VectorFile::create(&place, named("npy").unwrap(), shape()).unwrap();
    let error = file.write(&["a\nb".into()], &[1.0, 2.0]).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("csv or jsonl"), "{error}");
    drop(file);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn rows_are_text_and_formats_of_numbers_have_none() {
    let mut table = Table::new(["user", "score"]);
    table.row(["a".into(), Cell::Real(0.5, 2)]);
    let rows = |name: &str, is_first| named(name).unwrap().rows(&table, is_first);
    assert_eq!(rows("csv", true).unwrap() + &rows("csv", false).unwrap(), "user,score\na,0.5\na,0.5\n");
    assert_eq!(rows("jsonl", true).unwrap(), "{\"user\":\"a\",\"score\":0.5}\n");
    assert!(rows("npy", true).is_none() && rows("safetensors", true).is_none());
}

#[test]
fn formats_go_by_name_or_ending_and_others_are_refused_with_those_that_there_are() {
    for format in FORMATS {
        assert_eq!(of_file(&Path::new("x").with_extension(format.name())).unwrap().name(), format.name());
    }
    assert_eq!((named("CSV").unwrap().name(), of_file(Path::new("a.ndjson")).unwrap().name()), ("csv", "jsonl"));
    for (name, says) in [("parquet", "Parquet is not written yet"), ("xlsx", "unknown format"), ("", "no format")] {
        let Err(error) = named(name) else { panic!("{name} should be refused") };
        assert!(error.exit_code() == 2 && error.to_string().contains(says), "{error}");
        assert!(error.to_string().contains("csv, jsonl, npy, safetensors"), "{error}");
    }
}

#[test]
fn notes_name_the_file_its_width_and_the_other_side() {
    for format in FORMATS {
        let notes = how_to_load(format, &format!("v.{}", format.name()), &shape());
        for words in ["3 item vectors of 2 numbers", "--what user-vectors", "IndexFlatIP(2)", "vector(2)", "size=2"] {
            assert!(notes.contains(words), "{}: {words}", format.name());
        }
    }
}
