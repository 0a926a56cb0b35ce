#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Adds up meson's test logs: TITLE=testlog.json ...

Counts single cases where a program reports them (cmocka, TAP) and the program itself where it does not. Prints every
failure with the end of its output, every skip with its reason, the totals of each build, and at last
"N passed, M failed, K skipped". Exit 1 if anything failed or --broken is not 0.
"""
import argparse
import json
import re
import sys

PASSED, FAILED, SKIPPED = range(3)
CMOCKA = re.compile(r'^\[ +(OK|FAILED|SKIPPED) +\] (\S+)$')
CMOCKA_END = re.compile(r'^\[=+\] \d+ test\(s\) run')
TAP = re.compile(r'^(not )?ok\b[ \d]*(?:- )?([^#]*)(?:# ?skip\w*:?\s*(.*))?', re.IGNORECASE)


def cases(output):
    """(outcome, name, reason) of every case that a program's output reports."""
    found, before, ended = [], '', False
    for line in output.splitlines():
        line = line.strip()
        cmocka, tap = CMOCKA.match(line), TAP.match(line)
        if CMOCKA_END.match(line):
            ended = True
        elif cmocka and not ended:
            outcome = {'OK': PASSED, 'FAILED': FAILED, 'SKIPPED': SKIPPED}[cmocka[1]]
            found.append((outcome, cmocka[2], before))
        elif tap:
            outcome = FAILED if tap[1] else SKIPPED if tap[3] is not None else PASSED
            found.append((outcome, tap[2].strip(), tap[3] or ''))
        if line and not line.startswith('['):
            before = line
        elif line.startswith('[ RUN'):
            before, ended = '', False
    return found


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else 'no reason given'


def judge(test):
    """The cases of one meson test; a program that failed has at least one failed case."""
    output = test.get('stdout') or ''
    errors = test.get('stderr') or ''
    found = cases(output)
    if test['result'] == 'SKIP':
        return [(SKIPPED, '', last_line(output + '\n' + errors))]
    good = test['result'] in ('OK', 'EXPECTEDFAIL')
    if not found:
        return [(PASSED if good else FAILED, '', '')]
    if not good and not any(outcome == FAILED for outcome, _, _ in found):
        found.append((FAILED, test['result'].lower(), ''))
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--broken', type=int, default=0)
    parser.add_argument('logs', nargs='*')
    args = parser.parse_args()
    total = [0, 0, 0]
    total[FAILED] += args.broken
    for item in args.logs:
        title, path = item.split('=', 1)
        part = [0, 0, 0]
        with open(path, encoding='utf-8', errors='replace') as log:
            tests = [json.loads(line) for line in log if line.strip()]
        for test in tests:
            for outcome, name, reason in judge(test):
                part[outcome] += 1
                full = f"{title}: {test['name']}" + (f': {name}' if name else '')
                if outcome == SKIPPED:
                    print(f'SKIPPED {full}: {reason or "no reason given"}')
                elif outcome == FAILED:
                    print(f'FAILED {full} ({test["result"].lower()}, status {test.get("returncode")})')
            if test['result'] not in ('OK', 'SKIP', 'EXPECTEDFAIL'):
                output = (test.get('stdout') or '') + (test.get('stderr') or '')
                print('\n'.join('    ' + line for line in output.splitlines()[-40:]))
        print(f'{title}: {part[PASSED]} passed, {part[FAILED]} failed, {part[SKIPPED]} skipped '
              f'in {len(tests)} programs')
        total = [a + b for a, b in zip(total, part)]
    print(f'{total[PASSED]} passed, {total[FAILED]} failed, {total[SKIPPED]} skipped')
    return 1 if total[FAILED] or args.broken else 0


if __name__ == '__main__':
    sys.exit(main())
