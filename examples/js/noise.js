// Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b (revision 34) on Node's own crypto, and
// the ciphers of a link's two directions, with their rekeying.
import { createCipheriv, createDecipheriv, createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto'

const protocol = 'Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b'
const messages = [['psk', 'e'], ['e', 'ee', 's', 'es'], ['s', 'se']]
const nothing = Buffer.alloc(0)
const rekeyEvery = 65536

export class NoiseError extends Error {}

const hash = (...parts) => {
  const h = createHash('blake2b512')
  for (const p of parts) h.update(p)
  return h.digest()
}
const hmac = (key, ...parts) => {
  const h = createHmac('blake2b512', key)
  for (const p of parts) h.update(p)
  return h.digest()
}
function hkdf (chainingKey, input, outputs) {
  const temp = hmac(chainingKey, input)
  const out = [hmac(temp, Buffer.from([1]))]
  for (let i = 2; i <= outputs; i++) out.push(hmac(temp, out[i - 2], Buffer.from([i])))
  return out
}

/** An X25519 key pair: the secret as a KeyObject, the public key's 32 bytes. */
export function generateKeys () {
  const { privateKey, publicKey } = generateKeyPairSync('x25519')
  return { secret: privateKey, public: rawPublic(publicKey) }
}
const rawPublic = key => Buffer.from(key.export({ format: 'jwk' }).x, 'base64url')
/** The same from a secret's 32 bytes; for tests with known numbers. */
export function keysOf (secretBytes) {
  const der = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), secretBytes])
  const secret = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  return { secret, public: rawPublic(createPublicKey(secret)) }
}
function dh (keys, remote) {
  const x = Buffer.from(remote).toString('base64url')
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' })
  try {
    return diffieHellman({ privateKey: keys.secret, publicKey })
  } catch { // a key of low order: all bits of the result would be zero
    throw new NoiseError('a weak key')
  }
}

function nonceOf (counter) { // 4 zero bytes, then 64 bits little-endian
  const n = Buffer.alloc(12)
  n.writeBigUInt64LE(BigInt.asUintN(64, BigInt(counter)), 4)
  return n
}
function seal (key, counter, ad, text) {
  const c = createCipheriv('chacha20-poly1305', key, nonceOf(counter), { authTagLength: 16 })
  c.setAAD(ad, { plaintextLength: text.length })
  return Buffer.concat([c.update(text), c.final(), c.getAuthTag()])
}
function open (key, counter, ad, sealed) {
  if (sealed.length < 16) throw new NoiseError('too short')
  const body = sealed.subarray(0, sealed.length - 16)
  const c = createDecipheriv('chacha20-poly1305', key, nonceOf(counter), { authTagLength: 16 })
  c.setAAD(ad, { plaintextLength: body.length })
  c.setAuthTag(sealed.subarray(sealed.length - 16))
  const text = c.update(body)
  try {
    c.final()
  } catch {
    throw new NoiseError('does not open')
  }
  return text
}

/** One direction of a link: records are counted; a new key each 65,536. */
export class Direction {
  constructor (key) {
    this.key = key
    this.records = 0
  }

  // The record's number; the key is that of its time.
  #next () {
    if (this.records > 0 && this.records % rekeyEvery === 0) this.key = seal(this.key, -1, nothing, Buffer.alloc(32)).subarray(0, 32)
    return this.records++
  }

  seal (text) {
    const number = this.#next()
    return seal(this.key, number, nothing, text)
  }

  open (sealed) {
    const number = this.#next()
    return open(this.key, number, nothing, sealed)
  }
}

/** The handshake. `write` and `read` take turns, the dialler begins. */
export class Handshake {
  /** `keys`, `ephemeral`: of `generateKeys` (the default) or `keysOf`. */
  constructor ({ initiator, prologue, psk, keys = generateKeys(), ephemeral = generateKeys() }) {
    Object.assign(this, { initiator, psk, keys, ephemeral })
    this.hash = Buffer.alloc(64) // the name has 37 bytes
    this.hash.write(protocol)
    this.chainingKey = this.hash
    this.remote = null // the far side's X25519 static key, once it came
    this.remoteEphemeral = null
    this.next = 0
    this.mixHash(prologue)
  }

  mixHash (data) { this.hash = hash(this.hash, data) }

  mixKey (input) {
    const [ck, key] = hkdf(this.chainingKey, input, 2)
    this.setKey(ck, key)
  }

  mixKeyAndHash (input) {
    const [ck, h, key] = hkdf(this.chainingKey, input, 3)
    this.mixHash(h)
    this.setKey(ck, key)
  }

  setKey (chainingKey, key) {
    this.chainingKey = chainingKey
    this.key = key.subarray(0, 32)
    this.counter = 0
  }

  encryptAndHash (text) {
    const sealed = seal(this.key, this.counter++, this.hash, text)
    this.mixHash(sealed)
    return sealed
  }

  decryptAndHash (sealed) {
    const text = open(this.key, this.counter++, this.hash, sealed)
    this.mixHash(sealed)
    return text
  }

  // What both sides do alike: psk, and the four products of keys.
  mix (token) {
    if (token === 'psk') return this.mixKeyAndHash(this.psk)
    const own = (token[0] === 'e') === this.initiator || token === 'ee' ? this.ephemeral : this.keys
    const far = token === 'ee' || (token === 'se') === this.initiator ? this.remoteEphemeral : this.remote
    this.mixKey(dh(own, far))
  }

  write (payload) {
    const out = []
    for (const token of messages[this.next++]) {
      if (token === 'e') {
        out.push(this.ephemeral.public)
        this.mixHash(this.ephemeral.public)
        this.mixKey(this.ephemeral.public) // as a psk handshake wants it
      } else if (token === 's') out.push(this.encryptAndHash(this.keys.public))
      else this.mix(token)
    }
    out.push(this.encryptAndHash(payload))
    return Buffer.concat(out)
  }

  /** The payload. Throws NoiseError; the handshake is then over. */
  read (message) {
    let rest = message
    const take = n => {
      if (rest.length < n) throw new NoiseError('too short')
      const part = rest.subarray(0, n)
      rest = rest.subarray(n)
      return part
    }
    for (const token of messages[this.next++]) {
      if (token === 'e') {
        this.remoteEphemeral = Buffer.from(take(32))
        this.mixHash(this.remoteEphemeral)
        this.mixKey(this.remoteEphemeral)
      } else if (token === 's') this.remote = this.decryptAndHash(take(48))
      else this.mix(token)
    }
    return this.decryptAndHash(rest)
  }

  /** After the third message. The dialler sends with the first key. */
  split () {
    const [first, second] = hkdf(this.chainingKey, nothing, 2).map(k => new Direction(k.subarray(0, 32)))
    return this.initiator ? { out: first, back: second } : { out: second, back: first }
  }
}
