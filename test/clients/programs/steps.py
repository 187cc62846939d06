"""For client programs in Python: one JSON line for each step, with its result or its error."""
import datetime
import decimal
import json
import os
import uuid

schema = os.environ["LAB"]


def tidy(value):
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes:" + bytes(value).hex()
    if isinstance(value, dict):
        return {str(key): tidy(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [tidy(each) for each in value]
    if isinstance(value, (decimal.Decimal, datetime.date, datetime.time, datetime.datetime, datetime.timedelta, uuid.UUID)):
        return type(value).__name__ + ":" + str(value)
    try:
        return [tidy(each) for each in value]
    except TypeError:
        return str(value)


def error_of(error):
    inner = getattr(error, "orig", None) or getattr(error, "__cause__", None) or error
    out = {"text": str(error).split("(Background on this error")[0].replace(os.environ["PGPORT"], "PORT")}
    diag = getattr(inner, "diag", None)
    if diag is not None:
        for name in ("severity", "sqlstate", "message_primary", "message_detail", "message_hint", "statement_position", "schema_name", "table_name", "column_name", "constraint_name"):
            out[name] = tidy(getattr(diag, name, None))
    for name in ("pgcode", "sqlstate", "position", "detail", "hint", "constraint_name"):
        if getattr(inner, name, None) is not None:
            out[name] = str(getattr(inner, name))
    return out


def report(name, key, value):
    print(json.dumps({"step": name, key: value}, ensure_ascii=True), flush=True)


def step(name, work):
    try:
        report(name, "ok", tidy(work()))
    except Exception as error:  # pylint: disable=broad-except
        report(name, "error", error_of(error))


async def astep(name, work):
    try:
        report(name, "ok", tidy(await work()))
    except Exception as error:  # pylint: disable=broad-except
        report(name, "error", error_of(error))
