// SPDX-License-Identifier: GPL-3.0-or-later
// TLS in front of the simulator, with the certificate that run.sh made: Baileys asks for files at
// https://, whatever the server says.
import { readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';

const dir = process.env.INTEROP_TLS;

export const authority = path.join(dir ?? '', 'ca.pem');

/** What real clients know by name alone is here, too. */
const KNOWN = /^https:\/\/mmg(-fallback)?\.whatsapp\.net\//;

export class Front {
    /** A server on a free port that hands on to the simulator, which names it as its media host. */
    static async open(sim) {
        const front = new Front();
        const { port } = new URL(sim.endpoint);
        const secret = {
            cert: readFileSync(path.join(dir, 'server.pem')),
            key: readFileSync(path.join(dir, 'server.key')),
        };
        front.sockets = new Set();
        front.server = tls.createServer(secret, socket => {
            const inner = net.connect(port, '127.0.0.1');
            for (const [one, other] of [[socket, inner], [inner, socket]]) {
                front.sockets.add(one);
                one.on('error', () => other.destroy());
                one.on('close', () => front.sockets.delete(one));
                one.pipe(other);
            }
        });
        await new Promise(resolve => front.server.listen(0, '127.0.0.1', resolve));
        front.host = `localhost:${front.server.address().port}`;
        front.wrapped = globalThis.fetch;
        globalThis.fetch = (url, ...more) =>
            front.wrapped(String(url).replace(KNOWN, `https://${front.host}/`), ...more);
        await sim.post('/media', { hosts: [front.host] });
        sim.endpoint = `wss://${front.host}/ws/chat`;
        return front;
    }

    async close() {
        globalThis.fetch = this.wrapped;
        for (const socket of this.sockets) socket.destroy();
        await new Promise(resolve => this.server.close(resolve));
    }
}
