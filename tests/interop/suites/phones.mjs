// SPDX-License-Identifier: GPL-3.0-or-later
// Baileys and the phones of the simulator: whether an independent client finds in it a server and
// phones that keep the protocol. The bridge takes no part.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';

import { Device } from '../lib/device.mjs';
import { checkIdentity, checkServer } from '../lib/judge.mjs';
import { Suite, until } from '../lib/tap.mjs';
import { longText } from '../lib/text.mjs';

export const phones = new Suite('phones');

const texts = (device, ids) => ids.map(id => device.of(id).map(m => m.text).join('|'));

phones.check('the certificates of the simulator stand under its root', async w => {
    mkdirSync(w.logs, { recursive: true });
    await checkServer(w.sim.endpoint, w.sim.noiseRoot);
});

phones.check('Baileys links by QR', async w => {
    w.ann = await w.sim.account('491511000001', 'Ann');
    w.ben = await w.sim.account('491511000002', 'Ben');
    w.b1 = new Device('b1', w.sim, w.logs);
    w.closers.push(() => w.b1.close());
    const { device } = await w.b1.link(w.ben);
    assert.equal(device, w.b1.jid);
    assert.equal(w.b1.jid, `${w.ben.phone}:1@s.whatsapp.net`);
    assert.ok(w.b1.auth.creds.me.lid.endsWith(':1@lid'), w.b1.auth.creds.me.lid);
}, { vital: true });

phones.check('the phone signed the device and the device the account', async w => {
    checkIdentity(w.b1.auth.creds);
});

phones.check('the keys that Baileys uploaded are counted', async w => {
    const device = await until('the device', () => w.ben.device(1));
    assert.ok(device.connected);
    assert.ok(device.prekeys >= 800 && device.prekeys <= 812, `${device.prekeys} one-time keys`);
});

phones.check('a first message from a phone is a pkmsg that Baileys opens', async w => {
    const id = await w.ann.send(w.ben, 'first from the phone');
    const m = await w.b1.message('the first message', m => m.id === id);
    assert.equal(m.text, 'first from the phone');
    assert.equal(m.fromMe, false);
    assert.equal(w.b1.stanza(id).enc, 'pkmsg');
});

phones.check('the phone gets a delivery receipt for it', async w => {
    const { id } = w.b1.messages.at(-1);
    await w.ann.receipt('the receipt', r => r.id === id && ['delivery', 'inactive'].includes(r.type));
});

phones.check('Baileys answers the phone', async w => {
    const id = await w.b1.send(w.b1.messages.at(-1).chat, 'answer of b1');
    const m = await w.ann.message('the answer', m => m.id === id);
    assert.equal(m.text, 'answer of b1');
    assert.equal(m.from, w.ben.phone);
    assert.ok(m.from_device.includes(':1@'), m.from_device);
});

phones.check('after the answer both sides send msg', async w => {
    const id = await w.ann.send(w.ben, 'second from the phone');
    await w.b1.message('the second message', m => m.id === id && m.text === 'second from the phone');
    assert.equal(w.b1.stanza(id).enc, 'msg');
    const back = await w.b1.send(w.ann.lid, 'second of b1');
    const m = await w.ann.message('the second answer', m => m.id === back);
    assert.equal(m.enc, 'msg');
});

phones.check('the own phone gets a copy of what Baileys sends', async w => {
    const id = await w.b1.send(w.ann.lid, 'to Ann, copied');
    const copy = await w.ben.message('the copy', m => m.id === id);
    assert.equal(copy.own, true);
    assert.equal(copy.text, 'to Ann, copied');
});

phones.check('Baileys gets a copy of what the own phone sends', async w => {
    const id = await w.ben.send(w.ann, 'from Ben’s phone');
    const copy = await w.b1.message('the copy', m => m.id === id);
    assert.equal(copy.fromMe, true);
    assert.equal(copy.text, 'from Ben’s phone');
});

phones.check('Baileys writes to a phone number', async w => {
    const id = await w.b1.send(`${w.ann.phone}@s.whatsapp.net`, 'by number');
    const m = await w.ann.message('the message', m => m.id === id);
    assert.equal(m.text, 'by number');
});

phones.check('a second Baileys device gets what the first one sends, and what arrives', async w => {
    w.b2 = new Device('b2', w.sim, w.logs);
    w.closers.push(() => w.b2.close());
    await w.b2.link(w.ben);
    assert.equal(w.b2.number, 2);
    const id = await w.ann.send(w.ben, 'for both devices');
    for (const device of [w.b1, w.b2]) await device.message('it', m => m.id === id && m.text);
    // By number: Baileys applies the news of an added device to its list of numbers alone, and
    // keeps the list under the LID as it is for five minutes.
    const copied = await w.b1.send(w.ann.pn, 'with a copy for b2');
    const copy = await w.b2.message('the copy', m => m.id === copied && m.text);
    assert.equal(copy.fromMe, true);
});

phones.check('twenty messages each way, interleaved, keep their order', async w => {
    const there = [];
    const back = [];
    for (let i = 0; i < 20; i++) {
        const [one, two] = await Promise.all([
            w.ann.send(w.ben, `there ${i}`), w.b1.send(w.ann.lid, `back ${i}`),
        ]);
        there.push(one);
        back.push(two);
    }
    await w.b1.message('the last', m => m.id === there.at(-1));
    await w.ann.message('the last', m => m.id === back.at(-1));
    assert.deepEqual(texts(w.b1, there), there.map((_, i) => `there ${i}`));
    const arrived = (await w.ann.messages()).filter(m => back.includes(m.id));
    assert.deepEqual(arrived.map(m => m.text), back.map((_, i) => `back ${i}`));
});

phones.check('60 KiB of emoji and right-to-left text arrive unchanged, both ways', async w => {
    const text = longText(60 * 1024, 'long ');
    const there = await w.ann.send(w.ben, text);
    await w.b1.message('the long message', m => m.id === there && m.text === text);
    const back = await w.b1.send(w.ann.lid, text);
    const m = await w.ann.message('the long answer', m => m.id === back);
    assert.equal(m.text, text);
});

phones.check('what was sent while Baileys was away waits for it, in order', async w => {
    await w.b1.stop();
    await until('the phone to see it gone', async () => !(await w.ben.device(1)).connected);
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push(await w.ann.send(w.ben, `away ${i}`));
    assert.equal((await w.ben.device(1)).queued >= 5, true, 'queued at the server');
    w.b1.start();
    await w.b1.opened();
    await w.b1.message('the last', m => m.id === ids.at(-1));
    assert.deepEqual(texts(w.b1, ids), ids.map((_, i) => `away ${i}`));
    for (const id of ids) assert.ok(w.b1.stanza(id).offline, 'marked offline');
    await until('the queue to be empty', async () => (await w.ben.device(1)).queued === 0);
});

phones.check('a message that cannot be opened is asked for again, and comes', async w => {
    await w.sim.fault(`${w.ben.phone}:1`, 'corrupt_next_message');
    const id = await w.ann.send(w.ben, 'damaged on its way');
    await w.b1.message('the second delivery', m => m.id === id && m.text === 'damaged on its way');
    const deliveries = w.b1.stanzas.filter(s => s.id === id);
    assert.ok(deliveries.length >= 2, 'delivered again');
    assert.ok(deliveries.at(-1).retry, 'its enc counts the retry');
    assert.ok((await w.ann.receipts()).some(r => r.id === id && r.type === 'retry'));
});

phones.check('the conversation goes on after the retry', async w => {
    const id = await w.ann.send(w.ben, 'after the retry');
    await w.b1.message('it', m => m.id === id && m.text === 'after the retry');
    const back = await w.b1.send(w.ann.lid, 'heard');
    await w.ann.message('the answer', m => m.id === back && m.text === 'heard');
});

phones.check('Baileys builds a session without a one-time key', async w => {
    const cat = await w.sim.account('491511000003', 'Cat');
    await w.sim.fault(cat.phone, 'no_prekeys');
    const id = await w.b2.send(cat.lid, 'no key was left');
    const m = await cat.message('it', m => m.id === id);
    assert.equal(m.text, 'no key was left');
    const back = await cat.send(w.ben, 'none needed');
    await w.b2.message('the answer', m => m.id === back && m.text === 'none needed');
});

phones.check('an account addressed by number works the same', async w => {
    const pia = await w.sim.account('491511000004', 'Pia', { addressing: 'pn' });
    const id = await pia.send(w.ben, 'from a number');
    const m = await w.b1.message('it', m => m.id === id && m.text === 'from a number');
    assert.ok(m.chat.endsWith('@s.whatsapp.net'), m.chat);
    const back = await w.b1.send(m.chat, 'to a number');
    await pia.message('the answer', m => m.id === back && m.text === 'to a number');
});

phones.check('a device removed on the phone is logged out, and the other stays', async w => {
    await w.ben.unlink(1);
    await until('b1 to be logged out', () => w.b1.state === 'logged out');
    assert.equal(w.b1.reason, 401);
    const id = await w.ann.send(w.ben, 'for b2 alone');
    await w.b2.message('it', m => m.id === id && m.text === 'for b2 alone');
    assert.equal(w.b1.of(id).length, 0);
});

phones.check('the server found nothing to object to in what Baileys sent', async w => {
    const violations = await w.sim.events(e => e.event === 'violation');
    assert.deepEqual(violations, []);
});
