#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts again, with Python's json module and no code of ours, what `penstock gen events --expect` says it has made.

Usage: gen_recount.py PENSTOCK. Prints TAP.
"""
import csv
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

COUNT, PRODUCTS = 60000, 5000
START = datetime(2025, 6, 17, 23, 30, tzinfo=timezone.utc)
DUPLICATE_DISTANCE = 100000
MAX_DEPTH = 64

UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', re.IGNORECASE)
RFC3339 = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)')
EVENT_TYPES = {'PRODUCT_CREATED', 'PRICE_UPDATED', 'STOCK_CHANGED', 'PRODUCT_VIEW', 'ADD_TO_CART', 'PURCHASE'}
# As docs/examples/catalog.yaml declares them, in its order: Python type, required, and a check of the value.
FIELDS = {
    'eventId': (str, True), 'timestamp': (str, True), 'eventType': (str, True), 'userId': (str, False),
    'productId': (str, False), 'sessionId': (str, False), 'platform': (str, False), 'price': ((int, float), False),
    'location': (str, False),
}


class Refused(Exception):
    pass


def members(pairs):
    """Refuses a declared field that comes twice. Only the event's own members count, which are looked at last."""
    names = [name for name, _ in pairs]
    found = dict(pairs)
    found['\0twice'] = any(names.count(name) > 1 for name in names if name in FIELDS)
    return found


def depth(text):
    deepest = level = 0
    in_string = escaped = False
    for c in text:
        if in_string:
            in_string, escaped = escaped or c != '"', not escaped and c == '\\'
        elif c == '"':
            in_string = True
        elif c in '[{':
            level += 1
            deepest = max(deepest, level)
        elif c in ']}':
            level -= 1
    return deepest


def no_constant(name):
    raise Refused('json')


def parse(line):
    try:
        text = line.decode('utf-8')
        event = json.loads(text, object_pairs_hook=members, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused('json') from error
    if text.startswith('\ufeff') or depth(text) > MAX_DEPTH:
        raise Refused('json')
    try:  # half a surrogate pair, which Python keeps
        json.dumps(event, ensure_ascii=False).encode('utf-8')
    except UnicodeEncodeError as error:
        raise Refused('json') from error
    if not isinstance(event, dict) or event.pop('\0twice'):
        raise Refused('json')
    return event


def check_time(text):
    try:
        if not RFC3339.fullmatch(text):
            raise ValueError(text)
        when = datetime.fromisoformat(text.replace('Z', '+00:00'))
    except ValueError as error:
        raise Refused('timestamp_invalid') from error
    if when < START - timedelta(days=7):
        raise Refused('timestamp_past')
    if when > START + timedelta(minutes=5):
        raise Refused('timestamp_future')


def validate(event):
    for name, (kind, required) in FIELDS.items():
        value = event.get(name)
        if value is None:
            if required:
                raise Refused('field_missing')
            continue
        if not isinstance(value, kind) or isinstance(value, bool):
            raise Refused('field_type')
        if name == 'eventId' and not UUID.fullmatch(value):
            raise Refused('field_format')
        if name == 'timestamp':
            check_time(value)
        if name == 'eventType' and value not in EVENT_TYPES:
            raise Refused('field_enum')
        if name == 'userId' and not re.fullmatch('user-[a-z0-9]{1,32}', value):
            raise Refused('field_pattern')
        if name == 'productId' and not re.fullmatch('prod-[a-z0-9]{1,32}', value):
            raise Refused('field_pattern')
        if name in ('sessionId', 'platform') and len(value) > 64 or name == 'location' and len(value) > 32:
            raise Refused('field_length')
        if name == 'price' and value < 0:
            raise Refused('field_range')


def recount(events, known_products):
    counts, reasons, seen = Counter(), Counter(), {}
    for number, line in enumerate(events.read_bytes().split(b'\n')[:-1]):
        counts['sent'] += 1
        try:
            event = parse(line)
            validate(event)
        except Refused as refused:
            counts['malformed'] += 1
            reasons[str(refused)] += 1
            continue
        first = seen.setdefault(event['eventId'], (number, line))
        if first[0] != number:
            counts['duplicate'] += 1
            counts['other_bytes'] += first[1] != line
            counts['too_far'] += number - first[0] > DUPLICATE_DISTANCE
            continue
        counts['valid'] += 1
        counts['unknown_products'] += 'productId' in event and event['productId'] not in known_products
    return counts, reasons


def main():
    penstock = sys.argv[1]
    failed = number = 0

    def check(name, good, detail=''):
        nonlocal failed, number
        number += 1
        failed += not good
        print(f'{"ok" if good else "not ok"} {number} - {name} {"" if good else detail}')

    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        command = [penstock, 'gen', 'events', '--count', str(COUNT), '--seed', '9', '--duplicates', '3%',
                   '--malformed', '4%', '--unknown-products', '2%', '--products', str(PRODUCTS), '--users', '3000',
                   '--start', START.strftime('%Y-%m-%dT%H:%M:%SZ')]
        expect = directory / 'expect.json'
        for name in ('a', 'b'):
            subprocess.run(command + ['--out', directory / name, '--expect', expect], check=True)
        piped = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        first = (directory / 'a').read_bytes()
        check('the same seed makes the same bytes', first == (directory / 'b').read_bytes())
        check('also on standard output', first == piped)

        rows = directory / 'products.csv'
        subprocess.run([penstock, 'gen', 'dimension', '--name', 'products', '--rows', str(PRODUCTS), '--out', rows],
                       check=True)
        with open(rows, encoding='utf-8', newline='') as file:
            known = {row['product_id'] for row in csv.DictReader(file)}
        check('each product has a key of its own', len(known) == PRODUCTS)

        says = json.loads(expect.read_text())
        counts, reasons = recount(directory / 'a', known)
        for name in ('sent', 'valid', 'duplicate', 'malformed', 'unknown_products'):
            check(name, counts[name] == says[name], f'counted {counts[name]}, said {says[name]}')
        check('durable', says['durable'] == counts['valid'])
        check('duplicates repeat the bytes', counts['other_bytes'] == 0)
        check('duplicates come within the distance', counts['too_far'] == 0)
        said = Counter()
        for reason, n in says['by_reason'].items():
            said['json' if reason.startswith('json_') else reason] += n
        check('reasons', said == reasons, f'counted {dict(reasons)}, said {dict(said)}')
        check('enough of each kind', min(reasons.values()) > 20 and len(reasons) >= 11, str(dict(reasons)))
    print(f'1..{number}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
