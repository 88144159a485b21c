// Which peer is asked what, and when again.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { connect } from '../banyan.js'
import { meshKey, ok, peersFor, reply } from './fake_peer.js'

const limit = { timeout: 60_000 }
const client = (t, peers, options = {}) =>
  connect({ peers: peers.map(p => p.address), clientKey: meshKey, connectTimeout: 30_000, ...options }).then(c => {
    t.after(() => c.close())
    return c
  })
const until = async holds => {
  while (!holds()) await new Promise(resolve => setTimeout(resolve, 5))
}
const allUp = c => until(() => c.peers().every(p => p.up))

/** Peers of which whoever is asked first does `first`; all others `then`. */
function firstAsked (t, n, first, then) {
  let asked = null
  const answer = function (call, c) {
    if (call.kind > 1) return
    asked ??= this
    return (asked === this ? first : then).call(this, call, c)
  }
  return peersFor(t, ...Array.from({ length: n }, () => ({ answer })))
}

describe('calls', { concurrency: true }, () => {
  it('a peer that dies: the next one gets the same number of the same session', limit, async t => {
    const peers = await firstAsked(t, 2, (call, c) => { c.socket.destroy() }, call => ok(call, 7))
    const c = await client(t, peers)
    await allUp(c)
    assert.equal(await c.call('app', 'key', 'add', { n: 1 }, { timeout: 30_000 }), 7)
    const calls = peers.flatMap(p => p.calls)
    assert.ok(calls.length >= 2 && peers.every(p => p.calls.length > 0))
    for (const call of calls) assert.deepEqual(call.identity, [1234, 1, 1])
    assert.ok(c.counters().repeated >= 1)
  })

  it('a peer that dies: the next one gets the same idempotency key', limit, async t => {
    const peers = await firstAsked(t, 3, (call, c) => { c.socket.destroy() }, call => ok(call, 7))
    const c = await client(t, peers)
    await allUp(c)
    assert.equal(await c.call('app', 'key', 'add', { n: 1 }, { idempotencyKey: 'mine', timeout: 30_000 }), 7)
    for (const call of peers.flatMap(p => p.calls)) assert.equal(call.identity, 'mine')
  })

  it('a silent peer: another is asked long before the deadline', limit, async t => {
    const peers = await firstAsked(t, 2, () => undefined, call => ok(call, 7))
    const c = await client(t, peers)
    await allUp(c)
    assert.equal(await c.call('app', 'key', 'add', null, { timeout: 50_000 }), 7)
  })

  it('a peer that never heard of the app: the others are asked, then it is not_found', limit, async t => {
    const none = { answer: call => reply(call, [[2, 3]]), shards: 0 }
    const peers = await peersFor(t, none, { answer: call => call.kind < 2 ? ok(call, 7) : undefined }, none)
    const c = await client(t, peers)
    await allUp(c)
    assert.equal(await c.call('app', 'key', 'add', null, { timeout: 30_000 }), 7)
    assert.equal(await c.query('app', 'key', 'get', null, { timeout: 30_000 }), 7)
    const nobody = await client(t, [peers[0], peers[2]])
    await allUp(nobody)
    await assert.rejects(nobody.call('app', 'key', 'add'), { code: 'not_found' })
    await assert.rejects(nobody.query('app', 'key', 'get'), { code: 'not_found' })
  })

  it('whoever leads is asked first once an answer has named it', limit, async t => {
    const peers = await peersFor(t, {}, {}, {})
    peers.forEach(p => {
      p.answer = call => call.kind > 1 ? undefined : ok(call, 7, p === peers[2] ? [] : [[9, [peers[2].identity.id, Buffer.alloc(16)]]])
    })
    const c = await client(t, peers)
    await allUp(c)
    while (peers[2].calls.length < 3) await c.call('app', 'key', 'add', null, { timeout: 30_000 })
  })

  it('what leaves the outcome open is asked again until it is known', limit, async t => {
    let left = 5
    const statuses = [16, 11, 16, 11, 16]
    const [peer] = await peersFor(t, { answer: call => call.kind > 1 ? undefined : left > 0 ? reply(call, [[2, statuses[--left]]]) : ok(call, 7) })
    const c = await client(t, [peer])
    assert.equal(await c.call('app', 'key', 'add', null, { timeout: 30_000 }), 7)
    assert.equal(new Set(peer.calls.map(x => x.identity[1])).size, 1)
  })

  it('a session that has expired is opened anew', limit, async t => {
    let session = 50
    const [peer] = await peersFor(t, {
      answer: call => {
        if (call.kind === 2) return reply(call, [[2, 0], [8, ++session]])
        if (call.kind === 0) return call.identity[0] === 51 ? reply(call, [[2, 8]]) : ok(call, call.identity)
      }
    })
    const c = await client(t, [peer])
    assert.deepEqual(await c.call('app', 'key', 'add'), [52, 1, 1])
    assert.deepEqual(await c.call('app', 'key', 'add'), [52, 2, 2])
    await c.close()
    assert.deepEqual(peer.closedSessions, [52])
    assert.equal(peer.goodbyes, 1)
  })

  it('errors have types', limit, async t => {
    const says = new Map([
      ['rejected', [[2, 1], [4, 'too_poor'], [5, 'no money']]], ['invalid_argument', [[2, 2]]], ['app_failed', [[2, 4]]],
      ['poisoned', [[2, 5]]], ['too_large', [[2, 6]]], ['conflict', [[2, 7]]], ['overloaded', [[2, 9], [11, 250]]],
      ['deadline', [[2, 10]]], ['parked', [[2, 14]]], ['stopped', [[2, 15]]], ['disk_full', [[2, 17]]],
      ['unauthorized', [[2, 18]]], ['forbidden', [[2, 19]]]])
    const [peer] = await peersFor(t, { answer: call => call.kind > 1 ? undefined : reply(call, says.get(call.command)) })
    const c = await client(t, [peer])
    for (const code of says.keys()) await assert.rejects(c.call('app', 'key', code, null, { timeout: 30_000 }), { code })
    await assert.rejects(c.call('app', 'key', 'rejected'), { appCode: 'too_poor', message: 'no money' })
    await assert.rejects(c.query('app', 'key', 'overloaded'), { retryAfterMs: 250 })
  })

  it('no answer in time: a command is unknown, a query is not', limit, async t => {
    const [peer] = await peersFor(t, { shards: 1, answer: call => call.kind === 0 && call.key === 'first' ? ok(call, 7) : undefined })
    const c = await client(t, [peer])
    await c.call('app', 'first', 'add', null, { timeout: 30_000 })
    await assert.rejects(c.call('app', 'key', 'add', null, { timeout: 100 }), { code: 'unknown' })
    await assert.rejects(c.query('app', 'key', 'get', null, { timeout: 100 }), { code: 'deadline' })
    await peer.stop()
    await until(() => !c.peers()[0].up)
    await assert.rejects(c.call('app', 'other', 'add', null, { timeout: 100 }), { code: 'unreachable' })
  })

  it('what a call may not be', limit, async t => {
    const [peer] = await peersFor(t, {})
    const c = await client(t, [peer])
    const bad = { code: 'invalid_argument' }
    await assert.rejects(c.call('', 'key', 'add'), bad)
    await assert.rejects(c.call('app', 'k'.repeat(256), 'add'), bad)
    await assert.rejects(c.call('app', 'key', undefined), bad)
    await assert.rejects(c.call('app', 'key', 'add', 'x'.repeat(1 << 20)), bad)
    await assert.rejects(c.call('app', 'key', 'add', () => 5), bad)
    await assert.rejects(c.call('app', 'key', 'add', 2n ** 64n), bad)
    await assert.rejects(c.call('app', 'key', 'add', null, { timeout: -1 }), bad)
    await assert.rejects(c.call('app', 'key', 'add', null, { idempotencyKey: '' }), bad)
    await assert.rejects(c.query('app', 'key', 'get', null, { maxStaleness: 0.5 }), bad)
    assert.equal(peer.calls.length, 0)
  })

  it('bounds: calls under way, their bytes, and the numbers of a session', limit, async t => {
    let answering = false
    const held = []
    const [peer] = await peersFor(t, {
      shards: 1,
      answer: (call, c) => {
        if (call.kind > 1) return
        if (answering) return ok(call, call.identity)
        held.push(() => c.reply(ok(call, call.identity)))
      }
    })
    const few = await client(t, [peer], { callsMax: 2, bytesMax: 1000 })
    const two = [few.query('app', 'key', 'get', null, { timeout: 50_000 }), few.query('app', 'key', 'get', null, { timeout: 50_000 })]
    await assert.rejects(few.query('app', 'key', 'get'), { code: 'overloaded', retryAfterMs: 100 })
    const c = await client(t, [peer], { bytesMax: 100_000 })
    const many = Array.from({ length: 1200 }, () => c.call('app', 'key', 'add', null, { timeout: 50_000 }))
    await assert.rejects(c.call('app', 'key', 'add', 'x'.repeat(100_000)), { code: 'overloaded' })
    await until(() => held.length === 706)
    assert.equal(c.counters().waiting, 496)
    answering = true
    held.splice(0).forEach(answer => answer())
    await Promise.all(two)
    const numbers = (await Promise.all(many)).map(([, number, floor]) => [number, floor])
    assert.deepEqual(numbers.map(([n]) => n), Array.from({ length: 1200 }, (_, i) => i + 1))
    for (const [number, floor] of numbers) assert.ok(number - floor < 1000)
    assert.deepEqual([c.counters().underWay, few.counters().underWay], [0, 0])
  })

  it('overloaded: its group is left alone until the pause is over, others are not', limit, async t => {
    let refused = 0
    let came = 0
    const [peer] = await peersFor(t, {
      shards: 1,
      answer: call => {
        if (call.kind > 1) return
        if (call.command === 'hot') {
          refused = performance.now()
          return reply(call, [[2, 9], [11, 2000]])
        }
        if (call.command === 'after') came = performance.now()
        return ok(call, 7)
      }
    })
    const c = await client(t, [peer])
    await c.query('app', 'key', 'get', null, { timeout: 30_000 })
    await assert.rejects(c.query('app', 'key', 'hot', null, { timeout: 30_000 }), { code: 'overloaded', retryAfterMs: 2000 })
    await assert.rejects(c.query('app', 'key', 'get', null, { timeout: 1 }), { code: 'overloaded' })
    const waits = c.query('app', 'key', 'after', null, { timeout: 60_000 })
    assert.equal(await c.query('other', 'key', 'get', null, { timeout: 60_000 }), 7)
    assert.equal(await waits, 7)
    assert.ok(came - refused > 1900)
  })

  it('a close ends what is under way, and says so to the peer', limit, async t => {
    const [peer] = await peersFor(t, {})
    const c = await client(t, [peer])
    const calls = [c.call('app', 'key', 'add', null, { timeout: 50_000 }), c.query('app', 'key', 'get', null, { timeout: 50_000 })]
    const ends = Promise.allSettled(calls)
    await until(() => peer.calls.length >= 2)
    await c.close()
    assert.deepEqual((await ends).map(e => e.reason.code), ['unknown', 'deadline'])
    await assert.rejects(c.call('app', 'key', 'add'), { code: 'unreachable' })
    await until(() => peer.sockets.size === 0)
    assert.deepEqual(peer.closedSessions, [1234])
  })
})
