// SPDX-License-Identifier: GPL-3.0-or-later
// Devices that come and go in the middle of a talk, on both sides: a second Baileys device of the
// contact, and one on the account of the bridge itself.
import assert from 'node:assert/strict';

import { addDevice, addPerson, conversed, echo, keysWith, noViolations, openShop } from '../lib/shop.mjs';
import { Suite, until } from '../lib/tap.mjs';

export const devices = new Suite('devices');

const copyAt = (device, what, id) => device.message(what, m => m.id === id && m.text !== null);

devices.check('a shop, and Ann with one device', async w => {
    await openShop(w, '491555000001');
    w.ann = await addPerson(w, '491555000002', 'Ann');
    const id = await w.ann.device.send(w.shop.lid, 'hello');
    await conversed(w, id, 'hello', [w.ann.device]);
}, { vital: true });

devices.check('Ann links another: the next answer is for both, though it never wrote', async w => {
    w.second = await addDevice(w, 'ann2', w.ann.account);
    const id = await w.ann.device.send(w.shop.lid, 'with ann2');
    const answer = await conversed(w, id, 'with ann2', [w.ann.device, w.second]);
    assert.equal(w.second.stanza(answer.wa_id).enc, 'pkmsg');
    assert.equal(w.ann.device.stanza(answer.wa_id).enc, 'msg');
});

devices.check('it takes up the talk', async w => {
    const id = await w.second.send(w.shop.lid, 'ann2 writes');
    await conversed(w, id, 'ann2 writes', [w.ann.device, w.second]);
});

devices.check('Ann unlinks it: the answers go on without it', async w => {
    await w.ann.account.unlink(w.second.number);
    await until('ann2 to be out', () => w.second.state === 'logged out');
    const id = await w.ann.device.send(w.shop.lid, 'without ann2');
    const answer = await conversed(w, id, 'without ann2', [w.ann.device]);
    assert.equal(w.second.of(answer.wa_id).length, 0);
});

devices.check('the owner links another device: it has a copy of the next answer', async w => {
    w.till = await addDevice(w, 'till', w.shop);
    assert.equal(w.till.number, 2);
    const id = await w.ann.account.send(w.shop, 'from Ann’s phone');
    const answer = await conversed(w, id, 'from Ann’s phone', [w.ann.device]);
    const copy = await copyAt(w.till, 'the copy', answer.wa_id);
    assert.equal(copy.text, echo('from Ann’s phone'));
    assert.equal(copy.fromMe, true);
    assert.equal(copy.chat, w.ann.account.lid);
    assert.equal((await copyAt(w.till, 'the question', id)).text, 'from Ann’s phone');
});

devices.check('the following copies need no new session', async w => {
    const own = await w.till.send(w.ann.account.lid, 'the till opens its session');
    // A reply gives way to what the owner writes before it has left.
    await w.bridge.recorded(own);
    const id = await w.ann.account.send(w.shop, 'again');
    const answer = await conversed(w, id, 'again', [w.ann.device]);
    await copyAt(w.till, 'the copy', answer.wa_id);
    const next = await w.ann.account.send(w.shop, 'and again');
    const last = await conversed(w, next, 'and again', [w.ann.device]);
    await copyAt(w.till, 'the copy', last.wa_id);
});

devices.check('what the owner writes there is recorded as the owner’s and not answered', async w => {
    const id = await w.till.send(w.ann.account.lid, 'a person at the till');
    assert.equal((await copyAt(w.ann.device, 'it', id)).text, 'a person at the till');
    const row = await until('the row', async () => (await w.bridge.rows(`wa_id = '${id}'`))[0]);
    assert.equal(row.from_me, 1);
    assert.equal(row.chat, w.ann.account.lid);
    assert.equal(row.text, 'a person at the till');
    const next = await w.ann.device.send(w.shop.lid, 'thanks, till');
    await conversed(w, next, 'thanks, till', [w.ann.device]);
    assert.deepEqual(await w.bridge.rows(`reply_to = ${row.id}`), []);
});

devices.check('a message of the outbox is copied to it too', async w => {
    w.bridge.post('copied', { to: w.ann.account.phone, text: 'for Ann and the till' });
    const row = await w.bridge.posted('copied');
    const copy = await copyAt(w.till, 'the copy', row.wa_id);
    assert.equal(copy.text, 'for Ann and the till');
    assert.equal(copy.fromMe, true);
});

devices.check('a group: a device that a member links later is given the key, alone', async w => {
    const made = await w.ann.device.sock.groupCreate('Devices', [w.shop.lid]);
    w.group = made.id;
    const first = await w.ann.device.send(w.group, 'hello group');
    await conversed(w, first, 'hello group', [w.ann.device, w.till]);
    w.third = await addDevice(w, 'ann3', w.ann.account);
    const id = await w.ann.device.send(w.group, 'with ann3');
    const answer = await conversed(w, id, 'with ann3', [w.ann.device, w.third, w.till]);
    assert.equal(await keysWith(w, answer.wa_id), 1);
    const back = await w.third.send(w.group, 'ann3 writes');
    await conversed(w, back, 'ann3 writes', [w.ann.device, w.third, w.till]);
});

devices.check('the owner unlinks the other device and the bridge stays', async w => {
    await w.shop.unlink(w.till.number);
    await until('the till to be out', () => w.till.state === 'logged out');
    const id = await w.ann.account.send(w.shop, 'still with us?');
    const answer = await conversed(w, id, 'still with us?', [w.ann.device]);
    assert.equal(w.till.of(answer.wa_id).length, 0);
    assert.equal(w.bridge.state().session.state, 'CONNECTED');
});

devices.check('no message was left unread, and the server has nothing to object to', async w => {
    assert.deepEqual(await w.bridge.rows("status = 'undecryptable'"), []);
    await noViolations(w);
});
