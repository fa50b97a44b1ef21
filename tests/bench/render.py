# SPDX-License-Identifier: GPL-3.0-or-later
"""bench.json as text, and as docs/performance.md with charts."""
import json
import os
import subprocess

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../docs')
COLOURS = {'wabridge': 0x2a7f62, 'Baileys': 0xd98032, 'Chromium': 0x5b7db1}
PEERS = 'wabridge', 'Baileys', 'Chromium', 'machine', 'all'


def load(path):
    with open(path) as f:
        return json.load(f)


def find(bench, step, figure, who='wabridge'):
    for r in bench['figures']:
        if (r['step'], r['figure'], r['who']) == (step, figure, who):
            return r['median']
    return None


def ratio(bench, step, figure, larger_is_better=False):
    """How many times better than Baileys in the same run."""
    own, other = find(bench, step, figure), find(bench, step, figure, 'Baileys')
    if not own or not other:
        return None
    return own / other if larger_is_better else other / own


def number(x):
    if x is None:
        return '–'
    if x == 0 or abs(x) >= 1000:
        return f'{x:,.0f}'
    return f'{x:.3g}'


# ---- targets ------------------------------------------------------------------------------------------

def at_least(what, value, wanted, unit='×'):
    return what, f'≥ {wanted} {unit}', value, None if value is None else value >= wanted


def at_most(what, value, wanted, unit):
    return what, f'≤ {wanted} {unit}', value, None if value is None else value <= wanted


def last_tenants(bench):
    own = [r for r in bench['figures'] if r['figure'].startswith('memory of one more') and 'PSS' in r['figure']]
    return own[-1]['median'] if own else None


def of_processor(bench):
    return [s for s in bench['growth'] if s['unit'] == 'us']


def stored_growth(bench):
    points = next((s['points'] for s in of_processor(bench) if s['against'] == 'messages in the database'), None)
    within = [y for x, y in points or [] if x <= 1000000]
    return (within[-1] / within[0] - 1) * 100 if within else None


def at_100(bench, share):
    return find(bench, 'latency at 100/s', f'until answered, {share}')


def paced_us(bench, share, writes='one synced write'):
    ms = find(bench, 'latency at 100/s', f'{writes} at that rate, {share}', 'machine')
    return ms * 1000 if ms else None


def targets(bench):
    r = lambda *a: ratio(bench, *a)
    sync = find(bench, 'limit', 'primitive: sync', 'machine')
    in_syncs = lambda share, unit_us: (ms * 1000 / unit_us if (ms := at_100(bench, share)) and unit_us else None)
    readable = find(bench, 'correct', 'undecryptable', 'all')
    return [
        at_least('private dirty memory, idle, of Baileys’', r('idle', 'memory, private dirty'), 30),
        at_most('memory of the last tenant', last_tenants(bench), 2, 'MiB'),
        at_least('start to QR, of Baileys’', r('start', 'exec to QR on disk'), 20),
        at_least('answers per second, of Baileys’', r('answered', 'answered per second', True), 20),
        at_most('of them unreadable', readable, 0, ''),
        at_least('processor for one received, of Baileys’', r('received', 'processor for 10,000 received'), 20),
        at_least('processor for one answered, of Baileys’', r('answered', 'processor for 10,000 answered'), 20),
        at_most('idle wake-ups', find(bench, 'idle', 'wake-ups'), 6, '/min'),
        at_most('p99 at 100/s, in synced writes of 4 KiB one after the other', in_syncs('p99', sync), 3, 'syncs'),
        at_most('p99 at 100/s, in the p99 of synced writes at that rate', in_syncs('p99', paced_us(bench, 'p99')), 3, 'syncs'),
        at_most('processor for one answered, from 10³ to 10⁶ stored messages', stored_growth(bench), 10, '% more'),
    ]


# ---- tables -------------------------------------------------------------------------------------------

def table(head, rows):
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    return '\n'.join(lines + ['| ' + ' | '.join(map(str, r)) + ' |' for r in rows]) + '\n'


def spread(row):
    return f'{number(row["median"])} ({number(row["min"])}–{number(row["max"])})' if row else '–'


def step_table(bench, step):
    rows = [r for r in bench['figures'] if r['step'] == step]
    who = [p for p in PEERS if any(r['who'] == p for r in rows)]
    lines = []
    for figure in dict.fromkeys(r['figure'] for r in rows):
        of = {r['who']: r for r in rows if r['figure'] == figure}
        one = next(iter(of.values()))
        line = [figure, one['unit'], *(spread(of.get(p)) for p in who)]
        if 'Baileys' in who:
            better = ratio(bench, step, figure, one['unit'] == '1/s')
            line.append(f'{number(better)} ×' if better else '–')
        lines.append(line)
    return table(['figure', 'unit', *who, *(['better'] if 'Baileys' in who else [])], lines)


def target_table(bench):
    met = {True: 'yes', False: '**no**', None: 'not measured'}
    return table(['target', 'wanted', 'measured', 'met'],
                 [(what, wanted, number(value), met[is_met]) for what, wanted, value, is_met in targets(bench)])


UNITS = {'us': 'µs'}


def latency_text(bench):
    """What the time until an answer consists of, at 100 messages a second."""
    p50, p99, sync = at_100(bench, 'p50'), at_100(bench, 'p99'), find(bench, 'limit', 'primitive: sync', 'machine')
    one, one99, two, two99 = (paced_us(bench, share, writes) for writes in ('one synced write', 'two synced writes in a row')
                              for share in ('p50', 'p99'))
    if not (p50 and sync and two):
        return ''
    own, peers = (find(bench, 'latency at 100/s', figure) for figure in
                  ('processor for one message', 'processor of its peers in the simulator'))
    return f'''
What an answer takes at 100 messages a second: p50 {number(p50)} ms, p99 {number(p99)} ms. An answered message needs two
syncs, one of messages.db and, behind it, one of keys.db. A write of 4 KiB with its sync takes {number(sync)} µs when one
follows the other; when the disk rests in between, as it does at this rate, {number(one)} µs, and every hundredth
{number(one99)} µs or more. So the p50 is {number(p50 * 1000 / one)} such syncs, the p99 {number(p99 * 1000 / one)}; two in a
row without any bridge take {number(two)} µs, and every hundredth time {number(two99)} µs or more. What is left of the p50,
{number(p50 * 1000 - two)} µs, is computing and waking up: the bridge uses {number(own)} µs of processor for a message, the
peers in the simulator {number(peers)} µs, both partly before or after the time that counts.
'''


def change(percent):
    return f'{percent:+} %' if percent < 900 else f'{number(1 + percent / 100)} ×'


def growth_table(bench):
    return table(['against', 'figure', 'measured', 'first to last', 'exponent'],
                 [(s['against'], s['figure'],
                   ', '.join(f'{x:,}: {number(y)}' for x, y in s['points']) + ' ' + UNITS.get(s['unit'], s['unit']),
                   change(s['change_percent']), s['exponent']) for s in bench['growth']])


def machine_text(bench):
    m = bench['machine']
    p = bench['parameters']
    busy = m['load_at_start'] > m['cores'] / 2 or p['runs'] < 5
    return (f'{"**Provisional: the machine was busy, or the runs few.** " if busy else ""}'
            f'{m["processor"]}, {m["cores"]} cores, {m["memory_bytes"] / 2**30:.0f} GiB, Linux {m["kernel"]}, '
            f'{m["file_system"]}, {m["compiler"]}; load {m["load_at_start"]:.2f} before the run. {m["program"]}, '
            f'commit {m["commit"]}. {bench["at"]}, {p["runs"]} runs of each figure ({p["few_runs"]} of the long ones).'
            + ''.join(f' Measured again: {a["steps"]} at {a["at"]}, commit {a["commit"]}.' for a in bench.get('again', [])))


def steps_of(bench):
    return list(dict.fromkeys(r['step'] for r in bench['figures']))


def text(path, out):
    bench = load(path)
    out.write(f'\n{machine_text(bench)}\n\n{target_table(bench)}\n')
    for step in steps_of(bench):
        out.write(f'{step}\n{step_table(bench, step)}\n')
    if bench['growth']:
        out.write(growth_table(bench))


# ---- charts -------------------------------------------------------------------------------------------

STYLE = '''set terminal svg size 720,380 font "sans-serif,13" background "white"
set output "{out}"
set grid ytics
set border 3
set tics nomirror
set bmargin 4
'''


def plot(name, script):
    os.makedirs(f'{DOCS}/performance', exist_ok=True)
    script = STYLE.format(out=f'{DOCS}/performance/{name}.svg') + script
    subprocess.run(['gnuplot'], input=script, text=True, check=True)


def bars(bench, name, title, unit, what):
    """what: (label, step, figure, who); a logarithmic scale, since the peers are orders apart."""
    found = [(label, find(bench, step, figure, who)) for label, step, figure, who in what]
    found = [(label, y) for label, y in found if y]
    if len(found) < 2:
        return None
    data = '\n'.join(f'"{label}" {y} "{number(y)}" {COLOURS[label.split(chr(92))[0]]}' for label, y in found)
    low = min(y for _, y in found) / 4
    plot(name, f'set title "{title}"\nset ylabel "{unit}, logarithmic"\nset logscale y\nset yrange [{low}:*]\n'
         f'set boxwidth 0.6\nset style fill solid 0.8\nset key off\n$d << E\n{data}\nE\n'
         'plot $d using 0:2:4:xtic(1) with boxes lc rgb variable, "" using 0:2:3 with labels offset 0,0.7\n')
    return name, title


def growth_chart(bench):
    series = of_processor(bench)
    if not series:
        return None
    blocks = ''.join(f'$d{i} << E\n' + '\n'.join(f'{x} {y / s["points"][0][1]}' for x, y in s['points']) + '\nE\n'
                     for i, s in enumerate(series))
    lines = ', '.join(f'$d{i} with linespoints lw 2 title "{s["against"]}"' for i, s in enumerate(series))
    title = 'Processor for one answered message, as a multiple of the first point'
    plot('growth', f'set title "{title}"\nset logscale x\nset yrange [0:*]\nset key left top\n{blocks}plot {lines}\n')
    return 'growth', title


def latency_chart(bench):
    steps = [s for s in steps_of(bench) if s.startswith('latency at ')]
    blocks, lines = '', []
    for who in PEERS[:2]:
        for dash, share in enumerate(('p50', 'p99'), 1):
            points = [(s[11:-2], find(bench, s, f'until answered, {share}', who)) for s in steps]
            points = [f'{x} {y}' for x, y in points if y]
            if points:
                blocks += f'$d{len(lines)} << E\n' + '\n'.join(points) + '\nE\n'
                lines.append(f'$d{len(lines)} with linespoints lw 2 pt 7 dt {dash} lc rgb {COLOURS[who]} '
                             f'title "{who}, {share}"')
    if not lines:
        return None
    title = 'From a message written to its answer decrypted'
    plot('latency', f'set title "{title}"\nset xlabel "messages per second offered"\nset ylabel "ms, logarithmic"\n'
         f'set logscale xy\nset key left top\n{blocks}plot ' + ', '.join(lines) + '\n')
    return 'latency', title


def of_peers(step, figure, label=''):
    return [(f'{who}{label}', step, figure, who) for who in PEERS[:3]]


def charts(bench):
    made = [
        bars(bench, 'memory', 'Private dirty memory of one tenant, linked and idle', 'MiB',
             of_peers('idle', 'memory, private dirty')),
        bars(bench, 'start', 'exec to QR on disk (browser: to an empty page)', 'ms',
             of_peers('start', 'exec to QR on disk') + of_peers('start', 'exec to a browser that answers')),
        bars(bench, 'throughput', 'Messages per second', '1/s',
             of_peers('received', 'received per second', '\\nreceived') +
             of_peers('answered', 'answered per second', '\\nanswered')),
        bars(bench, 'processor', 'Processor time for 10,000 messages', 's',
             of_peers('received', 'processor for 10,000 received', '\\nreceived') +
             of_peers('answered', 'processor for 10,000 answered', '\\nanswered')),
        latency_chart(bench), growth_chart(bench)]
    return [m for m in made if m]


# ---- the page -----------------------------------------------------------------------------------------

HEAD = '''# Performance

<!-- Written by ./bootstrap.sh bench --docs from bench.json; changes by hand are lost. -->

The bridge beside what one would run instead, side by side in one run on the same simulator: an auto-responder on
[Baileys](../tests/bench/peers/baileys.mjs) (a Node.js library that speaks the same protocol), and a headless Chromium
that shows an empty page, the floor of every worker that drives WhatsApp Web in a browser. The peer on Baileys syncs
nothing to the disk; the bridge has every message on the disk before it acknowledges it.

{machine}

Each figure is a median, with the lowest and the highest of its runs. "Better" is the ratio to Baileys.

## Targets

{targets}{latency}
'''

TAIL = '''
## Growth

What one answered message costs must not depend on what the tenant has gathered. The exponent is e in cost ~ n^e: 0
is flat.

{growth}
## The limit

{limit}

## Run it

`./bootstrap.sh bench` measures and prints ({duration}); `./bootstrap.sh bench --docs` also writes this page.
`--quick` shows in a few minutes that everything works. `tests/bench/guard.sh`, part of `./bootstrap.sh check`, compares
instructions, syncs, bytes and allocations of fixed workloads with `tests/bench/budgets`, on any machine in any mood.
'''


def docs(path):
    import limit
    bench = load(path)
    page = HEAD.format(machine=machine_text(bench), targets=target_table(bench),
                       latency=latency_text(bench))
    page += ''.join(f'\n![{title}](performance/{name}.svg)\n' for name, title in charts(bench))
    for step in steps_of(bench):
        if step != 'limit':
            page += f'\n## {step[0].upper() + step[1:]}\n\n{step_table(bench, step)}'
    page += TAIL.format(growth=growth_table(bench), duration='35 to 40 minutes on two cores',
                        limit='\n'.join(limit.__doc__.strip().split('\n')[2:]) + '\n\n' + step_table(bench, 'limit'))
    with open(f'{DOCS}/performance.md', 'w') as f:
        f.write(page)
