//! A reader of one's own: events as JSON lines, which none of the built-in formats is.
//!
//! `cargo run --release --example own_reader -- runs/events`. A format that should be known to the
//! program too is a file in `src/data/reader/`: CONTRIBUTING.md.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use gcnrec::reader::{Columns, Evidence, Head, Reader, Row, Sink, Source};
use gcnrec::{Destination, Format, Place, RecError, Run, Seed, Silent, Sources, Stop};

/// Lines such as `{"reader": "ann", "book": "b7", "at": 1700000000}`.
struct Events;

impl Reader for Events {
    fn name(&self) -> &'static str {
        "events"
    }

    fn about(&self) -> &'static str {
        "One JSON object a line: reader, book, at."
    }

    fn recognises(&self, _: &Head<'_>) -> Option<Evidence> {
        None // It is named below, not guessed.
    }

    fn read(&self, mut source: Source, _: &Columns, sink: Sink<'_>) -> gcnrec::Result<()> {
        let path = source.path().to_path_buf();
        while let Some((line, text)) = source.next_line()? {
            let event: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
            let (Some(user), Some(item)) = (event["reader"].as_str(), event["book"].as_str()) else {
                return Err(RecError::input(Place::line(&path, line), text, "an object with reader and book"));
            };
            sink(Row { user, item, rating: None, time: event["at"].as_i64().map(Into::into), line })?;
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or("runs/events".into()));
    let file = std::env::temp_dir().join(format!("gcnrec-events-{}.jsonl", std::process::id()));
    let event = |n: u32| format!("{{\"reader\": \"r{}\", \"book\": \"b{}\", \"at\": {n}}}\n", n % 40, n * n % 97);
    fs::write(&file, (0..800).map(event).collect::<String>())?;

    let set = vec![format!("data.path={}", file.display()), "train.max_epochs=10".into()];
    let run = Run::resolve(&Sources { set, ..Sources::default() }, Destination::replace(folder))?;
    let mut settings = run.config().data.clone();
    settings.format = Format::of(&Events);
    let split = gcnrec::load_data(&settings, Seed(run.config().seed))?;
    println!("{} readers, {} books, {} training rows", split.n_users(), split.n_items(), split.train.len());
    let finished = run.with_split(Arc::new(split))?.prepare()?.train(&mut Silent, &Stop::default())?;
    println!("for r1: {:?}", finished.recommender()?.for_user("r1", 3)?);
    Ok(fs::remove_file(&file)?)
}
