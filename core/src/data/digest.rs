//! A data set's fingerprint.

use anyhow::Result;
use sha2::{Digest, Sha256};
use tch::{Device, Tensor};

use super::Images;

/// Images copied out of a tensor at a time.
const CHUNK: i64 = 1024;

/// SHA-256, in hexadecimal, over the number of classes and the shape (as text), the pixels in row-major order and
/// the labels (little-endian int64). It does not depend on the device.
///
/// # Errors
/// When a tensor cannot be read.
pub fn digest(images: &Images) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(format!("{} {:?}\n", images.classes, images.pixels.size()));
    for_each_chunk(&images.pixels, |bytes| hash.update(bytes))?;
    for_each_chunk(&images.labels, |bytes| hash.update(bytes))?;
    Ok(hex(&hash.finalize()))
}

/// Calls `f` with the bytes of up to [`CHUNK`] rows at a time, in order.
pub(super) fn for_each_chunk(tensor: &Tensor, mut f: impl FnMut(&[u8])) -> Result<()> {
    for rows in tensor.f_split(CHUNK, 0)? {
        let rows = rows.f_to(Device::Cpu)?.f_contiguous()?;
        let mut bytes = vec![0; rows.numel() * rows.f_kind()?.elt_size_in_bytes()];
        rows.f_copy_data_u8(&mut bytes, rows.numel())?;
        f(&bytes);
    }
    Ok(())
}

/// Bytes as lower-case hexadecimal digits, two a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Raw;

    fn images(labels: &[u8], change: Option<usize>) -> Images {
        let mut pixels: Vec<u8> = (0..labels.len() * 4).map(|i| (i % 256) as u8).collect();
        if let Some(at) = change {
            pixels[at] ^= 1;
        }
        let raw = Raw { pixels, labels: labels.to_vec(), channels: 1, side: 2, classes: 3 };
        Images::try_from(raw).unwrap()
    }

    #[test]
    fn a_digest_is_the_sha256_of_header_pixels_and_labels() {
        let mut hash = Sha256::new();
        hash.update(b"3 [2, 1, 2, 2]\n");
        hash.update([0, 1, 2, 3, 4, 5, 6, 7]);
        hash.update([2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(digest(&images(&[2, 1], None)).unwrap(), hex(&hash.finalize()));
    }

    #[test]
    fn a_change_of_any_pixel_or_label_changes_the_digest() {
        let labels = vec![0; 1500];
        let before = digest(&images(&labels, None)).unwrap();
        assert_eq!(before.len(), 64);
        assert_ne!(before, digest(&images(&labels, Some(0))).unwrap());
        assert_ne!(before, digest(&images(&labels, Some(5999))).unwrap());
        let mut other = labels;
        other[1499] = 1;
        assert_ne!(before, digest(&images(&other, None)).unwrap());
    }
}
