//! Settings that nothing would read: whoever writes one expects it to do something.

/// A key that is not read beside other choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The dotted key.
    pub key: String,
    /// What it does not fit, as in `the model mf`.
    pub beside: String,
    /// What the user can do.
    pub todo: &'static str,
    /// The key that makes it void; empty where none does.
    pub because_of: String,
}

impl Unread {
    /// `key does not fit beside; todo`.
    pub fn new(
        key: impl Into<String>,
        beside: impl Into<String>,
        todo: &'static str,
        because_of: impl Into<String>,
    ) -> Self {
        Unread { key: key.into(), beside: beside.into(), todo, because_of: because_of.into() }
    }
}
