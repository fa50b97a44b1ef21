// SPDX-License-Identifier: GPL-3.0-or-later
// The portal in headless Chromium against a live bridge: portal.mjs URL TENANT CONTROL PHONE CONTACT PICTURES VOLUME
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';

const [url, tenant, control, phone, contact, pictures, volume] = process.argv.slice(2);
const OWNER = { username: 'owner', password: 'secret' };
let count = 0, failed = 0;

async function check(name, work) {
    count++;
    try {
        await work();
        console.log(`ok ${count} - ${name}`);
    } catch (error) {
        failed++;
        console.log(`not ok ${count} - ${name}\n# ${String(error.message).replaceAll('\n', '\n# ')}`);
    }
}
const equal = (got, want) => {
    if (got !== want) throw new Error(`wanted ${JSON.stringify(want)}, got ${JSON.stringify(got)}`);
};
const post = async (path, body) => {
    const answer = await fetch(control + path, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
};
const authorization = 'Basic ' + Buffer.from('owner:secret').toString('base64');
const ask = async (method, path, headers = {}, body = undefined) =>
    (await fetch(url + path, { method, headers: { authorization, ...headers }, body })).status;

// ---- the server alone ------------------------------------------------------------------------------
await check('nobody gets in without the password', async () => equal((await fetch(url)).status, 401));
for (const path of ['messages.db', 'qr.txt', 'control/', 'outbox/new/', 'logs/wabridge.log', 'control/ack/', '../'])
    await check(`${path} is not served`, async () => equal([403, 404].includes(await ask('GET', `/tenants/${tenant}/${path}`)) || path === '../', true));
for (const [method, path, headers] of [
    ['PUT', 'state.json'], ['PUT', 'control/reload'], ['PUT', 'control/ack/.x'], ['PUT', 'outbox/done/.x'], ['PUT', 'outbox/new/x.json'],
    ['DELETE', 'state.json'], ['DELETE', 'control/ack'], ['MKCOL', 'control/x/'], ['COPY', 'state.json', { Destination: `/tenants/${tenant}/control/stop` }],
    ['MOVE', 'state.json', { Destination: `/tenants/${tenant}/control/stop` }], ['MOVE', 'control/.x', { Destination: `/tenants/${tenant}/state.json` }],
    ['MOVE', 'control/.x', { Destination: `/tenants/${tenant}/control/ack/x.json` }], ['MOVE', 'control/.x', { Destination: '/tenants/other/control/stop' }],
]) await check(`${method} ${path} ${headers ? 'to ' + headers.Destination.replace(`/tenants/${tenant}/`, '') + ' ' : ''}is refused`,
    async () => equal(await ask(method, `/tenants/${tenant}/${path}`, headers, method === 'PUT' ? 'x' : undefined), 403));
await check('a page of another site may not ask', async () => {
    const answer = await fetch(`${url}/tenants/${tenant}/control/.x`, { method: 'OPTIONS', headers: { Origin: 'https://other.example', 'Access-Control-Request-Method': 'PUT' } });
    equal(answer.headers.get('access-control-allow-origin'), null);
});

await check('a file of a message is served to be saved, not shown', async () => {
    mkdirSync(`${volume}/media`, { recursive: true });
    writeFileSync(`${volume}/media/1.html`, '<script>alert(1)</script>');
    const answer = await fetch(`${url}/tenants/${tenant}/media/1.html`, { headers: { authorization } });
    equal([answer.status, answer.headers.get('content-type'), answer.headers.get('x-content-type-options')].join(), '200,application/octet-stream,nosniff');
    equal(await ask('GET', `/tenants/${tenant}/media/`), 404);
    equal(await ask('PUT', `/tenants/${tenant}/media/.x`, {}, 'x'), 403);
    rmSync(`${volume}/media/1.html`);
});

// ---- in the browser --------------------------------------------------------------------------------
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic',
    '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
const problems = [];
async function open(options) {
    const context = await browser.newContext({ httpCredentials: OWNER, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(15000);
    page.on('pageerror', error => problems.push(error.message));
    page.on('console', m => /Content.Security|refused to/i.test(m.text()) && problems.push(m.text()));
    return page;
}
const desktop = await open({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' });
const mobile = await open({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, colorScheme: 'dark', isMobile: true, hasTouch: true });
// A page in the background stands still, as it should.
async function picture(page, name) {
    await page.bringToFront();
    await page.waitForFunction(text => document.querySelector('#badge').textContent === text, await desktop.textContent('#badge'));
    await page.evaluate(() => scrollTo(0, 0));
    await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
    await desktop.bringToFront();
}
const shows = (page, selector, text) => page.waitForFunction(([s, t]) => document.querySelector(s).textContent.includes(t), [selector, text]);

await check('the overview lists the tenants', async () => {
    await desktop.goto(url);
    await desktop.click(`#cards a[href="#/${tenant}"]`);
});
await mobile.goto(`${url}/#/${tenant}`);
await check('the QR appears', () => desktop.waitForFunction(() => document.querySelector('#qr').naturalWidth > 0 && document.querySelector('#qr').checkVisibility()));
await check('… and on a phone', () => mobile.waitForSelector('#qr', { state: 'visible' }));
await desktop.bringToFront();
await check('… with a countdown', () => shows(desktop, '#countdown', 'A new code comes in'));
await picture(desktop, '1-qr-desktop-light');
await picture(mobile, '2-qr-phone-dark');
await check('a phone number gets a pairing code', async () => {
    await desktop.click('#by-code summary');
    await desktop.fill('#pair-phone', `+${phone}`);
    await desktop.click('#pair button');
    await shows(desktop, '#pair-result', 'The code comes');
    await desktop.waitForFunction(() => /^[0-9A-Z]{4}-[0-9A-Z]{4}$/.test(document.querySelector('#pairing-code').textContent));
    await picture(desktop, '2b-pairing-code-desktop-light');
});
await check('… and a number that is none is refused in words', async () => {
    await desktop.fill('#pair-phone', '0000000');
    await desktop.click('#pair button');
    await desktop.waitForSelector('#pair-result.bad');
});
await check('it rotates', async () => {
    const before = await desktop.getAttribute('#qr', 'src');
    await desktop.waitForFunction(b => document.querySelector('#qr').src && !document.querySelector('#qr').src.endsWith(b), before, { timeout: 75000 }); // the first lives a minute
});
await check('a phone can scan it off the screen; the bridge is linked', async () => {
    let last;
    for (let i = 0; i < 5; i++) { // it may rotate between the picture and the scan
        await desktop.waitForSelector('#qr', { state: 'visible' });
        await desktop.screenshot({ path: `${pictures}/screen.png` });
        const qr = execFileSync('zbarimg', ['--nodbus', '--raw', '-q', `${pictures}/screen.png`]).toString().trim();
        try {
            await post(`/accounts/${phone}/scan`, { qr });
            return;
        } catch (error) {
            last = error;
        }
    }
    throw last;
});
await check('the QR disappears when linked', () => desktop.waitForSelector('#link', { state: 'hidden' }));
await check('the state changes to connected, and is announced', async () => {
    await shows(desktop, '#badge', 'Connected');
    await shows(desktop, '#live', 'All is well');
});
await check('a message and its answer appear', async () => {
    await post(`/accounts/${contact}/send`, { to: phone, text: 'Hello <b>there</b> ☕' });
    await desktop.waitForFunction(() => document.querySelectorAll('#messages li').length >= 2);
    await shows(desktop, '#messages li p', 'Hello <b>there</b> ☕');
    await desktop.waitForSelector('#messages li.own .mark.delivered, #messages li.own .mark.read');
});
await check('a message with a file has a link to save it', async () => {
    await desktop.route('**/recent.json', async route => {
        const recent = await (await route.fetch()).json();
        recent.messages[0].media_file = '7.jpg';
        await route.fulfill({ json: recent });
    });
    await desktop.waitForSelector(`#messages a[download="7.jpg"][href="tenants/${tenant}/media/7.jpg"]`);
    await desktop.unroute('**/recent.json');
});
await check('the counters follow', () => desktop.waitForFunction(() => [...document.querySelectorAll('#counters div')].some(d => d.textContent === 'Received1')));
await check('reload is acknowledged', async () => {
    await desktop.click('[data-command=reload]');
    await shows(desktop, '#control-result', 'reload: Done');
});
await check('what cannot be done is disabled', async () => equal(await desktop.isDisabled('[data-command=pair]'), true));
await check('a message is put into the outbox', async () => {
    await desktop.fill('#to', `+${contact}`);
    await desktop.fill('#text', 'From the portal');
    await desktop.click('#send button');
    await desktop.waitForFunction(() => /Sent\.|Queued/.test(document.querySelector('#send-result').textContent), null, { timeout: 45000 });
    const files = ['new', 'done'].flatMap(d => readdirSync(`${volume}/outbox/${d}`)).filter(n => /^portal-.*\.json$/.test(n));
    equal(files.length, 1);
});
await picture(desktop, '3-connected-desktop-light');
await picture(mobile, '4-connected-phone-dark');
await check('everything can be reached by keyboard', async () => {
    const reached = new Set();
    await desktop.evaluate(() => document.activeElement.blur());
    for (let i = 0; i < 25; i++) {
        await desktop.keyboard.press('Tab');
        reached.add(await desktop.evaluate(() => document.activeElement.id || document.activeElement.dataset.command || document.activeElement.className));
    }
    for (const name of ['skip', 'brand', 'messages', 'to', 'text', 'reload', 'logout', 'stop'])
        if (!reached.has(name)) throw new Error(`${name} was not reached: ${[...reached]}`);
});
await check('every control has a name', async () => {
    const nameless = await desktop.$$eval('button, input, textarea, a, img', all => all.filter(e => e.checkVisibility() &&
        !(e.textContent.trim() || e.ariaLabel || e.labels?.length || e.hasAttribute('alt'))).map(e => e.outerHTML));
    equal(nameless.join(), '');
});
await check('nothing is wider than a phone', async () => equal(await mobile.evaluate(() => document.documentElement.scrollWidth > innerWidth), false));
await check('unlink asks first', async () => {
    await desktop.click('[data-command=logout]');
    await desktop.waitForSelector('#ask[open]');
    await picture(desktop, '5-question-desktop-light');
    await desktop.keyboard.press('Escape');
    equal(await desktop.textContent('#badge'), 'Connected');
});
await check('unlink, then a new QR on request', async () => {
    await desktop.click('[data-command=logout]');
    await desktop.click('#ask-yes');
    await shows(desktop, '#badge', 'Unlinked');
    await shows(desktop, '#control-result', 'logout: Done');
    await picture(desktop, '6-unlinked-desktop-light');
    await desktop.click('[data-command=pair]:not(:disabled)');
    await shows(desktop, '#control-result', 'pair: Done');
    await desktop.waitForSelector('#qr', { state: 'visible' });
});

// ---- the passkey -----------------------------------------------------------------------------------
const scanScreen = async () => {
    await desktop.screenshot({ path: `${pictures}/screen.png` });
    return post(`/accounts/${phone}/scan`, { qr: execFileSync('zbarimg', ['--nodbus', '--raw', '-q', `${pictures}/screen.png`]).toString().trim() });
};
const step = () => JSON.parse(readFileSync(`${volume}/passkey.json`, 'utf8'));
const answer = async text => {
    await desktop.fill('#passkey-answer', text);
    await desktop.click('#passkey-send');
};
await check('after the scan of an account with a passkey its steps are shown', async () => {
    await post(`/accounts/${phone}/passkey`, {});
    await scanScreen();
    await desktop.waitForSelector('#passkey-assert', { state: 'visible' });
    await shows(desktop, '#badge', 'Passkey');
    await desktop.waitForSelector('#link', { state: 'hidden' });
    equal((await desktop.inputValue('#passkey-snippet')).includes(step().public_key.challenge), true);
    await shows(desktop, '#passkey-countdown', 'Time for this');
    equal(await desktop.isVisible('#error'), false); // that it was unlinked before is over
});
await picture(desktop, '6b-passkey-desktop-light');
await picture(mobile, '6c-passkey-phone-dark');
await check('what is no answer is refused in words', async () => {
    await answer('undefined');
    await shows(desktop, '#passkey-result', 'This is not the whole answer');
});
await check('an answer from another page is refused in words', async () => {
    const { credential } = await post(`/accounts/${phone}/assert`, { public_key: step().public_key, origin: 'https://portal.example' });
    await answer(JSON.stringify(credential));
    await shows(desktop, '#passkey-result', 'WhatsApp’s own page');
});
await check('the right one links the device', async () => {
    const { credential } = await post(`/accounts/${phone}/assert`, { public_key: step().public_key });
    await answer(`'${JSON.stringify(credential)}'`);
    await shows(desktop, '#badge', 'Connected');
    await desktop.waitForSelector('#passkey', { state: 'hidden' });
});
await check('a code to compare is shown, and its buttons answer', async () => {
    const state = JSON.parse(readFileSync(`${volume}/state.json`, 'utf8'));
    Object.assign(state, { status: 'QR_PENDING', session: { state: 'PASSKEY_CONFIRM', since: state.session.since } });
    await desktop.route('**/state.json', route => route.fulfill({ json: { ...state, heartbeat: { ...state.heartbeat, at: new Date().toISOString() } } }));
    await desktop.route('**/passkey.json', route => route.fulfill({ json: { v: 1, state: 'PASSKEY_CONFIRM', phase: 'await_owner', request_id: 'ab12',
        issued_at: new Date().toISOString(), expires_at: new Date(Date.now() + 90000).toISOString(), code: 'K7QX-2MZP', confirm_required: true, last_error: null } }));
    await desktop.route('**/control/.*', route => route.fulfill({ status: 201 }));
    const puts = (button, text) => Promise.all([
        desktop.waitForRequest(r => r.method() === 'PUT' && r.postData().includes(text)), desktop.click(button)]);
    await shows(desktop, '#passkey-code', 'K7QX-2MZP');
    await picture(desktop, '6d-compare-desktop-light');
    await puts('#passkey-confirm', '"action":"confirm","code":"K7QX-2MZP"');
    await puts('#passkey-reject', '"action":"reject"');
    await desktop.unroute('**/control/.*');
    await desktop.unroute('**/passkey.json');
    await desktop.unroute('**/state.json');
    await shows(desktop, '#badge', 'Connected');
});
await check('chats can be given back to the bridge', async () => {
    await desktop.click('[data-command=release]');
    await desktop.click('#ask-yes');
    await shows(desktop, '#control-result', 'release: Done');
});
await check('stop is acknowledged and shown', async () => {
    await desktop.click('[data-command=stop]');
    await desktop.click('#ask-yes');
    await shows(desktop, '#control-result', 'stop: Done');
    await shows(desktop, '#badge', 'Stopped');
    equal(await desktop.isVisible('#error'), false);
});
await picture(mobile, '7-stopped-phone-dark');
await check('no script failed and no policy was broken', async () => equal(problems.join('; '), ''));
await browser.close();
console.log(`1..${count}\n${count - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
