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
export const gone = ['bad', 'Not running', 'The bridge does not answer', 'Its last sign of life is too old: the process is gone or hangs. Call the operator.'];
export const absent = ['off', 'Never started', 'No bridge has run here yet', 'The operator has to start it.'];

// last_error.code: what to do
export const remedies = {
    logged_out: 'Press “New QR code” and scan it again.',
    replaced: 'Stop one of the two bridges, then reload.',
    temporarily_banned: 'Wait until the restriction ends; send less.',
    account_locked: 'Open WhatsApp on the phone and follow it, then reload.',
    version_rejected: 'The bridge has to be updated.',
    refused: 'Reload to try again; if it stays, tell the operator.',
    handshake_failed: 'The operator should look for a proxy that breaks TLS.',
    reconnect_exhausted: 'Check the network; it goes on trying, slowly.',
    pairing_paused: 'Press “New QR code” when you have the phone at hand.',
    pairing_unconfirmed: 'Scan the new QR code.',
    pairing_refused: 'Scan the new QR code.',
    store_failed: 'The operator has to free disk space. Nothing is lost.',
    qr_not_published: 'The operator has to free disk space.',
    start_failed: 'The operator has to mend it and start again.',
    config_refused: 'Mend the configuration at the named place; the old one is still in use.',
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
    logout: ['Unlink this account?', 'The keys of this device are deleted. To go on, the QR has to be scanned again.', 'Unlink'],
};

export const results = { done: 'Done', refused: 'Refused', failed: 'Failed', stale: 'Not done: too old' };
