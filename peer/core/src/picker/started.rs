//! A piece under way: the state of each of its blocks.

use potluck_common::{Instant, PieceIndex};

use super::PeerKey;

/// The number of a request among all that were asked of a peer. It begins again at 0 after the last: few are outstanding at
/// a time.
pub(super) type Turn = u32;

/// One outstanding request for a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ask {
    pub(super) peer: PeerKey,
    /// Its place in the order of all that was asked of the peer.
    pub(super) turn: Turn,
}

/// Most peers that are asked for one block at the same time.
const ASKS_MAX: usize = 3;

/// The outstanding requests for one block, oldest first, without gaps.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Asks([Option<Ask>; ASKS_MAX]);

impl Asks {
    pub(super) fn iter(&self) -> impl Iterator<Item = Ask> + '_ {
        self.0.iter().flatten().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.iter().count()
    }

    pub(super) fn of(&self, peer: PeerKey) -> Option<Ask> {
        self.iter().find(|ask| ask.peer == peer)
    }

    fn push(&mut self, ask: Ask) {
        let free =
            self.0.iter_mut().find(|slot| slot.is_none()).expect("the picker asks at most three peers");
        *free = Some(ask);
    }

    fn remove(&mut self, peer: PeerKey) {
        let mut kept = [None; ASKS_MAX];
        for (slot, ask) in kept.iter_mut().zip(self.iter().filter(|ask| ask.peer != peer)) {
            *slot = Some(ask);
        }
        self.0 = kept;
    }
}

/// What is known of one block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Block {
    /// Nobody is asked for it.
    Open,
    /// This peer is asked for it, as an [`Ask`] says.
    Asked { peer: PeerKey, turn: Turn },
    /// These peers are asked for it, which is rare: the end game.
    Raced(Box<Asks>),
    /// This peer gave it.
    Received(PeerKey),
}

impl Block {
    /// The outstanding requests for it, if there are any.
    pub(super) fn asks(&self) -> Option<Asks> {
        match self {
            Self::Asked { peer, turn } => Some(Asks([Some(Ask { peer: *peer, turn: *turn }), None, None])),
            Self::Raced(asks) => Some(**asks),
            Self::Open | Self::Received(_) => None,
        }
    }

    /// With these requests.
    fn of(asks: Asks) -> Self {
        match asks.0 {
            [None, ..] => Self::Open,
            [Some(Ask { peer, turn }), None, _] => Self::Asked { peer, turn },
            _ => Self::Raced(Box::new(asks)),
        }
    }
}

const _: () = assert!(size_of::<Block>() <= 16, "there are very many blocks");

/// A peer that was asked for blocks of a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Helper {
    pub(super) peer: PeerKey,
    /// Blocks of the piece that it is asked for now.
    pub(super) asked: u32,
    /// When it was last asked for one.
    pub(super) asked_last: Instant,
    /// It was fast when it was last asked.
    pub(super) fast: bool,
}

/// Where a started piece stands in line: urgent ones have small ranks. In the highest byte is how urgent its priority makes
/// it, and below that when it is its turn.
pub(super) type Rank = u64;

/// The rank of what is this urgent, 0 the most, in this turn.
pub(super) fn rank(urgency: u8, turn: u64) -> Rank {
    u64::from(urgency) << 56 | turn.min((1 << 56) - 1)
}

/// A piece of which at least one block was asked for.
///
/// Invariants: `open` and `received` count the blocks in these states; every block before `open_first` is not open;
/// `helpers` holds each peer once, and its `asked` counts its asks in `blocks`.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) blocks: Vec<Block>,
    pub(super) open: u32,
    pub(super) received: u32,
    open_first: u32,
    pub(super) rank: Rank,
    /// It is in the picker's line.
    pub(super) in_line: bool,
    pub(super) helpers: Vec<Helper>,
}

impl Started {
    pub(super) fn new(blocks: u32, rank: Rank) -> Self {
        let state = vec![Block::Open; blocks as usize];
        Self {
            blocks: state,
            open: blocks,
            received: 0,
            open_first: 0,
            rank,
            in_line: false,
            helpers: Vec::new(),
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.received as usize == self.blocks.len()
    }

    /// Whether somebody is asked for a block of it.
    pub(super) fn is_asked_for(&self) -> bool {
        (self.open + self.received) as usize != self.blocks.len()
    }

    /// The first block that nobody is asked for.
    pub(super) fn next_open(&mut self) -> Option<u32> {
        let from = self.open_first as usize;
        let ahead = self.blocks[from..].iter().position(|block| *block == Block::Open);
        self.open_first = ahead.map_or(self.blocks.len(), |ahead| from + ahead) as u32;
        ahead.map(|_| self.open_first)
    }

    /// Notes that a peer is asked for a block that is not received.
    pub(super) fn ask(&mut self, block: u32, ask: Ask, now: Instant, fast: bool) {
        let state = &mut self.blocks[block as usize];
        assert!(!matches!(state, Block::Received(_)), "a received block is not asked for");
        self.open -= u32::from(*state == Block::Open);
        let mut asks = state.asks().unwrap_or_default();
        asks.push(ask);
        *state = Block::of(asks);
        if let Some(helper) = self.helpers.iter_mut().find(|helper| helper.peer == ask.peer) {
            helper.asked += 1;
            helper.asked_last = now;
            helper.fast = fast;
        } else {
            // Few work on one piece, and most pieces have one.
            self.helpers.reserve_exact(1);
            self.helpers.push(Helper { peer: ask.peer, asked: 1, asked_last: now, fast });
        }
    }

    /// Forgets that a peer is asked for a block; the ask, if there was one. The block may become open by it.
    pub(super) fn unask(&mut self, block: u32, peer: PeerKey) -> Option<Ask> {
        let state = &mut self.blocks[block as usize];
        let mut asks = state.asks()?;
        let ask = asks.of(peer)?;
        asks.remove(peer);
        *state = Block::of(asks);
        if *state == Block::Open {
            self.open += 1;
            self.open_first = self.open_first.min(block);
        }
        self.helper_lost_ask(peer);
        Some(ask)
    }

    /// Notes that a peer gave a block; the asks for it that end by that, or `None` if the block was there.
    pub(super) fn receive(&mut self, block: u32, peer: PeerKey) -> Option<Asks> {
        let state = &mut self.blocks[block as usize];
        if matches!(state, Block::Received(_)) {
            return None;
        }
        self.open -= u32::from(*state == Block::Open);
        let asks = state.asks().unwrap_or_default();
        *state = Block::Received(peer);
        self.received += 1;
        for ask in asks.iter() {
            self.helper_lost_ask(ask.peer);
        }
        Some(asks)
    }

    fn helper_lost_ask(&mut self, peer: PeerKey) {
        let helper = self.helpers.iter_mut().find(|helper| helper.peer == peer);
        helper.expect("a peer that is asked is a helper").asked -= 1;
    }

    /// Every outstanding request, with the number of its block.
    pub(super) fn asks(&self) -> impl Iterator<Item = (u32, Ask)> + '_ {
        self.blocks.iter().zip(0..).flat_map(|(block, number)| {
            let asks = block.asks().unwrap_or_default();
            asks.0.into_iter().flatten().map(move |ask| (number, ask))
        })
    }

    pub(super) fn assert_invariants(&self, piece: PieceIndex) {
        let count =
            |wanted: fn(&Block) -> bool| self.blocks.iter().filter(|block| wanted(block)).count() as u32;
        assert_eq!(self.open, count(|block| *block == Block::Open), "{piece:?}: open blocks");
        assert_eq!(
            self.received,
            count(|block| matches!(block, Block::Received(_))),
            "{piece:?}: received blocks"
        );
        let before = &self.blocks[..self.open_first as usize];
        assert!(!before.contains(&Block::Open), "{piece:?}: no open block before the first");
        for (number, helper) in self.helpers.iter().enumerate() {
            let asked = self.asks().filter(|(_, ask)| ask.peer == helper.peer).count() as u32;
            assert_eq!(helper.asked, asked, "{piece:?}: asks of {:?}", helper.peer);
            assert!(
                self.helpers[..number].iter().all(|other| other.peer != helper.peer),
                "{piece:?}: helper twice"
            );
        }
    }
}
