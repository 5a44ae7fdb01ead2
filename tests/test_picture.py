"""The picture of a pipeline or a run: it can be read, whatever the graph, and nothing in it can act."""

import re
import subprocess
import sys
from itertools import combinations, pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.picture import Edge, Graph, Node, mermaid, svg, text
from agentkit.picture.boxes import content
from agentkit.picture.columns import spread
from agentkit.picture.drawing import ends, ways
from agentkit.picture.graph import MARKS, edges_of, linked
from agentkit.picture.icons import icon
from agentkit.picture.layout import layout
from agentkit.picture.levels import ROW, downward, falling, levels, topological
from agentkit.picture.style import CLASS, DARK, LIGHT, SHEET, STATUSES
from agentkit.text import columns_of

TRIAGE = Graph(
    "triage",
    (
        Node("ticket", "input", "Ticket"),
        Node("facts", "step", "Facts", ("agent",)),
        Node("order", "step", "Order", ("retry 5",)),
        Node("pay", "step", "Receipt", ("writes", "approve", "when")),
    ),
    (Edge("ticket", "facts"), Edge("facts", "order"), Edge("order", "pay"), Edge("facts", "pay", "when")),
)

HOSTILE = [
    '"><script>alert(1)</script>',
    *("&amp;]]>", "\x1b[2J", "\u202eabc", "\x00", "a\nb", "\ud800", "</style>", "'\"", "javascript:alert(1)"),
    *("%%{init: {}}%%", "`$x$`", "#35;", "end", "-->", "1. a", "__x__", "style a:b#35;", "direction LR"),
    *("e\u0301\u0301\u0301\u0301\u0301", "漢字" * 40, "مرحبا", ""),
]
hostile = st.sampled_from(HOSTILE) | st.text(max_size=12)
tame = st.sampled_from(["", "Ticket", "list[Label]", "dict[str, list[tuple[int, int]]]", "each tickets", "a note " * 9])


counts = st.tuples(st.integers(1, 20_000), st.integers(0, 3), st.integers(0, 3))
"""How often an edge was taken, how often after a failure, how often beside others."""


@st.composite
def graphs(draw, words=tame, cyclic=True, most=12):
    """Graphs of a few nodes; with `cyclic` wrong ones too: cycles, edges to nowhere, a name twice."""
    named = words is hostile
    names = draw(st.lists(words, max_size=most)) if named else [f"s{at}" for at in range(draw(st.integers(0, most)))]
    nodes = tuple(draw(nodes_named(one, words)) for one in names)
    known = [*names, "nowhere"] if cyclic else names
    ends = st.tuples(*[st.integers(0, max(len(known) - 1, 0))] * 2)
    pairs = draw(st.lists(ends, max_size=2 * len(names))) if known else []
    labels = st.sampled_from(["", "", "when"]) | words
    counted = draw(st.booleans())
    edges = [
        Edge(known[one], known[other], "" if counted else draw(labels), *(draw(counts) if counted else ()))
        for one, other in pairs
        if cyclic or one < other
    ]
    return Graph(draw(words), nodes, tuple(edges), draw(st.just("") | words))


def nodes_named(name, words):
    return st.builds(
        Node,
        st.just(name),
        st.sampled_from(["input", "step", "step", "step", "start", "agent", "person", "end"]),
        type=words,
        marks=st.lists(words, max_size=3).map(tuple) | st.just(("writes",) * 10),
        status=st.none() | st.sampled_from(STATUSES) | words,
        seconds=st.none() | st.floats(),
        cost_usd=st.none() | st.floats(),
        items=st.none() | st.tuples(st.integers(-1, 50), st.integers(-1, 50)),
        failed_items=st.integers(-1, 60),
        note=words,
        label=words,
        calls=st.none() | st.integers(0, 20_000),
        told=st.lists(words, max_size=3).map(tuple),
    )


def laid_out(graph):
    """A graph's nodes, links and layout, as `svg` makes them."""
    nodes, links = linked(graph)
    contents = [content(node) for node in nodes]
    sizes, edges = [(one.width, one.height) for one in contents], edges_of(graph, links)
    return links, layout(sizes, ways(links, edges), falling(len(nodes), links, edges), *ends(nodes))


def touch(one, other):
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


@given(graphs())
def test_no_box_lies_on_another(graph):
    """And each is inside of the picture."""
    _, where = laid_out(graph)
    assert not any(touch(one, other) for one, other in combinations(where.boxes, 2))
    for box in where.boxes:
        assert box.x >= -0.1
        assert box.y >= 0
        assert box.x + box.width <= where.width + 0.1
        assert box.y + box.height <= where.height + 0.1


@given(graphs())
def test_an_edge_goes_from_border_to_border_in_the_right_direction(graph):
    """Down from the source's lower border to the target's upper one; up where it closes a cycle."""
    links, where = laid_out(graph)
    for (source, target, _), route in zip(links, where.routes, strict=True):
        one, other = where.boxes[source], where.boxes[target]
        (x, y), (end_x, end_y) = route.points[0], route.points[-1]
        if route.loop:
            assert source == target
            assert x == end_x == pytest.approx(one.x + one.width)
            assert one.y < end_y < y < one.y + one.height
            continue
        assert one.x < x < one.x + one.width
        assert other.x < end_x < other.x + other.width
        assert y == pytest.approx(one.y if route.back else one.y + one.height, abs=0.11)
        assert end_y == pytest.approx(other.y + other.height if route.back else other.y, abs=0.11)
        assert (end_y < y) == route.back


@given(graphs())
def test_no_edge_passes_through_a_box_or_leaves_the_picture(graph):
    """Beside boxes it is straight; where it bends there are none, for a bow stays between its ends' heights."""
    links, where = laid_out(graph)
    for link, route in zip(links, where.routes, strict=True):
        others = [box for place, box in enumerate(where.boxes) if place not in link[:2]]
        for (x, y), (to_x, to_y) in pairwise(route.points):
            assert 0 <= min(x, to_x) <= max(x, to_x) <= where.width
            low, high = min(y, to_y) + 0.2, max(y, to_y) - 0.2
            beside = [box for box in others if box.y < high and low < box.y + box.height]
            if x == to_x:
                beside = [box for box in beside if box.x <= x <= box.x + box.width]
            assert not beside


@given(graphs())
def test_all_coordinates_are_inside_the_view(graph):
    """Boxes, words, bends and arrows: nothing is cut off."""
    root = ET.fromstring(svg(graph))
    _, _, width, height = map(float, root.get("viewBox").split())
    for x, y in points(root, 0, 0):
        assert -0.2 <= x <= width + 0.2
        assert -0.2 <= y <= height + 0.2


def points(element, x, y):
    """Corners of rectangles, ends of words and points of paths below an element."""
    if moved := re.match(r"translate\((\S+) (\S+)\)", element.get("transform", "")):
        x, y = x + float(moved[1]), y + float(moved[2])
    kind = element.tag.rpartition("}")[2]
    at_x, at_y = x + float(element.get("x", 0)), y + float(element.get("y", 0))
    if kind == "rect":
        yield from [(at_x, at_y), (at_x + float(element.get("width")), at_y + float(element.get("height")))]
    elif kind == "text":
        yield at_x + float(element.get("textLength", 0)) / (2 if "chip" in element.get("class") else 1), at_y
    elif kind == "path" and element.get("class") != "sign":
        for pair in re.findall(r"(-?[\d.]+) (-?[\d.]+)", element.get("d").partition("l")[0]):
            yield x + float(pair[0]), y + float(pair[1])
    for below in element:
        yield from points(below, x, y)


ELEMENTS = {"svg", "title", "desc", "style", "rect", "g", "path", "circle", "text"}
ATTRIBUTES = {"class", "role", "viewBox", "transform", "width", "height", "x", "y", "rx", "r", "d"} | {
    "textLength",
    "lengthAdjust",
}


@given(graphs(hostile))
def test_the_svg_is_well_formed_and_can_do_nothing(graph):
    """Whatever the names, types and notes: a fixed set of elements and attributes, no control character, no link."""
    drawn = svg(graph)
    assert all(char.isprintable() or char == "\n" for char in drawn)
    for element in ET.fromstring(drawn).iter():
        assert element.tag.rpartition("}")[2] in ELEMENTS
        assert set(element.attrib) <= ATTRIBUTES
        assert re.fullmatch(r"[\w .(),-]*", "".join(element.attrib.values()))


@given(graphs(hostile), st.integers(20, 140))
def test_the_text_is_lines_of_printable_words(graph, width):
    """None wider than asked for, down to 32 columns."""
    for line in text(graph, width).split("\n"):
        assert line.isprintable()
        assert columns_of(line) <= max(width, 32)


LABEL = r'"(?:[\w ,\[\]·…→←✓✗▸↻»!?.-]|<br>|#\d+;)*"'


@given(graphs(hostile))
def test_the_mermaid_is_the_little_of_its_grammar_that_we_mean(graph):
    """Words are quoted, and what could end a quotation, or mean something in it, is a number."""
    for line in mermaid(graph).split("\n")[1:]:
        assert re.fullmatch(
            rf"    (?:n\d+(?:\(\[{LABEL}\]\)|\[{LABEL}\]|\[\[{LABEL}\]\]|\{{\{{{LABEL}\}}\}})"
            rf"|n\d+ (?:(?:-- {LABEL} )?-->|(?:== {LABEL} )?==>|-\. {LABEL} \.->) n\d+"
            r"|linkStyle \d+(?:,\d+)* stroke:#\w+|class n\d+(?:,n\d+)* \w+|classDef \w+ [\w:#,\- ]+)",
            line,
        )


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("fraud_score", "fraud_score"),
        ("__init__", "#95;#95;init#95;#95;"),
        ('a"]', "a#34;]"),
        ("<b>", "#60;b#62;"),
        ("50%; #1", "50#37;#59; #35;1"),
        ("1. a", "1#46; a"),
        ("direction LR", "direction#32;LR"),
    ],
)
def test_words_mean_nothing_to_mermaid(name, label):
    """Neither to it nor to the Markdown and HTML in its labels; found by drawing them with mermaid 11.17."""
    assert mermaid(Graph("g", (Node(name, "step"),), ())) == f'flowchart TD\n    n0["{label}"]'


def test_the_same_graph_is_the_same_picture():
    """Byte for byte in every process, so that a saved notebook changes only where something changed."""
    code = f"import sys; sys.path[:0] = {sys.path!r}; from test_picture import TRIAGE, svg; print(svg(TRIAGE))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


@given(graphs(cyclic=False))
def test_each_step_is_below_all_it_needs(graph):
    """In the rows of the picture, of which none is too wide for a page, and in the lines of the text."""
    nodes, links = linked(graph)
    pairs = [link[:2] for link in links]
    assert all(downward(len(nodes), pairs))
    row = levels(len(nodes), pairs, set())
    assert all(row[source] < row[target] for source, target in pairs)
    assert all(row.count(one) <= ROW for one in row)
    order = topological(len(nodes), pairs)
    assert sorted(order) == list(range(len(nodes)))
    assert all(order.index(source) < order.index(target) for source, target in pairs)


@given(st.lists(st.tuples(st.floats(-50, 150), st.sampled_from([1.0, 1e6])), min_size=1, max_size=12))
def test_places_on_a_border_keep_their_order_and_their_distance(wanted):
    """Or all the room there is, where it is not enough."""
    found = spread(wanted, 18, 0, 100)
    gap = min(18, 100 / max(1, len(found) - 1))
    assert all(after - before > gap - 1e-6 for before, after in pairwise(found))
    assert -1e-6 <= found[0] <= found[-1] <= 100 + 1e-6


def test_a_wrong_graph_is_drawn_with_what_is_wrong_in_red():
    """A cycle, a step that needs itself, a name that nobody defined: the picture shows where."""
    nodes = (Node("a", "step"), Node("b", "step"), Node("c", "step"))
    drawn = svg(Graph("g", nodes, (Edge("a", "b"), Edge("b", "a"), Edge("c", "c"), Edge("tickt", "c"))))
    assert drawn.count('class="edge back"') == 2
    assert "not defined" in drawn
    lines = text(Graph("g", nodes, (Edge("a", "b"), Edge("b", "a"), Edge("tickt", "c"))))
    assert "← b (a cycle)" in lines
    assert "not defined" in lines


def test_a_value_that_many_need_is_one_line_with_branches():
    """Where it passes the same row its edges have the same place; and the line is drawn once."""
    steps = tuple(Node(f"s{place}", "step") for place in range(5))
    chain = [Edge(f"s{place}", f"s{place + 1}") for place in range(4)]
    needs = [Edge("x", f"s{place}") for place in range(5)]
    graph = Graph("g", (Node("x", "input"), *steps), (*chain, *needs))
    links, where = laid_out(graph)
    long = [
        route.points for link, route in zip(links, where.routes, strict=True) if link[0] == 0 and len(route.points) > 4
    ]
    assert len(long) >= 3
    assert len({points[2] for points in long}) == 1
    pieces = [f"{piece[0]} {piece[1]}" for piece in re.findall(r'class="edge" d="M(\S+) ([^"]+)"', svg(graph))]
    assert len(pieces) == len(set(pieces))


def test_a_straight_pipeline_is_a_straight_line():
    """One step below the other, joined without a bend."""
    names = ["a", "much_longer_name", "c"]
    chain = Graph("g", tuple(Node(name, "step") for name in names), (Edge("a", names[1]), Edge(names[1], "c")))
    assert "C" not in "".join(re.findall(r' d="([^"]*)"', svg(chain)))


def test_the_style_reaches_this_picture_only():
    """Each rule stands below the picture's class, which no other style sheet has; and no id is taken."""
    selectors = [one for rule in re.findall(r"([^{};\n]+)\{", SHEET) for one in rule.split(",")]
    assert len(selectors) > 30
    assert all(f".{CLASS}" in one for one in selectors if not one.startswith("@media"))
    assert not re.search(r"url|import|expression|\sid=", SHEET + svg(TRIAGE))


def test_the_notebook_s_theme_wins_over_the_system_s():
    """JupyterLab says on its body which theme it is in; that selector weighs more than the media query's."""
    dark = f"--ak-page:{DARK['page']}"
    assert f'body[data-jp-theme-light="false"] .{CLASS}' in SHEET
    assert SHEET.count(dark) == 2
    assert SHEET.index("@media (prefers-color-scheme:dark)") < SHEET.index("body[data-jp-theme-light")


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_words_can_be_read_in_both_themes(palette):
    """The contrast of every colour of words on what is behind them is at least 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    pairs = [(word, ground) for word in ("text", "muted", *STATUSES) for ground in ("page", "fill", "input")]
    for word, ground in [*pairs, ("muted", "chip"), ("gate", "gatechip")]:
        assert contrast(palette[word], palette[ground]) >= 4.5, (word, ground)
    assert contrast(palette["edge"], palette["page"]) >= 3


def contrast(one, other):
    def light(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_is_a_colour_a_sign_and_a_word(status):
    """Colour is never the only sign, in none of the three pictures."""
    graph = Graph("g", (Node("pay", "step", status=status, seconds=1.5),), ())
    drawn = svg(graph)
    assert f'class="node step state {status}"' in drawn
    assert icon(status, 19.5, 20) in drawn
    assert status in drawn
    assert len({icon(one, 0, 0) for one in STATUSES}) == len(STATUSES) == len(MARKS)
    assert f"{MARKS[status]} pay" in text(graph)
    assert f"{MARKS[status]} pay" in mermaid(graph)
    assert f"class n0 {status}" in mermaid(graph)


def test_a_box_says_what_became_of_its_step():
    """How long, what it cost, how much of a fan-out is done; and why it failed, whole in the tooltip."""
    note = "TimeoutError: the server did not answer within thirty seconds, five times in a row, and then it was gone"
    node = Node(
        "orders", "step", status="failed", seconds=63, cost_usd=0.0312, items=(17, 40), failed_items=2, note=note
    )
    root = ET.fromstring(svg(Graph("g", (node,), ())))
    assert [one.text for one in root.iter() if one.get("class") == "facts"] == [
        "failed · 17 of 40 · 2 failed",
        "1 min 3 s · $0.0312",
    ]
    assert any(note in (one.text or "") for one in root.iter() if one.tag.endswith("title"))
    widths = {
        one.get("class"): float(one.get("width")) for one in root.iter() if one.get("class") in {"track", "done", "bad"}
    }
    assert widths["done"] / widths["track"] == pytest.approx(15 / 40, abs=0.01)
    assert widths["bad"] / widths["track"] == pytest.approx(2 / 40, abs=0.01)


def test_a_definition_has_no_status():
    """Nothing in its picture looks as if it had run."""
    assert not re.search(r'class="(node \w+ state|disc|facts)', svg(TRIAGE))
    assert not set("✓✗▸↻") & set(text(TRIAGE) + mermaid(TRIAGE))


def test_a_screen_reader_is_told_what_the_picture_shows():
    """It is an image with a name and a description of each node and of what it needs."""
    root = ET.fromstring(svg(TRIAGE))
    assert root.get("role") == "img"
    assert root[0].text == "triage: 3 steps"
    assert "pay: Receipt; writes, approve, when; needs order, when facts" in root[1].text


def test_the_text_of_a_pipeline():
    """A line a step: what it gives, what it needs, its options."""
    assert text(TRIAGE) == (
        "triage: 3 steps\n"
        "  ticket  Ticket   (input)\n"
        "  facts   Facts    ← ticket  [agent]\n"
        "  order   Order    ← facts  [retry 5]\n"
        "  pay     Receipt  ← order, when facts  [writes, approve, when]"
    )


def test_the_mermaid_of_a_pipeline():
    """A condition's edge is dotted and labelled."""
    assert mermaid(TRIAGE) == (
        "flowchart TD\n"
        '    n0(["ticket<br>Ticket"])\n'
        '    n1["facts<br>Facts<br>agent"]\n'
        '    n2["order<br>Order<br>retry 5"]\n'
        '    n3["pay<br>Receipt<br>writes, approve, when"]\n'
        "    n0 --> n1\n"
        "    n1 --> n2\n"
        "    n2 --> n3\n"
        '    n1 -. "when" .-> n3'
    )


def way(count, failed=0, beside=0):
    """The picture of one tool after another, so often."""
    nodes = (Node("a", "step"), Node("b", "step"))
    return svg(Graph("g", nodes, (Edge("a", "b", "", count, failed, beside),)))


def test_a_way_that_was_taken_more_often_is_broader_and_says_how_often():
    """Its number stands at it, and in its tooltip; one that was taken once needs none."""
    kinds = [re.search(r'class="edge([^"]*)"', way(count))[1] for count in (1, 3, 30, 300)]
    assert kinds == ["", " often1", " often2", " often3"]
    nodes = (Node("a", "step"), Node("b", "step"), Node("c", "step"))
    main = svg(Graph("g", nodes, (Edge("a", "b", count=1000), Edge("b", "c", count=150))))
    assert main.count(" often3") == main.count(" often1") == 1
    assert ">30x</text>" in way(30)
    assert "a → b: 30 times" in way(30)
    assert "once" in way(1)
    assert 'class="label"' not in way(1)
    assert ">∥ 3x</text>" in way(3, beside=2)
    assert "3 times, 2 with others in the same turn" in way(3, beside=2)


def test_what_was_taken_after_a_failure_alone_is_red_and_what_leads_back_is_not():
    """In a run a loop is no mistake: it has a colour of its own."""
    assert 'class="edge back often1"' in way(3, failed=3)
    assert 'class="edge often1"' in way(3, failed=2)
    nodes = (Node("a", "step"), Node("b", "step"))
    loops = svg(Graph("g", nodes, (Edge("a", "b", count=1), Edge("b", "a", count=1), Edge("b", "b", count=1))))
    assert loops.count('class="edge again"') == loops.count('class="againtip"') == 2
    assert 'class="edge back"' not in loops


@given(graphs())
def test_where_a_run_ended_is_below_all_else(graph):
    """Unless something comes after it, as nothing does in a run."""
    nodes, _ = linked(graph)
    links, where = laid_out(graph)
    falls = falling(len(nodes), links, edges_of(graph, links))
    above = {link[0] if down else link[1] for link, down in zip(links, falls, strict=True) if link[0] != link[1]}
    for place in ends(nodes)[1] - above:
        others = [box for other, box in enumerate(where.boxes) if other not in ends(nodes)[1]]
        assert all(box.y + box.height <= where.boxes[place].y for box in others)


def test_a_thousand_steps_are_drawn_and_too_many_are_refused_in_words():
    """Neither takes so long that a notebook seems to hang, nor a stack deeper than Python's."""
    names = [f"s{place}" for place in range(1000)]
    steps = tuple(Node(name, "step") for name in names)
    chain = tuple(Edge(one, other) for one, other in pairwise(names))
    assert svg(Graph("g", steps, chain)).count('class="tip"') == 999
    more = tuple(Edge(one, other) for one in names[:80] for other in names[80:160])
    drawn = svg(Graph("g", steps, more))
    assert "1000 steps, too many for a picture" in drawn
    assert 'class="box"' not in drawn


def test_no_step_is_a_picture_too():
    """A pipeline's first cell is shown before its first step."""
    assert text(Graph("new", (), ())) == "new: no steps"
    assert ET.fromstring(svg(Graph("new", (), ())))[0].text == "new: no steps"
    assert mermaid(Graph("new", (), ())) == "flowchart TD"
