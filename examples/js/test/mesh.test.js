// Three real peers of a mesh with keys, a client key, and a leader that dies.
// BANYAN_PEER, BANYAN and BANYAN_APPS say where banyan-peer, banyan and the
// example apps are.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { connect, readClientKey } from '../banyan.js'
import { clientKeyOf, fromBase32 } from '../keys.js'

const { BANYAN_PEER, BANYAN, BANYAN_APPS } = process.env
const run = promisify(execFile)
const limit = { timeout: 120_000, skip: !BANYAN_PEER && 'no BANYAN_PEER: tests/interop/js_client says which peers to start' }
const patient = { timeout: 60_000 }
const peers = [0, 1, 2].map(i => ({ i }))
let dir, clientKey

async function start (peer, others = []) {
  const words = ['--data', join(dir, `${peer.i}`), '--listen', peer.address ?? '127.0.0.1:0', '--apps', BANYAN_APPS,
    '--mesh-file', join(dir, 'orchard.mesh'), ...others.flatMap(a => ['--join', a])]
  // Whatever ends this process ends its peers.
  peer.process = spawn('setpriv', ['--pdeathsig', 'KILL', BANYAN_PEER, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  peer.words = ''
  peer.process.stderr.on('data', d => { peer.words = (peer.words + d).slice(-3000) })
  peer.ended = new Promise(resolve => peer.process.once('close', resolve))
  const line = await new Promise((resolve, reject) => {
    createInterface(peer.process.stdout).once('line', resolve).once('close', () => reject(new Error(`no ready line: ${peer.words}`)))
  })
  Object.assign(peer, Object.fromEntries(line.split(' ').slice(1).map(w => [w.slice(0, w.indexOf('=')), w.slice(w.indexOf('=') + 1)])))
  peer.address = peer.listen
}

async function kill (peer) {
  peer.process.kill('SIGKILL')
  await peer.ended
}

const banyan = (peer, ...words) => run(BANYAN, ['--data', join(dir, `${peer.i}`), ...words], { cwd: dir, timeout: 60_000 })
const addresses = () => peers.map(p => p.address)

/** Who leads shard 0 of the ledger, as the living see it. */
async function leader (alive = peers) {
  for (;;) {
    const { stdout } = await banyan(alive[0], '--json', 'apps')
    const node = JSON.parse(stdout).find(a => a.name === 'ledger')?.groups[0]?.leader
    const found = alive.find(p => p.node === node)
    if (found) return found
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

before(async () => {
  if (limit.skip) return
  dir = await mkdtemp(join(tmpdir(), 'banyan-js-'))
  await run(BANYAN, ['init', 'orchard'], { cwd: dir })
  await run(BANYAN, ['keygen', 'client', '--mesh-file', 'orchard.mesh'], { cwd: dir })
  clientKey = join(dir, 'orchard.client')
  await start(peers[0])
  await Promise.all(peers.slice(1).map(p => start(p, [peers[0].address])))
  await writeFile(join(dir, 'ledger.toml'), 'name = "ledger"\nmodule = "ledger"\nshards = 1\nreplicas = 3\n')
  await banyan(peers[0], 'deploy', 'ledger.toml', '--owner', 'orchard.owner')
}, { timeout: 120_000 })

after(async () => {
  if (limit.skip) return
  await Promise.all(peers.filter(p => p.process).map(kill))
  await rm(dir, { recursive: true })
})

test('a client key is derived as the documents say', limit, async () => {
  const words = Object.fromEntries((await readFile(join(dir, 'orchard.mesh'), 'utf8')).split('\n').map(l => l.split(' ')))
  const [name, key, owner] = [words.name, fromBase32(words.key), fromBase32(words.owner)]
  assert.deepEqual(await readClientKey(clientKey), clientKeyOf(name, key, owner))
})

test('commands, queries, and what the app says no to', limit, async () => {
  const mesh = await connect({ peers: addresses(), clientKey, connectTimeout: 60_000 })
  assert.equal(await mesh.call('ledger', 'alice', 'deposit', { cents: 5 }, patient), 5)
  assert.equal(await mesh.call('ledger', 'alice', 'deposit', { cents: 2n ** 60n }, patient), 2n ** 60n + 5n)
  assert.equal(await mesh.query('ledger', 'alice', 'balance', undefined, patient), 2n ** 60n + 5n)
  assert.equal(await mesh.query('ledger', 'nobody', 'balance', undefined, { maxStaleness: 10_000, ...patient }), 0)
  assert.equal(await mesh.call('ledger', 'alice', 'order', { pay: { to: 'bob', cents: 1 }, every_s: 0 }, patient), null)
  await assert.rejects(mesh.call('ledger', 'bob', 'withdraw', { cents: 1 }, patient), { code: 'rejected', appCode: 'insufficient_funds' })
  await assert.rejects(mesh.call('ledger', 'bob', 'withdraw', { cent: 1 }, patient), { code: 'invalid_argument', message: /unknown field 'cent'/ })
  await assert.rejects(mesh.call('ledger', 'bob', 'nothing', null, patient), { code: 'not_found' })
  await assert.rejects(mesh.query('ledger', 'bob', '_state', null, patient), { code: 'not_found' })
  await assert.rejects(mesh.call('nothing', 'bob', 'deposit', null, patient), { code: 'not_found' })
  await mesh.call('ledger', 'carol', 'deposit', { cents: 1 }, { idempotencyKey: 'once', ...patient })
  await assert.rejects(mesh.call('ledger', 'carol', 'deposit', { cents: 2 }, { idempotencyKey: 'once', ...patient }), { code: 'conflict' })
  assert.deepEqual(mesh.peers().filter(p => p.up && !peers.some(q => q.node === p.node)), [])
  await mesh.close()
})

test('who leads is asked first, whoever was at first', limit, async () => {
  const led = await leader()
  const others = peers.filter(p => p !== led)
  const mesh = await connect({ peers: [...others, led].map(p => p.address), clientKey, connectTimeout: 60_000 })
  const asked = () => mesh.peers().find(p => p.node === led.node)?.asked ?? 0
  while (asked() < 10) await mesh.query('ledger', 'alice', 'balance', undefined, patient)
  await mesh.close()
})

test('links get successors under calls, of which none is lost or made twice', limit, async () => {
  const mesh = await connect({ peers: [peers[0].address], clientKey, connectTimeout: 60_000, refreshAfter: 20 })
  let made = 0
  const callers = Array.from({ length: 8 }, async () => {
    for (; mesh.counters().links < 20; made++) await mesh.call('ledger', 'fay', 'deposit', { cents: 1 }, patient)
  })
  await Promise.all(callers)
  assert.equal(await mesh.query('ledger', 'fay', 'balance', undefined, patient), made)
  await mesh.close()
})

test('another key, and another peer than the pinned one, are refused', limit, async () => {
  const key = await readClientKey(clientKey)
  const wrong = { ...key, psk: Buffer.alloc(32, 1) }
  await assert.rejects(connect({ peers: addresses(), clientKey: wrong, connectTimeout: 1000 }), { code: 'unreachable' })
  const pinned = (a, b) => connect({ peers: [`${a.node}@${b.address}`], clientKey, connectTimeout: 1000 })
  await assert.rejects(pinned(peers[0], peers[1]), { code: 'unreachable' })
  await (await connect({ peers: [`${peers[1].node}@${peers[1].address}`], clientKey, connectTimeout: 60_000 })).close()
})

test('the leader dies: the same call has the same answer, and none is lost or made twice', limit, async () => {
  const mesh = await connect({ peers: addresses(), clientKey, connectTimeout: 60_000 })
  const first = await mesh.call('ledger', 'dora', 'deposit', { cents: 3 }, { idempotencyKey: 'payday', ...patient })
  const victim = await leader()
  let going = true
  let made = 0
  const callers = Array.from({ length: 8 }, async () => {
    for (; going; made++) await mesh.call('ledger', 'erin', 'deposit', { cents: 1 }, patient)
  })
  while (made < 100) await new Promise(resolve => setTimeout(resolve, 5))
  await kill(victim)
  const again = await mesh.call('ledger', 'dora', 'deposit', { cents: 3 }, { idempotencyKey: 'payday', ...patient })
  assert.equal(again, first)
  assert.equal(await mesh.query('ledger', 'dora', 'balance', undefined, patient), 3)
  const next = await leader(peers.filter(p => p !== victim))
  assert.notEqual(next, victim)
  const then = made
  while (made < then + 100) await new Promise(resolve => setTimeout(resolve, 5))
  going = false
  await Promise.all(callers)
  assert.equal(await mesh.query('ledger', 'erin', 'balance', undefined, patient), made)

  // Another client, through another peer, still gets the first answer.
  const other = await connect({ peers: [next.address], clientKey, connectTimeout: 60_000 })
  assert.equal(await other.call('ledger', 'dora', 'deposit', { cents: 3 }, { idempotencyKey: 'payday', ...patient }), first)
  await other.close()
  await start(victim, [next.address])
  while (!mesh.peers().every(p => p.up)) await new Promise(resolve => setTimeout(resolve, 20))
  await mesh.close()
})

test('the example program', limit, async () => {
  const program = fileURLToPath(new URL('../ledger.js', import.meta.url))
  const ledger = spawn(process.execPath, [program, '--key', clientKey, ...addresses()], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise(resolve => ledger.once('exit', resolve))
  const lines = createInterface(ledger.stdout)
  for await (const line of lines) if (/^alice has \d+ cents, after/.test(line)) break
  ledger.kill('SIGINT')
  assert.equal(await ended, 0)
})
