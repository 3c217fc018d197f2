"""A libtorrent peer with one torrent. Its state is kept in a JSON file, its alerts are printed."""

import json
import os
import sys
import time

import libtorrent

options = json.loads(sys.argv[1])

session = libtorrent.session({
    "listen_interfaces": options["listen"],
    "outgoing_interfaces": options["ip"],
    "enable_dht": options["dht"] is not None,
    "dht_bootstrap_nodes": options["dht"] or "",
    "enable_lsd": options["lsd"],
    "enable_upnp": False,
    "enable_natpmp": False,
    "allow_multiple_connections_per_ip": True,
    # "SSRF mitigation" would change announces to loopback trackers.
    "ssrf_mitigation": False,
    "alert_mask": libtorrent.alert.category_t.error_notification
    | libtorrent.alert.category_t.status_notification
    | libtorrent.alert.category_t.tracker_notification
    | libtorrent.alert.category_t.connect_notification
    | libtorrent.alert.category_t.peer_notification
    | libtorrent.alert.category_t.dht_notification,
})

# Loopback peers are of a class that neither limits nor chokers touch, unless the filter says otherwise.
classes = libtorrent.ip_filter()
everybody = 1 << int(libtorrent.session.global_peer_class_id)
classes.add_rule("0.0.0.0", "255.255.255.255", everybody)
classes.add_rule("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", everybody)
session.set_peer_class_filter(classes)

parameters = (
    libtorrent.parse_magnet_uri(options["magnet"])
    if options["magnet"]
    else libtorrent.add_torrent_params()
)
if not options["magnet"]:
    parameters.ti = libtorrent.torrent_info(options["torrent"])
parameters.save_path = options["folder"]
parameters.flags = (
    libtorrent.torrent_flags.default_flags & ~libtorrent.torrent_flags.paused
    & ~libtorrent.torrent_flags.auto_managed | (0 if options.get("pex") else libtorrent.torrent_flags.disable_pex)
)
torrent = session.add_torrent(parameters)
torrent.set_upload_limit(options.get("up_limit", 0))
torrent.set_download_limit(options.get("down_limit", 0))
for ip, port in options.get("peers", []):
    torrent.connect_peer((ip, port))

while True:
    status = torrent.status()
    state = {
        "error": status.errc.message() if status.errc.value() else "",
        "is_seeding": status.is_seeding,
        "progress": status.progress,
    }
    with open(options["state"] + ".new", "w") as file:
        json.dump(state, file)
    os.replace(options["state"] + ".new", options["state"])
    for alert in session.pop_alerts():
        print(time.strftime("%H:%M:%S"), alert.message(), flush=True)
        # A magnet link that is there before the DHT runs would be looked up only after a quarter of an hour, the interval of
        # announces; what has its metadata is announced when its files are checked, which is late enough.
        if isinstance(alert, libtorrent.dht_bootstrap_alert):
            torrent.force_dht_announce()
    time.sleep(0.05)
