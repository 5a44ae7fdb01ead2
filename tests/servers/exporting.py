"""The golden runs, exported by agentkit's own exporter; and what is expected of them, read from the spans."""

import export_runs

from agentkit.export import to_spans

PLAIN = "otlp"
GOLDEN = {"support": export_runs.support, "triage": export_runs.triage}


def spans_of_golden(name):
    """A golden run's spans in the plain profile."""
    return to_spans(GOLDEN[name](), PLAIN)


def parents(spans):
    """Each span's id with its parent's."""
    return {(_hex(span.context), span.parent and _hex(span.parent)) for span in spans}


def kinds(spans):
    """Each span's id with its OpenInference kind."""
    return {_hex(span.context): span.attributes["openinference.span.kind"] for span in spans}


def _hex(context):
    return format(context.span_id, "016x")


def export(name, url, headers=(), *, again=False):
    """Send a golden run."""
    import gzip

    import httpx
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    del again
    body = gzip.compress(encode_spans(spans_of_golden(name)).SerializeToString())
    told = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip", **dict(headers)}
    answer = httpx.post(url, content=body, headers=told, timeout=30)
    assert answer.status_code == 200, answer.text
