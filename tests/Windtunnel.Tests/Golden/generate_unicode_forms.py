"""Writes what normalization needs of the Unicode database, and golden strings in all four forms.

    python generate_unicode_forms.py ../../../src/Windtunnel.Text/Tokenizers/unicode-forms.txt unicode_forms.json

Lines of the first: `0300-0314 230` a combining class, `00C0=0041 0300` a canonical decomposition that composes again,
`0340:0300` one that does not, `00A0~0020` a compatibility decomposition. Hangul follows by arithmetic.
"""
import json
import random
import sys
import unicodedata

FORMS = ("NFC", "NFD", "NFKC", "NFKD")


def database():
    yield f"# Unicode {unicodedata.unidata_version}, by generate_unicode_forms.py"
    start, last = None, 0
    for code in range(0x110001):
        value = unicodedata.combining(chr(code)) if code < 0x110000 else 0
        if value != last:
            if last:
                yield f"{start:04X}-{code - 1:04X} {last}"
            start, last = code, value
    for code in range(0x110000):
        parts = unicodedata.decomposition(chr(code)).split()
        if not parts:
            continue
        if parts[0].startswith("<"):
            yield f"{code:04X}~{' '.join(parts[1:])}"
        else:
            text = "".join(chr(int(part, 16)) for part in parts)
            composes = unicodedata.normalize("NFC", text) == chr(code)
            yield f"{code:04X}{'=' if composes else ':'}{' '.join(parts)}"


def goldens():
    rng = random.Random(1)
    special = [chr(code) for code in range(0x110000) if unicodedata.decomposition(chr(code)) or unicodedata.combining(chr(code))]
    hangul = [chr(code) for code in [*range(0x1100, 0x1200), 0xAC00, 0xAC01, 0xD7A3, *range(0xAC00, 0xD7A4, 997)]]
    for _ in range(600):
        text = "".join(rng.choice(rng.choice((special, hangul, "aeou \u0301\u0323\u030A\u0345"))) for _ in range(rng.randrange(1, 12)))
        yield {"text": text, **{form.lower(): unicodedata.normalize(form, text) for form in FORMS}}


with open(sys.argv[1], "w", encoding="ascii", newline="\n") as file:
    file.writelines(line + "\n" for line in database())
with open(sys.argv[2], "w", encoding="ascii", newline="\n") as file:
    json.dump(list(goldens()), file, indent=0)
    file.write("\n")
