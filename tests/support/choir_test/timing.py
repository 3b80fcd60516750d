# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Deadlines: how long a test waits for an event before it calls it missing."""

import os
import time

_SCALE = float(os.environ.get('CHOIR_TEST_TIMEOUT_SCALE', '1'))


def scaled(seconds):
    return seconds * _SCALE


# Generous: it only runs out when something is wrong
DEADLINE = scaled(15.0)


class Deadline:
    """A point in monotonic time; left() never goes below zero."""

    def __init__(self, seconds):
        self._end = time.monotonic() + seconds

    def left(self):
        return max(0.0, self._end - time.monotonic())

    def passed(self):
        return self.left() == 0.0
