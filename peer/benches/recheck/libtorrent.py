"""Checks a payload, or hashes it for a new torrent, with libtorrent: once for each line, and prints the seconds."""

import os
import sys
import time

import libtorrent

torrent, folder, name, piece_length, threads = sys.argv[1:]

session = libtorrent.session({
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "hashing_threads": int(threads),
    "aio_threads": int(threads),
    "alert_mask": libtorrent.alert.category_t.error_notification
    | libtorrent.alert.category_t.status_notification,
})


def wait_checked(handle):
    """Waits until a check has ended."""
    while True:
        session.wait_for_alert(1000)
        if any(isinstance(alert, libtorrent.torrent_checked_alert) for alert in session.pop_alerts()):
            break
    assert handle.status().progress == 1.0, "the payload is as it was written"


def check():
    """Checks again what was checked when it was added."""
    handle.force_recheck()
    wait_checked(handle)


def create():
    """Hashes for a v1 torrent."""
    files = libtorrent.file_storage()
    libtorrent.add_files(files, os.path.join(folder, name))
    made = libtorrent.create_torrent(files, int(piece_length), libtorrent.create_torrent.v1_only)
    libtorrent.set_piece_hashes(made, folder)


handle = session.add_torrent({
    "ti": libtorrent.torrent_info(torrent),
    "save_path": folder,
    "flags": libtorrent.torrent_flags.default_flags & ~libtorrent.torrent_flags.auto_managed
    & ~libtorrent.torrent_flags.paused,
})
wait_checked(handle)

for line in sys.stdin:
    begun = time.monotonic()
    {"check": check, "create": create}[line.strip()]()
    print(time.monotonic() - begun, flush=True)
