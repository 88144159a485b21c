// Which peer is asked what, and when again: docs/wire-groups.md, section 2.
import { channel } from './link.js'
import { decode, encode, MalformedError } from './msgpack.js'

export const kind = { command: 0, query: 1, openSession: 2, closeSession: 3, lookup: 4 }
export const statusWords = ['ok', 'rejected', 'invalid_argument', 'not_found', 'app_failed',
  'poisoned', 'too_large', 'conflict', 'expired', 'overloaded', 'deadline', 'unknown',
  'unknown', 'unknown', 'parked', 'stopped', 'no_quorum', 'disk_full', 'unauthorized', 'forbidden']
const status = { ok: 0, notFound: 3, expired: 8, deadline: 10, unknown: 11, noQuorum: 16 }
const final = new Set([0, 1, 2, 4, 5, 6, 7, 18, 19]) // asking again changes nothing

const silenceMs = 250 // nothing at all from a peer that was asked: try another
const patienceMs = 1000 // no answer, though it speaks: ask another as well
const graceMs = 50 // a peer answers at the deadline itself
const pauseMs = [5, 100]

/** FNV-1a 64, finished by splitmix64 (section 1). */
export function shardOf (key, shards) {
  const u64 = n => BigInt.asUintN(64, n)
  let h = 0xcbf29ce484222325n
  for (const byte of Buffer.from(key)) h = u64((h ^ BigInt(byte)) * 0x100000001b3n)
  h = u64(h + 0x9e3779b97f4a7c15n)
  h = u64((h ^ h >> 30n) * 0xbf58476d1ce4e5b9n)
  h = u64((h ^ h >> 27n) * 0x94d049bb133111ebn)
  return Number((h ^ h >> 31n) % BigInt(shards))
}

/** A client reply: `{ call, status, result, code, message, session, leader,
 *  retryAfterMs, shards }`. */
export function readReply (payload) {
  const outer = decode(payload)
  if (!Array.isArray(outer) || outer.length !== 2 || !(outer[0] instanceof Uint8Array)) throw new MalformedError('no client reply')
  const r = decode(outer[0])
  const whole = (n, max) => Number.isInteger(n) && n >= 0 && n <= max
  if (!(r instanceof Map) || !whole(r.get(1), Number.MAX_SAFE_INTEGER) || !whole(r.get(2), statusWords.length - 1) ||
      !whole(outer[1], 2 ** 32) || !(r.get(3) === undefined || r.get(3) instanceof Uint8Array)) throw new MalformedError('no reply')
  const leader = r.get(9)
  return {
    call: r.get(1),
    status: r.get(2),
    result: r.get(3),
    code: String(r.get(4) ?? ''),
    message: String(r.get(5) ?? ''),
    session: r.get(8) ?? 0,
    leader: Array.isArray(leader) && leader[0] instanceof Uint8Array ? leader[0].toString('hex') : '',
    retryAfterMs: r.get(11),
    shards: outer[1]
  }
}

/** All calls under way. `peers` have `{ node, link, silent }`, the preferred
 *  one first; who owns them tells `onUp`, `onDown` and `onFrame`. */
export class Calls {
  constructor (peers) {
    this.peers = peers
    this.open = new Map() // number → ask
    this.number = Math.floor(Math.random() * 2 ** 40) * 256 // nobody takes an earlier client's answer
    this.shards = new Map() // app → its number of shards
    this.leaders = new Map() // app/shard → node
    this.repeated = 0
  }

  /** Asks until there is an answer, or `until` (performance.now()). `order`:
   *  `{ kind, app, key, command, argument, identity (), maxStaleness, until }`;
   *  its `took` is set (ms), if one peer was asked, once. Never rejects:
   *  `{ status, message, lost, … }`, where `lost` says that some attempt's
   *  outcome will never be told. */
  ask (order) {
    return new Promise(resolve => {
      const number = ++this.number
      const ask = { ...order, order, number, resolve, asked: new Set(), notHere: new Set(), lost: false, sends: 0, retryAt: 0, pause: 0 }
      this.open.set(number, ask)
      this.#sendToBest(ask)
    })
  }

  /** Sends a frame whose answer nobody waits for. */
  tell (order) {
    const peer = this.peers.find(p => p.link)
    peer?.link.send(channel.request, this.#frame({ ...order, number: ++this.number }, 5000))
  }

  end () {
    for (const ask of [...this.open.values()]) this.#finish(ask, outOfTime(ask))
  }

  #frame (ask, left) {
    return encode([ask.number, ask.kind, ask.app, ask.key, ask.command ?? '', ask.argument ?? Buffer.alloc(0),
      ask.identity?.() ?? null, Math.ceil(left), ask.maxStaleness ?? null])
  }

  // ---- which peer

  /** Undefined where any replica will do, or the group isn't known. */
  group (ask) {
    const shards = this.shards.get(ask.app)
    return shards && ask.key !== '' && ask.maxStaleness === undefined ? `${ask.app}/${shardOf(ask.key, shards)}` : undefined
  }

  #choose (ask) {
    const free = this.peers.filter(p => p.link && !ask.asked.has(p) && !ask.notHere.has(p))
    const leader = this.leaders.get(this.group(ask))
    return free.find(p => p.node === leader && !p.silent) ?? free.find(p => !p.silent) ?? free[0]
  }

  #sendToBest (ask) {
    const now = performance.now()
    if (now >= ask.until) return this.#finish(ask, outOfTime(ask))
    const peer = this.#choose(ask)
    if (peer && peer.link.send(channel.request, this.#frame(ask, ask.until - now))) {
      if (ask.sends++ > 0) this.repeated++
      ask.sentAt = now
      ask.asked.add(peer)
      peer.asked++
      ask.checkAt = now + silenceMs
    } else if (ask.asked.size) ask.checkAt = now + silenceMs
    else return this.#retryLater(ask) // nobody is linked: `onUp` is sooner
    this.#arm(ask)
  }

  #retryLater (ask) {
    ask.pause = Math.min(Math.max(2 * ask.pause, pauseMs[0]), pauseMs[1])
    ask.retryAt = performance.now() + ask.pause
    this.#arm(ask)
  }

  #finish (ask, answer) {
    clearTimeout(ask.timer)
    this.open.delete(ask.number)
    if (ask.sends === 1 && !ask.lost) ask.order.took = performance.now() - ask.sentAt
    ask.resolve({ ...answer, lost: ask.lost || ask.asked.size > 0 })
  }

  // ---- peers come, go and answer

  onUp () {
    for (const ask of this.open.values()) if (ask.asked.size === 0) this.#sendToBest(ask)
  }

  onDown (peer) {
    for (const ask of this.open.values()) {
      ask.notHere.delete(peer)
      if (!ask.asked.delete(peer)) continue
      ask.lost = true
      if (ask.asked.size === 0) this.#sendToBest(ask)
    }
  }

  /** Throws MalformedError. An answer that nobody waits for is dropped. */
  onFrame (peer, number, payload) {
    if (number !== channel.reply) return
    peer.silent = false
    const reply = readReply(payload)
    const ask = this.open.get(reply.call)
    if (!ask?.asked.delete(peer)) return
    if (reply.shards > 0) this.shards.set(ask.app, reply.shards)
    this.#learn(ask, peer, reply)
    this.#answered(ask, peer, reply)
  }

  // Who leads the group is asked first from now on. A peer that leads it, or
  // knows no better, names nobody.
  #learn (ask, peer, reply) {
    const group = this.group(ask)
    if (group !== undefined && (reply.leader || reply.status === status.ok)) this.leaders.set(group, reply.leader || peer.node)
  }

  #answered (ask, peer, reply) {
    if (final.has(reply.status) || reply.status === status.expired) return this.#finish(ask, reply)
    if (reply.status === status.notFound) { // it may not have heard of a new app yet
      ask.notHere.add(peer)
      if (ask.asked.size > 0) return this.#arm(ask)
      return this.#choose(ask) ? this.#sendToBest(ask) : this.#finish(ask, ask.lost ? outOfTime(ask) : reply)
    }
    if (ask.asked.size > 0) return this.#arm(ask) // another peer is still at it
    if (reply.status === status.unknown) ask.lost = true
    const open = ask.lost || ask.kind === kind.openSession || reply.status === status.noQuorum
    if (open && performance.now() < ask.until) return this.#retryLater(ask)
    this.#finish(ask, ask.lost && ask.kind === kind.command ? outOfTime(ask) : reply)
  }

  // ---- time

  #arm (ask) {
    const due = ask.asked.size ? Math.min(ask.checkAt, ask.until + graceMs) : Math.min(ask.retryAt, ask.until)
    clearTimeout(ask.timer)
    ask.timer = setTimeout(() => this.#onTime(ask), Math.max(0, due - performance.now()))
  }

  #onTime (ask) {
    const now = performance.now()
    if (now >= ask.until + (ask.asked.size ? graceMs : 0)) this.#finish(ask, outOfTime(ask))
    else if (ask.asked.size === 0) now >= ask.retryAt ? this.#sendToBest(ask) : this.#arm(ask)
    else if (now >= ask.checkAt && now < ask.until) this.#check(ask, now)
    else {
      if (now >= ask.until) ask.checkAt = Infinity
      this.#arm(ask)
    }
  }

  #check (ask, now) {
    const last = [...ask.asked].at(-1)
    const silent = !last.link || last.link.heard <= ask.sentAt
    if (!silent && now < ask.sentAt + patienceMs) {
      ask.checkAt = Math.min(now + silenceMs, ask.sentAt + patienceMs)
      return this.#arm(ask)
    }
    if (silent && !last.silent) { // later calls begin elsewhere
      last.silent = true
      this.peers.push(...this.peers.splice(this.peers.indexOf(last), 1))
    }
    this.#sendToBest(ask)
  }
}

function outOfTime (ask) {
  const changes = ask.kind === kind.command && (ask.lost || ask.asked.size > 0)
  if (changes) return { status: status.unknown, message: 'no peer answered in time; it may have taken effect' }
  return { status: status.deadline, message: ask.sends > 0 ? 'no answer in time' : 'no peer could be reached', unsent: ask.sends === 0 }
}
