// Which calls go, which wait, which are refused: without peers, and without
// waiting for a clock.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Backlog } from '../backlog.js'

const limit = { timeout: 60_000 }
const fresh = () => new Backlog((message, retryAfterMs) => Object.assign(new Error(message), { retryAfterMs }))
const order = (app, left = 50_000) => ({ app, until: performance.now() + left })
const settled = () => new Promise(resolve => setImmediate(resolve))

/** Enters `n` calls of `app`; `calls.gone` counts those that went. */
function enter (backlog, app, n, left) {
  const calls = { gone: 0, errors: [] }
  for (let i = 0; i < n; i++) backlog.enter(order(app, left), app).then(() => calls.gone++, e => calls.errors.push(e))
  return calls
}

describe('backlog', () => {
  it('one app alone has three of four common places, and the others wait', limit, async () => {
    const b = fresh()
    const calls = enter(b, 'app', 1000)
    await settled()
    assert.deepEqual([calls.gone, b.waiting], [704, 296])
    b.leave(order('app'), 'app', 1)
    await settled()
    assert.deepEqual([calls.gone, b.waiting], [705, 295])
    b.end(new Error('closed'))
    await settled()
    assert.equal(calls.errors.length, 295)
  })

  it('apps that hang leave places to others', limit, async () => {
    const b = fresh()
    for (let n = 0; n < 30; n++) enter(b, `hangs${n}`, 1000)
    for (let n = 0; n < 100; n++) {
      await b.enter(order('lives'), 'lives')
      b.leave(order('lives'), 'lives', 1)
    }
    b.end(new Error('closed'))
  })

  it('apps with a backlog take turns', limit, async () => {
    const b = fresh()
    const hog = enter(b, 'hog', 3000)
    const few = enter(b, 'few', 400)
    await settled()
    const [hogs, fews] = [hog.gone, few.gone]
    for (let n = 0; n < 100; n++) b.leave(order('hog'), 'hog', 1)
    await settled()
    assert.ok(few.gone - fews >= 40, `${hog.gone - hogs} and ${few.gone - fews}`)
    b.end(new Error('closed'))
  })

  it('what could not be answered in time is refused at once', limit, async () => {
    const b = fresh()
    enter(b, 'app', 704)
    await settled()
    b.leave(order('app'), 'app', 10_000)
    const waits = enter(b, 'app', 1000, 50_000) // one goes; each 704 take 10 s
    await settled()
    assert.equal(waits.errors.length, 0)
    const refused = enter(b, 'app', 100, 25_000)
    await settled()
    assert.equal(refused.errors.length, 100)
    for (const e of refused.errors) assert.ok(e.retryAfterMs >= 10 && e.retryAfterMs <= 2000)
    b.end(new Error('closed'))
  })

  it('what waits in vain leaves', limit, async () => {
    const b = fresh()
    enter(b, 'app', 704)
    await assert.rejects(b.enter(order('app', 50), 'app'), /waited in this client/)
    assert.equal(b.waiting, 0)
    b.end(new Error('closed'))
  })

  it('a pause holds its group back, and refuses who has no time', limit, async () => {
    const b = fresh()
    await b.enter(order('app'), 'app/1')
    b.leave(order('app'), 'app/1', undefined, 2000)
    await assert.rejects(b.enter(order('app', 1), 'app/1'), /too many/)
    await b.enter(order('app'), 'app/2')
    await b.enter(order('app'), 'app/1')
    assert.equal(b.waiting, 0)
    b.end(new Error('closed'))
  })

  it('a pause of a year is one of two seconds', limit, async () => {
    const b = fresh()
    await b.enter(order('app'), 'app/1')
    b.leave(order('app'), 'app/1', undefined, 4e10)
    await b.enter(order('app'), 'app/1')
    b.end(new Error('closed'))
  })
})
