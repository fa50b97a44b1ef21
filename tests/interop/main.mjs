// SPDX-License-Identifier: GPL-3.0-or-later
// Runs the suites one after the other, each with a simulator of its own, and prints TAP.
import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { format } from 'node:util';

import { Tap } from './lib/tap.mjs';
import { Simulator } from './lib/sim.mjs';
import { trustRoot } from './lib/device.mjs';
import { phones } from './suites/phones.mjs';
import { bridge } from './suites/bridge.mjs';
import { groups } from './suites/groups.mjs';
import { lost } from './suites/lost.mjs';
import { devices } from './suites/devices.mjs';
import { lid } from './suites/lid.mjs';
import { backlog } from './suites/backlog.mjs';
import { kinds } from './suites/kinds.mjs';
import { pairing } from './suites/pairing.mjs';
import { media } from './suites/media.mjs';
import { state } from './suites/state.mjs';

const suites = { phones, bridge, groups, lost, devices, lid, backlog, kinds, pairing, media, state };
const wanted = (process.env.INTEROP_SUITES || Object.keys(suites).join(' ')).split(/\s+/);
const logs = process.env.INTEROP_LOGS;
const build = process.env.BUILDDIR;
const vectors = process.env.INTEROP_VECTORS;

// The Signal library of Baileys talks on the console; standard output belongs to TAP.
const noise = createWriteStream(path.join(logs, 'console.log'));
for (const name of ['log', 'info', 'warn', 'error', 'debug'])
    console[name] = (...args) => noise.write(format(...args) + '\n');
process.on('unhandledRejection', e => console.error('unhandled rejection', e));
// An exit, unlike a death by signal, takes the started programs along (lib/process.mjs).
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'])
    process.on(signal, () => {
        tap.line(`Bail out! ${signal}`);
        process.exit(1);
    });

const tap = new Tap(process.stdout);
for (const name of wanted) suites[name].declare(tap);
tap.plan();
for (const name of wanted) {
    const world = { build, vectors, logs: path.join(logs, name), closers: [] };
    try {
        world.sim = await Simulator.start(path.join(build, 'wabridge-sim'), world.logs);
        world.closers.push(() => world.sim.stop());
        trustRoot(world.sim.noiseRoot);
        await suites[name].run(tap, world);
    } catch (e) {
        tap.abandon(name, e);
    }
    for (const close of world.closers.reverse())
        await close().catch(e => tap.note(`while closing ${name}: ${e.message}`));
}
tap.finish();
process.exit(tap.failed ? 1 : 0);
