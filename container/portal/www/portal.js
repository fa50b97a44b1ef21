// SPDX-License-Identifier: GPL-3.0-or-later
import * as files from './files.js';
import * as words from './words.js';

const LOOK_MS = 1000;
const $ = id => document.getElementById(id);
const view = { tenant: null, state: null, skew: 0, shown: {}, names: [] };

function element(tag, properties = {}, ...children) {
    const e = Object.assign(document.createElement(tag), properties);
    e.append(...children);
    return e;
}

/** Whether value differs from the last one under this key; so that nothing is drawn twice. */
function changed(key, value) {
    const text = JSON.stringify(value);
    const differs = view.shown[key] !== text;
    view.shown[key] = text;
    return differs;
}

const clock = () => Date.now() + view.skew;
const time = text => new Date(text).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
const moment = text => (text ? new Date(text).toLocaleString([], { dateStyle: 'medium', timeStyle: 'medium' }) : '–');
const number = jid => (jid ? '+' + jid.replace(/[:@].*/, '') : null);
const person = jid => (/@s\.whatsapp\.net$/.test(jid) ? number(jid) : jid.replace(/@.*/, ''));

/** tone, badge, title, text */
function describe(state, now) {
    if (!state) return words.absent;
    if (state.status === 'STOPPED') return words.stopped;
    if (now - Date.parse(state.heartbeat.at) > state.heartbeat.stale_after_ms) return words.gone;
    if (state.status === 'QR_PENDING' && state.session.state === 'NONE') return state.reconnect.next_at ? words.paused : words.held;
    return words.states[state.session.state] ?? ['wait', state.session.state, state.session.state, ''];
}

// ---- overview ------------------------------------------------------------------------------------
async function showOverview() {
    const entries = await Promise.all(view.names.map(async name => {
        const { value, now } = await files.readFile(name, 'state.json').catch(() => ({ value: null, now: Date.now() }));
        const [tone, badge] = describe(value, now);
        return { name, tone, badge, received: value?.counters.received ?? 0, replied: value?.counters.replied ?? 0,
            account: number(value?.account.pn) ?? 'not linked' };
    }));
    $('overview-empty').hidden = entries.length > 0;
    if (!changed('cards', entries)) return;
    $('cards').replaceChildren(...entries.map(e => element('li', {},
        element('a', { className: 'card panel', href: `#/${e.name}` },
            element('strong', { textContent: e.name }), element('span', { className: `badge ${e.tone}`, textContent: e.badge }),
            element('span', { className: 'quiet', textContent: `${e.account} · ${e.received} received · ${e.replied} replied` })))));
}

async function refreshTenants() {
    view.names = await files.tenants();
    if (!changed('tenants', [view.names, view.tenant])) return;
    $('tenants').replaceChildren(...view.names.map(name => {
        const link = element('a', { href: `#/${name}`, textContent: name });
        if (name === view.tenant) link.setAttribute('aria-current', 'page');
        return element('li', {}, link);
    }));
}

// ---- one tenant ------------------------------------------------------------------------------------
/** last_error is kept. It is over after a login or a stop on request; while linking, only what linking said counts. */
function isOver(state) {
    if (!state?.last_error || Date.parse(state.last_error.at) > Date.parse(state.session.since)) return false;
    if (state.status === 'STOPPED') return state.exit?.code === 0;
    const session = state.session.state;
    return session === 'CONNECTED' || session.startsWith('PASSKEY_') || (session === 'QR_READY' && !words.ofLinking(state.last_error.code));
}

function showSummary(state) {
    const [tone, badge, title, text] = describe(state, clock());
    const error = isOver(state) ? null : state?.last_error;
    if (!changed('summary', [tone, badge, title, error, state?.reconnect.next_at])) return;
    $('badge').className = `badge ${tone}`;
    $('summary').className = `panel summary ${tone}`;
    $('badge').textContent = badge;
    $('state-title').textContent = title;
    const next = state?.reconnect.next_at;
    $('state-text').textContent = next ? `${text} Next attempt by itself: ${moment(next)}.` : text;
    $('error').hidden = !error;
    if (error) {
        $('error').replaceChildren(element('strong', { textContent: `${moment(error.at)} · ${error.code}: ` }), error.message,
            ...(words.remedies[error.code] ? [element('br'), words.remedies[error.code]] : []));
    }
    if (changed('live', title)) $('live').textContent = `${title}. ${text}`;
}

function showQr(tenant, state) {
    const fresh = describe(state, clock()) !== words.gone;
    const live = fresh && state?.status === 'QR_PENDING' && state.qr.svg !== null;
    $('link').hidden = !live;
    if (!live) {
        $('qr').removeAttribute('src');
        view.shown.qr = null;
        return;
    }
    if (changed('qr', [tenant, state.qr.generation]))
        $('qr').src = `tenants/${encodeURIComponent(tenant)}/${state.qr.svg}?generation=${state.qr.generation}`;
    $('pairing').hidden = !state.pairing_code;
    $('pairing-code').textContent = state.pairing_code ?? '';
}

function countDown() {
    if (view.step && !$('passkey').hidden) {
        const left = Math.max(0, Date.parse(view.step.expires_at) - clock());
        $('passkey-countdown').textContent = `Time for this: ${Math.floor(left / 60000)} min ${Math.floor(left / 1000) % 60} s`;
    }
    const qr = view.state?.qr;
    if (!qr?.expires_at || $('link').hidden) return;
    const whole = Date.parse(qr.expires_at) - Date.parse(qr.issued_at);
    const left = Math.max(0, Date.parse(qr.expires_at) - clock());
    $('countdown').textContent = left > 0 ? `A new code comes in ${Math.ceil(left / 1000)} s` : 'A new code comes now';
    $('left').value = left / whole;
}

function showFacts(state) {
    const counts = words.counters.map(([key, label]) => [label, state?.counters[key] ?? 0]);
    if (changed('counters', counts))
        $('counters').replaceChildren(...counts.map(([label, n]) =>
            element('div', {}, element('dt', { textContent: label }), element('dd', { textContent: n.toLocaleString() }))));
    const facts = state && [
        ['Status', `${state.status} / ${state.session.state}`], ['Since', moment(state.session.since)],
        ['Started', moment(state.process.started_at)], ['Last message', moment(state.last_message_at)],
        ['Waiting to be sent', `${state.queues.replies} replies, ${state.queues.outbox} from the portal`],
        ['Version', `${state.process.version}, announces ${state.process.wa_version}`],
        ...(isOver(state) ? [['Last trouble', `${moment(state.last_error.at)}, over: ${state.last_error.code}`]] : []),
        ...(state.exit ? [['Ended', `exit code ${state.exit.code}: ${state.exit.reason}`]] : []),
    ];
    if (changed('facts', facts))
        $('process').replaceChildren(...(facts ?? []).flatMap(([label, value]) =>
            [element('dt', { textContent: label }), element('dd', { textContent: value })]));
}

function showButtons(state) {
    const session = state?.session.state, alive = state && ![words.gone, words.stopped].includes(describe(state, clock()));
    for (const button of $('control').children) {
        const name = button.dataset.command;
        button.disabled = !alive || (name === 'pair' && !['LOGGED_OUT', 'REPLACED', 'RESTRICTED'].includes(session)
                && !(state.status === 'QR_PENDING' && session === 'NONE'))
            || (name === 'logout' && session !== 'CONNECTED');
    }
}

function messageItem(m) {
    const own = m.direction === 'OUT' || m.from_me;
    const [mark, text] = words.statuses[m.status] ?? ['', ''];
    const who = own ? `to ${person(m.chat)}` : m.name ? `${m.name} (${person(m.chat)})` : person(m.chat);
    const how = [m.intent, m.error].filter(Boolean).join(' · ');
    const state = element('span', { className: `mark ${m.status}`, textContent: mark, title: text });
    state.setAttribute('aria-hidden', 'true');
    return element('li', { className: own ? 'own' : '' },
        element('span', { className: 'who', textContent: how ? `${who} · ${how}` : who }),
        element('p', { textContent: m.text ? m.text + (m.cut ? ' …' : '') : `[${m.kind ?? 'message'}]` }),
        ...(m.media_file ? [element('a', { href: files.at(view.tenant, `media/${encodeURIComponent(m.media_file)}`), download: m.media_file, textContent: 'Save the file' })] : []),
        element('span', { className: 'when' }, element('time', { dateTime: m.at, textContent: time(m.at) }), ' ', state,
            element('span', { className: 'visually-hidden', textContent: text })));
}

function showMessages(recent) {
    const messages = recent?.messages ?? [];
    if (!changed('messages', messages)) return;
    const list = $('messages'), atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    $('messages-empty').hidden = messages.length > 0;
    list.hidden = messages.length === 0;
    list.replaceChildren(...messages.map(messageItem));
    if (atEnd) list.scrollTop = list.scrollHeight;
}

async function showPasskey(tenant, state) {
    const wanted = state?.session.state.startsWith('PASSKEY_') && describe(state, clock()) !== words.gone;
    const step = wanted ? (await files.readFile(tenant, 'passkey.json')).value : null;
    $('passkey').hidden = !step;
    if (step?.request_id !== view.step?.request_id) $('passkey-answer').value = $('passkey-result').textContent = '';
    view.step = step;
    if (!step || !changed('passkey', step)) return;
    $('passkey-tenant').textContent = tenant;
    $('passkey-assert').hidden = step.state !== 'PASSKEY_REQUIRED' || step.phase !== 'await_assertion';
    $('passkey-compare').hidden = step.state !== 'PASSKEY_CONFIRM';
    $('passkey-buttons').hidden = !step.confirm_required || step.phase !== 'await_owner';
    $('passkey-code').textContent = step.code ?? '';
    $('passkey-compare-text').textContent = step.confirm_required ? 'Compare this code with the one on your phone:' : 'If your phone shows a code, it is this one:';
    const page = /^https:\/\/([a-z]+\.)*whatsapp\.com\//.test(step.page ?? '') ? step.page : 'https://web.whatsapp.com/';
    Object.assign($('passkey-page'), { href: page, textContent: page });
    $('passkey-snippet').value = 'navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON('
        + `${JSON.stringify(step.public_key)})}).then(c => console.log(JSON.stringify(c.toJSON())))`;
    $('passkey-phase').textContent = words.phases[step.phase] ?? step.phase;
}

async function showTenant(tenant) {
    const [{ value: state, now }, { value: recent }] =
        await Promise.all([files.readFile(tenant, 'state.json'), files.readFile(tenant, 'recent.json')]);
    if (tenant !== view.tenant) return;
    view.state = state;
    view.skew = now - Date.now();
    $('account').textContent = [state?.account.push_name, number(state?.account.pn)].filter(Boolean).join(' · ');
    showSummary(state);
    showQr(tenant, state);
    countDown();
    showFacts(state);
    showButtons(state);
    showMessages(recent);
    await showPasskey(tenant, state);
}

// ---- what the buttons do ------------------------------------------------------------------------------
function ask([title, text, yes]) {
    $('ask-title').textContent = title;
    $('ask-text').textContent = text;
    $('ask-yes').textContent = yes;
    $('ask').returnValue = 'no';
    $('ask').showModal();
    return new Promise(done => $('ask').addEventListener('close', () => done($('ask').returnValue === 'yes'), { once: true }));
}

async function say(output, work) {
    output.className = 'result';
    output.textContent = 'Waiting for the bridge …';
    try {
        const [good, text] = await work();
        output.classList.add(good ? 'good' : 'bad');
        output.textContent = text;
    } catch (error) {
        output.classList.add('bad');
        output.textContent = error.message;
    }
}

async function run(name) {
    if (words.questions[name] && !await ask(words.questions[name])) return;
    await say($('control-result'), async () => {
        const ack = await files.command(view.tenant, name);
        if (!ack) return [false, `${name}: nobody answered`];
        return [ack.result === 'done', `${name}: ${[words.results[ack.result] ?? ack.result, ack.error ?? ack.detail].filter(Boolean).join('. ')}`];
    });
}

async function send(form) {
    const name = files.ident();
    const to = form.to.value.includes('@') ? form.to.value.trim() : form.to.value.replace(/[^0-9]/g, '');
    await say($('send-result'), async () => {
        await files.drop(view.tenant, 'outbox/new', `${name}.json`, { to, text: form.text.value });
        const result = await files.waitFor(view.tenant, [`outbox/done/${name}.json`, `outbox/failed/${name}.json`], 30);
        if (!result) return [true, 'Queued. It is sent as soon as the bridge can.'];
        if (result.path.startsWith('outbox/failed')) return [false, `Not sent: ${result.value.error?.message ?? result.value.error}`];
        form.text.value = '';
        return [true, 'Sent.'];
    });
}

/** What a console prints may have quotes around it, as a JavaScript string has. */
function readCredential(text) {
    try {
        return JSON.parse(text.trim().replace(/^['"`]+|['"`]+$/g, ''));
    } catch {
        throw new Error(words.refusals.response_malformed);
    }
}

async function answerPasskey(action) {
    const answer = { v: 1, request_id: view.step.request_id, action };
    await say($('passkey-result'), async () => {
        if (action === 'confirm') answer.code = view.step.code;
        if (action === 'assert') answer.credential = readCredential($('passkey-answer').value);
        const ack = await files.command(view.tenant, 'passkey-response.json', answer);
        if (!ack) return [false, 'Nobody answered.'];
        if (ack.result !== 'done') return [false, words.refusals[ack.error] ?? ack.error ?? ack.result];
        $('passkey-answer').value = '';
        return [true, 'Taken.'];
    });
}

async function copySnippet() {
    $('passkey-snippet').select();
    try {
        await navigator.clipboard.writeText($('passkey-snippet').value);
        $('passkey-copy').textContent = 'Copied';
    } catch { // no clipboard without TLS; the line is selected
        $('passkey-copy').textContent = 'Selected: press Ctrl+C';
    }
}

async function pairByCode(form) {
    const phone = form.phone.value.replace(/[^0-9]/g, '');
    await say($('pair-result'), async () => {
        const ack = await files.command(view.tenant, 'pair', { phone });
        if (!ack) return [false, 'Nobody answered.'];
        return ack.result === 'done' ? [true, 'The code comes in a moment, and is good for 3 minutes.'] : [false, ack.error ?? ack.result];
    });
}

$('control').addEventListener('click', event => event.target.dataset.command && run(event.target.dataset.command));
$('send').addEventListener('submit', event => {
    event.preventDefault();
    send(event.target);
});
for (const [id, action] of [['send', 'assert'], ['confirm', 'confirm'], ['reject', 'reject'], ['cancel', 'cancel']])
    $(`passkey-${id}`).addEventListener('click', () => answerPasskey(action));
$('passkey-copy').addEventListener('click', copySnippet);
$('pair').addEventListener('submit', event => {
    event.preventDefault();
    pairByCode(event.target);
});
$('passkey-snippet').addEventListener('focus', event => event.target.select());

// ---- routes and the clock --------------------------------------------------------------------------------
function route() {
    const match = /^#\/([A-Za-z0-9._-]+)$/.exec(location.hash);
    view.tenant = match ? match[1] : null;
    view.state = null;
    view.shown = {};
    $('overview').hidden = view.tenant !== null;
    $('tenant').hidden = view.tenant === null;
    $('tenant-title').textContent = view.tenant ?? '';
    view.step = null;
    for (const id of ['control', 'send', 'pair', 'passkey']) $(`${id}-result`).textContent = '';
    document.title = view.tenant ? `${view.tenant} · wabridge` : 'wabridge';
    look();
}

let looking = false;
async function look() {
    if (looking || document.hidden) return;
    looking = true;
    try {
        await refreshTenants();
        await (view.tenant ? showTenant(view.tenant) : showOverview());
        document.body.classList.remove('offline');
    } catch (error) {
        document.body.classList.add('offline');
    } finally {
        looking = false;
    }
}

addEventListener('hashchange', route);
document.addEventListener('visibilitychange', look);
setInterval(look, LOOK_MS);
setInterval(countDown, 250);
route();
