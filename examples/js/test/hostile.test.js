// What a far side may do wrong, and what that costs: a typed error and that link.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { BanyanError, connect } from '../banyan.js'
import { Identity, toBase32 } from '../keys.js'
import { Link } from '../link.js'
import { encode } from '../msgpack.js'
import { generateKeys } from '../noise.js'
import { meshKey, ok, peersFor, reply } from './fake_peer.js'

const welcome = encode(new Map([[0, 1]]))
const limit = { timeout: 60_000 }

/** Why a link to `peer` doesn't come up, or ends. */
function refusal (peer, pin) {
  return new Promise(resolve => {
    const [host, port] = peer.address.split(':')
    new Link({
      host,
      port,
      pin,
      key: meshKey,
      identity: new Identity(),
      keys: generateKeys(),
      boot: randomBytes(16),
      dial: 1,
      accept: () => {},
      onUp: () => resolve('it linked'),
      onFrame: () => {},
      onEnd: e => resolve(e.code)
    })
  })
}

// Each of these comes instead of an answer to a query.
const rubbish = {
  'a record that does not open': c => c.raw(Buffer.concat([Buffer.from([0, 40]), randomBytes(40)])),
  'an empty record': c => c.raw(Buffer.from([0, 16])),
  'a fragment that is cut off': c => c.sendRecord(Buffer.from([17, 0, 0])),
  'a size beyond the record': c => c.sendRecord(Buffer.from([17, 0, 255, 255, 1])),
  'an unknown flag': c => c.sendRecord(Buffer.from([17, 2, 0, 1, 0xc0])),
  'an empty piece that goes on': c => c.sendRecord(Buffer.from([17, 1, 0, 0])),
  'a channel that is no client\'s': c => c.send(3, encode([1])),
  'a channel that nobody knows': c => c.send(200, encode([1])),
  'two frames at once in one lane': c => c.sendRecord(Buffer.from([17, 1, 0, 1, 0xc0, 16, 0, 0, 1, 0xc0])),
  'a frame that is too large': c => c.send(17, Buffer.alloc(8 * 1024 * 1024 + 64 * 1024 + 1)),
  'a frame of tiny pieces that never ends': c => {
    const record = Buffer.concat(Array(13_000).fill(Buffer.from([17, 1, 0, 1, 0])))
    for (let i = 0; i < 700; i++) c.sendRecord(record)
  },
  'a second welcome': c => c.send(0, welcome),
  'a word that is no map': c => c.send(0, encode([2])),
  'no msgpack': c => c.send(17, randomBytes(100)),
  'four thousand million elements': c => c.send(17, Buffer.from('ddffffffff', 'hex')),
  'a reply that is none': c => c.send(17, encode([encode([1, 2]), 1])),
  'a million levels': c => c.send(17, Buffer.alloc(1_000_000, 0x91)),
  'a status of later versions': (c, call) => c.reply(reply(call, [[2, 77]])),
  'a status below zero': (c, call) => c.reply(reply(call, [[2, -1]])),
  'a result that is no blob': (c, call) => c.reply(reply(call, [[2, 0], [3, 'text']]))
}

describe('a far side that is not what it should be', { concurrency: true }, () => {
  it('no peer that does: each says why', limit, async t => {
    const [closes, gone] = await peersFor(t, { greet: s => s.destroy() || true }, {})
    await gone.stop()
    const e = await connect({ peers: [closes.address, gone.address], clientKey: meshKey, connectTimeout: 4000 }).catch(e => e)
    assert.ok(e instanceof BanyanError)
    assert.equal(e.code, 'unreachable')
    assert.deepEqual(e.causes.map(c => c.code), ['hung_up', 'refused'])
  })

  it('a peer that nobody listens for', limit, async t => {
    const [peer] = await peersFor(t, {})
    await peer.stop()
    assert.equal(await refusal(peer), 'refused')
  })

  it('another mesh key, or another mesh', limit, async t => {
    const [otherKey, otherName] = await peersFor(t, { key: { ...meshKey, psk: randomBytes(32) } }, { key: { ...meshKey, mesh: 'grove' } })
    assert.equal(await refusal(otherKey), 'hung_up')
    assert.equal(await refusal(otherName), 'hung_up')
  })

  it('silence, rubbish, and a peer that closes at once', limit, async t => {
    const [silent, rubbish, closes] = await peersFor(t,
      { greet: () => true },
      { greet: s => s.write(randomBytes(100_000)) || true },
      { greet: s => s.destroy() || true })
    const timedOut = refusal(silent)
    assert.equal(await refusal(rubbish), 'not_a_peer')
    assert.equal(await refusal(closes), 'hung_up')
    assert.equal(await timedOut, 'timed_out')
  })

  it('hellos that prove nothing', limit, async t => {
    const bad = {
      'another signature': m => encode(m.set(1, randomBytes(64))),
      'the proof of another node': m => encode(m.set(0, new Identity().id)),
      'a client that answers': m => encode(m.set(2, 2)),
      'another incarnation than it signed': m => encode(m.set(3, 8)),
      'a key that is missing': m => { m.delete(4); return encode(m) },
      'a key of another type': m => encode(m.set(0, 'me')),
      'no map': () => encode([1, 2]),
      'no msgpack': () => Buffer.alloc(768, 0xc1),
      'bytes behind the map': m => Buffer.concat([encode(m), Buffer.from([0, 1])]),
      'another size': m => Buffer.concat([encode(m), Buffer.alloc(768)])
    }
    const peers = await peersFor(t, ...Object.values(bad).map(hello => ({ hello })))
    await Promise.all(peers.map(async (p, i) => assert.equal(await refusal(p), 'not_a_peer', Object.keys(bad)[i])))
  })

  it('a pin takes no other node', limit, async t => {
    const [peer] = await peersFor(t, {})
    assert.equal(await refusal(peer, randomBytes(32)), 'wrong_node')
    const client = await connect({ peers: [`${toBase32(peer.identity.id)}@${peer.address}`], clientKey: meshKey, connectTimeout: 30_000 })
    await client.close()
  })

  it('words before the welcome, and none', limit, async t => {
    const [early, none, goodbye] = await peersFor(t,
      { welcome: c => c.send(17, encode([encode(new Map([[1, 1], [2, 0]])), 1])) },
      { welcome: () => {} },
      { welcome: c => c.send(0, encode(new Map([[0, 2]]))) })
    assert.equal(await refusal(early), 'not_a_peer')
    assert.equal(await refusal(none), 'timed_out')
    assert.equal(await refusal(goodbye), 'goodbye')
  })

  it('rubbish on a link costs the link, and other peers answer', { timeout: 120_000 }, async t => {
    const bad = Object.values(rubbish).map(say => ({ answer: (call, c) => { if (call.kind === 1) say(c, call) } }))
    const [good, ...peers] = await peersFor(t, { answer: call => call.kind === 1 ? ok(call, 'well') : undefined }, ...bad)
    for (const [i, what] of Object.keys(rubbish).entries()) {
      const client = await connect({ peers: [peers[i].address], clientKey: meshKey, connectTimeout: 30_000 })
      const alone = client.query('app', 'key', 'get', null, { timeout: 60_000 }).catch(e => e)
      while (client.peers()[0].error === null) await new Promise(resolve => setTimeout(resolve, 5))
      assert.equal(client.peers()[0].error.code, 'protocol_error', what)
      await client.close()
      assert.equal((await alone).code, 'deadline', what)
      const both = await connect({ peers: [peers[i].address, good.address], clientKey: meshKey, connectTimeout: 30_000 })
      assert.equal(await both.query('app', 'key', 'get', null, { timeout: 30_000 }), 'well', what)
      await both.close()
      assert.ok(peers[i].links >= 2, what)
    }
    assert.ok(process.memoryUsage().rss < 400 * 2 ** 20, 'memory is bounded')
  })

  it('an answer that is no value, and answers that nobody asked for', limit, async t => {
    const [peer] = await peersFor(t, {
      answer: (call, c) => {
        if (call.kind !== 1) return
        c.reply(new Map([[1, call.number + 1], [2, 0]]))
        c.send(16, randomBytes(10))
        return call.command === 'bad' ? reply(call, [[2, 0], [3, Buffer.from([0xc1])]]) : ok(call, 5)
      }
    })
    const client = await connect({ peers: [peer.address], clientKey: meshKey, connectTimeout: 30_000 })
    await assert.rejects(client.query('app', 'key', 'bad'), { code: 'invalid_answer' })
    assert.equal(await client.query('app', 'key', 'good'), 5)
    assert.equal(peer.links, 1)
    await client.close()
  })

  it('a frame in any pieces is one frame', limit, async t => {
    const text = 'long '.repeat(20_000)
    const [peer] = await peersFor(t, {
      answer: (call, c) => { if (call.kind === 1) c.send(17, encode([encode(ok(call, text)), 1]), call.argument[0] || 1) }
    })
    const client = await connect({ peers: [peer.address], clientKey: meshKey, connectTimeout: 30_000 })
    for (const pieces of [7, 100]) assert.equal(await client.query('app', 'key', 'get', pieces, { timeout: 30_000 }), text)
    await client.close()
  })

  it('peers and keys that are none', limit, async () => {
    for (const peers of [undefined, [], ['nowhere'], ['h:0'], ['h:65536'], ['x@h:1'], ['[::1:7'], ['a:b:7600']]) {
      await assert.rejects(connect({ peers }), { code: 'invalid_argument' })
    }
    await assert.rejects(connect({ peers: ['127.0.0.1:1'], clientKey: '/no/such.client' }), { code: 'invalid_argument' })
  })
})
