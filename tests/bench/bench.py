#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""bench.py [--runs N] [--quick] [--steps a,b [--again]] [--without PEER] [--docs]

Measures the bridge beside what a user would run instead, on one simulator in one run, and writes
BUILDDIR/bench.json. --docs also renders docs/performance.md and its charts from it; --docs-only only that.
TMPDIR decides which file system is measured. Takes 35 to 40 minutes on two cores that do nothing else;
--quick, which shows only that everything works, three.
"""
import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

import growth
import limit
import machine
import render
import steps
from figures import Figures
from peers import BUILD, Baileys, Bridge, Chromium, Failed, Simulator

FULL = dict(runs=5, few_runs=3, settle_s=5, idle_s=60, messages=5000, contacts=100, patience_s=240,
            rates=((10, 8), (100, 8), (1000, 2)), backlog=10000, outbox=10000, tenants=(1, 10, 100, 1000),
            sample=1000, stored=(1000, 10000, 100000, 1000000, 10000000), chats=(10, 100, 1000, 10000, 100000),
            prekeys=(800, 2000, 4000), sizes=(100, 1000, 10000, 50000), groups=(3, 16, 64, 256))
QUICK = dict(FULL, runs=2, few_runs=1, settle_s=3, idle_s=30, messages=1000, rates=((10, 3), (100, 3), (1000, 1)),
             backlog=1000, outbox=1000, tenants=(1, 10, 50), sample=200, stored=(1000, 10000), chats=(10, 100),
             prekeys=(800, 1600), sizes=(100, 10000), groups=(3, 16))
ALL = {**steps.STEPS, 'growth': growth.growth, 'limit': limit.limit}


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--runs', type=int, help='of each figure; 5')
    parser.add_argument('--quick', action='store_true')
    parser.add_argument('--steps', default=','.join(ALL), help='of ' + ', '.join(ALL))
    parser.add_argument('--again', action='store_true', help='these steps; the other figures stay those of the last run')
    parser.add_argument('--without', action='append', default=[], help='leave out Baileys or Chromium')
    parser.add_argument('--stored-max', type=int, help='messages in the largest database; 10000000')
    parser.add_argument('--chats-max', type=int, help='chats of the tenant that has most; 100000')
    parser.add_argument('--docs', action='store_true')
    parser.add_argument('--docs-only', action='store_true')
    return parser.parse_args()


def parameters(o):
    p = SimpleNamespace(**(QUICK if o.quick else FULL))
    p.runs = o.runs or p.runs
    p.stored = up_to(o.stored_max, p.stored)
    p.chats = up_to(o.chats_max, p.chats)
    return p


def up_to(most, points):
    return tuple(n for n in points if not most or n <= most)


def peers_here(without):
    here = [Bridge]
    if 'Baileys' not in without:
        if Baileys.install():
            here.append(Baileys)
        else:
            print('== Baileys could not be installed: measured without it')
    if 'Chromium' not in without and shutil.which('chromium'):
        here.append(Chromium)
    return here


def measure(o, work, memory):
    p = parameters(o)
    figures = Figures(dict(schema='wabridge.bench/1', at=time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()),
                           machine=machine.describe(work, BUILD), parameters=vars(p)))
    if o.again:
        figures.keep(f'{BUILD}/bench.json', o.steps)
    peers = peers_here(o.without)
    failures = 0
    os.sync() # pages of a program that was just linked count as dirty memory of who runs it
    for name in o.steps.split(','):
        began = time.monotonic()
        print(f'== {name}: {ALL[name].__doc__.splitlines()[0]}', flush=True)
        sim = Simulator(work)
        run = steps.Run(sim, work, memory, p, figures, peers)
        try:
            ALL[name](run)
        except (Failed, OSError, subprocess.SubprocessError) as e:
            failures += 1
            print(f'   FAILED: {e}', flush=True)
        finally:
            run.end_workers()
            sim.close()
        print(f'   {time.monotonic() - began:.0f} s', flush=True)
        figures.save(f'{BUILD}/bench.json')
    return failures


def main():
    o = options()
    failures = 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)) # ends what was started, too
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 16384), most))
    if not o.docs_only:
        with tempfile.TemporaryDirectory(prefix='wabridge-bench-') as work, \
             tempfile.TemporaryDirectory(prefix='wabridge-bench-', dir='/dev/shm') as memory:
            failures = measure(o, work, memory)
    render.text(f'{BUILD}/bench.json', sys.stdout)
    if o.docs or o.docs_only:
        render.docs(f'{BUILD}/bench.json')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
