"""Tools that act on the call itself. The front end does it: it is told by `tool.started`, with their arguments."""

from typing import Annotated

from pydantic import Field

from voice_agent.tools.registry import tool


@tool(effects="irreversible", exits=True, acts="hang_up", utterance_hint="your goodbye to the caller, in one sentence")
async def end_call() -> str:
    """End the call. Use it once the caller has said goodbye, or has asked to hang up.

    The line is closed after your goodbye was heard, and not at all if the caller interrupts it.
    """
    return "The call ends after the goodbye."


@tool(effects="irreversible", exits=True, acts="transfer", utterance_hint="to whom you put the caller through")
async def transfer_call(to: Annotated[str, Field(pattern=r"^[!-~](?:[ -~]{0,198}[!-~])?$")]) -> str:
    """Put the caller through to somebody else. You leave the call.

    The call is handed over after your words were heard, and not at all if the caller interrupts them.

    Args:
        to: a telephone number as in +4930123456, a SIP address, or a name that you were told
    """
    return f"The caller is put through to {to} after these words."


@tool(effects="irreversible", parallel=False, acts="digits", utterance_hint="that you enter something")
async def send_digits(digits: Annotated[str, Field(pattern=r"^[0-9*#A-D]{1,64}$")]) -> str:
    """Press keys on the telephone's keypad, as menus ask for.

    Args:
        digits: the keys in order: 0 to 9, *, #, A to D
    """
    return f"The keys {' '.join(digits)} are pressed."
