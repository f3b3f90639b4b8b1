//! The two formats of `torch.save`: a zip archive (since 1.6), and pickles one after another with
//! the storages behind them.

use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read};

use anyhow::{Context, Result, bail, ensure};
use tch::{Kind, Tensor};

use super::pickle::{self, Element, Pickle, TensorRef, Value};

/// The state dict in the bytes of a file: the dictionary itself, or the one called `state_dict`
/// within a larger one, whose other entries (an optimiser's state, counts) are not looked at.
///
/// # Errors
/// Says what is wrong with the file; lists entries that are no tensors.
pub fn parse(bytes: &[u8]) -> Result<Vec<(String, Tensor)>> {
    if bytes.starts_with(b"PK") { parse_zip(bytes) } else { parse_legacy(bytes) }
}

fn parse_zip(bytes: &[u8]) -> Result<Vec<(String, Tensor)>> {
    let mut archive =
        zip::ZipArchive::new(Cursor::new(bytes)).context("it is not a whole zip archive")?;
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
    let state = state_dict(&pickle)?;
    let mut storages = HashMap::new();
    let mut left = bytes.len();
    for (_, tensor) in &state {
        let key = &tensor.storage.key;
        if !storages.contains_key(key.as_str()) {
            let data = entry(&mut archive, &format!("{folder}data/{key}"), left);
            let data = data.with_context(|| format!("storage {key}"))?;
            left -= data.len();
            storages.insert(key.clone(), data);
        }
    }
    let storages = storages.iter().map(|(k, v)| (k.as_str(), v.as_slice()));
    tensors(&state, &storages.collect(), bytes.len())
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

fn parse_legacy(bytes: &[u8]) -> Result<Vec<(String, Tensor)>> {
    const NOT_ONE: &str = "it is neither safetensors nor a file of torch.save";
    ensure!(bytes.starts_with(b"\x80"), NOT_ONE);
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
    let state = state_dict(&data)?;
    let widths: HashMap<&str, usize> = all_storages(&data);
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
    tensors(&state, &storages.collect(), bytes.len())
}

/// Width of the elements of every storage in a pickle.
fn all_storages(pickle: &Pickle) -> HashMap<&str, usize> {
    let storages = pickle.storages();
    storages.map(|storage| (storage.key.as_str(), storage.element.width())).collect()
}

/// The state dict's tensors by name.
fn state_dict(pickle: &Pickle) -> Result<Vec<(String, &TensorRef)>> {
    let whole = pickle.pairs(&pickle.root).context("it holds no dictionary")?;
    let nested = whole.iter().rev().find_map(|(key, value)| match key {
        Value::Text(text) if &**text == "state_dict" => pickle.pairs(value),
        _ => None,
    });
    let mut found = BTreeMap::new();
    let mut others = Vec::new();
    for (key, value) in nested.unwrap_or(whole) {
        match (key, value) {
            (Value::Text(name), Value::Tensor(tensor)) => {
                found.insert(name.to_string(), &**tensor);
            }
            (Value::Text(name), _) => others.push(name.to_string()),
            _ => others.push(format!("{key:?}")),
        }
    }
    ensure!(
        others.is_empty(),
        "{} entries of its state dict are no tensors: {}",
        others.len(),
        others.join(", ")
    );
    ensure!(!found.is_empty(), "its state dict is empty");
    Ok(found.into_iter().collect())
}

/// Bytes of all tensors, by those of the file, at most: tensors may share a storage, but a file
/// in which all share one must not take the square of its size.
const SHARING: usize = 4;

fn tensors(
    state: &[(String, &TensorRef)],
    storages: &HashMap<&str, &[u8]>,
    length: usize,
) -> Result<Vec<(String, Tensor)>> {
    let mut left = SHARING * length;
    let mut named = Vec::new();
    for (name, tensor) in state {
        let data = storages.get(tensor.storage.key.as_str());
        let data = data.with_context(|| format!("{name}: its storage is not in the file"))?;
        let tensor = tensor_of(tensor, data, &mut left).with_context(|| name.clone())?;
        named.push((name.clone(), tensor));
    }
    Ok(named)
}

/// A tensor in its own memory, whatever its strides were; its bytes are taken from those `left`.
fn tensor_of(tensor: &TensorRef, data: &[u8], left: &mut usize) -> Result<Tensor> {
    let TensorRef { offset, size, stride, storage } = tensor;
    ensure!(size.len() == stride.len(), "size {size:?}, stride {stride:?}");
    let width = storage.element.width();
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
    let mut index = vec![0; size.len()];
    for _ in 0..count {
        let at = offset + index.iter().zip(stride).map(|(i, s)| i * s).sum::<usize>();
        bytes.extend_from_slice(&data[at * width..(at + 1) * width]);
        advance(&mut index, size);
    }
    let shape: Vec<i64> = size.iter().map(|&n| n as i64).collect();
    Ok(Tensor::f_from_data_size(&bytes, &shape, kind(storage.element))?)
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

fn kind(element: Element) -> Kind {
    match element {
        Element::F32 => Kind::Float,
        Element::F64 => Kind::Double,
        Element::F16 => Kind::Half,
        Element::BF16 => Kind::BFloat16,
        Element::I64 => Kind::Int64,
        Element::I32 => Kind::Int,
        Element::U8 => Kind::Uint8,
    }
}
