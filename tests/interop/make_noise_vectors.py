#!/usr/bin/python3
"""Makes tests/unit/crypto/noise_xxpsk0.json with an implementation that isn't
ours: Debian's python3-dissononce. Every input comes from its label, so a second
run writes the same file.

usage: make_noise_vectors.py > ../unit/crypto/noise_xxpsk0.json
"""
import hashlib
import json

from dissononce.cipher.aesgcm import AESGCMCipher
from dissononce.cipher.chachapoly import ChaChaPolyCipher
from dissononce.dh.x25519.private import PrivateKey
from dissononce.dh.x25519.x25519 import X25519DH
from dissononce.extras.dh.dangerous.dh_nogen import NoGenDH
from dissononce.hash.blake2b import Blake2bHash
from dissononce.hash.sha256 import SHA256Hash
from dissononce.hash.sha512 import SHA512Hash
from dissononce.processing.handshakepatterns.interactive.IK import IKHandshakePattern
from dissononce.processing.handshakepatterns.interactive.NN import NNHandshakePattern
from dissononce.processing.handshakepatterns.interactive.XX import XXHandshakePattern
from dissononce.processing.impl.cipherstate import CipherState
from dissononce.processing.impl.handshakestate import HandshakeState
from dissononce.processing.impl.symmetricstate import SymmetricState
from dissononce.processing.modifiers.psk import PSKPatternModifier

DH = X25519DH()


def key(label):
    return hashlib.sha256(label.encode()).digest()


def pair(label):
    return DH.generate_keypair(PrivateKey(key(label)))


def rekey(state, sent):
    """Rekey as the specification says: 32 bytes of key, and the counter goes on.
    dissononce keeps all 48 bytes and starts the counter again."""
    state.initialize_key(state.cipher.rekey(state._key)[:32])
    state.set_nonce(sent)


class Side:
    def __init__(self, label, initiator, pattern, cipher, hash_, prologue, psks, rs):
        self.ephemeral = label + " ephemeral"
        self.static = pair(label + " static")
        self.state = HandshakeState(
            SymmetricState(CipherState(cipher()), hash_()),
            NoGenDH(DH, PrivateKey(key(self.ephemeral))))
        self.state.initialize(pattern, initiator, prologue, s=self.static, rs=rs,
                              psks=list(psks))


def vector(number, base, placement, cipher, hash_, prologue, payloads):
    pattern = base()
    psks = []
    if placement is not None:
        pattern = PSKPatternModifier(placement).modify(pattern)
        psks = [key(f"psk {number}")]
    known = isinstance(base(), IKHandshakePattern)
    label = f"vector {number}"
    resp_static = pair(f"{label} responder static")
    init = Side(f"{label} initiator", True, pattern, cipher, hash_, prologue, psks,
                resp_static.public if known else None)
    resp = Side(f"{label} responder", False, pattern, cipher, hash_, prologue, psks, None)
    out = {
        "protocol_name": init.state.protocol_name,
        "init_prologue": prologue.hex(),
        "resp_prologue": prologue.hex(),
        "init_static": init.static.private.data.hex(),
        "resp_static": resp.static.private.data.hex(),
        "init_ephemeral": key(init.ephemeral).hex(),
        "resp_ephemeral": key(resp.ephemeral).hex(),
        "messages": [],
    }
    if known:
        out["init_remote_static"] = resp_static.public.data.hex()
    if psks:
        out["init_psks"] = out["resp_psks"] = [p.hex() for p in psks]
    sides = [init, resp]
    keys = None
    turn = 0
    while keys is None:
        message = bytearray()
        read = bytearray()
        payload = payloads[turn]
        keys = sides[turn % 2].state.write_message(payload, message)
        far = sides[(turn + 1) % 2].state.read_message(bytes(message), read)
        assert bytes(read) == payload
        out["messages"].append({"payload": payload.hex(), "ciphertext": bytes(message).hex()})
        turn += 1
    assert far is not None
    out["handshake_hash"] = init.state.symmetricstate.get_handshake_hash().hex()
    sent = [0, 0]
    for payload in payloads[turn:]:
        sealed = keys[turn % 2].encrypt_with_ad(b"", payload)
        out["messages"].append({"payload": payload.hex(), "ciphertext": bytes(sealed).hex()})
        sent[turn % 2] += 1
        turn += 1
    # Rekey of both directions, then one more message in each.
    out["after_rekey"] = []
    for side in (0, 1):
        rekey(keys[side], sent[side])
        payload = f"after rekey {side}".encode()
        sealed = keys[side].encrypt_with_ad(b"", payload)
        out["after_rekey"].append({"payload": payload.hex(), "ciphertext": bytes(sealed).hex()})
    return out


TEXT = [b"", b"one", b"two: a longer payload, of more than one block of sixty-four bytes, surely",
        b"three", b"four", b"", bytes(range(256))]
PROLOGUE = b"banyan" + bytes([1]) + b"orchard"
CASES = [
    (XXHandshakePattern, 0, ChaChaPolyCipher, Blake2bHash, PROLOGUE, [b"", b"", b"", b"", b""]),
    (XXHandshakePattern, 0, ChaChaPolyCipher, Blake2bHash, PROLOGUE, TEXT),
    (XXHandshakePattern, 0, ChaChaPolyCipher, Blake2bHash, b"", TEXT),
    (XXHandshakePattern, 0, ChaChaPolyCipher, Blake2bHash, PROLOGUE, TEXT[::-1]),
    (XXHandshakePattern, 0, ChaChaPolyCipher, Blake2bHash, bytes(1000), TEXT),
    (XXHandshakePattern, 0, ChaChaPolyCipher, SHA256Hash, PROLOGUE, TEXT),
    (XXHandshakePattern, 0, ChaChaPolyCipher, SHA512Hash, PROLOGUE, TEXT),
    (XXHandshakePattern, 0, AESGCMCipher, Blake2bHash, PROLOGUE, TEXT),
    (XXHandshakePattern, 0, AESGCMCipher, SHA256Hash, PROLOGUE, TEXT),
    (XXHandshakePattern, 3, ChaChaPolyCipher, Blake2bHash, PROLOGUE, TEXT),
    (XXHandshakePattern, None, ChaChaPolyCipher, Blake2bHash, PROLOGUE, TEXT),
    (IKHandshakePattern, 2, ChaChaPolyCipher, Blake2bHash, PROLOGUE, TEXT),
    (NNHandshakePattern, 0, ChaChaPolyCipher, Blake2bHash, PROLOGUE, TEXT),
]

print(json.dumps({
    "origin": "tests/interop/make_noise_vectors.py with python3-dissononce",
    "vectors": [vector(n, *case) for n, case in enumerate(CASES)],
}, indent=1))
