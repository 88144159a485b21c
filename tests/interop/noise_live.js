// A live Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b handshake and transport between
// Banyan (the process noise_peer) and npm's noise-handshake, once with each as
// the initiator, over more than one rekey.
//
// usage: node noise_live.js PATH_OF_NOISE_PEER
'use strict'
const { spawn } = require('child_process')
const crypto = require('crypto')
const Noise = require('noise-handshake')
const Cipher = require('noise-handshake/cipher')
const sodium = require('sodium-universal')

const peerPath = process.argv[2]
const prologue = Buffer.concat([Buffer.from('banyan'), Buffer.from([1]), Buffer.from('orchard')])
const records = 65536 + 10 // one past the first rekey

function framed (body) {
  const head = Buffer.alloc(2)
  head.writeUInt16BE(body.length)
  return Buffer.concat([head, body])
}

// Gives whole frames out of a stream, one per call of next().
class Frames {
  constructor (stream) {
    this.held = Buffer.alloc(0)
    this.chunks = stream[Symbol.asyncIterator]()
  }

  async fill (size) {
    const parts = [this.held]
    let have = this.held.length
    while (have < size) {
      const { value, done } = await this.chunks.next()
      if (done) throw new Error('noise_peer closed its output')
      parts.push(value)
      have += value.length
    }
    this.held = Buffer.concat(parts)
  }

  async next () {
    if (this.held.length < 2) await this.fill(2)
    const size = this.held.readUInt16BE(0)
    if (this.held.length < 2 + size) await this.fill(2 + size)
    const body = this.held.subarray(2, 2 + size)
    this.held = this.held.subarray(2 + size)
    return body
  }
}

// Noise's REKEY: the first 32 bytes of 32 zeros sealed with the last nonce.
function rekey (key) {
  const nonce = Buffer.concat([Buffer.alloc(4), Buffer.alloc(8, 0xff)])
  const out = Buffer.alloc(48)
  sodium.crypto_aead_chacha20poly1305_ietf_encrypt(out, Buffer.alloc(32), null, null, nonce, key)
  return out.subarray(0, 32)
}

class Direction {
  constructor (key) {
    this.cipher = new Cipher(Buffer.from(key))
    this.count = 0
  }

  step () {
    if (this.count > 0 && this.count % 65536 === 0) this.cipher.key = rekey(this.cipher.key)
    this.count++
  }

  seal (text) {
    this.step()
    return this.cipher.encrypt(text)
  }

  open (body) {
    this.step()
    return this.cipher.decrypt(body)
  }
}

async function run (banyanRole) {
  const psk = crypto.randomBytes(32)
  const peer = spawn(peerPath, [banyanRole, psk.toString('hex'), prologue.toString('hex')])
  let hash = ''
  peer.stderr.on('data', d => { hash += d })
  const ended = new Promise(resolve => peer.on('close', resolve))
  const frames = new Frames(peer.stdout)

  const initiator = banyanRole === 'responder'
  const noise = new Noise('XXpsk0', initiator, null, { psk })
  noise.initialise(prologue)
  for (let n = 0; !noise.complete; n++) {
    if ((n % 2 === 0) === initiator) {
      peer.stdin.write(framed(noise.send(n === 0 ? Buffer.alloc(0) : Buffer.from('from afar'))))
    } else {
      const payload = noise.recv(await frames.next())
      if (payload.toString() !== (n === 0 ? '' : 'from banyan')) throw new Error('another payload: ' + payload)
    }
  }

  const tx = new Direction(noise.tx)
  const rx = new Direction(noise.rx)
  const batch = 1024
  for (let at = 0; at < records; at += batch) {
    const texts = []
    for (let i = at; i < Math.min(records, at + batch); i++) texts.push(Buffer.from('record ' + i))
    peer.stdin.write(Buffer.concat(texts.map(t => framed(tx.seal(t)))))
    for (const text of texts) {
      const opened = rx.open(await frames.next())
      if (!opened.equals(text)) throw new Error(`sent "${text}", got "${opened}"`)
    }
  }
  const large = crypto.randomBytes(65519)
  peer.stdin.write(framed(tx.seal(large)))
  if (!rx.open(await frames.next()).equals(large)) throw new Error('a full record came back changed')
  peer.stdin.end()
  const code = await ended
  if (code !== 0) throw new Error(`noise_peer ended with ${code}: ${hash}`)
  if (hash.trim() !== noise.hash.toString('hex')) throw new Error('handshake hashes differ')
  console.log(`ran: XXpsk0 live, banyan as ${banyanRole}: handshake, ${records + 1} records each way`)
}

run('initiator').then(() => run('responder')).catch(e => {
  console.error(e)
  process.exit(1)
})
