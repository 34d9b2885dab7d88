"""Tools that act on the call itself."""

from voice_agent.tools.registry import tool


@tool(effects="irreversible", exits=True, hangs_up=True, utterance_hint="your goodbye to the caller, in one sentence")
async def end_call() -> str:
    """End the call. Use it once the caller has said goodbye, or has asked to hang up.

    The line is closed after your goodbye was heard, and not at all if the caller interrupts it.
    """
    return "The call ends after the goodbye."
