# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A session that does tasks by hand."""

from library_client import join


class Worker:
    """One that does exactly what the test says."""

    present = []

    def __init__(self, daemon, *kinds, slots=8):
        self.client = join(daemon, token=daemon.mint('robot', (), roles=['worker']))
        self.present.append(self)
        self.client.send({'type': 'task.pull', 'payload': {'kinds': list(kinds), 'slots': slots}})
        self.client.wait_type('task.pulling')

    def take(self):
        """What it is given next."""
        return self.client.wait_type('task.assigned')['payload']

    def say(self, type_, task, **more):
        self.client.send({'type': f'task.{type_}', 'payload': {'task_id': task['task_id'], **more}})

    def settle(self, type_, task, **more):
        self.say(type_, task, **more)
        return self.client.wait_type('task.settled', 'error')

    def vanish(self):
        """The connection breaks; nobody says goodbye."""
        self.client.ws.abort()

    @classmethod
    def send_all_home(cls):
        """Nobody of this process works any more."""
        while cls.present:
            cls.present.pop().client.ws.close()
