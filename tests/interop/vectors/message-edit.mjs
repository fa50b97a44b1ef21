// SPDX-License-Identifier: GPL-3.0-or-later
// Writes tests/vectors/message-edit.json to standard output; run in the working copy of tests/interop/run.sh:
//   node BUILDDIR/interop/vectors/message-edit.mjs >tests/vectors/message-edit.json
import { proto } from 'baileys';

import { editOf, sealEdit, uses } from '../lib/sealed.mjs';

const lid = '222222222222222@lid', pn = '4915112345678@s.whatsapp.net', other = '333333333333333@lid';
const secret = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 7 & 255));
const id = '3EB0C0FFEE0123456789AB';
const key = { remoteJid: '123456789012345@lid', fromMe: true, id };
const text = { conversation: 'Tuesday at three' };
const hex = message => Buffer.from(proto.Message.encode(message).finish()).toString('hex');

let count = 0;
function sealed(name, more) {
    const iv = Buffer.alloc(12, ++count);
    const given = { key, author: lid, secret, content: editOf(key, text), iv, ...more };
    const message = sealEdit(given), { encPayload } = message.secretEncryptedMessage;
    return { name, author: given.author, editor: given.editor ?? given.author, use: uses[given.type ?? 2],
        iv: iv.toString('hex'), payload: encPayload.toString('hex'), plain: hex(given.content), message: hex(message) };
}

process.stdout.write(JSON.stringify({
    description: 'Edits sealed under the messageSecret of their target: key = HKDF-SHA256(secret, no salt, id + author + '
        + 'editor + use, 32), AES-256-GCM without additional data, the tag behind the ciphertext.',
    generated_with: 'Node.js crypto; protobufs by npm baileys 7.0.0-rc14 (tests/interop/vectors/message-edit.mjs)',
    id, secret: secret.toString('hex'),
    original: hex({ ...text, conversation: 'Tuesdy', messageContextInfo: { messageSecret: secret } }),
    edits: [
        sealed('by LID'),
        sealed('by phone number', { author: pn }),
        sealed('written by number, edited by LID', { author: pn, editor: lid }),
        sealed('the new content alone', { content: text }),
        sealed('an event', { type: 1, content: { eventMessage: { name: 'Talk', description: 'at four' } } }),
    ],
    refused: [
        sealed('by somebody else', { author: lid, editor: other }),
        sealed('under another secret', { secret: Buffer.alloc(32, 9) }),
        sealed('a revoke', { content: { protocolMessage: { key, type: 0 } } }),
        sealed('a reaction', { content: { reactionMessage: { key, text: '!' } } }),
        sealed('sealed again', { content: sealEdit({ key, author: lid, secret, content: text, iv: Buffer.alloc(12, 99) }) }),
    ],
}, null, 1) + '\n');
