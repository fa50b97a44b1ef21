// SPDX-License-Identifier: GPL-3.0-or-later
// The world of most suites: a shop whose phone linked the bridge, which echoes what it is told, and
// people with a phone of the simulator and devices of Baileys.
import assert from 'node:assert/strict';
import path from 'node:path';

import { Bridge } from './bridge.mjs';
import { Device } from './device.mjs';
import { until } from './tap.mjs';

export const echo = text => `Echo: ${text}`;

/** An account with the bridge as its device 1; more: of its configuration. */
export async function openShop(w, phone, more) {
    w.shop = await w.sim.account(phone, 'Shop');
    w.bridge = new Bridge(w.build, w.sim, path.join(w.logs, 'tenant'), more).start();
    w.closers.push(() => w.bridge.close());
    await w.bridge.reached('QR_PENDING', 'QR_READY');
    await w.shop.scan(w.bridge.qr());
    await w.bridge.connected();
}

export async function addDevice(w, name, account) {
    const device = new Device(name, w.sim, w.logs);
    w.closers.push(() => device.close());
    await device.link(account);
    return device;
}

export async function addPerson(w, phone, name, more) {
    const account = await w.sim.account(phone, name, more);
    return { account, device: await addDevice(w, name.toLowerCase(), account) };
}

/** The bridge as its contacts see it: its LID, and the Signal name of that. */
export const bridgeLid = w => w.shop.lid.replace('@', ':1@');
export const signalName = jid => jid.replace(/@lid$/, '_1').replace(/@.*$/, '');

export function isSessionWith(account) {
    const names = [account.pn, account.lid].map(signalName);
    return key => names.includes(key.replace(/\.\d+$/, ''));
}

/** Recorded once and read; the answer left once. Its row. */
export async function answered(w, id, text) {
    const row = await w.bridge.understood(id);
    assert.equal(row.text, text);
    const answer = await w.bridge.answered(id);
    assert.equal(answer.text, echo(text));
    assert.equal((await w.bridge.inbound(id)).length, 1, 'recorded once');
    return answer;
}

/** The same, and each of these devices has read the answer, once. */
export async function conversed(w, id, text, devices) {
    const answer = await answered(w, id, text);
    for (const device of devices) {
        const m = await device.message(`the answer to ${text}`,
            m => m.id === answer.wa_id && m.text !== null);
        assert.equal(m.text, echo(text));
    }
    return answer;
}

export const retriesOf = device => device.sent.filter(xml => xml.startsWith('<receipt') &&
    xml.includes("type='retry'")).length;

export async function noViolations(w) {
    assert.deepEqual(await w.sim.events(e => e.event === 'violation'), []);
}

/** To how many devices the sender of a message to a group gave its key along with it. */
export async function keysWith(w, id) {
    const [e] = await until(`the passage of ${id}`, async () => {
        const found = await w.sim.events(e => e.event === 'group_keys' && e.id === id);
        return found.length && found;
    });
    return Number(e.detail);
}
