// SPDX-License-Identifier: GPL-3.0-or-later
// What Baileys sends besides plain text: quotes, edits, revokes, reactions, chats whose messages
// disappear, and kinds without a text.
import assert from 'node:assert/strict';

import { addDevice, addPerson, answered, conversed, noViolations, openShop } from '../lib/shop.mjs';
import { editOf, sealEdit } from '../lib/sealed.mjs';
import { Suite, until } from '../lib/tap.mjs';

export const kinds = new Suite('kinds');

const DAY = 86400;

const changed = (w, id, what, test) => until(`${what} of ${id}`,
    async () => (await w.bridge.inbound(id)).find(test), undefined, 100);

kinds.check('a shop, Ann, and a group of both', async w => {
    await openShop(w, '491599000001');
    w.ann = await addPerson(w, '491599000002', 'Ann');
    const id = await w.ann.device.send(w.shop.lid, 'hello');
    w.first = await conversed(w, id, 'hello', [w.ann.device]);
    w.group = (await w.ann.device.sock.groupCreate('Kinds', [w.shop.lid])).id;
    const said = await w.ann.device.send(w.group, 'hello group');
    await conversed(w, said, 'hello group', [w.ann.device]);
}, { vital: true });

kinds.check('a reply to the bridge’s answer names it', async w => {
    const { raw } = w.ann.device.of(w.first.wa_id)[0];
    const id = await w.ann.device.send(w.shop.lid, 'about that', { quoted: raw });
    await conversed(w, id, 'about that', [w.ann.device]);
    assert.equal((await w.bridge.recorded(id)).quoted_id, w.first.wa_id);
});

kinds.check('a message of the outbox quotes what Ann wrote, and Baileys sees which', async w => {
    const id = await w.ann.device.send(w.shop.lid, 'quote me');
    await conversed(w, id, 'quote me', [w.ann.device]);
    w.bridge.post('quoting', { to: w.ann.account.phone, text: 'you said', quote: id });
    const row = await w.bridge.posted('quoting');
    const m = await w.ann.device.message('it', m => m.id === row.wa_id && m.text === 'you said');
    assert.equal(m.quoted, id);
});

kinds.check('an edit from another device of Ann changes the row, and is not answered', async w => {
    w.second = await addDevice(w, 'ann2', w.ann.account);
    const sent = await w.second.say(w.shop.lid, { text: 'Tuesdy' });
    const answer = await answered(w, sent.key.id, 'Tuesdy');
    await w.second.say(w.shop.lid, { text: 'Tuesday', edit: sent.key });
    const row = await changed(w, sent.key.id, 'the edit', row => row.edited_at > 0);
    assert.equal(row.text, 'Tuesday');
    const next = await w.second.send(w.shop.lid, 'after the edit');
    await conversed(w, next, 'after the edit', [w.ann.device]);
    const answers = await w.bridge.rows(`reply_to >= ${answer.reply_to}`);
    assert.equal(answers.length, 2, 'one for each message and none for the edit');
});

kinds.check('an edit and a revoke in a group', async w => {
    const sent = await w.ann.device.say(w.group, { text: 'at tree' });
    await conversed(w, sent.key.id, 'at tree', [w.ann.device]);
    await w.ann.device.say(w.group, { text: 'at three', edit: sent.key });
    const row = await changed(w, sent.key.id, 'the edit', row => row.edited_at > 0);
    assert.equal(row.text, 'at three');
    await w.ann.device.say(w.group, { delete: sent.key });
    await changed(w, sent.key.id, 'the revoke', row => row.revoked_at > 0);
});

for (const [where, place] of [['chat', w => w.shop.lid], ['group', w => w.group]])
    kinds.check(`an edit that comes encrypted changes the row, also after a restart, in a ${where}`, async w => {
        const { device, account } = w.ann;
        const sent = await device.say(place(w), { text: 'Wednesdy' });
        const answer = await answered(w, sent.key.id, 'Wednesdy');
        assert.equal((await w.bridge.stop()).code, 0);
        w.bridge.start();
        await w.bridge.connected();
        const sealed = sealEdit({ key: sent.key, author: account.lid,
            secret: sent.message.messageContextInfo.messageSecret,
            content: editOf(sent.key, { conversation: 'Wednesday' }) });
        await device.sock.relayMessage(place(w), sealed, {});
        const row = await changed(w, sent.key.id, 'the edit', row => row.edited_at > 0);
        assert.equal(row.text, 'Wednesday');
        const [edit] = await w.bridge.rows(`kind = 'edit' and target_id = '${sent.key.id}'`);
        assert.equal(edit.text, 'Wednesday');
        assert.deepEqual(await w.bridge.rows(`reply_to = ${edit.id}`), [], 'an edit is not answered');
        assert.ok(answer.id < edit.id);
    });

kinds.check('a reaction to the bridge’s answer, taken back', async w => {
    const { raw } = w.ann.device.of(w.first.wa_id)[0];
    for (const text of ['❤️', '']) {
        const sent = await w.ann.device.say(w.shop.lid, { react: { text, key: raw.key } });
        const row = await w.bridge.understood(sent.key.id);
        assert.equal(row.kind, 'reaction');
        assert.equal(row.target_id, w.first.wa_id);
        assert.equal(row.text ?? '', text);
        assert.deepEqual(await w.bridge.rows(`reply_to = ${row.id}`), []);
    }
});

kinds.check('a place, a contact and a poll are recorded as what they are', async w => {
    const vcard = 'BEGIN:VCARD\nVERSION:3.0\nFN:Bob\nTEL:+49152\nEND:VCARD';
    for (const [kind, content] of [
        ['location', { location: { degreesLatitude: 52.5, degreesLongitude: 13.4 } }],
        ['contact', { contacts: { displayName: 'Bob', contacts: [{ vcard }] } }],
        ['poll', { poll: { name: 'When?', values: ['now', 'later'], selectableCount: 1 } }],
    ]) {
        const sent = await w.ann.device.say(w.shop.lid, content);
        assert.equal((await w.bridge.understood(sent.key.id)).kind, kind);
    }
});

kinds.check('messages that disappear are read and answered like others', async w => {
    const id = await w.ann.device.send(w.shop.lid, 'for a day', { ephemeralExpiration: DAY });
    const answer = await conversed(w, id, 'for a day', [w.ann.device]);
    assert.equal(w.ann.device.of(answer.wa_id)[0].expiration, DAY);
});

kinds.check('the answer disappears as Ann set it for the chat, and stays when she set that', async w => {
    for (const seconds of [7 * DAY, 0]) {
        await w.ann.device.say(w.shop.lid, { disappearingMessagesInChat: seconds || false });
        const id = await w.ann.device.send(w.shop.lid, `timer ${seconds}`);
        const answer = await conversed(w, id, `timer ${seconds}`, [w.ann.device]);
        assert.equal(w.ann.device.of(answer.wa_id)[0].expiration, seconds);
    }
});

kinds.check('in a group the answer disappears as the group says, from the first one on', async w => {
    const { device } = w.ann;
    for (const seconds of [DAY, 7 * DAY, 0]) {
        await device.sock.groupToggleEphemeral(w.group, seconds);
        const id = await device.send(w.group, `group timer ${seconds}`);
        const answer = await conversed(w, id, `group timer ${seconds}`, [device]);
        assert.equal(device.of(answer.wa_id)[0].expiration, seconds);
    }
    const made = await device.sock.groupCreate('Short', [w.shop.lid]);
    await device.sock.groupToggleEphemeral(made.id, DAY);
    w.bridge.post('short', { to: made.id, text: 'first words' });
    const row = await w.bridge.posted('short');
    const m = await device.message('the first words', m => m.id === row.wa_id);
    assert.equal(m.expiration, DAY);
});

kinds.check('a talk after all of it, nothing unread, nothing to object to', async w => {
    const id = await w.ann.device.send(w.shop.lid, 'good bye');
    await conversed(w, id, 'good bye', [w.ann.device, w.second]);
    assert.deepEqual(await w.bridge.rows("status = 'undecryptable'"), []);
    await noViolations(w);
});
