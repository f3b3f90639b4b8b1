//! What a pickle of tensors can hold.

use std::rc::Rc;

use tch::Kind;

/// A value; containers by their place in the pickle's arena.
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
    pub(super) fn of_storage(name: &str) -> Option<Element> {
        let name = name.strip_suffix("Storage")?;
        let row = ELEMENTS.iter().find(|(storage, ..)| *storage == name)?;
        Some(Element { width: row.2, kind: row.3 })
    }

    /// By its name in PyTorch.
    pub(super) fn of_type(name: &str) -> Option<Element> {
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

pub(super) enum Container {
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
}
