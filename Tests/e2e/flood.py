"""What is denied, a thousand datagrams a second, and who counts what comes of it.

flood.py send ADDRESS FILE    to port 9999 there; how many were sent is written to FILE
flood.py count FILE           what arrives at port 9999
"""
import os
import socket
import sys
import time


def write(number, file):
    """As a whole: somebody reads it meanwhile."""
    with open(file + ".new", "w") as counter:
        counter.write(str(number))
    os.replace(file + ".new", file)


def send(address, file):
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.setblocking(False)
    start, sent = time.monotonic(), 0
    while True:
        while sent < (time.monotonic() - start) * 1000:
            sent += 1
            try:
                out.sendto(b"denied", (address, 9999))
            except OSError:
                pass
        write(sent, file)
        time.sleep(0.002)


def count(file):
    box = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    box.bind(("0.0.0.0", 9999))
    arrived = 0
    while True:
        arrived += box.recvfrom(2048)[0] == b"denied"
        write(arrived, file)


{"send": send, "count": count}[sys.argv[1]](*sys.argv[2:])
