//! The two formats of `torch.save`: a zip archive (since 1.6), and pickles one after another with
//! the storages behind them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{Cursor, Read};

use anyhow::{Context, Result, bail, ensure};
use tch::Tensor;

use super::names::State;
use super::pickle::{self, Pickle, TensorRef, Value};
use crate::data::hint;

/// Every dictionary of tensors in the bytes of a file, by the key that leads to it. What else the
/// file holds (an optimiser's state, counts, options) is not looked at.
///
/// # Errors
/// Says what is wrong with the file.
pub fn parse(bytes: &[u8]) -> Result<Vec<State>> {
    if bytes.starts_with(b"PK") { parse_zip(bytes) } else { parse_legacy(bytes) }
}

fn parse_zip(bytes: &[u8]) -> Result<Vec<State>> {
    let mut archive =
        zip::ZipArchive::new(Cursor::new(bytes)).context("it is not a whole zip archive")?;
    ensure!(
        !archive.file_names().any(|name| name.ends_with("/constants.pkl")),
        "it is a TorchScript program; in Python, \
         torch.save(torch.jit.load(FILE).state_dict(), \"weights.pth\") keeps its state dict"
    );
    let index = archive
        .file_names()
        .find(|name| *name == "data.pkl" || name.ends_with("/data.pkl"))
        .context("it holds no data.pkl; it was not written by torch.save")?
        .to_string();
    let folder = index.trim_end_matches("data.pkl").to_string();
    if let Ok(order) = entry(&mut archive, &format!("{folder}byteorder"), bytes.len()) {
        ensure!(order == b"little", "its numbers are not little-endian");
    }
    let pickle = pickle::read(&entry(&mut archive, &index, bytes.len())?)?;
    let states = state_dicts(&pickle)?;
    let mut storages = HashMap::new();
    let mut left = bytes.len();
    for (_, tensor) in states.iter().flat_map(|(_, tensors)| tensors) {
        let key = &tensor.storage.key;
        if !storages.contains_key(key.as_str()) {
            let data = entry(&mut archive, &format!("{folder}data/{key}"), left);
            let data = data.with_context(|| format!("storage {key}"))?;
            left -= data.len();
            storages.insert(key.clone(), data);
        }
    }
    let storages = storages.iter().map(|(k, v)| (k.as_str(), v.as_slice()));
    with_tensors(states, &storages.collect(), bytes.len())
}

fn entry<R: Read + std::io::Seek>(
    archive: &mut zip::ZipArchive<R>,
    name: &str,
    limit: usize,
) -> Result<Vec<u8>> {
    let mut file = archive.by_name(name).with_context(|| name.to_string())?;
    // torch.save does not compress, so its entries together are no larger than the file.
    ensure!(
        file.size() <= limit as u64,
        "{name}: {} bytes where the file has {limit}",
        file.size()
    );
    let mut bytes = Vec::new();
    let read = file.by_ref().take(limit as u64).read_to_end(&mut bytes);
    read.with_context(|| name.to_string())?;
    Ok(bytes)
}

/// What old files begin with.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;

fn parse_legacy(bytes: &[u8]) -> Result<Vec<State>> {
    const NOT_ONE: &str = "it is neither safetensors nor a file of torch.save";
    ensure!(bytes.starts_with(b"\x80"), "{NOT_ONE}{}", hint(bytes));
    let magic = pickle::read(bytes).context(NOT_ONE)?;
    ensure!(magic.root == Value::Int(MAGIC), NOT_ONE);
    let mut at = magic.length;
    let mut next = || -> Result<Pickle> {
        let pickle = pickle::read(&bytes[at..])?;
        at += pickle.length;
        Ok(pickle)
    };
    let (_version, _system) = (next()?, next()?);
    let data = next()?;
    let keys = next()?;
    let states = state_dicts(&data)?;
    let widths: HashMap<&str, usize> =
        data.storages().map(|storage| (storage.key.as_str(), storage.element.width)).collect();
    let mut storages = HashMap::new();
    let keys = keys.items(&keys.root).context("no list of storages")?.to_vec();
    for key in &keys {
        let Value::Text(key) = key else { bail!("a storage without a name") };
        let width =
            *widths.get(&**key).with_context(|| format!("storage {key} belongs to no tensor"))?;
        let head =
            bytes.get(at..at + 8).with_context(|| format!("cut short before storage {key}"))?;
        let length = u64::from_le_bytes(head.try_into()?);
        let length = usize::try_from(length)?.checked_mul(width);
        let end = length.and_then(|n| n.checked_add(at + 8));
        let data = end.and_then(|end| bytes.get(at + 8..end));
        let data = data.with_context(|| format!("cut short in storage {key}"))?;
        at += 8 + data.len();
        storages.insert(key.to_string(), data);
    }
    let storages = storages.iter().map(|(k, v)| (k.as_str(), *v));
    with_tensors(states, &storages.collect(), bytes.len())
}

/// A dictionary's key and its tensors by name.
type Found<'a> = (String, BTreeMap<String, &'a TensorRef>);

/// Depth of nested dictionaries in which state dicts are looked for.
const DEPTH: usize = 4;

/// Every dictionary of tensors, the outermost first. Its entries of other types are not looked at.
fn state_dicts(pickle: &Pickle) -> Result<Vec<Found<'_>>> {
    ensure!(pickle.pairs(&pickle.root).is_some(), "it holds no dictionary");
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut level = vec![(String::new(), &pickle.root)];
    for _ in 0..DEPTH {
        let mut below = Vec::new();
        for (path, value) in level {
            let Value::Dict(place) = value else { continue };
            // A dictionary may hold itself.
            if !seen.insert(*place) {
                continue;
            }
            let mut tensors = BTreeMap::new();
            for (key, value) in pickle.pairs(value).unwrap_or_default() {
                let Value::Text(key) = key else { continue };
                match value {
                    Value::Tensor(tensor) if tensor.element.kind.is_some() => {
                        tensors.insert(key.to_string(), &**tensor);
                    }
                    _ if path.is_empty() => below.push((key.to_string(), value)),
                    _ => below.push((format!("{path}.{key}"), value)),
                }
            }
            if !tensors.is_empty() {
                found.push((path, tensors));
            }
        }
        level = below;
    }
    ensure!(
        !found.is_empty(),
        "it holds no state dict with tensors of a floating-point or integer type that is read"
    );
    Ok(found)
}

/// Bytes of all tensors divided by those of the file, at most: tensors may share a storage, but a
/// file in which all share one must not take the square of its size.
const SHARING: usize = 4;

fn with_tensors(
    states: Vec<Found>,
    storages: &HashMap<&str, &[u8]>,
    length: usize,
) -> Result<Vec<State>> {
    let mut left = SHARING * length;
    let mut read = |(name, tensor): (String, &TensorRef)| {
        let data = storages.get(tensor.storage.key.as_str());
        let data = data.with_context(|| format!("{name}: its storage is not in the file"))?;
        let tensor = tensor_of(tensor, data, &mut left).with_context(|| name.clone())?;
        Ok((name, tensor))
    };
    let with_tensors = states.into_iter().map(|(key, tensors)| {
        let tensors = tensors.into_iter().map(&mut read).collect::<Result<_>>()?;
        Ok(State { key, tensors })
    });
    with_tensors.collect()
}

/// A tensor in its own memory, whatever its strides were; its bytes are taken from those `left`.
fn tensor_of(tensor: &TensorRef, data: &[u8], left: &mut usize) -> Result<Tensor> {
    let TensorRef { offset, size, stride, element, mark, .. } = tensor;
    if let Some(mark) = mark {
        bail!(
            "it is marked {mark:?}, so its numbers are not those that the file holds; refused. In Python, \
             tensor.resolve_neg() (or tensor.resolve_conj()) gives it with its own numbers, to be saved anew"
        );
    }
    ensure!(size.len() == stride.len(), "size {size:?}, stride {stride:?}");
    let width = element.width;
    let elements = data.len() / width;
    let count = size.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
    let count = count.filter(|&n| n <= elements);
    let count = count.with_context(|| format!("size {size:?} in a storage of {elements}"))?;
    let rest = left.checked_sub(count * width);
    *left = rest.context("its tensors repeat more than the file holds")?;
    let last = size.iter().zip(stride).try_fold(*offset, |at, (&n, &step)| {
        at.checked_add(n.saturating_sub(1).checked_mul(step)?)
    });
    ensure!(
        count == 0 || last.is_some_and(|last| last < elements),
        "size {size:?}, stride {stride:?}, offset {offset} in a storage of {elements}"
    );
    let mut bytes = Vec::with_capacity(count * width);
    if count > 0 && is_contiguous(size, stride) {
        bytes.extend_from_slice(&data[offset * width..(offset + count) * width]);
    } else {
        let mut index = vec![0; size.len()];
        for _ in 0..count {
            let at = offset + index.iter().zip(stride).map(|(i, s)| i * s).sum::<usize>();
            bytes.extend_from_slice(&data[at * width..(at + 1) * width]);
            advance(&mut index, size);
        }
    }
    let shape: Vec<i64> = size.iter().map(|&n| n as i64).collect();
    let kind = element.kind.context("numbers of a type that is not read")?;
    Ok(Tensor::f_from_data_size(&bytes, &shape, kind)?)
}

fn is_contiguous(size: &[usize], stride: &[usize]) -> bool {
    let mut step = 1;
    size.iter().zip(stride).rev().all(|(&size, &stride)| {
        let is_next = size == 1 || stride == step;
        step *= size;
        is_next
    })
}

/// The next index in row-major order.
fn advance(index: &mut [usize], size: &[usize]) {
    for dimension in (0..index.len()).rev() {
        index[dimension] += 1;
        if index[dimension] < size[dimension] {
            return;
        }
        index[dimension] = 0;
    }
}
