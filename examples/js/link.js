// One encrypted link of a client to a peer: docs/wire-format.md. Whatever the
// far side sends ends in frames or in a LinkError, with bounded memory.
import { connect } from 'node:net'
import { verified } from './keys.js'
import { decode, decodeAt, encode, MalformedError } from './msgpack.js'
import { Handshake, NoiseError } from './noise.js'

export const channel = { link: 0, request: 16, reply: 17 }
const word = { welcome: 1, goodbye: 2 }
const role = { peer: 1, client: 2 }

const helloBytes = 768
const secondBytes = 32 + 48 + helloBytes + 16
const recordTextMax = 65535 - 16
const pieceMax = 16000
const frameMax = 8 * 1024 * 1024 + 64 * 1024
const queueMax = 8 * 1024 * 1024
const firstByteMs = 2000
const handshakeMs = 5000
const drainMs = 2000

/** Why there is no link (any more): `code` is one of
 *  refused, unreachable, timed_out, hung_up (most often another mesh, key or
 *  wire version: the far side never says), not_a_peer, wrong_node, duplicate,
 *  protocol_error, ended, goodbye, closed. */
export class LinkError extends Error {
  constructor (code, message) {
    super(message)
    this.name = 'LinkError'
    this.code = code
  }
}

const failed = (code, message) => { throw new LinkError(code, message) }

export class Link {
  /** Dials. `settings`:
   *  - `host`, `port`; `pin`: the only node id that will do, or undefined
   *  - `key`: as `readClientKey` gives it; `identity`, `keys`, `boot`: of this
   *    client; `dial`: its dials so far, this one counted
   *  - `accept (nodeHex, incarnation)`: throws if that node isn't wanted
   *  - `onFrame (channel, payload, link)`, `onUp (link)`, and `onEnd (error, link)`
   *    exactly once, after which nothing comes */
  constructor (settings) {
    Object.assign(this, settings)
    this.state = 'shaking' // confirming, up, draining, gone
    this.node = '' // hexadecimal
    this.bytes = 0
    this.heard = 0 // performance.now() of the last record
    this.since = performance.now()
    this.input = Buffer.alloc(0)
    this.unfinished = [null, null] // a frame in pieces, per lane
    this.queue = []
    this.queued = 0
    this.socket = connect({ host: this.host, port: this.port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 5000 })
    this.socket.on('connect', () => this.#guarded(() => this.#first()))
    this.socket.on('data', data => this.#guarded(() => this.#take(data)))
    this.socket.on('error', e => this.end(new LinkError(
      e.code === 'ECONNREFUSED' ? 'refused' : this.state === 'shaking' ? 'unreachable' : 'ended', e.message)))
    this.socket.on('close', () => this.end(this.state === 'shaking' || this.state === 'confirming'
      ? new LinkError('hung_up', 'closed during the handshake; most often another mesh, key or wire version')
      : new LinkError('ended', 'the connection ended')))
    this.#limit(handshakeMs)
  }

  get up () { return this.state === 'up' }

  /** Queues a frame; false if the link takes no more. One record carries all
   *  frames of one turn of the event loop. */
  send (channelNumber, payload) {
    if (!this.up || this.queued + this.socket.writableLength > queueMax) return false
    this.#push(channelNumber, payload)
    return true
  }

  /** Says goodbye, takes what is still coming, and ends. */
  close () {
    if (!this.up) return this.state === 'draining' ? undefined : this.end(new LinkError('closed', 'closed here'))
    this.#sayGoodbye()
    this.#limit(drainMs, new LinkError('closed', 'closed here'))
  }

  end (error) {
    if (this.state === 'gone') return
    this.state = 'gone'
    clearTimeout(this.timer)
    if (error.code === 'goodbye') { // what is written still leaves
      this.socket.destroySoon()
      this.socket.setTimeout(drainMs, () => this.socket.destroy())
    } else this.socket.destroy()
    this.queue = []
    this.unfinished = [null, null]
    this.onEnd(error, this)
  }

  // Foreign bytes may fail in many ways; each costs the link and no more.
  #guarded (f) {
    try {
      if (this.state !== 'gone') f()
    } catch (e) {
      const shaking = this.state === 'shaking' || this.state === 'confirming'
      if (e instanceof LinkError) this.end(e)
      else if (e instanceof NoiseError || e instanceof MalformedError) this.end(new LinkError(shaking ? 'not_a_peer' : 'protocol_error', e.message))
      else throw e
    }
  }

  #limit (ms, error = new LinkError('timed_out', 'no link in time')) {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.end(error), ms)
  }

  // ---- the handshake

  #first () {
    const prologue = encode(['banyan', 1, this.key.mesh])
    this.noise = new Handshake({ initiator: true, prologue, psk: this.key.psk, keys: this.keys })
    this.socket.write(this.noise.write(Buffer.alloc(0)))
    this.#limit(firstByteMs)
  }

  #second (message) {
    const before = this.noise.hash
    const payload = this.noise.read(message)
    const { value: hello, end } = decodeAt(payload, 0)
    if (!(hello instanceof Map) || payload.length !== helloBytes || payload.subarray(end).some(b => b !== 0)) failed('not_a_peer', 'no hello')
    const [id, signature, as, incarnation, boot] = [0, 1, 2, 3, 4].map(k => hello.get(k))
    const sized = (b, n) => b instanceof Uint8Array && b.length === n
    const number = typeof incarnation === 'number' || typeof incarnation === 'bigint'
    if (!sized(id, 32) || !sized(signature, 64) || !sized(boot, 16) || as !== role.peer || !number) failed('not_a_peer', 'a hello with other fields')
    if (!verified(id, this.#signed(before, this.noise.remote, as, incarnation), signature)) failed('not_a_peer', 'its proof is bad')
    this.node = Buffer.from(id).toString('hex')
    if (this.pin && !this.pin.equals(id)) failed('wrong_node', `this is node ${this.node}, not the one that was wanted`)
    this.accept(this.node, incarnation)
    this.#third()
  }

  #third () {
    const me = this.identity
    const hello = encode(new Map([
      [0, me.id], [1, me.sign(this.#signed(this.noise.hash, this.keys.public, role.client, 1))],
      [2, role.client], [3, 1], [4, this.boot], [5, 0], [6, 0], [7, ''], [8, ''], [9, this.dial], [10, 0]]))
    this.socket.write(this.noise.write(Buffer.concat([hello, Buffer.alloc(helloBytes - hello.length)])))
    Object.assign(this, this.noise.split()) // out, back
    this.noise = null
    this.state = 'confirming'
  }

  #signed (handshakeHash, staticKey, as, incarnation) {
    return Buffer.concat([Buffer.from('banyan 1\x06link 1'), this.key.id, encode([handshakeHash, staticKey, as, incarnation])])
  }

  // ---- what comes

  #take (data) {
    this.bytes += data.length
    if (this.state === 'shaking' && this.input.length === 0) this.#limit(this.since + handshakeMs - performance.now())
    this.input = this.input.length ? Buffer.concat([this.input, data]) : data
    while (this.state !== 'gone') {
      const shaking = this.state === 'shaking'
      if (!shaking && this.input.length < 2) return
      const size = shaking ? secondBytes : this.input.readUInt16BE(0)
      const from = shaking ? 0 : 2
      if (!shaking && size <= 16) failed('protocol_error', 'an empty record')
      if (this.input.length < from + size) return
      const message = this.input.subarray(from, from + size)
      this.input = this.input.subarray(from + size)
      if (shaking) this.#second(message)
      else this.#record(this.back.open(message))
    }
  }

  #record (text) {
    this.heard = performance.now()
    while (text.length > 0 && this.state !== 'gone') {
      if (text.length < 4) failed('protocol_error', 'a fragment that is cut off')
      const [number, flags] = text
      const size = text.readUInt16BE(2)
      if (flags > 1 || size > text.length - 4 || (flags === 1 && size === 0)) failed('protocol_error', 'a malformed fragment')
      this.#fragment(number, flags === 1, text.subarray(4, 4 + size))
      text = text.subarray(4 + size)
    }
  }

  #fragment (number, goesOn, piece) {
    if (number !== channel.link && number !== channel.request && number !== channel.reply) failed('protocol_error', `channel ${number} on a client's link`)
    const lane = number < 16 ? 0 : 1
    let open = this.unfinished[lane]
    if (open === null && !goesOn) return this.#frame(number, piece)
    open ??= this.unfinished[lane] = { number, bytes: Buffer.alloc(4 * pieceMax), size: 0 }
    const size = open.size + piece.length
    if (open.number !== number) failed('protocol_error', 'two frames at once in one lane')
    if (size > frameMax) failed('protocol_error', 'a frame that is too large')
    if (size > open.bytes.length) open.bytes = Buffer.concat([open.bytes], Math.max(size, 2 * open.bytes.length))
    piece.copy(open.bytes, open.size)
    open.size = size
    if (goesOn) return
    this.unfinished[lane] = null
    this.#frame(number, open.bytes.subarray(0, size))
  }

  #frame (number, payload) {
    if (number !== channel.link) {
      if (this.state === 'confirming') failed('not_a_peer', 'it spoke before its welcome')
      return this.onFrame(number, payload, this)
    }
    const said = decode(payload)
    if (!(said instanceof Map)) failed('protocol_error', 'a word that is no map')
    if (said.get(0) === word.welcome) {
      if (this.state !== 'confirming') failed('protocol_error', 'a second welcome')
      clearTimeout(this.timer)
      this.state = 'up'
      this.since = performance.now()
      this.onUp(this)
    } else if (said.get(0) === word.goodbye) {
      if (this.up) this.#sayGoodbye()
      this.#flush()
      this.end(new LinkError('goodbye', 'the peer said goodbye'))
    }
  }

  // ---- what goes

  #sayGoodbye () {
    this.#push(channel.link, encode(new Map([[0, word.goodbye]])))
    this.state = 'draining'
  }

  #push (number, payload) {
    if (this.queue.length === 0) setImmediate(() => this.#flush())
    for (let at = 0; at === 0 || at < payload.length; at += pieceMax) {
      const piece = payload.subarray(at, at + pieceMax)
      const goesOn = at + pieceMax < payload.length ? 1 : 0
      this.queue.push(Buffer.concat([Buffer.from([number, goesOn, piece.length >> 8, piece.length & 255]), piece]))
      this.queued += 4 + piece.length
    }
  }

  #flush () {
    if (this.state === 'gone') return
    let text = []
    let size = 0
    const seal = () => {
      const body = this.out.seal(Buffer.concat(text))
      const head = Buffer.from([body.length >> 8, body.length & 255])
      this.bytes += 2 + body.length
      this.socket.write(Buffer.concat([head, body]))
      text = []
      size = 0
    }
    for (const fragment of this.queue) {
      if (size + fragment.length > recordTextMax) seal()
      text.push(fragment)
      size += fragment.length
    }
    if (size > 0) seal()
    this.queue = []
    this.queued = 0
  }
}
