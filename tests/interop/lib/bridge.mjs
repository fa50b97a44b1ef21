// SPDX-License-Identifier: GPL-3.0-or-later
// The bridge as its portal sees it: files in a volume, and a process that is started again.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

import { Program } from './process.mjs';
import { Hopeless, until } from './tap.mjs';

const run = promisify(execFile);

const REPLIES = `language: en
intents: []
fallback:
  reply: "Echo: {message}"
`;

const CONFIG = `replies:
  file: REPLIES
  queue_per_chat: 1000
  groups: true
  ping_pong_messages: 0
reconnect:
  initial_ms: 100
  max_ms: 1000
`;

export class Bridge {
    constructor(build, sim, dir) {
        this.file = path.join(build, 'wabridge');
        this.logs = dir;
        this.volume = path.join(dir, 'volume');
        this.config = path.join(dir, 'wabridge.yaml');
        for (const made of [this.volume, path.join(dir, 'private')])
            mkdirSync(made, { recursive: true });
        const replies = path.join(dir, 'replies.yaml');
        writeFileSync(replies, REPLIES);
        writeFileSync(this.config, CONFIG.replace('REPLIES', replies));
        this.env = {
            ...process.env,
            TENANT_ID: 'interop',
            VOLUME_PATH: this.volume,
            SESSIONS_PATH: path.join(dir, 'private'),
            RATE_LIMIT_MAX_PER_MINUTE: '0',
            HEARTBEAT_INTERVAL_MS: '500',
            LOG_LEVEL: 'debug',
            WABRIDGE_ENDPOINT: sim.endpoint,
            WABRIDGE_NOISE_ROOT: sim.noiseRoot,
        };
    }

    start() {
        const args = ['run', '-c', this.config];
        this.program = new Program(this.file, args, this.env, this.logs, 'bridge');
        return this;
    }

    /** The state that the running process published, not what an earlier one left. */
    state() {
        const state = JSON.parse(readFileSync(path.join(this.volume, 'state.json'), 'utf8'));
        const own = state.process.pid === this.program.child.pid;
        return own ? state : { status: 'of another process', session: {} };
    }

    reached(status, session, ms) {
        return until(`the bridge to be ${status}/${session}`, () => {
            if (this.program.end) throw new Hopeless(`it ended: ${JSON.stringify(this.program.end)}`);
            const state = this.state();
            const seen = state.session.state;
            if (state.status === status && seen === session) return state;
            throw new Error(`${state.status}/${seen} ${JSON.stringify(state.last_error)}`);
        }, ms);
    }

    connected(ms) {
        return this.reached('RUNNING', 'CONNECTED', ms);
    }

    has(name) {
        return existsSync(path.join(this.volume, name));
    }

    qr() {
        return readFileSync(path.join(this.volume, 'qr.txt'), 'utf8').trimEnd();
    }

    touch(command) {
        writeFileSync(path.join(this.volume, 'control', command), '');
    }

    /** Asks for the end in the portal's way; resolves to how it ended. */
    async stop(ms) {
        this.touch('stop');
        return this.program.wait(ms);
    }

    ctl(command) {
        const args = ['ctl', command, '--volume', this.volume];
        return run(this.file, args, { env: this.env, timeout: 20000 });
    }

    /** Rows of messages.db, read as the portal reads them. */
    async rows(where) {
        const { stdout } = await run('sqlite3', ['-readonly', '-json', '-cmd', '.timeout 3000',
            path.join(this.volume, 'messages.db'),
            `SELECT *, hex(text) AS text_hex FROM messages WHERE ${where} ORDER BY id`],
        { timeout: 20000, maxBuffer: 64 << 20 });
        return stdout.trim() ? JSON.parse(stdout) : [];
    }

    inbound(id) {
        return this.rows(`direction = 'IN' AND wa_id = '${id}'`);
    }

    /** The row of a message that came in, once it is there. */
    recorded(id, ms) {
        return until(`message ${id} in messages.db`, async () => (await this.inbound(id))[0], ms, 100);
    }

    /** The answer to a message, once it has left: its row. */
    answered(id, ms) {
        return until(`the answer to ${id}`, async () => {
            const [row] = await this.rows(`direction = 'OUT' AND reply_to IN
                (SELECT id FROM messages WHERE direction = 'IN' AND wa_id = '${id}')`);
            if (row && ['sent', 'delivered', 'read'].includes(row.status)) return row;
            throw new Error(row ? `its status is ${row.status}` : 'no row');
        }, ms, 100);
    }

    async close() {
        if (this.program?.running) await this.program.terminate();
    }
}
