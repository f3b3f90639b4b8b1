//! ONNX models, read by ONNX's own checker and run by ONNX Runtime. Both are packages of Python.

use std::path::Path;

use repro::import::onnx;
use repro::nn::{Mode, Precision};
use serde_json::{Value, json};
use tch::Tensor;

use super::families::{images, moved_weights, networks};
use super::session::{complaint, python, refused, succeed, trained};

/// Images of a batch; also given one by one.
const IMAGES: i64 = 7;

/// Reads `[{model, images, shape, outputs: {name: file of logits}}]` and prints, for each model, the
/// outputs' names, the metadata and the largest difference of a logit over batches of 1 and of all.
const RUN_MODELS: &str = "
import json, sys
import numpy, onnx, onnxruntime
floats = lambda path: numpy.fromfile(path, '<f4')
for case in json.load(open(sys.argv[1])):
    model = onnx.load(case['model'])
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(case['model'], options, providers=['CPUExecutionProvider'])
    images = floats(case['images']).reshape(case['shape'])
    names = [output.name for output in session.get_outputs()]
    worst = 0.0
    for name, path in case['outputs'].items():
        expected = floats(path).reshape(len(images), -1)
        for count in (1, len(images)):
            found, = session.run([name], {session.get_inputs()[0].name: images[:count]})
            assert found.shape == expected[:count].shape, (found.shape, expected.shape)
            worst = max(worst, float(abs(found - expected[:count]).max()))
    metadata = session.get_modelmeta().custom_metadata_map
    opset = model.opset_import[0].version
    print(json.dumps({'names': names, 'worst': worst, 'metadata': metadata, 'opset': opset}))
";

/// What the script prints of each case, or none where a package is missing.
fn run_models(folder: &Path, cases: &[Value]) -> Option<Vec<Value>> {
    let is_there = python("import numpy, onnx, onnxruntime", Path::new(""));
    if !is_there.is_some_and(|output| output.status.success()) {
        eprintln!("skipped: ONNX Runtime is not installed (scripts/run-notebooks.sh installs it)");
        return None;
    }
    let list = folder.join("cases.json");
    std::fs::write(&list, serde_json::to_string(cases).unwrap()).unwrap();
    let output = python(RUN_MODELS, &list).unwrap();
    assert!(output.status.success(), "{}", complaint(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn write_floats(path: &Path, tensor: &Tensor) {
    let values = Vec::<f32>::try_from(tensor.contiguous().view([-1])).unwrap();
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn onnx_runtime_gives_every_familys_logits_at_every_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: String| folder.path().join(name);
    let mut cases = Vec::new();
    let mut largest = Vec::new();
    for (number, (config, input)) in networks().into_iter().enumerate() {
        let network = config.build(input).unwrap();
        let mut weights = moved_weights(&network, input);
        let images = images(input, IMAGES);
        let logits = {
            let _no_grad = tch::no_grad_guard();
            network.forward(&mut weights, &images, Mode::Evaluate, Precision::Fp32).unwrap()
        };
        let given = path(format!("{number}-images"));
        write_floats(&given, &images);
        let all: Vec<usize> = (0..logits.len()).collect();
        let cuts = all.iter().map(|&exit| vec![exit]);
        for exits in std::iter::once(all.clone()).chain(cuts) {
            let model = path(format!("{number}-{exits:?}.onnx"));
            let bytes = onnx::model(&network, &weights, &exits, &[]).unwrap();
            std::fs::write(&model, bytes).unwrap();
            let mut outputs = serde_json::Map::new();
            for &exit in &exits {
                let file = path(format!("{number}-logits-{exit}"));
                write_floats(&file, &logits[exit]);
                outputs.insert(onnx::output_name(exit), json!(file));
            }
            let shape = images.size();
            let case =
                json!({ "model": model, "images": given, "shape": shape, "outputs": outputs });
            cases.push(case);
            let sizes = logits.iter().map(|l| f64::try_from(l.abs().max()).unwrap());
            largest.push(sizes.fold(1.0, f64::max));
        }
    }
    let Some(found) = run_models(folder.path(), &cases) else { return };
    assert_eq!(found.len(), cases.len());
    for ((case, found), largest) in cases.iter().zip(&found).zip(largest) {
        let expected: Vec<&String> = case["outputs"].as_object().unwrap().keys().collect();
        assert_eq!(found["names"], json!(expected));
        assert!(found["opset"].as_i64().unwrap() >= 17);
        let worst = found["worst"].as_f64().unwrap();
        assert!(worst <= 1e-4 * largest, "{}: {worst}", case["model"]);
    }
}

#[test]
fn a_run_is_exported_whole_or_cut_at_an_exit_with_its_costs() {
    let folder = trained();
    let at = folder.path();
    let whole = succeed(at, &["export", "msdnet", "--format", "onnx"]);
    let run = std::fs::read_dir(at.join("runs")).unwrap().next().unwrap().unwrap().file_name();
    assert_eq!(whole.trim(), format!("{}.onnx", run.to_str().unwrap()));
    let cut = ["export", "msdnet", "--format", "onnx", "--exit", "2", "--out", "cut.onnx"];
    assert_eq!(succeed(at, &cut).trim(), "cut.onnx");
    let size = |name: &str| std::fs::metadata(at.join(name)).unwrap().len();
    assert!(size("cut.onnx") < size(whole.trim()));
    let costs = succeed(at, &["costs", "tiny.yaml"]);
    let costs: Vec<&str> = costs.lines().skip(1).collect();
    std::fs::write(at.join("images"), [0u8; 4 * 3 * 32 * 32]).unwrap();
    let case = |model: &str| json!({ "model": at.join(model), "images": at.join("images"), "shape": [1, 3, 32, 32], "outputs": {} });
    let Some(found) = run_models(at, &[case(whole.trim()), case("cut.onnx")]) else { return };
    assert_eq!(found[0]["names"], json!(["exit_1", "exit_2", "exit_3"]));
    assert_eq!(found[1]["names"], json!(["exit_2"]));
    let metadata = |found: &Value, key: &str| -> Value {
        serde_json::from_str(found["metadata"][key].as_str().unwrap()).unwrap()
    };
    assert_eq!(metadata(&found[1], "exits").as_array().unwrap().len(), 1);
    for (exit, row) in metadata(&found[0], "exits").as_array().unwrap().iter().zip(costs) {
        for key in ["exit", "multiply_adds", "multiply_adds_single", "parameters"] {
            let value = exit[key].to_string();
            assert!(row.split(',').any(|cell| cell == value), "{key} {value}: {row}");
        }
    }
    assert_eq!(metadata(&found[0], "mean").as_array().unwrap().len(), 3);
    assert_eq!(metadata(&found[0], "classes").as_array().unwrap().len(), 10);
}

#[test]
fn an_exit_that_is_not_there_or_not_asked_of_onnx_is_refused() {
    let folder = trained();
    let at = folder.path();
    for exit in ["0", "4"] {
        let error = refused(at, &["export", "msdnet", "--format", "onnx", "--exit", exit], 1);
        assert!(error.contains(&format!("--exit: {exit} is out of range (1 to 3)")), "{error}");
    }
    let error = refused(at, &["export", "msdnet", "--exit", "1"], 1);
    assert!(error.contains("--format onnx"), "{error}");
}
