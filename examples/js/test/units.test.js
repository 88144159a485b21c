// The parts alone: numbers that docs/wire-format.md and docs/wire-groups.md
// give, and bytes that are no msgpack.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { parseClientKey } from '../banyan.js'
import { shardOf } from '../calls.js'
import { blake2b256, clientKeyOf, fromBase32, Identity, localClientKey, toBase32 } from '../keys.js'
import { decode, encode, Float, MalformedError } from '../msgpack.js'
import { Handshake, keysOf } from '../noise.js'

const hex = b => b.toString('hex')
const bytes = (n, value) => Buffer.alloc(n, value)

test('the numbers to check against', () => {
  const local = localClientKey()
  assert.equal(hex(local.id), '0151efa04232df5fecd84fcedaeed933442c933292632eac267a67adf395a351')
  assert.equal(hex(local.psk), '48aa0f46dfb4caf7b3884fc34c57004626c2dbf4ed9dcd2e627c1ace3fc62d5a')
  assert.deepEqual(['alice', 'bob', 'carol', 'ü'].map(k => shardOf(k, 1000)), [941, 156, 813, 485])
  assert.equal(hex(encode(['banyan', 1, 'local'])), '93a662616e79616e01a56c6f63616c')

  const noise = new Handshake({
    initiator: true,
    prologue: encode(['banyan', 1, 'local']),
    psk: local.psk,
    keys: keysOf(bytes(32, 1)),
    ephemeral: keysOf(bytes(32, 2))
  })
  assert.equal(hex(noise.write(bytes(0))), 'ce8d3ad1ccb633ec7b70c17814a5c76ecd029685050d344745ba05870e587d59' +
    'f3c70fbecaa87a68b09439e3eb059173')
  assert.equal(hex(noise.hash), '9ffad67591eeec217a399dcb059f3a450912291bb4f84baa6516afb0bce0894e' +
    '1b71c9b3031c76ecb0ac0736a574adc5ebece7c89af97767891abeb4ebc6d49a')
})

test('BLAKE2b-256 with and without a key, base32', () => {
  assert.equal(hex(blake2b256(Buffer.from('abc'))), 'bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319')
  assert.equal(hex(blake2b256(bytes(300, 7), bytes(32, 1))), '0da2ae545fa583b8d50873d01e204370751347760a6134a8e108e6751cddf4d0')
  assert.equal(hex(blake2b256(bytes(256, 7))), 'b49f21d17acf05b322ebbc2983fdfcc3fe1f77d80c122dca03806a8163f0416a')
  for (let n = 1; n < 40; n++) assert.deepEqual(fromBase32(toBase32(bytes(n, n))), bytes(n, n))
  for (const no of ['', 'a', 'A2', 'mzxw6y1', 'mzxw6yr']) assert.equal(fromBase32(no), undefined)
})

test('key files', () => {
  const key = clientKeyOf('orchard', bytes(32, 1), new Identity(bytes(32, 2)).id)
  const text = `banyan client 1\n# mine\nname orchard\nid ${toBase32(key.id)}\nkey ${toBase32(key.psk)}\n`
  assert.deepEqual(parseClientKey(text), key)
  for (const no of ['', 'banyan mesh 1', text.replace('client', 'owner'), text.replace('key ', 'key a'), text.replace('name', 'mane')]) {
    assert.throws(() => parseClientKey(no), /banyan keygen client/)
  }
})

test('msgpack: every value comes back from its shortest form', () => {
  const edges = [0, 1, 31, 32, 127, 128, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]
  const numbers = [...edges, ...edges.map(n => -n), 0.5, -1e300, 1e300, 2n ** 63n, 2n ** 64n - 1n, -(2n ** 63n)]
  const sizes = [0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536]
  const values = [null, true, false, '', 'grüße', ...numbers.filter(n => !Object.is(n, -0)),
    ...sizes.flatMap(n => ['x'.repeat(n), bytes(n, 3), Array(n).fill(7)]),
    ...[0, 1, 15, 16, 300].map(n => Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, i]))),
    new Map([[1, 'a'], [2, [new Map([[3, null]])]]]), { a: { b: [1, { c: 'd' }] } }]
  for (const v of values) assert.deepEqual(decode(encode(v)), v)
  assert.equal(hex(encode(new Float(5))), 'cb4014000000000000')
  assert.equal(hex(encode({ cents: 5, none: undefined })), '81a563656e747305')
  assert.equal(Object.getPrototypeOf(decode(encode(new Map([['__proto__', 1]])))), Object.prototype)
})

test('msgpack: what is none is refused and costs nothing', () => {
  const no = ['', 'c1', 'd9', 'a5', 'c403', '91', '8101', 'cc7f', 'cd00ff', 'ce0000ffff', 'cf00000000ffffffff',
    'd0ff', 'd1ff80', 'd2ffff8000', 'd3ffffffff80000000', 'd900', 'da001f', 'c5000a', 'dc0001', 'de0001', 'ddffffffff', 'dfffffffff',
    'dbffffffff', 'c6ffffffff', 'ca3f800000', 'c70100', 'd40100', '0000', '8201010101']
  for (const h of no) assert.throws(() => decode(Buffer.from(h, 'hex')), MalformedError, h)
  const deep = n => Buffer.concat([bytes(n, 0x91), Buffer.from([0xc0])])
  decode(deep(31))
  for (const n of [32, 1_000_000]) assert.throws(() => decode(deep(n)), MalformedError)
  const value = encode({ a: [1, 'two', bytes(3, 3)], b: 2 ** 40 })
  for (let n = 0; n < value.length; n++) assert.throws(() => decode(value.subarray(0, n)), MalformedError)
})

test('two ends of the handshake agree', () => {
  const settings = { prologue: bytes(5, 1), psk: bytes(32, 9) }
  const a = new Handshake({ initiator: true, ...settings })
  const b = new Handshake({ initiator: false, ...settings })
  assert.equal(b.read(a.write(bytes(0))).length, 0)
  assert.equal(a.read(b.write(Buffer.from('two'))).toString(), 'two')
  assert.equal(b.read(a.write(Buffer.from('three'))).toString(), 'three')
  assert.deepEqual(a.hash, b.hash)
  assert.throws(() => new Handshake({ initiator: false, ...settings, psk: bytes(32, 8) }).read(new Handshake({ initiator: true, ...settings }).write(bytes(0))))
  const [x, y] = [a.split(), b.split()]
  const texts = [bytes(0), bytes(1), bytes(65519, 4)]
  for (const text of texts) {
    assert.deepEqual(y.back.open(x.out.seal(text)), text)
    assert.deepEqual(x.back.open(y.out.seal(text)), text)
  }
})

// The peer's own code, as each side, over one rekey of each direction.
for (const role of ['initiator', 'responder']) {
  test(`a handshake and 65,600 records with the peer's code as ${role}`, { skip: !process.env.BANYAN_NOISE_PEER }, async () => {
    const psk = bytes(32, 6)
    const prologue = encode(['banyan', 1, 'orchard'])
    const peer = spawn(process.env.BANYAN_NOISE_PEER, [role, hex(psk), hex(prologue)])
    let hash = ''
    peer.stderr.on('data', d => { hash += d })
    const ended = new Promise(resolve => peer.on('close', resolve))
    const chunks = peer.stdout[Symbol.asyncIterator]()
    let held = bytes(0)
    const next = async () => {
      while (held.length < 2 || held.length < 2 + held.readUInt16BE(0)) {
        const { value, done } = await chunks.next()
        assert.ok(!done, `noise_peer ended: ${hash}`)
        held = Buffer.concat([held, value])
      }
      const body = held.subarray(2, 2 + held.readUInt16BE(0))
      held = held.subarray(2 + body.length)
      return body
    }
    const framed = b => Buffer.concat([Buffer.from([b.length >> 8, b.length & 255]), b])
    const initiator = role === 'responder'
    const noise = new Handshake({ initiator, prologue, psk })
    for (let n = 0; n < 3; n++) {
      if ((n % 2 === 0) === initiator) peer.stdin.write(framed(noise.write(n === 0 ? bytes(0) : Buffer.from('from afar'))))
      else noise.read(await next())
    }
    const { out, back } = noise.split()
    for (let at = 0; at < 65600; at += 800) {
      peer.stdin.write(Buffer.concat(Array.from({ length: 800 }, (_, i) => framed(out.seal(Buffer.from(`record ${at + i}`))))))
      for (let i = 0; i < 800; i++) assert.equal(back.open(await next()).toString(), `record ${at + i}`)
    }
    peer.stdin.end()
    assert.equal(await ended, 0)
    assert.equal(hash.trim(), hex(noise.hash))
  })
}
