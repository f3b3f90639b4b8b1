//! What people bring: odd outputs, names, folders, weights and surroundings, tried on the program.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use repro::data::splits::hold_out;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixtures;
use crate::session::{copy_tree, folder_with, refused, repro, succeed, text, words};

const NETWORK: &str = "densenet: { layers_per_block: 1, growth: 2, exits_after: [1] }\n";

/// A script of bash, in which `$REPRO` is the program.
fn bash(folder: &Path, script: &str) -> Output {
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).current_dir(folder).env("REPRO", env!("CARGO_BIN_EXE_repro"));
    command.output().unwrap()
}

/// Makes a finished run of `weights`.
fn import(folder: &Path, weights: &str, seed: &str) -> String {
    fs::write(folder.join("net.yaml"), NETWORK).unwrap();
    let start = ["import", weights, "--network", "net.yaml", "--dataset", "synthetic"];
    succeed(folder, &[&start[..], &["--seed", seed]].concat())
}

/// A folder with finished runs of `seeds` seeds.
fn with_runs(seeds: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("w"), fixtures::state_dict_file()).unwrap();
    for seed in 0..seeds {
        import(folder.path(), "w", &seed.to_string());
    }
    folder
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn a_full_standard_output_is_told_in_every_command_and_the_work_is_done() {
    let folder = with_runs(1);
    let at = folder.path();
    let commands = [
        "--help",
        "--version",
        "runs list",
        "runs show densenet",
        "experiments list --json",
        "experiments show smoke",
        "costs smoke",
        "data list",
        "data verify synthetic",
        "config schema",
        "completions bash",
        "man",
        "man --out pages",
        "draw smoke -o picture",
        "sweep plan smoke",
        "sweep status --once",
        "anytime smoke --plan",
        "doctor",
        "export densenet --out weights",
        "predict densenet --split test --threads 1 -q",
        "import w --network net.yaml --dataset synthetic",
    ];
    for command in commands {
        let output = bash(at, &format!("\"$REPRO\" {command} >/dev/full"));
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {error}");
        assert!(error.contains("cannot write to standard output: "), "{command}: {error}");
        assert!(!error.contains("mistake in the program"), "{command}: {error}");
    }
    assert!(at.join("weights").is_file() && at.join("picture-3.png").is_file());
    assert!(entries(&at.join("pages")) > 30);
}

#[test]
fn a_closed_standard_output_or_a_closed_pipe_leaves_no_work_undone() {
    let folder = with_runs(3);
    let at = folder.path();
    let closed = bash(at, "\"$REPRO\" export $(ls runs | head -1) --out weights >&-");
    assert_eq!(closed.status.code(), Some(1));
    assert!(text(&closed.stderr).contains("standard output: it is closed"));
    assert!(at.join("weights").is_file());
    let null = bash(at, "\"$REPRO\" runs list >/dev/null");
    assert!(null.status.success(), "{}", text(&null.stderr));

    let piped = |script: &str| {
        let output = bash(at, &format!("{script} | true; exit ${{PIPESTATUS[0]}}"));
        assert!(output.status.success(), "{script}: {}", text(&output.stderr));
    };
    piped("\"$REPRO\" man --out pages");
    assert!(entries(&at.join("pages")) > 30);
    // Standard error is a closed pipe, too.
    piped("\"$REPRO\" runs clean $(ls runs) --yes 2>&1");
    assert_eq!(entries(&at.join("runs")), 0);
}

#[test]
fn an_output_that_is_no_file_of_its_own_is_written_through() {
    let folder = with_runs(1);
    let at = folder.path();
    fs::create_dir(at.join("far")).unwrap();
    for (link, target) in
        [("answers.csv", "far/answers.csv"), ("weights", "link"), ("link", "far/weights")]
    {
        symlink(target, at.join(link)).unwrap();
    }
    let long = "a".repeat(251) + ".csv";
    for out in ["answers.csv", &long] {
        succeed(
            at,
            &["predict", "densenet", "--split", "test", "--threads", "1", "-q", "--out", out],
        );
        assert!(fs::metadata(at.join(out)).unwrap().len() > 0);
    }
    succeed(at, &["export", "densenet", "--out", "weights"]);
    for link in ["answers.csv", "weights"] {
        assert!(at.join(link).is_symlink() && at.join("far").join(link).is_file(), "{link}");
    }
    let script = "mkfifo pipe.csv; cat pipe.csv >piped & \
                  \"$REPRO\" predict densenet --split test --threads 1 -q --out pipe.csv && wait";
    let output = bash(at, script);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(fs::read(at.join("piped")).unwrap(), fs::read(at.join("answers.csv")).unwrap());
    assert_eq!(entries(&at.join("far")), 2);

    symlink("circle", at.join("circle")).unwrap();
    let socket = at.join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (out, told) in [
        ("circle", "in a circle"),
        ("/dev/full", "cannot write /dev/full"),
        ("socket", "cannot write socket"),
    ] {
        let error = refused(at, &["export", "densenet", "--out", out], 1);
        assert!(error.contains(told), "{error}");
    }
    assert!(!fs::symlink_metadata(&socket).unwrap().is_file());
    succeed(at, &["export", "densenet", "--out", "/dev/null"]);
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

/// Two files of one name, `a/exp.yaml` and `b/exp.yaml`, that train in a second.
fn two_of_one_name() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let short = fixtures::EXPERIMENT.replace("epochs: 3", "epochs: 1");
    for (place, name) in [("a", "DenseNet"), ("b", "Mine")] {
        fs::create_dir(folder.path().join(place)).unwrap();
        let text = short.replace("name: DenseNet", &format!("name: {name}"));
        fs::write(folder.path().join(place).join("exp.yaml"), text).unwrap();
    }
    folder
}

#[test]
fn two_experiments_of_one_name_do_not_write_over_each_other() {
    let folder = two_of_one_name();
    let at = folder.path();
    let figure = |file: &str, set: &[&str]| {
        repro(at, &[&["anytime", file, "--threads", "1", "-q"], set].concat())
    };
    let first = figure("a/exp.yaml", &[]);
    assert!(first.status.success() && first.stderr.is_empty(), "{}", text(&first.stderr));
    let csv = || fs::read(at.join("results/exp/figure.csv")).unwrap();
    let drawn = csv();

    let other = refused(at, &["anytime", "b/exp.yaml", "--threads", "1", "-q"], 1);
    assert!(other.contains("a/exp.yaml") && other.contains("--out"), "{other}");
    let plan = refused(at, &["sweep", "plan", "a/exp.yaml", "b/exp.yaml"], 1);
    assert!(plan.contains("both called exp"), "{plan}");
    let collect = ["sweep", "collect", "a/exp.yaml", "b/exp.yaml", "--threads", "1", "-q"];
    let collected = refused(at, &collect, 1);
    assert!(collected.contains("another experiment of this name"), "{collected}");
    assert_eq!((csv(), entries(&at.join("runs"))), (drawn.clone(), 1));

    let again = figure("./a/exp.yaml", &[]);
    assert!(again.status.success() && again.stderr.is_empty(), "{}", text(&again.stderr));
    let changed = figure("a/exp.yaml", &["--set", "training.learning_rate=0.01"]);
    let told = text(&changed.stderr);
    assert!(changed.status.success() && told.lines().count() == 1, "{told}");
    assert!(told.contains("results/exp: ") && told.contains("will be replaced"), "{told}");
    assert_ne!(csv(), drawn);
}

#[test]
fn a_run_that_cannot_be_written_is_predicted_with_and_nothing_is_kept() {
    let folder = with_runs(1);
    let at = folder.path();
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let able = Command::new("setpriv").arg("--version").output().is_ok();
    if is_root && !able {
        eprintln!("skipped: setpriv is not installed");
        return;
    }
    let own = at.join("own");
    fs::create_dir(&own).unwrap();
    for (path, mode) in [(at, 0o755), (&own, 0o777)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let run = fs::read_dir(at.join("runs")).unwrap().next().unwrap().unwrap().path();
    assert!(bash(at, "chmod -R a+rX runs; chmod -R a-w runs").status.success());
    let as_nobody = if is_root { "setpriv --reuid=65534 --regid=65534 --clear-groups" } else { "" };
    let script = format!(
        "cd own && {as_nobody} \"$REPRO\" predict densenet --runs ../runs --split test --threads 1 --out p.csv"
    );
    let output = bash(at, &script);
    let told = text(&output.stderr);
    assert!(bash(at, "chmod -R u+w runs").status.success());
    if told.contains("Permission denied") && !own.join("p.csv").exists() && is_root {
        eprintln!("skipped: another user cannot reach the program: {told}");
        return;
    }
    assert!(output.status.success(), "{told}");
    assert!(told.contains("cannot be written, so these predictions are not kept"), "{told}");
    assert!(fs::metadata(own.join("p.csv")).unwrap().len() > 0);
    assert!(!run.join("predictions-test.parquet").exists());
}

#[test]
fn a_manifest_beyond_slurms_largest_array_is_refused_with_its_name_and_value() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("bin")).unwrap();
    for (name, script) in [
        ("scontrol", "echo 'MaxArraySize            = 3'"),
        ("sbatch", "echo 1 >>submitted; echo 7"),
    ] {
        let path = at.join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let submit = |seeds: &str| {
        let script = format!(
            "PATH=$PWD/bin:$PATH; \"$REPRO\" sweep plan smoke --seeds {seeds} >m.jsonl && \
             \"$REPRO\" sweep slurm m.jsonl"
        );
        bash(at, &script)
    };
    let many = submit("0..1");
    assert_eq!(many.status.code(), Some(1));
    assert!(text(&many.stderr).contains("MaxArraySize is 3"), "{}", text(&many.stderr));
    assert!(!at.join("submitted").exists());
    assert!(submit("0").status.success());
    assert_eq!(fs::read_to_string(at.join("submitted")).unwrap().lines().count(), 2);
    // The tasks keep the manifest that was submitted, whatever is written in its place.
    let scripts = at.join("m.jsonl.slurm");
    let copies = fs::read_dir(&scripts).unwrap().map(|file| file.unwrap().path());
    let copy =
        copies.into_iter().find(|path| path.extension().is_some_and(|e| e == "jsonl")).unwrap();
    assert_eq!(fs::read(&copy).unwrap(), fs::read(at.join("m.jsonl")).unwrap());
    let array = fs::read_to_string(scripts.join("array.sh")).unwrap();
    assert!(array.contains(copy.file_name().unwrap().to_str().unwrap()), "{array}");

    // What is in the queue is not submitted again.
    let with_queue = |queue: &str| {
        let script = format!(
            "PATH=$PWD/bin:$PATH; printf '#!/bin/sh\\nprintf \"{queue}\"\\n' >bin/squeue; chmod +x bin/squeue; \
             \"$REPRO\" sweep slurm m.jsonl --dry-run"
        );
        bash(at, &script)
    };
    let some = with_queue("0|RUNNING|None");
    assert!(
        text(&some.stderr).contains("left out: 1 run running or in Slurm's queue"),
        "{}",
        text(&some.stderr)
    );
    assert!(text(&some.stdout).contains("--array=1"), "{}", text(&some.stdout));
    assert!(bash(at, "\"$REPRO\" sweep plan smoke --seeds 1 >m.jsonl").status.success());
    let other = with_queue("0|RUNNING|None");
    assert!(text(&other.stdout).contains("--array=0-2"), "{}", text(&other.stdout));
}

#[test]
fn weights_of_a_mobilenet_for_large_images_need_its_stem() {
    let place = folder_with("v2.yaml", "mobilenet_v2: {} # of an ecosystem\n");
    fs::write(place.path().join("v2.pth"), "").unwrap();
    let command = "import v2.pth --network v2.yaml --dataset imagenet";
    let error = refused(place.path(), &words(command), 1);
    assert!(error.contains("write `stem: imagenet`"), "{error}");
}

#[test]
fn a_run_without_its_test_images_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    pets(&at.join("pets"), "val");
    fs::write(at.join("p.yaml"), on("pets")).unwrap();
    fs::write(at.join("m.jsonl"), succeed(at, &["sweep", "plan", "p.yaml"])).unwrap();
    fs::remove_dir_all(at.join("pets/val")).unwrap();
    let train = ["sweep", "run", "--manifest", "m.jsonl", "--index", "0", "--threads", "1", "-q"];
    let error = refused(at, &train, 1);
    assert!(error.contains("neither test/ nor val/"), "{error}");
    let status = succeed(at, &["sweep", "status", "m.jsonl", "--once"]);
    assert!(status.contains("1 failed, 0 waiting") && status.contains("neither test/"), "{status}");
}

#[test]
fn weights_are_read_whatever_they_are_called_and_what_does_not_fit_is_one_line() {
    let folder = with_runs(0);
    let at = folder.path();
    for (seed, name) in ["w.bin", "w.pth.tar", "w.safetensors"].into_iter().enumerate() {
        fs::copy(at.join("w"), at.join(name)).unwrap();
        import(at, name, &seed.to_string());
    }
    fs::write(at.join("other.yaml"), "resnet: { blocks_per_stage: 9 }\n").unwrap();
    let arguments = ["import", "w", "--network", "other.yaml", "--dataset", "synthetic"];
    let error = refused(at, &arguments, 1);
    assert_eq!(error.lines().count(), 1, "{error}");
}

/// An image folder of two classes, `test` the name of its test part.
fn pets(root: &Path, test: &str) {
    for part in ["train", test] {
        for (class, shade) in [("my_cat", 20), ("dog", 200)] {
            let class = root.join(part).join(class);
            fs::create_dir_all(&class).unwrap();
            for i in 0..4u8 {
                let image = image::RgbImage::from_pixel(40, 30, image::Rgb([shade, i * 9, 90]));
                image.save(class.join(format!("{i}.jpg"))).unwrap();
            }
        }
    }
}

fn on(folder: &str) -> String {
    format!(
        "figure: anytime\ndataset: {{ folder: {folder} }}\nvalidation: 2\n\
         training: {{ epochs: 1, batch_size: 4, learning_rate: 0.05 }}\nnetworks:\n  - name: MSDNet\n    \
         msdnet: {{ stem: imagenet, channels: 4, growth: 2, scale_growth: [1, 2, 4, 4], bottleneck: [1, 2, 4, 4], \
         exits: 2, first_exit: 2, spacing: {{ even: 1 }} }}\n"
    )
}

#[test]
fn a_test_part_that_cannot_serve_is_told_before_the_training() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    pets(&at.join("pets"), "valid");
    fs::write(at.join("p.yaml"), on("pets")).unwrap();
    for command in ["anytime p.yaml --threads 1", "sweep run --manifest m.jsonl --threads 1"] {
        fs::write(at.join("m.jsonl"), succeed(at, &["sweep", "plan", "p.yaml"])).unwrap();
        let error = refused(at, &command.split(' ').collect::<Vec<_>>(), 1);
        assert!(error.contains("neither test/ nor val/"), "{error}");
        assert!(!error.contains("epoch 1/1"), "{error}");
    }
    fs::write(at.join("p.yaml"), on("pets").replace("validation: 2", "validation: 8")).unwrap();
    let error = refused(at, &["anytime", "p.yaml", "--plan"], 1);
    assert!(error.contains("validation: 8 images cannot be held out of 8"), "{error}");
}

#[test]
fn a_folder_is_one_data_set_and_its_classes_keep_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    pets(&at.join("pets"), "val");
    fs::write(at.join("pets/train/dog/notes.txt"), "x").unwrap();
    fs::create_dir(at.join("pets/train/.ipynb_checkpoints")).unwrap();
    for (folder, trained) in [("pets", true), ("pets/", false), ("./pets", false)] {
        fs::write(at.join("p.yaml"), on(folder)).unwrap();
        let output = repro(at, &["anytime", "p.yaml", "--threads", "1"]);
        let told = text(&output.stderr);
        assert!(output.status.success(), "{told}");
        assert_eq!(told.contains("epoch 1/1"), trained, "{folder}: {told}");
        assert!(told.contains("1 file is left out (.txt: 1)"), "{told}");
    }
    let jpeg = fs::read(at.join("pets/val/my_cat/0.jpg")).unwrap();
    // EXIF orientation 6: a camera held upright.
    let exif =
        b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    fs::write(at.join("upright.jpg"), [&jpeg[..2], exif, &jpeg[2..]].concat()).unwrap();
    let arguments =
        ["classify", "msdnet", "upright.jpg", "pets/val/dog", "--json", "--threads", "1"];
    let output = repro(at, &arguments);
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("upright.jpg: turned as its camera says"), "{told}");
    let said = text(&output.stdout);
    assert_eq!(said.lines().filter(|line| line.contains("\"turned\":true")).count(), 1, "{said}");
    let named =
        |line: &str| line.contains("\"class\":\"my_cat\"") || line.contains("\"class\":\"dog\"");
    assert!(said.lines().count() == 5 && said.lines().all(named), "{said}");
}

/// A folder with `pets`, a run trained on them, and a photograph.
fn trained_on_pets() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    pets(&at.join("pets"), "val");
    fs::copy(at.join("pets/val/dog/0.jpg"), at.join("photo.jpg")).unwrap();
    fs::write(at.join("p.yaml"), on("pets")).unwrap();
    succeed(at, &words("anytime p.yaml --threads 1 -q"));
    folder
}

/// The one run in `folder`.
fn only_run(folder: &Path) -> PathBuf {
    fs::read_dir(folder.join("runs")).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn a_run_whose_images_have_changed_is_trained_and_of_other_data_in_every_command() {
    let folder = trained_on_pets();
    let at = folder.path();
    let commands = [
        "classify msdnet photo.jpg --threads 1",
        "predict msdnet --split test --threads 1",
        "export msdnet --card card",
        "examples msdnet --threads 1",
        "guarantee msdnet --threads 1",
        "explore msdnet --threads 1",
    ];
    let added = at.join("pets/train/dog/9.jpg");
    fs::copy(at.join("photo.jpg"), &added).unwrap();
    let same = "trained, but on other data or damaged";
    let listed = succeed(at, &["runs", "list"]);
    assert!(listed.contains(same), "{listed}");
    let planned = succeed(at, &["anytime", "p.yaml", "--plan"]);
    assert!(planned.contains(same), "{planned}");
    let told = "is trained, but the images in pets are not those of its training; put those back";
    for command in commands {
        let error = refused(at, &words(command), 1);
        assert!(error.contains(told), "{command}: {error}");
    }
    fs::remove_file(added).unwrap();
    succeed(at, &words(commands[0]));

    // What is known of a run does not depend on images that are somewhere else now.
    succeed(at, &words("predict msdnet --split validation --threads 1"));
    let show = || succeed(at, &["runs", "show", "msdnet"]);
    let shown = show();
    assert!(shown.contains("multiply_adds_at_equal_accuracy: "), "{shown}");
    fs::rename(at.join("pets"), at.join("away")).unwrap();
    assert_eq!(show(), shown);
    fs::rename(at.join("away"), at.join("pets")).unwrap();

    let run = only_run(at);
    for file in ["predictions-test.parquet", "checkpoint-previous.safetensors"] {
        // The second one is there only where a training was saved twice.
        let _ = fs::remove_file(run.join(file));
    }
    let checkpoint = run.join("checkpoint.safetensors");
    let mut bytes = fs::read(&checkpoint).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&checkpoint, bytes).unwrap();
    let listed = succeed(at, &["runs", "list"]);
    assert!(listed.contains(same), "{listed}");
    for command in commands {
        let error = refused(at, &words(command), 1);
        let told = "is trained, but ";
        let damaged = "checkpoint.safetensors is damaged";
        assert!(error.contains(told) && error.contains(damaged), "{command}: {error}");
    }
}

/// The names of the classes in a run's `run.yaml`, or in a card's `config.json`.
fn kept_classes(file: &Path) -> Value {
    let file: Value = serde_yaml::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    file["classes"].clone()
}

/// A folder with the card of a run on `pets` in `card`, and a photograph.
fn with_card_of_pets() -> TempDir {
    let folder = trained_on_pets();
    let at = folder.path();
    succeed(at, &words("export msdnet --card card"));
    for file in [only_run(at).join("run.yaml"), at.join("card/config.json")] {
        assert_eq!(kept_classes(&file), json!(["dog", "my_cat"]));
    }
    let elsewhere = tempfile::tempdir().unwrap();
    copy_tree(&at.join("card"), &elsewhere.path().join("card"));
    fs::copy(at.join("photo.jpg"), elsewhere.path().join("photo.jpg")).unwrap();
    elsewhere
}

/// The folder of class `from` in `pets` is called `to` from now on.
fn rename_class(folder: &Path, from: &str, to: &str) {
    for part in ["train", "val"] {
        let part = folder.join("pets").join(part);
        fs::rename(part.join(from), part.join(to)).unwrap();
    }
}

const CLASSIFY: &str = "classify msdnet photo.jpg --json --threads 1";
const TO_ONNX: &str = "export msdnet --format onnx --out net.onnx";

/// The class that a run sees in the photograph.
fn class_of_photo(folder: &Path) -> String {
    let said: Value = serde_json::from_str(&succeed(folder, &words(CLASSIFY))).unwrap();
    said["class"].as_str().unwrap().to_string()
}

#[test]
fn a_card_of_an_image_folder_is_used_where_that_folder_is_not() {
    let folder = with_card_of_pets();
    let at = folder.path();
    succeed(at, &words("import card"));
    assert_eq!(kept_classes(&only_run(at).join("run.yaml")), json!(["dog", "my_cat"]));
    let class = class_of_photo(at);
    assert!(["dog", "my_cat"].contains(&class.as_str()), "{class}");
    succeed(at, &words("classify msdnet photo.jpg --threshold 0.5 --threads 1"));
    succeed(at, &words(TO_ONNX));
    let (model, names) = (fs::read(at.join("net.onnx")).unwrap(), b"[\"dog\",\"my_cat\"]");
    assert!(model.windows(names.len()).any(|part| part == names));
    for needs_images in [
        "predict msdnet --split test --threads 1",
        "classify msdnet photo.jpg --ratio 1 --threads 1",
        "export msdnet --card again",
    ] {
        let error = refused(at, &words(needs_images), 1);
        let told =
            "needs the image folder of its training: pets, relative to the working directory";
        assert!(error.contains(told), "{needs_images}: {error}");
    }
    pets(&at.join("pets"), "val");
    assert_eq!(class_of_photo(at), class);
    succeed(at, &words("export msdnet --card again"));
    let [card, again] = ["card", "again"].map(|card| fs::read(at.join(card).join("config.json")));
    assert_eq!(card.unwrap(), again.unwrap());
}

#[test]
fn a_folder_with_other_classes_than_the_run_gives_it_no_names() {
    let folder = with_card_of_pets();
    let at = folder.path();
    succeed(at, &words("import card"));
    let class = class_of_photo(at);
    pets(&at.join("pets"), "val");
    rename_class(at, "my_cat", "puma");
    assert_eq!(class_of_photo(at), class);
    succeed(at, &words(TO_ONNX));
    succeed(at, &words("import card --run other"));
    let told = "class 1 is \"my_cat\" in the run and \"puma\" in pets/train";
    for command in ["predict msdnet --split test --threads 1", "export msdnet --card other"] {
        let error = refused(at, &words(command), 1);
        assert!(error.contains(told), "{command}: {error}");
    }
    rename_class(at, "puma", "my_cat");
    // In another order the images have other labels.
    rename_class(at, "dog", "zebra");
    let error = refused(at, &words(CLASSIFY), 1);
    let told = "not those of its training (class 0 is \"dog\" in the run and \"my_cat\" in";
    assert!(error.contains(told), "{error}");
    rename_class(at, "zebra", "dog");
    assert_eq!(class_of_photo(at), class);

    // A run from before the names were kept has those of its folder, and needs it.
    let file = only_run(at).join("run.yaml");
    let mut yaml: Value = serde_yaml::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    yaml.as_object_mut().unwrap().remove("classes").unwrap();
    fs::write(&file, serde_yaml::to_string(&yaml).unwrap()).unwrap();
    let whole = fs::read(&file).unwrap();
    succeed(at, &words("import card"));
    assert_eq!(kept_classes(&file), json!(["dog", "my_cat"]));
    fs::write(&file, whole).unwrap();
    rename_class(at, "dog", "old_dog");
    rename_class(at, "my_cat", "old_my_cat");
    assert_eq!(class_of_photo(at), format!("old_{class}"));
    fs::remove_dir_all(at.join("pets")).unwrap();
    let error = refused(at, &words(CLASSIFY), 1);
    assert!(error.contains("of its training: pets, relative to the working directory"), "{error}");
}

#[test]
fn names_of_any_letters_give_figures_and_a_page_that_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let odd = "name: \"a\\x07<b> \\u732b & [x](y) *z*\"";
    let text_of =
        fixtures::EXPERIMENT.replace("epochs: 3", "epochs: 1").replace("name: DenseNet", odd);
    fs::write(at.join("my exp (1).yaml"), text_of).unwrap();
    let output = repro(at, &["anytime", "my exp (1).yaml", "--threads", "1"]);
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(told.matches("U+732B").count(), 1, "{told}");
    succeed(at, &["report"]);
    let page = fs::read_to_string(at.join("results/README.md")).unwrap();
    assert!(page.contains("](my%20exp%20%281%29/figure.png)"), "{page}");
    assert!(page.contains("a\u{fffd}\\<b>") && page.contains("[x\\](y) \\*z\\*"), "{page}");
    let svg = fs::read_to_string(at.join("results/my exp (1)/figure.svg")).unwrap();
    assert!(svg.contains("a\u{fffd}&lt;b&gt;"), "{svg}");
}

#[test]
fn surroundings_that_are_not_there_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let gone = bash(at, "mkdir gone && cd gone && rmdir ../gone && \"$REPRO\" runs list");
    let told = text(&gone.stderr);
    assert_eq!(gone.status.code(), Some(1), "{told}");
    assert!(told.starts_with("error: the current folder cannot be used"), "{told}");
    let threads = refused(at, &["anytime", "smoke", "--threads", "5000"], 2);
    assert!(threads.contains("cores here"), "{threads}");
    let comma = refused(at, &["classify", "x", "y.jpg", "--threshold", "0,5"], 1);
    assert!(comma.contains("decimals have a point"), "{comma}");
}

#[test]
fn a_run_without_broken_images_stays_finished_for_commands_that_are_not_told_to_skip_them() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    pets(&at.join("pets"), "val");
    for (part, content) in [("train", "no image"), ("train", ""), ("val", "")] {
        fs::write(at.join("pets").join(part).join(format!("dog/{}.jpg", content.len())), content)
            .unwrap();
    }
    fs::write(at.join("p.yaml"), on("pets")).unwrap();
    let trained = repro(at, &["anytime", "p.yaml", "--threads", "1", "--skip-broken"]);
    let told = text(&trained.stderr);
    assert!(trained.status.success() && told.contains("1 broken test image left out: "), "{told}");
    assert!(told.contains("train/dog/0.jpg") && told.contains("train/dog/8.jpg"), "{told}");
    let listed = succeed(at, &["runs", "list"]);
    assert!(listed.contains("finished, 1 epoch"), "{listed}");
    succeed(at, &["predict", "msdnet", "--split", "test", "--out", "p.csv", "--threads", "1"]);
    let rows = fs::read_to_string(at.join("p.csv")).unwrap();
    // Seven whole test images at two exits.
    let files: Vec<&str> = rows.lines().map(|row| row.rsplit_once(',').unwrap().1).collect();
    assert_eq!([files[0], files[1], files[8]], ["file", "val/dog/1.jpg", "val/dog/1.jpg"]);
    assert_eq!([files[7], files[14]], ["val/my_cat/3.jpg"; 2]);
    let held_out = succeed(at, &["predict", "msdnet", "--split", "validation", "--threads", "1"]);
    // Seven whole training images: dogs 1 to 3, then the cats.
    for (row, image) in held_out.lines().skip(1).zip(hold_out(7, 2).unwrap().validation) {
        let file = if image < 3 {
            format!("train/dog/{}.jpg", image + 1)
        } else {
            format!("train/my_cat/{}.jpg", image - 3)
        };
        assert!(row.starts_with(&format!("{image},")) && row.ends_with(&file), "{held_out}");
    }
    let again = repro(at, &["sweep", "collect", "p.yaml", "--threads", "1"]);
    assert!(text(&again.stdout).contains("all 1 runs are finished"), "{}", text(&again.stderr));
    let digest = |path: &Path, before: &str| {
        let written = fs::read_to_string(path).unwrap();
        let line = written.lines().find(|line| line.trim().starts_with(before)).unwrap();
        line.trim_start().trim_start_matches(before).trim_matches([' ', '"', ',']).to_string()
    };
    let run = fs::read_dir(at.join("runs")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(
        digest(&at.join("results/p/run.json"), "\"training_data\":"),
        digest(&run.join("run.yaml"), "training_data:")
    );
}

#[test]
fn a_card_is_made_without_test_images_that_cannot_be_read_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    pets(&at.join("pets"), "val");
    fs::write(at.join("pets/val/dog/bad.jpg"), "no image").unwrap();
    fs::write(at.join("p.yaml"), on("pets")).unwrap();
    let error = refused(at, &["anytime", "p.yaml", "--threads", "1"], 1);
    assert!(error.contains("bad.jpg"), "{error}");
    let error = refused(at, &["export", "msdnet", "--card", "card"], 1);
    assert!(error.contains("--skip-broken leaves such files out"), "{error}");
    succeed(at, &["export", "msdnet", "--card", "card", "--skip-broken"]);
    assert!(at.join("card/README.md").is_file());
}

#[test]
fn an_image_folder_is_verified_by_reading_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    pets(&at.join("pets"), "val");
    let told = succeed(at, &["data", "verify", "folder:pets"]);
    assert!(told.contains("folder:pets: ok") && told.contains("8 images, 2 classes"), "{told}");
    for broken in ["train/dog/bad.jpg", "val/my_cat/0.jpg"] {
        fs::write(at.join("pets").join(broken), "no image").unwrap();
    }
    fs::write(at.join("pets/val/dog/notes.txt"), "x").unwrap();
    let output = repro(at, &["data", "verify", "folder:pets"]);
    let (told, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(told.contains("wrong") && told.contains("dog 4, my_cat 3"), "{told}");
    assert!(told.contains("1 file is left out (.txt: 1)"), "{told}");
    for broken in ["train/dog/bad.jpg", "val/my_cat/0.jpg"] {
        assert!(error.contains(&format!("{broken} is not a whole JPEG")), "{error}");
    }
    assert!(error.contains("--skip-broken leaves broken images out"), "{error}");
    for i in 0..4 {
        fs::write(at.join(format!("pets/train/dog/{i}.jpg")), "no image").unwrap();
    }
    let error = refused(at, &["data", "verify", "folder:pets"], 1);
    assert!(error.contains("no training image of label 0"), "{error}");
    assert!(error.contains("dog/3.jpg is") && error.contains("my_cat/0.jpg is"), "{error}");
}

#[test]
fn a_broken_image_of_the_hold_out_is_told_before_the_training() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    pets(&at.join("pets"), "val");
    fs::write(at.join("p.yaml"), on("pets")).unwrap();
    // Eight training images: four dogs, then four cats; `on` holds two of them out.
    let held_out = hold_out(8, 2).unwrap().validation[0];
    let class = ["dog", "my_cat"][held_out as usize / 4];
    let broken = format!("train/{class}/{}.jpg", held_out % 4);
    fs::write(at.join("pets").join(&broken), "no image").unwrap();
    let error = refused(at, &["anytime", "p.yaml", "--threads", "1"], 1);
    assert!(error.contains(&broken), "{error}");
    let listed = succeed(at, &["runs", "list"]);
    assert!(listed.contains("failed"), "{listed}");
    let run = fs::read_dir(at.join("runs")).unwrap().next().unwrap().unwrap().path();
    assert!(!run.join("train.csv").exists(), "a training has begun");
}

#[test]
fn a_damaged_imported_run_is_not_trained_over() {
    let folder = with_runs(1);
    let at = folder.path();
    let run = fs::read_dir(at.join("runs")).unwrap().next().unwrap().unwrap().path();
    let checkpoint = run.join("checkpoint.safetensors");
    let whole = fs::read(&checkpoint).unwrap();
    let half = &whole[..whole.len() - 10];
    fs::write(&checkpoint, half).unwrap();
    let experiment = format!(
        "figure: anytime\ndataset: synthetic\ntraining: {{ epochs: 1, batch_size: 50, learning_rate: 0.1 }}\n\
         seeds: [0]\nnetworks:\n  - name: D\n    {NETWORK}"
    );
    fs::write(at.join("e.yaml"), experiment).unwrap();
    let error = refused(at, &["anytime", "e.yaml", "--threads", "1"], 1);
    assert!(error.contains("imported and damaged; `repro import --force`"), "{error}");
    assert_eq!(fs::read(&checkpoint).unwrap(), half);
    assert!(succeed(at, &["runs", "list"]).contains("imported, damaged"));
    // Set aside, it still stands for its run.
    fs::rename(&checkpoint, run.join("checkpoint.damaged")).unwrap();
    assert_eq!(refused(at, &["anytime", "e.yaml", "--threads", "1"], 1), error);
    let again = ["import", "w", "--network", "net.yaml", "--dataset", "synthetic", "--force"];
    succeed(at, &again);
    succeed(at, &["anytime", "e.yaml", "--threads", "1"]);
}
