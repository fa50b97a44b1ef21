// SPDX-License-Identifier: GPL-3.0-or-later
// One side has lost what it needs to read the other: sessions and sender keys are deleted from the
// store of Baileys or of the bridge, and the talk has to mend itself.
import assert from 'node:assert/strict';

import {
    addPerson, answered, bridgeLid, conversed, isSessionWith, keysWith, noViolations, openShop,
    retriesOf, signalName,
} from '../lib/shop.mjs';
import { Suite, until } from '../lib/tap.mjs';

export const lost = new Suite('lost');

/** How often the bridge has asked for a message again. */
async function asked(w) {
    const mine = e => e.event === 'receipt' && e.detail === 'retry' &&
        e.device.startsWith(w.shop.phone);
    return (await w.sim.events(mine)).length;
}

/** Both directions of the chat work, and nobody asks again. */
async function goesOn(w, text) {
    const before = [await asked(w), retriesOf(w.ann.device)];
    for (const part of ['one', 'two']) {
        const said = `${text}, ${part}`;
        const id = await w.ann.device.send(w.shop.lid, said);
        await conversed(w, id, said, [w.ann.device]);
        const own = await w.ann.account.send(w.shop, `${said}, from the phone`);
        await conversed(w, own, `${said}, from the phone`, [w.ann.device]);
    }
    assert.deepEqual([await asked(w), retriesOf(w.ann.device)], before, 'asked again');
}

/** Deletes the bridge’s sessions with Ann’s Baileys device while it is stopped. */
function loseSessionWithAnn(w) {
    return w.bridge.restart(async () => {
        const gone = await w.bridge.forget('session', `key = '${signalName(w.ann.account.lid)}:1'`);
        assert.equal(gone, 1, 'there was a session to lose');
    });
}

lost.check('a shop, and Ann with whom it has talked', async w => {
    await openShop(w, '491544000001');
    w.ann = await addPerson(w, '491544000002', 'Ann');
    await goesOn(w, 'hello');
}, { vital: true });

lost.check('Baileys lost its session: it asks for the answer again and reads it', async w => {
    const before = retriesOf(w.ann.device);
    assert.ok(w.ann.device.forget('session', isSessionWith(w.shop)) >= 1);
    const id = await w.ann.account.send(w.shop, 'can Baileys read this?');
    const answer = await conversed(w, id, 'can Baileys read this?', [w.ann.device]);
    assert.ok(retriesOf(w.ann.device) > before, 'Baileys asked');
    const sent = w.ann.device.stanzas.filter(s => s.id === answer.wa_id);
    assert.deepEqual([sent[0].enc, sent.at(-1).enc], ['msg', 'pkmsg']);
    await goesOn(w, 'after Baileys lost it');
});

lost.check('Baileys lost its session and writes: the bridge takes up the new one', async w => {
    const before = await asked(w);
    assert.ok(w.ann.device.forget('session', isSessionWith(w.shop)) >= 1);
    const id = await w.ann.device.send(w.shop.lid, 'a new beginning');
    await conversed(w, id, 'a new beginning', [w.ann.device]);
    assert.equal(w.ann.device.envelope(id, bridgeLid(w)), 'pkmsg');
    assert.equal(await asked(w), before, 'nothing had to be sent again');
    await goesOn(w, 'after the new beginning');
});

lost.check('the bridge lost its session: it asks for the message again and answers it', async w => {
    await loseSessionWithAnn(w);
    const before = await asked(w);
    const id = await w.ann.device.send(w.shop.lid, 'can the bridge read this?');
    assert.equal(w.ann.device.envelope(id, bridgeLid(w)), 'msg');
    await conversed(w, id, 'can the bridge read this?', [w.ann.device]);
    assert.ok(await asked(w) > before, 'the bridge asked');
    await goesOn(w, 'after the bridge lost it');
});

lost.check('the bridge lost its session and writes: Baileys takes up the new one', async w => {
    await loseSessionWithAnn(w);
    const before = retriesOf(w.ann.device);
    w.bridge.post('first', { to: w.ann.account.phone, text: 'news from the shop' });
    const row = await w.bridge.posted('first');
    await w.ann.device.message('the news', m => m.id === row.wa_id && m.text === 'news from the shop');
    assert.equal(w.ann.device.stanza(row.wa_id).enc, 'pkmsg');
    assert.equal(retriesOf(w.ann.device), before, 'nothing had to be sent again');
    await goesOn(w, 'after the news');
});

lost.check('both lost their session at the same time', async w => {
    await loseSessionWithAnn(w);
    assert.ok(w.ann.device.forget('session', isSessionWith(w.shop)) >= 1);
    const id = await w.ann.device.send(w.shop.lid, 'do we know each other?');
    await conversed(w, id, 'do we know each other?', [w.ann.device]);
    await goesOn(w, 'after both lost it');
});

lost.check('messages that crossed while the bridge had no session all arrive', async w => {
    await loseSessionWithAnn(w);
    const texts = ['a', 'b', 'c', 'd'].map(t => `crossing ${t}`);
    const ids = await Promise.all(texts.map(text => w.ann.device.send(w.shop.lid, text)));
    for (const [i, id] of ids.entries()) await conversed(w, id, texts[i], [w.ann.device]);
    await goesOn(w, 'after the crossing');
});

lost.check('a group of the shop, Ann and Ben', async w => {
    w.ben = await addPerson(w, '491544000003', 'Ben');
    const made = await w.ann.device.sock.groupCreate('Lost', [w.shop.lid, w.ben.account.lid]);
    w.group = made.id;
    w.members = [w.ann.device, w.ben.device];
    const id = await w.ann.device.send(w.group, 'hello group');
    await conversed(w, id, 'hello group', w.members);
    const back = await w.ben.device.send(w.group, 'Ben too');
    await conversed(w, back, 'Ben too', w.members);
}, { vital: true });

async function groupGoesOn(w, text) {
    const before = [await asked(w), ...w.members.map(retriesOf)];
    for (const [i, device] of w.members.entries()) {
        const id = await device.send(w.group, `${text}, ${i}`);
        await conversed(w, id, `${text}, ${i}`, w.members);
    }
    assert.deepEqual([await asked(w), ...w.members.map(retriesOf)], before, 'asked again');
}

lost.check('Baileys lost the bridge’s sender key: it asks and gets it with the answer', async w => {
    const before = retriesOf(w.ann.device);
    const name = signalName(w.shop.lid);
    assert.ok(w.ann.device.forget('sender-key', key => key.includes(name)) >= 1);
    const id = await w.ben.device.send(w.group, 'does Ann read the answer?');
    await conversed(w, id, 'does Ann read the answer?', w.members);
    assert.ok(retriesOf(w.ann.device) > before, 'Ann asked');
    await groupGoesOn(w, 'with the key again');
});

lost.check('the bridge lost Ann’s sender key: it asks and gets it with the message', async w => {
    const like = `${w.group}/${signalName(w.ann.account.lid)}:1`;
    const gone = await w.bridge.restart(() => w.bridge.forget('sender_key', `key = '${like}'`));
    assert.equal(gone, 1, 'there was a key to lose');
    const before = await asked(w);
    const id = await w.ann.device.send(w.group, 'does the shop read this?');
    await conversed(w, id, 'does the shop read this?', w.members);
    assert.ok(await asked(w) > before, 'the bridge asked');
    await groupGoesOn(w, 'with Ann’s key again');
});

lost.check('the bridge lost its own sender key: the next answer hands out another', async w => {
    const like = `${w.group}/${signalName(w.shop.lid)}:1`;
    const gone = await w.bridge.restart(() => w.bridge.forget('sender_key', `key = '${like}'`));
    assert.equal(gone, 1, 'there was a key to lose');
    const id = await w.ann.device.send(w.group, 'which key now?');
    const answer = await conversed(w, id, 'which key now?', w.members);
    assert.equal(await keysWith(w, answer.wa_id), 5); // two phones, two Baileys, the shop’s phone
    await groupGoesOn(w, 'with another key');
});

lost.check('Ann lost her own sender key and writes under one that nobody has', async w => {
    const name = signalName(w.ann.account.lid);
    const before = await asked(w);
    assert.ok(w.ann.device.forget('sender-key', key => key.includes(name)) >= 1);
    const id = await w.ann.device.send(w.group, 'a key out of nowhere');
    await answered(w, id, 'a key out of nowhere');
    assert.ok(await asked(w) > before, 'the bridge asked');
    await groupGoesOn(w, 'with Ann’s new key');
});

const placeholders = w => w.sim.events(e => e.event === 'peer' &&
    e.detail.startsWith('placeholder'));

for (const [where, chat] of [['', w => w.shop.lid], [' in the group', w => w.group]])
    lost.check(`a message of Baileys${where} that the server has not for the bridge: the phone has it`,
        async w => {
            const before = (await placeholders(w)).length;
            await w.sim.fault(`${w.shop.phone}:1`, 'unavailable');
            const id = await w.ann.device.send(chat(w), `on the phone${where}`);
            const row = await w.bridge.understood(id);
            assert.equal(row.text, `on the phone${where}`);
            assert.equal((await w.bridge.inbound(id)).length, 1);
            const asked = (await placeholders(w)).slice(before);
            assert.deepEqual(asked.map(e => e.detail), [`placeholder ${id}`]);
            const next = await w.ann.device.send(chat(w), `after it${where}`);
            await answered(w, next, `after it${where}`);
        });

lost.check('Baileys asks the phone in the same way, and reads what it answers', async w => {
    await w.sim.fault(`${w.ann.account.phone}:1`, 'unavailable');
    const id = await w.shop.send(w.ann.account, 'for Ann’s phone alone');
    const m = await w.ann.device.message('it', m => m.id === id && m.text !== null);
    assert.equal(m.text, 'for Ann’s phone alone');
    const [e] = (await placeholders(w)).slice(-1);
    assert.equal(e.detail, `placeholder ${id}`);
    assert.ok(e.device.startsWith(w.ann.account.phone), e.device);
});

lost.check('no message was left unread', async w => {
    assert.deepEqual(await w.bridge.rows("status = 'undecryptable'"), []);
    await until('nothing to wait', async () => (await w.shop.device(1)).queued === 0);
});

lost.check('the server found nothing to object to', noViolations);
