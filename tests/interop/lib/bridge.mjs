// SPDX-License-Identifier: GPL-3.0-or-later
// The bridge as its portal sees it: files in a volume, and a process that is started again.
import { execFile } from 'node:child_process';
import {
    existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync,
} from 'node:fs';
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
    /** more: YAML of further sections. */
    constructor(build, sim, dir, more = '') {
        this.file = path.join(build, 'wabridge');
        this.logs = dir;
        this.volume = path.join(dir, 'volume');
        this.sessions = path.join(dir, 'private');
        this.config = path.join(dir, 'wabridge.yaml');
        for (const made of [this.volume, this.sessions])
            mkdirSync(made, { recursive: true });
        const replies = path.join(dir, 'replies.yaml');
        writeFileSync(replies, REPLIES);
        writeFileSync(this.config, CONFIG.replace('REPLIES', replies) + more);
        this.env = {
            ...process.env,
            TENANT_ID: 'interop',
            VOLUME_PATH: this.volume,
            SESSIONS_PATH: this.sessions,
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

    ctl(command, ...more) {
        const args = ['ctl', command, '--volume', this.volume, ...more];
        return run(this.file, args, { env: this.env, timeout: 20000 });
    }

    /** A query of messages.db, as the portal asks it. */
    async query(sql) {
        const { stdout } = await run('sqlite3', ['-readonly', '-json', '-cmd', '.timeout 3000',
            path.join(this.volume, 'messages.db'), sql],
        { timeout: 20000, maxBuffer: 64 << 20 });
        return stdout.trim() ? JSON.parse(stdout) : [];
    }

    rows(where) {
        return this.query(
            `SELECT *, hex(text) AS text_hex FROM messages WHERE ${where} ORDER BY id`);
    }

    /** The files of a message. */
    media(id) {
        return this.query(`SELECT media.* FROM media JOIN messages ON id = message
            WHERE direction = 'IN' AND wa_id = '${id}'`);
    }

    async keys(sql, ...mode) {
        const name = readdirSync(this.sessions, { recursive: true })
            .find(n => path.basename(n) === 'keys.db');
        const { stdout } = await run('sqlite3', [...mode, '-cmd', '.timeout 3000',
            path.join(this.sessions, name), sql], { timeout: 20000 });
        return stdout.trim().split('\n').filter(Boolean);
    }

    /** Names of the records of a table of keys.db. */
    keysOf(table) {
        return this.keys(`SELECT key FROM ${table} ORDER BY key`, '-readonly');
    }

    /** Deletes records of keys.db, whose bridge must be stopped, as a damaged disk would; how many. */
    async forget(table, where) {
        const [count] = await this.keys(`DELETE FROM ${table} WHERE ${where}; SELECT changes()`);
        return Number(count);
    }

    async restart(meanwhile) {
        await this.stop();
        const result = await meanwhile?.();
        await this.start().connected();
        return result;
    }

    /** Puts a message into the outbox, in the portal's way. */
    post(name, message) {
        const dir = path.join(this.volume, 'outbox', 'new');
        writeFileSync(path.join(dir, `.${name}.json`), JSON.stringify(message));
        renameSync(path.join(dir, `.${name}.json`), path.join(dir, `${name}.json`));
    }

    /** The row of a message of the outbox, once it has left. */
    posted(name, ms) {
        return until(`${name} of the outbox to leave`, async () => (await this.rows(
            `outbox_name = '${name}' AND status IN ('sent', 'delivered', 'read')`))[0], ms, 100);
    }

    inbound(id) {
        return this.rows(`direction = 'IN' AND wa_id = '${id}'`);
    }

    /** The row of a message that came in, once it is there. */
    recorded(id, ms) {
        return until(`message ${id} in messages.db`, async () => (await this.inbound(id))[0], ms, 100);
    }

    /** The row of a message that was read, though perhaps only when it was sent again. */
    understood(id, ms) {
        return until(`message ${id} to be read`, async () =>
            (await this.inbound(id)).find(row => row.status === 'received'), ms, 100);
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
