# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""What comes out of a run: compare.json, compare.svg, the text for people, and the README's part."""
import json
import pathlib

from lib import figures, plot, table, targets

SCHEMA = 1
PARTS = ("relay", "mesh", "restarts", "paths")  # besides the rounds; each adds figures of ours and sentences
# Of what a report has to have, and of which type.
FIELDS = {"schema": int, "command": str, "date": str, "machine": dict, "build": dict, "options": dict, "congestion": dict,
          "versions": dict, "skipped": dict, "rounds": dict, "offloads": dict,
          **{part: dict for part in PARTS}, "medians": dict, "ratios": dict, "targets": list, "wall_seconds": (int, float)}
BEGIN, END = "<!-- compare: begin -->", "<!-- compare: end -->"


class Unreadable(Exception):
    """Says why a report is none."""


def finish(report: dict) -> dict:
    """Adds what follows from the samples."""
    medians = {peer: figures.medians(rows) for peer, rows in report["rounds"].items()}
    ours = medians.setdefault(figures.OURS, {})
    for part in PARTS:
        ours.update(report[part].get("figures", {}))
    medians = {peer: values for peer, values in medians.items() if values}
    report["medians"], report["ratios"] = medians, figures.ratios(medians)
    report["targets"] = targets.judge_all(medians)
    return report


def check(report) -> None:
    """Raises Unreadable when it is not what finish() made."""
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise Unreadable(f"it is no report of format {SCHEMA}")
    for name, kind in FIELDS.items():
        if not isinstance(report.get(name), kind):
            raise Unreadable(f"its field {name} is missing or of another type")


def write(report: dict, path: pathlib.Path) -> None:
    """The JSON, and the plot beside it."""
    check(report)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".svg").write_text(picture(report), encoding="utf-8")


def read(path: pathlib.Path) -> dict:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as why:
        raise Unreadable(str(why)) from why
    check(report)
    return report


def place(report: dict) -> str:
    machine = report["machine"]
    return f"{machine['model']}, {machine['processors']} processors, Linux {machine['kernel']}"


def rounds_of(report: dict) -> str:
    count = max((len(rows) for rows in report["rounds"].values()), default=0)
    return "one round" if count == 1 else f"medians of {count} interleaved rounds"


def picture(report: dict) -> str:
    foot = f"{rounds_of(report)}, lines: least to greatest; {place(report)}; {report['date'][:10]}"
    return plot.svg(report["rounds"], report["medians"], "Between pods of two hosts", foot)


def congestion(report: dict) -> str:
    return (f"TCP with {report['congestion']['used']}, asked for by each socket; the system's default is "
            f"{report['congestion']['default']}.")


def notes(report: dict) -> list:
    """Sentences below the tables."""
    out = [congestion(report)]
    out += [f"{figures.PEERS[peer]}: skipped, {why}." for peer, why in report["skipped"].items()]
    out += [text for part in PARTS for text in report[part].get("sentences", [])]
    return out


def text(report: dict) -> str:
    """For the terminal."""
    parts = [f"{place(report)}; {report['date']}; load {report['machine']['load']}"]
    if len(report["medians"]) > 0 and any(report["rounds"].values()):
        parts.append(rounds_of(report) + "\n" + table.text(table.rows(report["medians"])))
    if report["ratios"]:
        parts.append("ratios of medians\n" + table.text(table.ratio_rows(report["ratios"])))
    parts.append("\n".join(notes(report)))
    parts.append("targets\n" + "\n".join(targets.line(judged) for judged in report["targets"]))
    return "\n\n".join(parts)


def readme_part(report: dict, picture_path: str) -> str:
    """What stands between the marks in the README."""
    return "\n".join((
        BEGIN,
        f"Measured with `{report['command']}` on {place(report)},",
        f"{report['date'][:10]}, {rounds_of(report)}; believe the ratios more than the figures.",
        congestion(report),
        "",
        f"![Bars of the figures in the table]({picture_path})",
        "",
        table.markdown(table.rows(report["medians"])),
        "",
        *(f"- {note}" for note in notes(report)[1:]),
        "",
        "<details><summary>Targets</summary>",
        "",
        *(f"- {judged['verdict']}: {targets.sentence(judged)}" for judged in report["targets"]),
        "",
        "</details>",
        END))


def put_into(readme: str, part: str) -> str:
    """The README with its part replaced. Raises Unreadable when it has no marks."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise Unreadable(f"the README has no part between {BEGIN} and {END}")
    return before + part + after
