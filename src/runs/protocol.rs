//! What a parent process and its workers say to each other: one JSON object a line.

use serde::{Deserialize, Serialize};

use crate::experiment::{LogRow, Plan, Run};

/// A run to be trained, with the name that people know its network by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The network's name.
    pub name: String,
    /// The run.
    pub run: Run,
}

impl Task {
    /// Those of [`Plan::named_runs`].
    pub fn all(plan: &Plan) -> Vec<Task> {
        let task = |(name, run): (&str, &Run)| Task { name: name.to_string(), run: run.clone() };
        plan.named_runs().map(task).collect()
    }

    /// Name and seed.
    pub fn label(&self) -> String {
        format!("{}, seed {}", self.name, self.run.seed)
    }
}

/// What a parent asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "lowercase")]
pub enum Order {
    /// Train this and predict with it.
    Train(Box<Task>),
    /// Save and end.
    Stop,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "lowercase")]
pub enum Report {
    /// Something happened in the training.
    Event {
        /// What.
        event: Event,
    },
    /// The order is carried out, or failed.
    Ended {
        /// How it ended.
        end: End,
    },
}

/// How an order ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Trained and predicted.
    Finished,
    /// Saved, to go on later.
    Interrupted,
    /// Another process is training it.
    Busy,
    /// Why it failed.
    Failed(String),
}

/// Something that happened in a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// It goes on from a checkpoint.
    Resumed {
        /// Epochs done, with fractions.
        done: f64,
    },
    /// A step is done.
    Step {
        /// Epochs done, with fractions.
        done: f64,
        /// Mean loss of this epoch so far.
        loss: f64,
    },
    /// An epoch is done.
    Epoch {
        /// Its row of the log.
        row: LogRow,
        /// Training images a second.
        images_per_second: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_with_a_reason_comes_back_as_it_was_said() {
        let said = Report::Ended { end: End::Failed("the loss is NaN\nat epoch 1".to_string()) };
        let line = serde_json::to_string(&said).unwrap();
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(serde_json::from_str::<Report>(&line).unwrap(), said);
        assert_eq!(
            serde_json::to_string(&Report::Ended { end: End::Busy }).unwrap(),
            r#"{"report":"ended","end":"busy"}"#
        );
    }
}
