// SPDX-License-Identifier: GPL-3.0-or-later
// The files of a tenant over HTTP: reads, and writes under a name with a dot, then renames.

export const at = (tenant, path) => `tenants/${encodeURIComponent(tenant)}/${path}`;

export const ident = () => 'portal-' + crypto.getRandomValues(new Uint32Array(4)).reduce((s, n) => s + n.toString(36), '');

/** {value, now}: the document, and the clock of the server; value null when there is no such file. */
async function read(url) {
    const answer = await fetch(url, { cache: 'no-store' });
    const now = Date.parse(answer.headers.get('Date')) || Date.now();
    if (answer.status === 404 || answer.status === 403) return { value: null, now };
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return { value: await answer.json(), now };
}

export const readFile = (tenant, path) => read(at(tenant, path));

export async function tenants() {
    const { value } = await read('tenants/');
    return (value ?? []).filter(e => e.type === 'directory').map(e => e.name).sort();
}

async function request(method, url, headers, body) {
    const answer = await fetch(url, { method, headers, body });
    if (!answer.ok) throw new Error(`the portal could not write: HTTP ${answer.status}`);
}

/** Writes directory/name so that it is there at once or not at all. */
export async function drop(tenant, directory, name, document) {
    const temporary = at(tenant, `${directory}/.${ident()}`);
    const target = new URL(at(tenant, `${directory}/${name}`), location.href).href;
    await request('PUT', temporary, { 'Content-Type': 'application/json' }, JSON.stringify(document));
    await request('MOVE', temporary, { Destination: target, Overwrite: 'T' });
}

/** The first of the paths that appears, as {path, value}; null when none did in time. */
export async function waitFor(tenant, paths, seconds) {
    const deadline = performance.now() + seconds * 1000;
    while (performance.now() < deadline) {
        for (const path of paths) {
            const { value } = await readFile(tenant, path);
            if (value) return { path, value };
        }
        await new Promise(done => setTimeout(done, 300));
    }
    return null;
}

/** Writes control/name, with more members if there are any; its acknowledgement, or null. */
export async function command(tenant, name, more = {}, seconds = 15) {
    const id = ident();
    await drop(tenant, 'control', name, { ...more, id });
    return (await waitFor(tenant, [`control/ack/${id}.json`], seconds))?.value ?? null;
}
