"""What the simulated model says to a person: small talk, the time, reminders, a story, a name, goodbye."""

import re
from typing import Any

import msgspec

from voice_agent.llm.simulated.arguments import fill_arguments
from voice_agent.llm.simulated.document import fitting
from voice_agent.llm.simulated.request import SimulatedRequest
from voice_agent.llm.simulated.script import Act, Call, Say, Script, read_directives
from voice_agent.llm.simulated.sleeptime import sleeptime_script
from voice_agent.prompt import UTTERANCE_FIELD

_NAME_GIVEN = re.compile(r"(?<!your )\b(?:name is|name's|call me)\s+([^\W\d_][\w'-]*)", re.IGNORECASE)
_KIN_NAMED = re.compile(r"\bmy \w+['\u2019]s name\b", re.IGNORECASE)
_NAME_ASKED = re.compile(r"\bwhat(?:'s| is) my name\b|\bwho am i\b|\bremember my name\b", re.IGNORECASE)
_TIME_ASKED = re.compile(r"\bwhat(?:'s| is)? (?:the )?time\b|\btime is it\b|\btell me the time\b", re.IGNORECASE)
_REMINDER = re.compile(r"\bremind me\b|\breminder\b", re.IGNORECASE)
_STORY = re.compile(r"\bstory\b", re.IGNORECASE)
_GOODBYE = re.compile(r"\b(?:goodbye|good bye|bye|hang up)\b", re.IGNORECASE)
_THANKS = re.compile(r"\bthank(?:s| you)\b", re.IGNORECASE)
_HELLO = re.compile(r"^\W*(?:hello|hi|hey|good (?:morning|afternoon|evening))\b", re.IGNORECASE)
# What the gateway tells a model whose caller is silent, or was.
_SILENCE = re.compile(r"\[The caller has said nothing for ")
_GO_ON = re.compile(r"\[It was no interruption\. Go on\.\]\s*$")
_RESULT_CHARS = 300
_TALE = (
    "Once upon a time there was a small lighthouse at the end of a long stone pier. "
    "Its keeper was an old woman called Mara, who knew every ship by the sound of its bell. "
    "One winter night a fog came in, so thick that the lamp could not be seen from the next rock. "
    "Mara heard a bell that she did not know, faint and far too close to the reef. "
    "She took her own brass bell, walked out along the pier through the spray, and began to ring. "
    "Three slow strokes, then a pause, then three slow strokes again, for hour after hour. "
    "Out on the water a young captain heard it, turned his wheel, and followed the sound into the harbour. "
    "In the morning the fog was gone, and there were forty people on the quay, all of them safe. "
    "They asked how they could ever thank her, and Mara said that they could mend her bell, for it had cracked. "
    "They did better than that: they hung a new one, and it rings there still whenever the fog comes in."
)
_ERROR = re.compile(r"\berror\b|\bfailed\b|\btimed out\b", re.IGNORECASE)


def script_for(request: SimulatedRequest) -> Script:
    """What the model does with this request: a pure function of it and of nothing else."""
    at_night = sleeptime_script(request)
    if at_night is not None:
        return at_night
    words, answered = _last_words(request.messages)
    step = sum(1 for message in answered if message.get("tool_calls"))
    script = read_directives(words, step) or Script(tuple(_natural(request, words, answered)))
    acts = tuple(_with_utterance(act, request.tools) for act in script.acts)
    return msgspec.structs.replace(script, acts=acts)


def _natural(request: SimulatedRequest, words: str, answered: tuple[dict[str, Any], ...]) -> list[Act]:
    acts = _conversing(request, words, answered)
    if request.response_format is None or any(isinstance(act, Call) for act in acts):
        return acts
    return [Say(fitting(request.response_format, words))]


def _conversing(request: SimulatedRequest, words: str, answered: tuple[dict[str, Any], ...]) -> list[Act]:
    if answered and answered[-1]["role"] == "tool":
        return [Say(_about_results(answered))]
    calls_allowed = request.tool_choice != "none"
    wanted = _wanted_tool(words)
    if request.tool_choice in request.tools:
        wanted = request.tool_choice
    elif request.tool_choice == "required" and wanted not in request.tools:
        wanted = next(iter(request.tools))
    if calls_allowed and wanted in request.tools:
        schema = request.tools[wanted]
        call = Call(wanted, fill_arguments(schema, words))
        says_itself = wanted == "end_call" and UTTERANCE_FIELD not in schema.get("properties", {})
        return [Say("Goodbye, talk to you soon!"), call] if says_itself else [call]
    return [Say(_small_talk(request.messages, words))]


def _wanted_tool(words: str) -> str | None:
    if _GOODBYE.search(words):
        return "end_call"
    if _TIME_ASKED.search(words):
        return "get_time"
    return "set_reminder" if _REMINDER.search(words) else None


def _small_talk(messages: tuple[dict[str, Any], ...], words: str) -> str:
    told = _NAME_GIVEN.search(_KIN_NAMED.sub("", words))
    answers = (
        (not words, "Hello! How can I help you?"),
        (_SILENCE.search(words), "Are you still there?"),
        (_GOODBYE.search(words), "Goodbye, talk to you soon!"),
        (_NAME_ASKED.search(words), _name_answer(messages)),
        (told, f"Nice to meet you, {told.group(1) if told else ''}."),
        (_TIME_ASKED.search(words), "I have no clock at hand, I am afraid."),
        (_REMINDER.search(words), "I cannot set reminders here, I am afraid."),
        (_STORY.search(words), _TALE),
        (_HELLO.search(words), "Hello! What can I do for you?"),
        (_THANKS.search(words), "You are welcome."),
    )
    return next((answer for holds, answer in answers if holds), f"You said: {words}")


def _name_answer(messages: tuple[dict[str, Any], ...]) -> str:
    for roles in (("user",), ("system", "developer")):
        for message in reversed(messages):
            found = _NAME_GIVEN.findall(_KIN_NAMED.sub("", _text(message))) if message["role"] in roles else []
            if found:
                return f"Your name is {found[-1]}."
    return "You have not told me your name yet."


def _about_results(answered: tuple[dict[str, Any], ...]) -> str:
    names = {call["id"]: call["function"]["name"] for message in answered for call in message.get("tool_calls") or ()}
    results = []
    for message in reversed(answered):
        if message["role"] != "tool":
            break
        results.append((names[message["tool_call_id"]], _text(message)[:_RESULT_CHARS]))
    return " ".join(_about(name, result) for name, result in reversed(results))


def _about(name: str, result: str) -> str:
    if _ERROR.search(result):
        return f"That did not work: {result}"
    match name:
        case "get_time":
            return f"The clock says: {result}"
        case "set_reminder":
            return f"Done: {result}"
        case _:
            return f"Here is what I found: {result}"


def _last_words(messages: tuple[dict[str, Any], ...]) -> tuple[str, tuple[dict[str, Any], ...]]:
    """The user's last words, and what came after them. Whoever is to go on does so with what these asked for."""
    for position in range(len(messages) - 1, -1, -1):
        if messages[position]["role"] == "user" and not _GO_ON.search(_text(messages[position])):
            return _text(messages[position]).strip(), messages[position + 1 :]
    return "", messages


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _with_utterance(act: Act, tools: dict[str, dict[str, Any]]) -> Act:
    """A call that opens with what to say while it runs, where its tool asks for that."""
    if not isinstance(act, Call) or UTTERANCE_FIELD not in tools.get(act.name, {}).get("properties", {}):
        return act
    if UTTERANCE_FIELD in act.arguments or not _is_object(act.arguments):
        return act
    lines = {
        "get_time": "Let me look at the clock.",
        "set_reminder": "Sure, I am setting that up.",
        "end_call": "Goodbye, talk to you soon!",
    }
    line = msgspec.json.encode(lines.get(act.name, "One moment, please.")).decode()
    rest = act.arguments.lstrip()[1:].lstrip()
    return Call(act.name, f'{{"{UTTERANCE_FIELD}":{line}' + (rest if rest.startswith("}") else "," + rest))


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except msgspec.DecodeError:
        return False
