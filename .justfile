# The steps of .ci/run, one at a time, and the long runs that are not in it.

# Everything that must hold before a change lands
ci:
    .ci/run

# Formatting and lints
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# All tests; those against real clients are ignored by name where a client is not installed
test:
    cargo test --workspace

# What ten thousand idle connections cost a seed, and whether the next one is answered (needs ulimit -n above 11,000)
crowd:
    POTLUCK_IT_CROWD_SIZE=10000 cargo test --release -p potluck-peer --test it -- row_6_7

# Only the transfers against real clients
interop:
    cargo test -p potluck-peer --test it -- interop

# Each system call of a two-peer transfer fails once, on either side, for each n (needs strace; about six minutes on two processors)
faults:
    POTLUCK_FAULTS=all cargo test -p potluck --test it -- faults

# A download is killed (-9) 200 times at random moments: no claim may be wrong, and only what was not claimed is checked
kills:
    POTLUCK_KILLS=200 cargo test -p potluck --test it -- kills

# Ten seconds of each fuzz target (needs cargo-fuzz and a nightly toolchain)
fuzz-smoke:
    .ci/fuzz-smoke

# The demo: a tracker, a seeder, six leechers and a free rider in one process
demo:
    cargo run --release -- demo

# How near one transfer comes to what this machine could do at all
bench-loopback:
    cargo bench -p potluck-peer --bench loopback

# Potluck and the clients that are installed, in the same run on the same payload; takes some minutes
bench-peers *ARGUMENTS:
    cargo bench -p potluck-peer --bench peers -- {{ARGUMENTS}}

# Whether free riding pays in the simulator: every goal of fairness for five seeds (about two minutes on two processors)
fairness *ARGUMENTS:
    cargo run --release -p potluck-sim -- run fairness --seed 1..5 --check {{ARGUMENTS}}

# A thousand whole swarms of the machines that ship, to the byte, with faults (some minutes); then that no property sleeps
wire-seeds *ARGUMENTS:
    cargo run --release -p potluck-sim -- wire --seed 1..1000 --kept {{ARGUMENTS}} >/dev/null
    cargo run --release -p potluck-sim -- wire --self-check

# Whether the fluid simulator and that of bytes say the same of G1 and G2, within 10 %; few seeds tell nothing of G2's seed (eight minutes on two processors)
compare SEEDS="1..80" *ARGUMENTS:
    cargo run --release -p potluck-sim -- compare --seed {{SEEDS}} --check {{ARGUMENTS}}

# Whether the DHT finds peers among 3,000 nodes with loss, NATs, churn and a tenth of liars (a minute and a half on one processor)
dht SEEDS="1..3" *ARGUMENTS:
    cargo run --release -p potluck-sim -- dht --nodes 3000 --seed {{SEEDS}} --check {{ARGUMENTS}}

# How fast the simulator is: a flash crowd of 10,000, and of 1,000
swarm-speed *ARGUMENTS:
    cargo run --release -p potluck-sim -- run crowd-10000 --seed 1 --jobs 1 {{ARGUMENTS}}
    cargo run --release -p potluck-sim -- run crowd-1000 --seed 1 --jobs 1 {{ARGUMENTS}}

# Whether the simulator says of simple rules what another model says, within 10 %, over twenty seeds (about five minutes)
calibration *ARGUMENTS:
    cargo run --release -p potluck-sim -- run calibration --seed 1..20 --check peer/sim/calibration.toml {{ARGUMENTS}}

# Whether free riding pays among real processes: swarms of Potluck, of libtorrent and of both, with free riders (needs
# python3-libtorrent; about 25 minutes, most of it waiting)
fairness-rig *ARGUMENTS:
    cargo bench -p potluck-peer --bench fairness -- {{ARGUMENTS}}

# How fast a payload is checked and a torrent made of it, and how fast each SHA-1 kernel is
bench-hash:
    cargo bench -p potluck-sha1-lanes --bench kernels
    cargo bench -p potluck-peer --bench recheck

# How long it takes from a key to the frame that answers it, with 10,000 torrents and 2,000 peers
bench-frames:
    cargo bench -p potluck --bench frames

# How long the program itself takes to its first frame, and what it costs idle, with 1 and 10,000 torrents (Linux)
bench-start *COUNTS:
    cargo bench -p potluck --bench start -- {{COUNTS}}

# Pictures of the dashboard, drawn from the samples of its tests
captures FOLDER:
    cargo run -p potluck --example captures -- {{FOLDER}}

# Licences, bans and sources of the dependencies (needs cargo-deny)
deny:
    cargo deny check
