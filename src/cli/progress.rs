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
    validation: String,
    speed: String,
}

impl Progress {
    /// A bar if stderr is a terminal that no log is written to.
    pub(super) fn new() -> Self {
        let on_terminal = stderr().is_terminal() && !log::is_on();
        let (validation, speed) = (String::new(), String::new());
        Progress { bar: None, on_terminal, plan: None, best: None, validation, speed }
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
        self.best = None;
        (self.validation, self.speed) = (String::new(), String::new());
        if self.on_terminal {
            let bar = ProgressBar::with_draw_target(Some(plan.max_epochs), ProgressDrawTarget::stderr());
            let style =
                ProgressStyle::with_template("epoch {pos}/{len} {bar:12} {elapsed}, at most {eta} left; {wide_msg}");
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
            bar.set_message(format!("{loss}{step}{}{}", self.validation, self.speed));
        }
    }

    fn on_epoch(&mut self, record: &EpochRecord) {
        let metric = self.plan.as_ref().and_then(|plan| plan.metric.clone());
        let value = metric.as_ref().and_then(|metric| record.valid.as_ref()?.get(metric));
        if let (Some(metric), Some(value)) = (metric, value) {
            if record.best {
                self.best = Some((record.epoch, value));
            }
            let best = match self.best {
                Some((epoch, _)) if epoch == record.epoch => " (best)".to_string(),
                Some((epoch, best)) => format!(" (best {best:.4} at epoch {epoch})"),
                None => String::new(),
            };
            self.validation = format!(", {metric} {value:.4}{best}");
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
        }
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
