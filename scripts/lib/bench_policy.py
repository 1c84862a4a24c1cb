#!/usr/bin/env python3
"""Measures the reference (cedarpy, Cedar in Rust) on what `bench-policy write` has left in a folder.

    bench_policy.py FOLDER

Everything is parsed beforehand. Of a call we keep the engine's own time and the time around it, with the way from Python
and back; of what has no time of its own, that around it.
"""
import json, sys, time
from pathlib import Path

import cedarpy


def microseconds(body, count):
    times = []
    for number in range(count):
        start = time.perf_counter_ns()
        body(number)
        times.append((time.perf_counter_ns() - start) / 1000)
    return times


def measure(folder, name):
    text = (folder / f"{name}.cedar").read_text()
    entities = cedarpy.Entities.from_json_str((folder / f"{name}.entities.json").read_text())
    policies = cedarpy.PolicySet.from_str(text)
    requests = json.loads((folder / f"{name}.requests.json").read_text())
    for request in requests:
        request["context"] = json.dumps(request["context"])
    size = int(name.split("-")[0])
    asked = requests[: 200 if size <= 1000 else 100]

    engine, wall, answers = [], [], []
    for request in asked:
        start = time.perf_counter_ns()
        result = cedarpy.is_authorized(request, policies, entities)
        wall.append((time.perf_counter_ns() - start) / 1000)
        engine.append(result.metrics["authz_duration_micros"])
    for result in cedarpy.is_authorized_batch(requests, policies, entities):
        answers.append({"allowed": result.allowed, "reasons": sorted(result.diagnostics.reasons)})
    batch = [t / len(asked) for t in microseconds(lambda _: cedarpy.is_authorized_batch(asked, policies, entities), 5)]
    parse = microseconds(lambda _: cedarpy.PolicySet.from_str(text), 7 if size <= 1000 else 1)

    def filter(number):
        asked = requests[number]
        request = {key: f'{asked[key]["type"]}::"{asked[key]["id"]}"' for key in ("principal", "action")}
        request["context"] = asked["context"]
        cedarpy.is_authorized_partial(request, policies, entities)

    partial = microseconds(filter, 20) if size <= 1000 else []
    one = 'permit (principal in Role::"role1", action, resource in Project::"project1");'
    policy = microseconds(lambda _: policies.with_added_str(one), 5)
    new = '[{"uid": {"type": "User", "id": "new"}, "attrs": {"dept": "d"}, "parents": [{"type": "Role", "id": "role1"}]}]'
    entity = microseconds(lambda _: entities.with_added_json_str(new), 5)
    return {"engine": engine, "wall": wall, "batch": batch, "parse": parse, "partial": partial,
            "policyChange": policy, "entityChange": entity, "answers": answers}


def main():
    folder = Path(sys.argv[1])
    for path in sorted(folder.glob("*.cedar")):
        (folder / f"{path.stem}.reference.json").write_text(json.dumps(measure(folder, path.stem)))


main()
