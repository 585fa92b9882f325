//! Command lines that contradict themselves, name what is not there, or ask for more than the
//! machine has.

use super::case::{Case, judge_all};

/// A small file to name.
const ROWS: &str = "user,item\n1,2\n1,3\n2,3\n";

fn line(name: &str, line: &str) -> Case {
    Case::new(name, line)
}

fn with_rows(name: &str, line: &str) -> Case {
    Case::new(name, line).file("f.csv", ROWS)
}

#[test]
fn wrong_usage_ends_with_two_and_points_to_help() {
    judge_all(
        &[
            line("an unknown command", "trian").refused(2, &["'trian'", "'train'", "see gcnrec --help"]),
            line("an unknown flag", "train --layer 3")
                .refused(2, &["'--layer'", "'--layers'", "see gcnrec train --help"]),
            line("a flag without its value", "train --lr").refused(2, &["a value is required for '--lr <X>'"]),
            line("a flag twice", "train --lr 1 --lr 2").refused(2, &["--lr"]),
            line("a word for a whole number", "train --layers many")
                .refused(2, &["'many'", "not a whole number of 0 or more"]),
            line("a negative whole number", "train --seed -1").refused(2, &["'-1'", "--seed", "not a whole number"]),
            line("a whole number too large", "train --seed 99999999999999999999")
                .refused(2, &["the number is too large"]),
            line("a word for a number", "train --lr fast").refused(2, &["'fast'", "not a number"]),
            line("a word in a list of numbers", "train --k 10,x").refused(2, &["'x'", "--k"]),
            line("an empty list of numbers", "train --k=").refused(2, &["--k"]),
            line("one file and parts", "train --data f --train g")
                .refused(2, &["'--data <PATH>' cannot be used with '--train <FILE>'"]),
            line("resume and force", "train --resume --force --out run")
                .refused(2, &["--resume", "--force", "give one of them"]),
            line("resume without a folder", "train --resume").refused(2, &["--resume does not say which run", "--out"]),
            line("validation without training data", "train --valid v.csv")
                .refused(2, &["data.valid is given without training data"]),
            line("a uniform log without training data", "train --uniform u.csv")
                .refused(2, &["data.uniform is given without training data"]),
            line("a loss for a model without one", "train --model popularity --loss bpr")
                .refused(2, &["--loss does not fit the model popularity"]),
            line("layers for a model without layers", "train --model mf --layers 2")
                .refused(2, &["--layers does not fit the model mf", "it fits lightgcn"]),
            line("a method that needs blocks without them", "train --loss mse --debias dr")
                .refused(2, &["the debiasing method dr runs over all pairs", "train.sampling = \"block\""]),
            line("a method of labels with a loss of rankings", "train --loss bpr --debias cause")
                .refused(2, &["the debiasing method cause does not fit the loss bpr", "mse and logistic"]),
            line(
                "layer weights from the uniform log under a loss on cosines",
                "train --attn-layers --loss softmax --set model.lightgcn.attention.fit=uniform",
            )
            .refused(2, &["attention.fit = \"uniform\" does not fit the loss softmax", "bpr"]),
            line("attention for a model without layers", "train --model ease --attn-layers")
                .refused(2, &["--attn-layers does not fit the model ease"]),
            line("a temperature for a loss without one", "train --loss bpr --tau 0.1")
                .refused(2, &["--tau does not fit the loss bpr"]),
            line("--set without a value", "train --set seed")
                .refused(2, &["--set seed: there is no value", "--set key=value"]),
            line("--set without a key", "train --set =3").refused(2, &["the key has an empty part"]),
            line("nobody to recommend to", "recommend run").refused(2, &["--user <ID>", "see gcnrec recommend --help"]),
            line("two ways to say to whom", "recommend run --user 1 --history a").refused(2, &["cannot be used with"]),
            line("no item to compare with", "similar run").refused(2, &["--item <ID>"]),
            line("a list of no items", "recommend run --user 1 -k 0").refused(2, &["'0'", "--k"]),
            line("an unknown part", "evaluate run --part train").refused(2, &["'train'", "test, valid, uniform"]),
            line("labelled rows while training", "train --set eval.candidates=labeled")
                .refused(4, &["eval.candidates", "which rank lists of items", "gcnrec evaluate RUN"]),
            line("nothing to judge", "evaluate").refused(2, &["<RUN>"]),
            line("a run and a run file", "evaluate run --run-file f --qrels q").refused(2, &["cannot be used with"]),
            line("a run file without judgements", "evaluate --run-file f").refused(2, &["--qrels"]),
            line("uniform rows are not ranked", "evaluate run --part uniform").refused(2, &["--candidates labeled"]),
            line("labelled rows are no lists", "evaluate run --candidates labeled --trec d").refused(2, &["--trec"]),
            line("an unknown kind of output", "devices --output xml").refused(2, &["'xml'", "table, json, csv"]),
            line(
                "one file that is split with k-core of parts",
                "train --train f.csv --set data.min_user_interactions=2",
            )
            .refused(2, &["data.min_user_interactions"]),
        ],
        None,
    );
}

#[test]
fn settings_that_nothing_would_read_end_with_two_and_say_what_they_fit() {
    let demo = "the demo world, which is made whole";
    let split = "data.train, a part of data that are split already";
    judge_all(
        &[
            line("a split of the demo world", "train --split time")
                .refused(2, &["--split: data.split", demo, "--data"]),
            line("a least rating in the demo world", "train --min-rating 4").refused(2, &["data.min_rating", demo]),
            line("a format of the demo world", "train --format csv").refused(2, &["data.format", demo]),
            line("ratings of the demo world", "train --feedback explicit").refused(2, &["data.feedback", demo]),
            line("columns of the demo world", "train --set data.user_column=u").refused(2, &["data.user_column", demo]),
            line("shares of the demo world", "train --set data.ratios=[1,1,1]").refused(2, &["data.ratios", demo]),
            with_rows("a split of parts", "train --train f.csv --split time")
                .refused(2, &["--split: data.split", split]),
            with_rows("shares of parts", "train --train f.csv --set data.ratios=[1,1,1]")
                .refused(2, &["--set data.ratios=[1,1,1]: data.ratios", split]),
            with_rows("two validation parts", "train --train f.csv --valid f.csv --valid-fraction 0.3")
                .refused(2, &["--valid-fraction: data.valid_fraction", "data.valid", "give one of the two"]),
            with_rows("two shares of validation", "train --data f.csv --valid-fraction 0.3")
                .refused(2, &["--valid-fraction: data.valid_fraction", "data.ratios"]),
            line("users for a loss that takes them anyway", "train --set train.sampling=user")
                .refused(2, &["train.sampling", "the loss softmax", "bpr"]),
            line("blocks without blocks", "train --set train.block=[8,8]").refused(2, &["train.block", "sampling"]),
            line("newest rows without fine-tuning", "train --model sasrec --set train.finetune_recent_fraction=0.5")
                .refused(2, &["train.finetune_recent_fraction", "train.finetune_epochs"]),
            line("attention without attention", "train --set model.lightgcn.attention.hidden=8")
                .refused(2, &["model.lightgcn.attention.hidden", "--attn-layers"]),
            line("biases that are not there", "train --model mf --set model.mf.decay_biases=false")
                .refused(2, &["model.mf.decay_biases", "biases = true"]),
            line("negatives of a loss without them", "train --model sasrec --set model.sasrec.n_negatives=8")
                .refused(2, &["model.sasrec.n_negatives", "the loss cross_entropy", "gbce"]),
            line("a teacher without a weight", "train --model gru4rec --set model.gru4rec.teacher_temperature=2")
                .refused(2, &["model.gru4rec.teacher_temperature", "teacher_weight"]),
            line("a loss's setting for a model of sequences", "train --model sasrec --set objective.bpr.l2=1")
                .refused(4, &["--set objective.bpr.l2=1", "has losses of its own"]),
            line("a loss's setting for a closed form", "train --model ease --set objective.bpr.l2=1")
                .refused(4, &["--set objective.bpr.l2=1", "the model is ease (--model), computed in closed form"]),
            line("a loss for a fusion", "train --model fusion --loss bpr")
                .refused(2, &["--loss does not fit the model fusion, which takes the losses of its members"]),
            line("debiasing of sequences", "train --model gru4rec --set debias.ips.clip=0.2")
                .refused(2, &["the debiasing method ips does not fit the model gru4rec", "the graph models"]),
        ],
        None,
    );
}

#[test]
fn names_that_do_not_exist_get_the_nearest_that_does() {
    judge_all(
        &[
            line("an unknown model", "train --model lightgnc")
                .refused(4, &["--model: unknown model \"lightgnc\"; did you mean \"lightgcn\"?"]),
            line("an unknown loss", "train --loss bprr").refused(4, &["unknown loss \"bprr\"; did you mean \"bpr\"?"]),
            line("an unknown layer combination", "train --attn-layers=additiv")
                .refused(4, &["did you mean \"additive\"?"]),
            line("an unknown preset", "train --preset lightgcn").refused(4, &["--preset: unknown preset \"lightgcn\""]),
            line("an unknown format", "train --data f.csv --format movilens")
                .refused(4, &["did you mean \"movielens\"?"]),
            line("an unknown split", "train --data f.csv --split leave-one")
                .refused(4, &["unknown split", "leave_one_out"]),
            line("an unknown metric", "train --set eval.metrics=recal")
                .refused(4, &["unknown metric \"recal\"; did you mean \"recall\"?"]),
            line("an unknown metric to select by", "train --set train.metric=ndgc@20")
                .refused(4, &["did you mean \"ndcg\"?"]),
            line("an unknown device", "train --device gpu")
                .refused(4, &["--device: device: found \"gpu\", expected cuda or vulkan, or auto"]),
            line("an unknown debiasing method", "train --debias magic")
                .refused(4, &["--debias: unknown debiasing method \"magic\""]),
            line("an unknown key", "train --set train.patiense=3")
                .refused(4, &["unknown key \"patiense\"; did you mean \"patience\"?"]),
            line("an unknown table", "train --set trian.patience=3")
                .refused(4, &["unknown key \"trian\"; did you mean \"train\"?"]),
            line("an unknown variable", "train")
                .env("GCNREC_SEEED", "1")
                .refused(4, &["GCNREC_SEEED: unknown key \"seeed\"; did you mean \"seed\"?"]),
            line("a variable out of range", "train")
                .env("GCNREC_TRAIN__PATIENCE", "0")
                .refused(4, &["GCNREC_TRAIN__PATIENCE: train.patience: found 0"]),
            line("a variable that is no number", "devices")
                .env("GCNREC_THREADS", "x")
                .refused(4, &["GCNREC_THREADS: threads: found \"x\""]),
        ],
        None,
    );
}

#[test]
fn run_files_are_refused_with_their_line() {
    let toml = |name: &str, text: &[u8]| Case::new(name, "train r.toml").file("r.toml", text);
    judge_all(
        &[
            line("a missing run file", "train r.toml").refused(3, &["file r.toml is not there"]),
            toml("a run file with a syntax error", b"seed = 1\n[train\n").refused(4, &["r.toml:2:", "TOML"]),
            toml("a run file in Latin-1", b"# caf\xe9\n")
                .refused(4, &["r.toml: encoding: found a byte that is not UTF-8 at offset 5"]),
            toml("a key twice", b"seed = 1\nseed = 2\n").refused(4, &["r.toml:2:", "TOML"]),
            toml("an unknown key in a run file", b"[model.lightgcn]\nlayer = 2\n")
                .refused(4, &["r.toml:2: unknown key \"layer\"; did you mean \"layers\"?"]),
            toml("a wrong type in a run file", b"[train]\n\nlearning_rate = \"fast\"\n")
                .refused(4, &["r.toml:3: train.learning_rate: found \"fast\", expected a number"]),
            toml("a value out of range in a run file", b"[model.lightgcn]\nlayers = 9\n")
                .refused(4, &["r.toml:2: model.lightgcn.layers: found 9, expected a whole number from 0 to 8"]),
            toml("two models", b"[model.mf]\n[model.ease]\nl2 = 2\n")
                .refused(4, &["[model.ease]", "[model.mf] (r.toml:1)"]),
            toml("a loss for a closed form", b"model = \"ease\"\n[objective.bpr]\nl2 = 1\n")
                .refused(4, &["r.toml:3", "the model is ease"]),
            toml("a data file that is not there", b"[data]\ntrain = \"no.csv\"\n").refused(3, &["no.csv is not there"]),
            toml("a folder of data that is not there", b"[data]\ntrain = \"no.csv\"\n")
                .env("GCNREC_DATA", "/no/where")
                .refused(3, &["it is not in GCNREC_DATA=/no/where either"]),
            toml("a run file of binary data", b"\0\x01\x02").refused(4, &["r.toml:1:", "expected TOML"]),
        ],
        None,
    );
}

#[test]
fn what_the_machine_does_not_have_ends_with_five() {
    let mut cases = vec![
        line("a device that is not in this build or not there", "train --device cuda:77")
            .refused(5, &["device cuda:77", "use --device cpu"]),
        line("a numbered device", "train --device vulkan:77").refused(5, &["device vulkan:77", "use --device cpu"]),
        with_rows(
            "too many items for a dense matrix",
            "train --data f.csv --model ease --set model.ease.max_items=1 --out out",
        )
        .refused(5, &["model.ease", "2 items", "model.ease.max_items"]),
    ];
    // Elsewhere the system does not say how much memory is available.
    if cfg!(target_os = "linux") {
        // One user with a million items: 17 tables of 1,000,001 x 4096 numbers of 4 bytes are 278
        // GB.
        let items: String = (0..1_000_000).map(|item| format!(" {item}")).collect();
        cases.push(
            line("no memory for the model", "train --train t.txt --format lightgcn --dim 4096 --layers 8 --out out")
                .file("t.txt", format!("0{items}\n"))
                .refused(
                    5,
                    &[
                        "model.lightgcn: found",
                        "of memory available, expected 278.5 GB for 1 users and 1000000 items",
                        "lower --dim",
                    ],
                ),
        );
    }
    judge_all(&cases, None);
}
