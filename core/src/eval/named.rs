//! Names of closed lists, and the values of a list, each once.

/// A closed list: `ALL`, the `name` of each member, and [`by_name`]. `$what` is what an error calls
/// a member.
#[doc(hidden)]
#[macro_export]
macro_rules! named {
    ($type:ident, $what:literal: $($member:ident = $name:literal),+ $(,)?) => {
        impl $type {
            /// All, in the order of the documentation.
            pub const ALL: [$type; [$($name),+].len()] = [$($type::$member),+];

            /// Its name in options, files and tables.
            pub fn name(self) -> &'static str {
                match self {
                    $($type::$member => $name),+
                }
            }
        }

        $crate::by_name!($type, $what);
    };
}

/// Writes a member of a closed list by its `name`, and reads it back. Wants `ALL` and `name`.
#[doc(hidden)]
#[macro_export]
macro_rules! by_name {
    ($type:ty, $what:literal) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = anyhow::Error;

            fn from_str(name: &str) -> anyhow::Result<Self> {
                let found = Self::ALL.into_iter().find(|one| one.name() == name);
                found.ok_or_else(|| {
                    let known = Self::ALL.map(|one| format!("`{}`", one.name())).join(", ");
                    anyhow::anyhow!("unknown {} `{name}`: one of {known}", $what)
                })
            }
        }
    };
}

/// Each value once, in the order of first occurrence.
pub fn unique<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}
