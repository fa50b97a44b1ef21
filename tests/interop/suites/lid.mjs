// SPDX-License-Identifier: GPL-3.0-or-later
// Two names for one person: chats under the LID, under the phone number, and from one to the other.
import assert from 'node:assert/strict';

import { addPerson, conversed, noViolations, openShop, signalName } from '../lib/shop.mjs';
import { Suite, until } from '../lib/tap.mjs';

export const lid = new Suite('lid');

/** The chats that messages.db has with an account, by the key that docs/volume.md names. */
async function chatsWith(w, account) {
    const rows = await w.bridge.rows(`'${account.pn}' IN (chat, chat_pn, target)
        OR '${account.lid}' IN (chat, chat_lid, target)`);
    return [...new Set(rows.map(row => row.chat_pn ?? row.chat))];
}

async function sessionsWith(w, jid) {
    const name = signalName(jid);
    return (await w.bridge.keysOf('session')).filter(key => key.startsWith(`${name}:`));
}

lid.check('a shop, Lea who writes under her LID and Nora who writes under her number', async w => {
    await openShop(w, '491566000001');
    w.lea = await addPerson(w, '491566000002', 'Lea');
    w.nora = await addPerson(w, '491566000003', 'Nora', { addressing: 'pn' });
}, { vital: true });

lid.check('Lea, by LID, is answered by LID', async w => {
    const id = await w.lea.device.send(w.shop.lid, 'from Lea');
    const answer = await conversed(w, id, 'from Lea', [w.lea.device]);
    assert.equal((await w.bridge.recorded(id)).chat, w.lea.account.lid);
    assert.ok(w.lea.device.stanza(answer.wa_id).from.endsWith('@lid'));
});

lid.check('Nora, by number, is answered by number, and both her names are known', async w => {
    const id = await w.nora.device.send(w.shop.pn, 'from Nora');
    const answer = await conversed(w, id, 'from Nora', [w.nora.device]);
    const row = await w.bridge.recorded(id);
    assert.deepEqual([row.chat_pn, row.chat_lid], [w.nora.account.pn, w.nora.account.lid]);
    assert.ok(w.nora.device.stanza(answer.wa_id).from.endsWith('@s.whatsapp.net'));
    const phone = await w.nora.account.send(w.shop, 'from her phone');
    await conversed(w, phone, 'from her phone', [w.nora.device]);
});

lid.check('Paul begins under his number, and nobody says that he has a LID', async w => {
    await w.sim.fault(`${w.shop.phone}:1`, 'withhold_lid');
    w.paul = await addPerson(w, '491566000004', 'Paul', { addressing: 'pn' });
    const id = await w.paul.device.send(w.shop.pn, 'who am I?');
    const row = await w.bridge.understood(id);
    assert.deepEqual([row.chat, row.chat_pn, row.chat_lid],
        [w.paul.account.pn, w.paul.account.pn, null]);
    await conversed(w, id, 'who am I?', [w.paul.device]);
});

lid.check('goes on under his LID: one chat, and nothing that had to be asked for again', async w => {
    await w.sim.fault(`${w.shop.phone}:1`, 'clear');
    for (const text of ['now as LID', 'and once more']) {
        const id = await w.paul.device.send(w.shop.lid, text);
        const answer = await conversed(w, id, text, [w.paul.device]);
        assert.equal((await w.bridge.recorded(id)).chat, w.paul.account.lid);
        assert.ok(w.paul.device.stanza(answer.wa_id).from.endsWith('@lid'));
    }
    assert.deepEqual(await chatsWith(w, w.paul.account), [w.paul.account.pn]);
});

lid.check('his session moved from the number to the LID', async w => {
    assert.deepEqual(await sessionsWith(w, w.paul.account.pn), []);
    assert.ok((await sessionsWith(w, w.paul.account.lid)).length >= 2, 'his phone and Baileys');
});

lid.check('and back to the number: the same chat and the same session', async w => {
    const id = await w.paul.device.send(w.shop.pn, 'the number again');
    const answer = await conversed(w, id, 'the number again', [w.paul.device]);
    assert.equal(w.paul.device.stanza(answer.wa_id).enc, 'msg');
    assert.deepEqual(await chatsWith(w, w.paul.account), [w.paul.account.pn]);
    assert.deepEqual(await sessionsWith(w, w.paul.account.pn), []);
});

lid.check('messages under both names, interleaved, are all opened and answered', async w => {
    const said = [];
    for (let i = 0; i < 6; i++) {
        const text = `in turns ${i}`;
        const to = i % 2 ? w.shop.pn : w.shop.lid;
        said.push([await w.lea.device.send(to, text), text]);
    }
    for (const [id, text] of said) await conversed(w, id, text, [w.lea.device]);
    assert.deepEqual(await chatsWith(w, w.lea.account), [w.lea.account.pn]);
});

lid.check('Rita is unknown, and the outbox writes to her number first', async w => {
    w.rita = await addPerson(w, '491566000005', 'Rita');
    w.bridge.post('rita', { to: w.rita.account.phone, text: 'are you there, Rita?' });
    const row = await w.bridge.posted('rita');
    await w.rita.device.message('it', m => m.id === row.wa_id && m.text === 'are you there, Rita?');
    const id = await w.rita.device.send(w.shop.lid, 'here I am');
    await conversed(w, id, 'here I am', [w.rita.device]);
    assert.deepEqual(await chatsWith(w, w.rita.account), [w.rita.account.pn]);
});

lid.check('a restart keeps the mapping', async w => {
    await w.bridge.restart();
    const id = await w.paul.device.send(w.shop.lid, 'after the restart');
    const answer = await conversed(w, id, 'after the restart', [w.paul.device]);
    assert.equal(w.paul.device.stanza(answer.wa_id).enc, 'msg');
    assert.equal((await w.bridge.recorded(id)).chat_pn, w.paul.account.pn);
});

lid.check('nothing was undecryptable on either side', async w => {
    assert.deepEqual(await w.bridge.rows('fault IS NOT NULL'), []);
    const stats = await w.sim.get('/stats');
    assert.deepEqual([stats.undecryptable, stats.retries], [0, 0]);
    await until('nothing to wait', async () => (await w.shop.device(1)).queued === 0);
});

lid.check('the server found nothing to object to', noViolations);
