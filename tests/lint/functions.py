#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Fail when a function is over 70 lines, a source file over 500 or a header over 300.

A scan of braces, not a parser: comments, strings and preprocessor lines are blanked, then a brace is taken for a
function's when a ')' (or a qualifier, a return type or an initialiser list behind one) comes before it. Lambdas count
as part of the function around them. Namespaces, types, enums and initialisers are entered, not measured.
"""
import re
import sys

import common

FUNCTION_LINES = 70
SOURCE_LINES = 500
HEADER_LINES = 300

BLANKED = re.compile(
    r'//[^\n]*|/\*.*?\*/'
    r'|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'"
    r"|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*",
    re.DOTALL | re.MULTILINE,
)
SCOPE = re.compile(r"\b(namespace|class|struct|union|enum)\b[^()=]*$|\bextern\b[^()=]*$")
INITIALISER = re.compile(r"\)[^;]*[:,]\s*[A-Za-z_]\w*(<[^;{}]*>)?\s*$")
CONTROL = re.compile(r"^\s*(if|for|while|switch|catch|else|do|try)\b")


def blank(text):
    """The text with comments, strings and directives replaced by blanks, its line numbers kept."""
    return BLANKED.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def starts_function(head):
    """Whether the text between the last ';', '{' or '}' and an opening brace introduces a function."""
    if SCOPE.search(re.sub(r"template\s*<.*?>(?=\s*[a-z])", "", head, flags=re.DOTALL)):
        return False
    return "(" in head and ")" in head and not CONTROL.match(head) and not re.search(r"=\s*$", head)


def functions(text):
    """Yields (first line, lines) of each outermost function."""
    start = 0  # just behind the last token that can end a declaration
    depth = 0
    held = []  # depths of the open braces of member initialisers, which end no declaration
    entry = None  # (depth, line) of the function we are in
    line = 1
    for position, char in enumerate(text):
        if char == "\n":
            line += 1
        elif char == "{":
            head = text[start:position]
            if entry is None and INITIALISER.search(head):
                held.append(depth)
                depth += 1
                continue
            if entry is None and starts_function(head):
                entry = (depth, line - head.lstrip().count("\n"))
            depth += 1
            start = position + 1
        elif char == "}":
            depth -= 1
            if held and held[-1] == depth:
                held.pop()
                continue
            start = position + 1
            if entry and entry[0] == depth:
                yield entry[1], line - entry[1] + 1
                entry = None
        elif char == ";":
            start = position + 1


errors = []
for path in common.files(sys.argv[1], common.CXX):
    source = path.read_text()
    lines = source.count("\n")
    limit = HEADER_LINES if path.suffix == ".hpp" else SOURCE_LINES
    if lines > limit:
        errors.append(f"{path}: {lines} lines, the limit is {limit}")
    if "/tests/" in str(path):
        continue  # a test file is one story after another; only its size is bounded
    for first, length in functions(blank(source)):
        if length > FUNCTION_LINES:
            errors.append(f"{path}:{first}: a function of {length} lines, the limit is {FUNCTION_LINES}")
common.finish(errors)
