"""Words that are written with a full stop which ends no sentence."""

_ALWAYS = """
    mr mrs ms dr prof rev hon gen col capt lt sgt st messrs mme mlle fr hr sr sra dra dott sig
    vs eg e.g ie i.e cf viz approx resp ca bzw z.b d.h u.a vgl evtl ggf inkl zzgl p.ex
"""
_OFTEN = """
    etc inc ltd co corp jr a.m p.m u.s u.k u.n e.u jan feb mar apr jun jul aug sep sept oct nov dec nr fig vol
    tel ext dept est min max usw str abs ph.d b.a m.a
"""

ALWAYS = frozenset(_ALWAYS.split())
"""More of the sentence always follows."""

OFTEN = frozenset(_OFTEN.split())
"""More of it follows, unless what comes next begins as a sentence does."""
