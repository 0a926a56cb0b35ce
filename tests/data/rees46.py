#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Real events of an online shop through the appliance, checked against a computation of its own.

The input is rees46_events.csv, 2,500 events of one night published by REES46 as open data; it is no part of this
repository. It is looked for in $PENSTOCK_SHARED/data, or in ../shared/data beside the repository.

  rees46.py prepare DIR   events.ndjson, products.csv, products.jsonl, config.yaml and expected.json into DIR
  rees46.py check DIR     compares DIR/lake with DIR/expected.json

Exit status: 0 ok, 1 something differs, 2 usage, 77 there is no input.
"""
import csv
import glob
import hashlib
import json
import os
import subprocess
import sys
import uuid
from datetime import datetime, timezone

REPLAYED = 500  # the first events come again at the end: duplicates
SKIP = 77

CONFIG = """\
node: rees46
dataplane:
  lcores: ["1@0"]
  hugepages: "off"
sources:
  - {{name: replay, type: file, path: {dir}/events.ndjson, stream: rees46}}
streams:
  - name: rees46
    identity: event_id
    timestamp: {{field: timestamp, format: rfc3339, max_past: 36500d}}
    partition_key: session_id
    unknown_fields: keep
    fields:
      event_id:   {{type: string, format: uuid, required: true}}
      event_type: {{type: string, required: true, enum: [view, cart, purchase]}}
      timestamp:  {{type: string, required: true}}
      user_id:    {{type: integer, required: true, min: 1}}
      session_id: {{type: string, format: uuid, required: true}}
      product_id: {{type: integer, required: true, min: 1}}
      price:      {{type: number, required: true, min: 0.01}}
    dedup: {{window: 10m, mode: drop, budget_mb: 16}}
    enrich:
      - {{dimension: products, key: product_id, as: product, on_miss: emit}}
    output: {{raw: rees46_raw, enriched: rees46_enriched, dead_letter: rees46_dead}}
dimensions:
  products: {{required: true}}
sinks:
  files: {{directory: {dir}/lake, compression: zstd}}
control:
  socket: {dir}/control.sock
  state: {dir}/state
  http: "off"
"""


def input_path():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    shared = os.environ.get('PENSTOCK_SHARED') or os.path.join(os.path.dirname(root), 'shared')
    return os.path.join(shared, 'data', 'rees46_events.csv')


def read_rows(path):
    """The rows as dictionaries, each with its line's bytes under None."""
    with open(path, 'rb') as file:
        lines = file.read().split(b'\n')
    names = next(csv.reader([lines[0].decode()]))
    rows = []
    for line in lines[1:]:
        if line:
            rows.append(dict(zip(names, next(csv.reader([line.decode()])))))
            rows[-1][None] = line
    return rows


def to_event(row):
    """The raw event, as text. Numbers keep the digits they came with."""
    when = datetime.strptime(row['event_time'], '%Y-%m-%d %H:%M:%S UTC').replace(tzinfo=timezone.utc)
    identity = uuid.UUID(bytes=hashlib.sha256(row[None]).digest()[:16])
    return (f'{{"event_id":"{identity}","event_type":{json.dumps(row["event_type"])},'
            f'"timestamp":"{when.strftime("%Y-%m-%dT%H:%M:%SZ")}","user_id":{row["user_id"]},'
            f'"session_id":{json.dumps(row["user_session"])},"product_id":{row["product_id"]},"price":{row["price"]}}}')


def prepare(directory):
    path = input_path()
    if not os.path.exists(path):
        print(f'{path} is not there: set PENSTOCK_SHARED')
        return SKIP
    rows = read_rows(path)
    events = [to_event(row) for row in rows]
    products = {}
    for row in rows:
        products[row['product_id']] = {name: row[name] for name in ('category_id', 'category_code', 'brand')}

    with open(os.path.join(directory, 'events.ndjson'), 'w', encoding='utf-8') as out:
        out.writelines(event + '\n' for event in events + events[:REPLAYED])
    with open(os.path.join(directory, 'products.csv'), 'w', encoding='utf-8', newline='') as out:
        writer = csv.writer(out)
        writer.writerow(['product_id', 'category_id', 'category_code', 'brand'])
        writer.writerows([key, *product.values()] for key, product in products.items())
    with open(os.path.join(directory, 'products.jsonl'), 'w', encoding='utf-8') as out:
        out.writelines(json.dumps({'product_id': key, **product}) + '\n' for key, product in products.items())
    with open(os.path.join(directory, 'config.yaml'), 'w', encoding='utf-8') as out:
        out.write(CONFIG.format(dir=os.path.abspath(directory)))

    # Free goods are below the stream's minimum price: the shop's data has some.
    good = [(row, event) for row, event in zip(rows, events) if float(row['price']) >= 0.01]
    bad = [event for row, event in zip(rows, events) if float(row['price']) < 0.01]
    bad_again = sum(float(row['price']) < 0.01 for row in rows[:REPLAYED])
    expected = {
        'received': len(rows) + REPLAYED,
        'durable': len(good),
        'dead_lettered': len(bad) + bad_again,
        'duplicate': REPLAYED - bad_again,
        'dead_letters': sorted(bad + [e for e in events[:REPLAYED] if e in set(bad)]),
        'enriched': {event: products[row['product_id']] for row, event in good},
    }
    with open(os.path.join(directory, 'expected.json'), 'w', encoding='utf-8') as out:
        json.dump(expected, out)
    print(f'{len(events) + REPLAYED} events, {len(products)} products')
    return 0


def lake_lines(directory, kind):
    """All lines of one kind of records."""
    files = sorted(glob.glob(os.path.join(directory, 'lake', 'rees46', kind, '**', '*.zst'), recursive=True))
    lines = []
    for file in files:
        text = subprocess.run(['zstd', '-dcq', file], check=True, stdout=subprocess.PIPE).stdout
        lines += text.decode('utf-8').split('\n')[:-1]
    return lines


def check_enriched(line, expected):
    """What is wrong with an enriched record, or None."""
    # Number text is compared as text: 33.20 must not become 33.2.
    record = json.loads(line, parse_float=str)
    enrichments = record.pop('enrichments', None)
    head, marker, _ = line.partition(',"enrichments":')
    event = head + '}'
    if not marker or event not in expected:
        return 'its raw part is none of the events'
    if record != json.loads(event, parse_float=str):
        return 'its members are not those of the event'
    if enrichments.get('product') != expected[event]:
        return f'joined with {enrichments.get("product")}, not with {expected[event]}'
    if '_missing' in enrichments or 'processing_timestamp' not in enrichments:
        return f'enrichments are {enrichments}'
    return None


def check(directory):
    with open(os.path.join(directory, 'expected.json'), encoding='utf-8') as file:
        expected = json.load(file)
    raw, enriched = lake_lines(directory, 'raw'), lake_lines(directory, 'enriched')
    dead = lake_lines(directory, 'dead_letter')
    problems = []
    if sorted(raw) != sorted(expected['enriched']):
        problems.append(f'raw: {len(raw)} records, {len(expected["enriched"])} expected, or other bytes')
    if len(enriched) != len(expected['enriched']):
        problems.append(f'enriched: {len(enriched)} records, {len(expected["enriched"])} expected')
    for line in enriched:
        problem = check_enriched(line, expected['enriched'])
        if problem:
            problems.append(f'enriched: {problem}: {line}')
    if len(dead) != expected['dead_lettered']:
        problems.append(f'dead letters: {len(dead)}, {expected["dead_lettered"]} expected')
    for line in dead:
        if '"field_range"' not in line and 'field_range' not in line:
            problems.append(f'dead letter for another reason: {line}')
    for problem in problems[:20]:
        print(problem)
    print(f'{len(enriched)} enriched, {len(dead)} dead letters, {len(problems)} problems')
    return 1 if problems else 0


def main():
    verbs = {'prepare': prepare, 'check': check}
    if len(sys.argv) != 3 or sys.argv[1] not in verbs:
        print(__doc__, file=sys.stderr)
        return 2
    return verbs[sys.argv[1]](sys.argv[2])


if __name__ == '__main__':
    sys.exit(main())
