#!/usr/bin/python3
"""A client written from docs/wire-format.md, docs/wire-groups.md and
docs/disk-format.md alone, with an independent Noise (Debian's
python3-dissononce) and Ed25519 (python3-cryptography). It starts one peer,
deploys the ledger, calls it over an encrypted link and reads the peer's log and
documents from disk: whatever the pages say wrong fails here.

usage: wire_client.py BANYAN_PEER BANYAN APPS_FOLDER
Without the two packages the case is named as not run, and passes.
"""
import hashlib
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile

try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey, Ed25519PublicKey)
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from dissononce.cipher.chachapoly import ChaChaPolyCipher
    from dissononce.dh.x25519.x25519 import X25519DH
    from dissononce.hash.blake2b import Blake2bHash
    from dissononce.processing.handshakepatterns.interactive.XX import (
        XXHandshakePattern)
    from dissononce.processing.impl.cipherstate import CipherState
    from dissononce.processing.impl.handshakestate import HandshakeState
    from dissononce.processing.impl.symmetricstate import SymmetricState
    from dissononce.processing.modifiers.psk import PSKPatternModifier
except ImportError as missing:
    print(f"not run: a client from the documents alone ({missing})")
    sys.exit(0)


def blake(*pieces, key=b"", size=32):
    return hashlib.blake2b(b"".join(pieces), digest_size=size, key=key).digest()


def parts(*pieces, key=b""):
    """Each piece with its length before it, 8 bytes little-endian."""
    return blake(*(struct.pack("<Q", len(p)) + p for p in pieces), key=key)


def encode(v):
    """Canonical msgpack, as far as a client needs it."""
    if v is None:
        return b"\xc0"
    if isinstance(v, bool):
        return b"\xc3" if v else b"\xc2"
    if isinstance(v, int):
        if v < 128:
            return bytes([v])
        width = next(w for w in (1, 2, 4, 8) if v < 1 << 8 * w)
        return bytes([0xCB + width.bit_length()]) + v.to_bytes(width, "big")
    if isinstance(v, str):
        b = v.encode()
        assert len(b) < 256
        head = bytes([0xA0 | len(b)]) if len(b) < 32 else bytes([0xD9, len(b)])
        return head + b
    if isinstance(v, bytes):
        assert len(v) < 256
        return bytes([0xC4, len(v)]) + v
    assert len(v) < 16
    if isinstance(v, list):
        return bytes([0x90 | len(v)]) + b"".join(map(encode, v))
    return bytes([0x80 | len(v)]) + b"".join(
        encode(k) + encode(x) for k, x in sorted(v.items()))


def decode(b, i=0):
    """A value at `i`, and where it ends."""
    t = b[i]
    i += 1
    if t < 0x80 or t >= 0xE0:
        return (t if t < 0x80 else t - 256), i
    if t in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[t], i
    sized = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8,
             0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}
    if t in sized:
        n = int.from_bytes(b[i:i + sized[t]], "big")
        i += sized[t]
    else:
        n = t & (31 if t >= 0xA0 else 15)
    if 0xCC <= t <= 0xCF:
        return n, i
    if 0xC4 <= t <= 0xC6:
        return bytes(b[i:i + n]), i + n
    if 0xA0 <= t < 0xC0 or 0xD9 <= t <= 0xDB:
        return bytes(b[i:i + n]).decode(), i + n
    flat = []
    is_map = t < 0x90 or t >= 0xDE
    for _ in range(2 * n if is_map else n):
        v, i = decode(b, i)
        flat.append(v)
    return (dict(zip(flat[::2], flat[1::2])) if is_map else flat), i


def whole(b):
    v, end = decode(b)
    assert end == len(b), "something follows the value"
    return v


def public(key):
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


class Link:
    """A client's link to a peer of the mesh `local`."""

    def __init__(self, port):
        mesh_key = parts(b"banyan local", b"mesh key")
        owner = Ed25519PrivateKey.from_private_bytes(
            parts(b"banyan local", b"owner key"))
        self.mesh = parts(b"banyan mesh 1", b"local", public(owner))
        psk = parts(b"banyan psk 1", b"client", key=mesh_key)
        me = Ed25519PrivateKey.generate()
        dh = X25519DH()
        static = dh.generate_keypair()
        noise = HandshakeState(
            SymmetricState(CipherState(ChaChaPolyCipher()), Blake2bHash()), dh)
        noise.initialize(PSKPatternModifier(0).modify(XXHandshakePattern()), True,
                         encode(["banyan", 1, "local"]), s=static, psks=[psk])
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.inbox = []
        self.calls = 0

        message = bytearray()
        noise.write_message(b"", message)
        assert len(message) == 48
        self.socket.sendall(message)
        before = bytes(noise.symmetricstate.get_handshake_hash())
        payload = bytearray()
        noise.read_message(self.read(864), payload)
        assert len(payload) == 768
        hello, end = decode(payload)
        assert not any(payload[end:]), "padding is zeros"
        Ed25519PublicKey.from_public_bytes(hello[0]).verify(
            hello[1], self.signed(before, bytes(noise.rs.data), 1, hello[3]))
        assert hello[2] == 1, "who answers is a peer"

        before = bytes(noise.symmetricstate.get_handshake_hash())
        proof = me.sign(self.signed(before, bytes(static.public.data), 2, 1))
        mine = encode({0: public(me), 1: proof, 2: 2, 3: 1, 4: os.urandom(16),
                       5: 0, 6: 0, 7: "", 8: "", 9: 1, 10: 0})
        message = bytearray()
        self.out, self.back = noise.write_message(mine.ljust(768, b"\0"), message)
        assert len(message) == 832
        self.socket.sendall(message)
        assert self.frame() == (0, encode({0: 1})), "the first frame is welcome"

    def signed(self, handshake_hash, static, role, incarnation):
        return (b"banyan 1" + b"\x06link 1" + self.mesh
                + encode([handshake_hash, static, role, incarnation]))

    def read(self, n):
        b = b""
        while len(b) < n:
            more = self.socket.recv(n - len(b))
            assert more, "the peer closed the link"
            b += more
        return b

    def send(self, channel, payload):
        plain = struct.pack(">BBH", channel, 0, len(payload)) + payload
        record = self.out.encrypt_with_ad(b"", plain)
        self.socket.sendall(struct.pack(">H", len(record)) + record)

    def frame(self):
        while not self.inbox:
            size, = struct.unpack(">H", self.read(2))
            plain = bytes(self.back.decrypt_with_ad(b"", self.read(size)))
            while plain:
                channel, flags, n = struct.unpack(">BBH", plain[:4])
                assert flags == 0 and len(plain) >= 4 + n
                self.inbox.append((channel, plain[4:4 + n]))
                plain = plain[4 + n:]
        return self.inbox.pop(0)

    def ask(self, kind, key="", command="", argument=b"", identity=None):
        self.calls += 1
        self.send(16, encode([self.calls, kind, "ledger", key, command, argument,
                              identity, 5000, None]))
        channel, payload = self.frame()
        assert channel == 17
        inner, shards = whole(payload)
        reply = whole(inner)
        assert reply[1] == self.calls and reply[2] == 0, reply
        return reply, shards


def shard_of(key, shards):
    mask = (1 << 64) - 1
    h = 0xCBF29CE484222325
    for c in key.encode():
        h = (h ^ c) * 0x100000001B3 & mask
    h = h + 0x9E3779B97F4A7C15 & mask
    h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9 & mask
    h = (h ^ h >> 27) * 0x94D049BB133111EB & mask
    return (h ^ h >> 31) % shards


def talk(port):
    """@returns the shard of `alice` and the index of her last entry."""
    link = Link(port)
    _, shards = link.ask(4)
    assert shards == 8
    opened, _ = link.ask(2, "alice")
    session = opened[8]
    assert session == opened[7], "a session is its entry's index"
    for number, balance in ((1, 5), (2, 10), (2, 10)):
        reply, _ = link.ask(0, "alice", "deposit", encode({"cents": 5}),
                            [session, number, 1])
        assert whole(reply[3]) == balance
    read, _ = link.ask(1, "alice", "balance")
    assert whole(read[3]) == 10
    return shard_of("alice", shards), reply[7]


def checksum(*pieces):
    return blake(*pieces)[:16]


def records_of(batch, count):
    """The entries of all write records: {(app, shard): {index: data}}."""
    i = 0
    out = {}
    for _ in range(count):
        def take():
            nonlocal i
            v, i = decode(batch, i)
            return v
        kind, app, shard = take(), take(), take()
        take(), take()  # replica, sequence
        if kind == 1:
            if take():  # base
                take(), take(), take()
            if take():  # hard state
                take(), take(), take()
        elif kind in (2, 4):
            for _ in range(3 if kind == 2 else 9):
                take()
            continue
        elif kind == 3:
            continue
        take(), take()  # the chain before and after
        for _, index, entry_kind, data in take():
            out.setdefault((app, shard), {})[index] = (entry_kind, data)
    return out


def read_segment(path):
    b = path.read_bytes()
    assert b[:8] == b"BANYLOG1" and b[:512] == b[512:1024]
    assert checksum(b[:496]) == b[496:512]
    salt = b[24:40]
    at = 1024
    entries = {}
    while b[at:at + 4] == b"BTCH":
        sectors, segment, offset, synced, records, zero = struct.unpack(
            "<IQQQII", b[at + 4:at + 40])
        end = at + 512 * sectors
        assert (segment, offset, zero) == (1, at, 0) and synced <= at
        assert checksum(b[at + 72:end]) == b[at + 40:at + 56]
        assert checksum(salt, b[at:at + 56]) == b[at + 56:at + 72]
        for group, found in records_of(b[at + 72:end], records).items():
            entries.setdefault(group, {}).update(found)
        at = end
    return entries


def read_documents(path):
    b = path.read_bytes()
    assert b[:8] == b"BANYDOC1" and checksum(b[:496]) == b[496:512]
    at = 512
    found = {}
    while b[at:at + 4] == b"DOCR":
        sectors, offset = struct.unpack("<IQ", b[at + 4:at + 16])
        end = at + 512 * sectors
        assert offset == at
        assert checksum(b[24:40], b[at:at + 32], b[at + 48:end]) == b[at + 32:at + 48]
        for kind, name, content in decode(b[at + 48:end])[0]:
            found[kind, name] = content
        at = end
    return found


def look(data, shard, index):
    documents = read_documents(data / "documents")
    papers = [c for (kind, _), c in documents.items() if kind == 3]
    app = next(name for kind, name in documents if kind == 3)
    genesis = whole(whole(papers[0])[0])
    assert genesis[0] == 5 and parts(b"banyan app", genesis[3]) == app
    assert len(documents[4, app + struct.pack(">I", shard)]) == 16
    kind, data_of = read_segment(data / "log" / f"{1:016x}.seg")[app, shard][index]
    version, _, body_kind, turn = whole(data_of)
    assert (kind, version, body_kind) == (1, 1, 1) and len(turn) == 10
    by, actor, answer, state = turn[:4]
    assert by[0] == 1 and by[2] == 2 and actor == "alice"
    assert answer[0] == 0 and whole(answer[1]) == 10
    assert whole(state) == [1, {"balance": 10}]


def main():
    peer, banyan, apps = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "data"
        spec = pathlib.Path(folder) / "ledger.toml"
        spec.write_text('name = "ledger"\nmodule = "ledger"\n')
        process = subprocess.Popen(
            [peer, "--data", data, "--listen", "127.0.0.1:0", "--apps", apps],
            stdout=subprocess.PIPE, text=True)
        try:
            ready = dict(w.split("=", 1)
                         for w in process.stdout.readline().split()[1:])
            subprocess.run([banyan, "--data", data, "deploy", spec], check=True,
                           timeout=60)
            shard, index = talk(int(ready["listen"].rsplit(":", 1)[1]))
            look(data, shard, index)
        finally:
            process.terminate()
            process.wait(timeout=60)
    print("a client from the documents alone: link, calls, log and documents")


main()
