//! What a file is, when it is not what its name says.

/// A guess from the first bytes: "a PNG image", "an HTML page", ... `None` when nothing is recognised.
fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    const PICKLE: &str =
        "a Python pickle (the data set's Python version; the binary version is needed)";
    let known: [(&[u8], &str); 12] = [
        (b"\x89PNG", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"GIF8", "a GIF image"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"BZh", "a bzip2 archive"),
        (b"\xfd7zXZ", "an xz archive"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x80\x02}", PICKLE),
        (b"\x80\x04\x95", PICKLE),
        (b"\x00\x00\x08\x03", "an IDX file of images"),
        (b"\x00\x00\x08\x01", "an IDX file of labels"),
        (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    ];
    if let Some((_, kind)) = known.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some(kind);
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Some("a tar archive");
    }
    let start = bytes[..bytes.len().min(512)].trim_ascii_start();
    let lower = start.to_ascii_lowercase();
    if lower.starts_with(b"<!doctype html")
        || lower.starts_with(b"<html")
        || lower.starts_with(b"<?xml")
    {
        return Some("an HTML or XML page");
    }
    let text = |b: &u8| b.is_ascii_graphic() || b.is_ascii_whitespace();
    (start.len() >= 16 && start.iter().all(text)).then_some("a text file")
}

/// The same as the end of a sentence: `; it is a PNG image`, `; the file is empty`, or nothing.
pub fn hint(bytes: &[u8]) -> String {
    match kind_of(bytes) {
        _ if bytes.is_empty() => "; the file is empty".to_string(),
        Some(kind) => format!("; it is {kind}"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_wrong_files_are_recognised() {
        assert_eq!(kind_of(b"\x89PNG\r\n\x1a\n"), Some("a PNG image"));
        assert_eq!(kind_of(b"\x1f\x8b\x08\x00"), Some("a gzip archive"));
        assert_eq!(kind_of(b"\n <!DOCTYPE html><html>"), Some("an HTML or XML page"));
        assert_eq!(kind_of(b"404: there is no such file here"), Some("a text file"));
        assert_eq!(hint(b""), "; the file is empty");
        assert_eq!(kind_of(&[7, 200, 3, 9, 250, 0, 1]), None);
    }
}
