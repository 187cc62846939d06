/** The store as workers see it: every call and answer goes through another process, as between workers and their primary. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { MemoryNotes } from '../../../src/quota/memory-notes.ts';
import { MemoryStore } from '../../../src/quota/memory-store.ts';
import { RemoteStore, StoreServer, type StoreAnswer, type StoreCall } from '../../../src/quota/remote-store.ts';
import { describeStore } from './store-suite.ts';

type Message = { readonly to: 'server'; readonly calls: readonly StoreCall[] } | { readonly to: 'client'; readonly answers: readonly StoreAnswer[] };

/** Sends back what it gets. */
function mirror(): ChildProcess {
  return spawn(process.execPath, ['-e', 'process.on("message", (message) => process.send(message))'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced' });
}

function remote(server: StoreServer, child: ChildProcess): RemoteStore {
  const send = (message: Message): void => void child.send(message);
  const store = new RemoteStore((calls) => send({ to: 'server', calls }));
  child.on('message', (message: Message) => {
    if (message.to === 'server') void server.answer(message.calls).then((answers) => send({ to: 'client', answers }));
    else store.receive(message.answers);
  });
  return store;
}

describeStore('the store of another process', () => {
  let nowMs = 1_000_000;
  const server = new StoreServer(new MemoryStore({ nowMs: () => nowMs, shared: true }), new MemoryNotes());
  const children = [mirror(), mirror()];
  const [store, other] = children.map((child) => remote(server, child)) as [RemoteStore, RemoteStore];
  return Promise.resolve({
    store,
    other,
    pass: (ms: number) => {
      nowMs += ms;
      return Promise.resolve();
    },
    end: async () => {
      await Promise.all([store.close(), other.close()]);
      await Promise.all(children.map((child) => (child.kill(), once(child, 'exit'))));
    },
  });
});
