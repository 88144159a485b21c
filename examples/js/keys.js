// What lets a client into a mesh (docs/wire-format.md, section 2;
// docs/disk-format.md, section 10), and the identity that it has there.
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'

/** Who may call: `{ mesh, id, psk }` of a mesh, from a `NAME.client` file. */
export async function readClientKey (path) {
  const { mode } = await stat(path)
  if (mode & 0o077) throw new Error(`${path}: others may read it; run chmod 600 ${path}`)
  return parseClientKey(await readFile(path, 'utf8'), path)
}

export function parseClientKey (text, path = 'client key') {
  const lines = text.split('\n').filter(l => l !== '' && !l.startsWith('#'))
  const words = new Map(lines.slice(1).map(l => [l.split(' ')[0], l.slice(l.indexOf(' ') + 1)]))
  const key = { mesh: words.get('name'), id: fromBase32(words.get('id')), psk: fromBase32(words.get('key')) }
  if (lines[0] !== 'banyan client 1' || !key.mesh || key.id?.length !== 32 || key.psk?.length !== 32) {
    throw new Error(`${path} is no client key; \`banyan keygen client\` makes one`)
  }
  return key
}

/** What `NAME.client` says, from the key and the first owner in `NAME.mesh`. */
export function clientKeyOf (mesh, meshKey, owner) {
  return {
    mesh,
    id: blake2b256(parts('banyan mesh 1', mesh, owner)),
    psk: blake2b256(parts('banyan psk 1', 'client'), meshKey)
  }
}

/** The mesh `local`: loopback only, with keys that everybody knows. */
export function localClientKey () {
  const owner = new Identity(blake2b256(parts('banyan local', 'owner key')))
  return clientKeyOf('local', blake2b256(parts('banyan local', 'mesh key')), owner.id)
}

const derHead = Buffer.from('302e020100300506032b657004220420', 'hex') // PKCS #8 of a seed

/** An Ed25519 key. A client draws one at its start; `id` names its node. */
export class Identity {
  constructor (seed) {
    this.secret = seed
      ? createPrivateKey({ key: Buffer.concat([derHead, seed]), format: 'der', type: 'pkcs8' })
      : generateKeyPairSync('ed25519').privateKey
    this.id = Buffer.from(createPublicKey(this.secret).export({ format: 'jwk' }).x, 'base64url')
  }

  sign (text) { return sign(null, text, this.secret) }
}

export function verified (id, text, signature) {
  const x = Buffer.from(id).toString('base64url')
  try {
    return verify(null, text, createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }), signature)
  } catch { // no point of the curve
    return false
  }
}

/** Each part with its length before it, 8 bytes little-endian. */
export function parts (...list) {
  return Buffer.concat(list.flatMap(p => {
    const b = Buffer.from(p)
    const size = Buffer.alloc(8)
    size.writeBigUInt64LE(BigInt(b.length))
    return [size, b]
  }))
}

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567' // RFC 4648, lower case

export function toBase32 (bytes) {
  let bits = ''
  for (const b of bytes) bits += b.toString(2).padStart(8, '0')
  return (bits.match(/.{1,5}/g) ?? []).map(five => alphabet[parseInt(five.padEnd(5, '0'), 2)]).join('')
}

/** Undefined for anything but whole bytes of base32. */
export function fromBase32 (text) {
  if (typeof text !== 'string' || !/^[a-z2-7]+$/.test(text)) return undefined
  let bits = ''
  for (const c of text) bits += alphabet.indexOf(c).toString(2).padStart(5, '0')
  const bytes = Buffer.from((bits.match(/.{8}/g) ?? []).map(eight => parseInt(eight, 2)))
  return toBase32(bytes) === text ? bytes : undefined
}

// ---- BLAKE2b-256 (RFC 7693): Node's own has 512 bits and no key.

const iv = [0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n]
const sigma = ['0123456789abcdef', 'ea489fd61c02b753', 'b8c052fdae367194', '7931dcbe265a40f8',
  '905724afe1bc683d', '2c6a0b834d75fe19', 'c51fed4a0763928b', 'db7ec13950f4862a',
  '6fe9b308c2d714a5', 'a2847615fb9e3cd0']
const quarters = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
  [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]]
const u64 = n => BigInt.asUintN(64, n)
const rotate = (x, n) => u64(x >> n | x << 64n - n)

function compress (h, block, bytesSoFar, last) {
  const m = Array.from({ length: 16 }, (_, i) => block.readBigUInt64LE(8 * i))
  const v = [...h, ...iv]
  v[12] ^= BigInt(bytesSoFar)
  if (last) v[14] = u64(~v[14])
  for (let round = 0; round < 12; round++) {
    const s = sigma[round % 10]
    quarters.forEach(([a, b, c, d], i) => {
      const x = m[parseInt(s[2 * i], 16)]
      const y = m[parseInt(s[2 * i + 1], 16)]
      v[a] = u64(v[a] + v[b] + x)
      v[d] = rotate(v[d] ^ v[a], 32n)
      v[c] = u64(v[c] + v[d])
      v[b] = rotate(v[b] ^ v[c], 24n)
      v[a] = u64(v[a] + v[b] + y)
      v[d] = rotate(v[d] ^ v[a], 16n)
      v[c] = u64(v[c] + v[d])
      v[b] = rotate(v[b] ^ v[c], 63n)
    })
  }
  h.forEach((x, i) => { h[i] = x ^ v[i] ^ v[i + 8] })
}

export function blake2b256 (text, key = Buffer.alloc(0)) {
  const h = [...iv]
  h[0] ^= BigInt(0x01010000 | key.length << 8 | 32)
  let rest = Buffer.concat([key, Buffer.alloc(key.length ? 128 - key.length : 0), text])
  let done = 0
  while (rest.length > 128) {
    compress(h, rest.subarray(0, 128), done += 128, false)
    rest = rest.subarray(128)
  }
  compress(h, Buffer.concat([rest, Buffer.alloc(128 - rest.length)]), done + rest.length, true)
  const out = Buffer.alloc(64)
  h.forEach((x, i) => out.writeBigUInt64LE(x, 8 * i))
  return out.subarray(0, 32)
}
