#!/usr/bin/python3
# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the files of this directory from those of josephg/editing-traces: convert.py FROM.json.gz TO.gz

A sequential trace becomes lines, a concurrent one remains JSON without what nobody here reads.
README.md describes both.
"""

import gzip
import hashlib
import json
import sys

ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})


def lines_of(trace):
    if trace["startContent"]:
        raise ValueError("the trace does not begin with an empty text")
    end = trace["endContent"].encode()
    yield hashlib.sha256(end).hexdigest()
    behind_last = 0
    for transaction in trace["txns"]:
        for position, n_deleted, inserted in transaction["patches"]:
            yield f"{position - behind_last} {n_deleted} {inserted.translate(ESCAPES)}"
            behind_last = position + len(inserted)


def shorten(trace):
    keys = ("parents", "agent", "patches")
    trace["txns"] = [{key: transaction[key] for key in keys} for transaction in trace["txns"]]
    return json.dumps(trace, ensure_ascii=False, separators=(",", ":"))


def main(source, target):
    with gzip.open(source, "rt", encoding="utf-8") as file:
        trace = json.load(file)
    concurrent = trace.get("kind") == "concurrent"
    text = shorten(trace) if concurrent else "\n".join(lines_of(trace))
    with open(target, "wb") as file:
        # without a time, so that the same trace makes the same file
        file.write(gzip.compress(f"{text}\n".encode(), 9, mtime=0))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
