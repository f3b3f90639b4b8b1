//! A reader of the pickles that `torch.save` writes: tensors, containers and plain values. Nothing
//! is executed: whatever names another Python object is refused.
//!
//! Containers lie in one arena and hold only places in it, so neither depth nor repetition in a
//! hostile file can exhaust stack or memory.

mod objects;
mod stack;
mod values;

use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};

use objects::{global, pairs_of};
use stack::Reader;
use values::{Container, Storage};
pub use values::{TensorRef, Value};

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
    let mut reader = Reader::new(bytes);
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
