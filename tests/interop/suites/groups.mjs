// SPDX-License-Identifier: GPL-3.0-or-later
// Groups: Baileys creates one and its sender key, the bridge answers under its own, and the members,
// each a Baileys device and a phone of the simulator, read it. Edits and revokes besides.
import assert from 'node:assert/strict';

import { addPerson, echo, keysWith, openShop } from '../lib/shop.mjs';
import { Suite, until } from '../lib/tap.mjs';

export const groups = new Suite('groups');

/** Recorded by the bridge, and its answer read by every device of the members. */
async function conversed(w, id, text, members) {
    const row = await until(`${text} in messages.db`, async () =>
        (await w.bridge.inbound(id)).find(r => r.status === 'received'));
    assert.equal(row.text, text);
    assert.equal(row.chat, w.group);
    const answer = await w.bridge.answered(id);
    assert.equal(answer.target, w.group);
    for (const { account, device } of members) {
        const m = await device.message(`the answer to ${text}`, m => m.id === answer.wa_id && m.text);
        assert.equal(m.text, echo(text));
        assert.equal(m.chat, w.group);
        const copy = await account.message('the answer', m => m.id === answer.wa_id && m.text);
        assert.equal(copy.text, echo(text));
        assert.equal(copy.enc, 'skmsg');
    }
    return answer.wa_id;
}

groups.check('a shop with the bridge, and three members with Baileys', async w => {
    await openShop(w, '491533000001');
    w.ann = await addPerson(w, '491533000002', 'Ann');
    w.ben = await addPerson(w, '491533000003', 'Ben');
    w.cat = await addPerson(w, '491533000004', 'Cat');
}, { vital: true });

groups.check('Baileys creates a group and its sender key; the bridge records and answers', async w => {
    const made = await w.ann.device.sock.groupCreate('Orders',
        [w.shop.lid, w.ben.account.lid, w.cat.account.lid]);
    w.group = made.id;
    const id = await w.ann.device.send(w.group, 'hello all');
    w.answer = await conversed(w, id, 'hello all', [w.ann, w.ben, w.cat]);
    const row = await w.bridge.recorded(id);
    assert.equal(row.sender, w.ann.account.lid);
    assert.equal(row.sender_pn, w.ann.account.pn);
    assert.equal(row.sender_name, 'Ann');
}, { vital: true });

groups.check('its first answer hands out the key, to every device of all members', async w => {
    assert.equal(await keysWith(w, w.answer), 7); // three phones, three Baileys, the shop’s phone
});

groups.check('the author sees the delivery and that it was read', async w => {
    const id = await w.ann.device.send(w.group, 'ticks');
    w.answer = await conversed(w, id, 'ticks', [w.ann, w.ben, w.cat]);
    await until('a receipt at the phone of Ann', async () =>
        (await w.ann.account.receipts()).some(r => r.id === id && r.type === 'read'));
});

groups.check('the second answer hands out no key any more', async w => {
    assert.equal(await keysWith(w, w.answer), 0);
});

groups.check('a phone of the simulator writes and all read the answer', async w => {
    const id = await w.sim.post(`/accounts/${w.cat.account.phone}/send`,
        { to: w.group, text: 'from a phone' }).then(a => a.id);
    await conversed(w, id, 'from a phone', [w.ann, w.ben, w.cat]);
});

groups.check('a member leaves: the next answer has a new key, which is not for the one who left', async w => {
    await w.sim.post(`/groups/${w.group}/remove`, { phone: w.ben.account.phone });
    const id = await w.ann.device.send(w.group, 'without Ben');
    const answer = await conversed(w, id, 'without Ben', [w.ann, w.cat]);
    assert.equal(await keysWith(w, answer), 5);
    assert.equal(w.ben.device.of(answer).length, 0);
    // Were it to get into his hands all the same, the key that he has does not open it.
    const { group: msg, attrs } = w.ann.device.stanza(answer);
    await assert.rejects(w.ben.device.sock.signalRepository.decryptGroupMessage(
        { group: w.group, authorJid: attrs.participant, msg }), /No session found/);
});

groups.check('a member joins: only its devices are given the key', async w => {
    w.dan = await addPerson(w, '491533000005', 'Dan');
    await w.sim.post(`/groups/${w.group}/add`, { phone: w.dan.account.phone });
    const id = await w.ann.device.send(w.group, 'with Dan');
    const answer = await conversed(w, id, 'with Dan', [w.ann, w.cat, w.dan]);
    assert.equal(await keysWith(w, answer), 2);
    const back = await w.dan.device.send(w.group, 'Dan himself');
    await conversed(w, back, 'Dan himself', [w.ann, w.cat, w.dan]);
});

groups.check('a member who cannot read an answer asks again, and gets it with the key', async w => {
    await w.sim.fault(`${w.cat.account.phone}:1`, 'corrupt_next_message', { count: 2 });
    const id = await w.ann.device.send(w.group, 'damaged for Cat');
    await conversed(w, id, 'damaged for Cat', [w.ann, w.cat, w.dan]);
});

groups.check('the bridge asks again for what it cannot read', async w => {
    await w.sim.fault(`${w.shop.phone}:1`, 'corrupt_next_message');
    const id = await w.ann.device.send(w.group, 'damaged for the bridge');
    await conversed(w, id, 'damaged for the bridge', [w.ann, w.cat, w.dan]);
});

groups.check('after a restart the bridge still knows who has its key', async w => {
    assert.equal((await w.bridge.stop()).code, 0);
    w.bridge.start();
    await w.bridge.connected();
    const id = await w.ann.device.send(w.group, 'after the restart');
    const answer = await conversed(w, id, 'after the restart', [w.ann, w.cat, w.dan]);
    assert.equal(await keysWith(w, answer), 0);
});

groups.check('a group that names its members by number', async w => {
    const made = await w.sim.post('/groups',
        { creator: w.cat.account.phone, subject: 'Numbers', addressing: 'pn' });
    for (const member of [w.shop, w.ann.account])
        await w.sim.post(`/groups/${made.id}/add`, { phone: member.phone });
    w.group = made.id;
    const id = await w.ann.device.send(w.group, 'by number');
    await conversed(w, id, 'by number', [w.ann, w.cat]);
});

groups.check('an edit changes the row of the message', async w => {
    const { device } = w.ann;
    const sent = await device.sock.sendMessage(w.shop.lid, { text: 'befor' });
    await w.bridge.recorded(sent.key.id);
    await device.sock.sendMessage(w.shop.lid, { text: 'before', edit: sent.key });
    await until('the new text', async () => {
        const [row] = await w.bridge.inbound(sent.key.id);
        return row.text === 'before' && row.edited_at > 0;
    });
});

groups.check('a revoke marks the row of the message', async w => {
    const { device } = w.ann;
    const sent = await device.sock.sendMessage(w.shop.lid, { text: 'never mind' });
    await w.bridge.recorded(sent.key.id);
    await device.sock.sendMessage(w.shop.lid, { delete: sent.key });
    await until('the mark', async () => {
        const [row] = await w.bridge.inbound(sent.key.id);
        return row.revoked_at > 0 && row.text === 'never mind';
    });
});

groups.check('a reaction names its message', async w => {
    const { device } = w.ann;
    const sent = await device.sock.sendMessage(w.shop.lid, { text: 'like this' });
    await w.bridge.recorded(sent.key.id);
    const reaction = await device.sock.sendMessage(w.shop.lid, { react: { text: '👍', key: sent.key } });
    const row = await w.bridge.recorded(reaction.key.id);
    assert.equal(row.kind, 'reaction');
    assert.equal(row.target_id, sent.key.id);
});

groups.check('the server found nothing to object to', async w => {
    assert.deepEqual(await w.sim.events(e => e.event === 'violation'), []);
});
