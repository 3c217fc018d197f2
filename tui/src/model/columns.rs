//! The columns of the lists, and by which of them a list is sorted.

/// How a list is sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sort<C> {
    /// By what.
    pub column: C,
    /// The largest first.
    pub descending: bool,
}

impl<C: Copy + PartialEq> Sort<C> {
    /// By `column`, in the direction that answers most questions.
    pub fn by(column: C, descending: bool) -> Self {
        Self { column, descending }
    }

    /// The other way round.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { descending: !self.descending, ..self }
    }
}

macro_rules! columns {
    ($(#[$doc:meta])* $name:ident { $($(#[$column_doc:meta])* $column:ident = $title:literal, $words:literal, $descending:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum $name { $($(#[$column_doc])* $column,)* }

        impl $name {
            /// All of them, in the order in which they stand.
            pub const ALL: &[Self] = &[$(Self::$column,)*];

            /// Its name in a file.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$column => stringify!($column),)* }
            }

            /// The column of a name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|column| column.name() == name)
            }

            /// What stands above it.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$column => $title,)* }
            }

            /// What it is, for menus and help.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$column => $words,)* }
            }

            /// Sorted by it, the largest stands first at the beginning.
            pub const fn descends(self) -> bool {
                match self { $(Self::$column => $descending,)* }
            }
        }
    };
}

columns! {
    /// The columns of the list of torrents.
    TorrentColumn {
        /// Its place in the list.
        Number = "#", "number", false;
        /// Its name.
        Name = "Name", "name", false;
        /// Bytes that are wanted.
        Size = "Size", "size", true;
        /// The share of the wanted bytes that is there.
        Done = "Done", "done", true;
        /// The same as a bar.
        Progress = "Progress", "progress", true;
        /// Download rate.
        Down = "Down/s", "download rate", true;
        /// Upload rate.
        Up = "Up/s", "upload rate", true;
        /// Time until it is complete.
        Eta = "ETA", "time left", false;
        /// Sent for each byte that is there.
        Ratio = "Ratio", "ratio", true;
        /// Seeds, connected and known.
        Seeds = "Seeds", "seeds", true;
        /// Leechers, connected and known.
        Leechers = "Leech", "leechers", true;
        /// Distributed copies.
        Copies = "Avail", "copies in the swarm", false;
        /// Connected peers.
        Peers = "Peers", "connected peers", true;
        /// Who unchokes us, and whom we unchoke.
        Unchoked = "me/by me", "peers unchoked", true;
        /// When it was taken in.
        Added = "Added", "when it was added", true;
        /// Where it stands in the queue.
        Queue = "Queue", "place in the queue", false;
        /// What it is doing.
        State = "State", "state", false;
    }
}

columns! {
    /// The columns of the lists of peers: the tit-for-tat ledger.
    PeerColumn {
        /// The torrent that it is connected for.
        Torrent = "Torrent", "torrent", false;
        /// Its address.
        Address = "Peer", "address", false;
        /// What holds of the connection, as letters.
        Flags = "Flags", "flags", false;
        /// Its client.
        Client = "Client", "client", false;
        /// The share of the pieces that it has.
        Done = "Done", "done", true;
        /// What it sends us.
        Down = "in/s", "rate to us", true;
        /// What we send it.
        Up = "out/s", "rate from us", true;
        /// What it sent us on this connection.
        Received = "Received", "received", true;
        /// What we sent it on this connection.
        Sent = "Sent", "sent", true;
        /// What it gave beyond what it took.
        Balance = "Balance", "balance", true;
        /// Whether it chokes us.
        Them = "Them", "whether they choke us", false;
        /// Whether we choke it.
        Me = "Me", "whether we choke them", false;
        /// Its place among those who repay.
        Rank = "Rank", "rank", false;
        /// How long the connection stands.
        Since = "Since", "time connected", true;
        /// Why we choke or unchoke it.
        Why = "Why", "reason", false;
    }
}

columns! {
    /// The columns of the list of files.
    FileColumn {
        /// Its path.
        Path = "Path", "path", false;
        /// Its length.
        Size = "Size", "size", true;
        /// The share of it that is there.
        Done = "Done", "done", true;
        /// How much it is wanted.
        Priority = "Priority", "priority", true;
    }
}
