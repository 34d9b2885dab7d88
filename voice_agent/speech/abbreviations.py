"""Words that are written with a full stop which ends no sentence."""

import re

_ALWAYS = """
    mr mrs ms dr prof rev hon gen gov sen col capt lt sgt st mt messrs mme mlle fr hr sr sra dra ud uds dott sig
    vs eg e.g ie i.e cf viz approx resp ca bzw z.b d.h u.a vgl evtl ggf inkl zzgl p.ex p.ej núm pág डॉ प्रो पं रु د
"""
_OFTEN = """
    etc inc ltd co corp jr a.m p.m u.s u.k u.n e.u jan feb mar apr jun jul aug sep sept oct nov dec nr fig vol
    tel ext dept est min max usw str abs ph.d b.a m.a
"""

ALWAYS = frozenset(_ALWAYS.split())
"""More of the sentence always follows."""

OFTEN = frozenset(_OFTEN.split())
"""More of it follows, unless what comes next begins as a sentence does."""

ORDINAL = re.compile(
    r"(?:^|\n)\W*\d+$|\b(?:der|die|das|dem|den|des|(?<!\bI )am|im|vom|zum|zur|beim|ins|eine?[mnrs]?)\s+\d+$",
    re.IGNORECASE,
)
"""A list's number; or a German ordinal, as what follows it may have a capital for all that."""
