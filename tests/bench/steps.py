# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured, one function a step. Each adds its figures and leaves nothing running."""
import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import machine
from peers import BUILD, HERE, Baileys, Bridge, Chromium, Failed, wait_for

MIB = 1048576


class Run:
    """What every step needs: simulator, directory, parameters, figures, who takes part."""

    def __init__(self, sim, work, memory, parameters, figures, peers):
        self.sim, self.work, self.memory = sim, work, memory
        self.p, self.figures, self.peers = parameters, figures, peers
        self.made = 0
        self.workers = []

    def worker(self, kind, in_memory=False, **options):
        self.made += 1
        w = kind(self.sim, f'{self.memory if in_memory else self.work}/{kind.name}-{self.made}', **options)
        self.workers.append(w)
        return w

    def end_workers(self):
        for w in self.workers:
            w.ask_to_stop() # all at once, then one after the other
        for w in self.workers:
            w.stop()
            shutil.rmtree(w.dir, ignore_errors=True)
        self.workers = []

    def linkable(self):
        return [k for k in self.peers if k is not Chromium]


# ---- start ------------------------------------------------------------------------------------------

def start(run):
    """exec to the QR on disk, fresh; exec to connected, linked; SIGTERM to the end."""
    for kind in run.peers:
        w = run.worker(kind)
        for _ in range(run.p.runs):
            w.forget()
            if kind is Chromium:
                run.figures.add('start', 'exec to a browser that answers', 'ms', w.name, w.until_ms(w.state))
            else:
                run.figures.add('start', 'exec to QR on disk', 'ms', w.name, w.until_ms(w.qr))
    for kind in run.linkable():
        w = run.worker(kind).link()
        w.stop()
        for _ in range(run.p.runs):
            if os.path.exists(w.state):
                os.unlink(w.state)
            run.figures.add('start', 'exec to connected, linked', 'ms', w.name, w.until_ms(w.state, '"CONNECTED"'))
        for _ in range(run.p.runs):
            w.resume()
            began = time.monotonic()
            w.stop()
            run.figures.add('start', 'SIGTERM to exit, connected', 'ms', w.name, (time.monotonic() - began) * 1000)


# ---- idle -------------------------------------------------------------------------------------------

def add_memory(run, step, w):
    for kind, n in machine.memory(w.pids()).items():
        run.figures.add(step, f'memory, {kind.replace("_", " ")}', 'MiB', w.name, n / MIB)


def begin(run, kind, **options):
    """Linked, and at work for the second time: what the linking needed is given back."""
    w = run.worker(kind, **options)
    if kind is Chromium:
        w.prepare()
    else:
        w.link()
        w.stop()
    w.resume()
    return w


def idle(run):
    """Linked and idle: memory of processes that have just started, then processor and wake-ups.

    Memory with the files on the disk; wake-ups with the files in memory, since a disk can put a process to
    sleep as well (ext4 with `discard` and without a journal: at each file that is replaced), and woken is
    then counted for what is no wake-up of an idle processor.
    """
    for kind in run.peers:
        w = begin(run, kind)
        for i in range(run.p.runs):
            time.sleep(run.p.settle_s)
            add_memory(run, 'idle', w)
            w.stop()
            if i + 1 < run.p.runs:
                w.resume()
    workers = [begin(run, kind, in_memory=True) for kind in run.peers]
    time.sleep(run.p.settle_s)
    for _ in range(run.p.runs):
        before = [(machine.cpu_s(w.pids()), machine.wakeups(w.pids())) for w in workers]
        time.sleep(run.p.idle_s)
        for w, (cpu, woken) in zip(workers, before):
            scale = 60 / run.p.idle_s
            run.figures.add('idle', 'processor', 'ms/min', w.name, (machine.cpu_s(w.pids()) - cpu) * 1000 * scale)
            run.figures.add('idle', 'wake-ups', '1/min', w.name, (machine.wakeups(w.pids()) - woken) * scale)


# ---- messages -----------------------------------------------------------------------------------------

class Flow:
    """One load on one worker: what it cost."""

    def __init__(self, run, w, messages, contacts, **how):
        pids = w.pids()
        cpu, written = machine.cpu_s(pids), machine.written_bytes(pids)
        sim_cpu = machine.cpu_s([run.sim.process.pid])
        began = time.monotonic()
        run.sim.load(w.phone, messages, contacts, **how)
        if how.get('rate'):
            time.sleep(messages / how['rate']) # who looks on takes a core away from what is measured
        wanted = 'replied_to' if w.answers else 'acked'
        wait_for(f'{messages} messages at {w.name}', lambda: run.sim.progress()[wanted] >= messages,
                 max(run.p.patience_s, messages / 50), 0.1) # seldom: the answer costs the simulator time
        self.progress = run.sim.progress()
        self.seconds = time.monotonic() - began
        self.cpu_s = machine.cpu_s(pids) - cpu
        self.sim_cpu_s = machine.cpu_s([run.sim.process.pid]) - sim_cpu
        self.written = machine.written_bytes(pids) - written
        self.messages = messages


def count_of(run, kind, n):
    """Peers that are an order slower get fewer messages in the same time."""
    return n if kind is Bridge else max(100, n // 5)


def add_flow(run, step, w, flow, verb):
    add = run.figures.add
    add(step, f'{verb} per second', '1/s', w.name, flow.messages / flow.seconds)
    add(step, f'processor for 10,000 {verb}', 's', w.name, flow.cpu_s / flow.messages * 10000)
    add(step, f'written for one {verb}', 'KiB', w.name, flow.written / flow.messages / 1024)


def add_latency(run, step, w, flow):
    for share, member in ('p50', 'p50'), ('p99', 'p99'), ('p99.9', 'p999'):
        run.figures.add(step, f'until answered, {share}', 'ms', w.name, flow.progress['until_answer_us'][member] / 1000)


def messages(run):
    """As fast as it goes: received only, answered, and answered when each contact waits its turn."""
    for kind in run.linkable():
        n = count_of(run, kind, run.p.messages)
        w = run.worker(kind, answers=False).link()
        Flow(run, w, min(n, 200), run.p.contacts)
        for _ in range(run.p.runs):
            add_flow(run, 'received', w, Flow(run, w, n, run.p.contacts), 'received')
        w.stop()
        w = run.worker(kind).link()
        Flow(run, w, min(n, 200), run.p.contacts, paired=True)
        for _ in range(run.p.runs):
            flow = Flow(run, w, n, run.p.contacts, paired=True)
            add_flow(run, 'answered', w, flow, 'answered')
            add_latency(run, 'answered', w, flow)
            add_memory(run, 'under load', w)
        for _ in range(run.p.runs):
            add_flow(run, 'burst', w, Flow(run, w, n, run.p.contacts), 'answered')
        check_readable(run)
        w.stop()


def check_readable(run):
    stats = run.sim.call('/stats')
    for name in 'undecryptable', 'key_reuse':
        run.figures.add('correct', name, 'messages', 'all', stats[name])


PARTS = {'one': 'one synced write at that rate', 'two': 'two synced writes in a row at that rate'}


def add_parts(run, step, w, flow, rate, seconds):
    """Of what the time until an answer consists: what both sides compute, and what the disk does at the same rate
    when nobody computes (as long as the messages took, straight after them)."""
    run.figures.add(step, 'processor for one message', 'us', w.name, flow.cpu_s / flow.messages * 1e6)
    run.figures.add(step, 'processor of its peers in the simulator', 'us', w.name, flow.sim_cpu_s / flow.messages * 1e6)
    if w.name == 'wabridge' and rate == 100:
        for name, us in machine.primitives(BUILD, run.work, rate, seconds).items():
            part, share = name.split('_')
            run.figures.add(step, f'{PARTS[part]}, {share}', 'ms', 'machine', us / 1000)


def latency(run):
    """From a message that its sender has enciphered to its decrypted answer, at steady rates."""
    for kind in run.linkable():
        w = run.worker(kind).link()
        Flow(run, w, 100, run.p.contacts, paired=True)
        for rate, seconds in run.p.rates:
            for _ in range(run.p.runs):
                flow = Flow(run, w, rate * seconds, run.p.contacts, rate=rate)
                step = f'latency at {rate}/s'
                add_latency(run, step, w, flow)
                run.figures.add(step, 'until durable and acknowledged, p99', 'ms', w.name,
                                flow.progress['until_receipt_us']['p99'] / 1000)
                add_parts(run, step, w, flow, rate, seconds)
        w.stop()


# ---- syncs ---------------------------------------------------------------------------------------------

def syncs(run):
    """fsync and fdatasync for one message, seen by strace; how fast is of no interest here."""
    for kind in run.linkable():
        w = run.worker(kind).link()
        n = 300
        for name, how in ('alone', dict(contacts=1, paired=True)), ('flat out', dict(contacts=run.p.contacts)):
            out = f'{run.work}/strace'
            tracer = subprocess.Popen(['strace', '-f', '-c', '-U', 'name,calls', '-e', 'fsync,fdatasync', '-o', out,
                                       '-p', str(w.process.pid)], stderr=subprocess.DEVNULL)
            time.sleep(0.5)
            Flow(run, w, n, **how)
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
            calls = [line.split() for line in machine.read(out).splitlines()]
            total = sum(int(c[1]) for c in calls if len(c) == 2 and c[0] in ('fsync', 'fdatasync'))
            run.figures.add('syncs', f'for one answered, {name}', 'syncs', w.name, total / n)
        w.stop()


# ---- backlogs --------------------------------------------------------------------------------------------

def offline(run):
    """What came while the worker was down: from its start until all is durable, and answered."""
    for kind in run.linkable():
        n = run.p.backlog if kind is Bridge else run.p.backlog // 5
        for _ in range(run.p.few_runs):
            w = run.worker(kind).link()
            w.stop()
            run.sim.load(w.phone, n, run.p.contacts)
            wait_for('the backlog to be written', lambda: run.sim.progress()['sent'] >= n, 120, 0.2)
            began = time.monotonic()
            w.resume()
            for member, verb in ('acked', 'durable'), ('replied_to', 'answered'):
                wait_for(f'the backlog at {w.name}', lambda: run.sim.progress()[member] >= n, run.p.patience_s, 0.05)
                run.figures.add('offline', f'backlog {verb}, per second from the start', '1/s', w.name,
                                n / (time.monotonic() - began), f'{n} messages')
            w.stop()


def outbox(run):
    """Files of the portal, all dropped at once, until the last result is there."""
    n = run.p.outbox
    for _ in range(run.p.few_runs):
        w = run.worker(Bridge).link()
        to = [run.sim.account('Customer') for _ in range(20)]
        box = f'{w.dir}/volume/outbox'
        os.makedirs(f'{w.dir}/volume/outbox/new', exist_ok=True)
        for i in range(n):
            with open(f'{box}/new/.{i}', 'w') as f:
                f.write(f'{{"to":"{to[i % len(to)]}","text":"Your order {i} is ready."}}')
        cpu, began = machine.cpu_s(w.pids()), time.monotonic()
        for i in range(n):
            os.rename(f'{box}/new/.{i}', f'{box}/new/{i}.json')
        wait_for('the outbox', lambda: len(os.listdir(f'{box}/done')) >= n, run.p.patience_s, 0.2)
        run.figures.add('outbox', 'files sent per second', '1/s', w.name, n / (time.monotonic() - began), f'{n} files')
        run.figures.add('outbox', 'processor for 10,000 files', 's', w.name,
                        (machine.cpu_s(w.pids()) - cpu) / n * 10000)
        w.stop()


# ---- tenants -----------------------------------------------------------------------------------------------

def tenants(run):
    """Many bridges on one simulator: what the last ones cost, and what all cost at rest."""
    all_of_them, last = [], None
    available = machine.available_bytes()
    for n in run.p.tenants:
        with ThreadPoolExecutor(4) as pool:
            fresh = [run.worker(Bridge) for _ in range(n - len(all_of_them))]
            for w in fresh:
                w.phone = run.sim.account('Shop')
            all_of_them += pool.map(Bridge.join, fresh)
        time.sleep(run.p.settle_s)
        pss = machine.memory([w.process.pid for w in all_of_them])['pss']
        used = available - machine.available_bytes()
        run.figures.add('tenants', f'memory of {n}, PSS', 'MiB', 'wabridge', pss / MIB)
        if last:
            more = n - last[0]
            run.figures.add('tenants', f'memory of one more, {last[0]} to {n}, PSS', 'MiB', 'wabridge',
                            (pss - last[1]) / MIB / more)
            run.figures.add('tenants', f'memory of one more, {last[0]} to {n}, of the machine, with the simulator',
                            'MiB', 'wabridge', (used - last[2]) / MIB / more)
        last = n, pss, used
    pids = [w.process.pid for w in all_of_them]
    for _ in range(run.p.few_runs):
        cpu, woken = machine.cpu_s(pids), machine.wakeups(pids)
        time.sleep(run.p.idle_s)
        scale = 60 / run.p.idle_s / len(pids)
        run.figures.add('tenants', 'processor of 1,000 idle', 's/min', 'wabridge',
                        (machine.cpu_s(pids) - cpu) * scale * 1000)
        run.figures.add('tenants', 'wake-ups and waits for the disk of one idle', '1/min', 'wabridge', (machine.wakeups(pids) - woken) * scale)


# ---- sizes ---------------------------------------------------------------------------------------------------

def tree_bytes(*paths):
    sizes = machine.output('du', '-sLc', '--block-size=1', *paths).split('\n')
    return int(sizes[-1].split()[0])


def with_libraries(program):
    lines = machine.output('ldd', program).split('\n')
    return {os.path.realpath(program)} | {os.path.realpath(x.split()[2]) for x in lines if '=> /' in x}


def sizes(run):
    """What has to be on a disk to run it: the program and its libraries, without an operating system."""
    stripped = f'{run.work}/stripped'
    subprocess.run(['strip', '-o', stripped, f'{BUILD}/wabridge'], check=True)
    add = run.figures.add
    add('size', 'program, stripped', 'MiB', 'wabridge', os.path.getsize(stripped) / MIB)
    add('size', 'with libraries', 'MiB', 'wabridge',
        tree_bytes(stripped, *(with_libraries(f'{BUILD}/wabridge') - {f'{BUILD}/wabridge'})) / MIB)
    if Baileys in run.peers:
        add('size', 'with libraries', 'MiB', 'Baileys',
            tree_bytes(f'{Baileys.home}/node_modules', *with_libraries(Baileys.node())) / MIB)
    if Chromium in run.peers:
        add('size', 'with libraries', 'MiB', 'Chromium', tree_bytes('/usr/lib/chromium') / MIB)


STEPS = {f.__name__: f for f in (sizes, start, idle, messages, latency, syncs, offline, outbox, tenants)}
