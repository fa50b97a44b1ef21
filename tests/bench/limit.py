# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine itself allows for the same work, from primitives measured in the same run.

One message that is answered turns the ratchet: two Diffie-Hellman agreements and one new key pair. Its bytes
and those of the answer (for the customer's phone, the copy for the own phone, receipts) are below two
KiB, enciphered once for Signal and once for the transport. The answer and its ack are two wake-ups. When
messages come alone, one commit is the least that makes them durable before they are acknowledged, and one
more the least before a ciphertext leaves (docs/architecture.md).
"""
import machine
from peers import BUILD, Bridge
from steps import Flow

X25519_OF_A_TURN = 3
ENCIPHERED_KIB = 4
SYNCS_ALONE = 2


def limit(run):
    """The least that one message can cost here, and the distance to it."""
    least = []
    for _ in range(run.p.runs):
        p = machine.primitives(BUILD, run.work)
        for name, us in p.items():
            run.figures.add('limit', f'primitive: {name}', 'us', 'machine', us)
        cpu = X25519_OF_A_TURN * p['x25519'] + ENCIPHERED_KIB * p['aes_kib'] + p['round_trip']
        run.figures.add('limit', 'least processor for one answered', 'us', 'machine', cpu)
        run.figures.add('limit', 'least time for one answered alone', 'us', 'machine', cpu + SYNCS_ALONE * p['sync'])
        least.append((cpu, cpu + SYNCS_ALONE * p['sync']))
    w = run.worker(Bridge).link()
    Flow(run, w, 100, 1, paired=True)
    for cpu, alone in least:
        flow = Flow(run, w, run.p.sample, 1, paired=True)
        run.figures.add('limit', 'distance: processor for one answered', 'times', 'wabridge',
                        flow.cpu_s / flow.messages * 1e6 / cpu)
        run.figures.add('limit', 'distance: time for one answered alone', 'times', 'wabridge',
                        flow.progress['until_answer_us']['p50'] / alone)
