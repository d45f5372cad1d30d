"""Draw docs/architecture.svg: the packages, their rooms, and who imports whom, read from the imports by ast.

A room is a package inside a package, with all below it; the modules at the top of a package are one room, or two where
other rooms build on some of them (`jobs/stage.py`). Inside a package an arrow that follows from others is left out.
`make docs` writes the picture; the same code gives the same bytes.
"""

import ast
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
TOP = "finelake"

Edge = tuple[str, str]

# --- imports ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Module:
    """A module: its full name, what it imports of ours, and the packages whose modules it loads by name."""

    name: str
    imports: frozenset[str]
    loads: frozenset[str]


def modules(root: Path = ROOT) -> dict[str, Module]:
    """Every module of the project by its installed name."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    paths: dict[str, Path] = {}
    for package, folder in settings["package-dir"].items():
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root / folder).with_suffix("").parts
            paths[".".join([package, *parts]).removesuffix(".__init__")] = path
    return {name: read(name, path.read_text(encoding="utf-8"), paths) for name, path in paths.items()}


def read(name: str, code: str, known: Iterable[str]) -> Module:
    """A module from its code; `known` are the names of all modules."""
    imports, loads, known = set(), set(), set(known)
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                imports.add(full if full in known else node.module)
        elif isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            loads.add(str(node.values[0].value).removesuffix("."))  # importlib.import_module(f"finelake.jobs.{name}")
    return Module(name, frozenset(imports & known - {TOP}), frozenset(loads & known - {TOP}))


# --- rooms -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Room:
    """A box of the picture: its name ("" for modules at the top of a package) and its modules."""

    name: str
    modules: tuple[str, ...]


def package_of(name: str, folders: Sequence[str]) -> str:
    """The package of a module: jobs for finelake.jobs.sources.readers, finelake for finelake.cli."""
    second = [*name.split("."), ""][1]
    return second if second in folders else TOP


def rooms(package: str, found: Mapping[str, Module], folders: Sequence[str]) -> dict[str, Room]:
    """The room of each module of a package, by the module's full name."""
    prefix = TOP if package == TOP else f"{TOP}.{package}"
    mine = [name for name in found if package_of(name, folders) == package and name != prefix]
    inner = {name: name.removeprefix(f"{prefix}.").split(".") for name in mine}
    is_room = {parts[0] for parts in inner.values() if len(parts) > 1}
    members = {room: [name for name in mine if inner[name][0] == room] for room in is_room}
    upper, base = split_top([name for name in mine if inner[name][0] not in is_room], members, found)
    placed = {name: Room(room, _shown(members[room], f"{prefix}.{room}")) for room in members for name in members[room]}
    for group in (upper, base):
        placed |= dict.fromkeys(group, Room("", tuple(name.rpartition(".")[2] for name in group)))
    return placed


def split_top(
    top: list[str], members: Mapping[str, list[str]], found: Mapping[str, Module]
) -> tuple[list[str], list[str]]:
    """The modules at the top of a package: those above its rooms, and those on which the rooms stand."""
    inside = {name for names in members.values() for name in names} | {f"{TOP}.{room}" for room in members}
    above = {name for name in top if (found[name].imports | found[name].loads) & inside}
    if not above:
        return [], top
    while more := {name for name in top if found[name].imports & above} - above:
        above |= more
    used = {imported for name in inside & found.keys() for imported in found[name].imports}
    base = [name for name in top if name in used and name not in above]
    return [name for name in top if name not in base], base


def _shown(members: list[str], room: str) -> tuple[str, ...]:
    inner = [name.removeprefix(f"{room}.").split(".") for name in members if name != room]
    return tuple(sorted({parts[0] + ("/" if len(parts) > 1 else "") for parts in inner if parts[0]} - _folders(inner)))


def _folders(inner: list[list[str]]) -> set[str]:
    """The names of folders without a slash: the module that is a folder's __init__ is not listed beside it."""
    return {parts[0] for parts in inner if len(parts) > 1}


# --- order -----------------------------------------------------------------------------------------------------------


def reduced(edges: set[Edge]) -> set[Edge]:
    """The edges that do not follow from others."""
    return {
        (start, end)
        for start, end in edges
        if not any(
            (start, middle) in edges and end in reach(middle, edges - {(start, end)})
            for middle in {after for before, after in edges if before == start} - {end}
            if start not in reach(middle, edges)
        )
    }


def reach(start: str, edges: set[Edge]) -> set[str]:
    """What can be reached from `start`."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        here = waiting.pop()
        more = {after for before, after in edges if before == here} - seen
        seen |= more
        waiting += sorted(more)
    return seen


def ranks(names: Sequence[str], edges: set[Edge]) -> dict[str, int]:
    """The row of each room: below those that import it, and no higher above what it imports than it needs to be."""
    onward = {(a, b) for a, b in edges if a not in reach(b, edges)}  # mutual imports stand side by side
    rank = dict.fromkeys(names, 0)
    for _ in names:
        for start, end in sorted(edges):
            rank[end] = max(rank[end], rank[start] + ((start, end) in onward))
    for name in names:
        below = [rank[end] for start, end in onward if start == name]
        if below and not any(end == name for _, end in edges):
            rank[name] = min(below) - 1
    return rank


# --- picture ---------------------------------------------------------------------------------------------------------

CHARACTER, LINE, PAD, GAP, HEAD = 6.3, 15, 10, 26, 46
COLOURS = {
    "finelake": "#eef2fa",
    "jobs": "#fdf1e3",
    "training": "#f0f7ec",
    "lake": "#e7f3f6",
    "text": "#f6eff8",
    "demo": "#f4f4f4",
}
PURPOSE = {
    "finelake": "the command line: the only code that knows the others",
    "jobs": "Spark: one module per stage",
    "training": "from pinned samples to a judged model; no Spark",
    "lake": "what a table is; neither Spark nor torch",
    "text": "operations on a text; no engine, no files",
    "demo": "the generated bank",
}
# Layers from top to bottom; of each package x, width, and whether its rooms stand in columns, importers at the left.
LAYERS = (
    {"finelake": (20, 1060, True)},
    {"jobs": (20, 460, False), "training": (505, 395, False), "demo": (925, 155, False)},
    {"lake": (130, 700, True)},
    {"text": (20, 1060, True)},
)
PLACES = {package: place for layer in LAYERS for package, place in layer.items()}
ARROWS = {  # x at which an arrow between two packages runs
    ("finelake", "jobs"): 220,
    ("finelake", "lake"): 492,
    ("finelake", "training"): 680,
    ("finelake", "demo"): 1005,
    ("jobs", "lake"): 270,
    ("lake", "text"): 450,
    ("jobs", "text"): 75,
    ("training", "lake"): 680,
    ("training", "text"): 855,
}
MARGIN, WIDTH, BETWEEN, FOOT = 20, 1100, 56, 44
STYLE = (
    "text{font-family:DejaVu Sans,Verdana,sans-serif;font-size:11px;fill:#222}"
    ".p{font-size:16px;font-weight:bold}.r{font-size:12px;font-weight:bold}.s{fill:#555}"
    ".b{stroke:#8a8f98;stroke-width:1}.w{fill:#fff;stroke:#8a8f98;stroke-width:1}"
    ".a{stroke:#333;stroke-width:1.4;fill:none}.d{stroke-dasharray:5 4}"
)
MARKER = (
    '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="#333"/></marker>'
)


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> tuple[float, float]:
        """Its centre."""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True)
class Arrow:
    """A line between two packages or rooms."""

    start: tuple[float, float]
    end: tuple[float, float]
    both: bool = False
    by_name: bool = False

    def svg(self) -> str:
        """The line as SVG."""
        back = ' marker-start="url(#head)"' if self.both else ""
        style = "a d" if self.by_name else "a"
        (x1, y1), (x2, y2) = self.start, self.end
        return f'<path class="{style}" d="M{x1:g} {y1:g}L{x2:g} {y2:g}" marker-end="url(#head)"{back}/>'


def draw(root: Path = ROOT) -> str:
    """The picture as SVG. ValueError for a package, or an arrow between two, that has no place in it."""
    found = modules(root)
    folders = [name for name in PLACES if name != TOP]
    unknown = {name.split(".")[1] for name in found if name.count(".") == 1} & _packages(root) - set(folders)
    if unknown:
        raise ValueError(f"{sorted(unknown)[0]} has no place in the picture; add it to PLACES in .ci/architecture.py")
    boxes: dict[str, Box] = {}
    parts: list[str] = []
    y: float = MARGIN
    for layer in LAYERS:
        for package, (x, width, columns) in layer.items():
            boxes[package], inside = house(package, Box(x, y, width, 0), columns, found, folders)
            parts += inside
        y = max(boxes[package].y + boxes[package].height for package in layer) + BETWEEN
    parts += [arrow.svg() for arrow in between(found, folders, boxes)]
    height = y - BETWEEN + FOOT
    return "\n".join([*_opening(height), *parts, *_legend(height - 16), "</svg>", ""])


def _packages(root: Path) -> set[str]:
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    return {package.split(".")[1] for package in settings["package-dir"] if "." in package}


def _opening(height: float) -> Iterator[str]:
    size = f'viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    yield "<title>Finelake's packages and who imports whom</title>"
    yield f"<defs><style>{STYLE}</style>{MARKER}</defs>"
    yield f'<rect width="{WIDTH}" height="{height:g}" fill="#fff"/>'


def _legend(y: float) -> Iterator[str]:
    yield Arrow((20, y - 4), (60, y - 4)).svg()
    yield text(68, y, "imports", "s")
    yield Arrow((150, y - 4), (190, y - 4), both=True).svg()
    yield text(198, y, "import each other", "s")
    yield Arrow((330, y - 4), (370, y - 4), by_name=True).svg()
    yield text(378, y, "loads a module by its name", "s")
    yield text(580, y, "Inside a package, arrows that follow from others are left out.", "s")


def text(x: float, y: float, content: str, style: str = "") -> str:
    """A line of text."""
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:g}" y="{y:g}"{kind}>{escape(content)}</text>'


def house(
    package: str, place: Box, columns: bool, found: Mapping[str, Module], folders: Sequence[str]
) -> tuple[Box, list[str]]:
    """A package with its rooms and the arrows between them: its box, and the parts of its picture."""
    placed = rooms(package, found, folders)
    edges, by_name = inner_edges(package, placed, found)
    by_key = {_key(room): room for room in placed.values()}
    rank = ranks(sorted(by_key), edges | {edge for edge in by_name if edge[::-1] not in edges})
    # Where rooms load one another by name only, as the command line does its commands, that orders them too.
    first = sorted(sorted(by_key, reverse=True), key=lambda key: bool(by_key[key].name))
    rows = [[key for key in first if rank[key] == row] for row in range(max(rank.values()) + 1)]
    grid = _columns(rows, by_key, place) if columns else _rows(rows, by_key, place)
    bottom = max(box.y + box.height for box in grid.values()) + PAD
    outer = Box(place.x, place.y, place.width, bottom - place.y)
    arrows = [line(grid[a], grid[b], (b, a) in edges) for a, b in sorted(edges) if (b, a) not in edges or a < b]
    arrows += [line(grid[a], grid[b], by_name=True) for a, b in sorted(by_name - edges) if (b, a) not in edges]
    parts = [rectangle(outer, "b", COLOURS[package]), text(place.x + PAD, place.y + 22, f"{package}/", "p")]
    parts += [text(place.x + PAD, place.y + 37, PURPOSE[package], "s")]
    for key, box in grid.items():
        parts += _room(by_key[key], box)
    return outer, parts + [arrow.svg() for arrow in arrows]


def _key(room: Room) -> str:
    return room.name or ",".join(room.modules)


def inner_edges(package: str, placed: Mapping[str, Room], found: Mapping[str, Module]) -> tuple[set[Edge], set[Edge]]:
    """The imports between a package's rooms without those that follow from others, and what is loaded by name."""
    edges, by_name = set(), set()
    for name, room in placed.items():
        edges |= {(_key(room), _key(placed[other])) for other in found[name].imports if other in placed}
        loaded = {other.rpartition(".")[2] for other in found[name].loads}
        by_name |= {(_key(room), other.name) for other in placed.values() if other.name and other.name in loaded}
    edges, by_name = ({edge for edge in group if edge[0] != edge[1]} for group in (edges, by_name))
    return reduced(edges), by_name


def between(found: Mapping[str, Module], folders: Sequence[str], boxes: Mapping[str, Box]) -> Iterator[Arrow]:
    """The arrows between packages."""
    pairs = {(name, other) for name, module in found.items() for other in module.imports}
    named = {(name, other) for name, module in found.items() for other in module.loads}
    imports, loads = ({(package_of(a, folders), package_of(b, folders)) for a, b in group} for group in (pairs, named))
    for start, end in sorted(imports | loads):
        if start == end:
            continue
        if (start, end) not in ARROWS:
            raise ValueError(f"{start} imports {end}, which has no arrow; add it to ARROWS in .ci/architecture.py")
        x, upper = ARROWS[start, end], boxes[start]
        yield Arrow((x, upper.y + upper.height), (x, boxes[end].y), by_name=(start, end) not in imports)


def _lines(room: Room, width: float) -> list[str]:
    lines, room_for = [""], int((width - 2 * PAD) / CHARACTER)
    for number, module in enumerate(room.modules):
        word = module + ("," if number + 1 < len(room.modules) else "")
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room_for:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines


def _height(room: Room, width: float) -> float:
    return 2 * PAD + LINE * (len(_lines(room, width)) + bool(room.name)) - 4


def _rows(rows: Sequence[Sequence[str]], by_key: Mapping[str, Room], place: Box) -> dict[str, Box]:
    boxes, y = {}, place.y + HEAD
    for row in rows:
        width = (place.width - 2 * PAD - GAP * (len(row) - 1)) / len(row)
        height = max(_height(by_key[key], width) for key in row)
        for number, key in enumerate(row):
            boxes[key] = Box(place.x + PAD + number * (width + GAP), y, width, height)
        y += height + GAP
    return boxes


def _columns(rows: Sequence[Sequence[str]], by_key: Mapping[str, Room], place: Box) -> dict[str, Box]:
    width = (place.width - 2 * PAD - GAP * (len(rows) - 1)) / len(rows)
    boxes = {}
    for number, row in enumerate(rows):
        y = place.y + HEAD
        for key in row:
            boxes[key] = Box(place.x + PAD + number * (width + GAP), y, width, _height(by_key[key], width))
            y += boxes[key].height + GAP / 2
    return boxes


def rectangle(box: Box, style: str, fill: str = "") -> str:
    """A box with round corners."""
    colour = f' fill="{fill}"' if fill else ""
    return (
        f'<rect class="{style}" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" '
        f'rx="5"{colour}/>'
    )


def _room(room: Room, box: Box) -> Iterator[str]:
    yield rectangle(box, "w")
    y = box.y + PAD + 9
    if room.name:
        yield text(box.x + PAD, y, f"{room.name}/", "r")
        y += LINE
    for number, words in enumerate(_lines(room, box.width)):
        yield text(box.x + PAD, y + number * LINE, words, "s" if room.name else "")


def line(start: Box, end: Box, both: bool = False, by_name: bool = False) -> Arrow:
    """The straight arrow from one box to another: from side to side, or from bottom to top."""
    if start.x + start.width < end.x or end.x + end.width < start.x:
        left = start.x < end.x
        low, high = max(start.y, end.y), min(start.y + start.height, end.y + end.height)
        if low < high:
            y = (low + high) / 2
            return Arrow((start.x + start.width * left, y), (end.x + end.width * (not left), y), both, by_name)
    low, high = max(start.x, end.x), min(start.x + start.width, end.x + end.width)
    x = (low + high) / 2 if low < high else None
    top, bottom = start.y + start.height, end.y
    return Arrow((x or start.middle[0], top), (x or end.middle[0], bottom), both, by_name)


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
