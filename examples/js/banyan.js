// A client of Banyan apps: encrypted calls to any peer of a mesh, which are
// repeated at other peers under one number until the deadline, and take effect
// once. Node 18 or newer, no other package.
//
//   const mesh = await connect({ peers: ['127.0.0.1:7601', '127.0.0.1:7602'] })
//   await mesh.call('ledger', 'alice', 'deposit', { cents: 5 })
//   await mesh.query('ledger', 'alice', 'balance')
//   await mesh.close()
import { randomBytes } from 'node:crypto'
import { Backlog } from './backlog.js'
import { Calls, kind, shardOf, statusWords } from './calls.js'
import { fromBase32, Identity, localClientKey, readClientKey, toBase32 } from './keys.js'
import { Link, LinkError } from './link.js'
import { decode, encode } from './msgpack.js'
import { generateKeys } from './noise.js'

export { readClientKey, parseClientKey } from './keys.js'
export { Float } from './msgpack.js'

const argumentMax = 1 << 20
const timeoutMax = 86_400_000
const sessionWindow = 1000 // of the 1,024 answers that a group keeps
const internalMs = 10_000
const backoffMs = [50, 1000]
const duplicateMs = 5000
const refreshBytes = 64 * 2 ** 30

/** Why there is no value. `code`: rejected, invalid_argument, not_found,
 *  conflict, expired, too_large, overloaded, app_failed, poisoned, no_quorum,
 *  parked, stopped, deadline, unknown, disk_full, unauthorized, forbidden,
 *  unreachable, invalid_answer. A command may have taken effect with `unknown`,
 *  `expired` and `invalid_answer`; with any other code it has not.
 *  `appCode`: the app's own when `rejected`; `retryAfterMs`: with `overloaded`. */
export class BanyanError extends Error {
  constructor (code, message, more = {}) {
    super(message || code)
    this.name = 'BanyanError'
    this.code = code
    Object.assign(this, more)
  }
}

/** Dials all peers and gives a `Client` once one is linked.
 *  - `peers`: `[ID@]HOST:PORT`, one or more; with an ID no other node will do
 *  - `clientKey`: the path of a `NAME.client`, or what `readClientKey` gave;
 *    none: the mesh `local`
 *  - `connectTimeout` 5000 ms, else `unreachable`, with what each peer said in
 *    `causes`
 *  - `callsMax` 4096 and `bytesMax` 64 MiB: calls under way and their arguments;
 *    more are `overloaded` at once
 *  - `refreshAfter`: the age at which a link gets a successor with new keys; an
 *    hour (ms), which is as old as a peer lets it become twice */
export const connect = options => Client.connect(options)

const bad = why => { throw new BanyanError('invalid_argument', why) }

function parsePeer (text) {
  const m = /^(?:([a-z2-7]{52})@)?(?:\[([0-9a-fA-F:.]+)\]|([^:@[\]]{1,253})):([0-9]{1,5})$/.exec(text)
  const port = Number(m?.[4])
  const pin = m?.[1] && fromBase32(m[1])
  if (!m || port < 1 || port > 65535 || (m[1] && !pin)) return undefined
  return { address: text, host: m[2] ?? m[3], port, pin }
}

export class Client {
  #peers
  #calls
  #backlog = new Backlog((message, retryAfterMs) => new BanyanError('overloaded', message, { retryAfterMs }))
  #lookups = new Map() // app → until its number of shards is known
  #groups = new Map() // app/shard → its session, and the numbers that are open
  #self
  #dials = 0
  #links = 0
  #bytes = 0
  #underWay = 0
  #closed = false
  #onLinked = () => {}
  #limits

  static async connect (options) {
    const places = (options.peers ?? []).map(p => parsePeer(p) ?? bad(`'${p}' is no [ID@]HOST:PORT of a peer`))
    if (places.length === 0) bad('a client needs the HOST:PORT of a peer, or of several')
    let key = options.clientKey ?? localClientKey()
    if (typeof key === 'string') key = await readClientKey(key).catch(e => bad(e.message))
    const client = new Client(places, key, options)
    try {
      await client.#linked(options.connectTimeout ?? 5000)
    } catch (e) {
      await client.close()
      throw e
    }
    return client
  }

  /** Use `connect`. */
  constructor (places, key, { callsMax = 4096, bytesMax = 64 << 20, refreshAfter = 3_600_000 }) {
    this.#limits = { callsMax, bytesMax, refreshAfter }
    this.#self = { key, identity: new Identity(), keys: generateKeys(), boot: randomBytes(16) }
    this.#peers = places.map(p => ({ ...p, node: '', link: null, silent: false, pause: 0, asked: 0, error: null, dialling: null }))
    this.#calls = new Calls(this.#peers)
    for (const p of this.#peers) this.#dial(p)
  }

  /** Calls a command of the actor `key`; its answer. Numbers above 2^53 are
   *  BigInts, bytes are Buffers. Options: `timeout` 5000 ms; `idempotencyKey`:
   *  the same key is the same call, whoever makes it (for 10 minutes at least);
   *  without one the client numbers its calls itself. Rejects with BanyanError. */
  async call (app, key, command, argument, options = {}) {
    return this.#run({ kind: kind.command, app, key, command }, argument, options)
  }

  /** Calls a query. `maxStaleness` (ms): any replica may answer with state that
   *  was current no longer ago; none: linearizable. */
  async query (app, key, query, argument, options = {}) {
    return this.#run({ kind: kind.query, app, key, command: query, maxStaleness: options.maxStaleness }, argument, options)
  }

  /** `[{ address, node, up, asked, error }]`: `asked` counts calls, `error` is why there was no
   *  link or why the last one ended, a LinkError; null if neither was. */
  peers () {
    return this.#peers.map(p => ({ address: p.address, node: p.node && toBase32(Buffer.from(p.node, 'hex')), up: p.link !== null, asked: p.asked, error: p.error }))
  }

  /** Calls that were asked again; that are under way; of these, that wait for
   *  a place among those at the peers; links that came up. */
  counters () {
    return { repeated: this.#calls.repeated, underWay: this.#underWay, waiting: this.#backlog.waiting, links: this.#links }
  }

  /** Ends calls that are under way (`unknown` or `deadline`), gives the sessions
   *  back and says goodbye. Afterwards nothing of the client is left running. */
  async close () {
    if (this.#closed) return
    this.#closed = true
    for (const g of this.#groups.values()) {
      if (g.session) this.#calls.tell({ kind: kind.closeSession, app: g.app, key: g.key, identity: () => [g.session, 0, 0] })
    }
    this.#backlog.end(new BanyanError('deadline', 'the client was closed; not executed'))
    this.#calls.end()
    for (const g of this.#groups.values()) this.#wake(g)
    await Promise.all(this.#peers.map(p => new Promise(resolve => {
      clearTimeout(p.timer)
      clearTimeout(p.refresh)
      p.dialling?.close()
      if (!p.link) return resolve()
      p.ended = resolve
      p.link.close()
    })))
  }

  // ---- calls

  async #run (order, argument, { timeout = 5000, idempotencyKey }) {
    const text = (v, max) => typeof v === 'string' && v !== '' && Buffer.byteLength(v) <= max
    if (!text(order.app, 63)) bad("an app's name has 1 to 63 bytes")
    if (!text(order.key, 255)) bad("an actor's key has 1 to 255 bytes")
    if (!text(order.command, 255)) bad("a command's name has 1 to 255 bytes")
    if (!(timeout > 0 && timeout <= timeoutMax)) bad('the timeout is 1 ms to a day')
    if (idempotencyKey !== undefined && !text(idempotencyKey, 255)) bad('an idempotency key has 1 to 255 bytes')
    const stale = order.maxStaleness
    if (stale !== undefined && !(Number.isInteger(stale) && stale >= 0 && stale <= timeoutMax)) bad('maxStaleness is whole milliseconds')
    try {
      order.argument = argument === undefined ? Buffer.alloc(0) : encode(argument)
    } catch (e) {
      bad(e.message)
    }
    const size = order.argument.length
    if (size > argumentMax) bad('an argument has at most 1 MiB')
    if (this.#closed) throw new BanyanError('unreachable', 'the client is closed')
    if (this.#underWay >= this.#limits.callsMax || this.#bytes + size > this.#limits.bytesMax) {
      throw new BanyanError('overloaded', 'this client has too much under way', { retryAfterMs: 100 })
    }
    this.#underWay++
    this.#bytes += size
    order.until = performance.now() + timeout
    if (idempotencyKey !== undefined) order.identity = () => idempotencyKey
    try {
      await this.#backlog.enter(order, this.#pausedWith(order))
      return value(await this.#given(order))
    } finally {
      this.#underWay--
      this.#bytes -= size
    }
  }

  // A call that has its place among those at the peers.
  async #given (order) {
    let answer
    try {
      answer = await (order.kind === kind.command && !order.identity ? this.#numbered(order) : this.#calls.ask(order))
      return answer
    } finally {
      const refused = statusWords[answer?.status] === 'overloaded'
      this.#backlog.leave(order, this.#pausedWith(order), order.took, refused ? Number(answer.retryAfterMs) || 0 : undefined)
    }
  }

  // Who waits when a peer says `overloaded`: the group, as far as it is known.
  #pausedWith (order) { return this.#calls.group(order) ?? `${order.app}/` }

  // A command's number in a session of its group makes it the same command
  // wherever and however often it is asked.
  async #numbered (order) {
    for (;;) {
      const { group, session, number } = await this.#takeNumber(order)
      order.identity = () => [session, number, Math.min(number, floor(group))]
      const answer = await this.#calls.ask(order)
      const expired = statusWords[answer.status] === 'expired'
      if (expired && group.session === session) { // the app may even be another one of that name
        group.session = 0
        this.#calls.shards.delete(order.app)
      } else if (group.session === session) group.open.delete(number)
      this.#wake(group)
      if (!expired || answer.lost) return answer
    }
  }

  async #takeNumber (order) {
    const { app, key, until } = order
    let group
    while (!this.#closed && performance.now() < until) {
      const shards = this.#calls.shards.get(app)
      if (!shards) {
        await within(this.#once(this.#lookups, app, () => this.#lookUp(app)), until)
        continue
      }
      const name = `${app}/${shardOf(key, shards)}`
      group = this.#groups.get(name) ?? { name, app, key, session: 0, next: 1, open: new Set(), waiting: new Set() }
      this.#groups.set(name, group)
      if (group.session === 0) await within(this.#once(this.#lookups, name, () => this.#openSession(group)), until)
      else if (room(group) > 0) {
        group.open.add(group.next)
        return { group, session: group.session, number: group.next++ }
      } else await within(new Promise(resolve => group.waiting.add(resolve)), until)
    }
    if (group) this.#wake(group) // whose turn this was
    throw new BanyanError(this.#peers.some(p => p.link) ? 'deadline' : 'unreachable', 'not sent in time; not executed')
  }

  #wake (group) {
    for (let n = room(group); n > 0 && group.waiting.size > 0; n--) {
      const [wake] = group.waiting
      group.waiting.delete(wake)
      wake()
    }
  }

  // What several calls wait for is asked for once.
  #once (map, name, make) {
    if (!map.has(name)) map.set(name, make().finally(() => map.delete(name)))
    return map.get(name)
  }

  async #lookUp (app) {
    const r = await this.#calls.ask({ kind: kind.lookup, app, key: '', until: performance.now() + internalMs })
    if (statusWords[r.status] !== 'deadline' && !this.#calls.shards.has(app)) throw new BanyanError('not_found', `no app named '${app}'`)
  }

  async #openSession (group) {
    const r = await this.#calls.ask({ kind: kind.openSession, app: group.app, key: group.key, until: performance.now() + internalMs })
    if (r.session) Object.assign(group, { session: r.session, next: 1, open: new Set() })
    else if (statusWords[r.status] !== 'deadline') fail(r)
    this.#wake(group)
  }

  // ---- links

  // Resolves once any peer is linked.
  #linked (ms) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const causes = this.#peers.map(p => p.error).filter(e => e)
        const said = this.#peers.map(p => `${p.address}: ${p.error ? p.error.message : 'no answer'}`).join('; ')
        reject(new BanyanError('unreachable', `no peer of ${this.#self.key.mesh} answered (${said})`, { causes }))
      }, ms)
      this.#onLinked = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  // Also makes the successor of a link that is an hour old.
  #dial (peer) {
    if (this.#closed) return
    const { host, port, pin } = peer
    peer.dialling = new Link({
      ...this.#self,
      host,
      port,
      pin,
      dial: ++this.#dials,
      accept: node => {
        if (this.#peers.some(p => p !== peer && p.link?.node === node)) throw new LinkError('duplicate', 'there is a link to that node already')
      },
      onUp: link => this.#onUp(peer, link),
      onFrame: (number, payload, link) => {
        this.#calls.onFrame(peer, number, payload)
        if (link === peer.link && link.bytes >= refreshBytes && !peer.dialling) this.#dial(peer)
      },
      onEnd: (error, link) => this.#onEnd(peer, error, link)
    })
  }

  #onUp (peer, link) {
    if (peer.dialling === link) peer.dialling = null
    const old = peer.link
    this.#links++
    Object.assign(peer, { link, node: link.node, silent: false, pause: 0 })
    clearTimeout(peer.refresh)
    peer.refresh = setTimeout(() => { if (!peer.dialling) this.#dial(peer) }, this.#limits.refreshAfter)
    old?.close() // its answers still come, or come over the new one
    this.#onLinked()
    this.#calls.onUp()
  }

  #onEnd (peer, error, link) {
    if (peer.dialling === link) peer.dialling = null
    else if (peer.link !== link) return // was replaced
    const lost = peer.link === link
    if (lost) {
      peer.link = null
      clearTimeout(peer.refresh)
      this.#calls.onDown(peer)
    }
    peer.ended?.()
    if (this.#closed) return
    peer.error = error
    const settled = lost && performance.now() - link.since > 1000
    if (settled) peer.pause = 0
    peer.pause = error.code === 'duplicate' ? duplicateMs : Math.min(Math.max(2 * peer.pause, backoffMs[0]), backoffMs[1])
    clearTimeout(peer.timer)
    peer.timer = setTimeout(() => { if (!peer.dialling && !peer.link) this.#dial(peer) }, peer.pause * (0.5 + Math.random() / 2))
  }
}

// Numbers are opened in ascending order: the first is the lowest.
function floor (group) {
  for (const number of group.open) return number
  return group.next
}
const room = group => group.session === 0 ? group.waiting.size : sessionWindow - (group.next - floor(group))

function within (promise, until) {
  let timer
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new BanyanError('deadline', 'not sent in time')), Math.max(0, until - performance.now()))
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

function fail (r) {
  const code = r.unsent ? 'unreachable' : statusWords[r.status] === 'ok' ? 'invalid_answer' : statusWords[r.status]
  const more = {}
  if (code === 'rejected') more.appCode = r.code
  if (typeof r.retryAfterMs === 'number') more.retryAfterMs = r.retryAfterMs
  throw new BanyanError(code, r.message, more)
}

function value (r) {
  if (r.status !== 0) fail(r)
  if (r.result === undefined || r.result.length === 0) return null
  try {
    return decode(r.result)
  } catch (e) {
    throw new BanyanError('invalid_answer', `it ran, but its answer can't be read: ${e.message}`)
  }
}
