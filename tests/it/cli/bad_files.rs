//! Data files that cannot be used, and odd ones that can.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::case::{Case, judge_all};

/// Reads `f.csv` and fits the cheapest model, so that only the reading can fail.
const READ: &str = "train --data f.csv --model popularity --valid-fraction 0 --out out";
/// Reads parts.
const PARTS: &str = "train --train train.csv --test test.csv --model popularity --valid-fraction 0 --out out";

fn data(name: &str, content: impl AsRef<[u8]>) -> Case {
    Case::new(name, READ).file("f.csv", content)
}

/// A small explicit log, with the rest of the command line and the rows of the uniform log.
fn log_of_uniform(name: &str, arguments: &str, uniform: Option<&str>) -> Case {
    let loss = if arguments.contains("--loss") { "" } else { "--loss mse" };
    let line = format!(
        "train --train f.csv --model mf {loss} --feedback explicit --set data.uniform_ratios=[1,0,0] {arguments} --out out"
    );
    let case = Case::new(name, &line).file("f.csv", "user,item,rating\n1,1,5\n1,2,1\n2,1,4\n2,2,2\n");
    match uniform {
        Some(rows) => case.file("u.csv", format!("user,item,rating\n{rows}")),
        None => case,
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Rows that compress to more than a few bytes.
fn many_rows() -> String {
    let rows = (0..500).map(|row| format!("u{},i{}\n", row % 37, row * row % 101));
    format!("user,item\n{}", rows.collect::<String>())
}

#[test]
fn files_that_are_no_data_are_refused_with_their_place() {
    let whole = gzip(&many_rows());
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    judge_all(
        &[
            Case::new("a missing file", READ).refused(3, &["f.csv is not there", "GCNREC_DATA"]),
            Case::new("a TREC run file that is not there", "evaluate --run-file f --qrels q")
                .file("q", "a 0 x 1\n")
                .refused(3, &["f is not there"]),
            Case::new("a TREC run file with a short line", "evaluate --run-file f --qrels q")
                .file("q", "a 0 x 1\n")
                .file("f", "a Q0 x 1 0.5\n")
                .refused(3, &["f:1: found 5 fields", "user Q0 item rank score tag"]),
            Case::new("TREC judgements without a held-out item", "evaluate --run-file f --qrels q")
                .file("q", "a 0 x 0\n")
                .file("f", "")
                .refused(3, &["q: found no judgement above 0"]),
            Case::new("a folder in place of a file", READ).file("f.csv/x", "").refused(3, &["f.csv: cannot read"]),
            data("an empty file", "").refused(3, &["f.csv: found an empty file, expected interactions"]),
            data("blank lines only", " \n\n\t\n").refused(3, &["f.csv: found an empty file"]),
            data("a header alone", "user,item,rating\n").refused(3, &["f.csv: found no interaction"]),
            data("binary data", [0x7f, b'E', b'L', b'F', 0, 1, 2, 3])
                .refused(3, &["f.csv:1: found a NUL byte", "UTF-8"]),
            data("a NUL byte further down", "user,item\na,b\nc\0,d\n").refused(3, &["f.csv:3: found a NUL byte"]),
            data("UTF-16", b"\xff\xfeu\0s\0e\0r\0,\0i\0t\0e\0m\0\n\0").refused(3, &["f.csv:1: found a NUL byte"]),
            data("Latin-1", b"user,item\ncaf\xe9,b\n")
                .refused(3, &["f.csv:2: found a byte that is not UTF-8 at position 4"]),
            data("prose", "It was the best of times\n").refused(3, &["f.csv:1: found", "name the format: movielens"]),
            data("unknown column names", "who,what\n1,2\n")
                .refused(3, &["f.csv:1: found the columns who, what", "data.user_column"]),
            data("a column twice", "user,item,user\n1,2,3\n").refused(3, &["f.csv:1: found more than one column user"]),
            data("a ragged row, too short", "user,item,rating\n1,2,3\n4,5\n")
                .refused(3, &["f.csv:3: found 2 columns, expected 3"]),
            data("a ragged row, too long", "user,item\n1,2\n4,5,6\n")
                .refused(3, &["f.csv:3: found 3 columns, expected 2"]),
            data("a row without a user", "user,item\n,5\n").refused(3, &["f.csv:2: column 1 (user): found nothing"]),
            data("a row without an item", "user,item\n5,\n").refused(3, &["f.csv:2: column 2 (item): found nothing"]),
            data("an open quote", "user,item\n\"5,6\n").refused(3, &["f.csv:2: found a quote that is never closed"]),
            data("one endless line", format!("user,item\na,{}\n", "x".repeat(1_100_000)))
                .refused(3, &["f.csv:2: found more than 1048576 bytes in one line"]),
            data("a gzip file cut short", &whole[..whole.len() - 9])
                .refused(3, &["f.csv:", "incomplete gzip data", "fetch or compress it again"]),
            data("a gzip file with a wrong byte", flipped).refused(3, &["f.csv"]),
            data("a gzip file of nothing", gzip("")).refused(3, &["f.csv: found an empty file"]),
        ],
        None,
    );
}

#[test]
fn numbers_that_are_none_are_refused_with_line_and_column() {
    let rating = |name: &str, text: &str| {
        let says = format!("f.csv:3: column 3 (rating): found \"{text}\", expected a finite number");
        data(name, format!("user,item,rating\n1,2,3\n1,3,{text}\n")).refused(3, &[&says])
    };
    let time = |name: &str, text: &str| {
        let says = format!("f.csv:2: column 3 (time): found \"{text}\", expected a number such as seconds since 1970");
        let data = data(name, format!("user,item,timestamp\n1,2,{text}\n"));
        // Who needs no times is told that they are not used.
        data.with("--split time").refused(3, &[&says, "data.split", "--time-format", "--time-column"])
    };
    judge_all(
        &[
            rating("a rating in words", "five"),
            rating("no rating at all", ""),
            rating("a rating that is NaN", "NaN"),
            rating("an infinite rating", "inf"),
            rating("a negative infinite rating", "-inf"),
            rating("a rating too large for a float", "1e39"),
            rating("a rating with a comma for a point", "3;5"),
            time("a time in words", "yesterday"),
            data("a time in words for a model that reads an order", "user,item,timestamp\n1,2,yesterday\n1,3,today\n")
                .with("--model markov --valid-fraction 0 --out out")
                .refused(3, &["f.csv:2: column 3 (time): found \"yesterday\"", "because markov reads an order"]),
            data("dates that may be either", "user,item,date\n1,2,1/2/2020\n1,3,3/2/2020\n")
                .with("--split time")
                .refused(3, &["of which none says what is the day", "--time-format \"%m/%d/%Y\" or \"%d/%m/%Y\""]),
            time("a day that there is not", "2020-02-30"),
            time("a time too large for 64 bits", "99999999999999999999999"),
            time("a time that is NaN", "nan"),
        ],
        None,
    );
}

#[test]
fn data_from_which_nothing_is_left_are_refused_with_what_was_asked() {
    let with = |name: &str, text: &str, more: &str| Case::new(name, &format!("{READ} {more}")).file("f.csv", text);
    let parts =
        |name: &str, train: &str, test: &str| Case::new(name, PARTS).file("train.csv", train).file("test.csv", test);
    let candidates = |name: &str, lists: &str| {
        Case::new(name, "train --data f.txt --format sequence --split leave-one-out --model markov")
            .file("f.txt", "1 7 8 9\n2 9 7 8\n")
            .file("c.txt", lists)
            .with("--candidates-file c.txt")
    };
    let sessions = |name: &str, train: &str, test: &str| parts(name, train, test).with("--format sessions");
    judge_all(
        &[
            with("all ratings too low", "user,item,rating\n1,2,3\n", "--min-rating 4")
                .refused(3, &["all with a rating below data.min_rating", "--min-rating"]),
            with("nothing in the k-core", "user,item\n1,2\n", "--set data.min_user_interactions=5")
                .refused(3, &["f.csv: found no interaction between users with 5 or more"]),
            with("a pair twice where that is refused", "user,item\n1,2\n1,2\n", "--set data.duplicates=refuse")
                .refused(3, &["f.csv:3: found user \"1\" with item \"2\" a second time", "keep_first"]),
            with("leave-one-out without times", "user,item\n1,2\n1,3\n", "--split leave-one-out")
                .refused(4, &["data.order", "the file has no times"]),
            with("order by time without times", "user,item\n1,2\n1,3\n", "--set data.order=time")
                .refused(4, &["data.order", "data.time_column"]),
            with("a named column that is not there", "user,item\n1,2\n", "--set data.rating_column=stars --format csv")
                .refused(3, &["f.csv:1: found the columns user, item, expected a column stars"]),
            with(
                "a named column that is not there, in a file whose format is found",
                "user,item\n1,2\n",
                "--set data.user_column=nosuch",
            )
            .refused(3, &["f.csv:1: found the columns user, item, expected a column nosuch"]),
            with("one column for users and items", "a,b\n1,2\n", "--set data.user_column=a --set data.item_column=a")
                .refused(2, &["data.user_column and data.item_column are both the column a"]),
            with("points in time in a random order", "user,item,time\n1,2,9\n", "--split time --set data.order=random")
                .refused(2, &["data.order = \"random\" does not fit data.split = \"time\""]),
            with("a numbered column that is not there", "1,2,3\n", "--set data.rating_column=7")
                .refused(4, &["data.rating_column: found \"7\", expected a column number from 1 to 3"]),
            with("another format than the named one", "user,item\n1,2\n", "--format atomic")
                .refused(3, &["f.csv:1", "a header of name:type"]),
            with("a user without items in a sequence file", "1 2\n3\n", "--format sequence")
                .refused(3, &["f.csv:2: found a user without items"]),
            with("one moment split by time", "user,item,time\n1,2,9\n2,2,9\n", "--split time")
                .refused(4, &["data.split: found time, and 2 rows", "times that differ"]),
            with("a half-life without times", "user,item\n1,2\n", "--set data.half_life_days=7")
                .refused(4, &["data.half_life_days", "the files have no times", "data.time_column"]),
            with("a window of days over an order", "1 2 3\n", "--format sequence --set data.recent_days=7")
                .refused(4, &["data.recent_days", "an order for each user and no times"]),
            Case::new(
                "a half-life for a model that cannot use it",
                "train --data f.csv --model ease --set data.half_life_days=7",
            )
            .file("f.csv", "user,item,time\n1,2,3\n1,3,4\n2,2,9\n")
            .refused(2, &["data.half_life_days does not fit the model ease", "data.recent_days"]),
            Case::new("a half-life beside propensities", "train --debias ips --set data.half_life_days=7")
                .refused(2, &["data.half_life_days and the debiasing method ips both weigh"]),
            Case::new("fine-tuning without times", "train --data f.csv --model gru4rec --set train.finetune_epochs=1")
                .file("f.csv", "user,item\n1,2\n1,3\n1,4\n2,2\n2,3\n2,4\n")
                .refused(4, &["train.finetune_recent_fraction", "the files have no times", "data.time_column"]),
            Case::new("no dense layer between unequal widths", "train --model gru4rec --set model.gru4rec.dense=false")
                .refused(4, &["model.gru4rec.hidden: found 128", "expected 64, as dim is, where dense is false"]),
            Case::new(
                "a teacher beside drawn items",
                "train --model gru4rec --set model.gru4rec.teacher_weight=0.5 --set model.gru4rec.loss=bpr",
            )
            .refused(4, &["model.gru4rec.teacher_weight: found 0.5", "unless loss is cross_entropy"]),
            Case::new("the optimiser of graph models", "train --model sasrec --set train.optimizer=sgd")
                .refused(2, &["train.optimizer does not fit the model sasrec", "lightgcn and mf"]),
            Case::new("a number for a table", "train --set model.lightgcn=2")
                .refused(4, &["model.lightgcn: found 2", "expected a table"]),
            Case::new(
                "a number for a table, and then one of its keys",
                "train --set data.demo=3 --set data.demo.n_users=60",
            )
            .refused(4, &["data.demo: found 3", "expected a table"]),
            Case::new("a list for a table", "train r.toml")
                .file("r.toml", "[model]\nlightgcn = [2, 16]\n")
                .refused(4, &["r.toml:2: model.lightgcn: found [2, 16], expected a table", "model.lightgcn.KEY"]),
            Case::new("fine-tuning a graph model", "train --set train.finetune_epochs=1")
                .refused(2, &["train.finetune_epochs does not fit the model lightgcn", "gru4rec"]),
            with("two windows", "user,item\n1,2\n", "--set data.recent_days=7 --set data.recent_fraction=0.5")
                .refused(2, &["data.recent_days and data.recent_fraction"]),
            candidates("a candidate list for an unknown user", "1 5\n9 5\n")
                .refused(3, &["c.txt:2: found user \"9\", expected users of the data"]),
            candidates("a candidate list without items", "1\n")
                .refused(3, &["c.txt:1: found user \"1\" without items"]),
            candidates("a test user without candidates", "1 5\n")
                .refused(3, &["c.txt: found no line for user \"2\"", "a line for every user of the test part"]),
            candidates("a missing file of candidates", "1 5\n2 5\n")
                .with("--candidates-file nowhere.txt")
                .refused(3, &["nowhere.txt is not there"]),
            Case::new(
                "given candidates without a file",
                "train --data f.csv --model popularity --set eval.candidates=given",
            )
            .file("f.csv", "user,item\n1,2\n1,3\n")
            .refused(3, &["file of candidates is not there", "--candidates-file"]),
            sessions("a held-out session of one item", "1 2\n", "2\t1\n\n3\n")
                .refused(3, &["test.csv:3: found a session of one item"]),
            sessions("two items after a tab", "1 2\n", "2\t1 3\n")
                .refused(3, &["test.csv:1: found a tab that is not between"]),
            parts("an empty test part", "user,item\n1,2\n", "").refused(3, &["test.csv: found an empty file"]),
            parts("a part with no users", "user,item\n1,2\n", "user,item\n")
                .refused(3, &["test.csv: found no interaction"]),
            parts("a damaged test part", "user,item\n1,2\n", "user,item\n1\n")
                .refused(3, &["test.csv:2: found 1 column"]),
            Case::new("a missing test part", PARTS)
                .file("train.csv", "user,item\n1,2\n")
                .refused(3, &["test.csv is not there"]),
            Case::new("a uniform part without ratings", "train --data f.csv --uniform u.csv --out out")
                .file("f.csv", "user,item\n1,2\n")
                .file("u.csv", "user,item\n1,2\n")
                .refused(3, &["u.csv: found no ratings"]),
            log_of_uniform("no uniform log for a method that needs one", "--debias autodebias", None)
                .refused(3, &["log of uniform exposure for the debiasing method autodebias is not there", "--uniform"]),
            Case::new(
                "no uniform log for layer weights that it should teach",
                "train --data f.csv --attn-layers --loss bpr --set model.lightgcn.attention.fit=uniform --out out",
            )
            .file("f.csv", "user,item\n1,2\n1,3\n2,3\n2,4\n")
            .refused(3, &["log of uniform exposure for layer weights that it teaches is not there", "--uniform"]),
            log_of_uniform("a uniform log of one class", "--debias ips --uniform u.csv", Some("1,3,5\n2,3,4\n"))
                .refused(3, &["uniform part: found 2 rows, all with the label +1", "--min-rating"]),
            log_of_uniform(
                "more rows that judge than there are",
                "--debias autodebias --uniform u.csv --set debias.autodebias.judge_rows=3",
                Some("1,3,5\n2,3,1\n"),
            )
            .refused(
                4,
                &["debias.autodebias.judge_rows: found 3", "a number from 1 to 2, the rows of the uniform log"],
            ),
            log_of_uniform("a uniform log with unknown users", "--uniform u.csv", Some("1,3,5\n9,3,1\n"))
                .refused(3, &["u.csv:3: found user \"9\", who has no training row"]),
            log_of_uniform(
                "a uniform log that holds test rows",
                "--debias autodebias --uniform u.csv --test t.csv",
                Some("1,3,5\n2,3,1\n"),
            )
            .file("t.csv", "user,item,rating\n2,3,1\n1,2,5\n")
            .refused(3, &["u.csv: found user \"2\" with item \"3\", which is also a row of the test part"]),
            log_of_uniform(
                "explicit labels for a loss of rankings",
                "--loss bpr --uniform u.csv",
                Some("1,3,5\n2,3,1\n"),
            )
            .refused(4, &["the loss bpr", "--loss mse"]),
            Case::new("a file of titles without titles", "train --data f.csv --set data.items=t.csv --out out")
                .file("f.csv", "user,item\n1,2\n")
                .file("t.csv", "a,b\n1,2\n")
                .refused(3, &["t.csv"]),
        ],
        None,
    );
}

#[test]
fn odd_but_honest_data_are_accepted() {
    judge_all(
        &[
            data("negative times and ratings", "user,item,rating,time\n1,2,-3.5,-86400\n1,3,2,5\n"),
            data("ids with blanks, emoji and quotes", "user,item\n\"Zoë, \"\"Z\"\"\",🎧 blue\nü 1,b\n"),
            data(
                "ids beyond 64 bits",
                "user,item\n340282366920938463463374607431768211456,18446744073709551616\n2,3\n",
            ),
            data("Windows line ends and a byte order mark", "\u{feff}user,item\r\n1,2\r\n\r\n3,4\r\n"),
            data("no newline at the end", "user;item\n1;2"),
            data("a gzip file under another name", gzip(&many_rows())),
            data("times in words, for who needs none", "user,item,timestamp\n1,2,yesterday\n1,3,today\n"),
            data("a column of times with a gap", "user,item,timestamp\n1,2,1700000000\n1,3,\n"),
            data("pairs that come twice", "user,item\n1,2\n1,2\n3,2\n"),
            data("one user and one item", "user,item\n1,2\n"),
            Case::new(
                "a user with no items",
                "train --train t.txt --test s.txt --format lightgcn --model popularity --out out",
            )
            .file("t.txt", "0 5 7\n1\n2 5\n")
            .file("s.txt", "0 6\n1\n2\n"),
            Case::new(
                "an epoch picked by a metric that no single user has",
                "train --data f.csv --model mf --dim 2 --epochs 1 --set train.metric=itemcoverage@2 --out out",
            )
            .file("f.csv", "user,item\n1,2\n1,3\n1,4\n2,2\n2,3\n2,5\n"),
            Case::new("held-out sessions of items that training never saw", PARTS)
                .with("--model lightgcn --epochs 1 --valid-fraction 0 --format sessions --out out")
                .file("train.csv", "1 2\n2 3\n")
                .file("test.csv", "1\t3\n7\t3\n"),
            Case::new("test users and items that training never saw", PARTS)
                .file("train.csv", "user,item\n1,2\n")
                .file("test.csv", "user,item\n8,9\n1,9\n"),
        ],
        None,
    );
}
