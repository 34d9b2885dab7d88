"""The output of a simulated response: a reply's pieces as items, each as it is once it is whole."""

from typing import Any, assert_never

from voice_agent.llm.simulated.answer import Arguments, Opening, Piece, SimulatedReply, Thought, Word
from voice_agent.llm.simulated.request import SimulatedRequest
from voice_agent.llm.simulated.responses_input import seal

# Why a reply is incomplete, in the words of the API.
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Item:
    """One item of the output: the pieces it consists of, and what it is once they have all come."""

    def __init__(self, place: int, first: Piece) -> None:
        self.place = place
        self.pieces = [first]
        self.whole: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """What its pieces say, or the arguments they make up."""
        return "".join(piece_text(piece) for piece in self.pieces)

    def takes(self, piece: Piece) -> bool:
        """Whether the piece goes on with it."""
        match self.pieces[0], piece:
            case _, Arguments():
                return True
            case Thought(redacted=redacted), Thought():
                return piece.redacted == redacted
            case Word(), Word():
                return True
            case _:
                return False


def output_items(request: SimulatedRequest, reply: SimulatedReply) -> list[Item]:
    """The reply's items, whole; each reasoning item is sealed together with what it led to."""
    items: list[Item] = []
    for piece in reply.pieces:
        if items and items[-1].takes(piece):
            items[-1].pieces.append(piece)
        else:
            items.append(Item(len(items), piece))
    after: dict[str, Any] | None = None
    calls_follow = False
    for item in reversed(items):
        is_last = item is items[-1]
        status = "incomplete" if is_last and reply.reason in INCOMPLETE else "completed"
        # Ids are never given twice in a conversation, and depend on nothing but the request.
        item.whole = {"id": f"{_prefix(item)}_{len(request.messages)}_{item.place}", "status": status}
        match item.pieces[0]:
            case Thought(redacted=redacted):
                text = "" if redacted else item.text
                sealed = seal(item.whole["id"], text, after) if request.seals_reasoning else None
                summary = [{"type": "summary_text", "text": text}] if text else []
                item.whole |= {"type": "reasoning", "summary": summary, "encrypted_content": sealed}
            case Word():
                phase = "commentary" if calls_follow else "final_answer"
                content = [_content(item.text, refused=reply.reason == "refusal")]
                item.whole |= {"type": "message", "role": "assistant", "content": content, "phase": phase}
            case Opening(number=number, name=name):
                call_id = f"call_{len(request.messages)}_{number}"
                item.whole |= {"type": "function_call", "call_id": call_id, "name": name, "arguments": item.text}
                calls_follow = True
            case _:
                raise ValueError("arguments begin no item")
        after = item.whole
    return items


def _prefix(item: Item) -> str:
    return {Thought: "rs", Word: "msg"}.get(type(item.pieces[0]), "fc")


def _content(text: str, *, refused: bool) -> dict[str, Any]:
    if refused:
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def piece_text(piece: Piece) -> str:
    """What a piece adds to its item."""
    match piece:
        case Thought(text=text) | Word(text=text):
            return text
        case Arguments(json=json):
            return json
        case Opening():
            return ""
        case _:
            assert_never(piece)
