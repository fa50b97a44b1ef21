# SPDX-License-Identifier: GPL-3.0-or-later
"""How the cost of one answered message grows with what the tenant has: y ~ x^exponent."""
import os
import subprocess
import time

import machine
from peers import Bridge, wait_for
from steps import MIB, Flow


WINDOW = 10 # messages under way at a time, whatever grows
PACE, PACED_S = 100, 3


def cost_us(run, w, contacts=10, first=1, **how):
    """Processor time for one message; the better of two, since a neighbour can only add to it. With many
    contacts the second time others of them write: what was just used is no measure of what was long at rest."""
    turns = [first, first + contacts if first + 2 * contacts <= how.pop('of', 0) + 1 else first]
    flows = [Flow(run, w, run.p.sample, contacts, paired=True, window=WINDOW, first=f, **how) for f in turns]
    return min(f.cpu_s for f in flows) / run.p.sample * 1e6


class Growing:
    """One worker while something of it grows: what an answer costs, how long it takes, what it occupies."""

    def __init__(self, run, against):
        self.run, self.against = run, against
        self.w = run.worker(Bridge).link()
        self.points = {}

    def add(self, figure, unit, n, y):
        self.points.setdefault((figure, unit), []).append((n, y))

    def measure(self, n, **how):
        run, w = self.run, self.w
        self.add('processor for one answered', 'us', n, cost_us(run, w, **how))
        how.pop('of', None)
        paced = Flow(run, w, PACE * PACED_S, rate=PACE, **{'contacts': 10, **how})
        self.add(f'until answered at {PACE}/s, p50', 'ms', n, paced.progress['until_answer_us']['p50'] / 1000)
        time.sleep(run.p.settle_s)
        self.add('private dirty memory at rest', 'MiB', n, machine.memory(w.pids())['private_dirty'] / MIB)
        for path in 'private/keys.db', 'volume/messages.db':
            self.add(os.path.basename(path), 'MiB', n, os.path.getsize(f'{w.dir}/{path}') / MIB)

    def end(self):
        self.w.stop()
        for (figure, unit), points in self.points.items():
            self.run.figures.grow(figure, unit, self.against, points)


def stored(run):
    """Messages in the database, put there as another program would, in the documented schema. Their words too:
    the bridge would else be at it for an hour, between the messages that are measured."""
    growing, have = Growing(run, 'messages in the database'), 0
    w = growing.w
    for n in run.p.stored:
        w.stop()
        began = time.monotonic()
        fill(f'{w.dir}/volume/messages.db', have + 1, n)
        os.sync() # gigabytes on their way to the disk would hold up the commits that are measured
        print(f'   {n:,} messages: {time.monotonic() - began:.0f} s', flush=True)
        have = n
        w.resume()
        Flow(run, w, 100, 10, paired=True)
        growing.measure(n)
    growing.end()


def fill(path, first, last):
    """An index that is made over all rows at once is written in order; kept row by row it is not."""
    indices = machine.output('sqlite3', path, "select name || char(9) || replace(sql, char(10), ' ') from sqlite_schema"
                             " where tbl_name = 'messages' and type = 'index' and sql is not null")
    names, made = zip(*(line.split('\t') for line in indices.split('\n')))
    subprocess.run(['sqlite3', path], check=True, text=True, stdout=subprocess.DEVNULL, input=f'''
        pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -1000000; pragma temp_store = memory;
        begin;
        {''.join(f'drop index {name};' for name in names)}
        insert into messages(direction, wa_id, chat, sender, kind, text, sent_at, received_at, status)
        select 'IN', 'FILL' || value, (value % 5000) || '@lid', (value % 5000) || '@lid', 'text',
               'message number ' || value, 1700000000000 + value * 1000, 1700000000000 + value * 1000, 'received'
        from generate_series({first}, {last});
        {';'.join(made)};
        insert into messages_search(rowid, text)
        select id, text from messages where id > (select searchable from totals) and text is not null;
        update totals set searchable = (select max(id) from messages);
        commit; pragma journal_mode = wal;''')


def chats(run):
    """Customers that write for the first time; each has a session in keys.db. Those that are measured are
    the ones that were silent for the longest time."""
    growing, have = Growing(run, 'chats'), 0
    for n in run.p.chats:
        began = time.monotonic()
        Flow(run, growing.w, n - have, n - have, first=have + 1)
        print(f'   {n:,} chats: {time.monotonic() - began:.0f} s', flush=True)
        have = n
        growing.measure(n, contacts=min(n, run.p.sample), of=n)
    growing.end()


def prekeys(run):
    points = []
    w = run.worker(Bridge).link()
    for n in run.p.prekeys:
        while stored_prekeys(w) < n:
            before = stored_prekeys(w)
            run.sim.call(f'/accounts/{w.phone}/refill', {'count': 1})
            wait_for('more prekeys', lambda: stored_prekeys(w) > before, 30)
        points.append((stored_prekeys(w), cost_us(run, w)))
    run.figures.grow('processor for one answered', 'us', 'one-time prekeys', points)


def stored_prekeys(w):
    return int(machine.output('sqlite3', '-readonly', f'{w.dir}/private/keys.db', 'select count(*) from prekey') or 0)


def size(run):
    points = []
    w = run.worker(Bridge).link()
    for n in run.p.sizes:
        points.append((n, cost_us(run, w, size=n)))
    run.figures.grow('processor for one answered', 'us', 'bytes of its text', points)


def group(run):
    """One member writes, the bridge answers to all of them."""
    points = []
    for n in run.p.groups:
        w = run.worker(Bridge).link()
        members = [run.sim.account('Member') for _ in range(n - 1)]
        gid = run.sim.call('/groups', {'creator': members[0], 'subject': 'Growth'})['id']
        for phone in [*members[1:], w.phone]:
            run.sim.call(f'/groups/{gid}/add', {'phone': phone})
        times = max(20, run.p.sample // 10)
        talk(run, w, gid, members[0], 1)
        before = machine.cpu_s(w.pids())
        talk(run, w, gid, members[0], times)
        points.append((n, (machine.cpu_s(w.pids()) - before) / times * 1e6))
        w.stop()
    run.figures.grow('processor for one answered', 'us', 'members of the group', points)


def talk(run, w, gid, phone, times):
    have = answers(w)
    for i in range(times):
        run.sim.call(f'/accounts/{phone}/send', {'to': gid, 'text': f'number {i}'})
    wait_for('answers in a group', lambda: answers(w) >= have + times, 120, 0.1)


def answers(w):
    return int(machine.output('sqlite3', '-cmd', '.timeout 3000', f'file:{w.dir}/volume/messages.db?mode=ro',
                              "select count(*) from messages where direction = 'OUT'"
                              " and status in ('sent', 'delivered', 'read')") or 0)


def growth(run):
    """Cost of one answered message against stored messages, chats, prekeys, group, text."""
    for step in stored, prekeys, size, group, chats: # last what the simulator remembers for good
        print(f'   growth: {step.__name__}', flush=True)
        step(run)
        run.end_workers()
