// SPDX-License-Identifier: GPL-3.0-or-later
// One companion device: Baileys as it comes from npm, told only where to connect and whom to trust.
import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { format } from 'node:util';

import makeWASocket, {
    BufferJSON, DisconnectReason, WA_CERT_DETAILS, encodeWAMessage, generateMessageIDV2,
    generateWAMessage, initAuthCreds, jidDecode, normalizeMessageContent, proto,
} from 'baileys';

import { until } from './tap.mjs';

/** The root key of the server's certificates; the real one is a constant of Baileys. */
export function trustRoot(hex) {
    WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(hex, 'hex');
}

const freeze = value => JSON.stringify(value, BufferJSON.replacer);
const thaw = text => JSON.parse(text, BufferJSON.reviver);

/** As text a message of protobuf says its bytes in base64; Baileys wants the message back. */
const shaped = (type, value) => type === 'app-state-sync-key'
    ? proto.Message.AppStateSyncKeyData.fromObject(value) : value;

/** Signal keys as a store on disk keeps them: as text, so that Baileys shares no object with it. */
function memoryKeys() {
    const kept = new Map();
    return {
        forget(type, test) {
            const gone = [...kept.keys()].filter(k => k.startsWith(`${type}/`) &&
                test(k.slice(type.length + 1)));
            for (const key of gone) kept.delete(key);
            return gone.length;
        },
        async get(type, ids) {
            const found = {};
            for (const id of ids) {
                const text = kept.get(`${type}/${id}`);
                if (text) found[id] = shaped(type, thaw(text));
            }
            return found;
        },
        async set(data) {
            for (const [type, rows] of Object.entries(data))
                for (const [id, value] of Object.entries(rows))
                    if (value === null || value === undefined) kept.delete(`${type}/${id}`);
                    else kept.set(`${type}/${id}`, freeze(value));
        },
    };
}

export class Device {
    constructor(name, sim, logs) {
        this.name = name;
        this.sim = sim;
        this.keys = memoryKeys(); // Baileys puts its own in the place of auth.keys
        this.auth = { creds: initAuthCreds(), keys: this.keys };
        this.log = createWriteStream(path.join(logs, `${name}.log`), { flags: 'a' });
        this.messages = []; // decrypted, in the order of their arrival
        this.stanzas = []; // <message> nodes received: {id, from, enc, offline, retry}
        this.sent = []; // <message> and <receipt> nodes sent, as text
        this.updates = []; // status changes of own messages
        this.store = new Map(); // own messages, for those who ask again
        this.state = 'new';
        this.wanted = false;
    }

    get jid() {
        return this.auth.creds.me?.id;
    }

    get number() {
        return jidDecode(this.jid)?.device;
    }

    /** Baileys tells what it sends and receives to its logger, at level trace. */
    logger() {
        const write = level => (what, text) => {
            if (text === undefined && what?.msg === 'xml send') this.noteSent(what.xml);
            const line = format('%s %s %o %s', new Date().toISOString(), level, what, text ?? '');
            if (!this.log.writableEnded) this.log.write(line + '\n');
        };
        const logger = { level: 'trace', child: () => logger };
        for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'])
            logger[level] = write(level);
        return logger;
    }

    noteSent(xml) {
        if (xml.startsWith('<message') || xml.startsWith('<receipt')) this.sent.push(xml);
    }

    start() {
        this.wanted = true;
        this.state = 'connecting';
        this.qr = undefined;
        const sock = makeWASocket({
            auth: this.auth,
            logger: this.logger(),
            waWebSocketUrl: this.sim.endpoint,
            // No history is sent here: without this the first login holds messages back for 20 s.
            shouldSyncHistoryMessage: () => false,
            getMessage: async key => this.store.get(key.id),
        });
        this.sock = sock;
        sock.ev.on('creds.update', update => Object.assign(this.auth.creds, update));
        sock.ev.on('connection.update', update => this.onConnection(sock, update));
        sock.ev.on('messages.upsert', ({ messages, type }) => this.onMessages(messages, type));
        sock.ev.on('messages.update', updates => this.updates.push(...updates));
        sock.ws.on('CB:message', node => this.onStanza(node));
        return this;
    }

    onConnection(sock, { qr, connection, lastDisconnect }) {
        if (sock !== this.sock) return;
        if (qr) this.qr = qr;
        if (connection === 'open') this.state = 'open';
        if (connection !== 'close') return;
        this.reason = lastDisconnect?.error?.output?.statusCode;
        this.state = this.reason === DisconnectReason.loggedOut ? 'logged out' : 'closed';
        const again = this.reason === DisconnectReason.restartRequired || this.state === 'closed';
        if (this.wanted && again) setTimeout(() => this.wanted && this.start(), 200);
    }

    onStanza(node) {
        const encs = (Array.isArray(node.content) ? node.content : []).filter(c => c.tag === 'enc');
        this.stanzas.push({
            id: node.attrs.id,
            from: node.attrs.from,
            attrs: node.attrs,
            enc: encs[0]?.attrs.type,
            retry: encs[0]?.attrs.count,
            group: encs.find(enc => enc.attrs.type === 'skmsg')?.content,
            offline: node.attrs.offline !== undefined,
        });
    }

    onMessages(messages, type) {
        for (const m of messages) {
            const content = normalizeMessageContent(m.message);
            const extended = content?.extendedTextMessage;
            this.messages.push({
                id: m.key.id,
                chat: m.key.remoteJid,
                fromMe: !!m.key.fromMe,
                text: content?.conversation ?? extended?.text ?? null,
                quoted: extended?.contextInfo?.stanzaId ?? null,
                expiration: extended?.contextInfo?.expiration ?? 0,
                name: m.pushName,
                type,
                raw: m,
            });
        }
    }

    /** Deletes Signal keys of a type whose name passes the test, as a lost file would; how many. */
    forget(type, test) {
        return this.keys.forget(type, test);
    }

    /** As a person does it: the QR on the screen, the phone over it, and the device is in. */
    async link(phone) {
        this.start();
        const qr = await until(`a QR from ${this.name}`, () => this.qr);
        const answer = await phone.scan(qr);
        await this.opened();
        return answer;
    }

    opened(ms) {
        return until(`${this.name} to be connected`, () => this.state === 'open', ms);
    }

    /** Connection gone, keys kept. */
    async stop() {
        this.wanted = false;
        await this.sock?.end(undefined);
        this.state = 'closed';
    }

    async close() {
        await this.stop();
        this.log.end();
    }

    async send(to, text, options) {
        return (await this.say(to, { text }, options)).key.id;
    }

    /** Sends what Baileys can make a message of; the message. */
    async say(to, content, options) {
        const sent = await this.sock.sendMessage(to, content, options);
        this.store.set(sent.key.id, sent.message);
        return sent;
    }

    /** The same, but what the message says is changed before it leaves. */
    async lie(to, content, change) {
        const m = await generateWAMessage(to, content,
            { userJid: this.jid, upload: this.sock.waUploadToServer });
        change(m.message);
        await this.sock.relayMessage(to, m.message, { messageId: m.key.id });
        return m;
    }

    /**
     * Encrypts texts for one device in order and sends them in the order of `turns`, which no client
     * does of itself: the receiver has to keep the keys of the messages that are still to come.
     */
    async sendShuffled(device, texts, turns) {
        const to = jidDecode(device);
        const stanzas = [];
        for (const conversation of texts) {
            const data = encodeWAMessage({ conversation });
            const { type, ciphertext } =
                await this.sock.signalRepository.encryptMessage({ jid: device, data });
            const id = generateMessageIDV2(this.jid);
            const enc = { tag: 'enc', attrs: { v: '2', type }, content: ciphertext };
            stanzas.push({
                tag: 'message',
                attrs: { id, to: `${to.user}@${to.server}`, type: 'text' },
                content: [{ tag: 'participants', attrs: {}, content: [
                    { tag: 'to', attrs: { jid: device }, content: [enc] },
                ] }],
            });
        }
        for (const turn of turns) await this.sock.sendNode(stanzas[turn]);
        return stanzas.map(stanza => stanza.attrs.id);
    }

    /** The next messages of an account reach Baileys in the order of `turns`, once all are there. */
    shuffleNext(account, turns) {
        const { ws } = this.sock;
        const { emit } = ws;
        const users = [account.pn, account.lid].map(jid => jidDecode(jid).user);
        const held = [];
        ws.emit = (event, node) => {
            if (event !== 'CB:message' || !users.includes(jidDecode(node.attrs.from).user))
                return emit.call(ws, event, node);
            held.push(node);
            if (held.length === turns.length) {
                ws.emit = emit;
                for (const turn of turns) ws.emit('CB:message', held[turn]);
            }
            return true;
        };
    }

    /** Type of the Signal envelope in a message that this device sent to a device. */
    envelope(id, jid) {
        for (const xml of this.sent) {
            if (!xml.includes(`id='${id}'`)) continue;
            const at = xml.indexOf(`<to jid='${jid}'`);
            const found = at < 0 ? null : /type='(pkmsg|msg)'/.exec(xml.slice(at));
            if (found) return found[1];
        }
        return undefined;
    }

    of(id) {
        return this.messages.filter(m => m.id === id);
    }

    message(what, test, ms) {
        return until(`${what} at ${this.name}`, () => this.messages.find(test), ms);
    }

    /** The <message> stanza that brought an id, the first time. */
    stanza(id) {
        return this.stanzas.find(s => s.id === id);
    }

    /** Waits for a receipt of at least this status for an own message. */
    reported(id, status) {
        return until(`status ${status} of ${id} at ${this.name}`,
            () => this.updates.some(u => u.key.id === id && u.update.status >= status));
    }
}
