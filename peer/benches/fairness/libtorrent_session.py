"""A libtorrent session with one torrent and limits. A seeder adds it at once, anybody else waits for a line.

It prints what it has received and given, one JSON object a line: now and then, and once more when it is complete. Then a
seeder goes on, and anybody else leaves. One that does not give has no slot, no optimistic slot and no allowed-fast pieces.
"""

import json
import os
import sys
import time

import libtorrent

options = json.loads(sys.argv[1])
gives = options["slots"] > 0

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
    # "SSRF mitigation" would change announces to loopback trackers.
    "ssrf_mitigation": False,
    "upload_rate_limit": options["up"],
    "download_rate_limit": options["down"],
    # A limit is one of what is sent, as it is for Potluck, and not of an estimate of packets.
    "rate_limit_ip_overhead": False,
    # 0 is "fixed slots".
    "choking_algorithm": 0,
    "unchoke_slots_limit": options["slots"],
    "aio_threads": 1,
    "hashing_threads": 1,
    "alert_mask": libtorrent.alert.category_t.error_notification
    | libtorrent.alert.category_t.status_notification,
})
if not gives:
    # There is at least one optimistic slot, whatever the settings say. It is given at the first tick of the session,
    # when nobody is there yet, and then not before this interval has passed.
    session.apply_settings({"optimistic_unchoke_interval": 1_000_000, "allowed_fast_set_size": 0})
    time.sleep(3)

# Loopback peers are of a class that neither limits nor chokers touch, unless the filter says otherwise.
classes = libtorrent.ip_filter()
classes.add_rule("0.0.0.0", "255.255.255.255", 1 << int(libtorrent.session.global_peer_class_id))
session.set_peer_class_filter(classes)


def add(flags):
    """Adds the torrent, running at once."""
    return session.add_torrent({
        "ti": libtorrent.torrent_info(options["torrent"]),
        "save_path": options["folder"],
        "flags": libtorrent.torrent_flags.default_flags & ~libtorrent.torrent_flags.paused
        & ~libtorrent.torrent_flags.auto_managed | libtorrent.torrent_flags.disable_pex | flags,
    })


def tell(handle, began, received, given):
    """Prints one state. Payload by address is what was seen before a connection ended: up to half a second is missing."""
    for peer in handle.get_peer_info():
        received[peer.ip[0]] = max(received.get(peer.ip[0], 0), peer.total_download)
        given[peer.ip[0]] = max(given.get(peer.ip[0], 0), peer.total_upload)
    status = handle.status()
    print(json.dumps({
        "complete": status.is_finished,
        "seconds": time.monotonic() - began,
        "downloaded": status.total_payload_download,
        "uploaded": status.total_payload_upload,
        "received": received,
        "given": given,
    }), flush=True)


def follow(handle, began):
    """Tells states until the torrent is complete, or for ever."""
    received, given = {}, {}
    while True:
        session.wait_for_alert(500)
        finished = False
        for alert in session.pop_alerts():
            finished |= isinstance(alert, libtorrent.torrent_finished_alert)
            if alert.category() & libtorrent.alert.category_t.error_notification:
                print(alert.message(), file=sys.stderr, flush=True)
        tell(handle, began, received, given)
        if finished and not options["seeds"]:
            return


if options["seeds"]:
    handle = add(libtorrent.torrent_flags.seed_mode)
    while not handle.status().is_seeding:
        time.sleep(0.01)
    open(options["ready"], "w").close()
    follow(handle, time.monotonic())
else:
    open(options["ready"], "w").close()
    sys.stdin.readline()
    began = time.monotonic()
    follow(add(0 * libtorrent.torrent_flags.seed_mode), began)
    # The others should learn of it now, and no destructor should wait for a tracker.
    session.pause()
    time.sleep(0.5)
    os._exit(0)
