//! Files that repeat themselves: a few kilobytes of YAML whose anchors are named again and again
//! stand for more values than any memory holds.

use std::cell::Cell;
use std::fmt;

use anyhow::{Result, ensure};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// Values of a file with every anchor written out, at most. The largest experiment has hundreds.
const MOST: u32 = 100_000;

/// Counts the values before any is kept.
///
/// # Errors
/// When there are too many; other mistakes are left to whoever reads the file.
pub fn check_repeats(text: &str) -> Result<()> {
    let left = Cell::new(MOST);
    let _ = Count(&left).deserialize(serde_yaml::Deserializer::from_str(text));
    ensure!(
        left.get() > 0,
        "the file stands for more than {MOST} values: its anchors (&) are named (*) too often"
    );
    Ok(())
}

/// One value, taken off what is left.
#[derive(Clone, Copy)]
struct Count<'a>(&'a Cell<u32>);

impl<'de> DeserializeSeed<'de> for Count<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.set(self.0.get().saturating_sub(1));
        if self.0.get() == 0 {
            return Err(D::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

macro_rules! plain {
    ($($visit:ident: $type:ty),+) => {
        $(fn $visit<E>(self, _: $type) -> Result<(), E> {
            Ok(())
        })+
    };
}

impl<'de> Visitor<'de> for Count<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    plain! { visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        while pairs.next_entry_seed(self, self)?.is_some() {}
        Ok(())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<(), A::Error> {
        let ((), value) = tagged.variant_seed(self)?;
        value.newtype_variant_seed(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_that_stands_for_billions_of_values_is_refused() {
        let text = format!(
            "a: &a [{}]\nb: &b [{}]\nc: &c [{}]\nd: [{}]\n",
            "1, ".repeat(1000),
            "*a, ".repeat(60),
            "*b, ".repeat(60),
            "*c, ".repeat(60)
        );
        let error = check_repeats(&text).unwrap_err().to_string();
        assert!(error.contains("anchors (&)"), "{error}");
    }

    #[test]
    fn anchors_of_ordinary_use_and_broken_files_pass() {
        for text in ["a: &a { b: 1 }\nc: *a\n", "a: !tag { b: 1 }\n", "a: [", ""] {
            assert!(check_repeats(text).is_ok(), "{text}");
        }
    }
}
