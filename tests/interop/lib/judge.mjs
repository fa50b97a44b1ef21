// SPDX-License-Identifier: GPL-3.0-or-later
// What this version of Baileys computes and then does not look at: signatures. Its `Curve.verify`
// drops the answer of its own library, so the server's chain and the account's signature are
// checked here.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

import { Curve, NOISE_WA_HEADER, makeNoiseHandler, proto } from 'baileys';
import WebSocket from 'ws';

import { within } from './tap.mjs';

const curve = createRequire(import.meta.url)('libsignal/src/curve.js');
const silent = { level: 'silent', child: () => silent, trace() {} };

/** XEdDSA, by the JavaScript library that Baileys itself uses for signing. */
export function verify(key, message, signature) {
    const serialized = Buffer.concat([Buffer.from([5]), Buffer.from(key)]);
    return curve.verifySignature(serialized, Buffer.from(message), Buffer.from(signature)) === true;
}

async function serverHello(endpoint, ephemeral) {
    const ws = new WebSocket(endpoint, { origin: 'https://web.whatsapp.com' });
    try {
        await within(10000, 'opening', new Promise((resolve, reject) => ws.once('open', resolve)
            .once('error', reject)));
        const hello = proto.HandshakeMessage.encode({ clientHello: { ephemeral } }).finish();
        const size = Buffer.from([hello.length >> 16, (hello.length >> 8) & 255, hello.length & 255]);
        const answer = new Promise(resolve => ws.once('message', resolve));
        ws.send(Buffer.concat([NOISE_WA_HEADER, size, hello]));
        const frame = await within(10000, 'the server hello', answer);
        assert.equal(frame.readUIntBE(0, 3), frame.length - 3, 'one frame in one message');
        return proto.HandshakeMessage.decode(frame.subarray(3)).serverHello;
    } finally {
        ws.terminate();
    }
}

/** Every check of a Noise handshake's certificates against the root. */
export async function checkServer(endpoint, root) {
    const own = Curve.generateKeyPair();
    const noise = makeNoiseHandler({ keyPair: own, NOISE_HEADER: NOISE_WA_HEADER, logger: silent });
    const hello = await serverHello(endpoint, own.public);
    noise.authenticate(hello.ephemeral);
    noise.mixIntoKey(Curve.sharedKey(own.private, hello.ephemeral));
    const serverKey = noise.decrypt(hello.static);
    noise.mixIntoKey(Curve.sharedKey(own.private, serverKey));
    const { leaf, intermediate } = proto.CertChain.decode(noise.decrypt(hello.payload));

    const { Details } = proto.CertChain.NoiseCertificate;
    const upper = Details.decode(intermediate.details);
    const lower = Details.decode(leaf.details);
    assert.ok(verify(Buffer.from(root, 'hex'), intermediate.details, intermediate.signature),
        'the root signs the intermediate');
    assert.ok(verify(upper.key, leaf.details, leaf.signature), 'the intermediate signs the leaf');
    assert.equal(upper.issuerSerial, 0, 'the root has serial 0');
    assert.equal(lower.issuerSerial, upper.serial, 'the leaf names its issuer');
    assert.deepEqual(Buffer.from(lower.key), serverKey, 'the leaf vouches for the Noise key');
    const now = Date.now() / 1000;
    for (const cert of [upper, lower])
        assert.ok(+cert.notBefore <= now && now <= +cert.notAfter, 'valid today');
}

/** Both signatures of a linked device's identity. */
export function checkIdentity(creds) {
    const { details, accountSignatureKey, accountSignature, deviceSignature } = creds.account;
    const own = creds.signedIdentityKey.public;
    assert.ok(verify(accountSignatureKey, Buffer.concat([Buffer.from([6, 0]), details, own]),
        accountSignature), 'the account signs the device');
    assert.ok(verify(own, Buffer.concat([Buffer.from([6, 1]), details, own, accountSignatureKey]),
        deviceSignature), 'the device signs the account');
}
