// Which calls go to the peers, which wait here, and which are refused at once:
// where there is too much, a call costs least at its own client.
const windowMax = 1000 // calls at peers; a peer takes 1,024 of one client
const reserved = windowMax >> 4 // of them for apps with fewer than `few`
const few = 2
const hogShare = 3 // of the others, that one app may hold for each that is free
const retryMs = [10, 2000]
const appsMax = 256 // that are remembered without a call

const clamp = (n, [least, most]) => Math.min(Math.max(n, least), most)

/** Calls by app: those under way, and those that wait for a place, apps in
 *  turn. `refuse (message, retryAfterMs)` makes the error of what is refused. */
export class Backlog {
  #apps = new Map() // name → { underWay, usual, waiting }
  #turns = [] // apps in which somebody waits, who comes next first
  #paused = new Map() // group → { until, held, timer }
  #underWay = 0
  #refuse

  constructor (refuse) { this.#refuse = refuse }

  get waiting () {
    let n = 0
    for (const app of this.#turns) n += app.waiting.size
    for (const p of this.#paused.values()) n += p.held.size
    return n
  }

  /** Resolves when the call may go; `leave` is owed then. `order`: `{ app,
   *  until }`; `group`: what a pause that a peer asks for is about. */
  async enter (order, group) {
    const now = performance.now()
    const app = this.#app(order.app)
    const left = order.until - now
    const pause = this.#paused.get(group)
    if (pause) {
      if (pause.until - now + app.usual >= left) throw this.#refused('a peer has too many of these calls', pause.until - now)
    } else if (app.waiting.size === 0 && this.#hasPlace(app)) return this.#begin(app)
    else if (app.usual > 0) { // twice: an estimate is one
      const wait = this.#waitOf(app, now)
      if (2 * wait + app.usual > left) throw this.#refused('this client has more calls than its peers can answer by their deadlines', wait)
    }
    return new Promise((resolve, reject) => {
      const w = { app, since: now, resolve, reject, at: null }
      const hopeless = () => {
        w.at.delete(w)
        reject(this.#refused('it waited in this client until it could not be answered by its deadline any more', this.#waitOf(app, performance.now())))
      }
      w.timer = setTimeout(hopeless, Math.max(0, left - app.usual))
      if (pause) (w.at = pause.held).add(w)
      else this.#queue(w)
    })
  }

  /** The end of a call that may have gone. `took`: ms, when one peer was asked
   *  once; `retryAfterMs`: it was `overloaded`. */
  leave (order, group, took, retryAfterMs) {
    const app = this.#app(order.app)
    app.underWay--
    this.#underWay--
    if (retryAfterMs !== undefined) this.#pause(group, clamp(retryAfterMs, retryMs))
    else if (took !== undefined) app.usual = app.usual > 0 ? app.usual + (took - app.usual) / 20 : took
    this.#beginCalls()
  }

  /** Nobody waits any more. */
  end (error) {
    for (const set of [...this.#turns.map(a => a.waiting), ...[...this.#paused.values()].map(p => p.held)]) {
      for (const w of set) {
        clearTimeout(w.timer)
        w.reject(error)
      }
      set.clear()
    }
    for (const p of this.#paused.values()) clearTimeout(p.timer)
    this.#paused.clear()
    this.#turns = []
  }

  #app (name) {
    let app = this.#apps.get(name)
    if (!app) {
      if (this.#apps.size >= appsMax) for (const [n, a] of this.#apps) if (a.underWay === 0 && a.waiting.size === 0) this.#apps.delete(n)
      app = { underWay: 0, usual: 0, waiting: new Set() }
      this.#apps.set(name, app)
    }
    return app
  }

  // However many apps hang, some places are left.
  #hasPlace (app) {
    const free = windowMax - this.#underWay
    return app.underWay < few ? free > 0 : free > reserved && app.underWay < hogShare * (free - reserved)
  }

  #waitOf (app, now) {
    const [first] = app.waiting
    if (!first) return 0
    return Math.max(app.usual * (app.waiting.size + 1) / Math.max(app.underWay, 1), now - first.since)
  }

  #refused (message, ms) { return this.#refuse(message, Math.ceil(clamp(ms, retryMs))) }

  #begin (app) {
    app.underWay++
    this.#underWay++
  }

  #queue (w) {
    const { waiting } = w.app
    if (!this.#turns.includes(w.app)) this.#turns.push(w.app)
    w.at = waiting
    waiting.add(w)
  }

  #beginCalls () {
    for (let inVain = 0; inVain < this.#turns.length;) {
      const app = this.#turns.shift()
      const [first] = app.waiting
      if (!first) continue
      this.#turns.push(app)
      if (!this.#hasPlace(app)) {
        inVain++
        continue
      }
      inVain = 0
      app.waiting.delete(first)
      clearTimeout(first.timer)
      this.#begin(app)
      first.resolve()
    }
  }

  #pause (group, ms) {
    const until = performance.now() + ms
    const p = this.#paused.get(group) ?? { until: 0, held: new Set() }
    if (until <= p.until) return
    p.until = until
    clearTimeout(p.timer)
    p.timer = setTimeout(() => {
      this.#paused.delete(group)
      for (const w of p.held) this.#queue(w)
      this.#beginCalls()
    }, ms)
    this.#paused.set(group, p)
  }
}
