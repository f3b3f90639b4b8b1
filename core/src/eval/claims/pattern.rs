//! Patterns of curves' labels.

use serde::Deserialize;

/// Selects curves by their labels: alternatives separated by `|`, each a beginning of the label in
/// which `*` stands for anything, or a whole label where it ends in `$`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Curves(pub String);

impl Curves {
    /// Whether a label is selected.
    pub fn matches(&self, label: &str) -> bool {
        self.0.split('|').any(|pattern| begins(label, pattern.trim()))
    }
}

fn begins(label: &str, pattern: &str) -> bool {
    if let Some(whole) = pattern.strip_suffix('$') {
        return label == whole;
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = label.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_beginning_with_gaps_and_alternatives() {
        let matches = |pattern: &str, label| Curves(pattern.to_owned()).matches(label);
        assert!(matches("MSDNet", "MSDNet with dynamic evaluation"));
        assert!(!matches("Net", "MSDNet"));
        assert!(matches("MSDNet$", "MSDNet") && !matches("MSDNet$", "MSDNet without"));
        assert!(matches("Ensemble*ResNet*shallow", "Ensemble of ResNets (all shallow)"));
        assert!(!matches("Ensemble*ResNet*shallow", "Ensemble of DenseNets (all shallow)"));
        assert!(matches("ResNet^MC | ResNet (", "ResNet (6 classifiers)"));
    }
}
