// Deposits and reads, once a second, at any peer: kill one and watch.
//
//   node ledger.js [--key NAME.client] HOST:PORT [HOST:PORT]...
import { connect } from './banyan.js'

const words = process.argv.slice(2)
const clientKey = words[0] === '--key' ? words.splice(0, 2)[1] : undefined
if (words.length === 0) {
  console.error('usage: node ledger.js [--key NAME.client] HOST:PORT [HOST:PORT]...')
  process.exit(2)
}

const mesh = await connect({ peers: words, clientKey })
let going = true
process.once('SIGINT', () => { going = false })

while (going) {
  const began = performance.now()
  try {
    await mesh.call('ledger', 'alice', 'deposit', { cents: 5 })
    const balance = await mesh.query('ledger', 'alice', 'balance')
    console.log(`alice has ${balance} cents, after ${(performance.now() - began).toFixed(1)} ms`)
  } catch (e) {
    console.log(`${e.code}: ${e.message}`)
  }
  await new Promise(resolve => setTimeout(resolve, 1000))
}
await mesh.close()
