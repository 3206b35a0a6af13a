"""Settings from the environment."""

import pytest

from engine.settings import ChatEndpoint, Settings, SettingsError, read_settings


def test_an_empty_environment_is_enough() -> None:
    assert read_settings({}) == Settings("127.0.0.1", 8765, "sk-local-engine", 10, 3600, None, None)


def test_the_chat_endpoint_is_read() -> None:
    environ = {
        "ENGINE_LLM_BASE_URL": "http://127.0.0.1:1234/v1/",
        "ENGINE_LLM_MODEL": "small",
        "ENGINE_LLM_API_KEY": "k",
    }

    assert read_settings(environ).chat == ChatEndpoint("http://127.0.0.1:1234/v1", "small", "k")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_hosts_are_accepted(host: str) -> None:
    assert read_settings({"ENGINE_HOST": host}).host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.org", "127.0.0.1.example.org"])
def test_other_hosts_are_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="ENGINE_HOST"):
        read_settings({"ENGINE_HOST": host})


def test_every_problem_is_named() -> None:
    environ = {"ENGINE_PORT": "0", "ENGINE_MAX_CALLS": "many", "ENGINE_API_KEY": "ek_x", "ENGINE_PROT": "1"}

    with pytest.raises(SettingsError) as caught:
        read_settings(environ)

    assert len(caught.value.problems) == 4


def test_names_of_other_programs_are_left_alone() -> None:
    assert read_settings({"ENGINE_URL": "x", "ENGINE_ENABLED": "1"})


def test_faults_are_read_and_checked() -> None:
    assert read_settings({"ENGINE_FAULTS": '{"sideband_status": 404}'}).faults == {"sideband_status": 404}
    assert read_settings({"ENGINE_FAULTS": "{}"}).faults == {}


@pytest.mark.parametrize("text", ["on", "[]", '{"sideband": 1}', '{"sideband_status": -1}'])
def test_faults_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="ENGINE_FAULTS"):
        read_settings({"ENGINE_FAULTS": text})


def test_mcp_servers_are_addresses_with_spaces_between() -> None:
    urls = "http://127.0.0.1:9000/mcp https://tools.example/mcp"

    assert read_settings({"ENGINE_MCP_SERVERS": urls}).mcp_servers == set(urls.split())
    with pytest.raises(SettingsError, match="ENGINE_MCP_SERVERS"):
        read_settings({"ENGINE_MCP_SERVERS": "shop.example"})
