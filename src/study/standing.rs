//! Whether claims stood in the source before the runs that judge them began.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::eval::claims::{self, Claim};
use crate::eval::judge::{EXPLORATORY, Judgement};
use crate::experiment::claims_yaml;

/// The claims, by id, that some of the commits do not have, or judge otherwise, and those that were
/// exploratory from the start; none where git, the repository around `folder` or a commit is not at hand.
pub fn exploratory(folder: &Path, commits: &[String], own: &[&Claim]) -> Option<Vec<String>> {
    if commits.is_empty() {
        return None;
    }
    let mut found = BTreeSet::new();
    for commit in commits {
        let then = claims_at(folder, commit)?;
        let stood = |claim: &Claim| then.iter().any(|earlier| is_judged_alike(earlier, claim));
        let absent = own.iter().filter(|claim| claim.exploratory || !stood(claim));
        found.extend(absent.map(|claim| claim.id.clone()));
    }
    Some(found.into_iter().collect())
}

/// Whether two claims are one but for the words that tell people what it is.
fn is_judged_alike(a: &Claim, b: &Claim) -> bool {
    let silent =
        |claim: &Claim| Claim { text: String::new(), source: String::new(), ..claim.clone() };
    silent(a) == silent(b)
}

/// Notes the judgements of claims that did not stand when the runs began.
pub fn note_exploratory(
    judgements: &mut [Judgement],
    folder: &Path,
    commits: &[String],
) -> Result<()> {
    let all = claims::parse(claims_yaml())?;
    let own: Vec<&Claim> =
        all.iter().filter(|claim| judgements.iter().any(|j| j.claim == claim.id)).collect();
    let exploratory = exploratory(folder, commits, &own).unwrap_or_default();
    let is_told = |j: &Judgement| j.note.split("; ").any(|words| words == EXPLORATORY);
    for judgement in judgements.iter_mut().filter(|j| exploratory.contains(&j.claim) && !is_told(j))
    {
        note(judgement, EXPLORATORY);
    }
    Ok(())
}

/// Adds to what is to be kept in mind.
pub fn note(judgement: &mut Judgement, words: &str) {
    let separator = if judgement.note.is_empty() { "" } else { "; " };
    judgement.note.push_str(separator);
    judgement.note.push_str(words);
}

/// The claims of a commit of the repository around `folder`.
fn claims_at(folder: &Path, commit: &str) -> Option<Vec<Claim>> {
    // Anything but a commit's name could be an option of git's.
    if commit.is_empty() || !commit.chars().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let place = format!("{commit}:experiments/claims.yaml");
    let shown = Command::new("git").arg("-C").arg(folder).args(["show", &place]).output().ok()?;
    if !shown.status.success() {
        return None;
    }
    let yaml = String::from_utf8(shown.stdout).ok()?;
    // Claims of an earlier form are none of today's.
    Some(claims::parse(&yaml).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::eval::claims::Kind;
    use crate::eval::figure::Figure;
    use crate::eval::judge::judge_exact;

    fn git(folder: &Path, arguments: &[&str]) -> String {
        let who = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        let out = Command::new("git").arg("-C").arg(folder).args(who).args(arguments).output();
        let out = out.unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn a_claim_that_was_changed_after_the_runs_began_is_exploratory() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("experiments");
        fs::create_dir(&place).unwrap();
        git(folder.path(), &["init", "-q"]);
        let commit = |yaml: &str| {
            fs::write(place.join("claims.yaml"), yaml).unwrap();
            git(folder.path(), &["add", "-A"]);
            git(folder.path(), &["commit", "-q", "-m", "claims"]);
            git(folder.path(), &["rev-parse", "HEAD"])
        };
        let before = commit(&claims_yaml().replace("paper: 1.3e+8", "paper: 1.2e+8"));
        let after = commit(claims_yaml());
        let all = claims::parse(claims_yaml()).unwrap();
        let exact: Vec<&Claim> =
            all.iter().filter(|c| c.kind == Kind::Exact && c.figure == Figure::Anytime).collect();
        let of = |commits: &[String]| exploratory(folder.path(), commits, &exact);
        let reworded = commit(&claims_yaml().replace("about 1.3e8", "some 1.3e8"));
        assert_eq!(of(&[reworded]), Some(Vec::new()));
        assert_eq!(of(std::slice::from_ref(&after)), Some(Vec::new()));
        let changed =
            ["exact-densenet-classifiers-cost", "exact-resnet-classifiers-cost"].map(String::from);
        assert_eq!(of(&[after.clone(), before.clone()]), Some(changed.to_vec()));
        assert_eq!(of(&["unknown".to_owned()]), None);
        assert_eq!(of(&[]), None);
        let mut judged: Vec<Judgement> =
            exact.iter().map(|claim| judge_exact(claim, &[])).collect();
        note_exploratory(&mut judged, folder.path(), &[before]).unwrap();
        let notes: Vec<bool> = judged.iter().map(|j| j.note.ends_with("; exploratory")).collect();
        assert_eq!(notes, [false, true, true]);
        // One that was exploratory from the start is told so once, though it stood there.
        let beyond: Vec<&Claim> = all.iter().filter(|claim| claim.exploratory).collect();
        let mut ids: Vec<String> = beyond.iter().map(|claim| claim.id.clone()).collect();
        ids.sort_unstable();
        assert_eq!(exploratory(folder.path(), std::slice::from_ref(&after), &beyond), Some(ids));
        let of_start = Judgement { note: "exploratory; one seed".to_owned(), ..judged[0].clone() };
        let mut judged = [Judgement { claim: beyond[0].id.clone(), ..of_start }];
        note_exploratory(&mut judged, folder.path(), &[after]).unwrap();
        assert_eq!(judged[0].note, "exploratory; one seed");
    }
}
