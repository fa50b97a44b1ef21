// SPDX-License-Identifier: GPL-3.0-or-later
// An edit that is encrypted under the secret of the message it changes (protocol/05 section 9.3). Baileys knows
// the fields and makes the secrets, but seals only votes; so it is done here, with node:crypto.
import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto';

import { proto } from 'baileys';

/** "Event Edit", "Message Edit", "Poll Edit" by SecretEncType. */
export const uses = { 1: 'Event Edit', 2: 'Message Edit', 4: 'Poll Edit' };

/** key: MessageKey of the target; author, editor: bare JIDs; content: the new Message. A Message. */
export function sealEdit({ key, author, editor = author, secret, content, type = 2, iv = randomBytes(12) }) {
    const info = Buffer.from(key.id + author + editor + uses[type]);
    const sealing = Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(32), info, 32));
    const cipher = createCipheriv('aes-256-gcm', sealing, iv);
    const plain = proto.Message.encode(content).finish();
    const encPayload = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    return { secretEncryptedMessage: { targetMessageKey: key, encPayload, encIv: iv, secretEncType: type } };
}

/** What WhatsApp seals: the same as an edit in the clear. */
export const editOf = (key, editedMessage) =>
    ({ protocolMessage: { key, type: 14, editedMessage, timestampMs: 1780000000000 } });
