//! The objects that a pickle of tensors may name, and what a call of one gives.

use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::stack::Reader;
use super::values::{Container, Element, Global, Storage, TensorRef, Value};

impl Reader<'_> {
    pub(super) fn rebuild(&mut self, function: &Value, arguments: &Value) -> Result<Value> {
        let arguments = self.list(arguments)?.context("arguments that are no tuple")?;
        match (function, &arguments[..]) {
            (Value::Global(Global::OrderedDict), []) => Ok(self.keep(Container::Dict(Vec::new()))),
            (Value::Global(Global::OrderedDict), [items]) => {
                let mut pairs = Vec::new();
                for item in self.list(items)?.context("OrderedDict of no list")? {
                    pairs.extend(pairs_of(self.list(&item)?.context("no pair")?)?);
                }
                Ok(self.keep(Container::Dict(pairs)))
            }
            // After the strides: whether it wants a gradient, its hooks, and what else there is to it.
            (Value::Global(Global::RebuildTensor), [storage, offset, size, stride, rest @ ..]) => {
                let mark = self.mark(rest.get(2));
                self.tensor(storage, offset, (size, stride), None, mark)
            }
            (
                Value::Global(Global::RebuildTyped),
                [
                    storage,
                    offset,
                    size,
                    stride,
                    _,
                    _,
                    Value::Global(Global::Type(element)),
                    rest @ ..,
                ],
            ) => {
                let mark = self.mark(rest.first());
                self.tensor(storage, offset, (size, stride), Some(*element), mark)
            }
            (Value::Global(Global::RebuildParameter), [tensor @ Value::Tensor(_), ..]) => {
                Ok(tensor.clone())
            }
            (
                Value::Global(Global::RebuildFromType),
                [function @ Value::Global(inner), _, arguments, ..],
            ) if *inner != Global::RebuildFromType => self.rebuild(function, arguments),
            // `torch.nn.Parameter(tensor)` is that tensor.
            (Value::Global(Global::Plain), [tensor @ Value::Tensor(_), ..]) => Ok(tensor.clone()),
            (Value::Global(Global::Plain), _) => Ok(Value::None),
            _ => bail!("a call of {function:?} that makes no tensor; nothing was executed"),
        }
    }

    fn tensor(
        &mut self,
        storage: &Value,
        offset: &Value,
        (size, stride): (&Value, &Value),
        element: Option<Element>,
        mark: Option<String>,
    ) -> Result<Value> {
        let Value::Storage(storage) = storage else { bail!("a tensor without a storage") };
        Ok(Value::Tensor(Rc::new(TensorRef {
            storage: storage.clone(),
            element: element.unwrap_or(storage.element),
            offset: natural(offset)?,
            size: self.naturals(size)?.context("a tensor's size")?,
            stride: self.naturals(stride)?.context("a tensor's stride")?,
            mark,
        })))
    }

    /// The first entry of a tensor's metadata that is true.
    fn mark(&self, metadata: Option<&Value>) -> Option<String> {
        let Some(Value::Dict(place)) = metadata else { return None };
        let Container::Dict(pairs) = &self.arena[*place] else { return None };
        let (key, _) = pairs.iter().find(|(_, value)| matches!(value, Value::Bool(true)))?;
        let Value::Text(name) = key else { return Some(String::new()) };
        Some(name.to_string())
    }

    /// `('storage', type, key, location, length)`, and in old files one entry more.
    pub(super) fn storage(&mut self, id: &Value) -> Result<Value> {
        let parts = self.list(id)?.context("a persistent id that is no tuple")?;
        match &parts[..] {
            [
                Value::Text(what),
                Value::Global(Global::Storage(element)),
                Value::Text(key),
                _,
                Value::Int(_),
                rest @ ..,
            ] if &**what == "storage" && matches!(rest, [] | [Value::None]) => {
                let storage = Rc::new(Storage { key: key.to_string(), element: *element });
                self.storages.push(storage.clone());
                Ok(Value::Storage(storage))
            }
            _ => bail!("a persistent id that is no storage"),
        }
    }

    fn naturals(&mut self, value: &Value) -> Result<Option<Vec<usize>>> {
        let values = self.list(value)?;
        Ok(values.and_then(|values| values.iter().map(|v| natural(v).ok()).collect()))
    }
}

pub(super) fn pairs_of(items: Vec<Value>) -> Result<Vec<(Value, Value)>> {
    ensure!(items.len().is_multiple_of(2), "a key without a value");
    let mut items = items.into_iter();
    let mut pairs = Vec::new();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    Ok(pairs)
}

fn natural(value: &Value) -> Result<usize> {
    match value {
        Value::Int(n) => usize::try_from(*n).context("a number that is no size"),
        _ => bail!("no number"),
    }
}

/// The objects that `torch.load(weights_only=True)` allows, by the names that Python 2 and 3 give
/// them.
pub(super) fn global(module: &str, name: &str) -> Result<Global> {
    let refused = || {
        anyhow!(
            "it holds {module}.{name}, which is neither a tensor nor a plain value; refused, nothing was executed. \
             Where you trust the file, keep its tensors alone, in Python: x = torch.load(FILE, weights_only=False); \
             where x is a module, x = x.state_dict(); where the weights are under a key, x = x[KEY]; then \
             torch.save({{k: v for k, v in x.items() if torch.is_tensor(v)}}, \"weights.pth\")"
        )
    };
    Ok(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v3") => Global::RebuildTyped,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            Global::RebuildParameter
        }
        ("torch._tensor", "_rebuild_from_type_v2") => Global::RebuildFromType,
        // Sparse, quantised, nested tensors and those without memory: no network's state has one.
        ("torch._utils", name) if name.starts_with("_rebuild_") => Global::Plain,
        ("collections", "Counter")
        | ("_codecs", "encode")
        | ("torch.nn.parameter", "Parameter")
        | ("torch.serialization", "_get_layout")
        | ("torch", "Size" | "Tensor" | "device") => Global::Plain,
        ("builtins" | "__builtin__", "bytearray" | "set" | "frozenset" | "complex") => {
            Global::Plain
        }
        ("torch", name) if name.starts_with("per_tensor_") || name.starts_with("per_channel_") => {
            Global::Plain
        }
        ("torch" | "torch.cuda" | "torch.storage", name) if name.ends_with("Storage") => {
            Global::Storage(Element::of_storage(name).ok_or_else(refused)?)
        }
        ("torch", name) => Global::Type(Element::of_type(name).ok_or_else(refused)?),
        _ => return Err(refused()),
    })
}
