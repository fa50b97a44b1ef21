// SPDX-License-Identifier: GPL-3.0-or-later
// Test Anything Protocol, and the waiting that every check does: a condition and a deadline.
import { setTimeout as sleep } from 'node:timers/promises';

const DEADLINE_MS = 30000;

/** What no more waiting will mend. */
export class Hopeless extends Error {}

/** Polls until probe() returns something true; its last value or error is told when time is up. */
export async function until(what, probe, ms = DEADLINE_MS, every = 25) {
    const end = Date.now() + ms;
    let last;
    for (;;) {
        try {
            last = await probe();
            if (last) return last;
        } catch (e) {
            if (e instanceof Hopeless) throw e;
            last = e;
        }
        if (Date.now() >= end) break;
        await sleep(every);
    }
    const seen = last instanceof Error ? last.message : JSON.stringify(last);
    throw new Error(`waited ${ms} ms for ${what}; last: ${seen}`);
}

/** The promise, or an error when it takes longer than ms. */
export function within(ms, what, promise) {
    const alarm = new AbortController();
    const late = sleep(ms, undefined, { signal: alarm.signal, ref: false }).then(() => {
        throw new Error(`${what} took longer than ${ms} ms`);
    });
    late.catch(() => {});
    return Promise.race([promise, late]).finally(() => alarm.abort());
}

/** A named list of checks. A check marked `vital` that fails leaves the rest of the suite not run. */
export class Suite {
    constructor(name) {
        this.name = name;
        this.checks = [];
    }

    check(title, fn, { ms = 60000, vital = false } = {}) {
        this.checks.push({ title: `${this.name}: ${title}`, fn, ms, vital });
    }

    declare(tap) {
        tap.declare(this.name, this.checks);
    }

    async run(tap, world) {
        for (const check of this.checks) {
            try {
                await within(check.ms, 'the check', check.fn(world));
                tap.ok(check);
            } catch (e) {
                tap.notOk(check, e);
                if (check.vital || !world.sim.program.running)
                    return tap.abandon(this.name, new Error(`after: ${check.title}`));
            }
        }
    }
}

export class Tap {
    constructor(out) {
        this.out = out;
        this.number = 0;
        this.passed = 0;
        this.failed = 0;
        this.pending = new Map();
    }

    line(text) {
        this.out.write(text + '\n');
    }

    note(text) {
        for (const part of String(text).split('\n')) this.line(`# ${part}`);
    }

    declare(name, checks) {
        for (const check of checks) this.pending.set(check, name);
    }

    plan() {
        this.line('TAP version 13');
        this.line(`1..${this.pending.size}`);
    }

    ok(check) {
        this.pending.delete(check);
        this.passed++;
        this.line(`ok ${++this.number} - ${check.title}`);
    }

    notOk(check, error) {
        this.pending.delete(check);
        this.failed++;
        this.line(`not ok ${++this.number} - ${check.title}`);
        this.note(error?.stack || error);
    }

    /** What is left of a suite that cannot go on. */
    abandon(name, error) {
        for (const [check, suite] of this.pending)
            if (suite === name) this.notOk(check, `not run: ${error.message}`);
    }

    finish() {
        this.line(`${this.passed} passed, ${this.failed} failed`);
    }
}
