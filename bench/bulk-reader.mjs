// Reads one statement's result and throws it away, in a process of its own so that its CPU time is nobody else's:
//   node bench/bulk-reader.mjs PORT USER DATABASE SQL REPEATS [tls]
// Prints {"rows":n,"bytes":n,"seconds":n}. Rows are the DataRow and CopyData messages that really came, not what a command tag claims.
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { HeaderCounter, query, startup } from './wire.mjs';

const [port, user, database, sql, repeats, how] = process.argv.slice(2);
const address = { host: '127.0.0.1', port: Number(port) };
const socket = how === 'tls' ? await secured() : connect({ ...address, onread: { buffer: Buffer.allocUnsafe(1 << 18), callback: (length, buffer) => received(buffer.subarray(0, length)) } });
socket.setNoDelay(true);
socket.on('error', fail);
socket.on('close', () => fail(new Error('the connection was closed')));

let left = Number(repeats);
let bytesSeen = 0;
let bytesBefore = 0;
let startedNs = 0n;
const counter = new HeaderCounter({ ready: onReady, failed: (text) => fail(new Error(text)) });
socket.write(startup(user, database));

/** SSLRequest ("SSL Session Encryption"), then TLS over the same connection. The certificate is nobody's. */
function secured() {
  return new Promise((resolve) => {
    const raw = connect(address).on('error', fail);
    raw.once('data', (answer) => {
      if (answer.toString() !== 'S') fail(new Error('no TLS'));
      const tls = connectTls({ socket: raw, rejectUnauthorized: false }, () => resolve(tls));
      tls.on('data', received);
    });
    raw.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]));
  });
}

function received(chunk) {
  bytesSeen += chunk.length;
  counter.push(chunk);
  return true;
}

function onReady() {
  if (startedNs === 0n) {
    startedNs = process.hrtime.bigint();
    bytesBefore = bytesSeen;
  }
  if (left-- > 0) {
    socket.write(query(sql));
    return;
  }
  console.log(JSON.stringify({ rows: counter.rows, bytes: bytesSeen - bytesBefore, seconds: Number(process.hrtime.bigint() - startedNs) / 1e9 }));
  process.exit(0);
}

function fail(error) {
  console.error(error.message);
  process.exit(1);
}
