# SPDX-License-Identifier: GPL-3.0-or-later
"""How the cost of one answered message grows with what the tenant has: y ~ x^exponent."""
import subprocess

import machine
from peers import Bridge, wait_for
from steps import Flow



def cost_us(run, w, contacts=10, **how):
    """Processor time for one message; the better of two, since a neighbour can only add to it."""
    flows = [Flow(run, w, run.p.sample, contacts, paired=True, **how) for _ in range(2)]
    return min(f.cpu_s for f in flows) / run.p.sample * 1e6


def stored(run):
    """Messages in the database, put there as another program would, in the documented schema. Their words too:
    the bridge would else be at it for an hour, between the messages that are measured."""
    points, have = [], 0
    w = run.worker(Bridge).link()
    for n in run.p.stored:
        w.stop()
        fill(f'{w.dir}/volume/messages.db', have + 1, n)
        have = n
        w.resume()
        Flow(run, w, 100, 10, paired=True)
        points.append((n, cost_us(run, w)))
    run.figures.grow('processor for one answered', 'us', 'messages in the database', points)


def fill(path, first, last):
    subprocess.run(['sqlite3', path], check=True, text=True, input=f'''
        pragma synchronous = off; pragma cache_size = -200000;
        insert into messages(direction, wa_id, chat, sender, kind, text, sent_at, received_at, status)
        select 'IN', 'FILL' || value, (value % 5000) || '@lid', (value % 5000) || '@lid', 'text',
               'message number ' || value, 1700000000000 + value * 1000, 1700000000000 + value * 1000, 'received'
        from generate_series({first}, {last});
        insert into messages_search(rowid, text)
        select id, text from messages where id > (select searchable from totals) and text is not null;
        update totals set searchable = (select max(id) from messages);''')


def chats(run):
    """Customers that write one after the other; each has a session in keys.db."""
    points = []
    for n in run.p.chats:
        w = run.worker(Bridge).link()
        Flow(run, w, n, n)
        points.append((n, cost_us(run, w, contacts=min(n, run.p.sample))))
        w.stop()
    run.figures.grow('processor for one answered', 'us', 'chats', points)


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
    for step in stored, chats, prekeys, size, group:
        print(f'   growth: {step.__name__}', flush=True)
        step(run)
        run.end_workers()
