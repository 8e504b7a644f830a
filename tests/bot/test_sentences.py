"""Whatever members read goes through gettext: no word stands bare where it reaches them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from babel.messages.extract import extract_from_dir

import actions
import bot
import prompts

FOLDER = Path(bot.__file__).parent
ROOMS = [FOLDER, *(Path(room.__path__[0]) for room in (actions, prompts))]
MARKS = {"_", "N_", "ngettext"}
SHOWN = {"label", "placeholder", "title", "description", "content"}
"""Arguments that members read."""
SAYS = {"respond", "replace_with_text", "edit", "TextDisplay"}
"""Functions that tell members their arguments."""
WORD = re.compile(r"[A-Za-z]{2,}")
NO_WORDS = re.compile(r"`[^`]*`|<[^>]*>|https?:\S*|\b[vVU]\d\b|/imagine prompt:")
"""What is the same in every language: code, mentions, links, names of buttons."""


def bare(node: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    """The strings with words in an expression that no mark surrounds."""
    if isinstance(node, ast.Constant | ast.JoinedStr):
        if WORD.search(NO_WORDS.sub("", said_by(node))):
            yield node
        return
    for child in within(node):
        yield from bare(child)


def within(node: ast.AST) -> Sequence[ast.AST]:
    """What of an expression may become what is said: no key, no name, nothing that is marked."""
    match node:
        case ast.Subscript() | ast.Compare() | ast.Attribute():
            return []
        case ast.Call(func=function) if name_of(function) in {*MARKS, "get"}:
            return []
        case ast.Call(args=arguments, keywords=keywords):
            return [*arguments, *(keyword.value for keyword in keywords)]
        case ast.Dict(values=values):
            return values
    return [*ast.iter_child_nodes(node)]


def said_by(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(said_by(part) if isinstance(part, ast.Constant) else "1" for part in node.values)


def name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def shown(tree: ast.AST) -> Iterator[ast.expr]:
    """Expressions whose value members read, in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from (keyword.value for keyword in node.keywords if keyword.arg in SHOWN)
            if name_of(node.func) in SAYS:
                yield from node.args


def returned(tree: ast.AST) -> Iterator[ast.expr]:
    """What the functions of a module return."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Return) and node.value is not None:
            yield node.value


def where(file: Path, expressions: Iterator[ast.expr]) -> list[str]:
    found = [string for expression in expressions for string in bare(expression)]
    return [f"{file.relative_to(FOLDER.parent)}:{string.lineno}: {ast.unparse(string)}" for string in found]


def test_what_views_and_commands_show_is_marked() -> None:
    rooms = ("*.py", "components/*.py", "commands/*.py", "delivery/*.py", "discord_io/*.py")
    files = [file for room in rooms for file in FOLDER.glob(room)]
    assert len(files) > 60
    assert [line for file in files for line in where(file, shown(ast.parse(file.read_text())))] == []


def test_what_messages_return_is_marked() -> None:
    files = [*FOLDER.glob("messages/*.py"), ROOMS[-1] / "sentences.py"]
    assert [line for file in files for line in where(file, returned(ast.parse(file.read_text())))] == []


def marked(tree: ast.AST) -> Iterator[str]:
    """The sentences that are marked in a module, wherever they stand."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and name_of(node.func) in MARKS
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


def extracted() -> Iterator[str]:
    """The sentences that Babel finds for the catalogs."""
    keywords = {"_": None, "N_": None, "ngettext": (1, 2)}
    for room in ROOMS:
        for _file, _line, message, _comments, _context in extract_from_dir(str(room), keywords=keywords):
            yield message if isinstance(message, str) else message[0]


def test_every_marked_sentence_reaches_the_catalogs() -> None:
    """Of what stands within an f-string Babel sees nothing."""
    files = [file for room in ROOMS for file in room.rglob("*.py")]
    found = {sentence for file in files for sentence in marked(ast.parse(file.read_text()))}
    assert found - set(extracted()) == set()


def phrases(tree: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    """Words with a blank beside them in a module's functions that no mark surrounds."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            said = [*function.body[ast.get_docstring(function) is not None :]]
            for string in (string for statement in said for string in bare(statement)):
                if re.search(r"[A-Za-z] | [A-Za-z]", NO_WORDS.sub("", said_by(string))):
                    yield string


def test_no_phrase_in_messages_is_bare() -> None:
    files = [*FOLDER.glob("messages/*.py"), ROOMS[-1] / "sentences.py"]
    found = {str(file): [*map(ast.unparse, phrases(ast.parse(file.read_text())))] for file in files}
    assert {file: lines for file, lines in found.items() if lines} == {}


def test_what_escapes_is_found() -> None:
    tree = ast.parse("def title(words):\n    'Its title.'\n    return f\"{_('red fox')} with {words}\"")
    assert [*marked(tree)] == ["red fox"]
    assert [ast.unparse(string) for string in phrases(tree)] == ["f\"{_('red fox')} with {words}\""]


def test_bare_words_are_found() -> None:
    tree = ast.parse(
        "button(label='Yes' if a else _('No'))\nrespond(f'{a} pictures')\nrespond(_('fine'), view=x)"
    )
    found = [string for expression in shown(tree) for string in bare(expression)]
    assert [ast.unparse(string) for string in found] == ["'Yes'", "f'{a} pictures'"]
