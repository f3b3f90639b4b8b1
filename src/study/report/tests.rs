use std::fs;

use super::*;
use crate::experiment::{BUILT_IN, Experiment, FORMAT, Run};

const EXPERIMENT: &str = "figure: fig-final-degradation\ndataset: cifar100\nvalidation: 5000\nseeds: [10, 11, 12]\ntraining: { epochs: 10, batch_size: 64, learning_rate: 0.1, schedule: { cosine: {} } }\nnetworks:\n- { name: ResNet, resnet: { blocks_per_stage: 3, channels: 16 }, positions: [1, 3, 5, 7] }\n";

/// A results folder with one figure, whose claims are `rows`.
fn results(rows: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let figure = folder.path().join("results/fig-final-degradation-cifar100-cpu");
    fs::create_dir_all(&figure).unwrap();
    let write = |name: &str, text: &str| fs::write(figure.join(name), text).unwrap();
    write("experiment.yaml", EXPERIMENT);
    write("claims.csv", &format!("{}\n{rows}", table(&[]).names().join(",")));
    write(
        "figure.csv",
        "curve,network,seed,position,relative_depth,accuracy,error,reference_accuracy,relative_accuracy\nResNet,ResNet at 1,10,1,0.11,0.5,0.5,0.53,0.94\n",
    );
    write(
        "costs.csv",
        "network,exit,multiply_adds,multiply_adds_single,multiply_adds_eager,parameters\nResNet without,1,40813184,40813184,40813184,275572\nResNet at 1,1,8000000,8000000,8000000,10000\nResNet at 1,2,40820000,40820000,40820000,280000\nResNet at 3,1,9000000,9000000,9000000,10000\nResNet at 3,2,40830000,40830000,40830000,280000\n",
    );
    write(
        "positions.csv",
        "curve,relative_depth,reference,loss,low,high,seeds\nResNet,0.11,no intermediate classifier,0.05,0.03,0.07,3\n",
    );
    write(
        "learning.csv",
        "network,seed,epoch,learning_rate,loss,exit,accuracy\nResNet without,10,1,0.1,4.0,1,0.1\nResNet without,10,2,0.05,3.0,1,0.2\n",
    );
    let trained = ["without", "at 1", "at 3", "at 5", "at 7"].map(|at| format!("ResNet {at},10\n"));
    write("exits.csv", &format!("network,seed\n{}", trained.concat()));
    let run = serde_json::json!({
        "program": "repro", "format": FORMAT, "libtorch": "2", "ended": "2026-01-01T00:00:00Z",
        "processor": [{"name": "some processor"}], "threads": [1], "device": ["cpu"],
        "training_seconds": 7200.0, "runs": ["a", "b"], "seconds_of_runs": [3600.0, 3600.0],
        "missing": ["resnet-20-2exits-c16-cifar100-seed12-669aeb0fb4116fa5"],
        "runs_by_device": [{"device": "cpu", "processor": "some processor", "runs": 2, "seeds": [10, 11], "training_seconds": 5400.0}], "commit": ["0123456789abcdef"], "dirty": true, "training_data": "0123456789abcdef", "test_data": "fedcba9876543210",
    });
    write("run.json", &run.to_string());
    folder
}

/// Copies a figure's folder to a new one, with words replaced in all of its files.
fn copy_with([from, to]: [&Path; 2], words: &[(&str, &str)]) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let text = fs::read_to_string(file.path()).unwrap();
        let text = words.iter().fold(text, |text, (old, new)| text.replace(old, new));
        fs::write(to.join(file.file_name()), text).unwrap();
    }
}

const LOSES: &str = "final-resnet-loses-early,holds,as-paper,0.05,0.03,0.07,ln,0.033,0.0661,0.76,0.45,1.06,3,5,1,ResNet\n";
const ABSENT: &str =
    "final-resnet-keeps-late,not-measurable,,,,,ln,0.033,-0.003,,,,0,,0,ResNet: no position late\n";

#[test]
fn the_page_has_scope_claims_pictures_and_what_made_them_and_is_the_same_twice() {
    let folder = results(&[LOSES, ABSENT].concat());
    let out = folder.path().join("results");
    let written = write_report(&out).unwrap();
    assert_eq!(written, [out.join("README.md")]);
    let page = fs::read_to_string(&written[0]).unwrap();
    // 10 epochs of 45,000 images, of 300 of 45,000.
    for part in [
        "| 10 | 3.3 % | 32 % | 3 | 1 | 0 | 0 | 0 | 0 |",
        "0.050 [0.030, 0.070] ln | 0.033 ln | 0.76 [0.45, 1.06] may be the paper's | **holds** | 3 |  |",
        "| 130,000,000 | 139,669,632 | **fails** |",
        "| the farthest of 5 numbers: 2,967,000,000 | 2,967,421,456 | **holds** |",
        "Not judged yet, Fig. 5: anytime-above-resnet-classifiers,",
        "**Not trained yet: ResNet at 1 (1 run).**",
        "| ResNet | none | 53.0 % | 1 |\n| ResNet | 0.11 | 50.0 % | 1 |",
        "Not measurable: final-resnet-keeps-late (ResNet: no position late).",
        "| ResNet, no intermediate classifier | 40.81 M | 0.28 M | Fig. 3 |\n\
         | ResNet, one intermediate classifier | 40.82 to 40.83 M | 0.28 M | Fig. 3 |",
        "## Network or classifier?",
        "MSDNet's classifiers, is not trained yet",
        "| 2.0 | 2 runs begun on cpu with some processor (1.5 h), seeds 10, 11; 1 thread a training; fp32 |",
        "| ResNet | 0.11 | no intermediate classifier | 0.050 [0.030, 0.070] | 3 |",
        "Not measurable here (claims.csv says why): final-resnet-keeps-late.",
        "Seeds 10, 11, 12: 2 runs. Not trained yet: ResNet at 1 (1 run). |",
        "Trained on 45000 training images; 5000 others are held out",
        "learning.csv has 1 training of 2 epochs. |",
        "| 2.0 hours of one process for 2 trainings, each counted once. |",
        "0 of 1 effects have fewer than three seeds",
        "commit 0123456789 with uncommitted changes, results of format 3, LibTorch 2. |",
        "cifar100, licence: none stated by its authors; SHA-256 of the training data 0123456789ab..., of the test data fedcba987654...",
        "epochs 10 (the paper: 300)",
        "positions 4, at 0.11 to 0.78 of the depth (the paper: 6, at ",
        "cifar100: training images 45000, 5000 others held out; 10 epochs,",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    for picture in ["claims.svg", "claims.png", "learning.svg"] {
        assert!(out.join(picture).is_file(), "{picture}");
    }
    // One length of training is no trend.
    assert!(!out.join("trend.svg").exists());
    let exact = fs::read_to_string(out.join("exact/claims.csv")).unwrap();
    assert!(exact.contains("exact-port-parameters,holds"), "{exact}");
    let forest = fs::read(out.join("claims.svg")).unwrap();
    write_report(&out).unwrap();
    assert_eq!(fs::read_to_string(&written[0]).unwrap(), page);
    assert_eq!(fs::read(out.join("claims.svg")).unwrap(), forest);
}

/// An anytime figure called `name` under `out`: two networks that are joined, trained for so many epochs.
fn anytime(out: &Path, name: &str, beside: &str, epochs: u32, rows: &str) {
    let figure = out.join(name);
    fs::create_dir_all(&figure).unwrap();
    let write = |name: &str, text: &str| fs::write(figure.join(name), text).unwrap();
    let network = |name: &str, width| {
        format!("- {{ name: {name}, mobilenet: {{ width: {width}, stem: cifar }} }}\n")
    };
    write(
        "experiment.yaml",
        &format!(
            "figure: anytime\n{beside}dataset: cifar100\nvalidation: 5000\nseeds: [10, 11]\n\
             training: {{ epochs: {epochs}, batch_size: 64, learning_rate: 0.1 }}\nnetworks:\n{}{}\
             - {{ name: Line, joined: [A, B] }}\n",
            network("A", 0.25),
            network("B", 0.5)
        ),
    );
    write("claims.csv", &format!("{}\n{rows}", table(&[]).names().join(",")));
    write(
        "figure.csv",
        "curve,network,seed,exit,multiply_adds,accuracy,combine\nLine,A,10,1,5,0.2,single\nLine,A,11,1,5,0.4,single\nLine,B,10,1,9,0.6,single\n",
    );
    write(
        "costs.csv",
        "network,exit,multiply_adds,multiply_adds_single,multiply_adds_eager,parameters\nA,1,5,5,5,1\nB,1,9,9,9,2\n",
    );
    let run = serde_json::json!({
        "program": "repro", "format": FORMAT, "libtorch": "2", "ended": "2026-01-01T00:00:00Z",
        "training_seconds": 5400.0, "runs": ["b", "a"], "seconds_of_runs": [3600.0, 1800.0],
        "commit": [], "device": [], "processor": [], "threads": [],
        "training_data": "0123456789abcdef", "test_data": "fedcba9876543210",
    });
    write("run.json", &run.to_string());
    write("exits.csv", "network\nA\nB\n");
    write("learning.csv", "network,seed,epoch,learning_rate,loss,exit,accuracy\n");
}

#[test]
fn the_highest_point_is_of_the_papers_rule_and_not_of_one_that_sees_the_labels() {
    let folder = results(LOSES);
    let out = folder.path().join("results");
    anytime(&out, "anytime-two", "", 10, "");
    let csv = out.join("anytime-two/figure.csv");
    let text = fs::read_to_string(&csv).unwrap();
    let mut lines: Vec<String> = text.lines().map(|line| format!("{line},none")).collect();
    lines[0] = lines[0].replace(",none", ",policy");
    lines.push("Line,A,10,1,5,0.9,single,oracle".to_string());
    fs::write(&csv, lines.join("\n") + "\n").unwrap();
    write_report(&out).unwrap();
    let page = fs::read_to_string(out.join("README.md")).unwrap();
    assert!(page.contains("| Line: A | 30.0 % | 2 |"), "{page}");
}

#[test]
fn networks_of_a_joined_line_and_trainings_of_one_name_are_kept_apart() {
    let folder = results(LOSES);
    let out = folder.path().join("results");
    anytime(&out, "anytime-two", "", 10, "");
    write_report(&out).unwrap();
    let page = fs::read_to_string(out.join("README.md")).unwrap();
    for part in [
        "| Line: A | 30.0 % | 2 |",
        "| Line: B | 60.0 % | 1 |",
        "| unknown | none measured |",
        // `b` is one training that two figures have, `a` was trained twice.
        "2.5 hours of one process, 3 trainings,",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
}

#[test]
fn results_that_do_not_count_runs_by_device_name_device_and_processor() {
    let folder = results(LOSES);
    let out = folder.path().join("results");
    let run = out.join("fig-final-degradation-cifar100-cpu/run.json");
    let text = fs::read_to_string(&run).unwrap().replace("runs_by_device", "other");
    fs::write(&run, text).unwrap();
    let page = fs::read_to_string(&write_report(&out).unwrap()[0]).unwrap();
    assert!(page.contains("| cpu; some processor; 1 thread a training; fp32 |"), "{page}");
}

#[test]
fn published_weights_are_counted_where_they_are_the_figures_own() {
    let folder = results(LOSES);
    let out = folder.path().join("results");
    let page = || fs::read_to_string(&write_report(&out).unwrap()[0]).unwrap();
    let row = "| Weights: are the trained networks published? |";
    assert!(page().contains(&format!("{row} No. |")));
    for (run, last) in [("a", "3.0"), ("b", "2.9")] {
        let run = out.join("runs").join(run);
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("train.csv"), format!("epoch,loss\n1,4.0\n2,{last}\n")).unwrap();
        fs::write(run.join("checkpoint.safetensors"), "").unwrap();
    }
    assert!(page().contains(&format!("{row} runs/ has 1 of 2 runs. |")));
    let missing = out.join("runs/resnet-20-2exits-c16-cifar100-seed12-669aeb0fb4116fa5");
    fs::rename(out.join("runs/a"), missing).unwrap();
    let page = page();
    let told = "**Trained and in runs/, but not yet in the figure: ResNet at 1 (1 run).**";
    assert!(page.contains(told) && !page.contains("Not trained yet:"), "{page}");
    let told = "Runs of these figures not trained yet: 0 of 3; 1 more is trained but not yet in the figures (";
    assert!(findings(&out).unwrap().contains(told), "{}", findings(&out).unwrap());
}

#[test]
fn the_trend_has_every_claim_that_was_measured_at_two_lengths() {
    let keeps = ABSENT.replace("not-measurable,,,,,", "holds,,0.01,-0.01,0.03,");
    let folder = results(&[LOSES, &keeps].concat());
    let out = folder.path().join("results");
    let [main, short] =
        ["", "-short"].map(|apart| out.join(format!("fig-final-degradation-cifar100{apart}-cpu")));
    copy_with(
        [&main, &short],
        &[
            ("dataset:", "beside: fig-final-degradation-cifar100-cpu\ndataset:"),
            ("epochs: 10", "epochs: 2"),
        ],
    );
    write_report(&out).unwrap();
    let trend = fs::read_to_string(out.join("trend.svg")).unwrap();
    for claim in ["final-resnet-loses-early", "final-resnet-keeps-late"] {
        assert_eq!(trend.matches(claim).count(), 1, "{claim}\n{trend}");
    }
    // The paper's effect is below the margin of .033.
    let figures = load::figures(&out).unwrap();
    let both: Vec<&load::Shown> = figures.iter().collect();
    let keeps = pictures::trend_of(&figures[0].claims[1], &both).unwrap();
    assert_eq!(keeps.points[0], (450_000.0, 0.01 / 0.066, 0.02 / 0.066, 0));
    assert_eq!((keeps.points[1].0, keeps.paper), (90_000.0, Some(-0.003 / 0.066)));
}

#[test]
fn the_papers_data_decide_before_a_longer_training_on_others() {
    let folder = results(LOSES);
    let out = folder.path().join("results");
    let [main, other] = ["cifar100-cpu", "cifar10-long"]
        .map(|data| out.join(format!("fig-final-degradation-{data}")));
    copy_with(
        [&main, &other],
        &[("dataset: cifar100", "dataset: cifar10"), ("epochs: 10", "epochs: 300")],
    );
    let is_decided_by = |figure: &str| {
        let judged = claims::Judged::of(&load::figures(&out).unwrap(), &[]).unwrap();
        judged.is_decided_by("final-resnet-loses-early", figure)
    };
    assert!(is_decided_by("fig-final-degradation-cifar100-cpu"));
    fs::remove_dir_all(&main).unwrap();
    assert!(is_decided_by("fig-final-degradation-cifar10-long"));
}

#[test]
fn a_figure_by_exit_has_a_trend_and_the_reason_for_what_fails_in_it_alone() {
    const FAILS: &str = "anytime-ensemble-competes-at-lowest,fails,,0.05,0.03,0.07,accuracy,0.02,0.011,,,,3,7,1,MSDNet\n";
    let folder = tempfile::tempdir().unwrap();
    let page = || fs::read_to_string(&write_report(folder.path()).unwrap()[0]).unwrap();
    anytime(folder.path(), "anytime-other", "", 10, FAILS);
    assert!(!page().contains("Likely reason"), "{}", page());
    anytime(folder.path(), "anytime-cifar100-cpu", "", 10, FAILS);
    fs::remove_dir_all(folder.path().join("anytime-other")).unwrap();
    // Other runs than the shipped experiment's, of which the reason is told.
    assert!(!page().contains("Likely reason"), "{}", page());
    let (_, shipped) = BUILT_IN.iter().find(|(name, _)| *name == "anytime-cifar100-cpu").unwrap();
    fs::write(folder.path().join("anytime-cifar100-cpu/experiment.yaml"), shipped).unwrap();
    assert!(page().contains("Likely reason: our MSDNet's first exit"), "{}", page());
    assert!(!folder.path().join("trend.svg").exists());
    let beside = "beside: anytime-cifar100-cpu\n";
    anytime(folder.path(), "anytime-cifar100-long-cpu", beside, 30, FAILS);
    page();
    let trend = fs::read_to_string(folder.path().join("trend.svg")).unwrap();
    assert_eq!(trend.matches("anytime-ensemble-competes-at-lowest").count(), 1, "{trend}");
}

#[test]
fn networks_that_the_experiment_has_gained_since_are_not_trained_yet() {
    let folder = results(LOSES);
    let name = "fig-final-degradation-cifar100-cpu";
    let (_, yaml) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name).unwrap();
    let mut earlier: Experiment = serde_yaml::from_str(yaml).unwrap();
    let gained = earlier.networks.pop().unwrap().name;
    let out = folder.path().join("results");
    let write = |file: &str, text: &str| fs::write(out.join(name).join(file), text).unwrap();
    write("experiment.yaml", &serde_yaml::to_string(&earlier).unwrap());
    let run = fs::read_to_string(out.join(name).join("run.json")).unwrap();
    let mut run: serde_json::Value = serde_json::from_str(&run).unwrap();
    run["missing"] = serde_json::json!([]);
    let plan = load::plan(&earlier).unwrap();
    let runs = plan.networks.iter().flat_map(|network| &network.runs);
    run["runs"] = runs.map(Run::folder_name).collect();
    run["seconds_of_runs"] = run["runs"].as_array().unwrap().iter().map(|_| 60.0).collect();
    write("run.json", &run.to_string());
    let page = fs::read_to_string(&write_report(&out).unwrap()[0]).unwrap();
    assert!(page.contains(&format!("**Not trained yet: {gained} at 1; {gained} at 3;")), "{page}");
}

#[test]
fn the_scale_is_that_of_the_networks_that_are_trained() {
    let folder = results(LOSES);
    let out = folder.path().join("results");
    let exits = out.join("fig-final-degradation-cifar100-cpu/exits.csv");
    let page = |trained: &str| {
        fs::write(&exits, format!("network,seed\nResNet without,10\n{trained}")).unwrap();
        fs::read_to_string(&write_report(&out).unwrap()[0]).unwrap()
    };
    let row = "| MSDNets, ResNets, DenseNets: full cost | 78.9 to 125.5 M multiply-adds | 40.6 M multiply-adds |";
    let (one, two) = (page(""), page("ResNet at 3,10\n"));
    assert!(one.contains(row) && one.contains("of the depth | none |"), "{one}");
    assert!(!one.contains("ResNet, one intermediate classifier |"), "{one}");
    assert!(two.contains("of the depth | 1, at 0.33 to 0.33 of the depth |"), "{two}");
    assert!(two.contains("ResNet, one intermediate classifier | 40.83 M |"), "{two}");
}

#[test]
fn a_figure_beside_another_judges_nothing_and_the_control_has_a_table() {
    let folder = results(LOSES);
    let out = folder.path().join("results");
    let [main, control] = ["", "-convolutional"]
        .map(|apart| out.join(format!("fig-final-degradation-cifar100{apart}-cpu")));
    // More epochs and more seeds than those of the figure that judges.
    copy_with(
        [&main, &control],
        &[
            ("dataset:", "beside: fig-final-degradation-cifar100-cpu\ndataset:"),
            ("channels: 16 }", "channels: 16, classifier: convolutional }"),
            ("epochs: 10", "epochs: 30"),
            (",holds,as-paper,0.05,", ",,,0.02,"),
            ("classifier,0.05,0.03,0.07", "classifier,0.02,0.01,0.03"),
        ],
    );
    let page = fs::read_to_string(&write_report(&out).unwrap()[0]).unwrap();
    for part in [
        "| 30 | 10 % | 44 % | 3 | - | - | - | - | - |",
        "0.050 [0.030, 0.070] ln | 0.033 ln |",
        "## Network or classifier?",
        "| ResNet | 0.11 | no intermediate classifier | 0.050 [0.030, 0.070], 3 | 0.020 [0.010, 0.030], 3 | - |",
        "stands beside [fig-final-degradation-cifar100-cpu](#fig-final-degradation-cifar100-cpu) and judges no claim. Effects",
        "| the baselines' intermediate classifiers | not said; taken as pooled, linear | convolutional |",
        "They share 1 training, without an intermediate classifier. Where the other trainings differ,",
        "| ResNet, one intermediate classifier | 40.82 to 40.83 M |",
        "| ResNet, one convolutional intermediate classifier | 40.82 to 40.83 M |",
        "In the control the baselines have MSDNet's",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let findings = findings(&out).unwrap();
    let row = "| Fig. 3, right | ResNet | 0.11 | no intermediate classifier | 0.050 [0.030, 0.070], 3 | 0.020 [0.010, 0.030], 3 | - |";
    assert!(findings.contains(row), "{findings}");
}

#[test]
fn a_figure_beside_one_that_is_gone_says_so_and_a_control_of_nothing_is_none() {
    let folder = results(LOSES);
    let out = folder.path().join("results");
    let [main, control] = ["", "-convolutional"]
        .map(|apart| out.join(format!("fig-final-degradation-cifar100{apart}-cpu")));
    let beside = "beside: fig-final-degradation-cifar100-cpu\ndataset:";
    let convolutional = "channels: 16, classifier: convolutional }";
    copy_with([&main, &control], &[("dataset:", beside), ("channels: 16 }", convolutional)]);
    fs::remove_dir_all(&main).unwrap();
    let columns = table(&[]).names().join(",");
    fs::write(control.join("claims.csv"), format!("{columns}\n{ABSENT}")).unwrap();
    let page = fs::read_to_string(&write_report(&out).unwrap()[0]).unwrap();
    for part in [
        "beside fig-final-degradation-cifar100-cpu, which is not among these results and judges no claim. No claim's effect",
        "MSDNet's classifiers, is not trained yet",
        "| none measured |",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
}

#[test]
fn a_figure_whose_claims_a_longer_one_decides_has_its_trend_and_no_share_in_the_scope() {
    let folder = results(LOSES);
    let out = folder.path().join("results");
    let of = |apart: &str| out.join(format!("fig-final-degradation-cifar100-{apart}"));
    let beside = "beside: fig-final-degradation-cifar100-cpu\ndataset:";
    let epochs = |to: &'static str| ("epochs: 10,", to);
    copy_with([&of("cpu"), &of("short-cpu")], &[("dataset:", beside), epochs("epochs: 2,")]);
    copy_with([&of("cpu"), &of("paper")], &[epochs("epochs: 300,")]);
    let page = fs::read_to_string(&write_report(&out).unwrap()[0]).unwrap();
    assert!(page.contains("| 300 | 100 % | 32 % | 3 | 1 |"), "{page}");
    assert!(page.contains("| 10 | 3.3 % | 32 % | 3 | 0 |"), "{page}");
    assert!(page.contains(
        "[fig-final-degradation-cifar100-cpu](#fig-final-degradation-cifar100-cpu) and judges"
    ));
    let trend = fs::read_to_string(out.join("trend.svg")).unwrap();
    assert_eq!(trend.matches("final-resnet-loses-early").count(), 1, "{trend}");
    let text = findings(&out).unwrap();
    assert!(text.contains("Runs that are judged: cifar100, 300 epochs. Their"), "{text}");
    assert!(text.contains("100 % and 32 % (Fig. 3, right)."), "{text}");
}

#[test]
fn the_readme_beside_the_folder_gets_the_findings_between_its_markers_alone() {
    let folder = results(LOSES);
    let readme = folder.path().join("README.md");
    fs::write(&readme, "# Mine\n<!-- findings -->\nstale\n<!-- /findings -->\nrest\n").unwrap();
    let out = folder.path().join("results");
    assert_eq!(write_report(&out).unwrap().len(), 2);
    let text = fs::read_to_string(&readme).unwrap();
    assert!(text.starts_with("# Mine\n<!-- findings -->\nOf ") && text.ends_with("-->\nrest\n"));
    assert!(
        text.contains(
            "1 holds, 0 fail. Not measured yet: Fig. 3, left; 8 of 9 effects of Fig. 3, right; Fig. 5"
        ) && text.contains("Runs of these figures not trained yet: 1 of 3 (")
            && text.contains("of the largest MSDNet, ResNet or DenseNet: 3.3 % and 32 % (Fig. 3, right)."),
        "{text}"
    );
    assert!(text.contains("| 0.066 ln | 0.050 [0.030, 0.070] ln | holds |"), "{text}");
    assert!(text.contains(&findings(&out).unwrap()) && !text.contains("stale"));
}

#[test]
fn a_gain_where_no_harm_was_claimed_and_a_side_of_one_seed_are_told() {
    const KEEPS: &str =
        "final-msdnet-keeps,holds,,-0.03,-0.05,-0.01,ln,0.033,0.005,,,,3,3,1,MSDNet\n";
    const HARMLESS: &str =
        "final-densenet-keeps,holds,,0.01,-0.01,0.03,ln,0.033,0.013,,,,3,3,1,DenseNet\n";
    let text = |rows: &[&str]| {
        let folder = results(&rows.concat());
        let out = folder.path().join("results");
        write_report(&out).unwrap();
        findings(&out).unwrap()
    };
    let of_three = text(&[KEEPS, HARMLESS]);
    assert!(of_three.contains("ln | holds (a gain) |"), "{of_three}");
    let others = "No harm or no difference beyond the margin: `final-densenet-keeps` (0.010 [-0.010, 0.030] ln).";
    assert!(of_three.contains(others), "{of_three}");
    assert!(!of_three.contains("too narrow"), "{of_three}");
    let of_one = LOSES.replace(",holds,as-paper,", ",,,").replace(",3,5,1,", ",1,,1,");
    assert!(text(&[&of_one]).contains("the interval is too narrow"));
}

#[test]
fn an_empty_folder_has_the_exact_claims_and_says_that_no_figure_is_in() {
    let folder = tempfile::tempdir().unwrap();
    let page = fs::read_to_string(&write_report(folder.path()).unwrap()[0]).unwrap();
    assert!(page.contains("No figure is in yet.") && page.contains("505, 1340"), "{page}");
    assert!(!folder.path().join("claims.svg").exists());
}

#[test]
fn a_claim_that_cannot_be_read_is_refused_before_anything_is_written() {
    for (right, wrong, told) in [
        ("holds", "hodls", "line 2, column verdict: hodls"),
        ("0.05,", "NaN,", "line 2, column value: NaN"),
        ("final-resnet-loses-early", "final", "line 2, column claim: final, no claim"),
        (
            "final-resnet-loses-early",
            "intermediate-resnet-early-is-bad",
            "line 2, column claim: intermediate-resnet-early-is-bad, which belongs to fig-intermediate",
        ),
        ("final-resnet-loses-early", "exact-imagenet-costs", "which belongs to the counts"),
        ("as-paper", "as-papr", "line 2, column magnitude: as-papr"),
        ("ln,", "points,", "line 2, column unit: points"),
        ("ln,", ",", "line 2, column unit: an effect has a unit"),
        ("0.05,", ",", "line 2, column value: an effect that is measured has one"),
        ("3,5,1,ResNet", "-3,5,1,ResNet", "line 2, column seeds: -3"),
        ("3,5,1,ResNet", "2.5,5,1,ResNet", "line 2, column seeds: 2.5"),
        ("holds,as-paper", ",", "final-resnet-loses-early has 3 seeds and no verdict"),
        ("1,ResNet\n", "1,ResNet\nfinal-resnet-keeps-late,holds", "claims.csv is cut"),
        (",1,ResNet\n", ",1\n", "line 2 has 15 cells, and the header 16"),
        ("\n", "\nfinal-resnet-loses-early,,,0,0,0,ln,1,,,,,1,,1,\n", "a second time"),
    ] {
        let folder = results(&LOSES.replacen(right, wrong, 1));
        let out = folder.path().join("results");
        let error = format!("{:#}", write_report(&out).unwrap_err());
        assert!(error.contains(told) && error.contains("makes these results again"), "{error}");
        assert!(!out.join("README.md").exists() && !out.join("claims.svg").exists());
    }
}

#[test]
fn results_of_another_version_are_refused_with_the_command_that_writes_them_anew() {
    let folder = results(LOSES);
    let out = folder.path().join("results");
    let figure = out.join("fig-final-degradation-cifar100-cpu");
    let again = format!(
        "`repro fig-final-degradation fig-final-degradation-cifar100-cpu --out {}` makes these results again",
        out.display()
    );
    let fails = |expected: &str| {
        let error = format!("{:#}", write_report(&out).unwrap_err());
        assert!(error.contains(expected) && error.contains(&again), "{error}");
    };
    fs::write(
        figure.join("claims.csv"),
        "claim,holds,measured,expected,seeds,note\na,yes,m,e,3,n\n",
    )
    .unwrap();
    fails("claims.csv: the columns are those of another version");
    for (run, expected) in [("{\"format\": 1}", "of format 1"), ("{}", "of format unknown")] {
        fs::write(figure.join("run.json"), run).unwrap();
        fails(expected);
    }
}

#[test]
fn a_damaged_file_is_refused_in_one_line_with_the_way_out_and_what_was_drawn_stays() {
    let folder = results(LOSES);
    let out = folder.path().join("results");
    let figure = out.join("fig-final-degradation-cifar100-cpu");
    write_report(&out).unwrap();
    let drawn = ["README.md", "claims.svg", "claims.png", "learning.svg", "learning.png"];
    let bytes = || drawn.map(|name| fs::read(out.join(name)).unwrap());
    let before = bytes();
    let fails = |told: &str| {
        let error = format!("{:#}", write_report(&out).unwrap_err());
        let again = format!(
            "fig-final-degradation-cifar100-cpu --out {}` makes these results again and trains what is missing",
            out.display()
        );
        assert!(error.contains(told) && error.ends_with(&again), "{told}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(bytes() == before, "{told}");
    };
    for (file, right, wrong, told) in [
        ("learning.csv", "1,0.1\n", "1,0.1,7\n", "line 2 has 8 cells, and the header 7"),
        ("learning.csv", ",1,0.1,4.0", ",2,0.1,4.0", "do not ascend"),
        ("figure.csv", "0.53,0.94\n", "0.53,0.9", "figure.csv is cut"),
        ("figure.csv", ",0.94\n", "\n", "line 2 has 8 cells, and the header 9"),
        ("figure.csv", "ResNet at 1", "", "column `network`, line 2: it is empty"),
        ("figure.csv", "0.53", "half", "column `reference_accuracy`, line 2"),
        ("costs.csv", "8000000,10000\n", "8000000,many\n", "column `parameters`, line 3"),
        ("positions.csv", "0.03,0.07", "0.03,", "column `high`, line 2: no number"),
        ("exits.csv", "network", "name", "exits.csv has no column `network`"),
        ("run.json", "{", "", "run.json: "),
        ("run.json", "\"ended\"", "\"end\"", "run.json: key `ended` is missing"),
        ("run.json", "7200.0", "\"7200\"", "key `training_seconds` is not a number of seconds"),
        ("run.json", "[3600.0,3600.0]", "[3600.0]", "key `seconds_of_runs` has 1 of 2 runs"),
        ("experiment.yaml", "figure: ", "figures: ", "experiment.yaml: "),
        ("experiment.yaml", "positions: [1, 3, 5, 7]", "positions: [1, 99]", "experiment.yaml: "),
    ] {
        let path = figure.join(file);
        let whole = fs::read_to_string(&path).unwrap();
        let damaged = whole.replacen(right, wrong, 1);
        assert_ne!(whole, damaged, "{file}: {right}");
        fs::write(&path, damaged).unwrap();
        fails(told);
        fs::write(&path, whole).unwrap();
    }
    let files = ["experiment.yaml", "run.json", "costs.csv", "figure.csv", "positions.csv"];
    for file in files.into_iter().chain(["exits.csv", "learning.csv"]) {
        let (path, aside) = (figure.join(file), folder.path().join("aside"));
        fs::rename(&path, &aside).unwrap();
        fails(file);
        fs::rename(&aside, &path).unwrap();
    }
    write_report(&out).unwrap();
    assert!(bytes() == before);
}

#[test]
fn a_page_of_a_persons_own_stays_and_findings_keep_the_readmes_line_ends() {
    let folder = results(LOSES);
    let (out, page) = (folder.path().join("results"), folder.path().join("results/README.md"));
    fs::write(&page, "my notes\n").unwrap();
    let error = write_report(&out).unwrap_err().to_string();
    assert!(error.contains("README.md was not made by `repro report`"), "{error}");
    assert_eq!(fs::read_to_string(&page).unwrap(), "my notes\n");
    fs::remove_file(&page).unwrap();
    write_report(&out).unwrap();
    write_report(&out).unwrap();
    let readme = "A\r\n<!-- findings -->\r\nold\r\n<!-- /findings -->\r\nB";
    let new = "A\r\n<!-- findings -->\r\none\r\ntwo\r\n<!-- /findings -->\r\nB";
    assert_eq!(findings::replace(readme, "one\ntwo\n").unwrap(), new);
}
