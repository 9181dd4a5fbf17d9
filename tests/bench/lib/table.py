# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of medians and ratios: as text, and as Markdown for the README."""
from lib import figures


def peers_of(medians: dict) -> list:
    return [peer for peer in figures.PEERS if medians.get(peer)]


def cell(figure: figures.Figure, value) -> str:
    return "-" if value is None else f"{value:.{figure.digits}f}"


def rows(medians: dict) -> list:
    """A heading and one row a figure that some peer has, all cells texts."""
    peers = peers_of(medians)
    out = [["median", "", *(figures.PEERS[peer] for peer in peers)]]
    for figure in figures.FIGURES:
        values = [medians[peer].get(figure.key) for peer in peers]
        if any(value is not None for value in values):
            out.append([figure.title, figure.unit, *(cell(figure, value) for value in values)])
    return out


def ratio_rows(ratios: dict) -> list:
    peers = [peer for peer in figures.PEERS if peer in ratios]
    out = [["weavemesh, times", "", *(figures.PEERS[peer] for peer in peers)]]
    for figure in figures.FIGURES:
        values = [ratios[peer].get(figure.key) for peer in peers]
        if any(value is not None for value in values):
            better = "more is better" if figure.more_is_better else "less is better"
            out.append([figure.title, better, *("-" if value is None else f"{value:.2f}" for value in values)])
    return out


def text(cells: list) -> str:
    """Columns as wide as they need to be; a heading of several words takes several lines."""
    words = [entry.split(" ") for entry in cells[0][2:]]
    height = max((len(entry) for entry in words), default=1)
    padded = [[""] * (height - len(entry)) + entry for entry in words]
    heading = [[*(cells[0][:2] if level == height - 1 else ["", ""]), *(entry[level] for entry in padded)]
               for level in range(height)]
    lines = heading + cells[1:]
    widths = [max(len(line[column]) for line in lines) for column in range(len(cells[0]))]
    out = []
    for line in lines:
        left = f"{line[0]:<{widths[0]}}  {line[1]:<{widths[1]}}"
        out.append("  ".join([left, *(f"{each:>{width}}" for each, width in zip(line[2:], widths[2:]))]).rstrip())
    return "\n".join(out)


def markdown(cells: list) -> str:
    merged = [[f"{row[0]}, {row[1]}" if row[1] else row[0], *row[2:]] for row in cells]
    merged[0][0] = ""
    lines = ["| " + " | ".join(row) + " |" for row in merged]
    lines.insert(1, "|---|" + "---:|" * (len(merged[0]) - 1))
    return "\n".join(lines)
