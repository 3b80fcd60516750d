# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nginx with the configuration that we give to others, on ports and paths of the test's own."""

import re
import shutil
from pathlib import Path

from balancer import Balancer, make_certificate

CONFIG = Path(__file__).resolve().parents[2] / 'data' / 'nginx' / 'choir.conf'

_MAIN = '''
daemon off;
pid {state}/nginx.pid;
error_log stderr warn;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  client_body_temp_path {state}/body;
  proxy_temp_path {state}/proxy;
  fastcgi_temp_path {state}/fastcgi;
  uwsgi_temp_path {state}/uwsgi;
  scgi_temp_path {state}/scgi;
  include {state}/choir.conf;
}}
'''


class Nginx(Balancer):
    """In front of a daemon."""

    name = 'nginx'

    def __init__(self, daemon):
        self._upstream = daemon.port
        super().__init__()

    def configure(self, state, port):
        cert, key = make_certificate(state)
        text = CONFIG.read_text()
        for pattern, value in ((r'server 127\.0\.0\.1:8800;', f'server 127.0.0.1:{self._upstream};'),
                               (r'listen 443 ssl;', f'listen 127.0.0.1:{port} ssl;'), (r'listen \[::\]:443 ssl;', ''),
                               (r'/etc/ssl/certs/\S+\.pem', str(cert)), (r'/etc/ssl/private/\S+\.key', str(key)),
                               (r'/var/log/nginx', str(state))):
            text, n = re.subn(pattern, value, text)
            assert n == 1 or 'log' in pattern, (pattern, n)
        (state / 'choir.conf').write_text(text)
        (state / 'nginx.conf').write_text(_MAIN.format(state=state))
        return [shutil.which('nginx') or '/usr/sbin/nginx', '-e', 'stderr', '-p', state, '-c', state / 'nginx.conf'], cert

    def log(self):
        return (self._state / 'choir.log').read_text()
