"""Reads an answer out of a response: the last number, the chosen letter, the same mathematics. Pure functions."""

import logging
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

LETTERS = "ABCDEFGHIJ"
_WHOLE = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
_NUMBER = rf"(?:{_WHOLE}(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
_SIGNED = re.compile(
    rf"(?<![\w.])(?P<sign>[-+]?)\$?(?:(?P<whole>\d+) (?=\d+\s?/\s?[1-9]))?"
    rf"(?P<top>{_NUMBER})(?:\s?/\s?(?P<bottom>{_NUMBER}))?"
)
_LATEX_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|,\\!\s?|\\,)(?=\d{3}(?!\d))")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*([-+]?[\d.,]+)\s*\}\s*\{\s*([\d.,]+)\s*\}")
_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_CUE = re.compile(r"\b(?:answer|option|choice)\b\s*(?:is|would be|should be|must be)?\s*[:=]?\s*", re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\{(?:\s{0,9}\\(?:text(?:bf|it|rm)?|math(?:bf|it|rm))\{)?([^{}]*)\}")
_TWO = re.compile(r"(?<![\w'’])([A-J])\)?\s*(?:or|and|&|/)\s*\(?([A-J])(?![\w'’])")
_EMPHASIS = "*_`\"'"
_LARGEST = 10_000  # exponent, and argument of a factorial


def tagged_answer(text: str) -> str:
    """The content of the last `<answer>…</answer>`, else the whole text; stripped."""
    found = _TAGGED.findall(text)
    return (found[-1] if found else text).strip()


def normalise(text: str, *, ignore_case: bool = False) -> str:
    """The text stripped, every run of whitespace one blank, case folded if asked."""
    joined = " ".join(text.split())
    return joined.casefold() if ignore_case else joined


def last_number(text: str) -> Fraction | None:
    """The last number of a text, exactly; `None` if there is none.

    Reads signs, decimals, exponents, thousands separators (`1,234.5`; in LaTeX `1{,}234`, `1,\\!234`, `1\\,234`),
    fractions (`3/4`, `\\frac{3}{4}`) and mixed numbers (`2 1/2`, `2\\frac{1}{2}`). A hyphen after a digit or letter is
    no sign (`5-3` ends in 3). Units and per cent signs are ignored (`50%` is 50).
    """
    text = _LATEX_THOUSANDS.sub(",", text.replace("−", "-"))
    text = re.sub(r"(?<=\d)\s?(?=\\[dt]?frac)", " ", text)
    for match in reversed(list(_SIGNED.finditer(_LATEX_FRACTION.sub(r"\1/\2", text)))):
        top, bottom = _exact(match["top"]), _exact(match["bottom"] or "1")
        if top is not None and bottom:
            whole = _exact(match["whole"] or "0") if top < bottom else 0  # `5 10/2` is no mixed number
            return None if whole is None else (whole + top / bottom) * (-1 if match["sign"] == "-" else 1)
    return None


def _exact(number: str) -> Fraction | None:
    """The value, or `None` for one so long (`1e999999999`) that holding it would fill the memory."""
    mantissa, _, exponent = number.replace(",", "").lower().partition("e")
    if len(mantissa) > 400 or len(exponent.lstrip("+-")) > 3:
        return None
    return Fraction(mantissa) * Fraction(10) ** int(exponent or "0")


def chosen_letter(text: str, options: Sequence[str] = ()) -> str | None:
    """The letter (A to J, or as far as the options go) that a response chooses; `None` if that is not clear.

    In this order: inside `<answer>` tags or `\\boxed{}` alone; a letter alone (`B`, `(b)`, `**B.**`); an option's full
    text alone; after the last cue (`answer`, `option`, `choice`) a letter or an option's text; a letter at the start
    set off by punctuation (`B) ethane`); else the one letter that stands alone as a word. Two different candidates
    in the last step, or joined after the cue (`A or B`), count as no choice. `a` and `I` as English words are not read
    as letters.
    """
    letters = LETTERS[: len(options)] if options else LETTERS
    text = tagged_answer(text)
    boxed = _BOXED.findall(text)
    text = boxed[-1].strip() if boxed else text
    return (
        _letter_alone(text, letters)
        or _option_alone(text, options)
        or _after_cue(text, letters, options)
        or _at_start(text, letters)
        or _one_word(text, letters)
    )


def _letter_alone(text: str, letters: str) -> str | None:
    found = re.fullmatch(r"\W*([A-Ja-j])\W*", text.replace("_", " "))
    return _among(found[1].upper(), letters) if found else None


def _option_alone(text: str, options: Sequence[str]) -> str | None:
    """The letter of the one option that is the whole text, give or take whitespace and a final stop."""
    wanted = normalise(text).strip(_EMPHASIS).removesuffix(".")
    same = [place for place, option in enumerate(options) if wanted and normalise(option).removesuffix(".") == wanted]
    return LETTERS[same[0]] if len(same) == 1 else None


def _after_cue(text: str, letters: str, options: Sequence[str]) -> str | None:
    for cue in reversed(list(_CUE.finditer(text))):
        rest = text[cue.end() :]
        found = re.match(r"[\W_]{0,4}([A-Ja-j])(?![\w'’])(.{0,2})", rest.split("\n")[0] or rest)
        if found and _TWO.match(rest, found.start(1)):
            return None
        if found and _is_letter_not_word(found[1], found[2]) and found[1].upper() in letters:
            return found[1].upper()
        option = _option_alone(rest.split("\n")[0], options)
        if option:
            return option
    return None


def _is_letter_not_word(letter: str, following: str) -> bool:
    """`B because`, `A.` and `b)` are letters; `a molecule` and `I think` are words."""
    return letter in "ABCDEFGHJ" or not re.match(r"\s\w", following)


def _at_start(text: str, letters: str) -> str | None:
    found = re.match(r"[\s*_(\[\"']*([A-J])(?:[*_\"']*[).:\]](?=\s|\*|$)|\s*\n)", text)
    return _among(found[1], letters) if found else None


def _one_word(text: str, letters: str) -> str | None:
    found = {letter for pair in _TWO.findall(text) for letter in pair if letter in letters}
    for word in text.split():
        bare = word.strip("()[]{}.,:;!?*_`\"'")
        if len(bare) == 1 and bare in letters and (bare not in "AI" or bare != word):
            found.add(bare)
    return found.pop() if len(found) == 1 else None


def _among(letter: str, letters: str) -> str | None:
    return letter if letter in letters else None


def has_mathematics(text: str) -> bool:
    """True if math-verify reads anything in a text."""
    return bool(_parsed(text, wrapped_first=True))


def same_mathematics(gold: str, response: str) -> bool:
    """True if a response states what `gold` states, by math-verify (`parse` and `verify`).

    Equal text counts, too. Of a response with `<answer>` tags what they hold is read. LaTeX without dollar signs is
    also read with them, if it is one short line.
    Departures: powers and factorials too large to evaluate are never equal. math-verify's own limits of time, which
    need `signal.alarm` and so the main thread, are off; a reward has a limit of its own (`guarded.py`).
    """
    response = tagged_answer(response)
    if normalise(gold) == normalise(response):
        return True
    golds, answers = _parsed(gold, wrapped_first=True), _parsed(response, wrapped_first=False)
    return any(_equal(one, other) for one in golds[:1] for other in answers)


def _parsed(text: str, *, wrapped_first: bool) -> list[list[Any]]:
    """The readings of a text that hold anything, the likeliest first."""
    from math_verify import parse

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # its warnings would break the live table
    bare = "\n" not in text.strip() and len(text) <= 200 and not re.search(r"\$|\\boxed|\\\(|\\\[", text)
    texts = [text, f"${text.strip()}$"] if bare else [text]
    readings = [parse(form, parsing_timeout=None) for form in (reversed(texts) if wrapped_first else texts)]
    return [reading for reading in readings if reading]


def _equal(gold: list[Any], answer: list[Any]) -> bool:
    from math_verify import verify

    if any(_too_large(part) for part in (*gold, *answer)):
        return False
    return bool(verify(gold, answer, timeout_seconds=None))


def _too_large(expression: Any) -> bool:
    """True if a sympy expression holds a power or factorial too large to evaluate."""
    import sympy  # type: ignore[import-untyped]

    if not isinstance(expression, sympy.Basic):
        return False
    for part in sympy.preorder_traversal(expression):
        if isinstance(part, sympy.Pow) and part.exp.is_number and _beyond(part.exp):
            return True
        if isinstance(part, (sympy.factorial, sympy.factorial2)) and _beyond(part.args[0]):
            return True
    return False


def _beyond(number: Any) -> bool:
    """True if an exponent, or the argument of a factorial, is huge or itself a tower."""
    import sympy

    if number.is_Atom:
        return bool(number.is_Number and abs(number) > _LARGEST)
    parts = list(sympy.preorder_traversal(number))
    powers = [part.exp for part in parts if isinstance(part, sympy.Pow)]
    return any(isinstance(part, (sympy.factorial, sympy.factorial2)) for part in parts) or any(
        not power.is_Atom or (power.is_Number and abs(power) > 1) for power in powers
    )
