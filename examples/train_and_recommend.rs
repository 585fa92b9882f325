//! Trains a graph recommender on a file, and asks it the questions that a service asks.
//!
//! `cargo run --release --example train_and_recommend -- runs/example` writes the run folder that
//! `gcnrec train` would write; a service later opens it with `Recommender::open`.

use std::error::Error;

use gcnrec::{Destination, Run, Silent, Sources, Stop};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or("runs/example".into());
    let books = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data");

    // The settings are those of `--set` and of run files: configs/README.md lists them.
    let set = vec![
        format!("data.path={books}/ratings.csv"),
        format!("data.items={books}/books.csv"),
        "data.min_rating=4".into(),
        "model.lightgcn.layers=2".into(),
        "train.max_epochs=40".into(),
    ];
    let sources = Sources { set, ..Sources::default() };
    // Every check comes before anything is written; a run that is in the folder is replaced.
    let prepared = Run::prepare(&sources, Destination::replace(&folder))?;
    // An observer would see each epoch; a stop could be raised from another thread.
    let finished = prepared.train(&mut Silent, &Stop::default())?;
    println!("test: {:?}", finished.report.metrics["test"]);

    // Immutable: threads share one.
    let recommender = finished.recommender()?;
    println!("\nfor reader1:");
    for (item, score) in recommender.for_user("reader1", 3)? {
        println!("{score:.4}  {}", recommender.title(&item).unwrap_or(&item));
    }
    println!("\nfor somebody who has read b000 and b005:");
    for (item, score) in recommender.for_history(&["b000", "b005"], 3)? {
        println!("{score:.4}  {}", recommender.title(&item).unwrap_or(&item));
    }
    println!("\nlike b000:");
    for (item, score) in recommender.similar_items("b000", 3)? {
        println!("{score:.4}  {}", recommender.title(&item).unwrap_or(&item));
    }
    Ok(())
}
