//! Progress of a training: a bar on a terminal, otherwise a line per validation.

use std::io::{IsTerminal, stderr};

use gcnrec::{EpochRecord, Observer, Stage, StagePlan};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::log;
use super::output::say;

/// Watches a run and writes to stderr.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    on_terminal: bool,
    plan: Option<StagePlan>,
    best: Option<(u64, f64)>,
    since_best: u64,
    /// The last validation, in a line of its own and within 80 columns.
    validation: String,
    brief: String,
    speed: String,
}

impl Progress {
    /// A bar if stderr is a terminal that no log is written to.
    pub(super) fn new() -> Self {
        let on_terminal = stderr().is_terminal() && !log::is_on();
        let (validation, brief, speed) = Default::default();
        Progress { bar: None, on_terminal, plan: None, best: None, since_best: 0, validation, brief, speed }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// True when an epoch without validation deserves a line: about ten of them in a stage.
    fn is_milestone(&self, epoch: u64) -> bool {
        let plan = self.plan.as_ref();
        plan.is_some_and(|plan| plan.metric.is_none() && epoch.is_multiple_of(plan.max_epochs.div_ceil(10).max(1)))
    }
}

/// What a stage does, in words.
fn describe(plan: &StagePlan) -> String {
    let what = match plan.stage {
        Stage::Layers => "fitting the layer weights",
        Stage::Train => "training",
        Stage::Refit => "training again with the validation pairs",
        Stage::Finetune => "training on, on the newest rows",
    };
    let from = match plan.done_epochs {
        0 => String::new(),
        done => format!(", going on after epoch {done}"),
    };
    let picked =
        plan.metric.as_ref().map_or("nothing is selected".into(), |metric| format!("{metric} picks the epoch"));
    format!(
        "{what}: {} parameters, {} steps an epoch, at most {} epochs, {picked}{from}",
        plan.n_parameters, plan.steps_per_epoch, plan.max_epochs
    )
}

impl Observer for Progress {
    fn on_stage(&mut self, plan: &StagePlan) {
        self.finish();
        say(&describe(plan));
        (self.best, self.since_best) = (None, plan.since_best);
        (self.validation, self.brief, self.speed) = Default::default();
        if self.on_terminal {
            let bar = ProgressBar::with_draw_target(Some(plan.max_epochs), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("epoch {pos}/{len} {bar:6} {eta} {wide_msg}");
            bar.set_style(style.expect("the template should be well formed: it is a constant"));
            bar.set_position(plan.done_epochs);
            self.bar = Some(bar);
        }
        self.plan = Some(plan.clone());
    }

    fn on_step(&mut self, epoch: u64, step: usize, loss: f64) {
        if let (Some(bar), Some(plan)) = (&self.bar, &self.plan) {
            bar.set_position(epoch);
            // The losses of an epoch may still be on a device: 0 is not shown as if it were one.
            let loss = if loss == 0.0 { String::new() } else { format!("loss {loss:.4}, ") };
            let step = format!("step {}/{}", step + 1, plan.steps_per_epoch);
            // A narrow terminal cuts the end off, so what people watch stands first.
            bar.set_message(format!("{}{loss}{step}{}", self.brief, self.speed));
        }
    }

    fn on_epoch(&mut self, record: &EpochRecord) {
        let metric = self.plan.as_ref().and_then(|plan| plan.metric.clone());
        let value = metric.as_ref().and_then(|metric| record.valid.as_ref()?.get(metric));
        if let (Some(metric), Some(value)) = (metric, value) {
            self.since_best = if record.best { 0 } else { self.since_best + 1 };
            if record.best {
                self.best = Some((record.epoch, value));
            }
            let left = self.plan.as_ref().map_or(0, |plan| plan.patience.saturating_sub(self.since_best));
            let best = match self.best {
                Some((epoch, _)) if epoch == record.epoch => " (best)".to_string(),
                Some((epoch, best)) => format!(" (best {best:.4} at epoch {epoch})"),
                None => String::new(),
            };
            self.validation = format!(", {metric} {value:.4}{best}, stop in {left}");
            let best = match self.best {
                Some((epoch, best)) if epoch != record.epoch => format!(" (best {best:.4} at {epoch})"),
                _ => String::new(),
            };
            self.brief = format!("{metric} {value:.4}{best}, stop in {left}; ");
        }
        self.speed = format!(", {:.2} s an epoch", record.seconds);
        match &self.bar {
            Some(bar) => bar.set_position(record.epoch),
            None if value.is_some() || self.is_milestone(record.epoch) => {
                say(&format!("epoch {}: loss {:.4}{}{}", record.epoch, record.loss, self.validation, self.speed))
            }
            None => {}
        }
    }

    fn on_message(&mut self, message: &str) {
        self.say(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(metric: Option<&str>, done_epochs: u64) -> StagePlan {
        StagePlan {
            stage: Stage::Train,
            max_epochs: 95,
            done_epochs,
            steps_per_epoch: 7,
            n_parameters: 640,
            metric: metric.map(String::from),
            patience: 10,
            since_best: 0,
        }
    }

    fn record(epoch: u64, value: f64, best: bool) -> EpochRecord {
        EpochRecord {
            stage: Stage::Train,
            epoch,
            loss: 1.0,
            seconds: 0.5,
            examples_per_s: 1.0,
            valid: Some([("ndcg@20".to_string(), value)].into_iter().collect()),
            validate_s: None,
            best,
        }
    }

    #[test]
    fn a_bar_of_80_columns_shows_the_metric_and_counts_towards_the_early_stop() {
        let mut progress = Progress { on_terminal: false, ..Progress::new() };
        progress.on_stage(&StagePlan { max_epochs: 1000, ..plan(Some("ndcg@20"), 0) });
        progress.on_epoch(&record(10, 0.25, true));
        assert_eq!(progress.brief, "ndcg@20 0.2500, stop in 10; ");
        progress.on_epoch(&record(20, 0.2, false));
        progress.on_epoch(&record(30, 0.2, false));
        assert_eq!(progress.brief, "ndcg@20 0.2000 (best 0.2500 at 10), stop in 8; ");
        // What the template puts before it.
        let before = "epoch 1000/1000 ###### 59m ";
        assert!(before.len() + progress.brief.len() <= 80, "{}", before.len() + progress.brief.len());
        // A run that goes on counts on.
        progress.on_stage(&StagePlan { since_best: 7, ..plan(Some("ndcg@20"), 30) });
        progress.on_epoch(&record(40, 0.2, false));
        assert_eq!(progress.brief, "ndcg@20 0.2000, stop in 2; ");
    }

    #[test]
    fn a_stage_is_described_in_one_line() {
        assert_eq!(
            describe(&plan(Some("ndcg@20"), 5)),
            "training: 640 parameters, 7 steps an epoch, at most 95 epochs, ndcg@20 picks the epoch, going on after epoch 5"
        );
        assert!(describe(&plan(None, 0)).ends_with("nothing is selected"));
    }

    #[test]
    fn without_validation_about_ten_epochs_get_a_line() {
        let mut progress = Progress { on_terminal: false, ..Progress::new() };
        progress.plan = Some(plan(None, 0));
        assert_eq!((1..=95).filter(|&epoch| progress.is_milestone(epoch)).count(), 9);
        progress.plan = Some(plan(Some("ndcg@20"), 0));
        assert!(!progress.is_milestone(10));
    }
}
