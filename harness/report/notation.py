r"""The paper's symbols as study files write them (``hat P^A``, ``lambda_R``), set for LaTeX, figures and HTML."""

import re
import unicodedata
from collections.abc import Callable
from html import escape

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "epsilon": "ε", "lambda": "λ", "sigma": "σ", "omega": "ω", "rho": "ρ",
}  # fmt: skip
NAMES = {letter: name for name, letter in GREEK.items()}
SYMBOL = re.compile(
    rf"(?<![\w.\\])(?P<hat>\\?hat )?(?P<base>[A-Z]|{'|'.join(GREEK)})(?P<mark>[\^_])(?P<index>[A-Z]|test)(?!\w)"
)
SPECIAL = {
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "±": r"$\pm$", "✓": r"$\checkmark$", "–": "--", "—": "---",
    "−": "$-$", "<": "$<$", ">": "$>$", "→": r"$\to$", "“": "``", "”": "''", "’": "'", "\u2007": r"\phantom{0}",
} | {letter: rf"$\{name}$" for letter, name in NAMES.items()}  # fmt: skip
SETTINGS = {  # how the paper writes what a study sets
    "case.clusters": "K^C",
    "case.lambda_c": "lambda_C",
    "case.lambda_r": "lambda_R",
    "case.sigma": "σ",
    "case.rho": "ρ",
    "case.epsilon": "ε",
    "case.options.gamma": "γ",
    "case.options.lambda_a": "lambda_A",
    "case.options.omega_test": "omega_test",
    "case.options.omega": "ω",
    "case.options.topk": "T/k",
    "training.lr": "learning rate",
    "training.snippets": "T",
    "training.batch": "B",
    "case.cat": "weight of hat P^A",
}


def format_html(text: str) -> str:
    """Text as HTML, symbols with raised or lowered indices."""

    def symbol(found: re.Match[str]) -> str:
        base = GREEK.get(found["base"], found["base"]) + ("\u0302" if found["hat"] else "")
        tag = "sup" if found["mark"] == "^" else "sub"
        return f"<i>{base}</i><{tag}>{found['index']}</{tag}>"

    return SYMBOL.sub(symbol, escape(text))


def format_latex(text: str) -> str:
    """Text for pdflatex: symbols in math, special characters escaped, other letters by their plain ones."""
    return format_math(text, escape_plain)


def format_mathtext(text: str) -> str:
    """Text for a figure of matplotlib: symbols in math."""
    return format_math(text, lambda rest: rest.replace("$", r"\$"))


def format_math(text: str, between: Callable[[str], str]) -> str:
    """Symbols between dollar signs, ``between`` applied to the rest."""
    out, at = [], 0
    for found in SYMBOL.finditer(text):
        base = rf"\{found['base']}" if found["base"] in GREEK else found["base"]
        index = found["index"] if len(found["index"]) == 1 else rf"\mathrm{{{found['index']}}}"
        math = rf"\hat{{{base}}}" if found["hat"] else base
        out += [between(text[at : found.start()]), f"${math}{found['mark']}{{{index}}}$"]
        at = found.end()
    return "".join([*out, between(text[at:])])


def escape_plain(text: str) -> str:
    """Text without symbols for pdflatex; two hyphens stay two."""
    return "-{}-".join(map(escape_letters, text.split("--")))


def escape_letters(text: str) -> str:
    """Each letter as pdflatex needs it."""
    return "".join(SPECIAL.get(c, c) if c in SPECIAL or c.isascii() else fold_letter(c) for c in text)


def fold_letter(letter: str) -> str:
    """A letter beyond ASCII without its accent; a question mark where nothing is left."""
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"


def spell_settings(label: str) -> str:
    """A row's label with the paper's symbols in place of setting paths."""
    for path, symbol in SETTINGS.items():
        label = re.sub(rf"(?<![\w.]){re.escape(path)}(?![\w.])", symbol, label)
    return label
