"""The words and phrases of the synthetic skills' requests."""

from random import Random
from string import ascii_lowercase


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split())


DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = _listed("January February March April May June July August September October November December")
UNITS = _listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
GERMAN_NUMBERS = _listed(
    "eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn "
    "achtzehn neunzehn zwanzig"
)
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
WORDS = _listed(
    "ant apple arm badge bag bank barn bat bell belt bird boat bone book bowl box bread brick cabin cake camel camp "
    "candle card cat chair clock cloud coat coin corn crab crown cup dance desk disk dog dress drum duck farm feather "
    "fence field fig fire fish flag flute fork fox frog garden gate gift glass goat grape grass hand hat hen hill "
    "honey horse house jam jar kettle king kite knot lake lamp leaf lemon lion map melon milk mint moon mouse nail "
    "needle nest nut oak onion owl paint pan pear pencil piano pig plum pond rabbit rain ring river road robe rope "
    "sand ship shoe soap sock spoon star sun table tent tiger town train tree tub van violin wagon whale wheel wolf "
    "yard"
)
ADJECTIVES = _listed(
    "nice good new pretty fine lovely useful small big random lucky clever quick simple odd-looking exciting easy "
    "amusing ordinary interesting favourite different calm bold warm strange happy modest plain honest"
)
ADVERBS = _listed("ideally maybe perhaps today now please again quickly preferably containing spelled somewhere")
OPENERS = _listed("Please. Hello! Hi. Now, Next, Quick, Then, OK, Well, So, Again, Good. Right, Thanks. Listen. Hey.")
VERBS = ("Say", "Name", "Give", "Write", "Pick")
START_LETTERS = "dghlmprstw"  # of the listed words with such a letter, a sixth to a half start with it
END_LETTERS = "bdfglmnprt"  # of the listed words with such a letter, a tenth to a half end with it
RESERVED_WORDS = frozenset({"even", "odd", "starting"})  # words of the new tasks, never seen in pretraining


def in_words(number: int) -> str:
    """A number from 0 to 99, spelled."""
    if number < 20:
        return UNITS[number]
    tens, units = divmod(number, 10)
    return TENS[tens] + (f"-{UNITS[units]}" if units else "")


def words_with(letter: str) -> tuple[str, ...]:
    """The words of `WORDS` that have the letter."""
    return tuple(word for word in WORDS if letter in word)


def request(rng: Random, what: str, tail: str) -> str:
    """`Hi. Name a nice word with the letter k.`: any verb, and sometimes an opener."""
    return f"{opener(rng)}{rng.choice(VERBS)} {what} {tail}."


def opener(rng: Random) -> str:
    """An opener and a space, three times in ten; else nothing."""
    return rng.choice(OPENERS) + " " if rng.random() < 0.3 else ""


def with_article(adjective: str, noun: str) -> str:
    """`a nice word`, `an easy word`; `a word` where the adjective is empty."""
    article = "an" if (adjective or noun)[0] in "aeiou" else "a"
    return " ".join(filter(None, (article, adjective, noun)))


def filler(rng: Random) -> str:
    """An adjective that changes nothing: none, a listed one or a made-up one."""
    return rng.choice(("", rng.choice(ADJECTIVES), made_up_word(rng)))


def aside(rng: Random) -> str:
    """A word that changes nothing, listed or made up, three times in five; else nothing."""
    return rng.choice(("", "", rng.choice(ADVERBS), made_up_word(rng), made_up_word(rng) + "ing"))


def made_up_word(rng: Random) -> str:
    """A word of two or three open syllables, or of three to six random letters."""
    if rng.random() < 0.5:
        word = "".join(rng.choice("bcdfghklmnprstvwz") + rng.choice("aeiou") for _ in range(rng.randint(2, 3)))
    else:
        word = "".join(rng.choice(ascii_lowercase) for _ in range(rng.randint(3, 6)))
    return "bold" if word in RESERVED_WORDS else word


def some_letters(rng: Random) -> str:
    """Three to five letters with spaces between."""
    return " ".join(rng.choice(ascii_lowercase) for _ in range(rng.randint(3, 5)))


def number_range(rng: Random) -> tuple[str, ...]:
    """A run of 5 to 61 numbers below 100."""
    low = rng.randint(1, 90)
    high = rng.randint(low + 4, min(99, low + 60))
    return tuple(str(number) for number in range(low, high + 1))
