//! Precedence of the layers, choices of models and losses, flags that do not fit, origins of
//! errors.

use std::path::Path;

use super::layers::resolve_text;
use super::{Config, Flag, Resolved, Sources, resolve};
use crate::error::{RecError, Result};
use crate::objectives::Softmax;
use crate::objectives::ssm::Ssm;
use crate::{models, objectives};

/// All layers that a test wants, none by default.
#[derive(Default)]
struct Case {
    preset: Option<&'static str>,
    file: Option<&'static str>,
    environment: Vec<(&'static str, &'static str)>,
    set: Vec<&'static str>,
    flags: Vec<Flag>,
}

impl Case {
    fn resolve(&self) -> Result<Resolved> {
        let owned = |(name, text): &(&str, &str)| (name.to_string(), text.to_string());
        let sources = Sources {
            preset: self.preset.map(String::from),
            environment: self.environment.iter().map(owned).collect(),
            set: self.set.iter().map(|text| text.to_string()).collect(),
            flags: self.flags.clone(),
            ..Sources::default()
        };
        resolve_text(&sources, self.file.map(|text| (text, Path::new("/runs/run.toml"))))
    }

    fn config(&self) -> Config {
        self.resolve().unwrap().config
    }

    fn error(&self) -> RecError {
        self.resolve().unwrap_err()
    }
}

fn file(text: &'static str) -> Case {
    Case { file: Some(text), ..Case::default() }
}

fn flags(flags: &[(&'static str, toml::Value)]) -> Case {
    Case { flags: flags.iter().map(|(name, value)| Flag::new(name, value.clone())).collect(), ..Case::default() }
}

fn layers(config: &Config) -> usize {
    config.model.settings::<models::graph::lightgcn::Config>().unwrap().layers
}

#[test]
fn with_no_layer_at_all_the_defaults_of_the_protocol_hold() {
    let resolved = Case::default().resolve().unwrap();
    assert_eq!(resolved.config, Config::default());
    assert_eq!((resolved.config.seed, resolved.config.model.name()), (2020, "lightgcn"));
    assert_eq!(resolved.config.objective, Some(objectives::Config::named("softmax").unwrap()));
    assert_eq!(resolved.origins.of("seed"), "");
}

#[test]
fn each_layer_wins_over_the_one_below_it() {
    // The preset says batch 2048 and learning rate 1e-3; every layer above adds one and overrides
    // the one before.
    let batch = |case: &Case| case.config().train.batch_size;
    let mut case = Case::default();
    assert_eq!(batch(&case), None);
    case.preset = Some("lightgcn-paper");
    assert_eq!(batch(&case), Some(2048));
    case.file = Some("[train]\nbatch_size = 1");
    assert_eq!(batch(&case), Some(1));
    case.environment = vec![("GCNREC_TRAIN__BATCH_SIZE", "2")];
    assert_eq!(batch(&case), Some(2));
    case.set = vec!["train.batch_size=3"];
    assert_eq!(batch(&case), Some(3));
    case.flags = vec![Flag::new("--batch-size", 4)];
    assert_eq!(batch(&case), Some(4));
    // What only the preset sets is still there.
    assert_eq!(case.config().train.learning_rate, Some(1e-3));
}

#[test]
fn every_pair_of_layers_keeps_its_order() {
    type Give = fn(&mut Case);
    let give: [(u64, Give); 4] = [
        (1, |case| case.file = Some("seed = 1")),
        (2, |case| case.environment = vec![("GCNREC_SEED", "2")]),
        (3, |case| case.set = vec!["seed=3"]),
        (4, |case| case.flags = vec![Flag::new("--seed", 4)]),
    ];
    for (low, (_, give_low)) in give.iter().enumerate() {
        for (expected, give_high) in &give[low + 1..] {
            let mut case = Case::default();
            give_high(&mut case);
            give_low(&mut case);
            assert_eq!(case.config().seed, *expected);
        }
    }
}

#[test]
fn a_later_set_wins_over_an_earlier_one() {
    let case = Case { set: vec!["train.patience=3", "train.patience = 4"], ..Case::default() };
    let resolved = case.resolve().unwrap();
    assert_eq!(resolved.config.train.patience, 4);
    assert_eq!(resolved.origins.of("train.patience"), "--set train.patience = 4");
}

#[test]
fn every_value_knows_where_it_was_written() {
    let case = Case {
        preset: Some("lightgcn-paper"),
        file: Some("seed = 1\n[train]\npatience = 3"),
        environment: vec![("GCNREC_THREADS", "2"), ("HOME", "/root"), ("GCNREC_DATA", "/data")],
        flags: vec![Flag::new("--lr", 0.5)],
        ..Case::default()
    };
    let origins = case.resolve().unwrap().origins;
    assert_eq!(origins.of("seed"), "/runs/run.toml:1");
    assert_eq!(origins.of("train.patience"), "/runs/run.toml:3");
    assert_eq!(origins.of("threads"), "GCNREC_THREADS");
    assert_eq!(origins.of("train.learning_rate"), "--lr");
    assert_eq!(origins.of("train.batch_size"), "preset lightgcn-paper");
}

#[test]
fn a_value_out_of_range_is_refused_with_its_origin() {
    let messages = [
        (file("[model.lightgcn]\nlayers = 9").error(), "/runs/run.toml:2: model.lightgcn.layers: found 9, expected"),
        (flags(&[("--layers", 9.into())]).error(), "--layers: model.lightgcn.layers: found 9, expected"),
        (flags(&[("--tau", 0.0.into())]).error(), "--tau: objective.softmax.tau: found 0, expected"),
        (flags(&[("--epochs", 0.into())]).error(), "--epochs: train.max_epochs: found 0, expected"),
        (
            Case { environment: vec![("GCNREC_THREADS", "5000")], ..Case::default() }.error(),
            "GCNREC_THREADS: threads: found 5000, expected a whole number from 1 to 1024, or 0 for all",
        ),
        (Case { set: vec!["device=tpu"], ..Case::default() }.error(), "--set device=tpu: unknown device \"tpu\""),
        (
            file("[train]\nmetric = \"ndgc@20\"").error(),
            "/runs/run.toml:2: unknown metric \"ndgc\"; did you mean \"ndcg\"?",
        ),
    ];
    for (error, expected) in messages {
        assert!(error.to_string().starts_with(expected), "{error}");
        assert_eq!(error.exit_code(), 4);
    }
}

#[test]
fn a_typo_is_refused_even_where_a_higher_layer_would_hide_it() {
    let mut case = file("[model.lightgcn]\nlayrs = 2");
    case.flags = vec![Flag::new("--model", "ease")];
    assert_eq!(case.error().to_string(), "/runs/run.toml:2: unknown key \"layrs\"; did you mean \"layers\"?");
    let case = Case { environment: vec![("GCNREC_SEAD", "1")], ..Case::default() };
    assert_eq!(case.error().to_string(), "GCNREC_SEAD: unknown key \"sead\"; did you mean \"seed\"?");
}

#[test]
fn choosing_a_model_replaces_the_table_of_a_lower_layer() {
    let mut case = file("[model.lightgcn]\nlayers = 2\n[objective.bpr]\nl2 = 1e-3");
    case.flags = vec![Flag::new("--model", "ease")];
    let config = case.config();
    assert_eq!((config.model.name(), config.objective), ("ease", None));

    let case = Case { preset: Some("lightgcn-paper"), file: Some("[model.mf]\ndim = 8"), ..Case::default() };
    let config = case.config();
    assert_eq!(config.model.name(), "mf");
    assert_eq!(config.objective.unwrap().name(), "bpr");
}

#[test]
fn naming_the_same_model_again_keeps_what_lower_layers_set() {
    let mut case = file("[model.lightgcn]\nlayers = 2");
    case.flags = vec![Flag::new("--model", "lightgcn")];
    assert_eq!(layers(&case.config()), 2);
}

#[test]
fn choosing_a_loss_replaces_the_table_of_a_lower_layer() {
    let mut case = file("[objective.bpr]\nn_negatives = 7");
    case.flags = vec![Flag::new("--loss", "ssm"), Flag::new("--tau", 0.2)];
    let objective = case.config().objective.unwrap();
    let ssm = objective.settings::<Ssm>().unwrap();
    assert_eq!((ssm.tau, ssm.l2), (0.2, 1e-5));
}

#[test]
fn a_setting_chooses_its_model_only_where_no_layer_names_one() {
    let case = Case { set: vec!["model.ease.l2=300"], ..Case::default() };
    assert_eq!(case.config().model.name(), "ease");
    let case = Case { environment: vec![("GCNREC_MODEL__EASE__L2", "300")], ..Case::default() };
    assert_eq!(case.config().model.name(), "ease");

    let mut case = file("[model.lightgcn]\nlayers = 2");
    case.set = vec!["model.ease.l2=300"];
    assert_eq!(
        case.error().to_string(),
        "--set model.ease.l2=300: model.ease.l2: found a setting of ease, expected a setting of the model in use, lightgcn \
         (/runs/run.toml:2); --model ease changes the model"
    );
    case.flags = vec![Flag::new("--model", "ease")];
    assert_eq!(case.config().model.name(), "ease");
}

#[test]
fn two_settings_of_different_models_are_refused() {
    let case = Case { set: vec!["model.ease.l2=300", "model.lightgcn.dim=8"], ..Case::default() };
    assert!(case.error().to_string().contains("found a setting of ease"), "{}", case.error());
}

#[test]
fn a_bare_name_chooses_in_every_layer() {
    for case in [
        file("model = \"ease\""),
        Case { environment: vec![("GCNREC_MODEL", "ease")], file: Some("[model.mf]"), ..Case::default() },
        Case { set: vec!["model=mf", "model=ease"], preset: Some("lightgcn-paper"), ..Case::default() },
    ] {
        assert_eq!(case.config().model.name(), "ease");
    }
}

#[test]
fn a_setting_that_a_flag_made_void_is_noted() {
    let mut case = flags(&[("--model", "ease".into())]);
    case.set = vec!["model.lightgcn.dim=8"];
    let resolved = case.resolve().unwrap();
    assert_eq!(resolved.notes, ["--set model.lightgcn.dim=8 has no effect: the model is ease (--model)"]);
    let resolved = flags(&[("--model", "ease".into()), ("--epochs", 3.into())]).resolve().unwrap();
    assert_eq!(resolved.notes, ["--epochs has no effect: ease is not trained by steps"]);
    let mut case = flags(&[("--model", "ease".into())]);
    // The metric is reported of closed forms too.
    case.set = vec!["train.patience=3", "train.metric=ndcg@10"];
    case.environment = vec![("GCNREC_TRAIN__OPTIMIZER", "sgd")];
    let notes = case.resolve().unwrap().notes;
    let why = "has no effect: ease is not trained by steps";
    assert_eq!(notes, [format!("GCNREC_TRAIN__OPTIMIZER {why}"), format!("--set train.patience=3 {why}")]);
    // A run file may hold what other models that it is started with read.
    let case = Case { file: Some("[model.ease]\n[train]\npatience = 3"), ..Case::default() };
    assert!(case.resolve().unwrap().notes.is_empty());
}

#[test]
fn a_loss_beside_a_closed_form_model_is_refused() {
    let error = file("[model.ease]\nl2 = 300\n[objective.bpr]\nl2 = 1e-3").error();
    assert_eq!(
        error.to_string(),
        "/runs/run.toml:4: objective.bpr.l2: found the loss bpr, expected no loss: the model is ease (/runs/run.toml:2), computed \
         in closed form; remove the loss or choose a model that is trained on one, such as lightgcn"
    );
}

#[test]
fn flags_that_do_not_fit_are_refused_as_wrong_usage() {
    let messages = [
        (
            flags(&[("--loss", "bpr".into()), ("--tau", 0.1.into())]),
            "--tau does not fit the loss bpr; it fits ssm, softmax, bsl",
        ),
        (
            flags(&[("--model", "ease".into()), ("--layers", 2.into())]),
            "--layers does not fit the model ease; it fits lightgcn, gru4rec, narm, sasrec, bert4rec, fmlp",
        ),
        (
            flags(&[("--model", "mf".into()), ("--attn-layers", "dot".into())]),
            "--attn-layers does not fit the model mf; it fits lightgcn",
        ),
        (
            flags(&[("--model", "ease".into()), ("--loss", "bpr".into())]),
            "--loss does not fit the model ease, which is computed in closed form; it fits models that are trained on a loss, such as \
             lightgcn and mf",
        ),
        (
            flags(&[("--model", "sasrec".into()), ("--loss", "bpr".into())]),
            "--loss does not fit the model sasrec, which has losses of its own; use --set model.sasrec.loss",
        ),
        (
            flags(&[("--model", "popularity".into()), ("--l2", 1.0.into())]),
            "--l2 does not fit the model popularity; it fits ease",
        ),
        (
            Case { set: vec!["train.patience"], ..Case::default() },
            "--set train.patience: there is no value; write --set key=value",
        ),
        (
            Case { set: vec!["train..patience=1"], ..Case::default() },
            "--set train..patience=1: the key has an empty part",
        ),
    ];
    for (case, expected) in messages {
        let error = case.error();
        assert!(error.to_string().starts_with(expected), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn flags_reach_the_model_and_the_loss_in_use() {
    let config = flags(&[
        ("--attn-layers", "additive".into()),
        ("--layers", 2.into()),
        ("--dim", 16.into()),
        ("--l2", 0.5.into()),
        ("--k", toml::Value::Array(vec![5.into()])),
    ])
    .config();
    let model = config.model.settings::<models::graph::lightgcn::Config>().unwrap();
    assert_eq!((model.layers, model.dim, model.combination), (2, 16, models::graph::lightgcn::Combination::ADDITIVE));
    let softmax = config.objective.as_ref().and_then(|loss| loss.settings::<Softmax>()).unwrap();
    assert_eq!(softmax.l2, 0.5);
    assert_eq!(config.eval.k, [5]);
    let config = flags(&[("--model", "ease".into()), ("--l2", 300.0.into())]).config();
    assert!(config.to_toml().unwrap().contains("l2 = 300.0"));
}

#[test]
fn an_unknown_name_in_a_flag_gets_a_suggestion() {
    let message = |name, value: &str| flags(&[(name, value.into())]).error().to_string();
    assert_eq!(message("--model", "lightgnc"), "--model: unknown model \"lightgnc\"; did you mean \"lightgcn\"?");
    assert_eq!(message("--loss", "softmx"), "--loss: unknown loss \"softmx\"; did you mean \"softmax\"?");
    assert_eq!(message("--format", "movielenz"), "--format: unknown format \"movielenz\"; did you mean \"movielens\"?");
    let found = message("--attn-layers", "ad");
    let expected = "--attn-layers: unknown layer combination \"ad\"; known: uniform, global, additive, dot";
    assert!(found.starts_with(expected), "{found}");
}

#[test]
fn paths_refer_to_the_run_file_or_to_the_current_folder() {
    let mut case = file("[data]\ntrain = \"a.txt\"\ntest = \"/b.txt\"");
    let data = case.config().data;
    assert_eq!(data.train.as_deref(), Some(Path::new("/runs/a.txt")));
    assert_eq!(data.test.as_deref(), Some(Path::new("/b.txt")));
    case.flags = vec![Flag::new("--train", "a.txt")];
    assert_eq!(case.config().data.train, Some(std::env::current_dir().unwrap().join("a.txt")));
}

#[test]
fn another_source_of_data_replaces_the_one_of_a_lower_layer() {
    let mut case = file("[data]\ntrain = \"a.txt\"\ntest = \"b.txt\"");
    case.flags = vec![Flag::new("--data", "/c.txt")];
    let data = case.config().data;
    assert_eq!((data.path.as_deref(), data.train, data.test), (Some(Path::new("/c.txt")), None, None));
    let mut case = file("[data]\npath = \"a.txt\"");
    case.flags = vec![Flag::new("--train", "/c.txt")];
    let data = case.config().data;
    assert_eq!((data.train.as_deref(), data.path), (Some(Path::new("/c.txt")), None));
}

#[test]
fn a_run_file_that_cannot_be_read_is_named() {
    let sources = Sources { run_file: Some("/nowhere/run.toml".into()), ..Sources::default() };
    let error = resolve(&sources).unwrap_err();
    assert_eq!(
        (error.exit_code(), error.to_string().as_str()),
        (3, "file /nowhere/run.toml is not there; check the path")
    );
    let place = tempfile::tempdir().unwrap();
    let latin = place.path().join("latin.toml");
    std::fs::write(&latin, b"seed = 1 # \xe9").unwrap();
    let error = resolve(&Sources { run_file: Some(latin), ..Sources::default() }).unwrap_err();
    assert!(error.to_string().contains("a byte that is not UTF-8 at offset 11"), "{error}");
    assert_eq!(error.exit_code(), 4);
}

#[test]
fn the_resolved_configuration_reads_back_equal() {
    let case = Case {
        preset: Some("lightgcn-paper"),
        file: Some("seed = 5\n[data]\ntrain = \"a.txt\""),
        set: vec!["train.learning_rate=0.003", "eval.k=5,50"],
        flags: vec![Flag::new("--attn-layers", "global")],
        ..Case::default()
    };
    let config = case.config();
    assert_eq!(Config::from_toml(&config.to_toml().unwrap(), Path::new("/elsewhere/config.toml")).unwrap(), config);
}

#[test]
fn every_shipped_run_file_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut n_files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let resolved = resolve(&Sources { run_file: Some(path.clone()), ..Sources::default() });
            resolved.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            n_files += 1;
        }
    }
    assert!(n_files >= 3, "configs should hold the run files of the guide");
}

#[test]
fn set_and_flags_stand_side_by_side_and_other_layers_give_way_to_a_new_source() {
    let file = ("[data]\ntrain = \"/a\"\ntest = \"/b\"\nitems = \"/c\"\n", Path::new("/runs/run.toml"));
    let flags = vec![Flag::new("--data", "/d")];
    let config = resolve_text(&Sources { flags: flags.clone(), ..Sources::default() }, Some(file)).unwrap().config;
    assert_eq!((config.data.path, config.data.train, config.data.items), (Some("/d".into()), None, None));
    let set = vec!["data.items=/e".to_string()];
    let config = resolve_text(&Sources { flags: flags.clone(), set, ..Sources::default() }, None).unwrap().config;
    assert_eq!((config.data.path, config.data.items), (Some("/d".into()), Some("/e".into())));
    let set = vec!["data.test=/e".to_string()];
    let error = resolve_text(&Sources { flags, set, ..Sources::default() }, None).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
}
