"""Write docs/api.md: what a script of your own can use, from the code's signatures and docstrings.

    .venv/bin/python docs/make_api.py

The code is read, not imported. A test compares the page with what this writes, and runs its scripts.
"""

import ast
import copy
import functools
import inspect
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "api.md"
WIDTH = 100

BEGIN = """\
from wmlib.agent import load_agent
from wmlib.runtime.files import REFERENCE
from wmlib.worlds import play

FRAMES, SEEDS = 300, [1_500_000, 1_500_001]

if __name__ == "__main__":
    agent = load_agent(REFERENCE / "carracing")
    C, params = agent.controller, agent.params[None]  # (1, D): one controller
    dream = agent.dream(lanes=len(SEEDS), horizon=FRAMES)
    print("promised in its dream:", play(dream, C, params, SEEDS)[0])
    with agent.real(games=len(SEEDS), horizon=FRAMES) as game:
        print("paid by the game:", play(game, C, params, SEEDS)[0])
"""

ENVIRONMENT = """\
import gymnasium

import wmlib.gym  # registers both

dream = gymnasium.make("wmlib/Dream-v0", agent="data/reference/takecover", temperature=1.15)
seen, _ = dream.reset(seed=1)
seen, reward, terminated, truncated, _ = dream.step(dream.action_space.sample())
"""

OWN_POLICY = '''\
from pathlib import Path

import numpy as np

from wmlib.config import CollectConfig, Machine
from wmlib.runtime.job import Job
from wmlib.stages.collect import collect
from wmlib.task import find_task

FRAMES = 200


class FullGas:
    """Steers as chance will have it, and never brakes."""

    def __init__(self, lanes):
        self.rngs = [None] * lanes

    def restart(self, lanes, seeds, frames):
        for lane in np.flatnonzero(lanes):
            self.rngs[lane] = np.random.default_rng(seeds[lane])

    def act(self, active, frames):
        actions = np.zeros((len(active), 3), np.float32)  # steering, gas, brake
        for lane in np.flatnonzero(active):
            actions[lane] = self.rngs[lane].uniform(-1, 1), 1, 0
        return actions


if __name__ == "__main__":
    config = CollectConfig(episodes=2, policy="full gas", horizon=FRAMES)
    job = Job("collect", path=Path("runs/full-gas"))
    store = collect(find_task("carracing"), config, Machine(), job, FullGas)
    for episode in store:
        print(episode.seed, episode.frames.shape, episode.rewards.sum())
'''


@dataclass(frozen=True)
class Section:
    """A part of the page.

    names: "module:name"; "module:Class.*" shows the class with its public methods, "module:*" is a list
    of all that the module is for.
    """

    title: str
    text: str
    names: tuple[str, ...]


SECTIONS = (
    Section(
        "Lessons",
        "What a notebook stands on.",
        ("wmlib.lesson:begin", "wmlib.lesson:Lesson.*"),
    ),
    Section(
        "Agents",
        "V, M and C together.",
        ("wmlib.agent:load_agent", "wmlib.agent:Agent.*"),
    ),
    Section(
        "Tasks",
        "A task is a game, and all that is known of it.",
        (
            "wmlib.task:find_task",
            "wmlib.task:find_profile",
            "wmlib.task:make_game",
            "wmlib.envs:GameKind",
            "wmlib.task:Task.*",
        ),
    ),
    Section(
        "A game of your own",
        "[A game of your own](own_game.md) says what a file of yours has to hold.",
        ("wmlib.envs.adapter:Adapted", "wmlib.own:laptop", "wmlib.own:smoke"),
    ),
    Section(
        "Worlds",
        "A world takes actions and shows what a player sees. `RealWorld`, `DreamWorld` and\n"
        "`FrameWorld` have the methods of `World`, and close when a `with` block ends.",
        (
            "wmlib.worlds:World.*",
            *(
                f"wmlib.worlds:{name}"
                for name in ("RealWorld", "DreamWorld", "FrameWorld", "play", "play_games", "Observer.*")
            ),
            "wmlib.worlds.play:Player.*",
            "wmlib.worlds.play:Controllers",
            "wmlib.worlds.play:PolicyPlayer",
            "wmlib.config:Machine",
            *(f"wmlib.worlds:{name}" for name in ("record", "DreamStarts", "moments", "memories")),
        ),
    ),
    Section(
        "Environments",
        "The same two worlds as Gymnasium environments, in which any algorithm can learn: see\n"
        "[the dream as an environment](environment.md).\n\n"
        f"```python\n{ENVIRONMENT}```",
        (
            *(
                f"wmlib.gym:{name}"
                for name in ("DreamEnv", "RealEnv", "DreamVectorEnv", "RealVectorEnv", "Observation")
            ),
            "wmlib.gym:WorldVectorEnv.*",
        ),
    ),
    Section(
        "Policies",
        "A policy chooses actions from frames, or from nothing at all. A task names its explorers;\n"
        "you can record games with any other policy too, if you hand `collect` what makes it for so\n"
        "many lanes:\n\n"
        f"```python\n{OWN_POLICY}```",
        (
            "wmlib.task:Policy.*",
            *(
                f"wmlib.data.explorers:{name}Policy"
                for name in ("Brownian", "Held", "White", "Uniform", "Strafing", "Fresh")
            ),
            "wmlib.data.explorers:NoisePolicy.*",
            "wmlib.worlds:NoisyController",
            "wmlib.stages.collect:collect",
            "wmlib.config:CollectConfig",
        ),
    ),
    Section(
        "Evolution",
        "How C is found.",
        (
            "wmlib.evolution:evolve",
            "wmlib.evolution.cmaes:Evaluate",
            "wmlib.evolution:scores_in",
            "wmlib.config:Search",
            "wmlib.evolution:Judge",
            "wmlib.config:Validation",
            "wmlib.evolution:SearchSpace.*",
            "wmlib.evolution:fitted_space",
            "wmlib.config:Coordinates",
        ),
    ),
    Section(
        "Training",
        "How V and M learn.",
        (
            "wmlib.training:train_vae",
            "wmlib.config:VAEConfig",
            "wmlib.training:train_mdnrnn",
            "wmlib.config:MDNRNNConfig",
            "wmlib.training:encode_store",
            "wmlib.runtime.job:Job.*",
        ),
    ),
    Section(
        "Measures",
        "What can be asked of V, M, a dream and an agent.",
        (
            *(
                f"wmlib.measure:{name}"
                for name in ("evaluate", "evaluate_policy", "bootstrap_interval", "examine_vae")
            ),
            *(f"wmlib.measure:{name}" for name in ("examine_mdnrnn", "examine_ends", "open_loop_drift")),
            "wmlib.config:EvaluateConfig",
            "wmlib.measure:measure_fidelity",
            "wmlib.config:FidelityConfig",
        ),
    ),
    Section(
        "Checkers",
        "One for each exercise: it takes your answer, and says whether it is right.\n\n"
        "```python\nfrom wmlib.checks import check_compression\n\ncheck_compression(None)\n```",
        ("wmlib.checks:*",),
    ),
    Section(
        "Widgets",
        "Things to touch in a notebook. `Session` is what the dream player shows, without the screen.",
        (
            "wmlib.widgets.latent_explorer:LatentExplorer",
            "wmlib.widgets.mixture_explorer:MixtureExplorer",
            "wmlib.widgets.dream_player:DreamPlayer",
            "wmlib.widgets.film:Film",
            "wmlib.widgets.session:Session.*",
            "wmlib.widgets.side_by_side:show_side_by_side",
        ),
    ),
    Section(
        "Figures",
        "Numbers in, a picture out.\n\n"
        "```python\nfrom wmlib import figures\n\n"
        'figures.lines({"squares": [0, 1, 4, 9]}, x="x", y="y", title="y = x²")\n```',
        ("wmlib.figures:*",),
    ),
)

Definition = ast.FunctionDef | ast.ClassDef | ast.Assign


# Finding names in the code


@functools.cache
def tree(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def find(module: str, name: str) -> tuple[str, Definition]:
    """The definition that a name in a module leads to, and the module in which it stands."""
    for node in tree(module).body:
        if isinstance(node, Definition) and _name_of(node) == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return find(node.module, name)
    raise LookupError(f"{module} has no {name}")


def _name_of(node: Definition) -> str:
    return getattr(node.targets[0], "id", "") if isinstance(node, ast.Assign) else node.name


def public_names(module: str) -> list[str]:
    """Those of `__all__`; where there is none, the module's own functions, in their order."""
    for node in tree(module).body:
        if isinstance(node, ast.Assign) and _name_of(node) == "__all__":
            return ast.literal_eval(node.value)
    return [
        node.name for node in tree(module).body if isinstance(node, ast.FunctionDef) and _is_public(node)
    ]


def has(node: Definition, decorator: str) -> bool:
    """Whether it is decorated so: @dataclass or @dataclass(...)."""
    called = (d.func if isinstance(d, ast.Call) else d for d in node.decorator_list)
    return any(getattr(d, "id", "") == decorator for d in called)


# Signatures


def arguments(function: ast.FunctionDef) -> list[str]:
    """name: type = default, of each; without self and cls."""
    given = function.args
    plain = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(plain) - len(given.defaults)) + given.defaults
    texts = [
        _argument(arg, default)
        for arg, default in zip(plain, defaults, strict=True)
        if arg.arg not in ("self", "cls")
    ]
    if given.vararg:
        texts.append("*" + _argument(given.vararg, None))
    elif given.kwonlyargs:
        texts.append("*")
    texts += map(_argument, given.kwonlyargs, given.kw_defaults)
    return texts + (["**" + _argument(given.kwarg, None)] if given.kwarg else [])


def _argument(arg: ast.arg, default: ast.expr | None) -> str:
    text = arg.arg + (f": {_type(arg.annotation)}" if arg.annotation else "")
    return text if default is None else f"{text} = {_code(default)}"


def _code(node: ast.AST) -> str:
    """As the formatter would have it: in double quotes."""
    return ast.unparse(node).replace("'", '"')


class _Unquoted(ast.NodeTransformer):
    """Types without the quotes around names that come later in their file."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.Subscript:
        return node if ast.unparse(node.value) == "Literal" else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.parse(node.value, mode="eval").body if isinstance(node.value, str) else node


def _type(annotation: ast.expr) -> str:
    return _code(_Unquoted().visit(copy.deepcopy(annotation)))


def fields(module: str, node: ast.ClassDef) -> list[ast.AnnAssign]:
    """Those of a dataclass, inherited ones first; one that stands twice at its first place."""
    found: dict[str, ast.AnnAssign] = {}
    for base in node.bases:
        for field in fields(*find(module, ast.unparse(base))):
            found[field.target.id] = field
    for field in node.body:
        if isinstance(field, ast.AnnAssign):
            found[field.target.id] = field
    return list(found.values())


def _field(field: ast.AnnAssign) -> str:
    text = f"{field.target.id}: {_type(field.annotation)}"
    if field.value is None:
        return text
    made = isinstance(field.value, ast.Call) and getattr(field.value.func, "id", "") == "field"
    return f"{text} = {'...' if made else _code(field.value)}"


def signature(module: str, node: Definition) -> str:
    """What is called, and what comes back; of another name for a type, that type."""
    if isinstance(node, ast.Assign):
        return _code(node)
    if isinstance(node, ast.FunctionDef):
        return _call(node.name, arguments(node), _returned(node))
    if has(node, "dataclass"):
        return _call(node.name, list(map(_field, fields(module, node))))
    for owner in _lineage(module, node):
        for part in owner.body:
            if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                return _call(node.name, arguments(part))
    return _call(node.name, [])


def _lineage(module: str, node: ast.ClassDef) -> list[ast.ClassDef]:
    """The class and those of ours that it inherits from."""
    classes = [node]
    for base in node.bases:
        try:
            classes += _lineage(*find(module, ast.unparse(base)))
        except (LookupError, FileNotFoundError):
            continue  # another library's
    return classes


def _returned(function: ast.FunctionDef) -> str:
    return f" -> {_type(function.returns)}" if function.returns else ""


def _call(name: str, texts: list[str], returned: str = "", narrow: bool = True) -> str:
    line = f"{name}({', '.join(texts)}){returned}"
    if len(line) <= WIDTH or not narrow:
        return line
    return "\n".join([f"{name}(", *(f"    {text}," for text in texts), f"){returned}"])


# Docstrings


SHAPE = re.compile(r"\((\w+( [+*/-] \w+)*)?,( ?\w+( [+*/-] \w+)*,?)*\)")
"""Such as (P, D), (R,) or (T + 1, 64, 64, 3)."""


@dataclass(frozen=True)
class Told:
    """A docstring: its first sentence, what else of it gives shapes, and its lines on arguments and on
    what is returned."""

    first: str
    shapes: list[str]
    args: list[str]
    returns: str


def told(docstring: str) -> Told:
    first, shapes, args, returns = "", [], [], ""
    for part in filter(None, re.split(r"\n\s*\n", docstring.strip())):
        head, _, rest = part.partition("\n")
        if head == "Args:":
            items = re.split(r"\n(?! )", textwrap.dedent(rest))
            args = [_plain(item) for item in items]
        elif head == "Returns:":
            returns = _plain(rest)
        elif head != "Raises:":
            text = _plain(part)
            if not first:
                first, text = re.fullmatch(r"(.+?[.!?])(?: (.*))?", text).group(1, 2)
            if text and SHAPE.search(text):
                shapes.append(text)
    return Told(first, shapes, args, returns)


def _plain(text: str) -> str:
    """In one line, with < outside of code as Markdown wants it."""
    parts = " ".join(text.split()).split("`")
    return "`".join(
        part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts)
    )


def docstring_of(node: Definition, module: str = "") -> str:
    """A definition's docstring; of another name for a type, the text below it."""
    if isinstance(node, ast.Assign):
        body = tree(module).body
        return _text(body[body.index(node) + 1])
    return inspect.cleandoc(ast.get_docstring(node, clean=False) or "")


def _text(node: ast.stmt) -> str:
    """A string that stands by itself; else an empty one."""
    alone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return inspect.cleandoc(node.value.value) if alone else ""


def _notes(node: Definition, module: str) -> list[str]:
    """Bullets: what is said of shapes, arguments, fields and of what is returned."""
    said = told(docstring_of(node))
    notes = said.shapes + said.args
    if isinstance(node, ast.ClassDef) and has(node, "dataclass"):
        notes += _field_notes(module, node)
    return notes + ([f"returns: {said.returns}"] if said.returns else [])


def _field_notes(module: str, node: ast.ClassDef) -> list[str]:
    """The texts that stand below the fields of a dataclass."""
    texts: dict[str, str] = {}
    for owner in reversed(_lineage(module, node)):
        for field, text in zip(owner.body, owner.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and _text(text):
                texts[field.target.id] = _plain(_text(text))
    return [f"{name}: {text}" for name, text in texts.items()]


# The page


def entry(name: str) -> str:
    """A name with its import line, its signature, and what is said of it."""
    module, _, name = name.partition(":")
    name, _, methods = name.partition(".")
    home, node = find(module, name)
    code = [f"from {module} import {name}"]
    if not (isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases)):
        code += ["", signature(home, node)]
    lines = [f"### `{name}`", "", "```python", *code, "```", ""]
    if isinstance(node, ast.Assign):
        return "\n".join([*lines, _plain(docstring_of(node, home))]) + "\n"
    lines += [told(docstring_of(node)).first]
    bullets = [f"- {note}" for note in _notes(node, home)]
    if methods:
        for part in node.body:
            if isinstance(part, ast.FunctionDef) and _is_public(part):
                bullets += bullet(part, home)
    return "\n".join(lines + ([""] if bullets else []) + bullets).rstrip() + "\n"


def _is_public(node: ast.FunctionDef) -> bool:
    """Not private, and not the second half of a property."""
    sets = any(isinstance(d, ast.Attribute) and d.attr == "setter" for d in node.decorator_list)
    return not (sets or node.name.startswith("_"))


def bullet(node: ast.FunctionDef, module: str) -> list[str]:
    """A method, or a function in a list, in one line, and its notes below."""
    if has(node, "property") or has(node, "cached_property"):
        head = f"{node.name}: {_type(node.returns)}" if node.returns else node.name
    else:
        head = _call(node.name, arguments(node), _returned(node), narrow=False)
    head = ("classmethod " if has(node, "classmethod") else "") + head
    said = told(docstring_of(node)).first
    if exercises := [ast.unparse(d) for d in node.decorator_list if "exercise" in ast.unparse(d)]:
        notebook = ast.get_docstring(tree(module)).rstrip(".").lower()
        said += f" ({notebook}, {re.sub(r'[()]', ' ', exercises[0]).strip()})"
    notes = (f"  - {note}" for note in _notes(node, module))
    return [f"- `{head}`" + (f": {said}" if said else ""), *notes]


def page() -> str:
    parts = [
        "# What a script of your own can use\n",
        "This page is made by `python docs/make_api.py` from the code; change it there.\n",
        f"```python\n{BEGIN}```\n",
        'The guard, `if __name__ == "__main__":`, is needed because each game runs in a process of its\n'
        "own, which first imports your script: without the guard, that process would start games too.\n",
        "In shapes, P is for controllers of D numbers each, N for lanes or rows, B for sequences, T\n"
        "for steps, Z for the numbers of z, H for those of h, F for features, A for the numbers of an\n"
        "action, K for the Gaussians of a mixture.\n",
    ]
    for section in SECTIONS:
        parts.append(f"## {section.title}\n\n{section.text}\n")
        for name in section.names:
            module, _, wanted = name.partition(":")
            parts.append(entry(name) if wanted != "*" else list_of(module))
    return "\n".join(parts)


def list_of(module: str) -> str:
    """All that a module is for."""
    lines: list[str] = []
    for name in public_names(module):
        home, node = find(module, name)
        lines += bullet(node, home)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
