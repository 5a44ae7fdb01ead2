"""How a picture looks: two palettes, and rules that reach nothing but this picture."""

import hashlib

LIGHT = {
    "page": "#ffffff",
    "fill": "#f8fafc",
    "input": "#eef2f7",
    "chip": "#e8edf3",
    "line": "#94a3b8",
    "edge": "#7b8aa0",
    "text": "#0f172a",
    "muted": "#475569",
    "gate": "#8a3d06",
    "gatechip": "#fdebd3",
    "pending": "#586579",
    "running": "#1d4ed8",
    "waiting": "#a14a07",
    "asked": "#7e22ce",
    "succeeded": "#14763a",
    "failed": "#b91c1c",
    "rejected": "#b01049",
    "skipped": "#586579",
    "interrupted": "#b53d0c",
}
DARK = {
    "page": "#111418",
    "fill": "#1b2129",
    "input": "#232b36",
    "chip": "#2c3644",
    "line": "#56657a",
    "edge": "#7c8ba1",
    "text": "#e8edf4",
    "muted": "#a9b6c8",
    "gate": "#fcc98a",
    "gatechip": "#43301a",
    "pending": "#94a3b8",
    "running": "#7fb0ff",
    "waiting": "#f5b04c",
    "asked": "#d0a3ff",
    "succeeded": "#57d08a",
    "failed": "#ff8a8a",
    "rejected": "#ff86ac",
    "skipped": "#94a3b8",
    "interrupted": "#ff9e63",
}

STATUSES = list(LIGHT)[list(LIGHT).index("pending") :]
"""The statuses that have a colour."""

_RULES = """\
{c}{{max-width:100%;height:auto;color-scheme:light dark}}
{c} text{{fill:var(--ak-text);font:11px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}}
{c} .page{{fill:var(--ak-page)}}
{c} .title{{font-size:15px;font-weight:600}}
{c} .sum,{c} .type,{c} .facts{{fill:var(--ak-muted)}}
{c} .name,{c} .type{{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}}
{c} .name{{font-size:13px;font-weight:600}}
{c} .box{{fill:var(--ak-fill);stroke:var(--ak-line);stroke-width:1.2}}
{c} .input .box{{fill:var(--ak-input)}}
{c} .chip{{fill:var(--ak-chip)}}
{c} .chipword{{fill:var(--ak-muted);font-size:10px;text-anchor:middle}}
{c} .gate .chip{{fill:var(--ak-gatechip)}}
{c} .gate .chipword{{fill:var(--ak-gate);font-weight:600}}
{c} .edge{{fill:none;stroke:var(--ak-edge);stroke-width:1.4}}
{c} .tip{{fill:var(--ak-edge)}}
{c} .when{{stroke-dasharray:5 4}}
{c} .back{{stroke:var(--ak-failed)}}
{c} .backtip{{fill:var(--ak-failed)}}
{c} .often1{{stroke-width:2}}
{c} .often2{{stroke-width:2.8}}
{c} .often3{{stroke-width:3.8}}
{c} .again{{stroke:var(--ak-waiting)}}
{c} .againtip{{fill:var(--ak-waiting)}}
{c} .frame{{fill:none;stroke:var(--ak-line);stroke-width:1}}
{c} .person .box{{fill:var(--ak-input)}}
{c} .label{{fill:var(--ak-muted);font-size:10px;text-anchor:middle;stroke:var(--ak-page);stroke-width:4px;\
stroke-linejoin:round;paint-order:stroke}}
{c} .state .box{{stroke:var(--ak-s);stroke-width:1.6}}
{c} .state .facts,{c} .state .note{{fill:var(--ak-s)}}
{c} .disc{{fill:var(--ak-s)}}
{c} .sign{{fill:none;stroke:var(--ak-fill);stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}}
{c} .track{{fill:var(--ak-chip)}}
{c} .done{{fill:var(--ak-succeeded)}}
{c} .bad,{c} .wrong .note{{fill:var(--ak-failed)}}
{c} .wrong .box{{stroke:var(--ak-failed);stroke-dasharray:4 3}}
{c} .pending .box,{c} .skipped .box{{stroke-dasharray:4 3;stroke-width:1.2}}
{c} .pending .name,{c} .skipped .name{{fill:var(--ak-muted)}}
"""


def _variables(palette: dict[str, str]) -> str:
    return ";".join(f"--ak-{name}:{colour}" for name, colour in palette.items())


def _sheet(c: str) -> str:
    """All rules, each below the class of the picture.

    The system's preference decides; where JupyterLab or VS Code say which theme they are in, theirs does.
    """
    states = "".join(f"{c} .{status}{{--ak-s:var(--ak-{status})}}\n" for status in STATUSES)
    light, dark = _variables(LIGHT), _variables(DARK)
    return (
        f"{c}{{{light}}}\n@media (prefers-color-scheme:dark){{{c}{{{dark}}}}}\n"
        f'body[data-jp-theme-light="true"] {c},body.vscode-light {c}{{{light}}}\n'
        f'body[data-jp-theme-light="false"] {c},body.vscode-dark {c}{{{dark}}}\n'
        f"{states}{_RULES.format(c=c)}"
    )


CLASS = f"agentkit-picture-{hashlib.sha256(_sheet('').encode()).hexdigest()[:8]}"
"""The class of every picture with these rules: one that an older version saved on the same page keeps its own."""

SHEET = _sheet(f".{CLASS}")
"""The style sheet that stands in each picture."""
