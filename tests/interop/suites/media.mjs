// SPDX-License-Identifier: GPL-3.0-or-later
// Files: what Baileys encrypts, uploads and sends is what the bridge publishes, and what it refuses;
// what the simulator's phones upload is read by Baileys; asking the phone for a file that is gone,
// sealed and opened by either side.
import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import {
    aesDecryptGCM, aesEncryptGCM, downloadContentFromMessage, getMediaKeys, hkdf, proto,
} from 'baileys';

import { authority, Front } from '../lib/front.mjs';
import { addPerson, conversed, noViolations, openShop } from '../lib/shop.mjs';
import { Suite, until } from '../lib/tap.mjs';

export const media = new Suite('media');

const MB = 1 << 20;
const CONFIG = `whatsapp:
  ca_file: "${authority}"
media:
  download: true
  max_mb: 1
  types: image,video,audio,sticker,application/pdf
`;

const sha256 = bytes => createHash('sha256').update(bytes).digest();

/** The file of a message and what its row says, once it is over. */
function concluded(w, id, status, ms) {
    return until(`the file of ${id} to be ${status}`, async () => {
        const [row] = await w.bridge.media(id);
        if (row?.status === status) return row;
        throw new Error(JSON.stringify(row));
    }, ms, 100);
}

const fetched = async (w, at) => {
    const answer = await fetch(`https://${w.front.host}${at}`);
    assert.equal(answer.status, 200);
    return Buffer.from(await answer.arrayBuffer());
};

async function published(w, id, file) {
    const row = await concluded(w, id, 'downloaded');
    const bytes = readFileSync(path.join(w.bridge.volume, 'media', row.file));
    assert.ok(bytes.equals(file), `${bytes.length} bytes, ${file.length} were sent`);
    assert.equal(row.length, file.length);
    return row;
}

async function refused(w, id, status) {
    const row = await concluded(w, id, status);
    assert.equal(row.file, null);
    const [{ id: number }] = await w.bridge.inbound(id);
    const there = readdirSync(path.join(w.bridge.volume, 'media'));
    assert.ok(!there.some(name => name.startsWith(`${number}.`)), there.join(' '));
    return row;
}

/** Bytes that no cipher and no coding leaves as they are. */
const bytesOf = n => randomBytes(n);

media.check('a shop that downloads, and Ann, over TLS', async w => {
    const front = await Front.open(w.sim);
    w.closers.push(() => front.close());
    w.front = front;
    await openShop(w, '491598000001', CONFIG);
    w.ann = await addPerson(w, '491598000002', 'Ann');
    const id = await w.ann.device.send(w.shop.lid, 'hello');
    await conversed(w, id, 'hello', [w.ann.device]);
}, { vital: true });

const thumbnail = Buffer.from('ffd8ffd9', 'hex').toString('base64');

for (const [title, content, expected] of [
    ['an image with a caption',
        { image: 70001, caption: 'Größe 38 👟', width: 640, height: 480 },
        { kind: 'image', text: 'Größe 38 👟', mimetype: 'image/jpeg', width: 640, height: 480,
            suffix: '.jpg' }],
    ['an image of another type',
        { image: 4096, mimetype: 'image/png' },
        { kind: 'image', mimetype: 'image/png', suffix: '.png' }],
    ['a video',
        { video: 200000, caption: 'look', mimetype: 'video/mp4', seconds: 12 },
        { kind: 'video', text: 'look', mimetype: 'video/mp4', seconds: 12, suffix: '.mp4' }],
    ['a moving picture',
        { video: 3000, gifPlayback: true, mimetype: 'video/mp4' },
        { kind: 'video', mimetype: 'video/mp4', animated: 1 }],
    ['a round video',
        { video: 3000, ptv: true, mimetype: 'video/mp4', seconds: 3 },
        { kind: 'video', mimetype: 'video/mp4', note: 1 }],
    ['a song',
        { audio: 65536, mimetype: 'audio/mp4', seconds: 61 },
        { kind: 'audio', mimetype: 'audio/mp4', seconds: 61, note: 0 }],
    ['a voice note',
        { audio: 9999, ptt: true, mimetype: 'audio/ogg; codecs=opus', seconds: 4,
            waveform: new Uint8Array(64) },
        { kind: 'voice', mimetype: 'audio/ogg; codecs=opus', seconds: 4, note: 1, suffix: '.ogg' }],
    ['a document with a name and a caption',
        { document: 12345, mimetype: 'application/pdf', fileName: 'Rechnung – März.pdf',
            caption: 'the bill' },
        { kind: 'document', text: 'the bill', mimetype: 'application/pdf',
            file_name: 'Rechnung – März.pdf', suffix: '.pdf' }],
    ['a sticker',
        { sticker: 5000, mimetype: 'image/webp', isAnimated: true },
        { kind: 'sticker', mimetype: 'image/webp', animated: 1, suffix: '.webp' }],
    ['a picture to be seen once',
        { image: 6000, viewOnce: true },
        { kind: 'image', mimetype: 'image/jpeg' }],
    ['a file of exactly 16 bytes',
        { image: 16 }, { kind: 'image' }],
    ['a file of one byte',
        { image: 1 }, { kind: 'image' }],
    ['a file as large as is allowed',
        { video: MB, mimetype: 'video/mp4', seconds: 1 }, { kind: 'video' }],
])
    media.check(`${title}: Baileys encrypts, uploads and sends it, the bridge publishes it`,
        async w => {
            const [name] = Object.keys(content);
            const file = bytesOf(content[name]);
            const more = ['image', 'video'].includes(name) ? { jpegThumbnail: thumbnail } : {};
            const sent = await w.ann.device.say(w.shop.lid, { ...content, ...more, [name]: file });
            const row = { ...await w.bridge.understood(sent.key.id),
                ...await published(w, sent.key.id, file) };
            const { suffix, ...columns } = expected;
            for (const [column, value] of Object.entries(columns))
                assert.equal(row[column], value, `${column}: ${row[column]}`);
            if (suffix) assert.ok(row.file.endsWith(suffix), row.file);
        });

media.check('the phone of the shop read the same message', async w => {
    const sent = await w.ann.device.say(w.shop.lid, { image: bytesOf(100), caption: 'for both' });
    const m = await w.shop.message('it', m => m.id === sent.key.id);
    assert.equal(m.kind, 'image');
    assert.equal(m.text, 'for both');
});

media.check('a picture in a group', async w => {
    w.group = (await w.ann.device.sock.groupCreate('Pictures', [w.shop.lid])).id;
    const file = bytesOf(30000);
    const sent = await w.ann.device.say(w.group, { image: file, jpegThumbnail: thumbnail });
    await published(w, sent.key.id, file);
});

media.check('the same file twice is two files', async w => {
    const file = bytesOf(2000);
    const names = new Set();
    for (let i = 0; i < 2; i++) {
        const sent = await w.ann.device.say(w.shop.lid, { image: file, jpegThumbnail: thumbnail });
        names.add((await published(w, sent.key.id, file)).file);
    }
    assert.equal(names.size, 2);
});

media.check('a file above the limit is refused', async w => {
    const sent = await w.ann.device.say(w.shop.lid,
        { video: bytesOf(MB + 1), mimetype: 'video/mp4', seconds: 1, jpegThumbnail: thumbnail });
    await refused(w, sent.key.id, 'too_large');
});

media.check('… also when the message says that it is smaller', async w => {
    const sent = await w.ann.device.lie(w.shop.lid,
        { video: bytesOf(2 * MB), mimetype: 'video/mp4', seconds: 1, jpegThumbnail: thumbnail },
        m => { m.videoMessage.fileLength = 10; });
    await refused(w, sent.key.id, 'too_large');
});

media.check('a type that is not allowed is refused', async w => {
    const sent = await w.ann.device.say(w.shop.lid, { document: bytesOf(50),
        mimetype: 'application/x-msdownload', fileName: 'setup.exe' });
    const row = await refused(w, sent.key.id, 'type_refused');
    assert.equal(row.file_name, 'setup.exe');
});

for (const [what, change] of [
    ['key', m => { m.mediaKey[5] ^= 1; }],
    ['hash of the file', m => { m.fileSha256[31] ^= 1; }],
    ['hash of the encrypted file', m => { m.fileEncSha256[0] ^= 1; }],
    ['length', m => { m.fileLength = 999; }],
])
    media.check(`another ${what} than Baileys made: nothing is published`, async w => {
        const sent = await w.ann.device.lie(w.shop.lid,
            { image: bytesOf(1000), jpegThumbnail: thumbnail }, m => change(m.imageMessage));
        await refused(w, sent.key.id, 'failed');
    });

// ---- the phone uploads it again -----------------------------------------------------------------

const retryKey = m => hkdf(m.mediaKey, 32, { info: 'WhatsApp Media Retry Notification' });

/** A picture of Ann's that the host has no more, before the bridge asks for it. */
async function gone(w, fault, file = bytesOf(5000)) {
    await w.bridge.stop();
    const sent = await w.ann.device.say(w.shop.lid, { image: file, jpegThumbnail: thumbnail });
    await w.shop.message('it', m => m.id === sent.key.id);
    const content = sent.message.imageMessage;
    const sealed = await fetched(w, content.directPath);
    await w.sim.post('/media/fault', { id: sent.key.id, fault });
    await w.bridge.start().connected();
    return { file, sealed, content, id: sent.key.id };
}

async function request(w, id) {
    const [e] = await until(`the request for ${id}`, async () => {
        const found = await w.sim.events(e => e.event === 'media_again' && e.id === id);
        return found.length && found;
    });
    return e.detail.split(' ').map(part => Buffer.from(part, 'base64'));
}

const escaped = bytes => [...bytes].map(b => `&#x${b.toString(16).padStart(2, '0')};`).join('');

function answer(w, id, notification, key) {
    const iv = randomBytes(12);
    const plain = proto.MediaRetryNotification.encode(notification).finish();
    const sealed = aesEncryptGCM(plain, key, iv, Buffer.from(id));
    return w.sim.post(`/accounts/${w.shop.phone}/stanza`, { device: 1, stanza:
        `<notification type="mediaretry" id="${id}" from="${w.shop.pn}"><encrypt>` +
        `<enc_p>${escaped(sealed)}</enc_p><enc_iv>${escaped(iv)}</enc_iv></encrypt>` +
        `<rmr jid="${w.ann.account.lid}" from_me="false"/></notification>` });
}

media.check('a file of Baileys’ that is gone: the phone is asked, and uploads it again', async w => {
    const { id, file } = await gone(w, 'gone');
    await published(w, id, file);
});

media.check('Baileys opens the bridge’s request, and its answer is followed', async w => {
    const { id, file, sealed, content } = await gone(w, 'asleep');
    const [asked, iv] = await request(w, id);
    const plain = aesDecryptGCM(asked, retryKey(content), iv, Buffer.from(id));
    assert.equal(proto.ServerErrorReceipt.decode(plain).stanzaId, id);
    const kept = path.join(w.logs, 'sealed');
    writeFileSync(kept, sealed);
    const again = await w.ann.device.sock.waUploadToServer(kept,
        { mediaType: 'image', fileEncSha256B64: sha256(sealed).toString('base64') });
    assert.notEqual(again.directPath, content.directPath);
    const { SUCCESS } = proto.MediaRetryNotification.ResultType;
    await answer(w, id, { stanzaId: id, directPath: again.directPath, result: SUCCESS },
        randomBytes(32));
    await answer(w, id, { stanzaId: 'another', directPath: '/m/1', result: SUCCESS },
        retryKey(content));
    await answer(w, id, { stanzaId: id, directPath: again.directPath, result: SUCCESS },
        retryKey(content));
    await published(w, id, file);
});

media.check('a phone that says it is not there is believed', async w => {
    const { id, content } = await gone(w, 'asleep');
    await request(w, id);
    const { NOT_FOUND } = proto.MediaRetryNotification.ResultType;
    await answer(w, id, { stanzaId: id, result: NOT_FOUND }, retryKey(content));
    await refused(w, id, 'expired');
});

// ---- Baileys reads what the simulator made ------------------------------------------------------

async function whole(stream) {
    const parts = [];
    for await (const part of stream) parts.push(part);
    return Buffer.concat(parts);
}

for (const [kind, field, type] of [
    ['image', 'imageMessage', 'image'], ['video', 'videoMessage', 'video'],
    ['audio', 'audioMessage', 'audio'], ['voice', 'audioMessage', 'ptt'],
    ['document', 'documentMessage', 'document'], ['sticker', 'stickerMessage', 'sticker'],
])
    media.check(`Baileys reads ${kind} of a phone of the simulator`, async w => {
        const file = bytesOf(50001);
        const { id } = await w.sim.post(`/accounts/${w.shop.phone}/send`, {
            to: w.ann.account.phone, media: { kind, base64: file.toString('base64') },
        });
        const m = await w.ann.device.message('it', m => m.id === id);
        const content = m.raw.message[field];
        const sealed = await fetched(w, content.directPath);
        const { iv, macKey } = await getMediaKeys(content.mediaKey, type);
        assert.ok(sha256(sealed).equals(Buffer.from(content.fileEncSha256)), 'encrypted hash');
        assert.ok(sha256(file).equals(Buffer.from(content.fileSha256)), 'plain hash');
        assert.equal(+content.fileLength, file.length);
        const mac = createHmac('sha256', macKey).update(iv).update(sealed.subarray(0, -10)).digest();
        assert.ok(mac.subarray(0, 10).equals(sealed.subarray(-10)), 'MAC');
        const read = await whole(await downloadContentFromMessage(content, type,
            { host: w.front.host }));
        assert.ok(read.equals(file), `${read.length} bytes`);
    });

media.check('Baileys asks for a file that is gone and reads the answer', async w => {
    const file = bytesOf(700);
    const { id } = await w.sim.post(`/accounts/${w.shop.phone}/send`, {
        to: w.ann.account.phone,
        media: { kind: 'image', base64: file.toString('base64'), fault: 'gone' },
    });
    const { raw } = await w.ann.device.message('it', m => m.id === id);
    const content = raw.message.imageMessage;
    await assert.rejects(downloadContentFromMessage(content, 'image', { host: w.front.host }));
    await w.ann.device.sock.updateMediaMessage(raw);
    const read = await whole(await downloadContentFromMessage(content, 'image',
        { host: w.front.host }));
    assert.ok(read.equals(file), `${read.length} bytes`);
});

media.check('a talk after all of it, and nothing to object to', async w => {
    const id = await w.ann.device.send(w.shop.lid, 'good bye');
    await conversed(w, id, 'good bye', [w.ann.device]);
    assert.deepEqual(await w.bridge.rows("status = 'undecryptable'"), []);
    assert.deepEqual(await w.bridge.keysOf('media'), []);
    const left = readdirSync(path.join(w.bridge.volume, 'media')).filter(name => name[0] === '.');
    assert.deepEqual(left, []);
    await noViolations(w);
});
