// SPDX-License-Identifier: GPL-3.0-or-later
// Baileys and the bridge, through the simulator: a shop whose phone linked the bridge, and a
// customer with a phone and several Baileys devices. The bridge echoes what it is told.
import assert from 'node:assert/strict';
import path from 'node:path';

import { Bridge } from '../lib/bridge.mjs';
import { Device } from '../lib/device.mjs';
import { echo } from '../lib/shop.mjs';
import { Suite, until } from '../lib/tap.mjs';
import { longText } from '../lib/text.mjs';

export const bridge = new Suite('bridge');

const [DELIVERED, READ] = [3, 4]; // Baileys' WebMessageInfo.Status

async function addDevice(w, name) {
    const device = new Device(name, w.sim, w.logs);
    w.closers.push(() => device.close());
    w.devices.push(device);
    await device.link(w.customer);
    return device;
}

/** Recorded as one row, answered by one message that every device of the customer can read. */
async function conversed(w, id, text, { devices = w.devices, offline } = {}) {
    const row = await w.bridge.recorded(id);
    assert.equal(row.text, text);
    assert.equal(row.status, 'received');
    assert.equal(row.from_me, 0);
    if (offline !== undefined) assert.equal(row.offline, offline);
    const answer = await w.bridge.answered(id);
    assert.equal(answer.text, echo(text));
    for (const device of devices) await readAnswer(device, answer.wa_id, text);
    const copy = await w.customer.message('the answer', m => m.id === answer.wa_id);
    assert.equal(copy.text, echo(text));
    assert.equal((await w.bridge.inbound(id)).length, 1, 'recorded once');
    return answer;
}

async function readAnswer(device, id, text) {
    const what = `the answer to ${text.slice(0, 40)}`;
    const m = await device.message(what, m => m.id === id && m.text !== null);
    assert.equal(m.text, echo(text));
    assert.equal(m.fromMe, false);
}

bridge.check('the bridge publishes a QR', async w => {
    w.shop = await w.sim.account('491522000001', 'Shop');
    w.customer = await w.sim.account('491522000002', 'Customer');
    w.devices = [];
    w.bridge = new Bridge(w.build, w.sim, path.join(w.logs, 'tenant')).start();
    w.closers.push(() => w.bridge.close());
    await w.bridge.reached('QR_PENDING', 'QR_READY');
    assert.equal(w.bridge.qr().split(',').length, 5);
}, { vital: true });

bridge.check('the shop’s phone scans it and the bridge is connected', async w => {
    await w.shop.scan(w.bridge.qr());
    const state = await w.bridge.connected();
    assert.equal(state.account.pn, w.shop.pn);
    assert.equal(state.account.lid, w.shop.lid);
    await until('the QR to be gone', () => !w.bridge.has('qr.txt') && !w.bridge.has('qr.png'));
    assert.ok((await w.shop.device(1)).connected);
}, { vital: true });

bridge.check('Baileys links by QR as the customer’s second and third device', async w => {
    w.b1 = await addDevice(w, 'b1');
    w.b2 = await addDevice(w, 'b2');
    assert.deepEqual([w.b1.number, w.b2.number], [1, 2]);
}, { vital: true });

bridge.check('a first message is a pkmsg, recorded once, and all devices read the answer', async w => {
    const id = await w.b1.send(w.shop.lid, 'first contact');
    w.first = await conversed(w, id, 'first contact');
    assert.equal(w.b1.envelope(id, w.shop.lid.replace('@', ':1@')), 'pkmsg');
    const types = w.devices.map(d => d.stanza(w.first.wa_id).enc);
    assert.deepEqual(types, ['msg', 'pkmsg'], 'a session stood with b1 alone');
});

bridge.check('the customer is known by number, LID and name', async w => {
    const [row] = await w.bridge.rows(`id = ${w.first.reply_to}`);
    assert.equal(row.chat, w.customer.lid);
    assert.equal(row.chat_pn, w.customer.pn);
    assert.equal(row.sender_lid, w.customer.lid);
    assert.equal(row.sender_pn, w.customer.pn);
});

bridge.check('the bridge reports the delivery, and that it has read what it answers', async w => {
    const [row] = await w.bridge.rows(`id = ${w.first.reply_to}`);
    await w.b1.reported(row.wa_id, DELIVERED);
    await w.b1.reported(row.wa_id, READ);
});

bridge.check('the bridge learns that its answer was delivered', async w => {
    await until('the row to be delivered', async () => {
        const [row] = await w.bridge.rows(`id = ${w.first.id}`);
        return ['delivered', 'read'].includes(row.status) && row.delivered_at > 0;
    });
});

bridge.check('the shop’s phone has the question and a copy of the answer', async w => {
    const question = await w.shop.message('the question', m => m.text === 'first contact');
    assert.equal(question.from, w.customer.phone);
    const copy = await w.shop.message('the copy', m => m.id === w.first.wa_id);
    assert.equal(copy.own, true);
    assert.equal(copy.text, echo('first contact'));
});

bridge.check('the following messages are msg in both directions', async w => {
    const id = await w.b1.send(w.shop.lid, 'second');
    const answer = await conversed(w, id, 'second');
    assert.equal(w.b1.envelope(id, w.shop.lid.replace('@', ':1@')), 'msg');
    assert.equal(w.b1.stanza(answer.wa_id).enc, 'msg');
});

bridge.check('another device of the customer writes and all devices read the answer', async w => {
    const id = await w.b2.send(w.shop.lid, 'from b2');
    await conversed(w, id, 'from b2');
    const copy = await w.b1.message('the copy of b2’s message', m => m.id === id && m.text);
    assert.equal(copy.fromMe, true);
    assert.equal(copy.text, 'from b2');
});

bridge.check('after both devices wrote, every envelope of an answer is msg', async w => {
    const id = await w.b2.send(w.shop.lid, 'settled');
    const answer = await conversed(w, id, 'settled');
    const types = w.devices.map(d => d.stanza(answer.wa_id).enc);
    assert.deepEqual(types, ['msg', 'msg']);
});

bridge.check('many messages from two devices, interleaved with the answers', async w => {
    const sent = [];
    for (let i = 0; i < 12; i++) {
        const [one, two] = await Promise.all([
            w.b1.send(w.shop.lid, `b1 says ${i}`), w.b2.send(w.shop.lid, `b2 says ${i}`),
        ]);
        sent.push([one, `b1 says ${i}`], [two, `b2 says ${i}`]);
    }
    const answers = [];
    for (const [id, text] of sent) answers.push(await conversed(w, id, text));
    assert.equal(new Set(answers.map(a => a.wa_id)).size, sent.length, 'one answer each');
}, { ms: 120000 });

bridge.check('the customer’s phone takes part in the same chat', async w => {
    const id = await w.customer.send(w.shop, 'from the phone itself');
    await conversed(w, id, 'from the phone itself');
});

bridge.check('60 KiB of emoji and right-to-left text are kept and echoed byte for byte', async w => {
    const text = longText(60 * 1024, 'long ');
    assert.equal(Buffer.byteLength(text), 60 * 1024);
    const id = await w.b1.send(w.shop.lid, text);
    const answer = await conversed(w, id, text);
    const [row] = await w.bridge.inbound(id);
    assert.equal(row.text_hex, Buffer.from(text).toString('hex').toUpperCase());
    assert.equal(answer.text_hex, Buffer.from(echo(text)).toString('hex').toUpperCase());
});

bridge.check('messages that overtook each other on the way in are all opened', async w => {
    const texts = ['one', 'two', 'three', 'four'].map(t => `shuffled ${t}`);
    const target = w.shop.lid.replace('@', ':1@');
    const ids = await w.b1.sendShuffled(target, texts, [3, 0, 2, 1]);
    for (const [i, id] of ids.entries()) await conversed(w, id, texts[i]);
    const rows = await w.bridge.rows(`direction = 'IN' AND wa_id IN ('${ids.join("', '")}')`);
    assert.deepEqual(rows.map(row => row.wa_id), [3, 0, 2, 1].map(turn => ids[turn]), 'as they came');
});

bridge.check('answers that overtook each other on the way out are all opened', async w => {
    w.b2.shuffleNext(w.shop, [2, 0, 1]);
    const ids = [];
    for (const text of ['x', 'y', 'z'].map(t => `turned ${t}`)) {
        ids.push([await w.customer.send(w.shop, text), text]);
        await w.bridge.answered(ids.at(-1)[0]);
    }
    const answers = [];
    for (const [id, text] of ids) answers.push((await conversed(w, id, text)).wa_id);
    const read = w.b2.messages.map(m => m.id).filter(id => answers.includes(id));
    assert.deepEqual(read, [2, 0, 1].map(turn => answers[turn]), 'in the order of the disorder');
});

bridge.check('a customer who writes to the number instead of the LID is answered', async w => {
    const id = await w.b1.send(w.shop.pn, 'to your number');
    const answer = await conversed(w, id, 'to your number');
    const { from } = w.b1.stanza(answer.wa_id);
    assert.ok(from.endsWith('@s.whatsapp.net'), `answered from ${from}`);
});

bridge.check('a stanza that the server delivers twice is one message with one answer', async w => {
    await w.sim.fault(`${w.shop.phone}:1`, 'duplicate', { count: 1 });
    const id = await w.b1.send(w.shop.lid, 'said once');
    const answer = await conversed(w, id, 'said once');
    const next = await w.b1.send(w.shop.lid, 'said after it');
    await conversed(w, next, 'said after it');
    const rows = await w.bridge.rows(`reply_to = ${answer.reply_to}`);
    assert.equal(rows.length, 1);
    const receipts = await w.sim.events(e => e.event === 'receipt' && e.id === id &&
        e.device.startsWith(w.shop.phone) && e.detail !== 'read');
    assert.equal(receipts.length, 2, 'it was delivered twice');
});

bridge.check('a message to a bridge that was stopped is recorded as offline and answered', async w => {
    const end = await w.bridge.stop();
    assert.deepEqual([end.code, end.signal], [0, null]);
    const ids = [];
    for (const text of ['while you were out', 'are you there?', '👋'])
        ids.push([await w.b1.send(w.shop.lid, text), text]);
    await until('the queue', async () => (await w.shop.device(1)).queued >= 3);
    w.bridge.start();
    await w.bridge.connected();
    for (const [id, text] of ids) await conversed(w, id, text, { offline: 1 });
    await until('the queue to be empty', async () => (await w.shop.device(1)).queued === 0);
});

bridge.check('a message after the restart needs no new session', async w => {
    const id = await w.b1.send(w.shop.lid, 'welcome back');
    const answer = await conversed(w, id, 'welcome back', { offline: 0 });
    assert.equal(w.b1.envelope(id, w.shop.lid.replace('@', ':1@')), 'msg');
    assert.equal(w.b1.stanza(answer.wa_id).enc, 'msg');
});

bridge.check('Baileys was offline when the bridge answered, and reads it when it is back', async w => {
    await w.bridge.stop();
    const id = await w.b1.send(w.shop.lid, 'answer me later');
    await until('the queue', async () => (await w.shop.device(1)).queued >= 1);
    await Promise.all([w.b1.stop(), w.b2.stop()]);
    w.bridge.start();
    const answer = await w.bridge.answered(id);
    w.b1.start();
    w.b2.start();
    await conversed(w, id, 'answer me later', { offline: 1 });
    for (const d of w.devices)
        assert.ok(d.stanza(answer.wa_id).offline, `${d.name} had it waiting`);
});

bridge.check('a device that is linked later writes, and is answered with the others', async w => {
    w.b3 = await addDevice(w, 'b3');
    const id = await w.b3.send(w.shop.lid, 'I am new here');
    await conversed(w, id, 'I am new here');
});

bridge.check('a device that never wrote gets the answer too', async w => {
    const b4 = await addDevice(w, 'b4');
    const id = await w.b1.send(w.shop.lid, 'can b4 read this?');
    const answer = await conversed(w, id, 'can b4 read this?');
    assert.equal(b4.stanza(answer.wa_id).enc, 'pkmsg');
});

bridge.check('what the bridge cannot open it asks for again, and Baileys sends it again', async w => {
    const before = w.bridge.state().counters.retries_asked;
    await w.sim.fault(`${w.shop.phone}:1`, 'corrupt_next_message');
    const id = await w.b1.send(w.shop.lid, 'damaged on the way in');
    await until('it to be read', async () => (await w.bridge.recorded(id)).text !== null);
    await conversed(w, id, 'damaged on the way in');
    await until('the counter', () => w.bridge.state().counters.retries_asked > before);
    const resent = w.b1.sent.filter(xml => xml.startsWith('<message') && xml.includes(`id='${id}'`));
    assert.ok(resent.length >= 2, 'Baileys sent it twice');
});

bridge.check('what Baileys cannot open it asks for again, and the bridge sends it again', async w => {
    await w.sim.fault(`${w.customer.phone}:1`, 'corrupt_next_message');
    const id = await w.b1.send(w.shop.lid, 'damaged on the way out');
    const answer = await conversed(w, id, 'damaged on the way out');
    const asked = w.b1.sent.some(xml => xml.startsWith('<receipt') && xml.includes("type='retry'"));
    assert.ok(asked, 'b1 asked');
    const rows = await w.bridge.rows(`reply_to = ${answer.reply_to}`);
    assert.equal(rows.length, 1);
});

bridge.check('the conversation goes on after both', async w => {
    for (const device of [w.b1, w.b2, w.b3]) {
        const id = await device.send(w.shop.lid, `after it, ${device.name}`);
        await conversed(w, id, `after it, ${device.name}`);
    }
});

bridge.check('what the owner writes from the phone is kept and not answered', async w => {
    const id = await w.shop.send(w.customer, 'a person speaks');
    for (const device of w.devices)
        await device.message('it', m => m.id === id && m.text === 'a person speaks');
    const row = await until('the copy in messages.db',
        async () => (await w.bridge.rows(`wa_id = '${id}'`))[0]);
    assert.equal(row.from_me, 1);
    assert.equal(row.chat, w.customer.lid);
    const next = await w.b1.send(w.shop.lid, 'thank you');
    await conversed(w, next, 'thank you');
    assert.equal((await w.bridge.rows(`reply_to = ${row.id}`)).length, 0);
});

bridge.check('a bridge that was killed goes on where it was', async w => {
    w.bridge.program.kill();
    await w.bridge.program.wait();
    const id = await w.b1.send(w.shop.lid, 'still there?');
    w.bridge.start();
    await w.bridge.connected();
    const answer = await conversed(w, id, 'still there?');
    assert.equal(w.b1.stanza(answer.wa_id).enc, 'msg');
});

bridge.check('a second customer with its own device has its own chat', async w => {
    const other = await w.sim.account('491522000003', 'Other', { addressing: 'pn' });
    const device = new Device('o1', w.sim, w.logs);
    w.closers.push(() => device.close());
    await device.link(other);
    const id = await device.send(w.shop.lid, 'somebody else');
    const row = await w.bridge.recorded(id);
    assert.equal(row.sender_pn, other.pn);
    const answer = await w.bridge.answered(id);
    await readAnswer(device, answer.wa_id, 'somebody else');
    assert.ok(w.devices.every(d => d.of(answer.wa_id).length === 0));
});

bridge.check('a bridge that was unlinked on the phone says so', async w => {
    await w.shop.unlink(1);
    await w.bridge.reached('ERROR', 'LOGGED_OUT');
});

bridge.check('`ctl pair` brings a new QR, and the new device takes up the talk', async w => {
    await w.bridge.ctl('pair');
    await w.bridge.reached('QR_PENDING', 'QR_READY');
    await w.shop.scan(w.bridge.qr());
    await w.bridge.connected();
    assert.equal(await w.shop.device(1), undefined, 'the old device is gone');
    assert.ok((await w.shop.device(2)).connected);
    // Baileys keeps the devices behind a LID for five minutes, or until it connects again.
    await w.b1.stop();
    w.b1.start();
    await w.b1.opened();
    const id = await w.b1.send(w.shop.lid, 'are you the new one?');
    await conversed(w, id, 'are you the new one?');
});

bridge.check('the server found nothing to object to in what the bridge sent', async w => {
    const violations = await w.sim.events(e => e.event === 'violation');
    assert.deepEqual(violations, []);
});

bridge.check('it ends with exit code 0 when it is told to', async w => {
    const end = await w.bridge.stop();
    assert.deepEqual([end.code, end.signal], [0, null]);
});
