// SPDX-License-Identifier: GPL-3.0-or-later
// A program under test: its output in a file, its end awaited, only its own pid signalled.
import { spawn } from 'node:child_process';
import { mkdirSync, openSync, closeSync } from 'node:fs';
import path from 'node:path';

import { within } from './tap.mjs';

export class Program {
    constructor(file, args, env, logs, name) {
        mkdirSync(logs, { recursive: true });
        const log = openSync(path.join(logs, `${name}.log`), 'a');
        this.name = name;
        this.child = spawn(file, args, { env, stdio: ['ignore', log, log] });
        closeSync(log);
        this.ended = new Promise(resolve => {
            this.child.once('error', error => resolve({ error }));
            this.child.once('exit', (code, signal) => resolve({ code, signal }));
        });
        this.ended.then(end => (this.end = end));
        this.kill = () => this.child.kill('SIGKILL');
        process.once('exit', this.kill);
    }

    get running() {
        return !this.end;
    }

    /** How it ended: {code, signal}; killed when it does not end in time. */
    async wait(ms = 15000) {
        try {
            return await within(ms, `the end of ${this.name}`, this.ended);
        } catch (e) {
            this.kill();
            throw e;
        } finally {
            process.removeListener('exit', this.kill);
        }
    }

    async terminate(ms) {
        if (this.running) this.child.kill('SIGTERM');
        return this.wait(ms);
    }
}
