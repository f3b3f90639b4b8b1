//! The paper's figures that are made again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::named;

/// Which figure an experiment feeds; it is also the name of the command that runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Accuracy against the budget of each image (Fig. 5).
    Anytime,
    /// Accuracy against the mean budget of a batch (Fig. 7).
    BudgetedBatch,
    /// Accuracy of a single intermediate classifier by depth (Fig. 3, left).
    FigIntermediate,
    /// Accuracy of the final classifier by the depth of the intermediate one (Fig. 3, right).
    FigFinalDegradation,
    /// MSDNet without its parts (Fig. 10).
    Ablation,
}

named! { Figure, "figure":
    Anytime = "anytime", BudgetedBatch = "budgeted-batch", FigIntermediate = "fig-intermediate",
    FigFinalDegradation = "fig-final-degradation", Ablation = "ablation",
}

impl Figure {
    /// Whether its networks have one intermediate classifier each, and one has none.
    pub fn is_positional(self) -> bool {
        matches!(self, Figure::FigIntermediate | Figure::FigFinalDegradation)
    }
}
