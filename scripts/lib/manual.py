#!/usr/bin/env python3
"""Makes a manual page, in man(7), of what a program says of itself.

    PROGRAM --experimental-dump-help | manual.py SECTION VERSION DATE
"""
import itertools
import json
import re
import sys


def plain(text):
    """Text as it stands: with nothing that the formatter takes for a command of its own."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"[^\x00-\x7e]", lambda found: f"\\[u{ord(found[0]):04X}]", text)
    return re.sub(r"(?m)^([.'])", r"\\&\1", text)


def prose(text):
    """Paragraphs; what is indented keeps its lines; what stands in backticks is bold."""
    lines = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        # Of one paragraph the first lines may be words, and the rest an example.
        for is_example, part in itertools.groupby(paragraph.split("\n"), lambda line: line.startswith("  ")):
            if is_example:
                lines += [".PP", ".RS 4", ".nf", *[plain(line[2:]) for line in part], ".fi", ".RE"]
            else:
                lines += [".PP", re.sub(r"`([^`]*)`", r"\\fB\1\\fP", plain(" ".join(part)))]
    return lines


def flag(name):
    return ("\\-" if name["kind"] == "short" else "\\-\\-") + plain(name["name"])


def form(argument):
    """How an argument is written."""
    value = "\\fI" + plain(argument.get("valueName", "value")) + "\\fP"
    if argument["kind"] == "positional":
        text = value
    else:
        text = ", ".join("\\fB" + flag(name) + "\\fP" for name in argument["names"])
        if argument["kind"] == "option":
            text += " " + value
    return text


def shown(things):
    return [thing for thing in things or [] if thing.get("shouldDisplay", True)]


def synopsis(path, command):
    words = ["\\fB" + plain(path) + "\\fP"]
    if shown(command.get("subcommands")):
        words.append("\\fIcommand\\fP")
    for argument in shown(command.get("arguments")):
        names = [name["name"] for name in argument.get("names", [])]
        if "help" in names or "version" in names:
            continue
        text = form({**argument, "names": argument.get("names", [])[-1:]})
        text += "..." if argument["isRepeating"] else ""
        words.append(f"[{text}]" if argument["isOptional"] else text)
    return " ".join(words)


def described(argument):
    text = " ".join(argument[key] for key in ("abstract", "discussion") if argument.get(key))
    if argument.get("defaultValue"):
        text += f" Default: `{argument['defaultValue']}`."
    return re.sub(r"`([^`]*)`", r"\\fB\1\\fP", plain(" ".join(text.split())))


def arguments(command):
    lines = []
    for argument in shown(command.get("arguments")):
        names = [name["name"] for name in argument.get("names", [])]
        if "help" not in names and "version" not in names:
            lines += [".TP", form(argument), described(argument)]
    return lines


def commands(path, command):
    lines = []
    for each in shown(command.get("subcommands")):
        if each["commandName"] == "help":
            continue
        name = path + " " + each["commandName"]
        if not shown(each.get("subcommands")):
            lines += [f'.SS "{plain(name)}"', synopsis(name, each), ".PP", *prose(each.get("abstract", ""))[1:]]
            lines += prose(each["discussion"]) if each.get("discussion") else []
            lines += arguments(each)
        lines += commands(name, each)
    return lines


def page(command, section, version, date):
    name = command["commandName"]
    lines = [f'.TH "{plain(name.upper())}" {section} "{date}" "{plain(name)} {version}"', ".ad l", ".SH NAME",
             f"{plain(name)} \\- {plain(command['abstract'].rstrip('.'))}", ".SH SYNOPSIS", synopsis(name, command)]
    if command.get("discussion"):
        lines += [".SH DESCRIPTION", *prose(command["discussion"])]
    own = arguments(command)
    lines += [".SH OPTIONS", *own] if own else []
    lines += [".SH COMMANDS", *commands(name, command), ".SH SEE ALSO",
              f"What it is for and how it is run is in \\fI/usr/share/doc/{name}\\fP or beside the programs, in \\fIdocs\\fP."]
    return "\n".join(lines) + "\n"


section, version, date = sys.argv[1:4]
sys.stdout.write(page(json.load(sys.stdin)["command"], section, version, date))
