"""The file of MCP servers, and what becomes of what they list."""

import json
from pathlib import Path
from typing import Any

import mcp.types as wire
import pytest

from voice_agent.config import ConfigError
from voice_agent.tools.mcp.definitions import Definition, Http, Stdio, read_definitions
from voice_agent.tools.mcp.offered import McpTool, name_of, text_of, tools_of
from voice_agent.tools.mcp.servers import McpServers


def written(path: Path, document: object) -> Path:
    file = path / "servers.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return file


def test_a_file_names_processes_and_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its order, with secrets out of the environment in env, headers and url; arguments stay as they are."""
    monkeypatch.setenv("THE_TOKEN", "s3cret")
    file = {
        "mcpServers": {
            "files": {
                "type": "stdio",
                "command": "npx",
                "args": ["-y", "${THE_TOKEN}"],
                "env": {"T": "a ${THE_TOKEN}"},
            },
            "crm-2": {
                "url": "https://crm.test/${THE_TOKEN}/mcp",
                "headers": {"Authorization": "Bearer ${THE_TOKEN}"},
                "tools": ["find", "call"],
                "timeout_s": 3,
                "effects": {"find": "none"},
                "say": {"find": False},
            },
        },
        "of another program": True,
    }
    assert read_definitions(written(tmp_path, file)) == (
        Definition("files", Stdio("npx", ("-y", "${THE_TOKEN}"), {"T": "a s3cret"}, None)),
        Definition(
            "crm-2",
            Http("https://crm.test/s3cret/mcp", {"Authorization": "Bearer s3cret"}),
            frozenset({"find", "call"}),
            3.0,
            {"find": "none"},
            {"find": False},
        ),
    )


@pytest.mark.parametrize(
    ("servers", "told"),
    [
        ({"a": {}}, "server 'a' needs a command or a url, and not both"),
        ({"a": {"command": "x", "url": "http://x"}}, "server 'a' needs a command or a url, and not both"),
        ({"a": {"command": ""}}, "server 'a': command is empty"),
        ({"a": {"command": "x", "headers": {"A": "b"}}}, "server 'a' has a command, so it takes no headers"),
        ({"a": {"url": "http://x", "args": ["b"]}}, "server 'a' has a url, so it takes no args"),
        ({"a": {"url": "ftp://x"}}, "server 'a': url is no http or https URL"),
        ({"a": {"url": "http://x", "headers": {"A": "s3cret\n"}}}, "server 'a': headers: 'A' holds a character"),
        ({"a__b": {"command": "x"}}, "the server name 'a__b' must be 1 to 24"),
        ({"a_": {"command": "x"}}, "the server name 'a_' must be 1 to 24"),
        ({"a" * 25: {"command": "x"}}, "must be 1 to 24"),
        ({"a": {"command": "x", "timeout": 3}}, "server 'a': Object contains unknown field `timeout`"),
        ({"a": {"command": "x", "timeout_s": 0}}, "server 'a': Expected `float` > 0.0 - at `$.timeout_s`"),
        ({"a": {"command": "x", "effects": {"b": "some"}}}, "server 'a': Invalid enum value 'some'"),
        ({"a": {"type": "sse", "url": "http://x"}}, "server 'a': Invalid enum value 'sse' - at `$.type`"),
        (
            {"a": {"command": "x", "env": {"K": "${NOT_SET_ANYWHERE}"}}},
            "server 'a': env needs the environment variable NOT_SET_ANYWHERE, which is not set",
        ),
    ],
)
def test_a_wrong_file_is_refused_in_words(tmp_path: Path, servers: dict[str, Any], told: str) -> None:
    """They name the setting, the file and what is wrong, and no secret."""
    file = written(tmp_path, {"mcpServers": servers})
    with pytest.raises(ConfigError) as caught:
        read_definitions(file)
    assert str(caught.value).startswith(f"VOICE_MCP_SERVERS: {file}: ")
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("document", "told"),
    [("{", "truncated"), ("[]", "Expected `object`"), ("{}", "missing required field `mcpServers`")],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, document: str, told: str) -> None:
    """Broken JSON, and JSON of another shape."""
    with pytest.raises(ConfigError, match=told):
        read_definitions(written(tmp_path, document))
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_definitions(tmp_path / "none.json")


def test_every_name_is_one_that_providers_take() -> None:
    """A good one is kept; others are changed, each in its own way whatever else there is."""
    assert name_of("crm", "find_customer") == "crm__find_customer"
    odd = ["files.read", "files/read", "files read", "x" * 44, "x" * 45, "ü", ""]
    names = [name_of("crm", name) for name in odd]
    assert len(set(names)) == len(odd)
    assert all(len(name) <= 48 and name.replace("_", "a").replace("-", "a").isalnum() for name in names)
    assert all(name.isascii() and name.startswith("crm__") for name in names)
    assert name_of("s" * 24, "x" * 200) == name_of("s" * 24, "x" * 200)


async def unasked(tool: str, arguments: dict[str, Any]) -> wire.CallToolResult:
    raise AssertionError(f"nobody asks for {tool} with {arguments}")


def listed(name: str, schema: dict[str, Any] | None = None, **rest: Any) -> wire.Tool:
    return wire.Tool(name=name, input_schema=schema or {"type": "object"}, **rest)


def offered(*tools: wire.Tool, **definition: Any) -> dict[str, McpTool]:
    return tools_of(Definition("s", Http("http://x", {}), **definition), tools, unasked, {})


def test_hints_become_policies_and_definitions_stand_over_them() -> None:
    """A read may run early and is cancelled by an interruption; all else waits, and is finished."""
    reads = wire.ToolAnnotations(read_only_hint=True)
    tools = offered(
        listed("look", annotations=reads),
        listed("write", annotations=wire.ToolAnnotations(idempotent_hint=True)),
        listed("plain"),
        listed("sly", annotations=reads),
        timeout_s=2.0,
        effects={"plain": "none", "sly": "irreversible"},
        say={"look": False},
    )
    policies = {name: (tool.spec.effects, tool.spec.on_interrupt, tool.spec.say) for name, tool in tools.items()}
    assert policies == {
        "s__look": ("none", "cancel", False),
        "s__write": ("irreversible", "finish", True),
        "s__plain": ("none", "cancel", True),
        "s__sly": ("irreversible", "finish", True),
    }
    assert {tool.timeout_s for tool in tools.values()} == {2.0}


def test_what_the_model_is_told_is_what_the_server_says() -> None:
    """The description, or what stands in for it; the schema without its dialect; arguments are checked by it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": ["day"]}
    tools = offered(listed("a", schema, description="x" * 2000), listed("b", title="Bee"), listed("c"))
    told = [tool.spec.schema for tool in tools.values()]
    assert [len(told[0].description), told[1].description, told[2].description] == [1024, "Bee", "c"]
    assert told[0].parameters == {"type": "object", "required": ["day"], "properties": {}}
    assert "day" in (tools["s__a"].spec.check({}) or "")
    assert tools["s__a"].spec.check({"day": "x"}) is None


@pytest.mark.parametrize(
    ("tools", "told"),
    [
        ((listed("a", {"type": "string"}),), "'a' is not offered: its input schema is not of type object"),
        ((listed("a", {"type": "object", "properties": {"pre_exec_msg": {}}}),), "'pre_exec_msg' is reserved"),
        ((listed("a", {"type": "object", "required": 5}),), "'a' is not offered: its input schema cannot be used"),
        ((listed("b"), listed("b", title="B")), "'b' is not offered: it is listed twice"),
        ((), "offers no tool 'a', which its definition names"),
    ],
)
def test_what_cannot_be_offered_is_named_in_the_log(
    tools: tuple[wire.Tool, ...], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And left out, while the others are offered; so is what the definition does not name."""
    assert "s__a" not in offered(*tools, listed("left_out"), tools=frozenset({"a", "b"}))
    assert any(told in record.getMessage() for record in caplog.records)


def test_contents_are_put_in_words() -> None:
    """Texts are joined, files and links named, and structured content stands in only where there is no text."""
    contents: list[wire.ContentBlock] = [
        wire.TextContent(text="one"),
        wire.EmbeddedResource(resource=wire.TextResourceContents(uri="file:///a", text="two")),
        wire.EmbeddedResource(resource=wire.BlobResourceContents(uri="file:///b", blob="AAAA")),
        wire.ResourceLink(name="c", uri="file:///c"),
        wire.AudioContent(data="AAAAAAAA", mime_type="audio/wav"),
    ]
    named = "[file file:///b, of unknown type: it cannot be shown]\n[link to c: file:///c]\n"
    named += "[audio, audio/wav, 6 bytes: it cannot be shown]"
    assert text_of(wire.CallToolResult(content=contents, structured_content={"x": 1})) == f"one\ntwo\n{named}"
    assert text_of(wire.CallToolResult(content=contents[4:], structured_content=[1])).startswith("[1]\n[audio")
    assert text_of(wire.CallToolResult(content=[])) == ""


async def test_a_gateway_without_servers_has_no_tools() -> None:
    """And nothing to wait for."""
    servers = McpServers((), NoClock())
    await servers.ready()
    await servers.run()
    assert not servers.tools()
    assert not servers.serves("a__b")
    assert servers.expand("a__*") == ()


class NoClock:
    """A clock that nobody reads."""

    def now(self) -> float:
        raise AssertionError

    def wall(self) -> float:
        raise AssertionError
