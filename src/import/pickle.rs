//! A reader of the pickles that `torch.save` writes: tensors, containers and plain values. Nothing
//! is executed: whatever names another Python object is refused.
//!
//! Containers lie in one arena and hold only places in it, so neither depth nor repetition in a
//! hostile file can exhaust stack or memory.

use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use tch::Kind;

/// A value; containers by their place in the [`Pickle`].
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`, and what nobody reads.
    None,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A float.
    Float(f64),
    /// Text.
    Text(Rc<str>),
    /// A list or tuple.
    List(usize),
    /// A dictionary.
    Dict(usize),
    /// One of the objects that a state dict may name.
    Global(Global),
    /// The memory of a tensor.
    Storage(Rc<Storage>),
    /// A tensor.
    Tensor(Rc<TensorRef>),
}

/// The objects that a state dict may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3`, whose element type is an argument.
    RebuildTyped,
    /// `torch._utils._rebuild_parameter` and `_rebuild_parameter_with_state`.
    RebuildParameter,
    /// `torch._tensor._rebuild_from_type_v2`, around one of the others.
    RebuildFromType,
    /// The type of a storage.
    Storage(Element),
    /// An element type.
    Type(Element),
    /// What makes a plain value that nobody reads: sets, bytes, sizes, devices and the like.
    Plain,
}

/// Element type of a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Bytes of an element.
    pub width: usize,
    /// LibTorch's name for it; none for a type that no network's state has.
    pub kind: Option<Kind>,
}

/// PyTorch's name of the storage's class, before `Storage`, and of the type; bytes; LibTorch's kind.
/// `-` stands where PyTorch has no such name.
const ELEMENTS: [(&str, &str, usize, Option<Kind>); 22] = [
    ("Float", "float32", 4, Some(Kind::Float)),
    ("Double", "float64", 8, Some(Kind::Double)),
    ("Half", "float16", 2, Some(Kind::Half)),
    ("BFloat16", "bfloat16", 2, Some(Kind::BFloat16)),
    ("Long", "int64", 8, Some(Kind::Int64)),
    ("Int", "int32", 4, Some(Kind::Int)),
    ("Short", "int16", 2, Some(Kind::Int16)),
    ("Char", "int8", 1, Some(Kind::Int8)),
    ("Byte", "uint8", 1, Some(Kind::Uint8)),
    ("Bool", "bool", 1, Some(Kind::Uint8)),
    ("ComplexDouble", "complex128", 16, None),
    ("ComplexFloat", "complex64", 8, None),
    ("-", "complex32", 4, None),
    ("-", "uint64", 8, None),
    ("-", "uint32", 4, None),
    ("-", "uint16", 2, None),
    ("QInt32", "qint32", 4, None),
    ("QInt8", "qint8", 1, None),
    ("QUInt8", "quint8", 1, None),
    ("QUInt4x2", "quint4x2", 1, None),
    ("QUInt2x4", "quint2x4", 1, None),
    ("Untyped", "-", 1, None),
];

/// Beginnings of the names of other types, each of one byte.
const SMALL: [&str; 7] = ["uint", "int", "quint", "qint", "float8_", "float4_", "bits"];

impl Element {
    /// By the name of its storage's class in PyTorch.
    fn of_storage(name: &str) -> Option<Element> {
        let name = name.strip_suffix("Storage")?;
        let row = ELEMENTS.iter().find(|(storage, ..)| *storage == name)?;
        Some(Element { width: row.2, kind: row.3 })
    }

    /// By its name in PyTorch.
    fn of_type(name: &str) -> Option<Element> {
        if let Some(row) = ELEMENTS.iter().find(|(_, known, ..)| *known == name) {
            return Some(Element { width: row.2, kind: row.3 });
        }
        let is_small = SMALL.iter().any(|start| name.starts_with(start));
        is_small.then_some(Element { width: 1, kind: None })
    }
}

/// The memory of a tensor, kept elsewhere in the file.
#[derive(Debug, PartialEq, Eq)]
pub struct Storage {
    /// Its name in the file.
    pub key: String,
    /// Its element type.
    pub element: Element,
}

/// A tensor's place in its storage.
#[derive(Debug, PartialEq, Eq)]
pub struct TensorRef {
    /// The storage.
    pub storage: Rc<Storage>,
    /// Its element type, which is most often the storage's.
    pub element: Element,
    /// First element.
    pub offset: usize,
    /// Its shape.
    pub size: Vec<usize>,
    /// Elements from one index to the next, by dimension.
    pub stride: Vec<usize>,
    /// What is still to be done to the storage's numbers, as PyTorch calls it: `neg`, `conj`.
    pub mark: Option<String>,
}

enum Container {
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
}

/// A pickle that has been read.
pub struct Pickle {
    /// What it holds.
    pub root: Value,
    /// Bytes up to and including its end.
    pub length: usize,
    arena: Vec<Container>,
    storages: Vec<Rc<Storage>>,
}

impl Pickle {
    /// Every storage that the pickle names.
    pub fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.storages.iter().map(|storage| &**storage)
    }

    /// The items of a list or tuple; none for another value.
    pub fn items(&self, value: &Value) -> Option<&[Value]> {
        let Value::List(place) = value else { return None };
        match &self.arena[*place] {
            Container::List(items) => Some(items),
            Container::Dict(_) => None,
        }
    }

    /// The pairs of a dictionary, in order; none for another value.
    pub fn pairs(&self, value: &Value) -> Option<&[(Value, Value)]> {
        let Value::Dict(place) = value else { return None };
        match &self.arena[*place] {
            Container::Dict(pairs) => Some(pairs),
            Container::List(_) => None,
        }
    }
}

/// Reads one pickle from the beginning of `bytes`.
///
/// # Errors
/// Names the byte and what is wrong there: cut short, damaged, or an object that is not allowed.
pub fn read(bytes: &[u8]) -> Result<Pickle> {
    let mut reader = Reader {
        bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        arena: Vec::new(),
        storages: Vec::new(),
        copies: COPIES * bytes.len(),
    };
    loop {
        let at = reader.at;
        let ended = reader.step().with_context(|| format!("pickle, byte {at}"))?;
        if let Some(root) = ended {
            return Ok(Pickle {
                root,
                length: reader.at,
                arena: reader.arena,
                storages: reader.storages,
            });
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Heights of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    arena: Vec<Container>,
    storages: Vec<Rc<Storage>>,
    /// Items that may still be copied from one container to another.
    copies: usize,
}

/// Items that may be copied, by the bytes of the file. A few bytes name a kept list again, so
/// that a file which does so often would otherwise take the square of its size.
const COPIES: usize = 4;

impl<'a> Reader<'a> {
    /// One instruction; the result at the last.
    fn step(&mut self) -> Result<Option<Value>> {
        match self.byte()? {
            b'.' => return Ok(Some(self.pop()?)),
            0x80 => {
                let version = self.byte()?;
                ensure!(version <= 5, "protocol {version} is not known");
            }
            0x95 => {
                self.take(8)?;
            }
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            code @ (b'N' | 0x88 | 0x89 | b'J' | b'K' | b'M' | 0x8a | 0x8b | b'G') => {
                let value = self.number(code)?;
                self.stack.push(value);
            }
            code @ (b'X' | 0x8c | 0x8d | b'U' | b'T') => {
                let text = self.text(code)?;
                self.stack.push(Value::Text(text));
            }
            code @ (b'C' | b'B' | 0x8e | 0x96) => {
                self.bytes(code)?;
                self.stack.push(Value::None);
            }
            code @ (b'}' | b']' | b')' | b't' | 0x85 | 0x86 | 0x87 | b'l' | b'd' | 0x8f | 0x91) => {
                self.container(code)?;
            }
            code @ (b's' | b'u' | b'a' | b'e' | 0x90) => self.fill(code)?,
            code @ (b'q' | b'r' | 0x94 | b'h' | b'j') => self.remember(code)?,
            code @ (b'c' | 0x93 | b'R' | 0x81 | b'b' | b'Q') => self.object(code)?,
            code => bail!(
                "instruction 0x{code:02x} is not one that a file of tensors needs; nothing was executed"
            ),
        }
        Ok(None)
    }

    fn number(&mut self, code: u8) -> Result<Value> {
        Ok(match code {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Value::Int(self.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            b'G' => Value::Float(f64::from_be_bytes(self.array()?)),
            0x8a => {
                let length = self.byte()?.into();
                self.long(length)?
            }
            _ => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                self.long(length)?
            }
        })
    }

    /// A little-endian integer in two's complement. A longer one than any size is not kept.
    fn long(&mut self, length: usize) -> Result<Value> {
        let bytes = self.take(length)?;
        if length > 16 {
            return Ok(Value::None);
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut whole = [if negative { 0xff } else { 0 }; 16];
        whole[..length].copy_from_slice(bytes);
        Ok(Value::Int(i128::from_le_bytes(whole)))
    }

    fn text(&mut self, code: u8) -> Result<Rc<str>> {
        // Names are UTF-8; what else Python takes for text is only to be read past.
        Ok(String::from_utf8_lossy(self.bytes(code)?).into())
    }

    fn bytes(&mut self, code: u8) -> Result<&'a [u8]> {
        let length = match code {
            0x8c | b'U' | b'C' => self.byte()?.into(),
            0x8d | 0x8e | 0x96 => usize::try_from(u64::from_le_bytes(self.array()?))?,
            _ => u32::from_le_bytes(self.array()?) as usize,
        };
        self.take(length)
    }

    fn container(&mut self, code: u8) -> Result<()> {
        let value = match code {
            b'}' => self.keep(Container::Dict(Vec::new())),
            b']' | b')' | 0x8f => self.keep(Container::List(Vec::new())),
            b't' | b'l' | 0x91 => {
                let items = self.since_mark()?;
                self.keep(Container::List(items))
            }
            b'd' => {
                let pairs = pairs_of(self.since_mark()?)?;
                self.keep(Container::Dict(pairs))
            }
            _ => {
                let count = usize::from(code - 0x84);
                ensure!(self.above_mark() >= count, "a tuple of more than there is");
                let items = self.stack.split_off(self.stack.len() - count);
                self.keep(Container::List(items))
            }
        };
        self.stack.push(value);
        Ok(())
    }

    fn fill(&mut self, code: u8) -> Result<()> {
        let added = match code {
            b'u' | b'e' | 0x90 => self.since_mark()?,
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => vec![self.pop()?],
        };
        let place = match self.stack.last() {
            Some(Value::Dict(place) | Value::List(place)) => place,
            // Of a container that nobody reads.
            Some(Value::None) => return Ok(()),
            _ => bail!("an item without its container"),
        };
        match (&mut self.arena[*place], code) {
            (Container::Dict(pairs), b's' | b'u') => pairs.extend(pairs_of(added)?),
            (Container::List(items), b'a' | b'e' | 0x90) => items.extend(added),
            _ => bail!("an item of the wrong kind of container"),
        }
        Ok(())
    }

    fn remember(&mut self, code: u8) -> Result<()> {
        let index = match code {
            b'q' | b'h' => self.byte()?.into(),
            0x94 => u32::try_from(self.memo.len())?,
            _ => u32::from_le_bytes(self.array()?),
        };
        if matches!(code, b'h' | b'j') {
            let value = self.memo.get(&index).context("a value that was not kept")?;
            self.stack.push(value.clone());
        } else {
            let value = self.stack.last().context("nothing to keep")?;
            self.memo.insert(index, value.clone());
        }
        Ok(())
    }

    fn object(&mut self, code: u8) -> Result<()> {
        let value = match code {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                Value::Global(global(module, name)?)
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => Value::Global(global(&module, &name)?),
                _ => bail!("a global without a name"),
            },
            b'R' | 0x81 => {
                let arguments = self.pop()?;
                let function = self.pop()?;
                self.rebuild(&function, &arguments)?
            }
            b'b' => {
                // The attributes of an OrderedDict (torch's `_metadata`), of a tensor or of a plain
                // value are not needed.
                self.pop()?;
                let object = self.pop()?;
                ensure!(
                    matches!(object, Value::Dict(_) | Value::Tensor(_) | Value::None),
                    "an object with attributes that is neither a dictionary nor a tensor"
                );
                object
            }
            _ => {
                let id = self.pop()?;
                self.storage(&id)?
            }
        };
        self.stack.push(value);
        Ok(())
    }

    fn rebuild(&mut self, function: &Value, arguments: &Value) -> Result<Value> {
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
    fn storage(&mut self, id: &Value) -> Result<Value> {
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

    /// A copy of a list's items; none of another value.
    fn list(&mut self, value: &Value) -> Result<Option<Vec<Value>>> {
        let Value::List(place) = value else {
            return Ok(None);
        };
        let Container::List(items) = &self.arena[*place] else {
            return Ok(None);
        };
        let left = self.copies.checked_sub(items.len());
        self.copies = left.context("it repeats more than it holds")?;
        Ok(Some(items.clone()))
    }

    fn keep(&mut self, container: Container) -> Value {
        let place = self.arena.len();
        let is_list = matches!(container, Container::List(_));
        self.arena.push(container);
        if is_list { Value::List(place) } else { Value::Dict(place) }
    }

    fn above_mark(&self) -> usize {
        self.stack.len() - self.marks.last().copied().unwrap_or(0)
    }

    fn since_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.marks.pop().context("no mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn pop(&mut self) -> Result<Value> {
        ensure!(self.above_mark() > 0, "nothing to take");
        self.stack.pop().context("nothing to take")
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        ensure!(length <= rest.len(), "cut short: {length} bytes wanted, {} left", rest.len());
        self.at += length;
        Ok(&rest[..length])
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(end.context("cut short: a line without an end")? + 1)?;
        std::str::from_utf8(&line[..line.len() - 1]).context("a name that is not UTF-8")
    }
}

fn pairs_of(items: Vec<Value>) -> Result<Vec<(Value, Value)>> {
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
fn global(module: &str, name: &str) -> Result<Global> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &[u8]) -> String {
        match read(bytes) {
            Ok(_) => panic!("read"),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn plain_values_are_read() {
        // {'a': [1, 2.5, None]}
        let bytes = b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01]q\x02(K\x01G@\x04\x00\x00\x00\x00\x00\x00Nes.rest";
        let pickle = read(bytes).unwrap();
        assert_eq!(pickle.length, bytes.len() - 4);
        let [(key, list)] = pickle.pairs(&pickle.root).unwrap() else { panic!("one pair") };
        assert_eq!(*key, Value::Text("a".into()));
        let items = pickle.items(list).unwrap();
        assert_eq!(items, [Value::Int(1), Value::Float(2.5), Value::None]);
    }

    #[test]
    fn plain_values_of_every_kind_are_read_past() {
        // Each in a list, before the number 7.
        let values: [&[u8]; 13] = [
            b"c__builtin__\nset\n(]K\x01atR",
            b"cbuiltins\nset\n]\x85R",
            b"\x8f(K\x01K\x02\x90",
            b"(K\x01\x91",
            b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x06\x00\x00\x00latin1\x86R",
            b"C\x02\xff\xfe",
            b"U\x02\xff\xfe",
            b"ctorch\nSize\nK\x01K\x02\x86\x85R",
            b"ctorch\ndevice\nX\x03\x00\x00\x00cpu\x85R",
            b"ctorch\nfloat8_e4m3fn\n",
            b"ccollections\nCounter\n}X\x01\x00\x00\x00aK\x02s\x85R",
            b"c__builtin__\ncomplex\nG\x00\x00\x00\x00\x00\x00\x00\x00G\x00\x00\x00\x00\x00\x00\x00\x00\x86R",
            b"\x8a\x14\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01",
        ];
        for value in values {
            let bytes = [b"\x80\x02](", value, b"K\x07e."].concat();
            let pickle = read(&bytes).unwrap_or_else(|error| panic!("{value:?}: {error:#}"));
            let items = pickle.items(&pickle.root).unwrap();
            assert_eq!((items.len(), &items[1]), (2, &Value::Int(7)), "{value:?}");
        }
    }

    #[test]
    fn a_numpy_scalar_is_refused_with_the_way_to_strip_it() {
        let text = message(b"\x80\x02cnumpy.core.multiarray\nscalar\n.");
        assert!(text.contains("numpy.core.multiarray.scalar"), "{text}");
        assert!(text.contains("keep its tensors alone"), "{text}");
    }

    #[test]
    fn a_call_of_anything_else_is_refused_by_its_name() {
        let text = message(b"cos\nsystem\n(X\x02\x00\x00\x00lstR.");
        assert!(text.contains("it holds os.system"), "{text}");
        let text = message(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.");
        assert!(text.contains("builtins.eval"), "{text}");
        let text = message(b"ios\nsystem\n.");
        assert!(text.contains("instruction 0x69"), "{text}");
    }

    #[test]
    fn every_beginning_of_a_pickle_is_an_error() {
        let bytes =
            b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01]q\x02(K\x01G@\x04\x00\x00\x00\x00\x00\x00Nes.";
        for end in 0..bytes.len() {
            assert!(message(&bytes[..end]).contains("cut short"), "{end}");
        }
    }

    #[test]
    fn a_million_nested_tuples_are_read_and_forgotten() {
        let mut bytes = b"N".to_vec();
        bytes.extend(vec![0x85; 1_000_000]);
        bytes.push(b'.');
        assert!(read(&bytes).is_ok());
    }

    #[test]
    fn a_list_that_is_named_again_and_again_does_not_take_the_square_of_the_file() {
        // A list of 10,000 pairs, kept, and as many calls of OrderedDict with it.
        let mut bytes = b"\x80\x02ccollections\nOrderedDict\nq\x00(".to_vec();
        bytes.extend(b"NN\x86".repeat(10_000));
        bytes.extend(b"lq\x01");
        bytes.extend(b"h\x00h\x01\x85R0".repeat(10_000));
        bytes.extend(b"N.");
        assert!(message(&bytes).contains("repeats more than it holds"));
    }
}
