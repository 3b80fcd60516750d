# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/openapi.yaml as a client: what a test asks, and what it is answered, is held to the document."""

import json
import re
from collections import Counter
from pathlib import Path
from urllib.parse import quote, urlencode

import jsonschema
import yaml

from .raw_http import http_get

PATH = Path(__file__).resolve().parents[3] / 'docs' / 'openapi.yaml'
METHODS = ('get', 'put', 'post', 'delete', 'patch')


class Undescribed(AssertionError):
    """A request or an answer that docs/openapi.yaml does not have."""


def _complain(schema, value, where):
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(value), key=lambda error: len(error.path))
    if errors:
        error = errors[-1]
        while error.context:
            error = max(error.context, key=lambda inner: len(inner.path))
        raise Undescribed(f'{where}: {error.json_path}: {error.message[:600]}, in {json.dumps(value)[:1000]}')


class Operation:
    """One method of one address."""

    def __init__(self, address, method, item, shared):
        self.address = address
        self.method = method.upper()
        self.id = item['operationId']
        self.parameters = {(parameter['in'], parameter['name']): parameter for parameter in [*shared, *item.get('parameters', ())]}
        self.body = item.get('requestBody')
        self.responses = item['responses']
        self.is_open = item.get('security') == []

    @property
    def query(self):
        """The names of the parameters of its query."""
        return [name for where, name in self.parameters if where == 'query']

    def _check_parameter(self, where, name, value):
        parameter = self.parameters.get((where, name))
        if parameter is None:
            raise Undescribed(f'{self.id}: there is no {where} parameter {name}')
        _complain(parameter['schema'], value, f'{self.id} {where} {name}')

    def check_request(self, path, query, headers, media, body):
        """What a test is about to ask."""
        for name, value in path.items():
            self._check_parameter('path', name, value)
        for name, value in query.items():
            self._check_parameter('query', name, value)
        for name, value in headers:
            # the document does not have them, as OpenAPI says
            if name.lower() not in ('accept', 'content-type', 'authorization', 'origin'):
                self._check_parameter('header', name, value)
        missing = {key for key, parameter in self.parameters.items() if parameter.get('required')} \
            - {('path', name) for name in path} - {('query', name) for name in query}
        if missing:
            raise Undescribed(f'{self.id}: {missing} must be there')
        if body is None:
            if self.body is not None and self.body.get('required'):
                raise Undescribed(f'{self.id}: there must be a body')
        elif self.body is None or media not in self.body['content']:
            raise Undescribed(f'{self.id}: {media} is not taken')
        else:
            _complain(self.body['content'][media]['schema'], body, f'{self.id} request')

    def fill(self, path):
        """The address with its variables."""
        return re.sub(r'\{(\w+)\}', lambda found: quote(path[found[1]], safe=''), self.address)

    def _find(self, status):
        return self.responses.get(str(status)) or self.responses.get(f'{status // 100}XX')

    def check_answer(self, response):
        """What the service has answered."""
        where = f'{self.id} {response.status}'
        described = self._find(response.status)
        if described is None:
            raise Undescribed(f'{where} is not described: {response}')
        for name, header in described.get('headers', {}).items():
            value = response.get(name)
            if value is None:
                if header.get('required'):
                    raise Undescribed(f'{where}: {name} is missing')
            else:
                schema = header['schema']
                _complain(schema, int(value) if schema.get('type') == 'integer' else value, f'{where} {name}')
        media = (response.get('content-type') or '').split(';')[0]
        if 'content' not in described:
            if response.body:
                raise Undescribed(f'{where}: nothing was expected: {response}')
        elif media not in described['content']:
            raise Undescribed(f'{where}: {media} was not expected: {response}')
        else:
            value = json.loads(response.body) if media.endswith('json') else response.body.decode()
            _complain(described['content'][media]['schema'], value, where)


class Description:
    """The whole document."""

    def __init__(self, path=PATH):
        self._raw = yaml.safe_load(path.read_text('utf-8'))
        self.operations = {}
        for address, item in self._raw['paths'].items():
            item = self._resolve(item)
            for method in METHODS:
                if method in item:
                    operation = Operation(address, method, item[method], item.get('parameters', ()))
                    self.operations[operation.id] = operation

    def _resolve(self, value):
        """References put in place; nothing refers to itself."""
        if isinstance(value, list):
            return [self._resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        if '$ref' in value:
            target = self._raw
            for step in value['$ref'].removeprefix('#/').split('/'):
                target = target[step]
            rest = {key: item for key, item in value.items() if key != '$ref'}
            return {**self._resolve(target), **rest}
        return {key: self._resolve(item) for key, item in value.items()}


DESCRIPTION = Description()


class Api:
    """A client that knows the document. `seen` counts what was asked, with the status of the answer."""

    seen = Counter()

    def __init__(self, daemon, token=None, **claims):
        self.daemon = daemon
        self.token = token or daemon.mint('backend', (), **({'roles': ['service']} | claims))

    def call(self, operation_id, body=None, path=None, query=None, headers=(), media='application/json', expect=200,
             is_wrong=False):
        """Asks, and holds question and answer to the document; `is_wrong`: the question is nothing it has."""
        operation = DESCRIPTION.operations[operation_id]
        path, query = path or {}, query or {}
        if not is_wrong:
            operation.check_request(path, query, headers, media, body)
        fields = [*headers] if operation.is_open else [('Authorization', f'Bearer {self.token}'), *headers]
        data = b''
        if body is not None:
            fields.append(('Content-Type', media))
            data = body if isinstance(body, bytes) else (json.dumps(body) if media.endswith('json') else body).encode()
        target = operation.fill(path) + (f'?{urlencode(query, quote_via=quote)}' if query else '')
        response = http_get(self.daemon.address, target, fields, operation.method, data)
        operation.check_answer(response)
        Api.seen[operation_id, response.status] += 1
        assert response.status == expect, (operation_id, response)
        return response

    def ask(self, operation_id, *args, **kwargs):
        """The answer's JSON."""
        return self.call(operation_id, *args, **kwargs).json()

    def refuse(self, operation_id, status, code, body=None, **kwargs):
        """One that is refused."""
        problem = self.call(operation_id, body, expect=status, **({'is_wrong': True} | kwargs)).assert_problem(status)
        assert problem['code'] == code, problem
        return problem
