//! The scanner: one pass over the input, a stack of its own, and a table of where each value lies.

use std::cmp::Ordering;

use super::{
    BencodeError, ErrorKind, Limits, Mode,
    node::{Document, Token, string_payload},
};

/// Scans the one value that `bytes` is; in lenient mode line ends may follow it.
///
/// Linear in the input (a dictionary with unsorted keys costs one sort of them); the table it builds takes 12 bytes
/// per value.
pub fn parse<'b>(bytes: &'b [u8], limits: &Limits) -> Result<Document<'b>, BencodeError> {
    let end = match limits.mode {
        Mode::Strict => bytes.len(),
        Mode::Lenient => bytes.iter().rposition(|byte| !b"\r\n".contains(byte)).map_or(0, |last| last + 1),
    };
    if end > limits.bytes {
        return Err(BencodeError { position: limits.bytes, kind: ErrorKind::Bytes(limits.bytes) });
    }
    // Line ends may also be the last bytes of a string, so the scan sees them; only what is left over is judged.
    let (document, consumed) = parse_prefix(bytes, limits)?;
    if consumed < end || (limits.mode == Mode::Strict && consumed < bytes.len()) {
        return Err(BencodeError { position: consumed, kind: ErrorKind::TrailingData });
    }
    Ok(document)
}

/// Scans the value at the front of `bytes` and says how many bytes it takes; anything may follow it, as in a
/// `ut_metadata` message.
pub fn parse_prefix<'b>(bytes: &'b [u8], limits: &Limits) -> Result<(Document<'b>, usize), BencodeError> {
    let bytes_max = limits.bytes.min(u32::MAX as usize);
    let input = &bytes[..bytes.len().min(bytes_max)];
    let scanner =
        Scanner { input, limits, position: 0, tokens: Vec::new(), open: Vec::new(), forgets: false };
    scanner.run().map_err(|error| match error.kind {
        // What looks cut short was cut by us.
        ErrorKind::UnexpectedEnd | ErrorKind::StringPastEnd if input.len() < bytes.len() => {
            BencodeError { position: bytes_max, kind: ErrorKind::Bytes(bytes_max) }
        }
        _ => error,
    })
}

/// Checks that `bytes`, of which a scan within `limits` has succeeded, are the canonical encoding of their value. Makes
/// no table.
pub(crate) fn check_canonical(bytes: &[u8], limits: Limits) -> Result<(), BencodeError> {
    let limits = &limits.strict();
    let scanner =
        Scanner { input: bytes, limits, position: 0, tokens: Vec::new(), open: Vec::new(), forgets: true };
    scanner.run().map(|_| ())
}

/// Invariant: `position <= input.len() <= u32::MAX`, so that positions and token numbers fit in 32 bits.
struct Scanner<'b, 'l> {
    input: &'b [u8],
    limits: &'l Limits,
    position: usize,
    tokens: Vec<Token>,
    open: Vec<Open>,
    /// Only the tokens of open containers and their latest keys are kept.
    forgets: bool,
}

/// A list or dictionary whose end has not been reached.
struct Open {
    /// Its number in the token table.
    token: usize,
    /// Its place and what it waits for.
    state: State,
}

enum State {
    List,
    Dict {
        /// The token of the latest key.
        last_key: Option<usize>,
        /// Whether a key was read and its value was not.
        awaits_value: bool,
        /// Whether every key so far is greater than the one before it.
        sorted: bool,
    },
}

impl<'b> Scanner<'b, '_> {
    fn run(mut self) -> Result<(Document<'b>, usize), BencodeError> {
        loop {
            self.step()?;
            if self.open.is_empty() {
                let consumed = self.position;
                return Ok((Document::new(self.input, self.tokens), consumed));
            }
        }
    }

    /// Reads one key, one leaf value, or the beginning or end of a container.
    fn step(&mut self) -> Result<(), BencodeError> {
        let byte = self.peek()?;
        match self.open.last().map(|open| &open.state) {
            Some(State::Dict { awaits_value: true, .. }) if byte == b'e' => {
                Err(self.error(ErrorKind::ValueMissing))
            }
            Some(_) if byte == b'e' => self.close(),
            Some(State::Dict { awaits_value: false, .. }) => self.key(byte),
            _ => self.value(byte),
        }
    }

    fn peek(&self) -> Result<u8, BencodeError> {
        self.input.get(self.position).copied().ok_or_else(|| self.error(ErrorKind::UnexpectedEnd))
    }

    fn error(&self, kind: ErrorKind) -> BencodeError {
        BencodeError { position: self.position, kind }
    }

    fn value(&mut self, byte: u8) -> Result<(), BencodeError> {
        match byte {
            b'i' => self.integer()?,
            b'0'..=b'9' => self.string()?,
            b'l' => return self.begin(State::List),
            b'd' => return self.begin(State::Dict { last_key: None, awaits_value: false, sorted: true }),
            _ => return Err(self.error(ErrorKind::UnexpectedByte(byte))),
        }
        self.value_complete();
        Ok(())
    }

    /// Notes that the innermost container got the value it may have waited for.
    fn value_complete(&mut self) {
        let Some(Open { token, state }) = self.open.last_mut() else { return };
        let mut kept = *token;
        if let State::Dict { awaits_value, last_key, .. } = state {
            *awaits_value = false;
            kept = last_key.unwrap_or(kept);
        }
        if self.forgets {
            self.tokens.truncate(kept + 1);
        }
    }

    /// Adds a token that ends at `end`; the end of a container is corrected when it closes.
    fn push(&mut self, end: usize) -> Result<usize, BencodeError> {
        let token = self.tokens.len();
        if token >= self.limits.tokens.min(u32::MAX as usize - 1) {
            return Err(self.error(ErrorKind::Tokens(self.limits.tokens)));
        }
        self.tokens.push(Token { start: self.position as u32, end: end as u32, next: token as u32 + 1 });
        self.position = end;
        Ok(token)
    }

    fn begin(&mut self, state: State) -> Result<(), BencodeError> {
        if self.open.len() >= self.limits.depth {
            return Err(self.error(ErrorKind::Depth(self.limits.depth)));
        }
        let token = self.push(self.position + 1)?;
        self.open.push(Open { token, state });
        Ok(())
    }

    fn close(&mut self) -> Result<(), BencodeError> {
        let Open { token, state } = self.open.pop().expect("an end is read only inside a container");
        if let State::Dict { sorted: false, .. } = state {
            self.refuse_equal_keys(token)?;
        }
        self.position += 1;
        self.tokens[token].end = self.position as u32;
        self.tokens[token].next = self.tokens.len() as u32;
        self.value_complete();
        Ok(())
    }

    fn key(&mut self, byte: u8) -> Result<(), BencodeError> {
        if !byte.is_ascii_digit() {
            return Err(self.error(ErrorKind::KeyNotString));
        }
        let start = self.position;
        let token = self.tokens.len();
        self.string()?;
        let Some(Open { state: State::Dict { last_key, awaits_value, sorted }, .. }) = self.open.last_mut()
        else {
            unreachable!("only a dictionary reads a key");
        };
        *awaits_value = true;
        let last = last_key.replace(token);
        let order = last
            .map(|last| self.tokens[last].payload(self.input).cmp(self.tokens[token].payload(self.input)));
        if let Some(last) = last.filter(|_| self.forgets) {
            self.tokens.swap_remove(last);
            *last_key = Some(last);
        }
        let kind = match order {
            None | Some(Ordering::Less) => return Ok(()),
            Some(Ordering::Equal) => ErrorKind::KeyDuplicate,
            Some(Ordering::Greater) if self.limits.mode == Mode::Lenient => {
                *sorted = false;
                return Ok(());
            }
            Some(Ordering::Greater) => ErrorKind::KeysUnsorted,
        };
        Err(BencodeError { position: start, kind })
    }

    /// Looks for equal keys in the unsorted dictionary whose last token is the last of the table.
    fn refuse_equal_keys(&self, dict: usize) -> Result<(), BencodeError> {
        let mut keys = Vec::new();
        let mut token = dict + 1;
        while token < self.tokens.len() {
            keys.push(token as u32);
            // Over the key, then over its value.
            token = self.tokens[token + 1].next as usize;
        }
        let payload = |key: &u32| self.tokens[*key as usize].payload(self.input);
        keys.sort_by(|a, b| payload(a).cmp(payload(b)));
        match keys.windows(2).find(|pair| payload(&pair[0]) == payload(&pair[1])) {
            Some(pair) => Err(BencodeError {
                position: self.tokens[pair[1] as usize].start as usize,
                kind: ErrorKind::KeyDuplicate,
            }),
            None => Ok(()),
        }
    }

    fn string(&mut self) -> Result<(), BencodeError> {
        let rest = &self.input[self.position..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match rest.get(digits) {
            None => return Err(self.error(ErrorKind::UnexpectedEnd)),
            Some(b':') => {}
            Some(_) => return Err(self.error(ErrorKind::Length)),
        }
        if self.limits.mode == Mode::Strict && digits > 1 && rest[0] == b'0' {
            return Err(self.error(ErrorKind::LengthNotCanonical));
        }
        let length = decimal(&rest[..digits]).ok_or_else(|| self.error(ErrorKind::StringPastEnd))?;
        let left = rest.len() - digits - 1;
        if length > left as u64 {
            return Err(self.error(ErrorKind::StringPastEnd));
        }
        let end = self.position + digits + 1 + length as usize;
        debug_assert_eq!(string_payload(&self.input[self.position..end]).len() as u64, length);
        self.push(end)?;
        Ok(())
    }

    fn integer(&mut self) -> Result<(), BencodeError> {
        let body = &self.input[self.position + 1..];
        let sign = usize::from(body.first() == Some(&b'-'));
        let digits = body[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        match body.get(sign + digits) {
            None => return Err(self.error(ErrorKind::UnexpectedEnd)),
            Some(b'e') if digits > 0 => {}
            Some(_) => return Err(self.error(ErrorKind::Integer)),
        }
        let zero_first = body[sign] == b'0' && (digits > 1 || sign == 1);
        if self.limits.mode == Mode::Strict && zero_first {
            return Err(self.error(ErrorKind::IntegerNotCanonical));
        }
        self.push(self.position + 1 + sign + digits + 1)?;
        Ok(())
    }
}

/// The number that these ASCII digits write, or `None` when it does not fit.
fn decimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}
