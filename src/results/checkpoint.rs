//! A checkpoint: safetensors whose metadata is one JSON string with the run, how far it has come,
//! its log, and a checksum over everything else.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use super::atomic;
use crate::data::hex;
use crate::experiment::Progress;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    progress: Progress,
    /// See [`checksum`].
    checksum: Option<String>,
    /// The first checkpoints have this instead of `checksum`; it does not cover types and shapes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

const KEY: &str = "repro";

/// Bytes of a header, at most.
const LONGEST_HEADER: u64 = 1 << 28;

/// Writes a checkpoint in place of `path`'s.
///
/// # Errors
/// Names the path, or the tensor that holds a number that is not finite.
pub fn save(path: &Path, progress: &Progress, tensors: &[(String, Tensor)]) -> Result<()> {
    atomic::write(path, &to_bytes(progress, tensors)?)
}

/// A checkpoint's bytes; the same ones whenever its content is the same.
///
/// # Errors
/// Names the tensor that holds a number that is not finite.
pub fn to_bytes(progress: &Progress, tensors: &[(String, Tensor)]) -> Result<Vec<u8>> {
    ensure_finite(tensors)?;
    let raw = raw_of(tensors)?;
    let views = views(&raw)?;
    let text = serde_json::to_string(&Metadata {
        progress: progress.clone(),
        checksum: Some(checksum(progress, &views, true)?),
        sha256: None,
    })?;
    let metadata = HashMap::from([(KEY.to_string(), text)]);
    Ok(safetensors::serialize(views, Some(metadata))?)
}

fn views(raw: &[(String, Raw)]) -> Result<Vec<(String, TensorView<'_>)>> {
    raw.iter()
        .map(|(name, raw)| {
            let view = TensorView::new(raw.dtype, raw.shape.clone(), &raw.data)?;
            Ok((name.clone(), view))
        })
        .collect()
}

/// A number that is not finite in a checkpoint would be in every number that follows from it.
fn ensure_finite(tensors: &[(String, Tensor)]) -> Result<()> {
    for (name, tensor) in tensors {
        let finite = tensor.f_isfinite()?;
        if finite.f_all()?.f_int64_value(&[])? == 0 {
            let bad = tensor.f_masked_select(&finite.f_logical_not()?)?.f_double_value(&[0])?;
            bail!("{name} holds {bad}, so it is not saved; the checkpoint before is kept");
        }
    }
    Ok(())
}

/// Reads a checkpoint and checks it whole.
///
/// # Errors
/// Names the path and what is wrong with it.
pub fn load(path: &Path) -> Result<(Progress, Vec<(String, Tensor)>)> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&bytes).with_context(|| format!("{} is not a whole checkpoint", path.display()))
}

/// Reads only how far a checkpoint has come, and its checksum; its tensors are not checked.
///
/// # Errors
/// Names the path.
pub fn load_progress(path: &Path) -> Result<(Progress, String)> {
    use std::io::Read;
    let context = || format!("cannot read {}", path.display());
    let mut file = std::fs::File::open(path).with_context(context)?;
    let mut length = [0; 8];
    file.read_exact(&mut length).with_context(context)?;
    let length = u64::from_le_bytes(length);
    ensure!(length < LONGEST_HEADER, "{}: a header of {length} bytes", path.display());
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).with_context(context)?;
    let header: Header = serde_json::from_slice(&bytes).with_context(context)?;
    let text = header.metadata.and_then(|mut m| m.remove(KEY)).with_context(context)?;
    let metadata: Metadata = serde_json::from_str(&text).with_context(context)?;
    let checksum = metadata.checksum.or(metadata.sha256);
    Ok((metadata.progress, checksum.with_context(context)?))
}

/// The part of a safetensors header that says where it is from.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    metadata: Option<HashMap<String, String>>,
}

/// A checkpoint from its bytes.
///
/// # Errors
/// Says what is wrong.
pub fn parse(bytes: &[u8]) -> Result<(Progress, Vec<(String, Tensor)>)> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let Metadata { progress, checksum: said, sha256 } = metadata(&header)?;
    let shapes = said.is_some();
    let said = said.or(sha256).context("it has no checksum")?;
    let file = SafeTensors::deserialize(bytes)?;
    let mut views = file.tensors();
    views.sort_by(|a, b| a.0.cmp(&b.0));
    let found = checksum(&progress, &views, shapes)?;
    ensure!(found == said, "the checksum is {found}, the file says {said}");
    let tensors = views
        .into_iter()
        .map(|(name, view)| Ok((name, tensor_of(&view)?)))
        .collect::<Result<_>>()?;
    Ok((progress, tensors))
}

fn metadata(header: &safetensors::tensor::Metadata) -> Result<Metadata> {
    let text = header.metadata().as_ref().and_then(|m| m.get(KEY));
    let text = text.with_context(|| {
        format!("it has no metadata \"{KEY}\"; it was not written by this program")
    })?;
    serde_json::from_str(text).context("its metadata cannot be read")
}

/// Any safetensors file's tensors, by name in ascending order; those of types that no network's
/// state has are not among them.
///
/// # Errors
/// Says what is wrong with the bytes.
pub fn parse_tensors(bytes: &[u8]) -> Result<Vec<(String, Tensor)>> {
    let file = SafeTensors::deserialize(bytes).context("it is not a whole safetensors file")?;
    let mut views = file.tensors();
    views.retain(|(_, view)| kind_of(view.dtype()).is_some());
    views.sort_by(|a, b| a.0.cmp(&b.0));
    views.into_iter().map(|(name, view)| Ok((name, tensor_of(&view)?))).collect()
}

/// [`parse_tensors`] of a file.
///
/// # Errors
/// Names the path and what is wrong with it.
pub fn load_tensors(path: &Path) -> Result<Vec<(String, Tensor)>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse_tensors(&bytes).with_context(|| path.display().to_string())
}

/// Whether the bytes begin as a safetensors file does: the length of a header, and its JSON.
pub fn is_safetensors(bytes: &[u8]) -> bool {
    let length = bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
    length.is_some_and(|length| length < LONGEST_HEADER) && bytes.get(8) == Some(&b'{')
}

/// Writes a safetensors file without metadata.
///
/// # Errors
/// Names the path.
pub fn save_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    let raw = raw_of(tensors)?;
    atomic::write(path, &safetensors::serialize(views(&raw)?, None)?)
}

fn raw_of(tensors: &[(String, Tensor)]) -> Result<Vec<(String, Raw)>> {
    let raw = |(name, tensor): &(String, Tensor)| Ok((name.clone(), Raw::of(tensor)?));
    tensors.iter().map(raw).collect()
}

/// SHA-256 over everything that a checkpoint says: progress, and of each tensor, in the order of
/// their names, name, type, shape and bytes.
fn checksum(progress: &Progress, tensors: &[(String, TensorView)], shapes: bool) -> Result<String> {
    let mut tensors: Vec<_> = tensors.iter().collect();
    tensors.sort_by_key(|(name, _)| name);
    let mut digest = Sha256::new();
    digest.update(serde_json::to_vec(progress)?);
    for (name, view) in tensors {
        digest.update((name.len() as u64).to_le_bytes());
        digest.update(name);
        if shapes {
            digest.update(format!("{:?} {:?}", view.dtype(), view.shape()));
        }
        digest.update((view.data().len() as u64).to_le_bytes());
        digest.update(view.data());
    }
    Ok(hex(&digest.finalize()))
}

struct Raw {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Raw {
    fn of(tensor: &Tensor) -> Result<Raw> {
        let kind = tensor.kind();
        let dtype = KINDS.iter().find(|(_, known)| *known == kind).map(|(dtype, _)| *dtype);
        let dtype = dtype.with_context(|| format!("a tensor of {kind:?} is not saved"))?;
        let tensor = tensor.f_detach()?.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
        let count = tensor.numel();
        let mut data = vec![0; count * kind.elt_size_in_bytes()];
        tensor.f_copy_data_u8(&mut data, count)?;
        Ok(Raw { dtype, shape: tensor.size().iter().map(|&n| n as usize).collect(), data })
    }
}

fn tensor_of(view: &TensorView) -> Result<Tensor> {
    let kind = kind_of(view.dtype());
    let kind = kind.with_context(|| format!("tensors of {:?} are not read", view.dtype()))?;
    let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
    Ok(Tensor::f_from_data_size(view.data(), &shape, kind)?)
}

/// The element types that a network's state may have.
const KINDS: [(Dtype, Kind); 10] = [
    (Dtype::F32, Kind::Float),
    (Dtype::F64, Kind::Double),
    (Dtype::F16, Kind::Half),
    (Dtype::BF16, Kind::BFloat16),
    (Dtype::I64, Kind::Int64),
    (Dtype::I32, Kind::Int),
    (Dtype::I16, Kind::Int16),
    (Dtype::I8, Kind::Int8),
    (Dtype::U8, Kind::Uint8),
    (Dtype::BOOL, Kind::Bool),
];

fn kind_of(dtype: Dtype) -> Option<Kind> {
    KINDS.iter().find(|(known, _)| *known == dtype).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRESS: &str = r#"{"format":1,"run":{"network":{"resnet":{"blocks_per_stage":1}},
        "dataset":"synthetic","validation":0,"training":null,"seed":0},
        "data":"d","epoch":0,"step":0,"loss_sum":0.30000000000000004,"log":[]}"#;

    #[test]
    fn the_first_checkpoints_whose_checksum_left_shapes_out_are_still_read() {
        let progress: Progress = serde_json::from_str(PROGRESS).unwrap();
        let raw = raw_of(&[("a".to_string(), Tensor::from_slice(&[1.5f32, 2.0]))]).unwrap();
        let views = views(&raw).unwrap();
        let sha256 = checksum(&progress, &views, false).unwrap();
        let text = serde_json::json!({ "progress": progress, "sha256": sha256 }).to_string();
        let metadata = HashMap::from([(KEY.to_string(), text)]);
        let bytes = safetensors::serialize(views, Some(metadata)).unwrap();
        let (found, tensors) = parse(&bytes).unwrap();
        assert_eq!(found, progress);
        assert_eq!(Vec::<f32>::try_from(&tensors[0].1).unwrap(), [1.5, 2.0]);
    }
}
