//! Names that people choose, in Markdown (CommonMark with GitHub's tables).

/// A text in a heading or a table's cell: shown letter by letter, on one line.
pub fn text(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut escaped = String::with_capacity(text.len());
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(at + 1).copied();
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let is_special = match letter {
            '\\' | '`' | '*' | '~' | '|' | '$' => true,
            '_' => !(is_word(before) && is_word(after)),
            // A link's text ends here; brackets alone, as of an interval, are plain.
            ']' => matches!(after, Some('(' | '[' | ':')),
            '<' => is_word(after) || matches!(after, Some('/' | '!' | '?')),
            '&' => is_word(after) || after == Some('#'),
            '#' => before.is_none() || after.is_none(),
            _ => false,
        };
        if is_special {
            escaped.push('\\');
        }
        match letter {
            '\n' | '\r' | '\t' => escaped.push(' '),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A relative path as the target of a link.
pub fn target(path: &str) -> String {
    let mut target = String::with_capacity(path.len());
    for letter in path.chars() {
        // RFC 3986, section 2.3, and the slash of a path. Letters beyond ASCII are read as they are.
        if letter.is_alphanumeric() || "-._~/".contains(letter) {
            target.push(letter);
        } else {
            let mut bytes = [0; 4];
            let bytes = letter.encode_utf8(&mut bytes).bytes();
            bytes.for_each(|byte| target.push_str(&format!("%{byte:02X}")));
        }
    }
    target
}

/// The anchor that GitHub gives a heading: letters in lower case, spaces as dashes, no punctuation.
pub fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c => c.is_alphanumeric().then_some(c),
    });
    target(&kept.flat_map(char::to_lowercase).collect::<String>())
}

/// A link to a heading of the same page.
pub fn heading_link(heading: &str) -> String {
    format!("[{}](#{})", text(heading), anchor(heading))
}

/// A table under a head such as `figure | seeds`; the cells are Markdown already.
pub fn table<Row: AsRef<[String]>>(head: &str, rows: impl IntoIterator<Item = Row>) -> String {
    let rule = vec!["---"; head.split(" | ").count()].join(" | ");
    let rows = rows.into_iter().map(|row| row.as_ref().join(" | "));
    let lines = [head.to_string(), rule].into_iter().chain(rows);
    lines.map(|cells| format!("| {cells} |\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ordinary_use_stay_as_they_are() {
        for name in
            ["ResNet (6 classifiers)", "my_net-2.0", "0.07 [-0.1, 0.2]", "a < b & c", "grün"]
        {
            assert_eq!(text(name), name);
        }
    }

    #[test]
    fn what_markdown_would_take_for_its_own_is_escaped() {
        for (name, escaped) in [
            ("[a](b)", r"[a\](b)"),
            ("<b>", r"\<b>"),
            ("<!-- x", r"\<!-- x"),
            ("DenseNet*", r"DenseNet\*"),
            ("a|b", r"a\|b"),
            ("`a` $x$", r"\`a\` \$x\$"),
            ("_a_", r"\_a\_"),
            ("&lt;", r"\&lt;"),
            ("a\nb\u{7}", "a b\u{fffd}"),
        ] {
            assert_eq!(text(name), escaped);
        }
    }

    #[test]
    fn a_path_is_one_target_and_a_heading_has_githubs_anchor() {
        assert_eq!(target("my exp/figure.png"), "my%20exp/figure.png");
        assert_eq!(target("a(b)<c>%#?"), "a%28b%29%3Cc%3E%25%23%3F");
        assert_eq!(target("anytime-cifar100-cpu/figure.png"), "anytime-cifar100-cpu/figure.png");
        assert_eq!(anchor("My exp (2)"), "my-exp-2");
        assert_eq!(anchor("anytime-cifar100-cpu"), "anytime-cifar100-cpu");
    }
}
