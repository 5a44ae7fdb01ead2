"""What prose says about licences, read by plain code: which categories of licence its words name.

It knows licences by the names people give them and by the sentences that the short ones consist of. It passes over
what names a licence without granting it: a negation ("not the GPL"), a remark ("GPL-compatible"), and what the text of
a long licence says of others. It takes no word's side: where two categories are named, both are found, and what sounds
like a restriction counts as one, so that a person looks.
"""

import functools
import re
from collections.abc import Iterable
from itertools import zip_longest

from agentkit.demo.categories import Category, of_expression

_GNU_NAME = r"(?:GNU )?(?:(?:Lesser|Library|Affero) )?General Public Licen[cs]e|\b[AL]?GPL"

# a line that is nothing but the title of a long licence, whose own text mentions others and forbids this and that; and
# how many characters that text has at most: what comes after it is somebody else's words
_TITLES: tuple[tuple[str, Category, int], ...] = (
    (r"(?:GNU )?AFFERO GENERAL PUBLIC LICEN[CS]E", "strong copyleft", 36_000),
    (r"(?:GNU )?(?:LESSER|LIBRARY) GENERAL PUBLIC LICEN[CS]E", "weak copyleft", 27_500),
    (r"(?:GNU )?GENERAL PUBLIC LICEN[CS]E", "strong copyleft", 36_500),
    (r"MOZILLA PUBLIC LICEN[CS]E", "weak copyleft", 26_500),
    (r"ECLIPSE PUBLIC LICEN[CS]E", "weak copyleft", 15_500),
    (r"COMMON DEVELOPMENT AND DISTRIBUTION LICEN[CS]E(?: \(CDDL\))?", "weak copyleft", 19_500),
    (r"EUROPEAN UNION PUBLIC LICEN[CS]E", "weak copyleft", 15_500),
    (r"PYTHON SOFTWARE FOUNDATION LICEN[CS]E|PSF LICEN[CS]E AGREEMENT.*", "permissive", 3_500),
    (r"APACHE LICEN[CS]E", "permissive", 11_700),
)
_SHORTEST_BODY = 1_000
"""Characters: a title with less below it is a heading of prose."""
_VERSION = r"(?:,? *(?:- *)?\(?(?:v|version)?\.? *\d+(?:\.\d+)*\)?)?(?:,? .{0,20}\d{4})?"
_TITLE = re.compile(
    rf"^[ \t#*=]*(?:the )?(?:{'|'.join(f'(?P<t{i}>{title})' for i, (title, _, _) in enumerate(_TITLES))})"
    rf"{_VERSION}[ \t#*=]*$",
    re.IGNORECASE | re.MULTILINE,
)
_COPYLEFT_SAYS = re.compile(
    rf"{_GNU_NAME}|\bproprietary\b|\bnon-?commercial\w*|all end user licen[cs]e agreements"
    r"|personal, family, or household purposes",
    re.IGNORECASE,
)
_IN_LONG_ONES: dict[Category, re.Pattern[str]] = {  # what the long licences say of others, and of uses
    "permissive": re.compile(r"\bproprietary\b|GPL-compatible", re.IGNORECASE),
    "weak copyleft": _COPYLEFT_SAYS,
    "strong copyleft": _COPYLEFT_SAYS,
}

_PASSED_OVER = re.compile(
    rf"(?:{_GNU_NAME})\w*[- ]?\(?(?:v?\d(?:\.\d)?)?\)?[- ]?(?:in)?compatib\w+"
    rf"|compatib\w+\W{{0,2}} with (?:the |both |version \d of the )?(?:{_GNU_NAME})"
    r"|\bnot (?:be )?(?:(?:licensed|released|distributed|covered|available) )?(?:under |by )?(?:the |an? )?"
    r"(?:terms of the )?(?:GNU )?(?:General Public Licen[cs]e|[AL]?GPL\w*|MIT|BSD|Apache Licen[cs]e|Mozilla Public)"
    r"|\bunlike the (?:GNU )?GPL"
    r"|proprietary (?:programs|rights|notice|marking|information of)"  # what the licences say of other software
    r"|(?:into|in|with|of|for|including) proprietary"
    r"|you may not use this file except in compliance"
    r"|commercial (?:or|and) non-?commercial|non-?commercial (?:or|and) commercial"
    # the history that goes with Python's licence
    r"|GPL-? from compatible|distributing Python under the GPL|other software that is released under the GPL"
    r"|previously distributed under the GNU General Public License \(GPL\)|a non-profit organization created",
    re.IGNORECASE,
)

_FOR_SOME = "(?:education(?:al)?|academic|research|scientific|teaching|non-?profit|not-for-profit|personal|internal)"
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
        r"\bproprietary\b|\bEULA\b|End[- ]User Licen[cs]e|\bnon-?commercial|\bNC\b|\bBusiness Source|\bBUSL",
        r"\bBSL[ -]?1\.1|Change Licen[cs]e|Elastic Licen[cs]e|Server Side Public Licen[cs]e|\bSSPL",
        r"Commons Clause|Functional Source|PolyForm|Confluent Community|Redis Source Available|source[- ]available",
        r"\bconfidential\b|trade secret",
        r"Hippocratic|anti[- ]?996|Fair Source|\b(?:Open)?RAIL\b|with restrictions|shall be used for Good",
        r"\bevaluation (?:purposes|only|licen[cs]e)|\btrial\b|licensed,? (?:and )?not sold|subscription|licen[cs]e key",
        r"commercial (?:licen[cs]|terms|use)|^commercial\b|contact sales|\bpaid\b|(?:be|been) (?:bought|purchased)",
        rf"{_FOR_SOME}(?:,? (?:and |or )?[\w-]+){{0,2}} (?:purposes?|use|only|organi[sz]ations?|institutions?)\b",
        r"free for (?:personal|academic|research|non|home)|free to use but restricted|freeware|without an agreement",
        r"no licen[cs]e is granted|licen[cs]e is not granted|requires? an? [^.]{0,40}(?:account|agreement|permission)",
        r"licen[cs]e agreement for NVIDIA|NVIDIA (?:Software )?Licen[cs]e",
    ),
    "permissive": (
        r"\bMIT\b|\bExpat\b|\bX11\b|Permission is hereby granted, free of charge",
        r"\b0?BSD\b|\bBSD[- ]?\d|\bFreeBSD\b|Redistribution and use in source and binary forms",
        r"Apache(?: Software)?,? Licen[cs]e|\bApache[- v]*[12]|\bASL[ -]?2|^Apache$|apache\.org/licen[cs]es",
        r"\bISC\b|Permission to use, copy, modify,? (?:and|and/or|&) ?distribute",
        r"Python Software Foundation|\bPSF|Python Licen[cs]e|^Python$|\bCNRI\b|^Python-2",
        r"zlib|libpng|provided 'as-is', without any express or implied",
        r"Zope Public|\bZPL|public[- ]domain|\bCC0|Unlicen[cs]e|WTFPL|Do What The F|Beer-?ware|MIT-0",
        r"Boost Software|\bBSL-1\.0|\bNCSA\b|PostgreSQL Licen[cs]e|\bHPND\b|Historical Permission|\bPIL Licen",
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
    r"(?<!no )(?<!without )(?<!without the )(?<!without any )"
    r"(?:special exception|(?:linking|classpath|runtime library|FOSS|bootloader) exception"
    r"|in addition to the permissions in the GNU)",
    re.IGNORECASE,
)
_RESERVED = re.compile(
    r"all rights (?:are )?reserved|todos los derechos reservados|alle rechte vorbehalten", re.IGNORECASE
)
_GRANT = re.compile(
    r"Permission is hereby granted|Redistribution and use in source|Permission to use, copy|Licensed under"
    r"|General Public Licen[cs]e|This software is provided 'as-is'",
    re.IGNORECASE,
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
    prose: list[str] = []
    for title, body in _sections(text.replace("\r", "")):
        if title is None:
            prose.append(body)
        else:
            found.add(title)
            found |= _named(_IN_LONG_ONES[title].sub(" ~ ", _flat(body)))
    said = " ".join(prose)
    found |= _named(said) | _forbidding(said)
    if "strong copyleft" in found and _EXCEPTION.search(said):
        found.remove("strong copyleft")
        found.add("weak copyleft")
    if _RESERVED.search(text) and not found - {"proprietary"} and not _GRANT.search(text):
        found.add("proprietary")  # where rights are granted too, these words are the usual beginning
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
    """The text cut into long licences, each with its title's category, and into the prose around them."""
    cuts = list(_TITLE.finditer(text))
    sections: list[tuple[Category | None, str]] = []
    sections.append((None, text[: cuts[0].start()] if cuts else text))
    for cut, after in zip_longest(cuts, cuts[1:]):
        which = next(index for index in range(len(_TITLES)) if cut[f"t{index}"] is not None)
        _, category, longest = _TITLES[which]
        body = text[cut.end() : after.start() if after is not None else None]
        if len(body) < _SHORTEST_BODY:
            sections.append((None, cut.group() + body))
        else:
            sections.append((category, body[:longest]))
            sections.append((None, body[longest:]))
    return sections


def _named(text: str) -> set[Category]:
    """The categories of the licences that a text names."""
    text = _PASSED_OVER.sub(" ~ ", _flat(text))
    found: set[Category] = set()
    for category, pattern in _PATTERNS:
        text, count = pattern.subn(" ~ ", text)
        if count:
            found.add(category)
    return found


def _forbidding(text: str) -> set[Category]:
    """Whether prose forbids what a free licence allows."""
    return {"proprietary"} if _CLAUSES.search(_PASSED_OVER.sub(" ~ ", _flat(text))) else set()
