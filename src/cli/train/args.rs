//! The arguments of `gcnrec train`, and what they mean for the configuration.

use std::path::{Path, PathBuf};

use gcnrec::config::{Flag, Sources};
use gcnrec::run::Destination;
use gcnrec::{RecError, Result};
use toml::Value;

use crate::cli::output::OutputArgs;
use crate::cli::settings;

/// Train a model, judge it, and write a run folder. Without any data the built-in demo world is used
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcnrec train --attn-layers                                  the demo world, attention over the layers
  gcnrec train --data ratings.csv --min-rating 4              one file, split here
  gcnrec train --train u1.base --test u1.test --model ease    a split that exists
  gcnrec train configs/ml-100k.toml --epochs 50 --set train.patience=3
  gcnrec train --preset lightgcn-paper --data ratings.csv --out runs/paper
  gcnrec train --out runs/paper --resume                      go on after an interruption

Models: lightgcn, mf, popularity, item_knn, ease, gf_cf, rp3beta, markov, fpmc, gru4rec, narm, sasrec, bert4rec, fmlp, fusion.
Losses: bpr, ssm, softmax, bsl, mse, logistic.
Presets: lightgcn-paper, gowalla-ssm, ml-100k-best, gru4rec-original, sasrec-original, bert4rec-original, fmlp-original.
Formats: auto, movielens, lightgcn, atomic, csv, sequence, pairs, sessions.

Values come from, highest first: flags, --set, the environment (GCNREC_SEED, GCNREC_TRAIN__LEARNING_RATE, …), the run file, the preset,
defaults. configs/README.md lists every key.")]
pub(in crate::cli) struct Args {
    /// A run file in TOML
    #[arg(value_name = "RUN.toml")]
    run_file: Option<PathBuf>,
    /// A named configuration to start from
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    pub(super) run: RunArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Data")]
struct DataArgs {
    /// One file of interactions, split here
    #[arg(long, value_name = "PATH", conflicts_with_all = ["train", "valid", "test"])]
    data: Option<String>,
    /// The training part of data that are split already
    #[arg(long, value_name = "FILE")]
    train: Option<String>,
    /// Its validation part; without it a share of the training part is taken
    #[arg(long, value_name = "FILE")]
    valid: Option<String>,
    /// Its test part
    #[arg(long, value_name = "FILE")]
    test: Option<String>,
    /// Interactions collected by showing items at random
    #[arg(long, value_name = "FILE")]
    uniform: Option<String>,
    /// What the test items are ranked among: user item item … a line. Without it all items are ranked
    #[arg(long, value_name = "FILE")]
    candidates_file: Option<String>,
    /// implicit: rows below --min-rating are dropped; explicit: they stay, with the label -1
    #[arg(long, value_name = "KIND")]
    feedback: Option<String>,
    /// The format of all files; auto looks at them
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
    /// Ratings below this do not count as interactions
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    min_rating: Option<f64>,
    /// Share of each user's training pairs that validates, where nothing else makes that part; 0 trains on everything for a fixed number of epochs
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    valid_fraction: Option<f64>,
    /// How --data is split: ratio (80/10/10), leave-one-out, or time (two points in time for everybody)
    #[arg(long, value_name = "RULE")]
    split: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Model and loss")]
struct ModelArgs {
    /// The model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Learn how the layers are weighed: additive (default), dot or global
    #[arg(long, value_name = "KIND", num_args = 0..=1, require_equals = true, default_missing_value = "additive")]
    attn_layers: Option<String>,
    /// Propagation layers
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    layers: Option<u32>,
    /// Width of the embeddings
    #[arg(long, value_name = "D", allow_negative_numbers = true)]
    dim: Option<u32>,
    /// The loss
    #[arg(long, value_name = "NAME")]
    loss: Option<String>,
    /// Temperature of a softmax loss
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    tau: Option<f64>,
    /// Weight decay of the loss, or the regulariser of ease
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    l2: Option<f64>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Training")]
pub(super) struct TrainingArgs {
    /// Epochs at most
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    epochs: Option<u32>,
    /// Pairs in a batch, or users for losses over all items
    #[arg(long, value_name = "B", allow_negative_numbers = true)]
    batch_size: Option<u32>,
    /// Step size
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    lr: Option<f64>,
    /// A run whose item vectors a sequential model starts from
    #[arg(long, value_name = "RUN")]
    init_items: Option<String>,
    /// Train again on training and validation pairs before test is scored
    #[arg(long)]
    refit: bool,
    /// How biased examples are weighed: none, uniform, combine, ips, snips, autodebias, reweight, meta_weight_net, dr, dr_jl, cause or kd_label; all but none
    /// need --uniform
    #[arg(long, value_name = "METHOD")]
    debias: Option<String>,
    /// Lengths of the lists that are judged
    #[arg(long, value_name = "K,K", value_delimiter = ',', allow_negative_numbers = true)]
    k: Option<Vec<u32>>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Run")]
pub(super) struct RunArgs {
    /// Where to compute: auto, cpu, cuda[:i] or vulkan[:i]
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Threads; 0 takes all. Results do not depend on it
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    threads: Option<u32>,
    /// All randomness is a function of this
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// The run folder; default runs/NAME-n
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Replace a run that is in the folder
    #[arg(long)]
    pub(super) force: bool,
    /// Go on with the run in the folder
    #[arg(long)]
    pub(super) resume: bool,
    /// Set any key of the configuration, as in --set model.ease.l2=300
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Args {
    /// The flags that set keys.
    pub(super) fn flags(&self) -> Result<Vec<Flag>> {
        let (data, model, training, run) = (&self.data, &self.model, &self.training, &self.run);
        let text = |text: &Option<String>| text.clone().map(Value::String);
        let whole = |number: Option<u32>| number.map(|number| Value::Integer(number.into()));
        let seed = run.seed.map(|seed| i64::try_from(seed).map_err(|_| seed_range(seed))).transpose()?;
        let list = |ks: &Vec<u32>| Value::Array(ks.iter().map(|&k| Value::Integer(k.into())).collect());
        let given = [
            ("--data", text(&data.data)),
            ("--train", text(&data.train)),
            ("--valid", text(&data.valid)),
            ("--test", text(&data.test)),
            ("--uniform", text(&data.uniform)),
            ("--candidates-file", text(&data.candidates_file)),
            ("--feedback", text(&data.feedback)),
            ("--format", text(&data.format)),
            ("--min-rating", data.min_rating.map(Value::Float)),
            ("--valid-fraction", data.valid_fraction.map(Value::Float)),
            ("--split", data.split.as_ref().map(|rule| Value::String(rule.replace('-', "_")))),
            ("--model", text(&model.model)),
            ("--attn-layers", text(&model.attn_layers)),
            ("--layers", whole(model.layers)),
            ("--dim", whole(model.dim)),
            ("--loss", text(&model.loss)),
            ("--debias", text(&training.debias)),
            ("--tau", model.tau.map(Value::Float)),
            ("--l2", model.l2.map(Value::Float)),
            ("--epochs", whole(training.epochs)),
            ("--batch-size", whole(training.batch_size)),
            ("--lr", training.lr.map(Value::Float)),
            ("--init-items", text(&training.init_items)),
            ("--refit", training.refit.then_some(Value::Boolean(true))),
            ("--k", training.k.as_ref().map(list)),
            ("--device", text(&run.device)),
            ("--threads", whole(run.threads)),
            ("--seed", seed.map(Value::Integer)),
        ];
        Ok(given.into_iter().filter_map(|(name, value)| Some(Flag { name, value: value? })).collect())
    }

    /// All layers.
    pub(super) fn sources(&self) -> Result<Sources> {
        Ok(Sources {
            preset: self.preset.clone(),
            run_file: self.run_file.clone(),
            environment: settings::environment()?,
            set: self.run.set.clone(),
            flags: self.flags()?,
            ..Sources::default()
        })
    }

    /// The run folder: the one that was named, or `runs/NAME-n` with the name of the run file or of the model.
    pub(super) fn destination(&self) -> Destination {
        match &self.run.out {
            Some(out) if self.run.force => Destination::replace(out),
            Some(out) if self.run.resume => Destination::resume(out),
            Some(out) => Destination::new(out),
            None => {
                let stem = self.run_file.as_deref().and_then(Path::file_stem);
                Destination::next_free(stem.and_then(|stem| stem.to_str()))
            }
        }
    }
}

fn seed_range(seed: u64) -> RecError {
    RecError::Config {
        key: "seed".into(),
        origin: "--seed".into(),
        found: seed.to_string(),
        expected: "a whole number from 0 to 2^63 - 1".into(),
        todo: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use gcnrec::config::{self, Config};

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
            flags: args.flags()?,
            ..Sources::default()
        };
        Ok(config::resolve(&sources)?.config)
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
        assert_eq!(args.model.attn_layers.as_deref(), Some("additive"));
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
    fn one_file_to_split_excludes_files_that_are_split() {
        assert!(Line::try_parse_from(["train", "--data", "a", "--train", "b"]).is_err());
    }

    #[test]
    fn the_folder_is_named_after_what_was_named() {
        assert_eq!(parse(&["--out", "here"]).destination(), Destination::new("here"));
        assert_eq!(parse(&["--out", "here", "--force"]).destination(), Destination::replace("here"));
        assert_eq!(parse(&["a/plain.toml"]).destination(), Destination::next_free(Some("plain")));
        assert_eq!(parse(&[]).destination(), Destination::default());
    }
}
