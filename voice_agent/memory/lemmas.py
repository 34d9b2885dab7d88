"""English words in their base form: a table of irregular ones, and a light stemmer for the rest.

Stems are keys, not words: "making" and "make" need only come out the same.
"""

import re

_FORMS = """
arise arose arisen; awake awoke awoken; become became; begin began begun; bend bent; bite bit bitten; bleed bled;
blow blew blown; break broke broken; breed bred; bring brought; build built; burn burnt; buy bought; catch caught;
choose chose chosen; come came; creep crept; deal dealt; dig dug; draw drew drawn; dream dreamt; drink drank drunk;
drive drove driven; eat ate eaten; fall fell fallen; feed fed; feel felt; fight fought; find found; flee fled;
fly flew flown; forbid forbade forbidden; forget forgot forgotten; forgive forgave forgiven; freeze froze frozen;
get got gotten; give gave given; go went gone goes; grow grew grown; hang hung; hear heard; hide hid hidden; hold held;
keep kept; kneel knelt; know knew known; lay laid; lead led; lean leant; learn learnt; lend lent; lie lain lying;
light lit; lose lost; make made; mean meant; meet met; mistake mistook mistaken; overcome overcame; pay paid;
prove proven; ride rode ridden; ring rang rung; rise rose risen; run ran; say said; see saw seen; seek sought;
sell sold; send sent; sew sewn; shake shook shaken; shine shone; shoot shot; show shown; shrink shrank shrunk;
sing sang sung; sink sank sunk; sit sat; sleep slept; slide slid; smell smelt; speak spoke spoken; speed sped;
spell spelt; spend spent; spin spun; spring sprang sprung; stand stood; steal stole stolen; stick stuck; sting stung;
strike struck stricken; swear swore sworn; sweep swept; swell swollen; swim swam swum; swing swung; take took taken;
teach taught; tear tore torn; tell told; think thought; throw threw thrown; understand understood;
undertake undertook; upset upsetting; wake woke woken; wear wore worn; weave wove woven; weep wept; win won;
withdraw withdrew withdrawn; write wrote written; child children; person people; man men; woman women; foot feet;
tooth teeth; mouse mice; goose geese; wife wives; life lives; knife knives; leaf leaves; half halves; shelf shelves;
wolf wolves; loaf loaves; thief thieves; self selves; good better best; bad worse worst; mum mom mommy mummy mama;
dad daddy papa; grandma grandmother granny; grandpa grandfather; photo photograph; bike bicycle; fridge refrigerator;
tv television; movie film; phone telephone; gym gymnasium; exam examination; plane airplane aeroplane; kid kiddo;
colour color; favourite favorite; neighbour neighbor; centre center; theatre theater; travel travelling travelled;
cancel cancelling cancelled; programme program; analysis analyses; crisis crises; die dying died; tie tying tied
"""
_BASE = {
    form: forms[0] for line in _FORMS.replace("\n", " ").split(";") for forms in [line.split()] for form in forms[1:]
}
_VOWEL = re.compile(r"[aeiouy]")
# Each with what takes its place; the first that fits and leaves at least three letters is taken off.
_ENDINGS = (
    ("iveness", "iv"), ("fulness", "ful"), ("ization", "iz"), ("isation", "iz"), ("ational", "at"), ("ations", "at"),
    ("ation", "at"), ("ments", ""), ("ment", ""), ("ities", "iti"), ("iness", "y"), ("ness", ""), ("ingly", ""),
    ("edly", ""), ("ings", ""), ("ying", "y"), ("ing", ""), ("ied", "y"), ("ies", "y"), ("ily", "y"), ("ed", ""),
    ("ly", ""),
)  # fmt: skip


def stem(word: str) -> str:
    """The key of a word in lower case, without apostrophes."""
    word = _BASE.get(word, word)
    if len(word) <= 3 or not word.isascii() or not word.isalpha():
        return word
    word = _singular(word)
    word = _BASE.get(word, word)
    for ending, instead in _ENDINGS:
        rest = word[: -len(ending)]
        if word.endswith(ending) and len(rest) >= 3 and _VOWEL.search(rest):
            word = rest + instead
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    return word[:-1] + "i" if len(word) > 2 and word.endswith("y") else word


def _singular(word: str) -> str:
    if not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("sses", "shes", "ches", "xes", "zes")) else word[:-1]
