# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""An SVG with a panel of bars a figure; readable on light and dark pages, as it brings its own background."""
from xml.sax.saxutils import escape

from lib import figures, table

PANELS = ("tcp1", "tcp4", "tcp_both", "udp64", "idle_p50", "loaded_p99", "router_cpu", "rss")
COLUMNS = 2
PANEL_WIDTH, BAR_HEIGHT, LABEL_WIDTH, VALUE_WIDTH = 430, 20, 132, 64
MARGIN, TITLE_HEIGHT, HEAD_HEIGHT, FOOT_HEIGHT = 20, 30, 44, 26

STYLE = """
    .page { fill: #ffffff; stroke: #d0d7de }
    text { font: 12px sans-serif; fill: #24292f }
    .head { font-size: 16px; font-weight: bold }
    .title { font-weight: bold }
    .foot { font-size: 11px; fill: #57606a }
    .bar { fill: #9aa7b4 }
    .ours { fill: #1f6feb }
    .range { stroke: #24292f; stroke-width: 1 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; stroke: #30363d }
      text { fill: #e6edf3 }
      .foot { fill: #9da7b1 }
      .bar { fill: #57606a }
      .ours { fill: #388bfd }
      .range { stroke: #e6edf3 }
    }
"""


def panel(figure: figures.Figure, values: dict, x: int, y: int) -> list:
    """Bars of (median, least, greatest) by peer, on one scale from zero."""
    better = "more" if figure.more_is_better else "less"
    out = [f'<text class="title" x="{x}" y="{y + 14}">{escape(figure.title)}, {escape(figure.unit)}'
           f' ({better} is better)</text>']
    room = PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH
    scale = room / (max(greatest for _, _, greatest in values.values()) or 1)
    for row, (peer, (median, least, greatest)) in enumerate(values.items()):
        top = y + TITLE_HEIGHT - 6 + row * BAR_HEIGHT
        start, middle = x + LABEL_WIDTH, top + BAR_HEIGHT / 2
        kind = "bar ours" if peer == figures.OURS else "bar"
        out += [
            f'<text x="{start - 6}" y="{middle + 4:.1f}" text-anchor="end">{escape(figures.PEERS[peer])}</text>',
            f'<rect class="{kind}" x="{start}" y="{top + 3}" width="{max(median * scale, 1):.1f}"'
            f' height="{BAR_HEIGHT - 6}"/>',
            f'<path class="range" d="M{start + least * scale:.1f} {middle:.1f}H{start + greatest * scale:.1f}"/>',
            f'<text x="{start + max(greatest, median) * scale + 6:.1f}" y="{middle + 4:.1f}">'
            f'{table.cell(figure, median)}</text>',
        ]
    return out


def spread(rounds: dict, medians: dict, key: str) -> dict:
    """(median, least, greatest) of each peer that has the figure."""
    out = {}
    for peer in table.peers_of(medians):
        taken = [row[key] for row in rounds.get(peer, []) if key in row]
        if key in medians[peer] and taken:
            out[peer] = (medians[peer][key], min(taken), max(taken))
    return out


def svg(rounds: dict, medians: dict, head: str, foot: str) -> str:
    """The whole picture."""
    panels = [(figures.BY_KEY[key], spread(rounds, medians, key)) for key in PANELS]
    panels = [(figure, values) for figure, values in panels if values]
    tallest = max((len(values) for _, values in panels), default=1)
    height = TITLE_HEIGHT + tallest * BAR_HEIGHT + MARGIN
    lines = -(-len(panels) // COLUMNS)
    width = COLUMNS * PANEL_WIDTH + (COLUMNS + 1) * MARGIN
    total = HEAD_HEIGHT + lines * height + FOOT_HEIGHT
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{total}" viewBox="0 0 {width} {total}"'
           ' role="img">', f"<title>{escape(head)}</title>", f"<style>{STYLE}</style>",
           f'<rect class="page" x="0.5" y="0.5" width="{width - 1}" height="{total - 1}" rx="6"/>',
           f'<text class="head" x="{MARGIN}" y="28">{escape(head)}</text>']
    for place, (figure, values) in enumerate(panels):
        x = MARGIN + place % COLUMNS * (PANEL_WIDTH + MARGIN)
        out += panel(figure, values, x, HEAD_HEIGHT + place // COLUMNS * height)
    out += [f'<text class="foot" x="{MARGIN}" y="{total - 10}">{escape(foot)}</text>', "</svg>"]
    return "\n".join(out) + "\n"
