#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Fail when a function is over 70 lines, a source file over 500 or a header over 300.

A scan of braces, not a parser. Comments, strings and preprocessor lines are blanked; of #if and #else one branch is read
at a time. Namespaces, types and "= {" initialisers are entered; every other braced thing is measured, from the first
line of its declaration to its end: a function with its member initialisers, a lambda with what it is bound to.
"""
import re
import sys

import common

FUNCTION_LINES = 70
SOURCE_LINES = 500
HEADER_LINES = 300

BLANKED = re.compile(
    r"(?P<number>\b[0-9][\w.']*)"  # kept: a quote inside of one separates digits
    r'|//[^\n]*|/\*.*?\*/'
    r'|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])+'",
    re.DOTALL,
)
DIRECTIVE = re.compile(r"\s*#\s*(\w*)")
DECORATION = re.compile(r"template\s*<.*?>(?=\s*[a-z])|\balignas\s*\([^()]*\)|\[\[.*?\]\]", re.DOTALL)
SCOPE = re.compile(r"[^()=]*\b(namespace|class|struct|union|enum|extern)\b[^()=]*")
LABEL = re.compile(r"\s*(public|private|protected)\s*")
# What follows the closing brace of a member initialiser, a default argument or a lambda that is not the end of its declaration.
GOES_ON = re.compile(r"\s*([,;{().?&|+\-/<>=:]|catch\b)")


def blank(text):
    """The text without comments and strings, its line numbers kept."""
    return BLANKED.sub(lambda match: match["number"] or re.sub(r"[^\n]", " ", match[0]), text)


def readings(text):
    """The text without directives, once for each branch of its #ifs; an #if with fewer branches shows its last one."""
    sizes = []  # branches of each #if
    inside = []  # (which #if, which branch) around the line that is read
    lines = []  # (the line, or nothing for a directive; what it is inside of)
    going_on = False
    for line in text.split("\n"):
        found = DIRECTIVE.match(line)
        word = found[1] if found else ""
        if word in ("if", "ifdef", "ifndef"):
            inside.append((len(sizes), 0))
            sizes.append(1)
        elif word in ("elif", "else") and inside:
            which, branch = inside.pop()
            inside.append((which, branch + 1))
            sizes[which] += 1
        elif word == "endif" and inside:
            inside.pop()
        lines.append(("" if found or going_on else line, tuple(inside)))
        going_on = (found or going_on) and line.endswith("\\")
    for number in range(max(sizes, default=1)):
        shown = lambda around: all(branch == min(number, sizes[which] - 1) for which, branch in around)
        yield "\n".join(line if shown(around) else "" for line, around in lines)


def functions(text):
    """Yields (first line, lines) of each declaration with a brace that is measured; (0, 0) when the braces do not pair."""
    tables = []  # of the scopes around: whether it is an initialiser, whose declarations end with a comma too
    start = braces = parens = 0  # where the declaration begins, how deep in it we are
    measured = False

    def declaration(end):
        first = start + len(text[start:end]) - len(text[start:end].lstrip())
        return text.count("\n", 0, first) + 1, text.count("\n", first, end) + 1

    for position, char in enumerate(text):
        ended = False
        if braces:
            braces += (char == "{") - (char == "}")
            ended = not braces and not GOES_ON.match(text, position + 1)
        elif char == "{":
            head = DECORATION.sub("", text[start:position])
            table = head.rstrip().endswith("=")
            if not parens and not measured and (table or SCOPE.fullmatch(head)):
                tables.append(table)
                start = position + 1
            else:
                braces, measured = 1, True
        elif char == "}":
            if not tables:
                yield 0, 0
                return
            tables.pop()
            start, measured, parens = position + 1, False, 0
        elif char in "()":
            parens += 1 if char == "(" else -1
        elif char == ":" and LABEL.fullmatch(text, start, position):
            start = position + 1
        elif not parens:
            ended = char == ";" or (char == "," and tables and tables[-1])
        if ended:
            if measured:
                yield declaration(position + 1)
            start, parens, measured = position + 1, 0, False
    if tables or braces or parens:
        yield 0, 0


def findings(source):
    """(line, lines) of each function that is too long."""
    return {(first, lines) for text in readings(blank(source)) for first, lines in functions(text)
            if lines > FUNCTION_LINES or not first}


LONG = "    work();\n" * FUNCTION_LINES
SHORT = "    work();\n" * 40
# Text and whether it holds a function that is too long ("%s": its body).
SELF_TEST = [
    ("void f() {\n%s}\n", LONG, True),
    ("void f() {\n%s}\nvoid g() {\n    work();\n}\n", SHORT, False),
    ("auto f(int) -> std::vector<int> {\n%s}\n", LONG, True),
    ("namespace a {\nauto f = [] {\n%s};\n}\n", LONG, True),
    ("const bool kDone = enter([] {\n%s});\n", LONG, True),
    ("void f(Options options = {}) {\n%s}\n", LONG, True),
    ("void f(Options options = {}, int b = 1) {\n%s}\n", LONG, True),
    ("A::A(int a) : a_{a}, b_([] { return 1; }) {\n%s}\n", LONG, True),
    ("A::A() : a_{[] {\n%s}}, c_(2) {}\n", LONG, True),
    ("A::A()\n    : a_{[] {\n%s    }} {\n" + SHORT + "}\n", SHORT, True),
    ("A::A() try : a_{1} {\n    work();\n} catch (...) {\n%s}\n", LONG, True),
    ("#if A\nvoid f(int) {\n#else\nvoid f() {\n#endif\n%s}\n", LONG, True),
    ("#if A\nvoid f(int) {\n#elif B\nvoid f() {\n#else\nvoid f(char) {\n#endif\n    work();\n}\n%s", "int a;\n" * 90, False),
    ("#if A\nint a;\n#else\nvoid f() {\n%s}\n#endif\n", LONG, True),
    ("class A : public B {\npublic:\n    void f() {\n%s    }\n};\n", LONG, True),
    ("class A {\n%s};\n", "    void f() {}\n" * 90, False),
    ("template <class T = int> struct alignas(64) A {\n%s};\n", "    int a{0};\n" * 90, False),
    ("struct [[nodiscard]] A {\n    int a = {};\n    auto f() const noexcept -> A {\n%s    }\n};\n", LONG, True),
    ("constexpr Row kRows[] = {\n%s};\n", "    {1, {2, 3}},\n" * 90, False),
    ("constexpr Row kRows[] = {\n    {1, [] {\n%s    }},\n};\n", LONG, True),
    ("enum class A : int {\n%s};\n", "    a, // it's {\n" * 90, False),
    ("char a = '{', b = '\\'';\nlong c = 1'000'000;\nauto d = R\"({)\" \"{\";\nvoid f() {\n%s}\n", LONG, True),
    ("#define A(x) { \\\n    { x\nvoid f() {\n%s}\n", LONG, True),
    ("void f() {\n%s", SHORT, True),
    ("}\n%s", "", True),
    ("namespace a {\n%s", "int a;\n", True),
]

errors = [f"{__file__}: reads this wrongly:\n{text}" for text, body, wrong in SELF_TEST if bool(findings(text % body)) != wrong]
for path in common.files(sys.argv[1], common.CXX):
    source = path.read_text()
    lines = source.count("\n")
    limit = HEADER_LINES if path.suffix in common.HEADERS else SOURCE_LINES
    if lines > limit:
        errors.append(f"{path}: {lines} lines, the limit is {limit}")
    for first, length in sorted(findings(source)):
        what = f"a function of {length} lines, the limit is {FUNCTION_LINES}" if first else "its braces do not pair"
        errors.append(f"{path}:{first}: {what}")
common.finish(errors)
