// SPDX-License-Identifier: GPL-3.0-or-later
// The portal has words for every state and code that the documents name: words.mjs. Prints TAP.
import { readFileSync } from 'node:fs';

const top = new URL('../../', import.meta.url);
const text = path => readFileSync(new URL(path, top), 'utf8');
const words = await import('data:text/javascript,' + encodeURIComponent(text('container/portal/www/words.js')));
let count = 0, failed = 0;
function equal(name, got, want) {
    count++;
    const good = JSON.stringify(got) === JSON.stringify(want);
    if (!good) failed++;
    console.log(`${good ? 'ok' : 'not ok'} ${count} - ${name}${good ? '' : `\n# wanted ${JSON.stringify(want)}\n# got    ${JSON.stringify(got)}`}`);
}
const part = (document, title) => document.split(new RegExp(`^#+ ${title}$`, 'm'))[1].split(/^#+ /m)[0];
const names = cell => [...cell.matchAll(/`([^`]+)`/g)].map(m => m[1]);
const rows = section => section.split('\n').filter(l => /^\| `/.test(l)).map(l => l.split(' | '));

const codes = rows(part(text('docs/operations.md'), 'Trouble')).flatMap(([first]) => names(first)).filter(n => n !== 'last_error.code').sort();
equal('there are codes', codes.length > 20, true);
equal('each last_error.code has its words', codes.filter(c => !words.remedies[c]), []);

const schema = JSON.parse(text('docs/state.schema.json'));
const sessions = [];
JSON.stringify(schema, (key, value) => (key === 'enum' && value.includes('CONNECTED') && sessions.push(...value), value));
equal('each session.state has its words, and no other', Object.keys(words.states).sort(), sessions.sort());

const volume = text('docs/volume.md');
const counters = rows(part(volume, 'Counters')).flatMap(([first]) => names(first));
equal('each counter shown is one of state.json', words.counters.map(([key]) => key).filter(k => !counters.includes(k)), []);
if (/^### The passkey$/m.test(volume)) {
    const passkey = part(volume, 'The passkey');
    equal('each phase of the passkey has its words', rows(passkey).map(([first]) => names(first)[0]).filter(n => /^(await|submitting|completing)/.test(n)).sort(), Object.keys(words.phases).sort());
    equal('each refusal of an answer is one that can come', Object.keys(words.refusals).filter(n => !passkey.includes(`\`${n}\``)), []);
}
console.log(`1..${count}\n${count - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
