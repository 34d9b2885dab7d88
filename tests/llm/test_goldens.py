"""The decoders against written streams of many servers, cut everywhere."""

import pytest

from tests.llm.goldens import STREAMS, decode, golden
from voice_agent.events import ModelFailed, ModelFinished
from voice_agent.llm.capabilities import Api
from voice_agent.llm.provider import FORMATS


def test_every_format_has_streams() -> None:
    """None of them is left out by a folder's name."""
    assert {api for api, _ in STREAMS} == set(FORMATS)


@pytest.mark.parametrize(("api", "name"), STREAMS)
def test_stream_decodes_whole(api: Api, name: str) -> None:
    """Each written stream gives exactly the events beside it."""
    stream, expected = golden(api, name)
    assert decode(api, stream) == expected


@pytest.mark.parametrize(("api", "name"), STREAMS)
def test_stream_decodes_the_same_however_cut(api: Api, name: str) -> None:
    """Cutting at any byte, and feeding single bytes, changes nothing."""
    stream, expected = golden(api, name)
    for cut in range(len(stream) + 1):
        assert decode(api, stream[:cut], stream[cut:]) == expected, cut
    assert decode(api, *(stream[at : at + 1] for at in range(len(stream)))) == expected


@pytest.mark.parametrize(("api", "name"), STREAMS)
def test_stream_cut_off_anywhere_ends_exactly_once(api: Api, name: str) -> None:
    """However early a stream breaks off, the last event, and only it, is an ending."""
    stream, _ = golden(api, name)
    for cut in range(len(stream)):
        endings = [isinstance(event, ModelFinished | ModelFailed) for event in decode(api, stream[:cut])]
        assert endings.count(True) == 1
        assert endings[-1]


@pytest.mark.parametrize("name", [name for api, name in STREAMS if api == "messages"])
def test_what_came_before_the_cut_stands(name: str) -> None:
    """Messages holds nothing back, so that the events before the ending are those of the whole stream."""
    stream, expected = golden("messages", name)
    for cut in range(len(stream)):
        out = decode("messages", stream[:cut])
        assert out[:-1] == expected[: len(out) - 1]
