//! The fixtures were written by PyTorch 2.11: a checkpoint with a state dict of four tensors (one
//! transposed, one a row of the same storage), an optimiser's state and counts.

use super::*;
use crate::models::{Input, NetworkConfig, Stem, mobilenet_v2};

const ZIP: &[u8] = include_bytes!("fixtures/zip.pth.tar");
const LEGACY: &[u8] = include_bytes!("fixtures/legacy.pth.tar");
/// Beside a state dict whose names have two prefixes, a value of every kind that
/// `torch.load(weights_only=True)` takes: sets, bytes, sizes, types, long integers, tensors of
/// types that no network has, sparse, quantised and without memory.
const PLAIN: &[u8] = include_bytes!("fixtures/plain.pth");
const PLAIN_LEGACY: &[u8] = include_bytes!("fixtures/plain-legacy.pth");
const WITH_OBJECT: &[u8] = include_bytes!("fixtures/with_object.pth.tar");

fn message(bytes: &[u8]) -> String {
    format!("{:#}", torch_file::parse(bytes).unwrap_err())
}

fn called<'a>(states: &'a [State], key: &str) -> &'a State {
    states.iter().find(|state| state.key == key).unwrap()
}

#[test]
fn both_formats_of_torch_give_the_tensors_of_the_nested_state_dict() {
    tch::set_num_threads(1);
    for bytes in [ZIP, LEGACY] {
        let states = torch_file::parse(bytes).unwrap();
        let named = &called(&states, "state_dict").tensors;
        let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["module.a.bias", "module.a.num_batches_tracked", "module.a.weight", "module.half"]
        );
        let values =
            |i: usize| Vec::<f64>::try_from(named[i].1.to_kind(Kind::Double).flatten(0, -1));
        assert_eq!(values(0).unwrap(), [4., 5., 6., 7.]);
        assert_eq!(values(1).unwrap(), [5.]);
        assert_eq!(named[2].1.size(), [4, 3]);
        let transposed = [0., 4., 8., 1., 5., 9., 2., 6., 10., 3., 7., 11.];
        assert_eq!(values(2).unwrap(), transposed);
        assert_eq!((values(3).unwrap(), named[3].1.kind()), (vec![0.5, -2.0], Kind::Double));
    }
}

#[test]
fn plain_values_of_every_kind_may_lie_beside_the_state_dict() {
    for bytes in [PLAIN, PLAIN_LEGACY] {
        let states = torch_file::parse(bytes).unwrap();
        let state = called(&states, "model_state_dict");
        let names: Vec<&str> = state.tensors.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["_orig_mod.module.a.count", "_orig_mod.module.a.weight"]);
        let values = Vec::<f32>::try_from(state.tensors[1].1.flatten(0, -1)).unwrap();
        assert_eq!(values, [0., 3., 1., 4., 2., 5.]);
    }
}

#[test]
fn the_format_is_told_by_the_content_and_not_by_the_ending() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.bin", "a.pt", "a.safetensors", "a"] {
        let path = folder.path().join(name);
        std::fs::write(&path, LEGACY).unwrap();
        let states = read_states(&path, &std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(called(&states, "state_dict").tensors.len(), 4, "{name}");
        let tensors = [("x".to_string(), Tensor::from(1.5f32))];
        crate::results::checkpoint::save_tensors(&path, &tensors).unwrap();
        assert_eq!(
            read_states(&path, &std::fs::read(&path).unwrap()).unwrap()[0].tensors[0].0,
            "x",
            "{name}"
        );
    }
    let path = folder.path().join("a.safetensors");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let text = format!("{:#}", read_states(&path, &std::fs::read(&path).unwrap()).unwrap_err());
    assert!(text.contains("not a whole safetensors file"), "{text}");
}

#[test]
fn a_file_cut_short_anywhere_is_an_error() {
    for bytes in [ZIP, LEGACY] {
        for end in (0..bytes.len()).step_by(7) {
            assert!(torch_file::parse(&bytes[..end]).is_err(), "{end}");
        }
    }
    assert!(message(&LEGACY[..LEGACY.len() - 1]).contains("cut short in storage"));
}

#[test]
fn a_checkpoint_with_another_object_is_refused_by_its_name() {
    let text = message(WITH_OBJECT);
    assert!(text.contains("argparse.Namespace"), "{text}");
    assert!(text.contains("nothing was executed"), "{text}");
}

/// An old file of one tensor `w`, made of 1 and -2. `metadata` is the pickle of the last argument
/// that rebuilds it.
fn with_metadata(metadata: &[u8]) -> Vec<u8> {
    let numbers = [1.0f32, -2.0].map(f32::to_le_bytes).concat();
    let parts: [&[u8]; 10] = [
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
        b"\x80\x02M\xe9\x03.\x80\x02}.",
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(",
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ",
        b"K\x00K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)R",
        metadata,
        b"tRs.",
        b"\x80\x02]X\x01\x00\x00\x000a.",
        &2u64.to_le_bytes(),
        &numbers,
    ];
    parts.concat()
}

#[test]
fn a_tensor_whose_sign_is_turned_when_it_is_read_is_refused() {
    for metadata in [b"N".as_slice(), b"}", b"}X\x03\x00\x00\x00neg\x89s"] {
        let states = torch_file::parse(&with_metadata(metadata)).unwrap();
        let (name, tensor) = &states[0].tensors[0];
        assert_eq!(name, "w");
        assert_eq!(Vec::<f32>::try_from(tensor).unwrap(), [1.0, -2.0]);
    }
    for mark in ["neg", "conj"] {
        let length = [mark.len() as u8, 0, 0, 0];
        let metadata = [b"}X", &length[..], mark.as_bytes(), b"\x88s"].concat();
        let text = message(&with_metadata(&metadata));
        assert!(text.contains("w: it is marked") && text.contains(mark), "{text}");
        assert!(text.contains("tensor.resolve_neg()"), "{text}");
    }
}

#[test]
fn a_file_of_another_kind_is_told() {
    assert!(message(b"\x89PNG").contains("neither safetensors nor a file of torch.save"));
    assert!(message(b"\x89PNG").contains("it is a PNG image"));
    assert!(message(b"").contains("the file is empty"));
    assert!(message(b"PK\x03\x04").contains("not a whole zip archive"));
}

/// A state dict of zeros for a network.
fn state_of(network: &Network) -> Vec<State> {
    let zeros = |shape: &[i64]| {
        let kind = if shape.is_empty() { Kind::Int64 } else { Kind::Float };
        Tensor::zeros(shape, (kind, Device::Cpu))
    };
    let tensors = network.state().into_iter().map(|spec| (spec.name, zeros(&spec.shape)));
    vec![State { key: String::new(), tensors: tensors.collect() }]
}

#[test]
fn weights_of_another_width_are_refused_by_the_tensors_that_differ() {
    let network = |width| {
        let config = mobilenet_v2::Config { width, stem: Stem::Imagenet, exits_after: vec![] };
        let input = Input { channels: 3, side: 64, classes: 10 };
        NetworkConfig::MobilenetV2(config).build(input).unwrap()
    };
    let state = state_of(&network(0.5));
    fit(&network(0.5), state_of(&network(0.5))).unwrap();
    let error = fit(&network(1.0), state).unwrap_err().to_string();
    assert!(
        error.contains("features.0.0.weight is [16, 3, 3, 3], expected [32, 3, 3, 3]"),
        "{error}"
    );
}

#[test]
fn numbers_that_no_network_can_use_are_told_by_their_tensor() {
    let of = |name: &str, tensor: Tensor| fault(name, &tensor).unwrap().unwrap_or("");
    let floats = |numbers: &[f64]| Tensor::from_slice(numbers);
    assert_eq!(of("a.weight", floats(&[-1.5, 3e38])), "");
    assert_eq!(of("a.running_var", floats(&[0.0])), "");
    assert_eq!(of("a.num_batches_tracked", Tensor::from(5.0)), "");
    assert!(of("a.weight", floats(&[1.0, 1e39])).contains("too large"));
    assert!(of("a.weight", floats(&[f64::NAN])).contains("not finite"));
    assert!(of("a.weight", Tensor::from_slice(&[1i64])).contains("quantised"));
    assert!(of("a.running_var", floats(&[1.0, -1e-9])).contains("variance"));
    for count in [-5.0, 2.5, f64::INFINITY] {
        assert!(of("a.num_batches_tracked", Tensor::from(count)).contains("batches"), "{count}");
    }
}
