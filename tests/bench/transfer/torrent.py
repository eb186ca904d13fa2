"""One end of a BitTorrent v2 transfer over TCP, unencrypted, by libtorrent.

torrent.py seed TORRENT FILE     makes the torrent, prints the port, serves until it is stopped
torrent.py fetch TORRENT FOLDER PORT
"""

import os
import sys
import time

import libtorrent as lt


def session():
    return lt.session({
        "listen_interfaces": "127.0.0.1:0",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "out_enc_policy": int(lt.enc_policy.disabled),
        "in_enc_policy": int(lt.enc_policy.disabled),
        "allow_multiple_connections_per_ip": True,
        "alert_mask": 0,
    })


def seed(torrent, path):
    files = lt.file_storage()
    lt.add_files(files, path)
    made = lt.create_torrent(files, 1 << 20, lt.create_torrent.v2_only)
    lt.set_piece_hashes(made, os.path.dirname(path))
    with open(torrent, "wb") as out:
        out.write(lt.bencode(made.generate()))
    ours = session()
    parameters = lt.add_torrent_params()
    parameters.ti = lt.torrent_info(torrent)
    parameters.save_path = os.path.dirname(path)
    parameters.flags |= lt.torrent_flags.seed_mode
    ours.add_torrent(parameters)
    while ours.listen_port() == 0:
        time.sleep(0.01)
    print(ours.listen_port(), flush=True)
    while True:
        time.sleep(3600)


def fetch(torrent, folder, port):
    ours = session()
    parameters = lt.add_torrent_params()
    parameters.ti = lt.torrent_info(torrent)
    parameters.save_path = folder
    handle = ours.add_torrent(parameters)
    while not handle.status().is_seeding:
        if handle.status().num_peers == 0:
            handle.connect_peer(("127.0.0.1", int(port)))
        time.sleep(0.02)
    # Written and closed, as the others leave it.
    ours.remove_torrent(handle)
    del ours


if sys.argv[1] == "seed":
    seed(*sys.argv[2:])
else:
    fetch(*sys.argv[2:])
