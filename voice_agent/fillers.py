"""What an agent says while the caller waits: its own phrases, or those of the language that is spoken."""

import msgspec

from voice_agent.agent_parts import Voice

_ENGLISH = "en"
PHRASES: dict[str, tuple[str, ...]] = {
    "ar": ("لحظة من فضلك.", "ما زلت أبحث عن ذلك.", "يستغرق الأمر وقتًا أطول قليلًا.", "شكرًا على صبرك."),
    "de": ("Einen Moment, bitte.", "Ich bin noch dabei.", "Es dauert noch einen Augenblick.", "Danke für Ihre Geduld."),
    "en": ("One moment, please.", "I am still on it.", "This is taking a little longer.", "Thank you for waiting."),
    "es": ("Un momento, por favor.", "Sigo en ello.", "Está tardando un poco más.", "Gracias por esperar."),
    "fr": ("Un instant, s'il vous plaît.", "Je m'en occupe.", "C'est un peu plus long.", "Merci de patienter."),
    "hi": ("एक पल रुकिए।", "अभी देखा जा रहा है।", "इसमें थोड़ा और समय लग रहा है।", "इंतज़ार करने के लिए धन्यवाद।"),
    "it": ("Un momento, per favore.", "Me ne sto occupando.", "Ci vuole ancora un po'.", "Grazie per l'attesa."),
    "ja": ("少々お待ちください。", "ただいま確認しております。", "もう少々かかります。", "お待たせしております。"),
    "ko": ("잠시만 기다려 주세요.", "확인하고 있습니다.", "조금 더 걸립니다.", "기다려 주셔서 감사합니다."),
    "nl": ("Een ogenblik, alstublieft.", "Ik ben ermee bezig.", "Het duurt iets langer.", "Bedankt voor het wachten."),
    "pl": ("Chwileczkę, proszę.", "Jeszcze sprawdzam.", "To potrwa trochę dłużej.", "Dziękuję za cierpliwość."),
    "pt": ("Um momento, por favor.", "Ainda estou vendo isso.", "Falta só um pouco.", "Agradeço a sua paciência."),
    "ru": ("Одну минуту, пожалуйста.", "Я ещё проверяю.", "Это займёт чуть больше времени.", "Спасибо за ожидание."),
    "tr": ("Bir dakika, lütfen.", "Hâlâ bakıyorum.", "Biraz daha uzun sürüyor.", "Beklediğiniz için teşekkürler."),
    "zh": ("请稍等。", "我还在查。", "还需要一点时间。", "感谢您的耐心等待。"),
}  # fmt: skip
"""By the first part of a BCP 47 tag, as short as they are empty: they promise nothing, and fit any wait."""


class Fillers(msgspec.Struct, frozen=True):
    """`phrases` are said in their order, and the last one again and again.

    The first comes after `after_s` seconds of waiting for a tool in silence, or `model_s` of waiting for the model;
    between two of them the silence grows, each time to twice as long.
    """

    after_s: float
    model_s: float
    phrases: tuple[str, ...]


def fillers_of(voice: Voice, language: str | None = None) -> Fillers | None:
    """What an agent says while a caller waits who is spoken to in `language` (BCP 47; None: the agent's first).

    None: nothing. A language without phrases has those of the agent's first one, or else English ones.
    """
    phrases = voice.fillers
    if phrases is None:
        tags = (language or voice.languages[0], voice.languages[0], _ENGLISH)
        phrases = next(PHRASES[part] for tag in tags if (part := _primary(tag)) in PHRASES)
    if not phrases:
        return None
    return Fillers(voice.filler_after_ms / 1000, voice.first_token_deadline_ms / 1000, phrases)


def _primary(tag: str) -> str:
    return tag.partition("-")[0].lower()
