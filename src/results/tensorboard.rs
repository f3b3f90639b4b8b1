//! Event files that TensorBoard reads: records framed as in TFRecord, each a protobuf `Event` with
//! one scalar. Only the four fields that a scalar needs are written.

use std::path::Path;

use anyhow::Result;

use super::atomic;
use super::protobuf::Message;

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
    let version = Message::new().double(1, 0.0).text(3, "brain.Event:2");
    let mut bytes = record(&version.into_bytes());
    for scalar in scalars {
        bytes.extend(record(&event(scalar)));
    }
    atomic::write(path, &bytes)
}

/// Event { wall_time = 1, step = 2, summary = 5 { value = 1 { tag = 1, simple_value = 2 } } }
fn event(scalar: &Scalar) -> Vec<u8> {
    let value = Message::new().text(1, &scalar.tag).float(2, scalar.value);
    let summary = Message::new().message(1, &value);
    let event = Message::new().double(1, scalar.seconds).integer(2, scalar.step);
    event.message(5, &summary).into_bytes()
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
