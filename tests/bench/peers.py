# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulator, and the workers that are measured against it: the bridge, Baileys, a bare browser."""
import json
import os
import shutil
import subprocess
import time
import urllib.request

import machine

BUILD = os.environ['BUILDDIR']
HERE = os.path.dirname(os.path.abspath(__file__))


class Failed(Exception):
    pass


def wait_for(what, condition, seconds=60, poll=0.02):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failed(f'waited {seconds} s for {what}')
        time.sleep(poll)


def contains(path, text):
    return text in machine.read(path)


class Simulator:
    def __init__(self, work):
        self.ready = f'{work}/sim.json'
        if os.path.exists(self.ready):
            os.unlink(self.ready) # of the simulator before
        self.log = open(f'{work}/sim.log', 'w')
        # A ratchet takes and gives back hundreds of small blocks at a time; glibc keeps seven of a size at hand.
        env = {'GLIBC_TUNABLES': 'glibc.malloc.tcache_count=200', **os.environ}
        self.process = subprocess.Popen([f'{BUILD}/wabridge-sim', '--ready-file', self.ready],
                                        env=env, stdout=subprocess.DEVNULL, stderr=self.log)
        wait_for('the simulator', lambda: os.path.exists(self.ready))
        about = json.loads(machine.read(self.ready))
        self.endpoint, self.control, self.noise_root = about['endpoint'], about['control'], about['noise_root']
        self.phones = 4915200000000

    def call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.control + path, data, {'Content-Type': 'application/json'})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def account(self, name):
        self.phones += 1
        self.call('/accounts', {'phone': str(self.phones), 'name': name})
        return str(self.phones)

    def is_through(self, phone):
        """All that waited for the companion was taken."""
        device = next((d for a in self.call('/accounts')['accounts'] if a['phone'] == phone
                       for d in a['devices'] if d['id'] != 0), None)
        return device and device['connected'] and device['queued'] == 0

    def load(self, phone, messages, contacts, size=0, **how):
        """how: rate, paired, window, first as docs/simulator.md says."""
        self.call('/load', dict(to=phone, messages=messages, contacts=contacts, bytes=size, **how))

    def progress(self):
        return self.call('/load')

    def close(self):
        self.process.terminate()
        self.process.wait()


class Worker:
    """One tenant of a kind: a directory, a command that runs in it, and an account."""
    name = secret = ''

    def __init__(self, sim, directory, answers=True):
        self.sim, self.dir, self.answers = sim, directory, answers
        self.phone = self.process = None
        self.env = dict(os.environ)
        os.makedirs(directory, exist_ok=True)

    def forget(self):
        shutil.rmtree(self.dir)
        os.makedirs(self.dir)
        self.prepare()

    def start(self):
        with open(f'{self.dir}.log', 'a') as log:
            self.process = subprocess.Popen(self.command(), env=self.env, stdout=log, stderr=log)

    def pids(self):
        return machine.tree(self.process.pid)

    def ask_to_stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def until_ms(self, path, *text):
        """Milliseconds from exec until the file is there (and holds the text)."""
        done = subprocess.run([f'{BUILD}/until', '-t', '60', path, *text, '--', *self.command()],
                              env=self.env, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f'{self.name}: {done.stderr[-500:]}')
        return float(done.stdout)

    def is_connected(self):
        return contains(self.state, '"CONNECTED"')

    def resume(self):
        if os.path.exists(self.state):
            os.unlink(self.state)
        self.start()
        wait_for(f'{self.name} to be connected', self.is_connected)

    def join(self):
        self.prepare()
        self.phone = self.phone or self.sim.account('Shop')
        self.start()
        wait_for(f'a QR of {self.name}', lambda: os.path.exists(self.qr))
        for _ in range(50):
            found = self.read_qr()
            if found:
                break
            time.sleep(0.05)
        self.sim.call(f'/accounts/{self.phone}/scan', {'qr': found})
        wait_for(f'{self.name} to be connected', self.is_connected)
        return self

    def link(self):
        """Linked, connected, and all that comes after the first login is over."""
        self.join()
        wait_for('the backlog', lambda: self.sim.is_through(self.phone), poll=0.1)
        return self

    def read_qr(self):
        return machine.output('zbarimg', '--nodbus', '--raw', '-q', self.qr)


class Bridge(Worker):
    name = 'wabridge'
    config = '''tenant:
  id: bench
volume:
  path: {dir}/volume
private:
  path: {dir}/private
whatsapp:
  endpoint: {endpoint}
  noise_root: {noise_root}
replies:
  enabled: {answers}
  file: {dir}/replies.yaml
  groups: true
  queue_per_chat: 10000
  ping_pong_messages: 0
rate_limit:
  max_per_minute: 0
outbox:
  max_per_minute: 0
reconnect:
  initial_ms: 100
'''
    replies = 'language: en\nintents: []\nfallback:\n  reply: "You wrote: {message}"\n'

    def prepare(self):
        for name in 'volume', 'private':
            os.makedirs(f'{self.dir}/{name}', exist_ok=True)
        with open(f'{self.dir}/replies.yaml', 'w') as f:
            f.write(self.replies)
        with open(f'{self.dir}/wabridge.yaml', 'w') as f:
            f.write(self.config.format(dir=self.dir, endpoint=self.sim.endpoint, noise_root=self.sim.noise_root,
                                       answers=str(self.answers).lower()))
        self.qr, self.state = f'{self.dir}/volume/qr.png', f'{self.dir}/volume/state.json'

    def command(self):
        return [f'{BUILD}/wabridge', 'run', '-c', f'{self.dir}/wabridge.yaml']

    def read_qr(self):
        return machine.read(f'{self.dir}/volume/qr.txt').strip()


class Baileys(Worker):
    name = 'Baileys'
    home = f'{BUILD}/bench-peers'

    def prepare(self):
        self.env = dict(os.environ, ENDPOINT=self.sim.endpoint, NOISE_ROOT=self.sim.noise_root,
                        ANSWER='1' if self.answers else '0')
        self.qr, self.state = f'{self.dir}/qr.png', f'{self.dir}/state.json'

    def command(self):
        return [self.node(), f'{self.home}/baileys.mjs', self.dir]

    @classmethod
    def node(cls):
        system = shutil.which('node')
        own = f'{cls.home}/node_modules/node-linux-{"arm64" if os.uname().machine == "aarch64" else "x64"}/bin/node'
        version = machine.output(system, '--version') if system else ''
        return system if version and int(version[1:].split('.')[0]) >= 20 else own

    @classmethod
    def install(cls):
        """npm ci of the pinned versions; whether they are there."""
        source = f'{HERE}/peers'
        os.makedirs(cls.home, exist_ok=True)
        for name in os.listdir(source):
            shutil.copy(f'{source}/{name}', cls.home)
        stamp, lock = f'{cls.home}/node_modules/.installed', machine.read(f'{source}/package-lock.json')
        if machine.read(stamp) != lock:
            done = subprocess.run(['npm', 'ci'], cwd=cls.home, capture_output=True, text=True, timeout=600)
            if done.returncode:
                return False
            with open(stamp, 'w') as f:
                f.write(lock)
        return True


class Chromium(Worker):
    """The floor of every worker that drives a browser: it shows about:blank and does nothing."""
    name = 'Chromium'

    def prepare(self):
        os.makedirs(f'{self.dir}/profile', exist_ok=True)
        self.state = f'{self.dir}/profile/DevToolsActivePort'

    def command(self):
        return [shutil.which('chromium'), '--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run',
                '--remote-debugging-port=0', f'--user-data-dir={self.dir}/profile', 'about:blank']

    def is_connected(self):
        return os.path.exists(self.state)
