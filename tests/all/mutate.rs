//! Damage to bytes, drawn from a seeded generator: the same seed gives the same damage everywhere.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A generator whose stream is fixed by its specification.
pub fn generator(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// A number below `bound`, which is above 0.
pub fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    (rng.next_u64() % bound as u64) as usize
}

/// One corruption of `bytes`: a few bits or bytes are changed, but never none.
pub fn corrupted(bytes: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for _ in 0..1 + below(rng, 3) {
        let at = below(rng, bytes.len());
        damaged[at] = match below(rng, 3) {
            0 => damaged[at] ^ (1 << below(rng, 8)),
            1 => [0, 1, 0x7f, 0x80, 0xff][below(rng, 5)],
            _ => rng.next_u64() as u8,
        };
    }
    if damaged == bytes {
        damaged[0] ^= 1;
    }
    damaged
}

/// Words that readers stumble over.
const WORDS: &[&str] = &[
    "0",
    "-1",
    "1",
    "2",
    "3",
    "65536",
    "4000000000",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "1e9",
    "1e308",
    "1e-308",
    ".nan",
    ".inf",
    "-.inf",
    "NaN",
    "null",
    "~",
    "true",
    "''",
    "[]",
    "{}",
    "[",
    "{",
    "]",
    "}",
    "&a",
    "*a",
    "!!binary",
    "<<",
    "|",
    ">",
    "---",
    ": ",
    "- ",
    ",",
    "\n",
    "\t",
    "\u{0}",
    "é",
    "\u{feff}",
    "\"",
    "\\u0000",
];

/// `input` changed as a fuzzer does: bits, bytes, chunks, words, numbers, and pieces of `other`.
pub fn mutated(input: &[u8], other: &[u8], text: bool, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 + below(rng, 4) {
        if bytes.is_empty() {
            bytes.extend_from_slice(other);
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
        let (at, length) = (below(rng, bytes.len()), 1 + below(rng, 24));
        let end = (at + length).min(bytes.len());
        match below(rng, if text { 11 } else { 8 }) {
            0 => bytes[at] ^= 1 << below(rng, 8),
            1 => bytes[at] = rng.next_u64() as u8,
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][below(rng, 5)],
            3 => drop(bytes.drain(at..end)),
            4 => {
                let chunk = bytes[at..end].to_vec();
                let times = 1 << below(rng, 6);
                bytes.splice(at..at, chunk.repeat(times));
            }
            5 => bytes.truncate(at),
            6 if !other.is_empty() => {
                let from = below(rng, other.len());
                let piece = other[from..(from + length * 4).min(other.len())].to_vec();
                bytes.splice(at..end, piece);
            }
            7 => {
                let word = [0u32, 1, 0x7fff_ffff, u32::MAX][below(rng, 4)].to_be_bytes();
                bytes.splice(at..end.min(at + 4), word);
            }
            8 => {
                let word = WORDS[below(rng, WORDS.len())].as_bytes().to_vec();
                bytes.splice(at..at, word);
            }
            _ => replace_a_number(&mut bytes, rng),
        }
    }
    bytes
}

fn replace_a_number(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    let starts: Vec<usize> = (0..bytes.len())
        .filter(|&i| bytes[i].is_ascii_digit() && (i == 0 || !bytes[i - 1].is_ascii_digit()))
        .collect();
    if starts.is_empty() {
        return;
    }
    let start = starts[below(rng, starts.len())];
    let length = bytes[start..].iter().take_while(|b| b.is_ascii_digit()).count();
    let word = match below(rng, 2) {
        0 => WORDS[below(rng, WORDS.len())].to_string(),
        _ => below(rng, 200).to_string(),
    };
    bytes.splice(start..start + length, word.into_bytes());
}
