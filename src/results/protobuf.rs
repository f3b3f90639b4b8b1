//! Protocol Buffers, as far as writing needs them: the fields of a message, one after another.
//!
//! prost's derive macro would add a feature to what polars stands on, and these few lines are all
//! that event files and ONNX files need.

/// A message: its encoded fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Message {
    /// A message without fields.
    pub fn new() -> Message {
        Message::default()
    }

    /// Appends an `int32`, `int64` or enumeration.
    #[must_use]
    pub fn integer(mut self, field: u32, value: i64) -> Message {
        self.key(field, 0);
        self.varint(value as u64);
        self
    }

    /// Appends a `float`.
    #[must_use]
    pub fn float(mut self, field: u32, value: f32) -> Message {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Appends a `double`.
    #[must_use]
    pub fn double(mut self, field: u32, value: f64) -> Message {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Appends `bytes`.
    #[must_use]
    pub fn bytes(mut self, field: u32, value: &[u8]) -> Message {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// Appends a `string`.
    #[must_use]
    pub fn text(self, field: u32, value: &str) -> Message {
        self.bytes(field, value.as_bytes())
    }

    /// Appends a message.
    #[must_use]
    pub fn message(self, field: u32, value: &Message) -> Message {
        self.bytes(field, &value.0)
    }

    /// Appends every element of a repeated field.
    #[must_use]
    pub fn each<T>(
        self,
        values: impl IntoIterator<Item = T>,
        append: impl Fn(Message, T) -> Message,
    ) -> Message {
        values.into_iter().fold(self, append)
    }

    /// The encoded message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn key(&mut self, field: u32, wire_type: u64) {
        self.varint(u64::from(field) << 3 | wire_type);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_and_fields_take_seven_bits_a_byte() {
        assert_eq!(Message::new().integer(1, 1).into_bytes(), [0x08, 1]);
        assert_eq!(Message::new().integer(20, 300).into_bytes(), [0xa0, 0x01, 0xac, 0x02]);
    }

    #[test]
    fn negative_numbers_take_ten_bytes() {
        let bytes = Message::new().integer(1, -1).into_bytes();
        assert_eq!(bytes, [8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    }

    #[test]
    fn a_message_in_a_message_has_its_length_before_it() {
        let inner = Message::new().text(1, "ab").float(2, 1.0);
        let outer = Message::new().message(3, &inner).into_bytes();
        assert_eq!(outer, [0x1a, 9, 0x0a, 2, b'a', b'b', 0x15, 0, 0, 0x80, 0x3f]);
    }
}
