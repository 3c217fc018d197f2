"""A libtorrent peer with one torrent. A seeder is ready when it has it, a leecher waits for a line before it adds it."""

import json
import sys

import libtorrent

options = json.loads(sys.argv[1])

session = libtorrent.session({
    "listen_interfaces": options["listen"],
    "outgoing_interfaces": options["ip"],
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    # 2 is "disabled".
    "out_enc_policy": 2,
    "in_enc_policy": 2,
    "allow_multiple_connections_per_ip": True,
    "ssrf_mitigation": False,
    "alert_mask": libtorrent.alert.category_t.error_notification
    | libtorrent.alert.category_t.status_notification,
})


def add(flags):
    """Adds the torrent, running at once."""
    return session.add_torrent({
        "ti": libtorrent.torrent_info(options["torrent"]),
        "save_path": options["folder"],
        "flags": libtorrent.torrent_flags.default_flags & ~libtorrent.torrent_flags.paused
        & ~libtorrent.torrent_flags.auto_managed | libtorrent.torrent_flags.disable_pex | flags,
    })


def follow(ends):
    """Prints alerts until one of the kind `ends`."""
    while True:
        session.wait_for_alert(1000)
        for alert in session.pop_alerts():
            print(alert.message(), flush=True)
            if isinstance(alert, ends):
                return


if options["seeds"]:
    handle = add(libtorrent.torrent_flags.seed_mode)
    while not handle.status().is_seeding:
        session.wait_for_alert(10)
    open(options["ready"], "w").close()
    follow(())
else:
    open(options["ready"], "w").close()
    sys.stdin.readline()
    handle = add(0 * libtorrent.torrent_flags.seed_mode)
    follow(libtorrent.torrent_finished_alert)
    open(options["done"], "w").close()
    follow(())
