// Canonical msgpack (docs/wire-format.md): shortest forms, no extensions, no
// float32, at most 32 levels. In JavaScript:
//
//   nil null · boolean · integer Number, or BigInt beyond 2^53 · float64 Number
//   str String · bin Buffer (Uint8Array in) · array Array
//   map Object (text keys) or Map (any keys)

const depthMax = 32

export class MalformedError extends Error {}

/** A Number that is to be a float64 though it is whole. */
export class Float {
  constructor (value) { this.value = value }
}

/** One value as a Buffer. Throws TypeError on what has no msgpack form. */
export function encode (value) {
  const out = []
  put(value, out, 1)
  return Buffer.concat(out)
}

function head (out, type, size, count) {
  const b = Buffer.alloc(1 + size)
  b[0] = type
  if (size === 8) b.writeBigUInt64BE(BigInt.asUintN(64, BigInt(count)), 1)
  else if (size > 0) b.writeUIntBE(count, 1, size)
  out.push(b)
}

// str, bin, array and map: `small` holds counts below `smallMax` in the type.
function sized (out, small, smallMax, types, n) {
  if (n < smallMax) return head(out, small | n, 0)
  const i = n < 256 && types[0] ? 0 : n < 65536 ? 1 : 2
  head(out, types[i], 1 << i, n)
}

function putInteger (v, out) {
  const n = BigInt(v)
  if (n >= 2n ** 64n || n < -(2n ** 63n)) throw new TypeError(`${v} doesn't fit 64 bits`)
  if (n >= 0n) {
    if (n < 128n) return head(out, Number(n), 0)
    const i = n < 256n ? 0 : n < 65536n ? 1 : n < 2n ** 32n ? 2 : 3
    return head(out, 0xcc + i, 1 << i, i === 3 ? n : Number(n))
  }
  if (n >= -32n) return head(out, 256 + Number(n), 0)
  const i = n >= -128n ? 0 : n >= -32768n ? 1 : n >= -(2n ** 31n) ? 2 : 3
  head(out, 0xd0 + i, 1 << i, i === 3 ? n : Number(BigInt.asUintN(8 << i, n)))
}

function putFloat (v, out) {
  const b = Buffer.alloc(9)
  b[0] = 0xcb
  b.writeDoubleBE(v, 1)
  out.push(b)
}

function put (v, out, depth) {
  if (depth > depthMax) throw new TypeError(`nested deeper than ${depthMax}`)
  if (v === null || v === undefined) head(out, 0xc0, 0)
  else if (typeof v === 'boolean') head(out, v ? 0xc3 : 0xc2, 0)
  else if (typeof v === 'bigint') putInteger(v, out)
  else if (typeof v === 'number') Number.isSafeInteger(v) ? putInteger(v, out) : putFloat(v, out)
  else if (v instanceof Float) putFloat(v.value, out)
  else if (typeof v === 'string') {
    const b = Buffer.from(v)
    sized(out, 0xa0, 32, [0xd9, 0xda, 0xdb], b.length)
    out.push(b)
  } else if (v instanceof Uint8Array) {
    sized(out, 0, 0, [0xc4, 0xc5, 0xc6], v.length)
    out.push(v)
  } else if (Array.isArray(v)) {
    sized(out, 0x90, 16, [0, 0xdc, 0xdd], v.length)
    for (const x of v) put(x, out, depth + 1)
  } else if (typeof v === 'object') {
    const pairs = v instanceof Map ? [...v] : Object.entries(v).filter(([, x]) => x !== undefined)
    sized(out, 0x80, 16, [0, 0xde, 0xdf], pairs.length)
    for (const [k, x] of pairs) {
      put(k, out, depth + 1)
      put(x, out, depth + 1)
    }
  } else throw new TypeError(`a ${typeof v} can't be sent`)
}

/** The one value in `bytes`; throws MalformedError, whatever the bytes are. */
export function decode (bytes) {
  const { value, end } = decodeAt(bytes, 0)
  if (end !== bytes.length) throw new MalformedError('bytes after the value')
  return value
}

/** The value that begins at `at`, and where it ends. */
export function decodeAt (bytes, at) {
  const r = new Reader(bytes, at)
  return { value: r.value(1), end: r.at }
}

class Reader {
  constructor (bytes, at) {
    this.b = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.at = at
  }

  // Foreign counts are compared with what is there before anything is made.
  take (n) {
    if (n > this.b.length - this.at) throw new MalformedError('the value is cut off')
    this.at += n
    return this.b.subarray(this.at - n, this.at)
  }

  uint (size, least) {
    const b = this.take(size)
    const n = size === 8 ? b.readBigUInt64BE() : b.readUIntBE(0, size)
    if (n < least) throw new MalformedError('not the shortest form')
    return n
  }

  integer (i) {
    if (i < 4) return plain(this.uint(1 << i, [128, 256, 65536, 2 ** 32][i]))
    const size = 1 << (i - 4)
    const b = this.take(size)
    const n = size === 8 ? b.readBigInt64BE() : b.readIntBE(0, size)
    if (n >= [-32, -128, -32768, -(2 ** 31)][i - 4]) throw new MalformedError('not the shortest form')
    return plain(n)
  }

  float () {
    return this.take(8).readDoubleBE()
  }

  text (n) {
    return this.take(n).toString()
  }

  list (n, depth) {
    if (n > this.b.length - this.at) throw new MalformedError('more elements than bytes')
    return Array.from({ length: n }, () => this.value(depth + 1))
  }

  map (n, depth) {
    if (2 * n > this.b.length - this.at) throw new MalformedError('more elements than bytes')
    const pairs = new Map()
    for (let i = 0; i < n; i++) {
      const k = this.value(depth + 1)
      pairs.set(k, this.value(depth + 1))
    }
    if (pairs.size !== n) throw new MalformedError('a key twice')
    const texts = [...pairs.keys()].every(k => typeof k === 'string')
    return texts ? Object.fromEntries(pairs) : pairs
  }

  value (depth) {
    if (depth > depthMax) throw new MalformedError(`nested deeper than ${depthMax}`)
    const t = this.take(1)[0]
    if (t < 0x80) return t
    if (t >= 0xe0) return t - 256
    if (t < 0x90) return this.map(t & 15, depth)
    if (t < 0xa0) return this.list(t & 15, depth)
    if (t < 0xc0) return this.text(t & 31)
    switch (t) {
      case 0xc0: return null
      case 0xc2: return false
      case 0xc3: return true
      case 0xc4: return this.take(this.uint(1, 0))
      case 0xc5: return this.take(this.uint(2, 256))
      case 0xc6: return this.take(this.uint(4, 65536))
      case 0xcb: return this.float()
      case 0xd9: return this.text(this.uint(1, 32))
      case 0xda: return this.text(this.uint(2, 256))
      case 0xdb: return this.text(this.uint(4, 65536))
      case 0xdc: return this.list(this.uint(2, 16), depth)
      case 0xdd: return this.list(this.uint(4, 65536), depth)
      case 0xde: return this.map(this.uint(2, 16), depth)
      case 0xdf: return this.map(this.uint(4, 65536), depth)
    }
    if (t >= 0xcc && t <= 0xd3) return this.integer(t - 0xcc)
    throw new MalformedError(`a type that isn't used: 0x${t.toString(16)}`)
  }
}

const plain = n => typeof n === 'bigint' && n <= BigInt(Number.MAX_SAFE_INTEGER) &&
  n >= BigInt(Number.MIN_SAFE_INTEGER)
  ? Number(n)
  : n
