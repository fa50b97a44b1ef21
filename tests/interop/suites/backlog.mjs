// SPDX-License-Identifier: GPL-3.0-or-later
// The server keeps what a device missed: five hundred messages for a bridge that was off, and its
// answers for Baileys devices that were off when it gave them.
import assert from 'node:assert/strict';

import { addPerson, conversed, echo, noViolations, openShop } from '../lib/shop.mjs';
import { Suite, until } from '../lib/tap.mjs';

export const backlog = new Suite('backlog');

const EACH = 250;

backlog.check('a shop, Ann and Ben', async w => {
    await openShop(w, '491577000001');
    w.people = [
        await addPerson(w, '491577000002', 'Ann'), await addPerson(w, '491577000003', 'Ben'),
    ];
    for (const { device } of w.people) {
        const id = await device.send(w.shop.lid, 'before');
        await conversed(w, id, 'before', [device]);
    }
}, { vital: true });

backlog.check(`${2 * EACH} messages of two Baileys devices while the bridge is off`, async w => {
    await w.bridge.stop();
    await Promise.all(w.people.map(async person => {
        person.ids = [];
        for (let i = 0; i < EACH; i++)
            person.ids.push(await person.device.send(w.shop.lid, `${person.device.name} ${i}`));
    }));
    await until('all to wait', async () => (await w.shop.device(1)).queued >= 2 * EACH);
    for (const { device } of w.people) await device.stop();
}, { ms: 240000, vital: true });

backlog.check('all are recorded once, in the order in which they were written', async w => {
    w.bridge.start();
    await w.bridge.connected();
    await until('all of them', async () =>
        (await w.bridge.rows("direction = 'IN' AND offline = 1")).length >= 2 * EACH, 120000, 500);
    const rows = await w.bridge.rows("direction = 'IN' AND offline = 1");
    assert.equal(rows.length, 2 * EACH);
    for (const { account, device, ids } of w.people) {
        const own = rows.filter(row => row.chat === account.lid);
        assert.deepEqual(own.map(row => row.wa_id), ids);
        assert.deepEqual(own.map(row => row.text), ids.map((_, i) => `${device.name} ${i}`));
    }
    await until('the queue to be empty', async () => (await w.shop.device(1)).queued === 0);
}, { ms: 180000, vital: true });

backlog.check('every one is answered, once, while Baileys is off', async w => {
    const left = `direction = 'OUT' AND status IN ('sent', 'delivered', 'read')
        AND reply_to IN (SELECT id FROM messages WHERE offline = 1)`;
    await until('all answers', async () => (await w.bridge.rows(left)).length >= 2 * EACH, 180000, 500);
    w.answers = await w.bridge.rows(left);
    assert.equal(w.answers.length, 2 * EACH);
    assert.equal(new Set(w.answers.map(row => row.reply_to)).size, 2 * EACH);
}, { ms: 240000, vital: true });

backlog.check('Baileys comes back and reads every answer, once and in order', async w => {
    for (const { device } of w.people) device.start();
    for (const { account, device, ids } of w.people) {
        const sent = w.answers.filter(row => row.target === account.lid).map(row => row.wa_id);
        assert.equal(sent.length, EACH);
        const read = () => device.messages.filter(m => sent.includes(m.id) && m.text !== null);
        await until(`the answers at ${device.name}`, () => read().length >= EACH, 120000, 250);
        assert.deepEqual(read().map(m => m.text), ids.map((_, i) => echo(`${device.name} ${i}`)));
        assert.ok(sent.every(id => device.stanza(id).offline), 'they had waited at the server');
    }
}, { ms: 240000 });

backlog.check('the talk goes on', async w => {
    for (const { device } of w.people) {
        const id = await device.send(w.shop.lid, 'after');
        await conversed(w, id, 'after', [device]);
    }
    assert.deepEqual(await w.bridge.rows("status IN ('undecryptable', 'failed', 'dropped')"), []);
});

backlog.check('the server found nothing to object to', noViolations);
