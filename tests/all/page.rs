//! The explorer's page, as a browser shows it.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use repro::eval::policy::Policy;

use super::session::{rows, succeed, trained, words};

/// A browser that is installed.
fn browser() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        let output = Command::new(name).arg("--version").output();
        output.is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        eprintln!("skipped: no Chromium is installed (apt-get install chromium)");
    }
    found
}

/// The page as a browser has it after its script ran.
fn rendered(browser: &str, page: &Path, place: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}#{place}", page.display()))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The numbers behind all elements whose tag holds `mark`, in the page's order.
fn values(page: &str, mark: &str) -> Vec<f64> {
    let tags = page.split('<').filter(|tag| tag.contains(mark));
    let value = |tag: &str| tag.split("data-value=\"").nth(1)?.split('"').next()?.parse().ok();
    tags.filter_map(value).collect()
}

#[test]
fn the_page_shows_the_numbers_of_budgeted_batch_in_a_real_browser() {
    let Some(browser) = browser() else { return };
    let folder = trained();
    succeed(folder.path(), &["explore", "msdnet", "--threads", "1"]);
    let page = folder.path().join("explore.html");
    assert!(std::fs::metadata(&page).unwrap().len() < 5_000_000);
    let all = Policy::names().replace(' ', "");
    let redrawn = ["budgeted-batch", "tiny.yaml", "--threads", "1", "-q", "--policy", &all];
    succeed(folder.path(), &redrawn);
    let figure = rows(&folder.path().join("results/tiny/figure.csv"));
    let taken = rows(&folder.path().join("results/tiny/exits_taken.csv"));
    let shown = [
        ("max-softmax", 3),
        ("margin", 20),
        ("entropy", 40),
        ("patience", 1),
        ("target-accuracy", 9),
        ("coordinate-ascent", 9),
        ("dynamic-programme", 5),
        ("oracle", 1),
    ];
    for (policy, place) in shown {
        let dom = rendered(browser, &page, &format!("policy={policy}&place={place}"));
        let ratio = values(&dom, "id=\"ratio\"")[0];
        let is_here = |row: &&HashMap<String, String>| {
            row["policy"] == policy && row["ratio"].parse::<f64>().is_ok_and(|r| r == ratio)
        };
        let row = figure.iter().find(is_here).unwrap();
        let number = |key: &str| row[key].parse::<f64>().unwrap();
        assert_eq!(values(&dom, "id=\"accuracy\""), [number("accuracy")], "{policy}");
        assert_eq!(values(&dom, "id=\"multiply-adds\""), [number("multiply_adds")], "{policy}");
        let expected = taken.iter().filter(is_here).map(|row| row["images"].parse().unwrap());
        assert_eq!(values(&dom, "class=\"taken\""), expected.collect::<Vec<f64>>(), "{policy}");
        let right: f64 = values(&dom, "class=\"share\"").iter().sum();
        assert_eq!(right, (number("accuracy") * number("images")).round(), "{policy}");
    }
}

#[test]
fn the_page_shows_combined_exits_as_the_figure_has_them() {
    let Some(browser) = browser() else { return };
    let folder = trained();
    let at = folder.path();
    succeed(at, &["explore", "msdnet", "--threads", "1"]);
    let asked = "budgeted-batch tiny.yaml --policy max-softmax --combine single,mean,product -q";
    succeed(at, &words(asked));
    let figure = rows(&at.join("results/tiny/figure.csv"));
    for combine in ["mean", "product"] {
        let dom =
            rendered(browser, &at.join("explore.html"), &format!("combine={combine}&place=9"));
        let ratio = values(&dom, "id=\"ratio\"")[0];
        let is_here = |row: &&HashMap<String, String>| {
            row["combine"] == combine && row["ratio"].parse::<f64>().is_ok_and(|r| r == ratio)
        };
        let row = figure.iter().find(is_here).unwrap();
        for (mark, column) in [("accuracy", "accuracy"), ("multiply-adds", "multiply_adds")] {
            let expected = row[column].parse::<f64>().unwrap();
            assert_eq!(values(&dom, &format!("id=\"{mark}\"")), [expected], "{combine}");
        }
    }
}
