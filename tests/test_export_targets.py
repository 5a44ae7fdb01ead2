"""Targets: found in the variables that people have set already, and asked by doctor whether they are there."""

import os

import pytest
from capture_server import Answer, CaptureServer
from fault_server import nobody

from agentkit.cli.doctor import _exports
from agentkit.errors import ConfigError
from agentkit.export import target


@pytest.fixture
def clean_env(monkeypatch):
    """None of the variables that configure a target."""
    ours = ("LANGFUSE", "LANGSMITH", "HELICONE", "OTEL", "AGENTKIT_EXPORT")
    for variable in [name for name in os.environ if name.startswith(ours)]:
        monkeypatch.delenv(variable)
    return monkeypatch


def test_langfuse_is_where_its_own_variables_say(clean_env):
    """The SDK's names, old and new; the key as Basic; the header that keeps spans from being held back."""
    clean_env.setenv("LANGFUSE_PUBLIC_KEY", "pk-lf-12345678-abcd")
    with pytest.raises(ConfigError, match="needs \\$LANGFUSE_SECRET_KEY"):
        target("langfuse")
    clean_env.setenv("LANGFUSE_SECRET_KEY", "sk-lf-1")
    assert target("langfuse").url == "https://cloud.langfuse.com/api/public/otel/v1/traces"
    clean_env.setenv("LANGFUSE_HOST", "https://us.cloud.langfuse.com/")
    clean_env.setenv("LANGFUSE_TRACING_ENVIRONMENT", "production")
    found = target("langfuse", content="none", sample=0.5)
    assert found.url == "https://us.cloud.langfuse.com/api/public/otel/v1/traces"
    assert found.key == "langfuse@us.cloud.langfuse.com/pk-lf-12345678"
    assert found.headers == {
        "Authorization": "Basic cGstbGYtMTIzNDU2NzgtYWJjZDpzay1sZi0x", "x-langfuse-ingestion-version": "4",
    }  # fmt: skip
    assert (found.content.mode, found.sample, found.service.environment) == ("none", 0.5, "production")
    assert "sk-lf-1" not in repr(found)


def test_langsmith_is_where_its_own_variables_say(clean_env):
    """Cloud and a server of one's own."""
    clean_env.setenv("LANGSMITH_API_KEY", "ls-1")
    assert target("langsmith").url == "https://api.smith.langchain.com/otel/v1/traces"
    clean_env.setenv("LANGSMITH_ENDPOINT", "https://smith.example.com/api/v1")
    clean_env.setenv("LANGSMITH_PROJECT", "shop")
    found = target("langsmith")
    assert found.url == "https://smith.example.com/api/v1/otel/v1/traces"
    assert found.headers == {"x-api-key": "ls-1", "Langsmith-Project": "shop"}
    assert not found.takes_unfinished


def test_helicone_is_where_its_own_variables_say(clean_env):
    """Its cloud, and the other paths of a server of one's own."""
    clean_env.setenv("HELICONE_API_KEY", "hk-1")
    assert target("helicone").url == "https://api.worker.helicone.ai"
    clean_env.setenv("HELICONE_BASE_URL", "http://localhost:8585")
    assert target("helicone").url == "http://localhost:8585/v1/trace"
    assert target("helicone").headers == {"Authorization": "Bearer hk-1"}


def test_a_collector_is_where_opentelemetrys_variables_say(clean_env):
    """Endpoint with and without the signal's path, percent-encoded headers, resource attributes."""
    assert target("otlp").url == "http://localhost:4318/v1/traces"
    clean_env.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://otlp.example.com/base/")
    clean_env.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20abc=, x-scope = a%2Cb ,,broken")
    clean_env.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=3,deployment.environment.name=eu")
    clean_env.setenv("OTEL_SERVICE_NAME", "shop")
    found = target("otlp")
    assert found.url == "https://otlp.example.com/base/v1/traces"
    assert found.headers == {"Authorization": "Basic abc=", "x-scope": "a,b"}
    assert found.service.attributes() == {
        "service.name": "shop", "service.version": "3", "deployment.environment.name": "eu",
    }  # fmt: skip
    clean_env.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces.example.com/here")
    assert target("otlp").url == "https://traces.example.com/here"


def test_what_is_no_option_is_said(clean_env):
    """Each with what there is."""
    with pytest.raises(ConfigError, match="there are: langfuse, langsmith, helicone, otlp"):
        target("datadog")
    clean_env.setenv("AGENTKIT_EXPORT_CONTENT", "some")
    with pytest.raises(ConfigError, match="full, redacted, none, not 'some'"):
        target("otlp")
    clean_env.setenv("AGENTKIT_EXPORT_CONTENT", "full")
    assert target("otlp").content.mode == "full"
    clean_env.setenv("AGENTKIT_EXPORT_SAMPLE", "ten")
    with pytest.raises(ConfigError, match="from 0 to 1, not 'ten'"):
        target("otlp")


# doctor --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def doctor(clean_env):
    """What the checks of exports say, by what they look at."""
    return lambda: {check.what: check for check in _exports()}


def test_doctor_asks_only_what_is_configured(doctor, clean_env):
    """Nothing configured, nothing asked."""
    assert doctor() == {}
    clean_env.setenv("LANGFUSE_SECRET_KEY", "sk")
    assert "$LANGFUSE_PUBLIC_KEY" in doctor()["export langfuse"].found
    clean_env.delenv("LANGFUSE_SECRET_KEY")
    clean_env.setenv("AGENTKIT_EXPORT", "langsmith, nowhere")
    assert {what: check.state for what, check in doctor().items()} == {
        "export langsmith": "error", "export nowhere": "error",
    }  # fmt: skip


def test_doctor_says_whether_a_target_is_there_and_takes_the_key(doctor, clean_env):
    """With a request that changes nothing there."""
    with CaptureServer() as server:
        clean_env.setenv("LANGFUSE_PUBLIC_KEY", "pk")
        clean_env.setenv("LANGFUSE_SECRET_KEY", "sk")
        clean_env.setenv("LANGFUSE_HOST", server.url)
        clean_env.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        found = doctor()
        assert {what: check.state for what, check in found.items()} == {"export langfuse": "ok", "export otlp": "ok"}
        assert [request.path for request in server.requests] == ["/api/public/projects", "/v1/traces"]
        assert server.requests[1].body == b""
        server.usual = Answer(401)
        found = doctor()
        assert {check.state for check in found.values()} == {"error"}
        assert "the key is not accepted" in found["export langfuse"].found
    clean_env.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", nobody())
    assert "cannot be reached" in doctor()["export otlp"].found


def test_doctor_compares_clocks(doctor, clean_env):
    """A machine whose clock is wrong sends spans that some systems drop."""
    with CaptureServer(usual=Answer(headers={"Date": "Sat, 28 Nov 2020 12:00:00 GMT"})) as server:
        clean_env.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        assert "behind this machine" in doctor()["clock otlp"].found
