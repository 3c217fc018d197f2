//! The scanned document and the cursor over it.

use std::ops::Range;

/// Where a value lies. The children of a container follow it in the table, a dictionary's as key, value, key, value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    /// Offset of its first byte.
    pub(super) start: u32,
    /// Offset past its last byte.
    pub(super) end: u32,
    /// The number of the token after it and all that is inside it.
    pub(super) next: u32,
}

impl Token {
    fn span<'b>(&self, input: &'b [u8]) -> &'b [u8] {
        &input[self.start as usize..self.end as usize]
    }

    /// The content of a string token.
    pub(super) fn payload<'b>(&self, input: &'b [u8]) -> &'b [u8] {
        string_payload(self.span(input))
    }
}

/// What follows the colon of an encoded string.
pub(super) fn string_payload(span: &[u8]) -> &[u8] {
    let colon =
        span.iter().position(|byte| *byte == b':').expect("the scanner saw the colon of every string");
    &span[colon + 1..]
}

/// A scanned value and everything inside it; it borrows the bytes that it was scanned from.
#[derive(Clone, Debug)]
pub struct Document<'b> {
    input: &'b [u8],
    /// Invariant: as the scanner leaves it, never empty.
    tokens: Vec<Token>,
}

impl<'b> Document<'b> {
    pub(super) fn new(input: &'b [u8], tokens: Vec<Token>) -> Self {
        assert!(!tokens.is_empty(), "a scan that succeeds has read a value");
        Self { input, tokens }
    }

    /// The outermost value.
    pub fn root(&self) -> Node<'_, 'b> {
        Node { document: self, token: 0 }
    }
}

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A byte string.
    Bytes,
    /// An integer of any size.
    Int,
    /// A list.
    List,
    /// A dictionary.
    Dict,
}

/// A cursor on one value of a [`Document`] `'d` over input `'b`. The slices that it gives live as long as the input.
#[derive(Clone, Copy, Debug)]
pub struct Node<'d, 'b> {
    document: &'d Document<'b>,
    token: u32,
}

impl<'d, 'b> Node<'d, 'b> {
    fn token(&self) -> Token {
        self.document.tokens[self.token as usize]
    }

    /// The encoded bytes of this value, exactly as they arrived.
    pub fn span(&self) -> &'b [u8] {
        self.token().span(self.document.input)
    }

    /// Where [`Self::span`] lies in the scanned input.
    pub fn range(&self) -> Range<usize> {
        let token = self.token();
        token.start as usize..token.end as usize
    }

    /// What this value is.
    pub fn kind(&self) -> Kind {
        match self.span()[0] {
            b'i' => Kind::Int,
            b'l' => Kind::List,
            b'd' => Kind::Dict,
            _ => Kind::Bytes,
        }
    }

    /// The content of a byte string.
    pub fn as_bytes(&self) -> Option<&'b [u8]> {
        (self.kind() == Kind::Bytes).then(|| string_payload(self.span()))
    }

    /// The content of a byte string that is UTF-8.
    pub fn as_str(&self) -> Option<&'b str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The value of an integer that fits.
    pub fn as_int(&self) -> Option<i64> {
        let digits = self.span().strip_prefix(b"i")?.strip_suffix(b"e")?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// This value as a list.
    pub fn as_list(&self) -> Option<List<'d, 'b>> {
        (self.kind() == Kind::List).then(|| List(self.children()))
    }

    /// This value as a dictionary.
    pub fn as_dict(&self) -> Option<Dict<'d, 'b>> {
        (self.kind() == Kind::Dict).then(|| Dict(self.children()))
    }

    /// The value under `key` when this is a dictionary that has it.
    pub fn get(&self, key: &[u8]) -> Option<Self> {
        self.as_dict()?.get(key)
    }

    fn children(&self) -> Children<'d, 'b> {
        Children { document: self.document, token: self.token + 1, end: self.token().next }
    }
}

/// The values directly inside a container, in order.
#[derive(Clone, Debug)]
struct Children<'d, 'b> {
    document: &'d Document<'b>,
    token: u32,
    end: u32,
}

impl<'d, 'b> Iterator for Children<'d, 'b> {
    type Item = Node<'d, 'b>;

    fn next(&mut self) -> Option<Self::Item> {
        let node = (self.token < self.end).then_some(Node { document: self.document, token: self.token })?;
        self.token = node.token().next;
        Some(node)
    }
}

/// A list.
#[derive(Clone, Debug)]
pub struct List<'d, 'b>(Children<'d, 'b>);

impl<'d, 'b> List<'d, 'b> {
    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = Node<'d, 'b>> + Clone + use<'d, 'b> {
        self.0.clone()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.0.token == self.0.end
    }
}

/// A dictionary; no two of its keys are equal.
#[derive(Clone, Debug)]
pub struct Dict<'d, 'b>(Children<'d, 'b>);

impl<'d, 'b> Dict<'d, 'b> {
    /// The pairs in the order of the input, which need not be sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&'b [u8], Node<'d, 'b>)> + Clone + use<'d, 'b> {
        let mut children = self.0.clone();
        std::iter::from_fn(move || {
            let key = children.next()?.as_bytes()?;
            Some((key, children.next()?))
        })
    }

    /// The value under `key`. Takes time linear in the number of pairs.
    pub fn get(&self, key: &[u8]) -> Option<Node<'d, 'b>> {
        self.iter().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.0.token == self.0.end
    }
}
