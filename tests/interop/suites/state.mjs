// SPDX-License-Identifier: GPL-3.0-or-later
// App state. The server keeps what it cannot read, so whoever writes decides: here that is Baileys,
// linked to the same account as the bridge. It writes names, the salt, removals, and states that do
// not fit; the server gives them out as snapshots and patches in every way it may.
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';

import {
    decodePatches, decodeSyncdSnapshot, encodeSyncdPatch, extractSyncdPatches, newLTHashState, proto,
} from 'baileys';

import { authority, Front } from '../lib/front.mjs';
import { addDevice, noViolations, openShop } from '../lib/shop.mjs';
import { Suite, until } from '../lib/tap.mjs';

export const state = new Suite('state');

const CONFIG = `whatsapp:
  ca_file: "${authority}"
`;
const { SET, REMOVE } = proto.SyncdMutation.SyncdOperation;
const NAMES = 'critical_block';
const SALTS = 'regular_high';

// ---- the server, Baileys, the bridge ------------------------------------------------------------

const rules = (w, more = {}) => w.sim.post(`/accounts/${w.shop.phone}/app_state/rules`, more);
const served = async (w, name) => (await w.sim.get(`/accounts/${w.shop.phone}/app_state`))
    .collections.find(c => c.name === name);

/** What the phone of the simulator writes. */
const phoneWrites = (w, collection, index, value, more = {}) =>
    w.sim.post(`/accounts/${w.shop.phone}/app_state`, {
        collection,
        index: JSON.stringify(index),
        value: (Buffer.isBuffer(value) ? value : Buffer.from(
            proto.SyncActionValue.encode(value).finish())).toString('hex'),
        ...more,
    });

/** SyncActionValue{80 NctSaltSyncAction{1 salt}}, which this Baileys does not know by name. */
const saltAction = salt => Buffer.concat([Buffer.from([0x82, 0x05, salt.length + 2, 0x0a,
    salt.length]), salt]);

/** What Baileys writes. */
function write(w, type, index, syncAction, operation = SET) {
    return w.office.sock.appPatch({ type, index, syncAction, apiVersion: 1, operation });
}

const rename = (w, name) => w.office.sock.updateProfileName(name);

const record = (w, key) => w.bridge.keys(
    `SELECT hex(value) FROM app_state WHERE key = '${key}'`, '-readonly').then(rows => rows[0]);

async function versionOf(w, name) {
    const hex = await record(w, name);
    return hex ? parseInt(hex.slice(0, 16), 16) : 0;
}

/** The bridge has what the server has: version, and a record of each. */
async function follows(w, name, ms) {
    const want = await served(w, name);
    return until(`the bridge at version ${want.version} of ${name}`, async () => {
        const version = await versionOf(w, name);
        if (version !== want.version) throw new Error(`it is at ${version}`);
        const [records] = await w.bridge.keys(
            `SELECT count(*) FROM app_state WHERE key LIKE '${name}/%'`, '-readonly');
        assert.equal(+records, want.records, 'records');
        return want;
    }, ms, 100);
}

const named = (w, name) => until(`the bridge to be ${name}`, () => {
    const seen = w.bridge.state().account.push_name;
    if (seen === name) return true;
    throw new Error(seen);
}, undefined, 100);

const salted = (w, salt) => until('the salt at the bridge', async () => {
    const hex = await record(w, 'nct_salt');
    if ((hex ?? '') === salt.toString('hex').toUpperCase()) return true;
    throw new Error(hex);
}, undefined, 100);

const forgets = (w, where = '1') => w.bridge.restart(() => w.bridge.forget('app_state', where));

// ---- links --------------------------------------------------------------------------------------

state.check('a shop with the bridge and with Baileys', async w => {
    const front = await Front.open(w.sim);
    w.closers.push(() => front.close());
    await openShop(w, '491597000001', CONFIG);
    w.office = await addDevice(w, 'office', w.shop);
    await follows(w, NAMES);
    await until('the key at Baileys', () => w.office.auth.creds.myAppStateKeyId);
}, { vital: true });

state.check('Baileys finds nothing wrong in snapshot and patches of the simulator’s phone', async w => {
    await phoneWrites(w, NAMES, ['setting_locale'], { localeSetting: { locale: 'de' } });
    await phoneWrites(w, NAMES, ['setting_locale'], { localeSetting: { locale: 'sw' } });
    await phoneWrites(w, NAMES, ['setting_locale'], {}, { remove: true });
    const keyOf = id => w.office.keys.get('app-state-sync-key', [id]).then(found => found[id]);
    const complaints = [];
    const strict = { warn: (...what) => complaints.push(what), trace() {}, debug() {} };
    const ask = async version => {
        const collection = { tag: 'collection', attrs: { name: NAMES, version: String(version),
            return_snapshot: version ? 'false' : 'true' } };
        const answer = await w.office.sock.query({ tag: 'iq',
            attrs: { to: '@s.whatsapp.net', type: 'set', xmlns: 'w:sync:app:state' },
            content: [{ tag: 'sync', attrs: {}, content: [collection] }] });
        return (await extractSyncdPatches(answer, {}))[NAMES];
    };
    const { snapshot } = await ask(0);
    const whole = await decodeSyncdSnapshot(NAMES, snapshot, keyOf, undefined, true, strict);
    const found = Object.values(whole.mutationMap);
    assert.deepEqual(found.map(m => m.index), [['setting_pushName']]);
    assert.equal(found[0].syncAction.value.pushNameSetting.name, 'Shop');
    const first = await ask(1);
    assert.equal(first.patches.length, 3);
    await rules(w, { freeze: NAMES });
    await phoneWrites(w, NAMES, ['setting_locale'], { localeSetting: { locale: 'en' } });
    const old = await ask(0);
    assert.equal(old.patches.length, 1, 'a snapshot and a patch behind it');
    const before = await decodeSyncdSnapshot(NAMES, old.snapshot, keyOf, undefined, true, strict);
    const after = await decodePatches(NAMES, old.patches, before.state, keyOf, {}, undefined, strict,
        true);
    assert.equal(after.state.version, 5);
    await rules(w);
    assert.deepEqual(complaints, []);
    await follows(w, NAMES);
}, { vital: true });

// ---- what Baileys writes ------------------------------------------------------------------------

state.check('a name that Baileys sets is the bridge’s', async w => {
    await rename(w, 'Shop by Baileys 🏪');
    await named(w, 'Shop by Baileys 🏪');
    await follows(w, NAMES);
}, { vital: true });

state.check('the salt that the phone sets is kept', async w => {
    w.salt = randomBytes(32);
    await phoneWrites(w, SALTS, ['nct_salt_sync'], saltAction(w.salt));
    await salted(w, w.salt);
    await follows(w, SALTS);
});

state.check('a first message to a stranger is vouched for with it', async w => {
    const zoe = await w.sim.account('491597000009', 'Zoe');
    w.bridge.post('stranger', { to: zoe.phone, text: 'we have news' });
    const row = await w.bridge.posted('stranger');
    await zoe.message('it', m => m.id === row.wa_id && m.text === 'we have news');
    const [e] = await w.sim.events(e => e.event === 'stranger_token' && e.id === row.wa_id);
    assert.equal(e?.detail, createHmac('sha256', w.salt).update(zoe.lid).digest('hex'));
});

state.check('what is of no use here is kept in step: fifteen chats muted', async w => {
    for (let i = 0; i < 15; i++)
        await write(w, SALTS, ['mute', `4915970001${i}@s.whatsapp.net`],
            { muteAction: { muted: true, muteEndTimestamp: 1800000000000 } });
    const { records } = await follows(w, SALTS);
    assert.equal(records, 16);
});

state.check('a record set again, and one removed', async w => {
    await write(w, SALTS, ['mute', '49159700010@s.whatsapp.net'],
        { muteAction: { muted: false } });
    await write(w, SALTS, ['mute', '49159700011@s.whatsapp.net'], {}, REMOVE);
    const { records } = await follows(w, SALTS);
    assert.equal(records, 15);
    await salted(w, w.salt);
});

state.check('names while the bridge is away come as patches', async w => {
    await w.bridge.restart(async () => {
        for (const name of ['One', 'Two', 'Three']) await rename(w, name);
    });
    await named(w, 'Three');
    await follows(w, NAMES);
});

state.check('… also when the server gives two at a time (has_more_patches)', async w => {
    await w.bridge.restart(async () => {
        for (let i = 1; i <= 7; i++) await rename(w, `Name ${i}`);
        await rules(w, { per_answer: 2 });
    });
    await named(w, 'Name 7');
    await follows(w, NAMES);
    await rules(w);
});

state.check('… and when the mutations lie on the media host', async w => {
    await w.bridge.restart(async () => {
        await rules(w, { external: true });
        for (let i = 1; i <= 3; i++) await rename(w, `External ${i}`);
    });
    await named(w, 'External 3');
    await follows(w, NAMES);
    await rename(w, 'External 4');
    await named(w, 'External 4');
    await rules(w);
});

state.check('too far behind: a snapshot of what Baileys wrote', async w => {
    await w.bridge.restart(async () => {
        for (let i = 1; i <= 3; i++) await rename(w, `Snapshot ${i}`);
        await rules(w, { kept: 2 });
    });
    await named(w, 'Snapshot 3');
    await follows(w, NAMES);
    await rules(w);
});

state.check('nothing known: snapshots, with name and salt', async w => {
    await forgets(w);
    await follows(w, NAMES);
    await follows(w, SALTS);
    await salted(w, w.salt);
});

state.check('an old snapshot and the patches behind it', async w => {
    await w.bridge.restart(async () => {
        await rules(w, { freeze: NAMES });
        await rename(w, 'Thawed 1');
        await rename(w, 'Thawed 2');
        await w.bridge.forget('app_state', `key LIKE '${NAMES}%'`);
    });
    await named(w, 'Thawed 2');
    await follows(w, NAMES);
    await rules(w);
});

state.check('the salt that Baileys took back is gone', async w => {
    await write(w, SALTS, ['nct_salt_sync'], {}, REMOVE);
    await salted(w, Buffer.alloc(0));
    await follows(w, SALTS);
});

state.check('… also when the bridge learns of it by a snapshot only', async w => {
    await phoneWrites(w, SALTS, ['nct_salt_sync'], saltAction(w.salt));
    await salted(w, w.salt);
    await w.bridge.restart(async () => {
        await phoneWrites(w, SALTS, ['nct_salt_sync'], {}, { remove: true });
        await w.bridge.forget('app_state', `key LIKE '${SALTS}%'`);
    });
    await follows(w, SALTS);
    await salted(w, Buffer.alloc(0));
});

state.check('dirty: what nobody told of is fetched, and the mark is wiped off', async w => {
    await rules(w, { quiet: true });
    await rename(w, 'Silently');
    await w.sim.post(`/accounts/${w.shop.phone}/stanza`, { device: 1, raw: true, stanza:
        '<ib from="s.whatsapp.net"><dirty type="syncd_app_state" timestamp="1790000000"/></ib>' });
    await named(w, 'Silently');
    await follows(w, NAMES);
    await rules(w);
});

// ---- what does not fit --------------------------------------------------------------------------

for (const [fault, what] of [
    ['patch_mac', 'the MAC of the patch'],
    ['snapshot_mac', 'the MAC of the whole'],
    ['value', 'a value'],
    ['index', 'an index'],
    ['cut', 'the end'],
]) {
    state.check(`a patch of Baileys with ${what} damaged is not believed; a snapshot mends it`,
        async w => {
            await follows(w, NAMES);
            await rules(w, { fault, count: 1 });
            await rename(w, `After ${fault}`);
            await named(w, `After ${fault}`);
            await follows(w, NAMES);
            await rules(w);
        });
    if (fault === 'patch_mac') continue;
    state.check(`… nor a snapshot with ${what} damaged: the salt stays, the session lives`,
        async w => {
            const [kept, hidden, seen] = [randomBytes(32), randomBytes(32), randomBytes(32)];
            await phoneWrites(w, SALTS, ['nct_salt_sync'], saltAction(kept));
            await salted(w, kept);
            await w.bridge.restart(async () => {
                await rules(w, { fault, count: 100, quiet: true });
                await phoneWrites(w, SALTS, ['nct_salt_sync'], saltAction(hidden));
                await w.bridge.forget('app_state', `key LIKE '${SALTS}%'`);
            });
            await asked(w, SALTS, 3);
            await w.bridge.connected();
            assert.equal(await versionOf(w, SALTS), 0);
            await salted(w, kept);
            await rules(w);
            await phoneWrites(w, SALTS, ['nct_salt_sync'], saltAction(seen));
            await salted(w, seen);
            await follows(w, SALTS);
        });
}

/** The bridge has asked for a collection at least so often since it was connected last. */
function asked(w, name, times) {
    return until(`the bridge to ask ${times} times`, async () => {
        const events = await w.sim.events(e => e.event === 'login' || e.event === 'app_state');
        const own = events.filter(e => e.device.startsWith(`${w.shop.phone}:1@`));
        const last = own.findLastIndex(e => e.event === 'login');
        const count = own.slice(last).filter(e => e.detail.startsWith(name)).length;
        if (count >= times) return true;
        throw new Error(`${count} times`);
    }, undefined, 100);
}

state.check('a patch of Baileys that vouches for another state is not believed', async w => {
    const before = w.bridge.state().account.push_name;
    const { version } = await served(w, NAMES);
    const keyOf = id => w.office.keys.get('app-state-sync-key', [id]).then(found => found[id]);
    const { patch } = await encodeSyncdPatch({ type: NAMES, index: ['setting_pushName'],
        syncAction: { pushNameSetting: { name: 'Forged' } }, apiVersion: 1, operation: SET },
    w.office.auth.creds.myAppStateKeyId, { ...newLTHashState(), version, hash: randomBytes(128) },
    keyOf);
    await w.office.sock.query({ tag: 'iq',
        attrs: { to: '@s.whatsapp.net', type: 'set', xmlns: 'w:sync:app:state' },
        content: [{ tag: 'sync', attrs: {}, content: [{ tag: 'collection',
            attrs: { name: NAMES, version: String(version), return_snapshot: 'false' },
            content: [{ tag: 'patch', attrs: {},
                content: proto.SyncdPatch.encode(patch).finish() }] }] }] });
    assert.equal((await served(w, NAMES)).version, version + 1, 'the server has it');
    await until('the bridge to give it up', async () => await versionOf(w, NAMES) === 0);
    assert.equal(w.bridge.state().account.push_name, before);
    await phoneWrites(w, NAMES, ['setting_pushName'], { pushNameSetting: { name: 'Mended' } });
    await named(w, 'Mended');
    await follows(w, NAMES);
});

// ---- hosts and servers --------------------------------------------------------------------------

for (const fault of ['missing', 'corrupt'])
    state.check(`a snapshot that is ${fault} on its host: the next change brings it`, async w => {
        await w.bridge.restart(async () => {
            await rules(w, { fault, count: 100 });
            await w.bridge.forget('app_state', `key LIKE '${NAMES}%'`);
        });
        await asked(w, NAMES, 1);
        await w.bridge.connected();
        await rules(w);
        await phoneWrites(w, NAMES, ['setting_pushName'],
            { pushNameSetting: { name: `Not ${fault}` } });
        await named(w, `Not ${fault}`);
        await follows(w, NAMES);
    });

for (const fault of ['400', '404', '409', '500', 'silent'])
    state.check(`the server answers ${fault} once: the next change brings what was missed`, async w => {
        await rules(w, { fault, count: 1 });
        for (const name of [`Missed ${fault}`, `After ${fault}`])
            await phoneWrites(w, NAMES, ['setting_pushName'], { pushNameSetting: { name } });
        await named(w, `After ${fault}`);
        await follows(w, NAMES);
        await rules(w);
    });

// ---- keys ---------------------------------------------------------------------------------------

const requests = w => w.sim.events(e => e.event === 'peer' &&
    e.device.startsWith(`${w.shop.phone}:1@`) && e.detail.startsWith('key_request'));

state.check('a key that is not here is asked of the phone, which shares it', async w => {
    await phoneWrites(w, NAMES, ['setting_pushName'], { pushNameSetting: { name: 'New key' } },
        { new_key: true });
    await named(w, 'New key');
    await follows(w, NAMES);
    assert.equal((await requests(w)).length, 1);
});

state.check('a phone that does not answer is asked once, not at every change or start', async w => {
    await rules(w, { mute: true });
    await phoneWrites(w, NAMES, ['setting_pushName'], { pushNameSetting: { name: 'Mute' } },
        { new_key: true });
    await until('the request', async () => (await requests(w)).length === 2);
    const { version } = await served(w, NAMES);
    await phoneWrites(w, NAMES, ['setting_pushName'], { pushNameSetting: { name: 'Still mute' } });
    assert.equal(w.bridge.state().account.push_name, 'New key');
    await w.bridge.restart();
    await asked(w, NAMES, 1);
    await w.bridge.connected();
    assert.equal(await versionOf(w, NAMES), version - 1, 'where it was');
    assert.equal((await requests(w)).length, 2);
    await rules(w);
});

state.check('nothing to object to', noViolations);
