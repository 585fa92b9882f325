use clap::Parser;
use gcnrec::{Config, Flag, resolve};

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn parse(words: &[&str]) -> Args {
    Line::try_parse_from(["train"].iter().chain(words)).unwrap_or_else(|error| panic!("{error}")).args
}

fn config(words: &[&str]) -> Result<Config> {
    let args = parse(words);
    let sources = Sources {
        preset: args.preset.clone(),
        set: args.run.set.clone(),
        flags: args.flags.given()?,
        ..Sources::default()
    };
    Ok(resolve(&sources)?.config)
}

#[test]
fn every_flag_reaches_its_key() {
    let config = config(&[
        "--train",
        "/a",
        "--valid",
        "/b",
        "--test",
        "/c",
        "--format",
        "pairs",
        "--min-rating",
        "4",
        "--valid-fraction",
        "0",
        "--split",
        "leave-one-out",
        "--model",
        "lightgcn",
        "--attn-layers=dot",
        "--layers",
        "2",
        "--dim",
        "8",
        "--loss",
        "ssm",
        "--tau",
        "0.2",
        "--l2",
        "0",
        "--epochs",
        "3",
        "--batch-size",
        "9",
        "--lr",
        "1",
        "--refit",
        "--init-items",
        "/runs/mf-1",
        "--debias",
        "none",
        "--k",
        "5,7",
        "--device",
        "cpu",
        "--threads",
        "2",
        "--seed",
        "1",
        "--set",
        "train.patience=2",
    ])
    .unwrap();
    let text = config.to_toml().unwrap();
    for line in [
        "train = \"/a\"",
        "valid = \"/b\"",
        "test = \"/c\"",
        "format = \"pairs\"",
        "min_rating = 4.0",
        "valid_fraction = 0.0",
        "split = \"leave_one_out\"",
        "combination = \"dot\"",
        "layers = 2",
        "dim = 8",
        "[objective.ssm]",
        "tau = 0.2",
        "l2 = 0.0",
        "max_epochs = 3",
        "batch_size = 9",
        "learning_rate = 1.0",
        "refit = true",
        "init_items_from = \"/runs/mf-1\"",
        "device = \"cpu\"",
        "threads = 2",
        "seed = 1",
        "patience = 2",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert_eq!(config.eval.k, [5, 7]);
}

#[test]
fn attention_over_the_layers_is_additive_unless_said_otherwise() {
    let args = parse(&["--attn-layers", "run.toml"]);
    assert_eq!(args.flags.given().unwrap(), [Flag::new("--attn-layers", "additive")]);
    assert_eq!(args.run_file, Some("run.toml".into()));
}

#[test]
fn a_value_of_the_wrong_kind_is_wrong_usage_and_one_out_of_range_is_configuration() {
    let Err(error) = Line::try_parse_from(["train", "--layers", "many"]) else { panic!("accepted") };
    assert_eq!(error.exit_code(), 2);
    assert_eq!(config(&["--lr", "-1"]).unwrap_err().exit_code(), 4);
    assert_eq!(config(&["--seed", "18446744073709551615"]).unwrap_err().exit_code(), 4);
}

#[test]
fn flags_of_the_run_contradict_each_other() {
    let error = parse(&["--resume", "--force"]).run.check().unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().starts_with("--resume goes on with a run"));
    parse(&["--resume"]).run.check().unwrap();
}

#[test]
fn one_file_to_split_excludes_files_that_are_split() {
    assert!(Line::try_parse_from(["train", "--data", "a", "--train", "b"]).is_err());
}

#[test]
fn a_data_file_in_the_place_of_the_run_file_is_told_its_flag() {
    let error = parse(&["ratings.csv"]).sources().unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert_eq!(
        error.to_string(),
        "ratings.csv is taken for a run file, which is TOML; give data with --data ratings.csv"
    );
    assert!(parse(&["run.toml"]).sources().is_ok());
}

#[test]
fn the_folder_is_named_after_what_was_named() {
    assert_eq!(parse(&["--out", "here"]).destination(), Destination::new("here"));
    assert_eq!(parse(&["--out", "here", "--force"]).destination(), Destination::replace("here"));
    assert_eq!(parse(&["a/plain.toml"]).destination(), Destination::next_free(Some("plain")));
    assert_eq!(parse(&[]).destination(), Destination::default());
}
