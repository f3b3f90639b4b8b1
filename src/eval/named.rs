//! What people call things: names of closed lists, labels of open ones.

/// Writes a type of a closed list by the `name` of its member, and reads it back. Wants `ALL` and
/// `name` of the type; `$what` is what an error calls it.
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
pub(crate) use by_name;

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
