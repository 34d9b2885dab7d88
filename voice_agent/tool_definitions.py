"""Tools that an agent brings along: objects in its `tools` that name a webhook, or a tool the connected client runs."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    StringConstraints,
    Tag,
    WrapSerializer,
)

MASK = "***"
NAME_PATTERN = r"^[A-Za-z0-9_-]{1,48}$"
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_LONGEST_HEADER = 8000
_PLACE = re.compile(r"\$\{([^}]*)\}")
# What frames the request, or is ours to say.
_OUR_HEADERS = frozenset({
    "connection", "content-encoding", "content-length", "content-type", "expect", "host", "idempotency-key", "te",
    "trailer", "transfer-encoding", "upgrade", "user-agent", "x-voice-signature",
})  # fmt: skip


def _given(secret: SecretStr) -> SecretStr:
    if secret.get_secret_value() == MASK:
        raise ValueError(f"{MASK} stands for a value that is not shown, and there is none to keep")
    if "\0" in secret.get_secret_value():
        raise ValueError("it holds a null character, which no environment can")
    return secret


def _shown(secret: SecretStr, _: SerializerFunctionWrapHandler, info: SerializationInfo) -> str:
    return secret.get_secret_value() if info.context is REVEALED else MASK


# The context of a serialisation that is for the store.
REVEALED = {"secrets": True}
SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
SecretValue = Annotated[
    SecretStr, Field(min_length=1, max_length=10_000), AfterValidator(_given), WrapSerializer(_shown, return_type=str)
]


def is_header_value(text: str) -> bool:
    """Whether it can stand in an HTTP header: printable ASCII."""
    return text.isascii() and text.isprintable()


def _header_values(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER.fullmatch(name):
            raise ValueError(f"{name!r} is no header's name")
        if name.lower() in _OUR_HEADERS:
            raise ValueError(f"the header {name!r} is not to be set here")
        if len(value) > _LONGEST_HEADER:
            raise ValueError(f"the value of the header {name!r} is longer than {_LONGEST_HEADER} characters")
        if not is_header_value(value):
            raise ValueError(f"the value of the header {name!r} is not printable ASCII")
    return headers


class _Definition(BaseModel):
    """What both kinds have; the policies mean what they mean for any tool."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
    description: str = Field(min_length=1, max_length=1024, description="what the model is told")
    parameters: dict[str, Any] = Field(
        default={"type": "object", "properties": {}}, description="JSON Schema of type object"
    )
    timeout_s: float = Field(default=15, gt=0, le=600)
    return_char_limit: int = Field(default=50_000, ge=1, le=1_000_000)
    say: bool = Field(default=True, description="whether the model is asked for words to say before the call")
    effects: Literal["none", "irreversible"] = "irreversible"
    parallel: bool = True
    on_interrupt: Literal["cancel", "finish"] = "cancel"
    duplicate: Literal["allow", "reject"] = "allow"

    def model_post_init(self, _: Any) -> None:
        # Documents are stored without defaults, and a tool is read by its type.
        self.model_fields_set.add("type")


class ClientTool(_Definition):
    """The connected client runs it: it gets `tool.request` and answers with `tool.result`."""

    type: Literal["client"] = "client"


class WebhookTool(_Definition):
    """An HTTP server runs it. `secret` names the one of the agent's secrets that requests are signed with.

    In the values of `headers`, `${NAME}` stands for the agent's secret of that name.
    """

    type: Literal["webhook"] = "webhook"
    url: str = Field(min_length=1, max_length=2000)
    secret: SecretName | None = None
    headers: Annotated[dict[str, str], Field(max_length=20), AfterValidator(_header_values)] = {}
    idempotent: bool = Field(default=False, description="whether a call that failed may be sent again")

    def secrets_used(self) -> Iterator[tuple[str, str]]:
        """The names of the secrets that it takes, each after the JSON pointer (from the tool) to the field it is in."""
        if self.secret is not None:
            yield "/secret", self.secret
        for header, value in self.headers.items():
            yield from ((f"/headers/{header.replace('~', '~0')}", name) for name in _PLACE.findall(value))

    def headers_with(self, secrets: Mapping[str, str]) -> dict[str, str]:
        """The headers with the secrets' values in place. Raises KeyError if one is missing."""
        return {name: _PLACE.sub(lambda place: secrets[place[1]], value) for name, value in self.headers.items()}


def _kind(entry: Any) -> str:
    if isinstance(entry, dict):
        return str(entry.get("type"))
    return str(getattr(entry, "type", "name"))


Entry = Annotated[
    Annotated[str, Tag("name")] | Annotated[WebhookTool, Tag("webhook")] | Annotated[ClientTool, Tag("client")],
    Discriminator(_kind),
]


def tool_name(entry: Any) -> Any:
    """The name of an entry of `tools`, which may be one of a document that was not validated; None if it has none."""
    if isinstance(entry, dict):
        return entry.get("name")
    return getattr(entry, "name", entry)
