// SPDX-License-Identifier: GPL-3.0-or-later
// An auto-responder on Baileys as its documentation shows one: multi-file auth state behind the key
// cache, QR as a PNG, messages appended to a file, each text answered with a text. Nothing is synced to
// the disk, and its logger is off: both in its favour.
//
// node baileys.mjs DIR   environment: ENDPOINT, NOISE_ROOT (hex), ANSWER (0: only receive)
// DIR/qr.png while a QR is on show; DIR/state.json with "CONNECTED" once it is.
import { appendFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import makeWASocket, {
    DisconnectReason, WA_CERT_DETAILS, makeCacheableSignalKeyStore, useMultiFileAuthState,
} from 'baileys';
import QRCode from 'qrcode';

const [dir] = process.argv.slice(2);
const { ENDPOINT, NOISE_ROOT, ANSWER = '1' } = process.env;
const quiet = { level: 'silent', child: () => quiet, trace() {}, debug() {}, info() {}, warn() {}, error() {}, fatal() {} };
WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(NOISE_ROOT, 'hex');
const file = name => path.join(dir, name);

const { state, saveCreds } = await useMultiFileAuthState(file('auth'));
const auth = { creds: state.creds, keys: makeCacheableSignalKeyStore(state.keys, quiet) };
const sent = new Map(); // for those who ask again
let saved = Promise.resolve(); // a SIGTERM in the middle of it would leave half a creds.json

async function onMessages(sock, messages) {
    for (const m of messages) {
        const text = m.message?.conversation ?? m.message?.extendedTextMessage?.text;
        if (!text || m.key.fromMe) continue;
        await appendFile(file('messages.jsonl'), JSON.stringify({ id: m.key.id, chat: m.key.remoteJid, text }) + '\n');
        if (ANSWER === '0') continue;
        const answer = await sock.sendMessage(m.key.remoteJid, { text: `You wrote: ${text}` });
        sent.set(answer.key.id, answer.message);
        if (sent.size > 1000) sent.delete(sent.keys().next().value);
    }
}

async function onConnection({ qr, connection, lastDisconnect }) {
    if (qr) await QRCode.toFile(file('qr.png'), qr);
    if (connection === 'open') {
        await rm(file('qr.png'), { force: true });
        await writeFile(file('state.json'), '{"state":"CONNECTED"}');
    }
    if (connection !== 'close') return;
    const why = lastDisconnect?.error?.output?.statusCode;
    if (why === DisconnectReason.loggedOut) process.exit(1);
    setTimeout(start, why === DisconnectReason.restartRequired ? 0 : 200);
}

function start() {
    const sock = makeWASocket({
        auth,
        logger: quiet,
        waWebSocketUrl: ENDPOINT,
        // The simulator has no history; without this the first login holds messages back for 20 s.
        shouldSyncHistoryMessage: () => false,
        getMessage: async key => sent.get(key.id),
    });
    sock.ev.on('creds.update', () => { saved = saved.then(saveCreds); });
    sock.ev.on('connection.update', onConnection);
    sock.ev.on('messages.upsert', ({ messages }) => onMessages(sock, messages));
}

process.on('SIGTERM', () => saved.finally(() => process.exit(0)));
start();
