"""What prose says about licences, read by plain code: which categories of licence its words name.

It knows licences by the names people give them and by the sentences that the short ones consist of. It passes over
what names a licence without granting it: a negation ("not the GPL"), a remark ("GPL-compatible"), and the other GNU
licences that the text of one mentions. It takes no word's side: where two categories are named, both are found.
"""

import functools
import re
from collections.abc import Iterable
from itertools import zip_longest

from agentkit.demo.categories import Category, of_expression

_GNU_NAME = r"(?:GNU )?(?:(?:Lesser|Library|Affero) )?General Public Licen[cs]e|\b[AL]?GPL"
_IN_LONG_ONES = re.compile(rf"{_GNU_NAME}|\bproprietary\b|\bnon-?commercial\w*", re.IGNORECASE)

# a line that is nothing but the title of a long licence, whose own text mentions others and forbids this and that
_TITLES: tuple[tuple[str, Category], ...] = (
    (r"(?:GNU )?AFFERO GENERAL PUBLIC LICEN[CS]E", "strong copyleft"),
    (r"(?:GNU )?(?:LESSER|LIBRARY) GENERAL PUBLIC LICEN[CS]E", "weak copyleft"),
    (r"(?:GNU )?GENERAL PUBLIC LICEN[CS]E", "strong copyleft"),
    (r"MOZILLA PUBLIC LICEN[CS]E", "weak copyleft"),
    (r"ECLIPSE PUBLIC LICEN[CS]E", "weak copyleft"),
    (r"COMMON DEVELOPMENT AND DISTRIBUTION LICEN[CS]E(?: \(CDDL\))?", "weak copyleft"),
    (r"EUROPEAN UNION PUBLIC LICEN[CS]E", "weak copyleft"),
    (r"PYTHON SOFTWARE FOUNDATION LICEN[CS]E|PSF LICEN[CS]E AGREEMENT.*", "permissive"),
    (r"APACHE LICEN[CS]E", "permissive"),
)
_VERSION = r"(?:,? *(?:- *)?\(?(?:v|version)?\.? *\d+(?:\.\d+)*\)?)?(?:,? .{0,20}\d{4})?"
_TITLE = re.compile(
    rf"^[ \t#*=]*(?:the )?(?:{'|'.join(f'(?P<t{i}>{title})' for i, (title, _) in enumerate(_TITLES))})"
    rf"{_VERSION}[ \t#*=]*$",
    re.IGNORECASE | re.MULTILINE,
)

_PASSED_OVER = re.compile(
    rf"(?:{_GNU_NAME})\w*[- ]?\(?(?:v?\d(?:\.\d)?)?\)?[- ]?(?:in)?compatib\w+"
    rf"|compatib\w+ with (?:the |both |version \d of the )?(?:{_GNU_NAME})"
    rf"|(?:\bnot\b|\bno longer\b|n't\b|\brather than\b|\binstead of\b|\bunlike\b)(?! only)[^.;:\n]{{0,60}}?"
    r"(?:General Public Licen[cs]e|\b[AL]?GPL\w*|\bMIT\b|\bBSD\b|Apache Licen[cs]e|Mozilla Public Licen[cs]e"
    r"|\bproprietary\b|public domain)"
    r"|proprietary (?:programs|rights|notice|marking|information of)"  # what the licences say of other software
    r"|(?:into|in|with|of|for|including) proprietary"
    r"|you may not use this file except in compliance"
    r"|commercial (?:or|and) non-?commercial"
    r"|other software that is released under the GPL",
    re.IGNORECASE,
)

# in this order: what an earlier pattern took is gone for the later ones
_NAMES: dict[Category, tuple[str, ...]] = {
    "weak copyleft": (
        r"(?:\bGPL\w*|General Public Licen[cs]e)[^.;\n]{0,80}\b(?:with|plus|and|including)\b[^.;\n]{0,60}\bexception\b",
        r"Lesser General Public|Library General Public|\bLesser GPL|\bLGPL",
        r"Mozilla Public|\bMPL\b|\bMPL[ v-]?[12]",
        r"Eclipse Public|\bEPL\b|\bEPL[ v-]?[12]",
        r"Common Development and Distribution|\bCDDL|Common Public Licen[cs]e|\bCPL[ -]?1|IBM Public Licen[cs]e",
        r"Artistic Licen[cs]e|\bArtistic[- ][12]|Microsoft Reciprocal|\bMs-RL|Share-?Alike|\bCC[- ]BY-SA",
        r"Open Font Licen[cs]e|\bOFL\b|European Union Public|\bEUPL|\bQPL\b|CeCILL-C",
    ),
    "strong copyleft": (
        r"Affero|\bAGPL|General Public Licen[cs]e|\bGPL\b|\bGPL[ v-]?\d|\bGPL\+|\bGNU public|\bGNU Licen[cs]e",
        r"^GNU$|Open Software Licen[cs]e|\bOSL[ -]?\d|CeCILL(?!-B)|Sleepycat",
    ),
    "proprietary": (
        r"\bproprietary\b|\bEULA\b|End[- ]User Licen[cs]e|\bnon-?commercial|\bNC\b|\bBusiness Source Licen[cs]e|\bBUSL",
        r"Elastic Licen[cs]e|Server Side Public Licen[cs]e|\bSSPL|Commons Clause|Functional Source Licen[cs]e",
        r"PolyForm|Confluent Community|Redis Source Available|source[- ]available|\bconfidential\b|trade secret",
        r"\bevaluation (?:purposes|only|licen[cs]e)|commercial licen[cs]e|free for (?:personal|academic|research)",
        r"(?:academic|research|educational|personal|internal)[- ](?:use )?only|free to use but restricted|freeware",
        r"free for (?:non|home)|no licen[cs]e is granted|licen[cs]e is not granted|subscription agreement",
        r"licen[cs]e agreement for NVIDIA|NVIDIA (?:Software )?Licen[cs]e|shall be used for Good",
    ),
    "permissive": (
        r"\bMIT\b|\bExpat\b|\bX11\b|Permission is hereby granted, free of charge",
        r"\b0?BSD\b|\bBSD[- ]?\d|\bFreeBSD\b|Redistribution and use in source and binary forms",
        r"Apache(?: Software)?,? Licen[cs]e|\bApache[- v]*[12]|\bASL[ -]?2|^Apache$|apache\.org/licen[cs]es",
        r"\bISC\b|Permission to use, copy, modify,? (?:and|and/or|&) ?distribute",
        r"Python Software Foundation|\bPSF|Python Licen[cs]e|^Python$|\bCNRI\b|^Python-2",
        r"zlib|libpng|provided 'as-is', without any express or implied",
        r"Zope Public|\bZPL|public[- ]domain|\bCC0|Unlicen[cs]e|WTFPL|Do What The F|Beer-?ware|MIT-0",
        r"Boost Software|\bBSL-1|\bNCSA\b|PostgreSQL Licen[cs]e|\bHPND\b|Historical Permission|\bPIL Licen",
        r"\bAFL\b|Academic Free",
        r"CeCILL-B|Creative Commons Attribution \d|\bCC[- ]BY[- ]\d|\bCC[- ]BY$|Microsoft Public|\bMs-PL\b|\bW3C Soft",
        r"Mulan P|\bUPL\b|Universal Permissive|Blue Oak|OpenLDAP Public",
    ),
}
_CLAUSES = re.compile(  # a long free licence forbids such things too, of its name or its patents
    r"may not (?:copy|modify|distribute|redistribute|sublicen[cs]e|use|reverse|sell|rent)"
    r"|(?:not|prohibited from) (?:to )?(?:copy|redistribut|reverse[- ]engineer|decompil|disassembl)"
    r"|unauthorized (?:copying|use|distribution|reproduction)|retains? all (?:intellectual|right)"
    r"|without (?:the )?(?:express|prior|explicit)[^.]{0,120} is (?:strictly )?(?:prohibited|forbidden)"
    r"|strictly (?:prohibited|forbidden)|\b(?:solely|only)\b[^.;]{0,40}\bin conjunction with\b",
    re.IGNORECASE,
)
_PATTERNS: tuple[tuple[Category, re.Pattern[str]], ...] = tuple(
    (category, re.compile("|".join(names), re.IGNORECASE)) for category, names in _NAMES.items()
)
_EXCEPTION = re.compile(
    r"special exception|(?:linking|classpath|runtime library|FOSS|bootloader) exception"
    r"|in addition to the permissions in the GNU",
    re.IGNORECASE,
)
_RESERVED = re.compile(
    r"all rights (?:are )?reserved|todos los derechos reservados|alle rechte vorbehalten", re.IGNORECASE
)


@functools.lru_cache(maxsize=1000)  # thirty packages carry the same Apache text
def categories(text: str) -> frozenset[Category]:
    """The categories of the licences that a text names.

    Args:
        text: a metadata field, a sentence, or a whole licence file.

    Returns:
        Every category found; empty where no licence is named.

    Example:
        >>> sorted(categories("Either the GPL, or the BSD licence.")), sorted(categories("It is GPL-compatible."))
        (['permissive', 'strong copyleft'], [])
    """
    expression = of_expression(text)
    if expression is not None:
        return frozenset({expression})
    found: set[Category] = set()
    for title, body in _sections(text.replace("\r", "")):
        if title is not None:
            found.add(title)
        found |= _named(body, titled=title is not None)
    if "strong copyleft" in found and _EXCEPTION.search(text):
        found.remove("strong copyleft")
        found.add("weak copyleft")
    if not found and _RESERVED.search(text):  # where rights are granted too, these words are the usual beginning
        found.add("proprietary")
    return frozenset(found)


def categories_of_all(texts: Iterable[str]) -> frozenset[Category]:
    """The categories that any of some texts names."""
    return frozenset(category for text in texts for category in categories(text))


def contains(text: str, quotation: str) -> bool:
    r"""Whether a quotation is in a text, word for word: case and white space may differ.

    Example:
        >>> contains("Licensed under the\n  MIT license.", "under the MIT License"), contains("MIT", " ")
        (True, False)
    """
    words = _flat(quotation).casefold()
    return bool(words) and words in _flat(text).casefold()


def _flat(text: str) -> str:
    return " ".join(text.split())


def _sections(text: str) -> list[tuple[Category | None, str]]:
    """The text cut at lines that are a licence's title: the title's category, and what follows it."""
    cuts = list(_TITLE.finditer(text))
    sections: list[tuple[Category | None, str]] = [(None, text[: cuts[0].start()] if cuts else text)]
    for cut, after in zip_longest(cuts, cuts[1:]):
        which = next(index for index in range(len(_TITLES)) if cut[f"t{index}"] is not None)
        sections.append((_TITLES[which][1], text[cut.end() : after.start() if after is not None else None]))
    return sections


def _named(text: str, *, titled: bool) -> set[Category]:
    """The categories that prose names; under a long licence's title its mentions and clauses are passed over."""
    text = _PASSED_OVER.sub(" ~ ", _flat(text))
    found: set[Category] = set()
    if titled:
        text = _IN_LONG_ONES.sub(" ~ ", text)
    elif _CLAUSES.search(text):
        found.add("proprietary")
    for category, pattern in _PATTERNS:
        text, count = pattern.subn(" ~ ", text)
        if count:
            found.add(category)
    return found
