// SPDX-License-Identifier: GPL-3.0-or-later
// Linking by a code that is typed on the phone: what Baileys computes is compared with the vectors
// of the unit tests, the phone of the simulator takes its code, and then the one of the bridge.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';

import {
    Curve, aesDecryptCTR, aesDecryptGCM, aesEncryptCTR, bytesToCrockford, derivePairingCodeKey, hkdf,
} from 'baileys';

import { Bridge } from '../lib/bridge.mjs';
import { Device } from '../lib/device.mjs';
import { checkIdentity } from '../lib/judge.mjs';
import { addPerson, conversed } from '../lib/shop.mjs';
import { Suite, until } from '../lib/tap.mjs';

export const pairing = new Suite('pairing');

const bytes = hex => Buffer.from(hex, 'hex');
const hex = data => Buffer.from(data).toString('hex');

const typeCode = (phone, code) => phone.sim.post(`/accounts/${phone.phone}/link_code`, { code });

pairing.check('codes are the same for Baileys and the vectors', async w => {
    w.v = JSON.parse(readFileSync(path.join(w.vectors, 'link-code.json'), 'utf8'));
    const { random_bytes, code, more } = w.v.code;
    for (const one of [{ bytes: random_bytes, code }, ...more])
        assert.equal(bytesToCrockford(bytes(one.bytes)), one.code);
}, { vital: true });

pairing.check('so are the key of a code and the sealed public keys, both ways', async w => {
    const { code } = w.v.code;
    for (const [hello, keys] of [
        [w.v.companion_hello, w.v.keys.companion_ephemeral],
        [w.v.primary_hello, w.v.keys.primary_ephemeral],
    ]) {
        const key = await derivePairingCodeKey(code, bytes(hello.salt));
        assert.equal(hex(key), hello.pbkdf2_key);
        const sealed = aesEncryptCTR(bytes(keys.public), key, bytes(hello.iv));
        assert.equal(hello.salt + hello.iv + hex(sealed), hello.wrapped_80_bytes);
        assert.equal(hex(aesDecryptCTR(sealed, key, bytes(hello.iv))), keys.public);
    }
});

pairing.check('a code that differs in one character gives another key', async w => {
    const { salt, pbkdf2_key } = w.v.companion_hello;
    const wrong = w.v.code.code.replace(/.$/, c => c === '1' ? '2' : '1');
    assert.notEqual(hex(await derivePairingCodeKey(wrong, bytes(salt))), pbkdf2_key);
});

pairing.check('and the shared secrets, the bundle and the ADV secret', async w => {
    const { keys, companion_finish: finish, adv_secret: adv } = w.v;
    const shared = Curve.sharedKey(bytes(keys.companion_ephemeral.private),
        bytes(keys.primary_ephemeral.public));
    const identities = Curve.sharedKey(bytes(keys.companion_identity.private),
        bytes(keys.primary_identity.public));
    assert.equal(hex(shared), finish.ephemeral_shared);
    assert.equal(hex(identities), adv.identity_shared);
    const bundle = bytes(finish.wrapped_key_bundle_156);
    const key = hkdf(shared, 32,
        { salt: bundle.subarray(0, 32), info: 'link_code_pairing_key_bundle_encryption_key' });
    const plain = aesDecryptGCM(bundle.subarray(44), key, bundle.subarray(32, 44), Buffer.alloc(0));
    assert.equal(hex(plain),
        keys.companion_identity.public + keys.primary_identity.public + adv.adv_random);
    const secret = hkdf(Buffer.concat([shared, identities, plain.subarray(64)]), 32,
        { info: 'adv_secret' });
    assert.equal(hex(secret), adv.adv_secret);
});

pairing.check('Baileys asks for a code, it is typed on the phone, and the device is in', async w => {
    w.ann = { account: await w.sim.account('491588000001', 'Ann') };
    const device = w.ann.device = new Device('ann', w.sim, w.logs);
    w.closers.push(() => device.close());
    device.start();
    await until('a QR', () => device.qr);
    const code = await device.sock.requestPairingCode(w.ann.account.phone);
    await until('the number at the server',
        async () => (await w.sim.events(e => e.event === 'link_code')).length);
    await typeCode(w.ann.account, code);
    await device.opened();
    assert.equal(device.jid, `${w.ann.account.phone}:1@s.whatsapp.net`);
    checkIdentity(device.auth.creds);
}, { vital: true });

pairing.check('the bridge shows a code, and the same phone software takes it', async w => {
    w.shop = await w.sim.account('491588000002', 'Shop');
    w.bridge = new Bridge(w.build, w.sim, path.join(w.logs, 'tenant')).start();
    w.closers.push(() => w.bridge.close());
    await w.bridge.reached('QR_PENDING', 'QR_READY');
    await w.bridge.ctl('pair', '--phone', w.shop.phone);
    const code = await until('the code', () => w.bridge.state().pairing_code);
    assert.match(code, /^[1-9A-HJ-NP-TV-Z]{4}-[1-9A-HJ-NP-TV-Z]{4}$/);
    await typeCode(w.shop, code);
    const state = await w.bridge.connected();
    assert.equal(state.account.pn, w.shop.pn);
    assert.equal(state.pairing_code, null);
}, { vital: true });

pairing.check('the two that were linked by code talk', async w => {
    const id = await w.ann.device.send(w.shop.lid, 'linked by code');
    await conversed(w, id, 'linked by code', [w.ann.device]);
    const ben = await addPerson(w, '491588000003', 'Ben');
    const other = await ben.device.send(w.shop.lid, 'linked by QR');
    await conversed(w, other, 'linked by QR', [ben.device]);
});

pairing.check('the server objects to one thing: Baileys says its name before it is logged in', async w => {
    const violations = await w.sim.events(e => e.event === 'violation');
    const [{ seq }] = await w.sim.events(e => e.event === 'paired');
    assert.deepEqual(violations.map(v => v.detail), ['a stanza before login']);
    assert.ok(violations[0].seq < seq, 'before Baileys was linked, and long before the bridge');
});
