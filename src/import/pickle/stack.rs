//! The machine that a pickle drives: the bytes, the stack, and the arena of containers.

use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};

use super::values::{Container, Storage, Value};

/// Items that may be copied, by the bytes of the file. A few bytes name a kept list again, so
/// that a file which does so often would otherwise take the square of its size.
const COPIES: usize = 4;

pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) stack: Vec<Value>,
    /// Heights of the stack at each open mark.
    pub(super) marks: Vec<usize>,
    pub(super) memo: HashMap<u32, Value>,
    pub(super) arena: Vec<Container>,
    pub(super) storages: Vec<Rc<Storage>>,
    /// Items that may still be copied from one container to another.
    copies: usize,
}

impl<'a> Reader<'a> {
    /// At the first byte, with nothing on the stack.
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader {
            bytes,
            at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            arena: Vec::new(),
            storages: Vec::new(),
            copies: COPIES * bytes.len(),
        }
    }

    /// A copy of a list's items; none of another value.
    pub(super) fn list(&mut self, value: &Value) -> Result<Option<Vec<Value>>> {
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

    pub(super) fn keep(&mut self, container: Container) -> Value {
        let place = self.arena.len();
        let is_list = matches!(container, Container::List(_));
        self.arena.push(container);
        if is_list { Value::List(place) } else { Value::Dict(place) }
    }

    pub(super) fn above_mark(&self) -> usize {
        self.stack.len() - self.marks.last().copied().unwrap_or(0)
    }

    pub(super) fn since_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.marks.pop().context("no mark")?;
        Ok(self.stack.split_off(mark))
    }

    pub(super) fn pop(&mut self) -> Result<Value> {
        ensure!(self.above_mark() > 0, "nothing to take");
        self.stack.pop().context("nothing to take")
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        ensure!(length <= rest.len(), "cut short: {length} bytes wanted, {} left", rest.len());
        self.at += length;
        Ok(&rest[..length])
    }

    pub(super) fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(end.context("cut short: a line without an end")? + 1)?;
        std::str::from_utf8(&line[..line.len() - 1]).context("a name that is not UTF-8")
    }
}
