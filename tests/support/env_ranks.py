#!/usr/bin/env python3
"""Starts a program as the ranks of a job that finds itself by environment variables, on loopback.

    env_ranks.py RANKS PROGRAM [ARGUMENT ...]

The exit code is that of a rank that failed, of one with another reason than its peers (5) if there is
one; 128 + N for signal N. When one has failed, the others are ended.
"""

import os
import socket
import subprocess
import sys
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def main(ranks, command):
    place = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    children = [subprocess.Popen(command, env={**os.environ, **place, "RANK": str(r)})
                for r in range(ranks)]

    def failures():
        return sorted((c.returncode for c in children if c.returncode), key=lambda code: code == 5)

    try:
        while not failures() and any(c.poll() is None for c in children):
            time.sleep(0.02)
        if failures():
            time.sleep(1)  # so that the others may say what they see
        failed = (failures() or [0])[0]
    finally:
        for c in children:
            c.kill()
            c.wait()
    if failed >= 0:
        return failed
    print(f"killed by signal {-failed}")
    return 128 - failed


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
