"""Lines of records: some fields are the same as in the whole record; damage is named."""

import json
import random

import pytest
from helpers.studies import synthetic_record

from wirelessfl.records import strict_json
from wirelessfl.records.record_lines import (
    FIELDS,
    MOST_LISTED,
    DamagedLineError,
    decode,
    decoder,
    encode,
)
from wirelessfl.records.summary import SUMMARISED, summarise

RECORD = synthetic_record(7, 3).as_dict()
LINE = strict_json.dumps(RECORD).encode()


def test_some_fields_are_those_of_the_whole_record():
    record = {**RECORD, "loss": None, "latency_s": [0.1, None, 1e-300], "extra": {', "loss': 1.0}}
    line = strict_json.dumps(record).encode()
    for fields in (SUMMARISED, ("accuracy",), FIELDS[1:-1]):
        found = decoder(fields)(line, 7)
        assert found == {name: record[name] for name in ("round", *fields)}


def test_long_lists_are_compressed_and_come_back_to_the_last_bit():
    short = synthetic_record(7, MOST_LISTED).as_dict()
    assert encode(short) == (strict_json.dumps(short) + "\n").encode()
    clients = 600
    chance = random.Random(1)
    record = synthetic_record(7, clients).as_dict()
    record["gain"] = [chance.random() * 10 ** chance.randint(-300, 0) for _ in range(clients)]
    record["latency_s"] = [0.1, None, 1e-300] * (clients // 3)
    line = encode(record)
    assert decode(line[:-1], 7) == record
    for fields in (SUMMARISED, ("accuracy",), FIELDS[1:-1]):
        found = decoder(fields)(line[:-1], 7)
        assert found == {name: record[name] for name in ("round", *fields)}
    assert 3 * len(line) < len(strict_json.dumps(record))
    assert isinstance(json.loads(line)["gain"], str)
    assert isinstance(json.loads(line)["loss"], float)


@pytest.mark.parametrize(
    "text", ["", "x", "!", "eJwDAAAAAAE=", "eJyrVspIzcnJBwAGLwIV", "eJyLBgAAPQA="]
)
def test_a_damaged_long_list_is_named(text):
    line = strict_json.dumps({**RECORD, "gain": text}).encode()
    for read in (decode, decoder(("gain",))):
        with pytest.raises(DamagedLineError, match="it must be the record of round 7"):
            read(line, 7)


def test_a_line_in_another_form_is_decoded_too():
    line = json.dumps(dict(reversed(RECORD.items())), separators=(",", ":")).encode()
    assert decoder(("clock_s",))(line, 7)["clock_s"] == RECORD["clock_s"]


def test_changed_types_are_damage():
    for name in FIELDS:
        for value in ("x", [[]], {}, True, [1.5, "x", None]):
            if name == "extra" and value == {}:
                continue
            line = strict_json.dumps({**RECORD, name: value}).encode()
            with pytest.raises(DamagedLineError, match="it must be the record of round 7"):
                decode(line, 7)
    with pytest.raises(DamagedLineError):
        decode(b"[" * 100_000, 7)
    with pytest.raises(DamagedLineError, match="round 8"):
        decoder(("loss",))(LINE, 8)


def test_no_damage_to_a_line_is_another_error():
    chance = random.Random(0)
    reads = (decode, decoder(SUMMARISED))
    for _ in range(2000):
        damaged = bytearray(LINE)
        for _ in range(chance.choice((1, 1, 3))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        for read in reads:
            try:
                found = read(bytes(damaged).replace(b"\n", b" "), 7)
            except DamagedLineError:
                continue
            assert found["round"] == 7


def test_a_summary_takes_the_records_one_by_one():
    records = [synthetic_record(number, 3).as_dict() for number in range(1, 11)]
    assert summarise(iter(records)) == summarise(records)
    found = summarise({**record, "energy_j": [None] * 3} for record in records)
    assert found["energy_j"] != found["energy_j"]
