//! Event files that TensorBoard reads: records framed as in TFRecord, each a protobuf `Event` with
//! one scalar. Only the four fields that a scalar needs are written.

use std::path::Path;

use anyhow::Result;

use super::atomic;

/// One number of a curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// Seconds on the clock; TensorBoard's relative axis starts at the first.
    pub seconds: f64,
    /// Epoch.
    pub step: i64,
    /// The curve's name.
    pub tag: String,
    /// Its value.
    pub value: f32,
}

/// Writes an event file of `scalars`.
///
/// # Errors
/// Names the path.
pub fn write(path: &Path, scalars: &[Scalar]) -> Result<()> {
    // Field 3 of Event: the version that a reader looks for first.
    let mut bytes = record(&[double(1, 0.0), text(3, "brain.Event:2")].concat());
    for scalar in scalars {
        bytes.extend(record(&event(scalar)));
    }
    atomic::write(path, &bytes)
}

/// Event { wall_time = 1, step = 2, summary = 5 { value = 1 { tag = 1, simple_value = 2 } } }
fn event(scalar: &Scalar) -> Vec<u8> {
    let mut number = vec![2 << 3 | 5];
    number.extend(scalar.value.to_le_bytes());
    let value = [text(1, &scalar.tag), number].concat();
    let summary = message(1, &value);
    let mut step = vec![2 << 3];
    step.extend(varint(scalar.step as u64));
    [double(1, scalar.seconds), step, message(5, &summary)].concat()
}

fn double(field: u8, value: f64) -> Vec<u8> {
    let mut bytes = vec![field << 3 | 1];
    bytes.extend(value.to_le_bytes());
    bytes
}

fn text(field: u8, value: &str) -> Vec<u8> {
    message(field, value.as_bytes())
}

fn message(field: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![field << 3 | 2];
    bytes.extend(varint(value.len() as u64));
    bytes.extend(value);
    bytes
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Length, its checksum, the data, their checksum.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut bytes = length.to_vec();
    bytes.extend(masked(&length).to_le_bytes());
    bytes.extend(data);
    bytes.extend(masked(data).to_le_bytes());
    bytes
}

/// TFRecord's mask: checksums of data that hold checksums would be weak.
fn masked(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: the files are small.
fn crc32c(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in data {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let carry = if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
            crc = crc >> 1 ^ carry;
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn long_numbers_take_seven_bits_a_byte() {
        assert_eq!(varint(1), [1]);
        assert_eq!(varint(300), [0xac, 0x02]);
    }

    #[test]
    fn a_scalar_is_a_message_of_its_fields() {
        let scalar = Scalar { seconds: 0.0, step: 3, tag: "loss".to_owned(), value: 1.0 };
        let expected = [
            &[0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 3, 0x2a, 13, 0x0a, 11, 0x0a, 4][..],
            b"loss",
            &[0x15, 0, 0, 0x80, 0x3f],
        ]
        .concat();
        assert_eq!(event(&scalar), expected);
    }
}
