# SPDX-License-Identifier: BSD-3-Clause
"""compare.py PARQUET TSV: whether a Parquet file, read with pyarrow, has the columns, types and values of a TSV log."""

import datetime
import re
import sys

import pyarrow as pa
import pyarrow.parquet as pq

TYPES = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "count": pa.uint64(),
    "port": pa.uint16(),
    "double": pa.float64(),
    "interval": pa.float64(),
    "time": pa.timestamp("us", tz="UTC"),
    "string": pa.string(),
    "enum": pa.string(),
    "addr": pa.string(),
    "subnet": pa.string(),
}


def arrow(name):
    m = re.fullmatch(r"(?:set|vector)\[(\w+)\]", name)
    return pa.list_(pa.field("element", TYPES[m[1]])) if m else TYPES[name]


def unescape(text):
    """The bytes that a TSV field stands for."""
    return re.sub(rb"\\(x[0-9a-f]{2}|\\)", lambda m: b"\\" if m[1] == b"\\" else bytes.fromhex(m[1][1:].decode()), text)


def same(name, text, value):
    """Whether a field of a TSV row and a value of a Parquet file are the same."""
    m = re.fullmatch(r"(?:set|vector)\[(\w+)\]", name)
    if text == b"-" or value is None:
        return text == b"-" and value is None
    if m:
        if text == b"(empty)":
            return value == []
        parts = text.split(b",")
        return len(parts) == len(value) and all(same(m[1], p, v) for p, v in zip(parts, value))
    if name in ("string", "enum", "addr", "subnet"):
        want = b"" if text == b"(empty)" else unescape(text)
        # What is no text is in the Parquet file with the escapes of a JSON log.
        return value.encode() == want or re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes.fromhex(m[1].decode()), value.encode()) == want
    if name == "bool":
        return value is (text == b"T")
    if name in ("int", "count", "port"):
        return value == int(text)
    if name == "time":
        micros = (value - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)
        return micros == int(text.replace(b".", b""))
    return abs(value - float(text)) <= 1e-6


def main():
    table = pq.read_table(sys.argv[1])
    with open(sys.argv[2], "rb") as f:
        lines = f.read().split(b"\n")[:-1]
    fields = next(line for line in lines if line.startswith(b"#fields\t")).decode().split("\t")[1:]
    types = next(line for line in lines if line.startswith(b"#types\t")).decode().split("\t")[1:]
    rows = [line.split(b"\t") for line in lines if not line.startswith(b"#")]

    assert table.column_names == fields, (table.column_names, fields)
    for field, name in zip(table.schema, types):
        assert field.type == arrow(name), (field, name)
    assert table.num_rows == len(rows), (table.num_rows, len(rows))
    for column, name, at in zip(fields, types, range(len(fields))):
        for n, value in enumerate(table[column].to_pylist()):
            assert same(name, rows[n][at], value), (column, name, n, rows[n][at], value)
    print(f"{len(rows)} rows of {len(fields)} columns are the same, in {pq.ParquetFile(sys.argv[1]).metadata.num_row_groups} row groups")


main()
