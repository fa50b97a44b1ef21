// SPDX-License-Identifier: GPL-3.0-or-later
// What the states and errors of state.json mean to a person (docs/volume.md, docs/operations.md).

// session.state: tone, badge, title, what to do
export const states = {
    NONE: ['wait', 'Starting', 'Starting', 'The bridge has just been started.'],
    CONNECTING: ['wait', 'Connecting', 'Connecting to WhatsApp', 'This takes a few seconds.'],
    QR_READY: ['act', 'Scan the QR', 'Waiting for your phone', 'Scan the code below with WhatsApp on the phone of the business.'],
    PASSKEY_REQUIRED: ['act', 'Passkey', 'WhatsApp asks for your passkey', 'Follow the steps below.'],
    PASSKEY_CONFIRM: ['act', 'Compare codes', 'One more look at your phone', 'Compare the code below with the one on your phone.'],
    CONNECTED: ['good', 'Connected', 'All is well', 'The bridge is linked and answers messages.'],
    DISCONNECTED: ['bad', 'No connection', 'Connection lost', 'The bridge tries again by itself; nothing is lost meanwhile.'],
    LOGGED_OUT: ['act', 'Unlinked', 'This device was unlinked', 'Press “New QR code” and scan it again.'],
    REPLACED: ['bad', 'Replaced', 'Another process uses the same account', 'Call the operator: one of the two has to be stopped.'],
    RESTRICTED: ['bad', 'Restricted', 'WhatsApp restricted this account', 'Open WhatsApp on the phone and follow what it says.'],
    VERSION_REJECTED: ['bad', 'Too old', 'WhatsApp wants a newer version', 'Call the operator: the bridge has to be updated.'],
};

export const stopped = ['off', 'Stopped', 'Stopped', 'The bridge was stopped. The operator can start it again.'];
export const paused = ['act', 'Not linked', 'No QR is shown at the moment', 'Press “New QR code” when you have the phone at hand.'];
export const held = ['act', 'Not linked', 'Linking failed three times', 'Press “New QR code” to begin again.'];
export const gone = ['bad', 'Not running', 'The bridge does not answer', 'Its last sign of life is too old: the process is gone or hangs. Call the operator.'];
export const absent = ['off', 'Never started', 'No bridge has run here yet', 'The operator has to start it.'];

const scanAgain = 'Scan the new QR code.';
const byItself = 'The bridge dials again by itself; nothing is lost meanwhile.';

// last_error.code: what to do; one for each code in docs/operations.md (tests/container/words.mjs)
export const remedies = {
    logged_out: 'Press “New QR code” and scan it again.',
    replaced: 'The operator has to stop one of the two bridges, then reload.',
    temporarily_banned: 'Wait until it ends; then send less, and only to people who wrote first.',
    account_locked: 'Open WhatsApp on the phone and follow it; then press “New QR code” and scan it.',
    version_rejected: 'It is tried again every few hours. The operator can set a newer version.',
    refused: 'Reload to try again; if it stays, tell the operator.',
    handshake_failed: 'The operator should look for a proxy that breaks TLS.',
    protocol_error: `${byItself} If it stays, tell the operator.`,
    name_not_resolved: `The name server does not answer. ${byItself}`,
    not_reached: `The network or a firewall is in the way. ${byItself}`,
    tls_failed: 'The operator should look at the clock, and for something that intercepts TLS.',
    upgrade_refused: 'The operator should look for a proxy or a login page in between.',
    server_silent: byItself,
    connection_lost: byItself,
    server_unavailable: byItself,
    stream_end: byItself,
    link_stuck: byItself,
    too_many_connects: byItself,
    restart_required: byItself,
    reconnect_exhausted: 'Check the network; it goes on trying, slowly.',
    pairing_paused: 'Press “New QR code” when you have the phone at hand.',
    pairing_unconfirmed: scanAgain,
    pairing_refused: scanAgain,
    pairing_code_refused: 'Check the number, or scan the QR code.',
    options_unavailable: scanAgain,
    options_expired: `The passkey was not used in time. ${scanAgain}`,
    ref_failed: scanAgain,
    prologue_refused: scanAgain,
    nonce_refused: scanAgain,
    request_refused: scanAgain,
    hmac_mismatch: scanAgain,
    phone_timeout: `The phone did not go on. ${scanAgain} Keep WhatsApp open on the phone.`,
    phone_invalid: `${scanAgain} Choose the passkey of the account that you link.`,
    disconnected: scanAgain,
    confirm_expired: `The codes were not compared in time. ${scanAgain}`,
    user_rejected: `The codes differed, so nothing was linked. ${scanAgain}`,
    user_cancelled: scanAgain,
    passkey_failed: `${scanAgain} If there is none, press “New QR code”.`,
    phone_too_old: 'Update WhatsApp on the phone and scan the code again.',
    new_chats_warned: 'WhatsApp warns of too many new chats: send less, and only to people who wrote first.',
    new_chats_capped: 'WhatsApp takes no more new chats for a while. People who wrote first are still answered.',
    new_chats_locked: 'WhatsApp takes no new chats for a while. People who wrote first are still answered; the rest waits.',
    passkey_not_published: 'The operator has to free disk space.',
    store_failed: 'The operator has to free disk space. Nothing is lost.',
    qr_not_published: 'The operator has to free disk space.',
    start_failed: 'The operator has to mend it and start again.',
    config_refused: 'Mend the configuration at the named place; the old one is still in use.',
};

export const ofLinking = code => /^(pairing|phone)_/.test(code) || (remedies[code] ?? '').includes(scanAgain);

// phase of passkey.json
export const phases = {
    await_assertion: '',
    submitting: 'WhatsApp looks at your passkey …',
    await_phone: 'Waiting for your phone. Keep WhatsApp open on it.',
    await_owner: '',
    completing: 'Almost done. Your phone may show the same code.',
};

// error of a passkey answer: what to do
export const refusals = {
    response_malformed: 'This is not the whole answer: copy the line from { to } and paste it again.',
    response_stale: 'This belongs to an earlier step. Use the line that is shown now.',
    type_mismatch: 'This is not the answer of a passkey. Use the line that is shown now.',
    challenge_mismatch: 'This answers another question. Use the line that is shown now.',
    origin_mismatch: 'The line has to be run in a tab of WhatsApp’s own page.',
    cross_origin: 'The line has to be run in a tab of its own, not in a frame.',
    rpid_mismatch: 'The line has to be run in a tab of WhatsApp’s own page.',
    up_missing: 'The passkey was not touched. Run the line again.',
    uv_missing: 'The passkey did not ask for your fingerprint, face or PIN. Run the line again.',
    credential_not_allowed: 'This is the passkey of another account. Choose the one of the number that you link.',
    code_mismatch: 'This is not the code that was shown.',
};

export const counters = [
    ['received', 'Received'], ['replied', 'Replied'], ['sent', 'Sent'], ['delivered', 'Delivered'],
    ['read', 'Read'], ['failed', 'Failed'], ['rate_limited', 'Rate-limited'], ['decrypt_failures', 'Undecryptable'],
];

// status of a message: mark, words
export const statuses = {
    queued: ['🕓', 'queued'], sending: ['🕓', 'being sent'], sent: ['✓', 'sent'], delivered: ['✓✓', 'delivered'],
    read: ['✓✓', 'read'], failed: ['⚠', 'failed'], dropped: ['⚠', 'not sent'], undecryptable: ['⚠', 'could not be decrypted'],
};

export const questions = {
    stop: ['Stop this bridge?', 'Messages wait at WhatsApp until the operator starts it again.', 'Stop'],
    release: ['Answer in all chats again?', 'Chats that were handed over to a person are answered by the bridge again.', 'Answer again'],
    logout: ['Unlink this account?', 'The keys of this device are deleted. To go on, the QR has to be scanned again.', 'Unlink'],
};

export const results = { done: 'Done', refused: 'Refused', failed: 'Failed', 'unknown command': 'This bridge does not know it', stale: 'Not done: too old' };
