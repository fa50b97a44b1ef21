// SPDX-License-Identifier: GPL-3.0-or-later
// wabridge-sim: started on free ports, driven through its control interface, JSON over HTTP.
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { Program } from './process.mjs';
import { Hopeless, until } from './tap.mjs';

export class Simulator {
    static async start(file, logs) {
        const ready = path.join(logs, 'sim.json');
        const program = new Program(file, ['--ready-file', ready, '--log-level', 'debug'], process.env,
            logs, 'sim');
        const told = await until('the simulator', () => {
            if (program.end) throw new Hopeless(`it ended: ${JSON.stringify(program.end)}`);
            return JSON.parse(readFileSync(ready, 'utf8'));
        }, 15000);
        return new Simulator(program, told);
    }

    constructor(program, told) {
        this.program = program;
        this.endpoint = told.endpoint;
        this.control = told.control;
        this.noiseRoot = told.noise_root;
    }

    async stop() {
        const end = await this.program.terminate();
        if (end.code !== 0) throw new Error(`the simulator ended with ${JSON.stringify(end)}`);
    }

    async call(method, where, body) {
        const answer = await fetch(this.control + where, {
            method,
            body: body && JSON.stringify(body),
            headers: body ? { 'content-type': 'application/json' } : {},
            signal: AbortSignal.timeout(30000),
        });
        const text = await answer.text();
        if (!answer.ok) throw new Error(`${method} ${where}: ${answer.status} ${text}`);
        return JSON.parse(text);
    }

    get(where) {
        return this.call('GET', where);
    }

    post(where, body) {
        return this.call('POST', where, body);
    }

    async account(phone, name, more = {}) {
        return new Phone(this, await this.post('/accounts', { phone, name, ...more }));
    }

    fault(target, kind, more = {}) {
        return this.post('/faults', { target, kind, ...more });
    }

    /** A numbered list of the control interface from its start; an answer holds a part of it. */
    async list(where, name) {
        const all = [];
        for (let after = 0;;) {
            const part = await this.get(`${where}?after=${after}`);
            all.push(...part[name]);
            if (part[name].length === 0 || part.next === after) return all;
            after = part.next;
        }
    }

    events(test = () => true) {
        return this.list('/events', 'events').then(all => all.filter(test));
    }
}

/** An account's primary phone, run by the simulator. */
export class Phone {
    constructor(sim, account) {
        this.sim = sim;
        this.phone = account.phone;
        this.pn = account.pn;
        this.lid = account.lid;
        this.name = account.name;
    }

    scan(qr) {
        return this.sim.post(`/accounts/${this.phone}/scan`, { qr });
    }

    async send(to, text, more = {}) {
        const body = { to: to.phone, text, ...more };
        return (await this.sim.post(`/accounts/${this.phone}/send`, body)).id;
    }

    unlink(device) {
        return this.sim.post(`/accounts/${this.phone}/unlink`, { device });
    }

    messages() {
        return this.sim.list(`/accounts/${this.phone}/messages`, 'messages');
    }

    receipts() {
        return this.sim.list(`/accounts/${this.phone}/receipts`, 'receipts');
    }

    message(what, test, ms) {
        const probe = async () => (await this.messages()).find(test);
        return until(`${what} at the phone of ${this.name}`, probe, ms, 100);
    }

    receipt(what, test, ms) {
        const probe = async () => (await this.receipts()).find(test);
        return until(`${what} at the phone of ${this.name}`, probe, ms, 100);
    }

    async device(id) {
        const { accounts } = await this.sim.get('/accounts');
        return accounts.find(a => a.phone === this.phone)?.devices.find(d => d.id === id);
    }
}
