"""Sends a packet that no kernel would make: any source, any header, to whatever the routing of this namespace says.

    raw.py FROM TO tcp SOURCE-PORT PORT [FLAGS] | udp SOURCE-PORT PORT | icmp TYPE CODE | PROTOCOL-NUMBER
           [--fragment OFFSET] [--more] [--option] [--extension NUMBER] [--count N] [--bypass DEVICE]

Addresses are of IPv4 or IPv6. --bypass hands it to the device beside its queues and what hangs on them.
"""
import argparse, ipaddress, socket, struct

parser = argparse.ArgumentParser()
for name in ("source", "target", "protocol"):
    parser.add_argument(name)
parser.add_argument("words", nargs="*")
parser.add_argument("--fragment", type=int, default=0)
parser.add_argument("--more", action="store_true")
parser.add_argument("--option", action="store_true")
parser.add_argument("--extension", type=int)
parser.add_argument("--count", type=int, default=3)
parser.add_argument("--bypass")
given = parser.parse_args()

source, target = ipaddress.ip_address(given.source), ipaddress.ip_address(given.target)
v6 = source.version == 6
flags = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16}


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def summed(protocol, data, offset, pseudo=True):
    head = source.packed + target.packed + struct.pack("!IHBB", len(data), 0, 0, protocol) if pseudo else b""
    return data[:offset] + struct.pack("!H", checksum(head + data)) + data[offset + 2:]


numbers = [word for word in given.words]
if given.protocol == "tcp":
    bits = sum(flags[name] for name in (numbers[2] if len(numbers) > 2 else "syn").split(","))
    protocol = 6
    body = summed(6, struct.pack("!HHIIBBHHH", int(numbers[0]), int(numbers[1]), 1, 1, 0x50, bits, 0xFFFF, 0, 0), 16)
elif given.protocol == "udp":
    protocol = 17
    body = summed(17, struct.pack("!HHHH", int(numbers[0]), int(numbers[1]), 13, 0) + b"hello", 6)
elif given.protocol == "icmp":
    protocol = 58 if v6 else 1
    data = struct.pack("!BBHI", int(numbers[0]), int(numbers[1]), 0, 0) + bytes(56)
    body = summed(protocol, data, 2, pseudo=v6)
else:
    protocol, body = int(given.protocol), b"hello world, hello"

if v6:
    chain = protocol
    if given.extension is not None:
        body, chain = struct.pack("!BB6x", protocol, 0) + body, given.extension
    if given.fragment or given.more:
        body = struct.pack("!BBHI", chain, 0, given.fragment << 3 | given.more, 7) + body
        chain = 44
    packet = struct.pack("!IHBB", 6 << 28, len(body), chain, 64) + source.packed + target.packed + body
else:
    option = b"\x07\x03\x04\x00" if given.option else b""
    words = 5 + len(option) // 4
    cut = given.fragment | (0x2000 if given.more else 0)
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, words * 4 + len(body), 7, cut, 64, protocol, 0)
    packet = head + source.packed + target.packed + option
    packet = packet[:10] + struct.pack("!H", checksum(packet)) + packet[12:] + body

if given.bypass:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    wire.setsockopt(263, 20, 1)  # SOL_PACKET, PACKET_QDISC_BYPASS
    place = (given.bypass, 0x86DD if v6 else 0x0800)
else:
    wire = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    place = (str(target), 0)
for _ in range(given.count):
    wire.sendto(packet, place)
