//! `gcnrec export`: what is written is what the program answers, and what cannot be written is
//! refused before anything is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gcnrec::Recommender;
use serde_json::Value;
use tempfile::TempDir;

use super::case::{Case, gcnrec, judge_all, words};

/// Few pairs of many items: some have no training row.
const SMALL: &str = "--set data.demo.n_users=60 --set data.demo.n_items=200 --set data.demo.interactions_per_user=5";

fn run(folder: &Path, line: &str) -> String {
    let output = gcnrec(folder).args(words(line)).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "gcnrec {line}: {said}");
    said
}

/// A folder with a LightGCN in `run`.
fn demo() -> &'static PathBuf {
    static DEMO: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, folder) = DEMO.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &format!("train --attn-layers --dim 8 --epochs 3 {SMALL} --out run"));
        let path = folder.path().to_path_buf();
        (folder, path)
    });
    folder
}

/// The rows of a `.npy` of 32-bit floats, and the names beside it.
fn npy(path: &Path) -> (Vec<String>, Vec<Vec<f64>>) {
    let bytes = fs::read(path).unwrap();
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let values: Vec<f64> = bytes[start..].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect();
    let names = fs::read_to_string(format!("{}.ids.txt", path.display())).unwrap();
    let names: Vec<String> = names.lines().map(String::from).collect();
    let width = values.len() / names.len();
    (names, values.chunks(width).map(<[f64]>::to_vec).collect())
}

#[test]
fn inner_products_of_exported_vectors_rank_as_recommend_does() {
    let out = tempfile::tempdir().unwrap();
    let place = |name: &str| out.path().join(name);
    let folder = demo();
    for (what, name) in [("user-vectors", "u.npy"), ("item-vectors", "i.npy")] {
        let said = run(folder, &format!("export run --what {what} -o {}", place(name).display()));
        assert!(said.contains("vectors of") && said.contains("README.md says how to load them"), "{said}");
    }
    let ((users, of_users), (items, of_items)) = (npy(&place("u.npy")), npy(&place("i.npy")));
    let recommender = Recommender::open(folder.join("run")).unwrap();
    assert_eq!((&users[..], &items[..]), (recommender.users(), recommender.items()));
    for (user, vector) in users.iter().zip(&of_users) {
        let product = |item: &str| -> f64 {
            let at = items.iter().position(|other| other == item).unwrap();
            vector.iter().zip(&of_items[at]).map(|(a, b)| a * b).sum()
        };
        // All that the user has not seen, best first.
        let list = recommender.for_user(user, items.len()).unwrap();
        assert!(list.len() > 180);
        let products: Vec<f64> = list.iter().map(|(item, _)| product(item)).collect();
        // Sums of a few products in 32 bits and in 64 differ by some 1e-7 of the largest.
        let near = 1e-6 * products.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        assert!(products.windows(2).all(|pair| pair[0] >= pair[1] - near), "{user}: {products:?}");
    }
    assert!(place("u.npy.README.md").is_file() && place("i.npy.README.md").is_file());
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 6, "nothing else is left");
}

#[test]
fn every_format_holds_the_same_vectors() {
    let out = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        run(demo(), &format!("export run --what item-vectors -o {}", out.path().join(name).display()));
        fs::read(out.path().join(name)).unwrap()
    };
    write("i.npy");
    let (names, expected) = npy(&out.path().join("i.npy"));
    let lines = String::from_utf8(write("i.jsonl")).unwrap();
    for ((line, name), vector) in lines.lines().zip(&names).zip(&expected) {
        let row: Value = serde_json::from_str(line).unwrap();
        let found: Vec<f64> =
            row["vector"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).map(f64::from).collect();
        assert_eq!((row["item"].as_str().unwrap(), &found), (name.as_str(), vector));
    }
    let table = write("i.csv");
    for (record, vector) in csv::Reader::from_reader(&table[..]).records().zip(&expected) {
        let found: Vec<f64> = record.unwrap().iter().skip(1).map(|v| v.parse::<f32>().unwrap().into()).collect();
        assert_eq!(&found, vector);
    }
    // The numbers stand at the end of both.
    let (tensors, array) = (write("i.safetensors"), fs::read(out.path().join("i.npy")).unwrap());
    let n = 4 * names.len() * expected[0].len();
    assert_eq!(tensors[tensors.len() - n..], array[array.len() - n..]);
}

#[test]
fn recommendations_and_similar_items_are_those_of_their_commands() {
    let out = tempfile::tempdir().unwrap();
    let place = |name: &str| out.path().join(name).display().to_string();
    for ending in ["csv", "jsonl"] {
        let name = format!("a.{ending}");
        run(demo(), &format!("export run --what recommendations -k 7 -o {}", place(&name)));
        run(demo(), &format!("recommend run --all -k 7 -o {}", place(&format!("b.{ending}"))));
        let read = |file: &str| fs::read_to_string(out.path().join(file)).unwrap();
        assert_eq!(read(&name), read(&format!("b.{ending}")));
        assert!(read(&name).lines().count() >= 60 * 7);
    }
    let said = run(demo(), &format!("export run --what similar -k 3 --to jsonl -o {}", place("similar.out")));
    let text = fs::read_to_string(out.path().join("similar.out")).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let recommender = Recommender::open(demo().join("run")).unwrap();
    let mut n_left_out = 0;
    for item in recommender.items() {
        let found: Vec<&str> = rows
            .iter()
            .filter(|row| row["item"] == item.as_str())
            .map(|row| row["similar"].as_str().unwrap())
            .collect();
        match recommender.similar_items(item, 3) {
            Ok(list) => assert_eq!(found, list.iter().map(|(other, _)| other.as_str()).collect::<Vec<_>>()),
            Err(_) => n_left_out += 1,
        }
    }
    assert!(n_left_out > 0, "some items of this world have no training row");
    assert!(said.contains(&format!("{n_left_out} of {} items cannot be answered", recommender.n_items())), "{said}");
}

#[test]
fn weights_are_those_of_the_run_folder_and_of_the_layers() {
    let place = tempfile::tempdir().unwrap();
    let line =
        "train --model mf --dim 8 --loss mse --debias autodebias --epochs 1 --set debias.autodebias.frozen_epochs=0";
    run(place.path(), &format!("{line} {SMALL} --out run"));
    run(place.path(), "export run --what weights -o w.csv");
    let read = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    assert_eq!(read("w.csv"), read("run/weights.csv"));
    run(place.path(), "export run --what weights -o w.jsonl");
    let (lines, table) = (read("w.jsonl"), read("w.csv"));
    assert_eq!(lines.lines().count(), table.lines().count() - 1);
    let row: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let expected: Vec<&str> = table.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(row["user"], expected[0]);
    assert_eq!(row["weight"].as_f64().unwrap(), expected[3].parse::<f64>().unwrap());

    run(demo(), &format!("export run --what layer-weights -o {}", place.path().join("layers.csv").display()));
    let layers = read("layers.csv");
    assert_eq!(layers.lines().next(), Some("side,min_degree,max_degree,n,layer,weight"));
    // The four weights of a bucket add up to 1.
    let first: Vec<f64> =
        layers.lines().skip(1).take(4).map(|row| row.rsplit(',').next().unwrap().parse().unwrap()).collect();
    assert!((first.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{first:?}");
}

#[test]
fn what_cannot_be_exported_is_refused_and_nothing_is_written() {
    let line = |name: &str, rest: &str| Case::new(name, &format!("export run {rest}"));
    let vectors = "--what item-vectors";
    judge_all(
        &[
            line("no file", vectors).refused(2, &["--out <FILE>"]),
            line("no format", &format!("{vectors} -o v"))
                .refused(2, &["-o v: no format", "csv, jsonl, npy, safetensors"]),
            line("parquet", &format!("{vectors} --to parquet -o v"))
                .refused(2, &["--to parquet: Parquet is not written yet", "csv, jsonl, npy, safetensors"]),
            line("two formats", &format!("{vectors} --to csv -o v.npy")).refused(2, &["says npy", "--to says csv"]),
            line("names in npy", "--what recommendations -o r.npy").refused(2, &["npy holds numbers", "csv or jsonl"]),
            line("a k of vectors", &format!("{vectors} -k 3 -o v.npy")).refused(2, &["-k does not fit --what"]),
            line("a file that is there", &format!("{vectors} -o v.csv"))
                .file("v.csv", "mine")
                .refused(2, &["v.csv is there already", "--force"]),
            line("ids that are there", &format!("{vectors} -o v.npy"))
                .file("v.npy.ids.txt", "mine")
                .refused(2, &["v.npy.ids.txt is there already"]),
            line("a file that is replaced", &format!("{vectors} -o v.csv --force")).file("v.csv", "old"),
            #[cfg(unix)]
            line("a device for vectors", &format!("{vectors} --to csv -o /dev/null"))
                .refused(2, &["-o /dev/null: vectors need a file"]),
            #[cfg(unix)]
            line("a device for lists", "--what recommendations --to csv -o /dev/null"),
            line("no debiasing", "--what weights -o w.csv")
                .refused(3, &["run/weights.csv is not there", "--debias", "layer-weights"]),
            line("a folder that is not there", &format!("{vectors} -o no/v.csv"))
                .refused(1, &["no/v.csv", "cannot write"]),
            Case::new("no run", "export no --what similar -o s.csv").refused(3, &["no", "is not there"]),
        ],
        Some(&demo().join("run")),
    );
    let place = tempfile::tempdir().unwrap();
    run(place.path(), &format!("train --model popularity {SMALL} --out run"));
    run(place.path(), &format!("train --model ease {SMALL} --out ease"));
    for (line, says) in [
        ("export run --what similar -o out.csv", "no notion of similar items"),
        ("export run --what layer-weights -o out.csv", "no layers to weigh"),
        ("export ease --what user-vectors -o out.csv", "ease: its ranking is no inner product"),
    ] {
        let output = gcnrec(place.path()).args(words(line)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.lines().count() == 1 && said.contains(says), "{line}: {said}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "no file is begun");
}
