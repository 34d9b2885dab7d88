"""The file of providers: what it says, and every fault in it by file and field."""

from pathlib import Path

import pytest

from tests.commands import run
from tests.llm.rawserver import DONE, Connection, raw_server
from voice_agent.clock import SystemClock
from voice_agent.config import ConfigError, Settings
from voice_agent.events import ModelEvent, TextDelta
from voice_agent.llm.catalogue import Catalogue
from voice_agent.llm.providers import key_of, read_providers
from voice_agent.llm.wire import Http
from voice_agent.messages import Message, ModelRequest

URL = 'url = "http://127.0.0.1:9/v1"\n'


def settings(path: Path, text: str | None = None, *, key: str | None = None) -> Settings:
    """Settings that name the file, with this text in it."""
    if text is not None:
        path.write_text(text)
    return Settings(
        providers=path,
        openai_api_key=key,
        openai_base_url="https://api.openai.com/v1",
        anthropic_api_key=None,
        anthropic_base_url="https://api.anthropic.com",
    )


def file(folder: Path) -> Path:
    """Where the file is."""
    return folder / "providers.toml"


def test_a_file_adds_to_the_built_in_providers(tmp_path: Path) -> None:
    """All that a table may say arrives at the endpoint."""
    given = settings(
        file(tmp_path),
        """
        [vllm]
        url = "http://gpu:8000/v1/"
        models.qwen = { api = "responses", context_window = 32768, replay = ["reasoning_content"] }

        [my-proxy_2]
        url = "https://proxy/anthropic/v1"
        api = "messages"
        auth = "bearer"
        """,
    )
    providers = read_providers(given)
    assert list(providers) == ["openai", "anthropic", "vllm", "my-proxy_2"]
    vllm = providers["vllm"].endpoint("vllm", None)
    assert (vllm.base_url, vllm.api, vllm.headers()) == ("http://gpu:8000/v1", "chat", {})
    proxy = providers["my-proxy_2"].endpoint("my-proxy_2", "k")
    assert (proxy.base_url, proxy.api) == ("https://proxy/anthropic", "messages")
    assert proxy.headers() == {"Authorization": "Bearer k"}
    assert providers["anthropic"].endpoint("anthropic", "k").headers() == {"x-api-key": "k"}


def test_a_table_replaces_a_built_in_provider(tmp_path: Path) -> None:
    """Whole: nothing of the built-in one is left, not even that it needs a key."""
    providers = read_providers(settings(file(tmp_path), f"[openai]\n{URL}", key="sk-1"))
    assert list(providers) == ["openai", "anthropic"]
    assert (providers["openai"].url, providers["openai"].key_env) == ("http://127.0.0.1:9/v1", None)
    assert key_of(providers["openai"], settings(file(tmp_path), key="sk-1")) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f'[groq]\n{URL}keyenv = "K"\n', "[groq]: Object contains unknown field `keyenv`"),
        ('[groq]\nkey_env = "K"\n', "[groq]: Object missing required field `url`"),
        ("[groq]\nurl = 7\n", "[groq]: Expected `str`, got `int` - at `$.url`"),
        (f'[groq]\n{URL}api = "grpc"\n', "[groq]: Invalid enum value 'grpc' - at `$.api`"),
        (f'[groq]\n{URL}auth = "basic"\n', "[groq]: Invalid enum value 'basic' - at `$.auth`"),
        (f"[groq]\n{URL}query.v = 1\n", "[groq]: Expected `str`, got `int` - at `$.query[...]`"),
        (f"[groq]\n{URL}models.m.max_otput = 1\n", '[groq.models."m"]: Object contains unknown field `max_otput`'),
        (f'[groq]\n{URL}models.m.sampling = "no"\n', '[groq.models."m"]: Expected `bool`, got `str` - at `$.sampling`'),
        ("groq = 1\n", "[groq]: Expected `object`, got `int`"),
        (f'["my groq"]\n{URL}', "[my groq]: a provider's name consists of letters, digits, _ and -"),
        ('[groq]\nurl = "groq.com/v1"\n', "[groq]: `url` is no http or https URL"),
        ('[groq]\nurl = "http://a b/"\n', "[groq]: `url` is no http or https URL"),
        ('[groq]\nurl = "http://gr\u00f6q/"\n', "[groq]: `url` is no http or https URL"),
        ('[groq]\nurl = "http://groq:port/"\n', "[groq]: `url` is no http or https URL"),
        (
            '[groq]\nurl = "http://me:secret@groq/v1"\n',
            "[groq]: `url` may not hold a user or a password: a key goes where `key_env` says",
        ),
        (
            f'[groq]\n{URL}models.m.api = "messages"\n',
            '[groq.models."m"]: Messages has an address of its own, so a table of its own',
        ),
        ('[groq]\nurl = "http://groq/?v=1"\n', "[groq]: `url` may not end in a query or a fragment"),
    ],
)
def test_each_fault_names_file_table_and_field(tmp_path: Path, text: str, fault: str) -> None:
    """In one line."""
    with pytest.raises(ConfigError) as caught:
        read_providers(settings(file(tmp_path), text))
    assert str(caught.value) == f"VOICE_PROVIDERS: {file(tmp_path)}: {fault}"


def test_faults_of_several_tables_are_told_at_once(tmp_path: Path) -> None:
    """The sound ones between them are no news."""
    with pytest.raises(ConfigError, match=r"\[a\]: .* `url`; \[c\]: .* `x`$"):
        read_providers(settings(file(tmp_path), f"[a]\n[b]\n{URL}[c]\n{URL}x = 1\n"))


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    """Missing, a directory, no TOML, in nobody's home, no UTF-8."""
    path = file(tmp_path)
    with pytest.raises(ConfigError, match=r"providers\.toml cannot be read: No such file or directory$"):
        read_providers(settings(path))
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory$"):
        read_providers(settings(tmp_path))
    with pytest.raises(ConfigError, match=r"providers\.toml cannot be read: .*line 1"):
        read_providers(settings(path, "[groq\nurl = 1"))
    with pytest.raises(ConfigError, match=r"~nobody-here/x cannot be read: .*home"):
        read_providers(settings(Path("~nobody-here/x")))
    path.write_bytes(b'[groq]\nurl = "\xff"')
    with pytest.raises(ConfigError, match=r"providers\.toml cannot be read: .*utf-8"):
        read_providers(settings(path))


@pytest.mark.parametrize("command", [("gateway", "serve", "--port", "0"), ("sleeptime",)])
async def test_a_wrong_file_is_one_line_at_the_start(tmp_path: Path, command: tuple[str, ...]) -> None:
    """And exit code 2, of the product as of the worker alone."""
    file(tmp_path).write_text("[groq]\n")
    where = ("--data-dir", str(tmp_path / "data"))
    told = await run(*command, *where, VOICE_PROVIDERS=str(file(tmp_path)))
    assert (told.code, told.out) == (2, "")
    lines = set(told.err.splitlines())
    assert lines
    for line in lines:  # gateway and worker both read it: whoever is first ends the other
        assert line.startswith("voice-gateway")
        assert line.endswith(f": VOICE_PROVIDERS: {file(tmp_path)}: [groq]: Object missing required field `url`")


async def test_azure_gets_its_key_its_query_and_its_deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key in its own header, from the variable that the file names; the query on the list of models too."""
    monkeypatch.setenv("AZURE_KEY", "az-1")
    seen: list[str] = []

    async def answer(connection: Connection) -> None:
        while True:
            head, body = await connection.request()
            seen.append(head)
            connection.send(DONE if body else b'{"data":[]}')

    out: list[ModelEvent] = []
    async with raw_server(answer) as url, Http() as http:
        base = f"{url.removesuffix('/v1')}/openai/deployments/voice"
        table = f'[azure]\nurl = "{base}"\nkey_env = "AZURE_KEY"\nauth = "api-key"\n'
        given = settings(file(tmp_path), table + 'query = { api-version = "2026-10-01" }\n')
        model = Catalogue(given, SystemClock(), http).open("azure/gpt-x")
        await model.warm()
        request = ModelRequest("gpt-x", "s", (), (Message("user", "hi", 0.0),))
        await model.reply(request, out.append)
    assert out[0] == TextDelta("ok")
    assert [head.splitlines()[0] for head in seen] == [
        "GET /openai/deployments/voice/models?api-version=2026-10-01 HTTP/1.1",
        "POST /openai/deployments/voice/chat/completions?api-version=2026-10-01 HTTP/1.1",
    ]
    assert all("\r\napi-key: az-1\r\n" in head and "Authorization" not in head for head in seen)


async def test_a_key_that_is_not_set_is_missed_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only when a model of that provider is wanted: others go on."""
    monkeypatch.delenv("GROQ_KEY", raising=False)
    given = settings(file(tmp_path), f'[groq]\n{URL}key_env = "GROQ_KEY"\n[local]\n{URL}')
    async with Http() as http:
        catalogue = Catalogue(given, SystemClock(), http)
        fault = "groq/m needs an API key: set GROQ_KEY (any text for a server that asks for none)"
        assert catalogue.check("groq/m") == fault
        assert catalogue.check("local/m") is None
        assert catalogue.check("acme/m") == (
            "there is no model provider 'acme': known are openai/NAME, anthropic/NAME, groq/NAME, local/NAME "
            "and simulated"
        )
        monkeypatch.setenv("GROQ_KEY", "two words")
        told = Catalogue(given, SystemClock(), http).check("groq/m")
        assert told is not None
        assert told.startswith("GROQ_KEY holds a character that no key has")
        assert "two words" not in told
