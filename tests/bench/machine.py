# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says of processes and of the machine."""
import os
import platform
import re
import subprocess

MEMORY = {'rss': ('Rss',), 'pss': ('Pss',), 'private_dirty': ('Private_Dirty',), 'anonymous': ('Anonymous',)}


def tree(pid):
    """The process and all that descend from it."""
    pids = [pid]
    for p in pids:
        try:
            for task in os.listdir(f'/proc/{p}/task'):
                with open(f'/proc/{p}/task/{task}/children') as f:
                    pids += map(int, f.read().split())
        except OSError:
            pass
    return pids


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ''


def memory(pids):
    """Bytes of each kind, over all of the processes."""
    total = dict.fromkeys(MEMORY, 0)
    for pid in pids:
        text = read(f'/proc/{pid}/smaps_rollup')
        for kind, names in MEMORY.items():
            for name in names:
                found = re.search(rf'^{name}: +(\d+) kB', text, re.M)
                total[kind] += int(found[1]) * 1024 if found else 0
    return total


def tasks(pids):
    for pid in pids:
        try:
            yield from (f'/proc/{pid}/task/{t}' for t in os.listdir(f'/proc/{pid}/task'))
        except OSError:
            pass


def cpu_s(pids):
    """Seconds of processor, of threads that live."""
    return sum(int((read(f'{t}/schedstat') or '0').split()[0]) for t in tasks(pids)) / 1e9


def wakeups(pids):
    """How often a thread went to sleep by itself, so was woken."""
    found = (re.search(r'^voluntary_ctxt_switches:\s+(\d+)', read(f'{t}/status'), re.M) for t in tasks(pids))
    return sum(int(m[1]) for m in found if m)


def written_bytes(pids):
    """Bytes that went towards the disk (on a tmpfs: none do)."""
    found = (re.search(r'^write_bytes: (\d+)', read(f'/proc/{p}/io'), re.M) for p in pids)
    return sum(int(m[1]) for m in found if m)


def available_bytes():
    return int(re.search(r'MemAvailable: +(\d+)', read('/proc/meminfo'))[1]) * 1024


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip()
    except OSError:
        return ''


def primitives(builddir, *arguments):
    """What the program `limit` measures: name -> microseconds."""
    lines = output(f'{builddir}/limit', *map(str, arguments)).split('\n')
    return {name: float(us) for name, us in (line.split() for line in lines)}


def describe(work, builddir):
    cpu = re.search(r'^model name\s*: (.*)', read('/proc/cpuinfo'), re.M)
    return {
        'processor': cpu[1] if cpu else platform.machine(),
        'cores': os.cpu_count(),
        'memory_bytes': int(re.search(r'MemTotal: +(\d+)', read('/proc/meminfo'))[1]) * 1024,
        'kernel': platform.release(),
        'file_system': output('df', '--output=fstype', work).split('\n')[-1],
        'load_at_start': os.getloadavg()[0],
        'program': output(f'{builddir}/wabridge', '--version').split('\n')[0],
        'compiler': output('gcc', '--version').split('\n')[0],
        'commit': output('git', 'rev-parse', '--short', 'HEAD'),
    }
