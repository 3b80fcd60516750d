# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tokens made outside the daemon, so that it is not its own judge."""

import time

import jwt


def mint(key, sub='alice', permissions=(), roles=(), ttl=3600, algorithm='HS256', headers=None, **claims):
    """A signed JWT. `claims` override; a claim given as None is left out."""
    now = int(time.time())
    body = {'sub': sub, 'iat': now, 'exp': now + ttl, 'type': 'access'}
    if permissions:
        body['permissions'] = list(permissions)
    if roles:
        body['roles'] = list(roles)
    body.update(claims)
    body = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(body, key, algorithm=algorithm, headers=headers)
