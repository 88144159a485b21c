// A peer that a test writes: the answering side of a link, honest unless told
// otherwise. Real sockets on loopback, one mesh, no group behind it.
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { kind } from '../calls.js'
import { clientKeyOf, Identity } from '../keys.js'
import { decode, decodeAt, encode } from '../msgpack.js'
import { generateKeys, Handshake } from '../noise.js'

const owner = new Identity()
export const meshKey = clientKeyOf('orchard', randomBytes(32), owner.id)

export class FakePeer {
  /** Each of `behaviour` replaces something:
   *  `key`, `identity`: what it has;
   *  `greet (socket)`: instead of the handshake, true if it did;
   *  `hello (map, peer)`: its hello before it is written;
   *  `welcome (conversation)`: instead of the welcome;
   *  `answer (call, conversation)`: a client reply, or undefined for none. */
  constructor (behaviour = {}) {
    Object.assign(this, { key: meshKey, identity: new Identity(), shards: 4 }, behaviour)
    this.calls = [] // as they came, look-ups and sessions left out
    this.closedSessions = []
    this.goodbyes = 0
    this.links = 0
    this.sockets = new Set()
    this.server = createServer(socket => {
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket))
      socket.on('error', () => {})
      if (!this.greet?.(socket)) new Conversation(this, socket)
    })
  }

  async listen () {
    await new Promise(resolve => this.server.listen(0, '127.0.0.1', resolve))
    this.address = `127.0.0.1:${this.server.address().port}`
    return this
  }

  async stop () {
    for (const s of this.sockets) s.destroy()
    await new Promise(resolve => this.server.close(resolve))
  }
}

/** Peers that listen and end with the test `t`. */
export async function peersFor (t, ...behaviours) {
  const peers = await Promise.all(behaviours.map(b => new FakePeer(b).listen()))
  t.after(() => Promise.all(peers.map(p => p.stop())))
  return peers
}

export const ok = (call, result, more = []) => reply(call, [[2, 0], [3, encode(result)], ...more])
/** `pairs` follow key 1, in ascending order. */
export const reply = (call, pairs) => new Map([[1, call.number], ...pairs])

class Conversation {
  constructor (peer, socket) {
    Object.assign(this, { peer, socket, input: Buffer.alloc(0), step: 0 })
    this.keys = generateKeys()
    this.noise = new Handshake({ initiator: false, prologue: encode(['banyan', 1, peer.key.mesh]), psk: peer.key.psk, keys: this.keys })
    socket.on('data', data => {
      try {
        this.take(data)
      } catch {
        socket.destroy()
      }
    })
  }

  take (data) {
    this.input = Buffer.concat([this.input, data])
    for (;;) {
      const size = this.step === 0 ? 48 : this.step === 1 ? 832 : this.input.length < 2 ? Infinity : 2 + this.input.readUInt16BE(0)
      if (this.input.length < size) return
      const message = this.input.subarray(0, size)
      this.input = this.input.subarray(size)
      if (this.step === 0) this.second(message)
      else if (this.step === 1) this.third(message)
      else this.record(this.back.open(message.subarray(2)))
    }
  }

  second (message) {
    this.noise.read(message)
    const me = this.peer.identity
    const signed = Buffer.concat([Buffer.from('banyan 1\x06link 1'), this.peer.key.id,
      encode([this.noise.hash, this.keys.public, 1, 7])])
    const hello = new Map([[0, me.id], [1, me.sign(signed)], [2, 1], [3, 7], [4, randomBytes(16)], [99, 'of a later version']])
    const bytes = this.peer.hello?.(hello, me) ?? encode(hello)
    this.socket.write(this.noise.write(Buffer.concat([bytes, Buffer.alloc(Math.max(0, 768 - bytes.length))])))
    this.step = 1
  }

  third (message) {
    const hello = decodeAt(this.noise.read(message), 0).value
    Object.assign(this, this.noise.split(), { client: hello })
    this.step = 2
    this.peer.links++
    if (this.peer.welcome) this.peer.welcome(this)
    else this.send(0, encode(new Map([[0, 1]])))
  }

  record (text) {
    for (let at = 0; at < text.length; at += 4 + text.readUInt16BE(at + 2)) {
      const goesOn = text[at + 1] === 1
      this.frame = Buffer.concat([this.frame ?? Buffer.alloc(0), text.subarray(at + 4, at + 4 + text.readUInt16BE(at + 2))])
      if (goesOn) continue
      const payload = this.frame
      this.frame = null
      if (text[at] === 0) this.goodbye()
      else this.call(payload)
    }
  }

  goodbye () {
    this.peer.goodbyes++
    this.send(0, encode(new Map([[0, 2]])))
    this.socket.end()
  }

  call (payload) {
    const [number, what, app, key, command, argument, identity, deadline, staleness] = decode(payload)
    const call = { number, kind: what, app, key, command, argument, identity, deadline, staleness }
    const answer = this.peer.answer?.(call, this)
    if (what === kind.closeSession) return this.peer.closedSessions.push(identity[0])
    if (what === kind.command || what === kind.query) this.peer.calls.push(call)
    else if (answer === undefined) {
      return this.reply(what === kind.lookup ? reply(call, [[2, 0]]) : reply(call, [[2, 0], [8, 1234]]))
    }
    if (answer !== undefined) this.reply(answer)
  }

  reply (map, shards = this.peer.shards) { this.send(17, encode([encode(map), shards])) }

  /** A frame, whole or in pieces. */
  send (channel, payload, pieceMax = 16000) {
    for (let at = 0; at === 0 || at < payload.length; at += pieceMax) {
      const piece = payload.subarray(at, at + pieceMax)
      this.sendRecord(Buffer.concat([Buffer.from([channel, at + pieceMax < payload.length ? 1 : 0, piece.length >> 8, piece.length & 255]), piece]))
    }
  }

  /** A record of any plaintext. */
  sendRecord (text) {
    const body = this.out.seal(text)
    this.raw(Buffer.concat([Buffer.from([body.length >> 8, body.length & 255]), body]))
  }

  raw (bytes) { this.socket.write(bytes) }
}
